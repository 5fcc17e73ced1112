"""Masked arrays: what stands in their gaps is no number, neither as an argument nor as a value of f."""

import numpy as np
import pytest

from hessfast import (
    TaylorModel,
    check_hessian,
    curvature,
    hessian,
    hvp,
    minimize_taylor,
    native,
    optimal_step,
    quadratic_form,
)

G = np.array([1.0, 2.0])
H = np.eye(2)
GAP = np.ma.array([1.0, 2.0], mask=[True, False])
HOLE = np.ma.array(np.eye(2), mask=np.eye(2) > 0)


def value(x):
    return (x * x).sum(axis=0)


def slope(x):
    return 2.0 * x


@pytest.mark.parametrize(
    "call",
    [
        lambda: quadratic_form(HOLE, G),
        lambda: quadratic_form(H, GAP),
        lambda: quadratic_form(H, [GAP, GAP]),
        lambda: quadratic_form(H, [G, G], out=np.ma.array([1.0, 2.0])),
        lambda: optimal_step(GAP, H),
        lambda: optimal_step(G, HOLE),
        lambda: optimal_step(G, lambda v: GAP),
        lambda: optimal_step(G, gHg=np.ma.masked),
        lambda: optimal_step(G, H, error=np.ma.masked),
        lambda: optimal_step(G, H, g_error=GAP),
        lambda: optimal_step(G, H, max_step=np.ma.masked),
        lambda: hessian(value, GAP),
        lambda: hessian(value, G, abs_step=GAP),
        lambda: hessian(value, G, bounds=(-GAP, 3.0)),
        lambda: hessian(value, G, noise=np.ma.masked),
        lambda: hessian(value, G, mask=np.ma.array([True, True], mask=[True, False])),
        lambda: curvature(value, G, GAP),
        lambda: hvp(None, G, GAP, jac=slope),
        lambda: check_hessian(value, G, HOLE),
        lambda: TaylorModel(GAP, 0.0, G, H),
        lambda: TaylorModel(G, 0.0, GAP, H),
        lambda: TaylorModel(G, 0.0, G, HOLE),
        lambda: minimize_taylor(value, GAP, jac=slope),
        lambda: minimize_taylor(value, G, jac=slope, gtol=np.ma.masked),
    ],
)
def test_gaps_in_arguments_are_refused(call):
    with pytest.raises(TypeError, match=r"^\w+:? (the lower side )?(is a masked array|must be a plain array)"):
        call()


def test_gaps_in_what_a_gradient_returns_end_the_descent():
    result = minimize_taylor(value, G, jac=lambda x: GAP)
    assert not result.success
    assert "not finite" in result.message


def test_gaps_in_data_are_refused():
    with pytest.raises(TypeError, match="data is a masked array"):
        hessian(native(1, signature="double (int, double *, void *)", data=GAP), G)


@pytest.mark.parametrize("kind", ["value", "columns", "gradient", "gradient columns", "complex"])
def test_gaps_in_values_are_walls(kind):
    def gap(result, x):
        beyond = np.asarray(x[0].real > 1.0 + 1e-4)
        return np.ma.array(result, mask=np.broadcast_to(beyond, np.shape(result)))

    def walled(x):
        return gap(value(x), x)

    def walled_slope(x):
        return gap(slope(x), x)

    found = {
        "value": lambda: hessian(walled, G),
        "columns": lambda: hessian(walled, G, vectorized=True),
        "gradient": lambda: hessian(None, G, jac=walled_slope),
        "gradient columns": lambda: hessian(None, G, jac=walled_slope, vectorized=True),
        "complex": lambda: hessian(walled, G, method="cs"),
    }[kind]()
    np.testing.assert_allclose(found, 2.0 * np.eye(2), atol=1e-3)
    with pytest.raises(ValueError, match="at x0"):
        hessian(lambda x: np.ma.masked, G)


def test_columns_that_give_one_value_are_refused():
    """An array of one element is a value for one point alone."""
    for one in (np.ones(1), np.ones((1, 1)), np.array(1.0), 1.0):
        with pytest.raises(ValueError, match=r"shape \(\d+,\) expected"):
            hessian(lambda X, one=one: one, np.ones(3), vectorized=True, abs_step=1e-3)
    with pytest.raises(ValueError, match=r"shape \(2, \d+\) expected"):
        hessian(None, np.ones(2), jac=lambda X: np.ones((2, 1)), vectorized=True, abs_step=1e-3)
    H = hessian(lambda X: (X**2).sum(axis=0), [1.0], vectorized=True)
    np.testing.assert_allclose(H, [[2.0]])
