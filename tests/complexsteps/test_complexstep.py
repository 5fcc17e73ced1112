"""Hessians from complex points: accuracy, counts, bars, and the refusal of functions that are not analytic."""

import math
import warnings
from functools import cache

import numpy as np
import pytest
from by_hand import Formula, sent
from problems import problems

from hessfast import AccuracyWarning, hessian
from hessfast.calls.run import drive
from hessfast.complexsteps.analytic import IMAGINARY, check_analytic
from hessfast.complexsteps.search import ComplexSearch, from_gradient


class Counted:
    """A function that counts its calls."""

    def __init__(self, fun):
        self.fun, self.calls = fun, 0

    def __call__(self, x):
        self.calls += 1
        return self.fun(x)


def log_sum_exp(x):
    z = A @ x
    top = z[np.argmax(z.real)]
    return top + np.log(np.sum(np.exp(z - top)))


def log_sum_exp_gradient(x):
    z = A @ x
    e = np.exp(z - z[np.argmax(z.real)])
    return A.T @ (e / e.sum())


A = np.cos(np.outer(np.arange(1, 10), np.arange(1, 6)) ** 2)
X0 = np.array([0.3, -0.7, 1.9, 0.5, -0.1])


def exact(x):
    e = np.exp(A @ x - (A @ x).max())
    w = e / e.sum()
    return A.T @ (np.diag(w) - np.outer(w, w)) @ A


# ---- accuracy on the problem set


@cache
def outcomes(name):
    """(problem, scaled error, evaluations, share inside the bars, overestimate, lost, share of the gradient inside)."""
    rows = []
    for p in problems():
        if p.noise or p.n > 60 or not p.analytic or (p.bounds is not None and name == "fun"):
            continue
        f = Counted(p.fun if name == "fun" else p.grad_fun)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)  # at the minimum of x^4 nothing is known
            result = hessian(
                *((f, p.x0) if name == "fun" else (None, p.x0)),
                jac=None if name == "fun" else f,
                method="cs",
                full_output=True,
            )
        count = result.nfev if name == "fun" else result.njev
        assert count == f.calls == sum(result.evaluations)
        error = np.abs(result.hess - p.hess)
        wrong = error > 0
        over = np.median(result.hess_error[wrong] / error[wrong]) if wrong.any() else np.nan
        inside = np.mean(error <= result.hess_error)
        gradient = np.mean(np.abs(result.jac - p.grad) <= result.jac_error)
        rows.append((p, p.scaled_error(result.hess), f.calls, inside, over, p.lost(result.hess), gradient))
    return rows


def test_complex_gradients_are_right_to_rounding():
    rows = outcomes("jac")
    assert len(rows) > 140
    assert np.median([row[1] for row in rows]) <= 1e-15
    assert np.quantile([row[1] for row in rows], 0.95) <= 1e-14
    assert np.median([row[2] - row[0].n for row in rows]) <= 6


def test_complex_values_reach_their_goal():
    rows = outcomes("fun")
    assert len(rows) > 140
    assert np.median([row[1] for row in rows]) <= 5e-13
    assert np.quantile([row[1] for row in rows], 0.95) <= 1e-11
    assert max(row[1] for row in rows) <= 1e-8
    beyond = [(row[2] - row[0].n ** 2 - row[0].n - 5) / row[0].n for row in rows]
    assert np.median(beyond) <= 12


@pytest.mark.parametrize("name", ["fun", "jac"])
def test_bars_cover_the_errors(name):
    rows = outcomes(name)
    assert np.mean([row[3] for row in rows]) >= 0.99
    assert np.average([row[3] for row in rows], weights=[row[0].n ** 2 for row in rows]) >= 0.99
    # From gradients errors are at rounding level, and so are the bars: what x itself leaves open, in the worst row.
    assert np.nanmedian([row[4] for row in rows]) <= (20 if name == "fun" else 200)
    assert np.mean([row[6] for row in rows]) >= 0.97


