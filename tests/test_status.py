"""Right, or loud: which entries are resolved, what status a result has, who is warned and how."""

import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
from labelled import Labelled

import hessfast.resolution
from hessfast import AccuracyWarning, HessianStatus, check_hessian, gradient, hessian, hessian_diag
from hessfast.dense import HessianResult
from hessfast.values.stencils import ORDERS


def drawn(kind, seed):
    """A function in which much is zero, its gradient, and a point whose coordinates are of all sizes within 2^10."""
    rng = np.random.default_rng([seed, sum(map(ord, kind))])
    n = int(rng.integers(2, 6))
    x = rng.choice([-1.0, 1.0], n) * 2.0 ** rng.uniform(-5.0, 5.0, n)
    a = rng.standard_normal(n) * 10.0 ** rng.uniform(-2.0, 2.0, n)
    c = rng.choice([0.0, 1.0, -7.0, 1e6])
    A = rng.standard_normal((n, n))
    A += A.T
    size = np.abs(x)
    used = (np.arange(n) % 2).astype(float)
    return {
        "constant": (lambda z: c, lambda z: 0.0 * z, x),
        "linear": (lambda z: c + a @ z, lambda z: a + 0.0 * z, x),
        "quadratic": (lambda z: c + a @ z + 0.5 * z @ A @ z, lambda z: a + A @ z, x),
        "quadratic at its centre": (lambda z: c + 0.5 * (z - x) @ A @ (z - x), lambda z: A @ (z - x), x),
        "separable": (
            lambda z: c + np.sum(a * np.exp(z / size)),
            lambda z: a * np.exp(z / size) / size,
            x,
        ),
        "bilinear": (
            lambda z: c + z[0] * z[-1] + z[0],
            lambda z: np.concatenate([[z[-1] + 1.0], np.zeros(n - 2), [z[0]]]),
            x,
        ),
        "variables ignored": (
            lambda z: c + np.sum(used * np.cosh(z / size)),
            lambda z: used * np.sinh(z / size) / size,
            x,
        ),
    }[kind]


