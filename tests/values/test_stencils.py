"""Stencils against what theory predicts: exactness on polynomials, the weights in the literature."""

from fractions import Fraction

import numpy as np
import pytest
import reference_stencils as reference

from hessfast.values import _pairs
from hessfast.values.stencils import ORDERS, stencil

FAMILIES = [(order, False) for order in ORDERS] + [(order, True) for order in ORDERS[1:]]


def derivatives(formula, f0, values, steps):
    slope, curvature = np.empty((2, len(values)))
    _pairs.assemble_axes(
        formula.one_sided, formula.gradient_weights, formula.diagonal_weights, f0, values, steps, slope, curvature
    )
    return slope, curvature


def test_pair_weights_of_the_literature():
    weights = {
        1: [1],
        2: [Fraction(1, 2)],
        4: [Fraction(2, 3), Fraction(-1, 24)],
        6: [Fraction(32, 45), Fraction(-1, 18), Fraction(1, 1440)],
        8: [Fraction(2048, 2835), Fraction(-8, 135), Fraction(1, 1080), Fraction(-1, 362880)],
    }
    for order, expected in weights.items():
        formula = stencil(order)
        per_psi = [w / t**2 for w, t in zip(formula.pair_weights, formula.pair_nodes, strict=True) if t > 0]
        np.testing.assert_allclose(per_psi, [float(w) for w in expected], rtol=4e-16)


def test_one_sided_weights_at_an_edge():
    formula = stencil(2, one_sided=True)
    per_psi = [w / t**2 for w, t in zip(formula.pair_weights, formula.pair_nodes, strict=True)]
    assert per_psi == [2.0, -0.25]
    # (2 f0 - 5 f1 + 4 f2 - f3) / h^2
    values = np.array([[7.0, 11.0, 2.0]])
    steps = np.array([[1.0, 2.0, 3.0]])
    assert derivatives(formula, 3.0, values, steps)[1] == pytest.approx(2 * 3.0 - 5 * 7.0 + 4 * 11.0 - 2.0, rel=1e-14)


@pytest.mark.parametrize(("order", "one_sided"), FAMILIES)
def test_exact_on_polynomials_up_to_the_promised_degree(order, one_sided):
    formula = stencil(order, one_sided)
    for degree in range(order + 3):
        coefficients = np.zeros(order + 3)
        coefficients[degree] = 1.0
        f = np.polynomial.Polynomial(coefficients)
        steps = np.array([formula.axis_nodes], dtype=float) / 8
        slope, curvature = derivatives(formula, f(0.0), f(steps), steps)
        if degree <= order + 1:
            assert curvature[0] == pytest.approx(2.0 * (degree == 2), abs=1e-11)
        if degree <= order + one_sided or (order, degree) == (1, 2):
            assert slope[0] == pytest.approx(1.0 * (degree == 1), abs=1e-11)


@pytest.mark.parametrize(("order", "one_sided"), FAMILIES)
def test_pair_formula_is_exact_up_to_total_degree_order_plus_one_and_no_further(order, one_sided):
    formula = stencil(order, one_sided)
    t = np.array(formula.pair_nodes, dtype=float)
    for p in range(1, order + 2):
        for q in range(1, order + 3 - p):
            psi = t**p * t**q  # of f(u, v) = u^p v^q: the parts on the axes vanish
            value = np.sum(formula.pair_weights * psi / t**2)
            if p + q <= order + 1:
                assert value == pytest.approx(1.0 * (p == q == 1), abs=1e-10)
            else:
                assert abs(value) > 1e-3


def test_linear_part_cancels_exactly_where_rounding_made_steps_unequal():
    formula = stencil(2)
    steps = np.array([[1.0000000001, -0.9999999999]])
    values = 1e8 * steps
    assert abs(derivatives(formula, 0.0, values, steps)[1][0]) <= 1e-7


@pytest.mark.parametrize(("order", "one_sided"), FAMILIES)
@pytest.mark.parametrize("n", [0, 1, 7])
def test_axes_as_their_slow_twins_have_them_bit_for_bit(order, one_sided, n):
    formula = stencil(order, one_sided)
    rng = np.random.default_rng(order)
    x, step = rng.standard_normal(2 * n), rng.standard_normal(n)
    axis = rng.permutation(2 * n)[:n].astype(np.int32)
    nodes, steps = np.empty((2, n, formula.t.size))
    assert _pairs.axis_nodes(x, axis, step, formula.t, nodes, steps) == n
    for found, twin in zip((nodes, steps), reference.axis_nodes(x, axis, step, formula.t)[:2], strict=True):
        assert found.tobytes() == twin.tobytes()
    values = rng.standard_normal(nodes.shape)
    for found, twin in zip(
        derivatives(formula, 0.5, values, steps), reference.derivatives(formula, 0.5, values, steps), strict=True
    ):
        assert found.tobytes() == twin.tobytes()


def test_a_slope_of_negative_zero_keeps_its_sign():
    values, steps = np.array([[-0.0, 0.0]]), np.array([[1.0, -1.0]])
    assert np.signbit(derivatives(stencil(2), 0.0, values, steps)[0][0])
    assert np.signbit(reference.derivatives(stencil(2), 0.0, values, steps)[0][0])


@pytest.mark.parametrize("step", [1e-300, np.finfo(float).max, -np.finfo(float).max])
def test_the_first_axis_with_a_step_of_no_use_is_named(step):
    x, t = np.array([1.0, 2.0, 3.0, 4.0]), stencil(4).t
    nodes, steps = np.empty((2, 4, 4))
    given = np.array([0.1, step, 0.1, step])
    axis = np.arange(4, dtype=np.int32)
    assert _pairs.axis_nodes(x, axis, given, t, nodes, steps) == 1
    assert reference.axis_nodes(x, axis, given, t)[2].tolist() == [True, False, True, False]
