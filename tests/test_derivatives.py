"""gradient and hessian_diag: accuracy, bars, counts, bounds."""

import numpy as np
import pytest
from problems import problems

from hessfast import gradient, hessian, hessian_diag
from hessfast.values.stencils import ORDERS

SMOOTH = [p for p in problems() if p.n <= 20 and not p.noise and p.kind in ("dense", "likelihood", "scales", "domain")]


def scaled(p, order, function):
    f, calls = p.fun, []

    def counted(x):
        calls.append(1)
        return f(x)

    with np.errstate(all="ignore"):
        result = function(counted, p.x0, order=order, bounds=p.bounds, full_output=True)
    assert result.nfev == len(calls) == sum(result.evaluations)
    assert result.success, result.message
    exact, weights = (p.grad, p.lengths) if function is gradient else (np.diag(p.hess), p.lengths**2)
    error = np.abs(result.value - exact)
    inside = error <= result.error + np.finfo(float).eps * np.abs(exact)
    return np.linalg.norm(weights * error) / np.linalg.norm(weights * exact), inside


# A balanced derivative d of order m has the relative error of about eps^(m/(m+d)): 4e-11, 3e-13, 5e-14 of the gradient,
# 1e-8, 3e-11, 2e-12 of the diagonal, times f over its derivatives in natural lengths, which is 10 here at the median.
@pytest.mark.parametrize(
    ("function", "order", "median", "p95"),
    [
        (gradient, 2, 1e-10, 3e-7),
        (gradient, 4, 1e-12, 2e-9),
        (gradient, 6, 4e-13, 1e-9),
        (hessian_diag, 2, 4e-8, 3e-7),
        (hessian_diag, 4, 3e-10, 2e-9),
        (hessian_diag, 6, 4e-11, 1e-9),
    ],
)
def test_smooth_function(function, order, median, p95):
    outcomes = [scaled(p, order, function) for p in SMOOTH]
    errors = [error for error, _ in outcomes]
    assert np.median(errors) <= median
    assert np.quantile(errors, 0.95) <= p95
    assert np.concatenate([inside for _, inside in outcomes]).mean() >= 0.99


def f(x):
    return float(np.exp(x[0]) * x[1] ** 2 + np.log(1.0 + x[2] ** 2))


X = np.array([0.3, 1.7, -0.6])


@pytest.mark.parametrize("order", ORDERS)
def test_diagonal_has_the_bits_of_the_hessian_at_the_same_steps(order):
    result = hessian_diag(f, X, order=order, full_output=True)
    full = hessian(f, X, order=order, abs_step=result.step, full_output=True)
    np.testing.assert_array_equal(result.value, np.diag(full.hess))
    np.testing.assert_array_equal(gradient(f, X, order=order, abs_step=result.step), full.jac)


@pytest.mark.parametrize("function", [gradient, hessian_diag])
def test_given_steps_cost_what_they_say(function):
    result = function(f, X, order=4, abs_step=1e-3, full_output=True)
    assert result.nfev == 1 + 4 * X.size
    assert result.error is None
    assert result.evaluations is None


@pytest.mark.parametrize("function", [gradient, hessian_diag])
def test_array_by_default_and_mask(function):
    value = function(f, X)
    assert type(value) is np.ndarray
    np.testing.assert_allclose(function(f, X, mask=[True, False, True]), value[[0, 2]], rtol=1e-8)


@pytest.mark.parametrize("function", [gradient, hessian_diag])
def test_at_a_bound(function):
    def guarded(x):
        assert (x >= X).all()
        return f(x)

    result = function(guarded, X, bounds=(X, np.inf), full_output=True)
    assert result.one_sided.all()
    np.testing.assert_allclose(result.value, function(f, X), rtol=1e-5)


@pytest.mark.parametrize("function", [gradient, hessian_diag])
def test_isolated_coordinate_is_nan_and_said(function):
    with pytest.warns(RuntimeWarning, match="1 entry is NaN"):
        result = function(lambda x: f(x) if x[1] == X[1] else np.nan, X, full_output=True)
    assert np.isnan(result.value).tolist() == [False, True, False]
    assert not result.success


def test_gradient_at_a_minimum_is_within_its_bar():
    result = gradient(lambda x: float(np.cosh(x - 0.3).sum()), np.full(4, 0.3), full_output=True)
    assert (np.abs(result.value) <= result.error).all()
