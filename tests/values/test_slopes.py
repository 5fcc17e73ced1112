"""Slopes at places where symmetry hides their truncation, and bars of low orders where symmetry hides that of pairs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import hessfast
from hessfast.values.bars import unseen

Array = NDArray[np.float64]


def _sum_of(x: Array, shape: Callable[[Array], Array], at: Array, length: Array) -> float:
    return 3.0 + float(np.sum(shape((x - at) / length)))


def _odd(x: Array, at: float, length: float) -> float:
    return 2.0 + float(np.sinh((x[0] - at) / length))


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("shape", ["cosh", "peak", "cosine", "well"])
def test_slopes_at_a_symmetric_optimum_keep_within_the_natural_length(shape: str, order: int) -> None:
    shapes = {
        "cosh": lambda t: np.log(np.cosh(t)),
        "peak": lambda t: -np.exp(-0.5 * t * t),
        "cosine": lambda t: -np.cos(t),
        "well": lambda t: -1.0 / (1.0 + t * t),
    }
    rng = np.random.default_rng([order, len(shape)])
    for _ in range(10):
        n = int(rng.integers(1, 5))
        at = rng.uniform(0.5, 2.0, n)
        length = at * 10.0 ** rng.uniform(-4.0, 0.0, n)
        found = hessfast.gradient(_sum_of, at, order=order, args=(shapes[shape], at, length), full_output=True)
        assert found.error is not None
        assert found.success
        assert (np.abs(found.value) <= found.error).all()
        assert (np.abs(found.step) < 2.0 * length).all()
        assert (found.error * length < 1e-6).all()


def test_slopes_find_the_natural_length_where_f_is_odd_around_x() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        at, length = rng.uniform(0.5, 2.0), 10.0 ** rng.uniform(-3.0, 0.0)
        found = hessfast.gradient(_odd, [at], args=(at, length), full_output=True)
        assert found.error is not None
        assert abs(found.value[0] - 1.0 / length) <= found.error[0]
        assert found.error[0] * length < 1e-7


@pytest.mark.parametrize("function", [hessfast.gradient, hessfast.hessian_diag])
@pytest.mark.parametrize("size", [1e155, 1e165, 1e250, 1e307, 1.7e308])
def test_coordinates_near_the_ends_of_the_range(function, size: float) -> None:  # type: ignore[no-untyped-def]
    found = function(lambda x: float(np.sum((x / size) ** 3)) + 1.0, [size, 0.7 * size], full_output=True)
    if function is hessfast.gradient:
        np.testing.assert_allclose(found.value * size, [3.0, 3.0 * 0.49], rtol=1e-6)
    else:
        bar = np.fmax(found.error, 1e-4 * 6.0 / size / size)  # both vanish below the range
        assert (np.abs(found.value - np.array([6.0, 4.2]) / size / size) <= bar).all()


@pytest.mark.parametrize("order", [1, 2])
def test_pairs_that_symmetry_makes_small_are_not_trusted_beyond_what_they_show(order: int) -> None:
    rng = np.random.default_rng(order)
    inside = total = 0
    for _ in range(40):
        u = rng.uniform(0.3, 3.0, (2, 3))
        at = rng.uniform(0.5, 2.0, 3)

        def fun(z: Array, u: Array = u, at: Array = at) -> float:
            a, b, c = (z - at) * u[0] / u[1]
            return float(1.0 + np.cosh(a) + np.cosh(b) + c * c + 0.5 * a * a * c + 0.3 * a * b * b)

        found = hessfast.hessian(fun, at, order=order, full_output=True)
        assert found.hess_error is not None
        true = np.diag([1.0, 1.0, 2.0]) * np.outer(u[0] / u[1], u[0] / u[1])
        off = np.abs(found.hess - true)[np.tril_indices(3, -1)]
        inside += int((off <= found.hess_error[np.tril_indices(3, -1)]).sum())
        total += 3
    assert inside >= 0.98 * total


def test_what_pairs_may_not_show_is_at_most_a_multiple_of_themselves() -> None:
    hess = np.array([[4.0, 0.0, 0.0], [1e-9, 1.0, 0.0], [1.5, 0.0, 9.0]])
    hidden = unseen(hess, slice(0, 3), np.sqrt(np.diag(hess)), np.full(3, 1e-3), 1, 6.0)
    assert hidden[1, 0] == pytest.approx(6.0 * 1e-9)
    assert hidden[2, 0] == pytest.approx(6.0 * 2e-3 * 6.0)
