"""Curvature without a matrix: accuracy, bars, counts, memory, storage, and functions that misbehave."""

import math
import tracemalloc
import warnings

import callbacks
import numpy as np
import pytest
from numba import njit
from problems.states import draw

from hessfast import AccuracyWarning, CurvatureStatus, curvature, hessian, optimal_step

N = 400


class Logistic:
    """f = Σ log(1 + exp(a_i x_i)) + coupling of neighbours: H is tridiagonal and known."""

    def __init__(self, n=N, seed=0):
        rng = np.random.default_rng(seed)
        self.a = np.exp(0.3 * rng.standard_normal(n))
        self.x = rng.standard_normal(n)
        self.rng = rng

    def fun(self, x):
        return np.sum(np.logaddexp(0.0, self.a * x)) + 0.05 * np.sum(x[1:] * x[:-1])

    def jac(self, x):
        g = self.a / (1.0 + np.exp(-self.a * x))
        g[1:] += 0.05 * x[:-1]
        g[:-1] += 0.05 * x[1:]
        return g

    def product(self, v):
        s = 1.0 / (1.0 + np.exp(-self.a.astype(np.longdouble) * self.x))
        out = self.a**2 * s * (1 - s) * v
        out[1:] += 0.05 * v[:-1]
        out[:-1] += 0.05 * v[1:]
        return out

    def exact(self, v):
        return float(v @ self.product(v))

    def direction(self):
        return self.rng.standard_normal(self.x.size)


def relative_error(result, exact):
    return abs(result.value - exact) / abs(exact)


def test_from_values():
    f = Logistic()
    v = f.direction()
    result = curvature(f.fun, f.x, v)
    assert relative_error(result, f.exact(v)) <= 1e-10
    assert abs(result.value - f.exact(v)) <= result.error
    assert result.status is CurvatureStatus.POSITIVE
    assert 0 < result.nfev <= 27
    assert result.njev == 0


def test_from_gradients():
    f = Logistic()
    v = f.direction()
    result = curvature(None, f.x, v, jac=f.jac)
    assert relative_error(result, f.exact(v)) <= 1e-12
    assert abs(result.value - f.exact(v)) <= result.error
    assert result.nfev == 0
    assert 0 < result.njev <= 12


def test_values_and_gradient_in_one():
    f = Logistic()
    v = f.direction()
    both = curvature(lambda x: (f.fun(x), f.jac(x)), f.x, v, jac=True)
    assert both.value == curvature(None, f.x, v, jac=f.jac).value


@pytest.mark.parametrize(
    ("order", "level", "nfev", "tolerance"), [(2, -13, 3, 1e-6), (4, -9, 5, 1e-8), (6, -7, 7, 1e-9)]
)
def test_cheap_mode_from_values_counts_exactly(order, level, nfev, tolerance):
    f = Logistic()
    v = f.direction()
    result = curvature(f.fun, f.x, v, order=order, rel_step=2.0**level)
    assert result.nfev == nfev
    assert relative_error(result, f.exact(v)) <= tolerance


@pytest.mark.parametrize(
    ("order", "level", "njev", "tolerance"), [(1, -26, 2, 1e-6), (2, -17, 2, 1e-8), (4, -10, 4, 1e-10)]
)
def test_cheap_mode_from_gradients_counts_exactly(order, level, njev, tolerance):
    f = Logistic()
    v = f.direction()
    result = curvature(None, f.x, v, jac=f.jac, order=order, rel_step=2.0**level)
    assert result.njev == njev
    assert relative_error(result, f.exact(v)) <= tolerance


def test_one_given_step_claims_no_error_bar():
    f = Logistic()
    result = curvature(f.fun, f.x, f.direction(), order=2, abs_step=1e-4)
    assert math.isnan(result.error)
    assert result.status is CurvatureStatus.UNVERIFIED
    assert result.step == 1e-4


def test_two_given_levels_bound_their_error():
    f = Logistic()
    for _ in range(20):
        v = f.direction()
        result = curvature(None, f.x, v, jac=f.jac, order=4, rel_step=2.0**-8)
        assert abs(result.value - f.exact(v)) <= result.error


def test_found_step_repeats_the_value_to_rounding():
    f = Logistic()
    v = f.direction()
    found = curvature(None, f.x, v, jac=f.jac)
    given = curvature(None, f.x, v, jac=f.jac, order=6, abs_step=found.step)
    assert given.value == pytest.approx(found.value, rel=1e-14)


