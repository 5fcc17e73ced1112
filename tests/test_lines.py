"""Curvature and products where users stand, right or loud: next to zero, at optima, kinks, walls, bounds, by chance."""

import ctypes
import mmap
import warnings
import zlib

import numpy as np
import pytest
from scipy.optimize import Bounds

import hessfast
from hessfast import CurvatureStatus, HessianOperator, HessianStatus, TaylorModel, curvature, hvp
from hessfast.alarms import AccuracyWarning
from hessfast.algebra.vectors import octaves
from hessfast.scale import gaps


def sum_cosh(x):
    with np.errstate(all="ignore"):
        return np.cosh(x).sum()


ROUTES = {
    "curvature of f": lambda x, v: curvature(sum_cosh, x, v).value,
    "curvature of its gradient": lambda x, v: curvature(None, x, v, jac=np.sinh).value,
    "hvp 1": lambda x, v: v @ hvp(None, x, v, jac=np.sinh, order=1),
    "hvp 2": lambda x, v: v @ hvp(None, x, v, jac=np.sinh, order=2),
    "hvp 4": lambda x, v: v @ hvp(None, x, v, jac=np.sinh),
    "hvp of f": lambda x, v: v @ hvp(sum_cosh, x, v),
    "operator 1": lambda x, v: v @ (HessianOperator(None, x, jac=np.sinh, order=1) @ v),
    "operator 2": lambda x, v: v @ (HessianOperator(None, x, jac=np.sinh) @ v),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("tiny", [1e-6, 1e-9, 1e-15, 1e-30, 1e-160, 1e-300, 5e-324, 0.0])
def test_coordinates_next_to_zero(route, tiny):
    for x, v in (
        (np.array([tiny, 0.5]), np.array([1.0, 0.0])),
        (np.array([tiny, 0.5, -tiny]), np.array([1.0, 0.3, -2.0])),
        (np.array([tiny, 0.7 * tiny]), np.array([1.0, 2.0])),
    ):
        exact = v @ (np.cosh(x) * v)
        assert ROUTES[route](x, v) == pytest.approx(exact, rel=2e-6 if "1" in route else 1e-7)


@pytest.mark.parametrize("small", [1e-3, 1e-6, 1e-9])
def test_small_sizes_that_are_meant(small):
    """x log x at its equilibrium: H_ii = 1 / x_i."""
    x = np.array([small, 0.3, 1.0])
    jac = lambda z: np.log(z) - np.log(x)  # noqa: E731
    for v in np.eye(3):
        exact = v @ (v / x)
        assert curvature(None, x, v, jac=jac).value == pytest.approx(exact, rel=1e-8)
        assert v @ hvp(None, x, v, jac=jac) == pytest.approx(exact, rel=1e-8)


def test_sizes_without_gaps_cost_nothing():
    x, v = np.linspace(0.01, 1.0, 50), np.ones(50)
    spent = curvature(None, x, v, jac=np.sinh).njev
    with_zeros = curvature(None, np.where(x < 0.1, 0.0, x), v, jac=np.sinh).njev
    assert spent == with_zeros <= 12


def test_octaves_tell_gaps():
    assert octaves(np.array([0.0, -1.0, 1.5, 5e-324])) == ([-1021, 1], True)
    assert octaves(np.array([0.75], dtype=np.float32)) == ([0], False)
    assert gaps([1, 2, 9], False) == gaps([0, 14], True) == []
    assert gaps([-40, 1], False) == [(-40, 1)]
    assert gaps([-20], False) == [(-20, 1)]
    assert gaps([20], True)[0][1] == 20


def test_the_caller_knows_the_sizes():
    wide = lambda z: np.sin(z / 1e6) * 1e6  # noqa: E731
    exact = np.cos(1e-6)
    found = curvature(None, [1.0], [1.0], jac=wide, x_scale=1e6)
    assert abs(found.value - exact) <= max(found.error, 1e-12)
    assert hvp(None, [1.0], [1.0], jac=wide, x_scale=[1e6])[0] == pytest.approx(exact, rel=1e-12)
    for call in (curvature, hvp):
        with pytest.raises(ValueError, match="x_scale: must be finite and positive"):
            call(None, [1.0], [1.0], jac=wide, x_scale=0.0)


def test_an_operator_keeps_the_sizes_when_x_moves():
    x = np.array([1e-17, 0.5, 1.0])
    operator = HessianOperator(None, x, jac=np.sinh, order=1)
    operator @ np.ones(3)
    spent = operator.njev
    moved = x * [30.0, 1.1, 0.9]
    assert operator.hessp(moved, np.ones(3)) == pytest.approx(np.cosh(moved), rel=1e-6)
    assert operator.njev == spent + 3  # g there, one step, and a look back


OPTIMA = {
    "resonance": (lambda x: 1.0 - 0.8 * np.exp(-(((x[0] - 300.0) / 4.0) ** 2) / 2.0), [300.0], 0.05),
    "rare success": (lambda x: -(99.0 * np.log(x[0]) + np.log(1.0 - x[0])), [0.99], 10101.0101),
    "wells": (lambda x: 10.0 + np.log(np.cosh((x[0] - 1.0) / 0.03)), [1.0], 1.0 / 0.03**2),
    "cosine": (lambda x: 3.0 - np.cos(2.0 * np.pi * (x[0] - 100.0) / 3.5), [100.0], (2.0 * np.pi / 3.5) ** 2),
}


@pytest.mark.parametrize("name", OPTIMA)
def test_noise_is_not_f_own_change_at_an_optimum(name):
    fun, x, exact = OPTIMA[name]
    found = curvature(fun, x, [1.0])
    assert found.value == pytest.approx(exact, rel=1e-6)
    assert abs(found.value - exact) <= found.error + 1e-8 * exact
    assert found.success


@pytest.mark.parametrize("noise", [1e-4, 1e-8])
def test_bars_of_noisy_values_hold(noise):
    inside, rng = 0, np.random.default_rng(5)
    for seed in range(40):

        def rough(x, seed=seed):
            error = np.random.default_rng([seed, zlib.crc32(x.tobytes())]).standard_normal()
            return np.cosh(x).sum() * (1.0 + noise * error)

        x, v = rng.uniform(0.5, 1.5, 3), rng.standard_normal(3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = curvature(rough, x, v)
        inside += abs(found.value - v @ (np.cosh(x) * v)) <= found.error
    assert inside >= 38


def huber(threshold):
    def jac(x):
        return np.clip(x, -threshold, threshold)

    return jac


@pytest.mark.parametrize("order", [2, 4])
@pytest.mark.parametrize("distance", [1e-1, 1e-2, 1e-3, 1e-4])
def test_kink_nearby(order, distance):
    """Beyond the kink of the first coordinate its gradient is constant."""
    x, v = np.array([1.0 - distance, 0.3, -0.2]), np.array([1.0, 0.5, 2.0])
    found = hvp(None, x, v, jac=huber(1.0), order=order, full_output=True)
    assert np.linalg.norm(found.value - v) <= found.error
    assert found.value == pytest.approx(v, rel=1e-5)
    assert found.status is HessianStatus.COMPLETE


def test_every_column_of_hvp_is_looked_at():
    x = np.array([1.0 - 1e-4, 0.3])
    V = np.array([[0.0, 1.0], [1.0, 0.2]])
    assert hvp(None, x, V, jac=huber(1.0)) == pytest.approx(V, rel=1e-5)
    bars = hvp(None, x, V, jac=huber(1.0), full_output=True).error
    assert bars.shape == (2,)
    assert (bars < 1e-3).all()


def test_on_a_kink_nothing_is_known():
    for order in (1, 2, 4):
        with pytest.warns(AccuracyWarning, match="error bar"):
            found = hvp(
                None,
                [1.0, 2.0],
                [1.0, 0.0],
                jac=lambda x: np.where(x > 1.0, 7.0, -3.0) + x,
                order=order,
                full_output=True,
            )
        assert found.status is HessianStatus.UNRESOLVED
        assert not found.success


def test_an_operator_warns_once_at_each_x():
    operator = HessianOperator(None, [1.0, 2.0], jac=lambda x: np.where(x > 1.0, 7.0, -3.0) + x)
    with pytest.warns(AccuracyWarning, match="HessianOperator") as said:
        operator @ np.array([[1.0, 1.0], [0.0, 0.1]])
    assert len(said) == 1
    assert operator.status is HessianStatus.UNRESOLVED
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert operator.hessp([1.5, 2.5], np.ones(2)) == pytest.approx(np.ones(2), rel=1e-8)
    assert operator.success


@pytest.mark.parametrize("penalty", [1e3, 1e10, 1e20, np.inf, np.nan])
@pytest.mark.parametrize("distance", [1e-1, 1e-3, 1e-5])
def test_wall_nearby(penalty, distance):
    x, v = np.array([1.0, 0.5]), np.array([1.0, -0.7])
    exact = v @ (np.exp(x) * v)

    def fun(z):
        return np.exp(z).sum() + (penalty if z[0] > 1.0 + distance else 0.0)

    def jac(z):
        return np.exp(z) + (penalty if z[0] > 1.0 + distance else 0.0)

    found = curvature(fun, x, v)
    assert abs(found.value - exact) <= found.error
    assert found.value == pytest.approx(exact, rel=max(1e-6, 1e-13 / distance**2))
    found = curvature(None, x, v, jac=jac)
    assert abs(found.value - exact) <= found.error
    assert found.value == pytest.approx(exact, rel=1e-7)
    assert hvp(None, x, v, jac=jac) == pytest.approx(np.exp(x) * v, rel=1e-6)


def test_narrow_peak_far_from_zero():
    x = np.array([9e9 + 7.0])
    g = lambda z: (z - 9e9) / 30.0**2 * np.exp(-(((z - 9e9) / 30.0) ** 2) / 2.0)  # noqa: E731
    u = 7.0 / 30.0
    exact = (1.0 - u * u) * np.exp(-u * u / 2.0) / 900.0
    found = curvature(None, x, [1.0], jac=g)
    assert abs(found.value - exact) <= found.error
    assert found.value == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("gradient", [False, True])
def test_right_zeros_are_known(gradient):
    c = np.array([1.0, -2.0, 3.0])
    for fun, jac, v in (
        (lambda x: c @ x, lambda x: c.copy(), np.ones(3)),
        (lambda x: 1e6 + c @ x, lambda x: c.copy(), np.ones(3)),
        (lambda x: 5.0, lambda x: np.zeros(3), np.ones(3)),
        (lambda x: x[0] * x[1] + x[2], lambda x: np.array([x[1], x[0], 1.0]), np.array([1.0, 0.0, 0.0])),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = curvature(fun, [1.0, 2.0, 3.0], v, jac=jac if gradient else None)
            hvp(None, [1.0, 2.0, 3.0], v, jac=jac)
        assert found.success
        assert found.resolved
        assert abs(found.value) <= found.error


def test_what_is_not_known_is_said():
    rough = lambda x: float(np.sum(x**2) + 1e4 * np.sin(1e12 * x[0]))  # noqa: E731
    with pytest.warns(AccuracyWarning, match="the value .* is not known"):
        found = curvature(rough, [1.0, 2.0], [1.0, 1.0])
    assert not found.success
    assert not found.resolved
    with pytest.warns(AccuracyWarning, match="in 1 of 2 directions"):
        batch = curvature(None, [1.0, 2.0], np.eye(2), jac=lambda x: np.where([True, x[0] == 1.0], x, np.nan))
    assert batch.resolved.tolist() == [False, True]


def with_chance(size, seed=3):
    rng = np.random.default_rng(seed)
    return lambda: size * rng.standard_normal()


@pytest.mark.parametrize("size", [1e-8, 1e-3])
def test_answers_by_chance_are_treated_as_noise(size):
    inside = 0
    for seed in range(20):
        draw = with_chance(size, seed)
        x, v = np.array([0.5, 1.0]), np.array([1.0, 0.4])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = curvature(lambda z, draw=draw: np.cosh(z).sum() * (1.0 + draw()), x, v)
            inside += abs(found.value - v @ (np.cosh(x) * v)) <= found.error
            found = curvature(None, x, v, jac=lambda z, draw=draw: np.sinh(z) * (1.0 + draw()))
            inside += abs(found.value - v @ (np.cosh(x) * v)) <= found.error
            found = hvp(None, x, v, jac=lambda z, draw=draw: np.sinh(z) * (1.0 + draw()), full_output=True)
            inside += np.linalg.norm(found.value - np.cosh(x) * v) <= found.error
    assert inside >= 57


def test_chance_beyond_the_declared_noise_is_named():
    draw = with_chance(1e-3)
    with pytest.warns(AccuracyWarning, match="answers differently"):
        found = curvature(lambda z: np.cosh(z).sum() + draw(), [0.5, 1.0], [1.0, 0.4], noise=1e-9)
    assert found.status is CurvatureStatus.RANDOM
    assert not found.success


def test_drift_is_named():
    calls = []

    def drifting(x):
        calls.append(1)
        return np.cosh(x).sum() + 1e-6 * len(calls)

    with pytest.warns(AccuracyWarning, match="answers differently"):
        assert curvature(drifting, [0.5, 1.0], [1.0, 0.4]).status is CurvatureStatus.RANDOM


BOX = Bounds([0.2, -1.0], [1.0, 0.7])


def guarded(function, seen):
    def inside(x):
        seen.append(x.copy())
        assert (BOX.lb <= x).all()
        assert (x <= BOX.ub).all()
        return function(x)

    return inside


@pytest.mark.parametrize("distance", [0.3, 1e-3, 1e-7, 0.0])
def test_no_point_leaves_the_bounds(distance):
    x, v, seen = np.array([1.0 - distance, 0.1]), np.array([1.0, 0.3]), []
    fun, jac = guarded(sum_cosh, seen), guarded(np.sinh, seen)
    exact = v @ (np.cosh(x) * v)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [curvature(fun, x, v, bounds=BOX), curvature(None, x, v, jac=jac, bounds=BOX)]
        products = [hvp(None, x, v, jac=jac, bounds=BOX, order=k, full_output=True) for k in (1, 2, 4)]
        products.append(hvp(fun, x, v, bounds=BOX, full_output=True))
    assert seen
    for result in found:
        assert not result.success or abs(result.value - exact) <= result.error
    for result in products:
        assert not result.success or np.linalg.norm(result.value - np.cosh(x) * v) <= result.error
    if distance >= 1e-3:
        assert all(result.success for result in (*found, *products[:3]))


def test_given_step_may_not_leave_the_bounds():
    for call in (curvature, hvp):
        with pytest.raises(ValueError, match=r"abs_step: points .*leave the bounds"):
            call(None, [0.9, 0.1], [1.0, 0.0], jac=np.sinh, abs_step=0.2, order=2, bounds=BOX)


def test_exceptions_may_count_as_a_wall():
    def jac(x):
        if x[0] > 1.001:
            raise ZeroDivisionError("beyond")
        return np.exp(x)

    x, v = np.array([1.0, 0.5]), np.array([1.0, -0.7])
    with pytest.raises(ZeroDivisionError):
        curvature(None, x, v, jac=jac)
    assert curvature(None, x, v, jac=jac, on_error=ZeroDivisionError).value == pytest.approx(
        v @ (np.exp(x) * v), rel=1e-9
    )
    assert hvp(None, x, v, jac=jac, on_error=(ZeroDivisionError,)) == pytest.approx(np.exp(x) * v, rel=1e-8)


def test_taylor_model_without_a_matrix_takes_bounds_and_walls():
    seen = []
    model = TaylorModel.fit(
        guarded(sum_cosh, seen),
        [0.9, 0.1],
        jac=guarded(np.sinh, seen),
        dense=False,
        bounds=BOX,
        on_error=ArithmeticError,
    )
    g = np.sinh([0.9, 0.1])
    assert model.along(0.0) == pytest.approx(np.cosh([0.9, 0.1]).sum())
    assert 2.0 * model.terms(1.0).curvature == pytest.approx(g @ (np.cosh([0.9, 0.1]) * g), rel=1e-9)


@pytest.mark.parametrize("buffers", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["ctypes", "mmap", "memoryview", "dlpack"])
def test_gradients_in_foreign_memory_used_in_turn(kind, buffers):
    n = 40
    if kind == "ctypes":
        own = [np.ctypeslib.as_array((ctypes.c_double * n)()) for _ in range(buffers)]
    elif kind == "mmap":
        own = [np.frombuffer(mmap.mmap(-1, 8 * n), dtype=np.float64) for _ in range(buffers)]
    elif kind == "memoryview":
        own = [np.frombuffer(memoryview(bytearray(8 * n)), dtype=np.float64) for _ in range(buffers)]
    else:
        own = [np.empty(n) for _ in range(buffers)]
    turn = []

    def jac(x):
        g = own[len(turn) % buffers]
        turn.append(1)
        g[:] = np.sinh(x)
        return np.from_dlpack(g) if kind == "dlpack" else np.asarray(memoryview(g)) if kind == "memoryview" else g[:]

    x, v = np.linspace(0.5, 1.5, n), np.linspace(1.0, 2.0, n)
    if kind == "dlpack":
        x = x.copy()
    assert hvp(None, x, v, jac=jac) == pytest.approx(np.cosh(x) * v, rel=1e-9)
    assert curvature(None, x, v, jac=jac).value == pytest.approx(v @ (np.cosh(x) * v), rel=1e-10)


@pytest.mark.parametrize("x", [1e160, 1e200, 1e300, 1.7e308])
@pytest.mark.parametrize("v", [5e-324, 1e-310, 1e-200, 1.0, 1e200, 1e308])
def test_numbers_at_the_ends_of_the_range(x, v):
    length = x / 2.0
    jac = lambda z: z / length / length  # noqa: E731
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("ignore")
        for direction in ([v, 0.0], [v, -v], [0.0, 0.0]):
            bend = curvature(None, [x, 1.0], direction, jac=jac)
            assert bend.value == 0.0 if not any(direction) else bend.njev > 0
            for order in (1, 2, 4):
                product = hvp(None, [x, 1.0], direction, jac=jac, order=order)
                assert product.shape == (2,)
                assert product[1] == 0.0 or direction[1] != 0.0


def test_stop_iteration_in_f_comes_out_as_itself():
    def fun(x):
        raise StopIteration("enough")

    with pytest.raises(StopIteration, match="enough"):
        curvature(fun, [1.0], [1.0])
    with pytest.raises(StopIteration, match="enough"):
        hvp(None, [1.0], [1.0], jac=fun)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"noise": "a"}, TypeError, "noise: must be real numbers"),
        ({"workers": 1.5}, TypeError, "workers: must be an integer"),
        ({"order": np.array([4])}, ValueError, "order: must be one of"),
        ({"kwargs": 5}, TypeError, "kwargs: must be a mapping"),
        ({"vectorized": "yes"}, TypeError, "vectorized: must be True or False"),
        ({"bounds": ([2.0, 0.0], [3.0, 3.0])}, ValueError, "bounds: x0\\[0\\]"),
        ({"on_error": 3}, TypeError, "on_error"),
        ({"x_scale": [1.0]}, ValueError, "x_scale: a scalar or shape"),
        ({"x0": np.ma.masked_array([1.0, 2.0], [False, True])}, TypeError, "x0 is a masked array"),
        ({"v": np.ma.masked_array([1.0, 2.0], [False, True])}, TypeError, "v is a masked array"),
    ],
)
def test_bad_input_is_named(arguments, error, message):
    call = {"x0": [1.0, 2.0], "v": [1.0, 0.0]} | arguments
    for function in (curvature, hvp):
        if function is hvp and "noise" in arguments:
            continue
        with pytest.raises(error, match=message):
            function(None, **call, jac=np.sinh)


