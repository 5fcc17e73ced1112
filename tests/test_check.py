"""check_hessian: right Hessians pass, a single wrong entry is found."""

import numpy as np
import pytest
from callbacks import X0, exact_hessian, gradient, log_sum_exp
from problems import draw, problems

from hessfast import check_hessian
from hessfast.check import WORTH, own_scale

SMALL = [p.name for p in problems() if p.n <= 9]


def options(p):
    return {} if p.bounds is None else {"bounds": p.bounds}


@pytest.mark.parametrize("name", SMALL)
def test_right_hessian_is_not_accused(name):
    for seed in range(2):
        p = draw(name, seed)
        assert check_hessian(p.fun, p.x0, p.hess, **options(p)).wrong == ()


@pytest.mark.parametrize("name", [name for name in SMALL if not name.startswith(("zero", "constant"))][::3])
def test_entry_wrong_by_twenty_bars_is_found(name):
    p = draw(name)
    result = check_hessian(p.fun, p.x0, p.hess, **options(p)).result
    bars = result.hess_error
    i, j = np.random.default_rng(len(name)).integers(0, p.n, 2)
    H = p.hess.copy()
    d = np.abs(np.diag(H))
    rounding = WORTH * max(abs(H[i, j]), np.sqrt(d[i] * d[j]), own_scale(result)[i, j])
    H[i, j] += max(20 * bars[i, j], 2 * rounding)
    H[j, i] = H[i, j]
    check = check_hessian(p.fun, p.x0, H, **options(p))
    assert [(w.row, w.column) for w in check.wrong] == [(max(i, j), min(i, j))]
    assert not check.success
    assert f"[{max(i, j)}, {min(i, j)}]" in check.message


def test_asymmetric_hessian_is_said():
    H = exact_hessian(X0)
    H[0, 1] += 1e-13
    check = check_hessian(log_sum_exp, X0, H)
    assert not check.success
    assert check.asymmetry == pytest.approx(1e-13, rel=1e-2)
    assert "not symmetric" in check.message


def test_slope_of_the_remainders():
    H = exact_hessian(X0)
    H = 0.5 * (H + H.T)
    assert check_hessian(log_sum_exp, X0, H).slope > 3.0
    assert check_hessian(log_sum_exp, X0, 1.1 * H).slope == pytest.approx(2.0, abs=0.1)


def residuals(seed, n=3):
    """A sum of squares that are all 0 at x, beside which f is rounded as its terms are, and its derivatives there."""
    rng = np.random.default_rng(seed)
    x, A = rng.integers(1, 4, n).astype(float), rng.integers(-3, 4, (n + 1, n)) + np.eye(n + 1, n)
    b = A @ x**2

    def fun(z):
        r = A @ z**2 - b
        return float(r @ r)

    def jac(z):
        return 4.0 * z * (A.T @ (A @ z**2 - b))

    left = x + rng.choice([1e-6, 1e-8, 1e-10]) * rng.normal(size=n)  # where an optimiser stops
    J = 2.0 * A * left
    H = 2.0 * J.T @ J + np.diag(4.0 * (A.T @ (A @ left**2 - b)))
    return fun, jac, left, 0.5 * (H + H.T)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("from_gradients", [False, True])
def test_rounding_beside_a_minimum_of_zero_accuses_nobody(seed, from_gradients):
    fun, jac, x, H = residuals(seed)
    check = check_hessian(fun, x, H, jac=jac if from_gradients else None)
    assert check.wrong == ()
    assert not check.slope < 3.0
    off = np.zeros_like(H)
    off[2, 0] = off[0, 2] = 0.02 * np.sqrt(H[0, 0] * H[2, 2])
    check = check_hessian(fun, x, H + off, jac=jac if from_gradients else None)
    assert [(w.row, w.column) for w in check.wrong] == [(2, 0)]


def test_a_bond_on_an_axis_has_a_hessian_that_rounding_cannot_make_wrong():
    """Across it the curvature is the slope over the length: rounding of a force that is 0."""

    def fun(z):
        return (np.linalg.norm(z[3:] - z[:3]) - 1.16) ** 2

    def jac(z):
        along = z[3:] - z[:3]
        g = 2.0 * (1.0 - 1.16 / np.linalg.norm(along)) * along
        return np.concatenate([-g, g])

    x = np.array([0.3, 3e-17, -2e-17, 0.3 + 1.16, -5e-17, 1e-17])
    block = np.diag([2.0, 2.2e-16, 2.2e-16])
    H = np.block([[block, -block], [-block, block]])
    assert check_hessian(fun, x, H, jac=jac)


def test_halves_that_differ_by_a_rounding_are_no_fault():
    fun, _, x, H = residuals(0)
    H[0, 1] = np.nextafter(H[0, 1], np.inf)
    assert check_hessian(fun, x, H)


def test_callable_hessian_and_gradient():
    check = check_hessian(None, X0, lambda x: exact_hessian(x), jac=gradient)
    assert check.wrong == ()
    assert check.nfev == 0
    assert check.njev > 0
    assert np.isnan(check.slope)


def test_evaluations_are_counted():
    calls = []
    check = check_hessian(lambda x: calls.append(1) or log_sum_exp(x), X0, 2 * exact_hessian(X0))
    assert check.nfev == len(calls)


@pytest.mark.parametrize(
    ("hess", "error"), [(np.eye(3), ValueError), (np.full((12, 12), np.nan), ValueError), ([["a"]], TypeError)]
)
def test_bad_hessian_is_named(hess, error):
    with pytest.raises(error, match="hess"):
        check_hessian(log_sum_exp, X0, hess)


def test_truth_of_a_check_is_its_success():
    assert check_hessian(lambda x: x @ x, [1.0, 2.0], 2.0 * np.eye(2))
    assert not check_hessian(lambda x: x @ x, [1.0, 2.0], np.eye(2))