@pytest.mark.parametrize("gradient", [False, True])
def test_rows_are_directions(gradient):
    f = Logistic(50)
    V = np.stack([f.direction() for _ in range(4)])
    V[2] = 0.0
    options = {"jac": f.jac} if gradient else {}
    batch = curvature(f.fun, f.x, V, **options)
    singles = [curvature(f.fun, f.x, v, **options) for v in V]
    assert np.array_equal(batch.value, [single.value for single in singles])
    assert np.array_equal(batch.error, [single.error for single in singles])
    assert list(batch.status) == [single.status for single in singles]
    assert batch.njev == sum(single.njev for single in singles)
    # f(x0) is evaluated once for all; the direction 0 costs nothing on its own.
    assert batch.nfev == (0 if gradient else sum(single.nfev for single in singles) - 2)
    assert batch.value[2] == batch.error[2] == 0.0
    assert batch.message == "3 positive, 1 unresolved"
    with pytest.raises(TypeError, match="4 curvatures"):
        float(batch)


@pytest.mark.parametrize("gradient", [False, True])
def test_bars_hold_on_many_directions(gradient):
    inside = total = 0
    for seed in range(10):
        f = Logistic(60, seed)
        V = np.stack([f.direction() for _ in range(20)])
        result = curvature(f.fun, f.x, V, jac=f.jac if gradient else None)
        exact = np.array([f.exact(v) for v in V])
        inside += int(np.count_nonzero(np.abs(result.value - exact) <= result.error))
        total += len(V)
    assert inside >= 0.99 * total


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("scale", [1e-100, 1e-3, 1.0, 1e100])
def test_quadratic_in_the_length_of_v(gradient, scale):
    f = Logistic(50)
    v = f.direction()
    result = curvature(f.fun, f.x, scale * v, jac=f.jac if gradient else None)
    assert result.value / scale / scale == pytest.approx(f.exact(v), rel=1e-9)


@pytest.mark.parametrize("gradient", [False, True])
def test_coordinates_of_unlike_size(gradient):
    lengths = 10.0 ** np.linspace(-8, 8, 17)
    x = 1.3 * lengths
    v = lengths.copy()
    fun, jac = (lambda x: np.sum(np.exp(x / lengths))), (lambda x: np.exp(x / lengths) / lengths)
    result = curvature(fun, x, v, jac=jac if gradient else None)
    assert result.value == pytest.approx(17 * math.exp(1.3), rel=1e-10)


def test_step_beyond_the_natural_length_is_noticed():
    x = np.full(5, 1.0)
    wave = 3000.0
    exact = -5 * wave**2 * math.sin(wave)
    result = curvature(lambda x: np.sum(np.sin(wave * x)), x, np.ones(5), jac=lambda x: wave * np.cos(wave * x))
    assert abs(result.value - exact) <= min(result.error, 1e-8 * abs(exact))
    values = curvature(lambda x: np.sum(np.sin(wave * x)), x, np.ones(5))
    assert abs(values.value - exact) <= min(values.error, 1e-4 * abs(exact))


@pytest.mark.parametrize("gradient", [False, True])
def test_polynomial_to_rounding(gradient):
    x = np.linspace(0.5, 2.0, 30)
    result = curvature(lambda x: np.sum(x**4), x, np.ones(30), jac=(lambda x: 4 * x**3) if gradient else None)
    assert result.value == pytest.approx(12 * np.sum(x**2), rel=1e-12 if gradient else 1e-11)


@pytest.mark.parametrize("gradient", [False, True])
def test_linear_function_has_no_resolved_sign(gradient):
    c = np.linspace(1.0, 2.0, 30)
    result = curvature(lambda x: c @ x, np.ones(30), c, jac=(lambda x: c.copy()) if gradient else None)
    assert result.status is CurvatureStatus.UNRESOLVED
    assert abs(result.value) <= result.error


@pytest.mark.parametrize("gradient", [False, True])
def test_saddle_signs(gradient):
    fun, jac = (lambda x: x[0] ** 2 - np.cosh(x[1])), (lambda x: np.array([2 * x[0], -np.sinh(x[1])]))
    result = curvature(fun, [0.3, 0.2], np.eye(2), jac=jac if gradient else None)
    assert list(result.status) == [CurvatureStatus.POSITIVE, CurvatureStatus.NEGATIVE]