def test_warning_points_at_the_caller():
    with pytest.warns(hessfast.alarms.AccuracyWarning) as said:
        curvature(None, [1.0, 2.0], [1.0, 0.0], jac=lambda x: np.full(2, np.nan))
    assert said[0].filename == __file__


def in_single_precision(seed, size):
    """Return a logistic loss's gradient in float32, x, g and Hg in float64."""
    rng = np.random.default_rng(seed)
    inputs, x = rng.standard_normal((300, 20)), size * rng.standard_normal(20)
    labels = np.where(rng.random(300) < 0.5, 1.0, -1.0)
    single, signs = inputs.astype(np.float32), labels.astype(np.float32)

    def gradient(w):
        tilt = np.tanh(np.float32(0.5) * (single @ w.astype(np.float32)))
        return single.T @ (tilt - signs) / np.float32(300.0)

    tilt = np.tanh(0.5 * (inputs @ x))
    g = inputs.T @ (tilt - labels) / 300.0
    return gradient, x, g, inputs.T @ (0.5 * (1.0 - tilt**2) * (inputs @ g)) / 300.0


@pytest.mark.parametrize("size", [0.3, 1e-3])
def test_gradients_in_single_precision_stand_still_over_short_steps(size):
    for seed in range(12):
        gradient, x, g, product = in_single_precision(seed, size)
        along = curvature(None, x, g, jac=gradient)
        assert abs(along.value - g @ product) <= max(along.error, 0.02 * (g @ product))
        found = hvp(None, x, g, jac=gradient, full_output=True)
        assert np.linalg.norm(found.value - product) <= max(found.error, 0.02 * np.linalg.norm(product))
        assert along.status.name == "POSITIVE"