@pytest.mark.parametrize("name", ["fun", "jac"])
def test_no_entry_is_lost(name):
    assert [row[0].name for row in outcomes(name) if row[5]] == []


# ---- what a result means


@pytest.mark.parametrize("options", [{"fun": log_sum_exp}, {"jac": log_sum_exp_gradient}], ids=["fun", "jac"])
def test_batched_and_single_points_agree(options):
    name, f = next(iter(options.items()))

    def columns(points):
        return np.stack([np.asarray(f(x)) for x in points.T], axis=-1)

    single = hessian(options.get("fun"), X0, jac=options.get("jac"), method="cs")
    batched = hessian(
        columns if name == "fun" else None, X0, jac=columns if name == "jac" else None, method="cs", vectorized=True
    )
    assert np.array_equal(single, batched)
    np.testing.assert_allclose(single, exact(X0), atol=1e-12)


def test_the_steps_found_repeat_the_hessian_bit_for_bit():
    first = hessian(log_sum_exp, X0, method="cs", full_output=True)
    f = Counted(log_sum_exp)
    again = hessian(f, X0, method="cs", abs_step=first.step, full_output=True)
    assert np.array_equal(first.hess, again.hess)
    assert again.nfev == f.calls == 5**2 + 3 * 5 + 5
    assert again.hess_error is None


@pytest.mark.parametrize("order", [4])
def test_halving_the_step_divides_the_error_of_a_pair_by_sixteen(order):
    errors = [np.abs(hessian(log_sum_exp, X0, method="cs", abs_step=h) - exact(X0)) for h in (0.25, 0.125)]
    pairs = np.tril_indices(5, -1)
    assert np.log2(np.linalg.norm(errors[0][pairs]) / np.linalg.norm(errors[1][pairs])) == pytest.approx(order, abs=0.3)


def test_the_gradient_beside_the_value():
    result = hessian(log_sum_exp, X0, method="cs", full_output=True)
    assert result.fun == log_sum_exp(X0)
    np.testing.assert_allclose(result.jac, log_sum_exp_gradient(X0), atol=1e-13)
    assert (np.abs(result.jac - log_sum_exp_gradient(X0)) <= result.jac_error).all()
    assert result.lane == "python"


def test_fun_returns_both():
    both = hessian(lambda x: (log_sum_exp(x), log_sum_exp_gradient(x)), X0, jac=True, method="cs", full_output=True)
    np.testing.assert_allclose(both.hess, exact(X0), atol=1e-15)
    assert both.fun == log_sum_exp(X0)


def test_mask_and_arguments():
    def fun(x, power, *, shift):
        return np.sum((x - shift) ** power) + x[0] * x[2]

    H = hessian(fun, [1.0, 2.0, 3.0], method="cs", args=(4,), kwargs={"shift": 0.5}, mask=[True, False, True])
    np.testing.assert_allclose(H, [[3.0, 1.0], [1.0, 75.0]], rtol=1e-12)


def test_a_large_third_derivative_beside_a_rounded_coordinate():
    # 1 + h is rounded coarser than 1 - h: with unequal steps the slope must still cancel.
    x = np.array([np.nextafter(1.0, 0.0)])
    H = hessian(lambda z: 1e8 * z[0] + np.sin(z[0]), x, method="cs")
    assert H[0, 0] == pytest.approx(-np.sin(x[0]), rel=1e-4)


# ---- is f analytic?