def test_noisy_values_widen_the_bar():
    f = Logistic(50)
    v = f.direction()

    def rough(x):
        return float(np.float32(f.fun(x)))

    result = curvature(rough, f.x, v)
    assert abs(result.value - f.exact(v)) <= result.error
    assert result.error > 1e3 * curvature(f.fun, f.x, v).error


def test_noise_given_is_not_measured():
    f = Logistic(50)
    v = f.direction()
    assert curvature(f.fun, f.x, v, noise=1e-14).nfev <= curvature(f.fun, f.x, v).nfev - 6


def test_nowhere_finite_says_so():
    with pytest.warns(RuntimeWarning, match="not finite"):
        result = curvature(None, [1.0, 2.0], [1.0, 0.0], jac=lambda x: np.full(2, np.nan))
    assert result.status is CurvatureStatus.NOT_FINITE
    assert math.isnan(result.value)
    with pytest.raises(ValueError, match="fun: is nan at x0"):
        curvature(lambda x: np.nan, [1.0], [1.0])


def test_wall_nearby_shortens_the_step():
    x = np.array([1e-4, 1.0])
    result = curvature(None, x, [1.0, 1.0], jac=lambda x: np.where(x > 0, np.log(np.abs(x)), np.nan))
    assert result.value == pytest.approx(1e4 + 1.0, rel=1e-8)


def test_exception_comes_out_with_the_point():
    def fun(x):
        raise ZeroDivisionError("in f")

    with pytest.raises(ZeroDivisionError, match="in f") as caught:
        curvature(fun, [1.0, 2.0], [1.0, 0.0])
    assert "evaluation 0" in caught.value.__notes__[0]


def test_f_may_keep_and_spoil_its_argument():
    f = Logistic(50)
    v = f.direction()
    kept = []

    def keeps(x):
        kept.append(x[::2])
        return f.jac(x)

    def spoils(x):
        g = f.jac(x)
        x[:] = np.nan
        return g

    expected = curvature(None, f.x, v, jac=f.jac).value
    assert curvature(None, f.x, v, jac=keeps).value == expected
    assert curvature(None, f.x, v, jac=spoils).value == expected
    assert len({tuple(point) for point in kept}) == len(kept)


def test_gradient_may_return_the_same_array_each_time_or_its_argument():
    f = Logistic(50)
    v = f.direction()
    own = np.empty(50)

    def refills(x):
        own[:] = f.jac(x)
        return own

    def refills_through_a_view(x):
        own[:] = f.jac(x)
        return own[:]

    expected = curvature(None, f.x, v, jac=f.jac).value
    assert curvature(None, f.x, v, jac=refills).value == expected
    assert curvature(None, f.x, v, jac=refills_through_a_view).value == expected
    assert curvature(None, f.x, v, jac=lambda x: x).value == pytest.approx(v @ v, rel=1e-14)


def test_gradient_in_memory_that_is_not_numpys():
    f = Logistic(50)
    v = f.direction()
    memory = bytearray(8 * 50)

    def refills(x):
        view = np.frombuffer(memory, dtype=np.float64)
        view[:] = f.jac(x)
        return view

    def fresh(x):
        view = np.frombuffer(bytearray(8 * 50), dtype=np.float64)
        view[:] = f.jac(x)
        return view

    expected = curvature(None, f.x, v, jac=f.jac).value
    assert curvature(None, f.x, v, jac=refills).value == expected
    assert curvature(None, f.x, v, jac=fresh).value == expected


@pytest.mark.parametrize("storage", ["float32", "memmap", "strided", "list"])
def test_storage_of_x_and_v(storage, tmp_path):
    f = Logistic(3000)
    x = f.x = f.x.astype(np.float32).astype(np.float64)
    v = f.direction().astype(np.float32).astype(np.float64)
    expected = curvature(None, x, v, jac=f.jac)
    if storage == "float32":
        pair = x.astype(np.float32), v.astype(np.float32)
    elif storage == "memmap":
        pair = tuple(np.memmap(tmp_path / name, np.float64, "w+", shape=x.shape) for name in "xv")
        pair[0][:], pair[1][:] = x, v
    elif storage == "strided":
        pair = np.repeat(x, 2)[::2], np.stack([v, v], axis=1)[:, 0]
    else:
        pair = x.tolist(), v.tolist()
    result = curvature(None, *pair, jac=f.jac)
    assert (result.value, result.error) == (expected.value, expected.error)


