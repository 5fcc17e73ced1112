"""Error parts of pair entries: the kernel against its slow twin, and what the estimates promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_bars import pair_parts

from hessfast.values import _pairs
from hessfast.values.bars import pair_formula
from hessfast.values.stencils import ORDERS, stencil

EVEN = [order for order in ORDERS if order > 1]
FORMULAS = [(1, True), *((order, one_sided) for one_sided in (False, True) for order in EVEN)]


@pytest.mark.parametrize(("order", "one_sided"), FORMULAS)
def test_kernel_equals_its_slow_twin(order, one_sided):
    of = stencil(order, one_sided)
    rng = np.random.default_rng(order)
    s = rng.standard_normal((50, order)) * 10.0 ** rng.integers(-8, 8, (50, 1))
    s[0], s[1] = 0.0, 1.0
    s[2, 0] = np.nan
    rate, noise = rng.random(50), rng.random(50)
    found = pair_formula(of).parts(s, rate, noise)
    expected = np.array([pair_parts(of, *row) for row in zip(s, rate, noise, strict=True)]).T
    for part, twin in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, twin, rtol=1e-9, atol=1e-12 * np.nanmax(np.abs(s)))


def test_a_formula_for_which_the_kernels_have_no_room_is_refused():
    with pytest.raises(ValueError, match="order: the kernels have room for 16"):
        pair_formula(stencil(18))


@given(st.integers(2, 9), st.sampled_from(FORMULAS), st.integers(0, 10**6), st.integers(1, 40))
def test_assembly_with_parts_keeps_the_bits_of_plain_assembly(n, kind, seed, tile):
    of = stencil(*kind)
    m, pairs = of.order, n * (n - 1) // 2
    rng = np.random.default_rng(seed)
    values, axis_values = rng.standard_normal(pairs * m), rng.standard_normal((n, m))
    inverse = 1.0 / (rng.random((n, m)) + 0.1)
    plain, H, T, C = np.zeros((4, n, n))
    _pairs.assemble_pairs(of.pair_weights, 0.5, axis_values, inverse, 0, pairs, values, plain)
    for first in range(0, pairs, tile):
        last = min(pairs, first + tile)
        pair_formula(of).assemble(
            (0.5, 1e-3, 0.0, 0.0), axis_values, inverse, np.zeros(n), first, last, values[first * m :], H, T, C
        )
    np.testing.assert_array_equal(H, plain)
    assert (C[np.tril_indices(n, -1)] > 0).all()


@pytest.mark.parametrize(("order", "one_sided"), FORMULAS)
def test_condition_part_is_the_standard_deviation_of_white_noise(order, one_sided):
    of = stencil(order, one_sided)
    t = np.array(of.pair_nodes, dtype=float)
    rng = np.random.default_rng(order)
    ij, i, j = rng.standard_normal((3, 40_000, order))
    psi = (ij - i) - (j - rng.standard_normal((40_000, 1)))
    value, _, condition = pair_formula(of).parts(psi / t**2, np.zeros(40_000), np.ones(40_000))
    assert np.std(value) == pytest.approx(condition[0], rel=0.02)


@pytest.mark.parametrize(("order", "one_sided"), FORMULAS[1:])
@pytest.mark.parametrize("ratio", [0.3, 0.1, 0.02])
def test_truncation_part_holds_for_coefficients_that_fall_geometrically(order, one_sided, ratio):
    of = stencil(order, one_sided)
    t = np.array(of.pair_nodes, dtype=float)
    if ratio * np.abs(t).max() > 0.9:
        ratio /= 10  # at the outer nodes the series would diverge
    s = np.array([sum((ratio * t_k) ** power for power in range(60)) for t_k in t])
    value, truncation, _ = pair_formula(of).parts(s[None, :], np.zeros(1), np.zeros(1))
    error = abs(value[0] - 1.0)
    assert 0.1 * error <= truncation[0] + 1e-14 <= 30 * error + 1e-13