ANALYTIC = {
    "exp": lambda x: np.exp(x).sum(),
    "quadratic form": lambda x: x @ (A[:5] @ x),
    "shifted log-sum-exp": log_sum_exp,
    "maximum squared": lambda x: np.sum(np.maximum(x, 0) ** 2),
    "where": lambda x: np.sum(np.where(x > 0, x**3, x**2)),
    "square root": lambda x: np.sqrt(3.0 + x).sum(),
    "trigonometric": lambda x: np.sum(np.sin(x) * np.cos(2 * x)) + np.tanh(x[0] * x[1]),
    "polynomial in Python": lambda x: x[0] ** 2 * x[1] + 3 * x[2] ** 4,
    "reciprocal": lambda x: np.sum(1 / (1 + x * x)),
}
REFUSED = {
    "absolute value": (lambda x: np.abs(x).sum(), "returned float64 at a complex point"),
    "norm beside an analytic part": (lambda x: np.linalg.norm(x) + x.sum(), "imaginary part .* not its derivative"),
    "vdot": (lambda x: np.vdot(x, x), "imaginary part .* not its derivative"),
    "conjugate": (lambda x: np.sum(np.conj(x) ** 3), "imaginary part .* not its derivative"),
    "real part": (lambda x: np.sum(x.real**2), "returned float64 at a complex point"),
    "float": (lambda x: float(x[0]) ** 2, "(raised TypeError|discards imaginary parts)"),
    "math.exp": (lambda x: math.exp(x[0]) + x[1], "(raised TypeError|discards imaginary parts)"),
    "arctan2": (lambda x: np.arctan2(x[0], x[1]), "raised TypeError"),
    "a real work array": (lambda x: _squares(x).sum() + 0j, "discards imaginary parts"),
}


def _squares(x):
    work = np.empty(x.size)
    work[:] = x**2
    return work


@pytest.mark.parametrize("name", ANALYTIC)
def test_an_analytic_function_is_accepted(name):
    f = ANALYTIC[name]
    H = hessian(f, X0, method="cs")
    reference = hessian(f, X0, order=6)
    np.testing.assert_allclose(H, reference, atol=1e-8)


@pytest.mark.parametrize("name", REFUSED)
def test_a_function_that_is_not_analytic_is_refused_by_the_test_that_failed(name):
    f, reason = REFUSED[name]
    with pytest.raises(ValueError, match=f"method: .*analytic.*{reason}"):
        hessian(f, X0, method="cs")


def test_a_modulus_without_slope_is_refused_by_its_growth():
    # At x = 0 the first derivatives of |z|^2 all vanish, and the imaginary part agrees with them.
    with pytest.raises(ValueError, match=r"grows like h\^2 beside x0\[1\]"):
        hessian(lambda x: x[0] ** 2 + (x[1] * np.conj(x[1])) + np.exp(x[2]), [1.0, 0.0, 0.5], method="cs")


def test_a_gradient_that_is_not_analytic_is_refused():
    with pytest.raises(ValueError, match=r"method: .*jac.*not its derivative"):
        hessian(None, X0, jac=lambda x: x + np.conj(x) * 0.5, method="cs")


# ---- without a function

ONE, FAR = np.zeros(1, dtype=np.int32), np.full(1, np.inf)


def looks(slope, *, beside=2.0, differs=3.0):
    """What a look at an f of one variable is sent whose value is 2 and whose slope beside the real axis is given."""
    changes = differs * 2.0**-12 * np.array([-1.0, 1.0, 2.0])
    return [2.0], [beside + 1j * IMAGINARY * slope], 2.0 + changes, 2.0 + 4.0 * changes[:2]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_what_agrees_with_real_differences_is_analytic(sign):
    x = np.array([1.0])
    asked, (centre, size) = sent(check_analytic(x, "fun", ONE, FAR), *looks(sign * 3.0, differs=sign * 3.0)[:3])
    assert (float(centre), size.tolist()) == (2.0, [1.0])
    assert [points.purpose for points in asked] == ["origin", "calibration", "calibration"]
    assert (asked[1].X.real.tolist(), np.abs(asked[1].X.imag).tolist()) == ([[1.0]], [[IMAGINARY]])


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (looks(3.0 + 1e-2), "an imaginary part .* not its derivative"),
        (looks(np.nan), "not finite beside"),
        ([*looks(3.0, beside=2.1)[:2], np.full(4, 2.0)], "another real part"),
    ],
    ids=["slope", "nan", "real part"],
)
def test_values_that_no_analytic_function_has(answers, reason):
    with pytest.raises(ValueError, match=f"method: .*gain (has|is) {reason}"):
        sent(check_analytic(np.array([1.0]), "gain", ONE, FAR), *answers)