def test_single_precision_gradient_is_taken_as_noise():
    f = Logistic(3000)
    v = f.direction()
    result = curvature(None, f.x, v, jac=lambda x: f.jac(x).astype(np.float32))
    assert abs(result.value - f.exact(v)) <= result.error
    assert relative_error(result, f.exact(v)) <= 1e-5


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_threads_change_no_bit(workers):
    f = Logistic(300_000)
    v = f.direction()
    one = curvature(f.fun, f.x, v, jac=f.jac, order=4, rel_step=2.0**-10)
    other = curvature(f.fun, f.x, v, jac=f.jac, order=4, rel_step=2.0**-10, workers=workers)
    assert (one.value, one.error) == (other.value, other.error)


def native_lanes():
    library, shape = callbacks.library(), "double (int, double *, void *)"
    return {
        "ctypes": ({}, library.lse, library.lse_gradient),
        "capsule": ({}, callbacks.capsule(library.lse, shape), library.lse_gradient),
        "numba": ({}, njit(callbacks.log_sum_exp), njit(callbacks.gradient)),
        "batched": ({"vectorized": True}, callbacks.log_sum_exp_columns, callbacks.gradient_columns),
    }


@pytest.mark.parametrize("lane", ["ctypes", "capsule", "numba", "batched"])
def test_every_lane_sees_the_same_curvature(lane):
    options, fun, jac = native_lanes()[lane]
    x, v = callbacks.X0, np.linspace(-1.0, 2.0, callbacks.N)
    exact = v @ callbacks.exact_hessian(x) @ v
    values = curvature(fun, x, v, **options)
    gradients = curvature(None, x, v, jac=jac, **options)
    assert values.value == pytest.approx(exact, rel=1e-9)
    assert gradients.value == pytest.approx(exact, rel=1e-11)
    assert 0 < values.nfev <= 31
    assert 0 < gradients.njev <= 22


def test_numba_function_that_raises_comes_out_as_itself():
    @njit
    def gradient(x):
        if x[0] > 1.0:
            raise ZeroDivisionError("too far")
        return 2.0 * x

    with pytest.raises(ZeroDivisionError, match="too far"):
        curvature(None, [1.0, 2.0], [1.0, 0.0], jac=gradient)


def test_problems_with_exact_hessians():
    """Median, 95th percentile, coverage and cost on the noise-free problems; see bench/matrixfree.py."""
    from problems import problems

    rows, alarms = {"values": [], "gradients": []}, []
    for p in problems():
        if p.bounds is not None or p.noise > 0 or p.kind == "offset":
            continue
        rng = np.random.default_rng(1)
        for v in (rng.standard_normal(p.n), p.lengths * rng.standard_normal(p.n), p.grad):
            exact = float(v @ (p.hess.astype(np.longdouble) @ v))
            if not abs(exact) > 1e-6 * (np.abs(v) @ np.abs(p.hess) @ np.abs(v)):
                continue
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", AccuracyWarning)
                found = curvature(p.fun, p.x0, v), curvature(None, p.x0, v, jac=p.grad_fun)
            for name, result in zip(rows, found, strict=True):
                alarms.append(not result.success)
                error, bar = abs(result.value - exact) / abs(exact), result.error / abs(exact)
                rows[name].append((error, error <= bar, result.nfev + result.njev))
    for name, median, p95, calls in (("values", 1e-12, 1e-9, 34), ("gradients", 1e-13, 1e-10, 28)):
        error, inside, spent = np.array(rows[name]).T
        assert np.median(error) <= median
        assert np.percentile(error, 95) <= p95
        assert np.mean(inside) >= 0.99
        assert np.median(spent) <= 22
        assert np.percentile(spent, 95) <= calls
    assert np.mean(alarms) <= 0.005