@pytest.mark.parametrize("direction", [[1.0, 1.0], [1.0, 0.0], [-0.3, 2.0]])
@pytest.mark.parametrize("slope", [1e-3, 1.0, 1e3])
def test_curvature_on_a_kink_is_not_known(slope, direction):
    def f(x):
        return slope * abs(x[0] - 1.0) + x @ x

    with pytest.warns(AccuracyWarning, match="is not known"):
        assert not curvature(f, [1.0, 2.0], direction).success


@pytest.mark.parametrize("seed", range(8))
def test_directions_through_unlike_units(seed):
    """A sum of squares about a line of unlike coordinates: an amplitude, a position far from 0 and its narrow width."""
    rng = np.random.default_rng([2612, seed])
    position = 10 ** rng.uniform(2, 10)
    lengths = np.array([1.0, position * 10 ** rng.uniform(-9, -2), 1.0]) * 10 ** rng.uniform(
        [-2, 0, -3], [3, 0.0001, 3]
    )
    x = np.array([lengths[0], position, lengths[2]])
    mixed = rng.standard_normal((3, 3))

    def slope(z):
        return mixed.T @ np.tanh(mixed @ ((z - x) / lengths) - 0.1) / lengths

    def f(z):
        return np.log(np.cosh(mixed @ ((z - x) / lengths) - 0.1)).sum()

    H = mixed.T @ np.diag(1 / np.cosh(0.1) ** 2 * np.ones(3)) @ mixed / np.outer(lengths, lengths)
    v = rng.standard_normal(3) * lengths
    exact = H @ v * lengths
    size = np.linalg.norm(exact)
    along = curvature(None, x, v, jac=slope)
    assert abs(along.value - v @ H @ v) <= 3 * along.error
    assert along.error <= 0.1 * size
    assert abs(curvature(f, x, v).value - v @ H @ v) <= 1e-3 * size
    for order in (2, 4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)
            result = hvp(None, x, v, jac=slope, order=order, full_output=True)
        assert np.linalg.norm((result.value - H @ v) * lengths) <= 3 * result.error * lengths.max()
        assert not result.success or np.linalg.norm(result.value * lengths - exact) <= 0.1 * size
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        product = HessianOperator(None, x, jac=slope) @ v
    assert said or np.linalg.norm(product * lengths - exact) <= 0.1 * size