def test_the_search_needs_values_alone():
    x = np.array([0.8, -0.6])
    source = Formula(lambda z: np.exp(z[0]) * z[1] ** 3, x)
    search = ComplexSearch(x, np.arange(2, dtype=np.int32), np.full(2, 1e3), source.formula(x), np.abs(x))
    found = drive(search.run(), source)
    e, y = np.exp(0.8), -0.6
    np.testing.assert_allclose(found.hess, e * np.array([[y**3, 3 * y**2], [3 * y**2, 6 * y]]), rtol=1e-11)
    assert source.nfev == sum(source.spent.values())
    assert source.spent["pairs"] == 2


def test_columns_of_imaginary_steps_alone():
    x, H = np.array([1.0, -2.0, 0.5]), np.array([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 4.0]])
    source = Formula(lambda z: H @ z, x)
    found = drive(from_gradient(x, np.array([0, 2], dtype=np.int32), np.full(2, np.inf)), source)
    assert np.array_equal(found.hess, H[np.ix_([0, 2], [0, 2])])
    assert (source.spent["origin"], source.spent["pairs"]) == (1, 2)


# ---- bounds, walls, misuse


def test_bounds_hold_for_the_real_parts():
    x = np.array([0.3, 0.7])
    bounds = (x - np.array([1e-3, 1e-2]), x + 1.0)
    seen = []

    def fun(z):
        seen.append(z.real.copy())
        return np.exp(z[0] * z[1])

    H = hessian(fun, x, method="cs", bounds=bounds)
    points = np.array(seen)
    assert ((points >= bounds[0]) & (points <= bounds[1])).all()
    e = np.exp(0.21)
    np.testing.assert_allclose(H, [[0.49 * e, 1.21 * e], [1.21 * e, 0.09 * e]], rtol=1e-9)


def test_a_gradient_needs_no_room():
    seen = []

    def jac(z):
        seen.append(z.real.copy())
        return z**2 + z.sum()

    H = hessian(None, [0.0, 1.0], jac=jac, method="cs", bounds=(0.0, 1.0))
    assert np.array_equal(H, [[1.0, 1.0], [1.0, 3.0]])
    assert ((np.array(seen) >= 0.0) & (np.array(seen) <= 1.0)).all()


def test_an_edge_is_refused():
    with pytest.raises(ValueError, match=r"bounds: .*both sides of x0\[0\]"):
        hessian(lambda z: np.sum(z**3), [0.0, 1.0], method="cs", bounds=(0.0, 5.0))


@pytest.mark.parametrize("vectorized", [False, True])
@pytest.mark.parametrize("beyond", ["raises", complex(np.nan, 0.0), complex(np.inf, 1.0), complex(1.0, np.nan)])
def test_entries_that_depend_on_points_beyond_a_wall_are_nan(beyond, vectorized):
    def walled(z):
        out = z[0].real > 0.3
        if beyond == "raises" and out.any():
            raise ZeroDivisionError
        there = beyond if beyond != "raises" and np.iscomplexobj(z) else np.nan
        return np.where(out, there, np.exp(z[0] * z[1]) + z[2] ** 3)

    x = np.array([0.3, -0.5, 0.7])
    options = {"method": "cs", "on_error": ZeroDivisionError, "vectorized": vectorized}
    with pytest.warns(AccuracyWarning):
        given = hessian(walled, x, abs_step=1e-3, **options)
    assert np.isnan(given[0]).all()
    np.testing.assert_allclose(given[1:, 1:], [[0.09 * np.exp(-0.15), 0.0], [0.0, 4.2]], atol=1e-8)