def peak_vectors(call, n):
    """Peak memory of a call in vectors of n numbers."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (8 * n)


@pytest.mark.parametrize("gradient", [False, True])
def test_memory_is_one_vector_beside_what_f_allocates(gradient):
    n = 200_000
    x, v = np.linspace(-1, 1, n), np.linspace(1, 2, n)
    g = np.empty(n)
    if gradient:

        def jac(x):
            np.sinh(x, out=g)
            return g

        vectors = peak_vectors(lambda: curvature(None, x, v, jac=jac), n)
        assert vectors <= 3.2  # the point, and two gradients copied out of jac's own array
    else:
        vectors = peak_vectors(lambda: curvature(lambda x: float(x @ x), x, v), n)
        assert vectors <= 1.2


def test_step_length_without_a_matrix():
    f = Logistic(5000)
    g = f.jac(f.x)
    result = curvature(None, f.x, g, jac=f.jac)
    step = optimal_step(g, gHg=result.value, error=result.error)
    exact = float(g @ g) / f.exact(g)
    assert float(step) == pytest.approx(exact, rel=1e-12)
    assert step.interval[0] <= exact <= step.interval[1]


def test_agrees_with_the_dense_hessian():
    f = Logistic(12)
    H = hessian(f.fun, f.x)
    v = f.direction()
    assert curvature(f.fun, f.x, v).value == pytest.approx(v @ H @ v, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x0": [[1.0]]}, ValueError, "x0: must be one-dimensional"),
        ({"x0": []}, ValueError, "x0: must be one-dimensional"),
        ({"x0": [1.0, np.nan]}, ValueError, r"x0: must be finite, x0\[1\]"),
        ({"x0": [1.0, 1j]}, TypeError, "x0: must be real"),
        ({"v": [1.0, np.inf]}, ValueError, r"v: must be finite, v\[1\]"),
        ({"v": [1.0, 2.0, 3.0]}, ValueError, r"v: shape \(2,\) expected"),
        ({"v": np.ones((2, 3))}, ValueError, r"v: shape \(2,\) or \(k, 2\)"),
        ({"v": np.ones((0, 2))}, ValueError, r"v: shape \(2,\) or \(k, 2\)"),
        ({"order": 3}, ValueError, "order: must be one of"),
        ({"order": True}, ValueError, "order: must be one of"),
        ({"order": 1}, ValueError, "order: 1 is the forward difference"),
        ({"rel_step": 1e-3, "abs_step": 1e-3}, ValueError, "rel_step, abs_step: give one"),
        ({"rel_step": -1e-3}, ValueError, "rel_step: must be finite and positive"),
        ({"abs_step": "x"}, TypeError, "abs_step: must be a real number"),
        ({"noise": -1.0}, ValueError, "noise: must be finite"),
        ({"workers": 0}, ValueError, "workers: must be at least 1"),
        ({"fun": None}, TypeError, "fun: None needs a callable jac"),
        ({"jac": lambda x: x[:1]}, ValueError, "jac: must return the gradient"),
        ({"fun": lambda x: x}, ValueError, "fun: must return one real number"),
    ],
)
def test_bad_input_is_named(arguments, error, message):
    call = {"fun": lambda x: x @ x, "x0": [1.0, 2.0], "v": [1.0, 0.0]} | arguments
    with pytest.raises(error, match=message):
        curvature(call.pop("fun"), call.pop("x0"), call.pop("v"), **call)


@pytest.mark.parametrize("options", [{}, {"jac": np.exp}, {"jac": np.exp, "order": 2, "rel_step": 2.0**-12}])
def test_directions_of_any_length(options):
    x = np.array([0.5, 1.0, 2.0])
    v = np.array([1.0, 2.0, 3.0])
    exact = float(v @ (np.exp(x) * v))
    for exponent in (-500, -450, 450, 500):
        result = curvature(lambda x: np.exp(x).sum(), x, np.ldexp(v, exponent), **options)
        assert result.value == pytest.approx(np.ldexp(exact, 2 * exponent), rel=1e-6)
    with pytest.warns(RuntimeWarning, match="not finite"):
        assert curvature(lambda x: np.exp(x).sum(), x, np.ldexp(v, 660), **options).value == np.inf
    assert curvature(lambda x: np.exp(x).sum(), x, np.ldexp(v, -660), **options).value == 0.0


@pytest.mark.filterwarnings("ignore::hessfast.AccuracyWarning")
def test_roughness_is_said_whatever_the_length_of_the_direction():
    said = []
    for seed in range(12):
        s = draw("roughness", seed)
        v = np.random.default_rng(seed).standard_normal(s.x0.size) * np.maximum(np.abs(s.x0), 1e-3)
        for exponent in (0, 420, -420):
            s.restart()
            said.append(curvature(s.fun, s.x0, np.ldexp(v, exponent)).status)
    assert said[1::3] == said[2::3] == said[::3]
    assert CurvatureStatus.ROUGH in said