KINDS = [
    "constant",
    "linear",
    "quadratic",
    "quadratic at its centre",
    "separable",
    "bilinear",
    "variables ignored",
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_right_zero_is_resolved(kind, order):
    for seed in range(2):
        f, g, x = drawn(kind, seed)
        for result in (
            hessian(f, x, order=order, full_output=True),
            hessian(None, x, jac=g, order=order, full_output=True),
            hessian(f, x, jac=g, order=order, full_output=True),
            gradient(f, x, order=order, full_output=True),
            hessian_diag(f, x, order=order, full_output=True),
        ):
            assert result.status is HessianStatus.COMPLETE, (seed, result.message)
            assert result.resolved.all()
            assert result.unresolved == 0


def reference_resolved(result):
    """The definition, entry by entry."""
    H, B, g = result.hess, result.hess_error, np.maximum(np.abs(result.jac) - result.jac_error, 0.0)
    m = len(H)
    u = np.maximum(np.where(np.abs(result.x) <= 2.0**-14 * np.abs(result.x).max(), 1.0, np.abs(result.x)), result.step)
    known = np.maximum(np.abs(H) - B, 0.0)
    V = [max(g[i] * u[i], max(known[i] * u[i] * u)) for i in range(m)]
    aside = (2.0**-12 if result.order == 1 else 2.0**-16) * max(V)
    V = np.maximum(V, max({1: 2.0**-12, 2: 2.0**-18, 4: 2.0**-26}[result.order] * abs(result.fun), aside))
    own = np.sqrt(np.diag(known))
    return np.array(
        [
            [
                B[i, j] <= 0.1 * max(abs(H[i, j]), own[i] * own[j])
                or B[i, j] * u[i] * u[j] <= 1e-3 * np.sqrt(V[i] * V[j])
                for j in range(m)
            ]
            for i in range(m)
        ]
    )


def made_up(seed, m=9):
    """A result with entries and bars of all sizes."""
    rng = np.random.default_rng(seed)

    def matrix(decades):
        A = rng.standard_normal((m, m)) * 10.0 ** rng.uniform(-decades, decades, (m, m))
        return np.tril(A) + np.tril(A, -1).T

    return HessianResult(
        x=rng.standard_normal(m) * 10.0 ** rng.uniform(-4.0, 4.0, m),
        index=np.arange(m, dtype=np.int32),
        fun=float(rng.choice([0.0, -1e3, 1e8])),
        jac=rng.standard_normal(m) * 10.0 ** rng.uniform(-4.0, 4.0, m),
        hess=matrix(3.0),
        step=10.0 ** rng.uniform(-4.0, 2.0, m),
        nfev=1,
        njev=0,
        lane="python",
        status=HessianStatus.COMPLETE,
        missing=0,
        order=int(rng.choice([1, 2, 4])),
        hess_error=np.abs(matrix(4.0)) * 10.0 ** rng.uniform(-6.0, 0.0),
        jac_error=10.0 ** rng.uniform(-6.0, 2.0, m),
    )


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("block", [10, 1 << 15])
def test_resolved_is_as_defined(seed, block, monkeypatch):
    monkeypatch.setattr(hessfast.resolution, "_BLOCK", block)
    result = made_up(seed)
    resolved = result.resolved
    np.testing.assert_array_equal(resolved, reference_resolved(result))
    np.testing.assert_array_equal(resolved, resolved.T)
    judged = result.judged()
    assert judged.unresolved == np.count_nonzero(~resolved)
    assert judged.success == resolved.all()


def test_bars_that_are_nan_or_infinite_resolve_nothing():
    H = np.array([[2.0, 1.0], [1.0, 2.0]])
    for bar in (np.nan, np.inf):
        bars = np.array([[1e-9, bar], [bar, 1e-9]])
        result = replace(made_up(0, 2), hess=H, hess_error=bars).judged()
        np.testing.assert_array_equal(result.resolved, np.isfinite(bars))
        assert result.status is HessianStatus.UNRESOLVED
        assert f"[1, 0] = 1 ± {bar}" in result.message


def test_sizes_that_a_search_found_decide_what_matters():
    result = replace(
        made_up(1, 2), x=np.array([1.0, 1e-12]), step=np.full(2, 1e-12), fun=1.0, jac=np.zeros(2), jac_error=np.zeros(2)
    )
    result = replace(result, hess=np.array([[1.0, 0.0], [0.0, 0.0]]), hess_error=np.array([[1e-9, 1e-6], [1e-6, 1e3]]))
    assert not result.resolved[1, 1]
    assert replace(result, sizes=np.array([1.0, 1e-9])).resolved.all()


def test_first_status_that_applies():
    good = replace(made_up(0), hess_error=np.zeros((9, 9)))
    bad = replace(made_up(0), hess_error=np.full((9, 9), np.inf))
    assert good.judged().status is HessianStatus.COMPLETE
    assert bad.judged().status is HessianStatus.UNRESOLVED
    assert bad.judged(rough=True).status is HessianStatus.ROUGH
    assert bad.judged(rough=True, drifted=True).status is HessianStatus.DRIFTED
    assert good.judged(rough=True, drifted=True, random=True).status is HessianStatus.RANDOM
    assert replace(bad, missing=1).judged(random=True).status is HessianStatus.NOT_FINITE
    assert replace(bad, hess_error=None).judged().status is HessianStatus.UNVERIFIED
    assert [status for status in HessianStatus if status.success] == [HessianStatus.COMPLETE, HessianStatus.UNVERIFIED]


@pytest.mark.parametrize("status", [status for status in HessianStatus if not status.success])
def test_message_counts_and_names_what_is_not_known(status):
    H = np.diag([1.0, 2.0, 3.0])
    bars = np.where(np.eye(3) == 1.0, 1e-9, 0.5)
    result = replace(made_up(0, 3), hess=H, hess_error=bars, labels=("a", "b", "c"), order=4)
    result = replace(result, x=np.ones(3), step=np.ones(3), fun=0.0, jac=np.zeros(3))
    flags = {HessianStatus.RANDOM: "random", HessianStatus.DRIFTED: "drifted", HessianStatus.ROUGH: "rough"}
    if status is HessianStatus.NOT_FINITE:
        result = replace(result, hess=np.where(H == 2.0, np.nan, H), missing=1)
    message = result.judged(**({flags[status]: True} if status in flags else {})).message
    assert "6 of 9 entries are not known: the worst, [b, a] = 0 ± 0.5" in message
    if status is HessianStatus.NOT_FINITE:
        assert "1 entry is NaN: f was not finite at points needed for [b, b];" in message


def test_judging_takes_little_memory_beside_the_matrices():
    m = 1500
    rng = np.random.default_rng(0)
    H = rng.standard_normal((m, m))
    parts = np.full((2, m, m), 1e-3)
    parts[1, 700, 300] = parts[1, 300, 700] = np.inf
    result = replace(made_up(0, m), hess=H, hess_error=None, truncation_error=parts[0], condition_error=parts[1])
    tracemalloc.start()
    try:
        judged = result.judged()
        assert judged.message
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert judged.unresolved == 2
    assert peak < 8 * m * m


# ---- warnings


def noise_alone(seed=0):
    rng = np.random.default_rng(seed)
    return lambda x: 1e-3 * rng.standard_normal()


@pytest.mark.parametrize("function", [hessian, gradient, hessian_diag])
@pytest.mark.parametrize("full_output", [False, True])
def test_plain_call_warns_once_at_the_callers_line(function, full_output):
    with pytest.warns(RuntimeWarning) as caught:
        function(noise_alone(), [1.0, 2.0, 3.0], full_output=full_output)
    assert [warning.category for warning in caught] == [AccuracyWarning]
    assert caught[0].filename == __file__
    text = str(caught[0].message)
    assert text.startswith(f"{function.__name__}: ")
    assert "not known" in text
    assert "`noise=`" in text


def test_warning_names_labels():
    x = Labelled([1.0, 2.0], ["rate", "share"])
    rng = np.random.default_rng(1)
    with pytest.warns(AccuracyWarning, match=r"\[share, share\] = .* ± "):
        hessian(lambda x: 1e3 * x[0] ** 2 + rng.standard_normal(), x)


@pytest.mark.parametrize("function", [hessian, gradient, hessian_diag])
def test_given_steps_carry_no_verdict(function):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = function(noise_alone(), [1.0, 2.0], abs_step=1e-3, full_output=True)
    assert result.status is HessianStatus.UNVERIFIED
    assert result.success
    assert result.resolved is None
    assert result.unresolved == 0


def test_nothing_is_said_of_what_is_known():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = hessian(lambda x: np.exp(x).sum(), [1.0, 2.0], full_output=True)
    assert result.status is HessianStatus.COMPLETE


def test_check_counts_what_cannot_be_judged():
    check = check_hessian(noise_alone(), [1.0, 2.0], np.zeros((2, 2)))
    assert check.success
    assert check.message == "nothing speaks against the Hessian; 3 entries could not be judged"


# ---- labels


def product(x):
    assert type(x) is np.ndarray
    assert x.dtype == np.float64
    return float(x[0] ** 2 * x[1] + np.exp(x[2]))


POINT = Labelled([1.0, 2.0, 0.5], ["k", "lambda", 7])


@pytest.mark.parametrize("options", [{}, {"abs_step": 0.01}, {"method": "cs"}, {"mask": [True, False, True]}])
def test_labels_stay_with_rows_and_columns(options):
    f = product if options.get("method") != "cs" else lambda x: x[0] ** 2 * x[1] + np.exp(x[2])
    result = hessian(f, POINT, full_output=True, **options)
    assert result.labels == (("k", "lambda", 7) if "mask" not in options else ("k", 7))
    assert len(result.labels) == len(result.hess)
    assert f"labels: ({', '.join(map(str, result.labels))})" in repr(result)
    assert type(result.hess) is type(result.x) is np.ndarray


@pytest.mark.parametrize("function", [gradient, hessian_diag])
def test_labels_along_the_axes(function):
    assert function(product, POINT, full_output=True).labels == ("k", "lambda", 7)


def test_labels_in_the_finding_of_a_check():
    check = check_hessian(product, POINT, np.zeros((3, 3)))
    assert "the worst, [lambda, k]," in check.message or "[k, k]" in check.message or "[7, 7]" in check.message


@pytest.mark.parametrize("x", [[1.0, 2.0], (1.0, 2.0), np.array([1.0, 2.0]), range(1, 3), Labelled([1.0, 2.0], [0, 1])])
def test_vectors_without_labels_of_their_own(x):
    assert hessian(lambda x: x @ x, x, full_output=True).labels is None


def test_series():
    pandas = pytest.importorskip("pandas")
    series = pandas.Series({"a": 1.0, "b": 2.0})
    result = hessian(lambda x: type(x) is np.ndarray and x @ x, series, x_scale=None, full_output=True)
    assert result.labels == ("a", "b")
    frame = pandas.DataFrame(result.hess, result.labels, result.labels)
    assert frame.loc["a", "a"] == pytest.approx(2.0)
    assert hessian(lambda x: x @ x, pandas.Series([1.0, 2.0]), full_output=True).labels is None


# ---- sizes that the caller gives, floating-point states


@pytest.mark.parametrize("scale", [1.0, [1.0, 1.0, 2.0], np.float32(0.5)])
def test_sizes_given_are_those_of_the_search(scale):
    x = np.array([1.0, 1e-12, 1.0])
    result = hessian(lambda x: np.cosh(x).sum(), x, x_scale=scale, mask=[True, True, False], full_output=True)
    np.testing.assert_array_equal(result.sizes, np.broadcast_to(scale, 3)[:2])
    np.testing.assert_allclose(result.hess, np.diag(np.cosh(x[:2])), rtol=1e-8, atol=1e-8)
    for function, exact in ((gradient, np.sinh(x)), (hessian_diag, np.cosh(x))):
        np.testing.assert_allclose(function(lambda x: np.cosh(x).sum(), x, x_scale=scale), exact, atol=1e-7)


def test_sizes_do_not_change_the_unit_of_given_steps():
    x = np.array([2.0, 0.0, -8.0])
    for scale in (None, 100.0):
        result = hessian(lambda x: np.cosh(x).sum(), x, rel_step=2.0**-10, x_scale=scale, full_output=True)
        np.testing.assert_array_equal(result.step, 2.0**-10 * np.array([2.0, 1.0, 8.0]))


@pytest.mark.parametrize("x", [[1.0, 2.0], [0.0, 0.0], [1e100, 1e-100], [1e-320, 1.0]])
def test_state_in_which_everything_raises_is_the_callers_alone(x):
    def f(x):
        with np.errstate(all="ignore"):
            return float(1e-3 * (x @ x) + x[0])

    step = 1e-3 * max(1.0, x[0])
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        for function in (hessian, gradient, hessian_diag):
            for options in ({}, {"abs_step": step}):
                result = function(f, x, full_output=True, **options)
                assert repr(result)
                assert (result.resolved is None) == bool(options)
                assert result.to_dict()["message"] == result.message
        for size in (1e-300, 1e-160, 1.0, 1e300):
            with np.errstate(all="ignore"):
                result = replace(made_up(0, 2), hess=size * np.eye(2), hess_error=size * np.full((2, 2), 1e-9))
                result = replace(result, jac=np.zeros(2))
            assert result.judged().success
            assert np.isfinite(result.standard_errors().value).all()
        check_hessian(f, x, 2e-3 * np.eye(2))


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_known_of_the_derivatives_at_a_kink(seed):
    """λ |z_i - x_i| at z = x, a coefficient of 0 in a lasso: the slope of f has a jump there, and no value."""
    rng = np.random.default_rng([2611, seed])
    n = int(rng.integers(1, 5))
    x = rng.uniform(0.1, 10.0, n) * rng.choice([0.0, 1.0], n, p=[0.3, 0.7])
    A, corner, jump = rng.standard_normal((n, n)), int(rng.integers(n)), 10 ** rng.uniform(-1, 2)

    def f(z):
        return np.sum(np.log(np.cosh(A @ (z - x - 0.1)))) + jump * abs(z[corner] - x[corner])

    for order in (2, 4, 6):
        with pytest.warns(AccuracyWarning):
            assert not hessian(f, x, order=order, full_output=True).resolved[corner, corner]
    with pytest.warns(AccuracyWarning):
        assert not hessian_diag(f, x, full_output=True).resolved[corner]
    with pytest.warns(AccuracyWarning):
        slope = gradient(f, x, full_output=True)
    assert slope.error[corner] >= jump
    assert not slope.resolved[corner]