def test_a_wall_shortens_the_steps():
    def fun(z):
        return np.sum(np.log(z)) + z[0] * z[1] if (z.real > 0).all() else np.nan

    x = np.array([1e-5, 1.0])
    np.testing.assert_allclose(hessian(fun, [1e-5, 1.0], method="cs"), np.diag(-(x**-2.0)) + 1 - np.eye(2), rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"order": 6}, ValueError, "order"),
        ({"noise": 1e-3}, ValueError, "noise"),
        ({"workers": 2}, TypeError, "workers"),
        ({"abs_step": -0.1}, ValueError, "abs_step"),
        ({"method": "complex"}, ValueError, "method"),
        ({"bounds": (-1.0, 2.0), "abs_step": 5.0}, ValueError, "step"),
    ],
)
def test_misuse_names_the_argument(options, kind, message):
    with pytest.raises(kind, match=message):
        hessian(log_sum_exp, X0, **{"method": "cs", **options})


def test_a_native_function_is_refused_by_name():
    numba = pytest.importorskip("numba")
    f = numba.njit(lambda x: x[0] ** 2 + x[1])
    with pytest.raises(TypeError, match=r"method: .*fun is native"):
        hessian(f, [1.0, 2.0], method="cs")


def test_not_finite_at_x0():
    with pytest.raises(ValueError, match="fun: is not finite at x0"):
        hessian(lambda x: np.log(x).sum() * np.inf, [1.5, 2.0], method="cs")


# ---- sizes of coordinates


def hyperbolic(x):
    return np.cosh(x).sum()


@pytest.mark.parametrize("tiny", [1e-6, 1e-12, 1e-18, 1e-100, 1e-300, 5e-324, 0.0])
def test_a_coordinate_next_to_zero(tiny):
    x = np.array([tiny, 0.5])
    np.testing.assert_allclose(hessian(hyperbolic, x, method="cs"), np.diag(np.cosh(x)), atol=1e-10)
    np.testing.assert_allclose(hessian(None, x, jac=np.sinh, method="cs"), np.diag(np.cosh(x)), atol=1e-14)


@pytest.mark.parametrize("left", [1e-9, 1e-12, 1e-18])
def test_angles_that_one_minus_cosine_does_not_see(left):
    x = left * np.array([0.8, -0.9, 1.5, 0.3])
    D = np.diff(np.eye(4), axis=0)

    def fun(z):
        return (1 - np.cos(z)).sum() + 0.7 * (1 - np.cos(D @ z)).sum()

    exact = np.eye(4) + 0.7 * D.T @ D
    np.testing.assert_allclose(hessian(fun, x, method="cs"), exact, atol=1e-10)


@pytest.mark.parametrize("amount", [1e-6, 1e-12])
def test_amounts_that_are_small_and_mean_it(amount):
    x = np.array([amount, 0.3, 0.7])
    with np.errstate(all="ignore"):
        found = hessian(lambda z: (z * (np.log(z / x) - 1)).sum(), x, method="cs")
    assert np.diag(found) == pytest.approx(1 / x, rel=1e-8)


def test_a_narrow_peak_far_from_zero():
    # Every step that |x| suggests leads to where f is flat.
    x = np.array([9e9, 2.0])
    fun = lambda z: -np.exp(-(((z[0] - 9e9) / 30) ** 2) / 2) + np.cosh(z[1])  # noqa: E731
    result = hessian(fun, x, method="cs", full_output=True)
    assert result.hess[0, 0] == pytest.approx(1 / 900, rel=1e-8)
    given = hessian(fun, x, method="cs", x_scale=[30.0, 1.0], full_output=True)
    assert given.hess[0, 0] == pytest.approx(1 / 900, rel=1e-8)
    assert given.nfev < result.nfev


@pytest.mark.parametrize("x0", [[3.0, -1.0], [1e160, 2.0], [1e300, 1e-300]])
def test_a_linear_function_leaks_no_warning(x0):
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        result = hessian(lambda z: 2 * z[0] - z[1], x0, method="cs", full_output=True)
    assert (np.abs(result.hess) <= result.hess_error).all()
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(hessian(lambda z: 2 * z[0] - z[1], x0, method="cs"), result.hess)
