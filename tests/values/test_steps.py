"""The step search: what it costs, what it finds, what it never does."""

from contextlib import suppress

import numpy as np
import pytest
from callbacks import X0, log_sum_exp
from problems import draw

from hessfast import AccuracyWarning, HessianStatus, hessian
from hessfast.scale import ORDINARY, unit_of
from hessfast.values.ladder import Axis, formula
from hessfast.values.noise import NoiseModel
from hessfast.values.search import advance
from hessfast.values.stencils import ORDERS


class Recorder:
    """A function that writes down every point bit for bit and refuses those outside its box."""

    def __init__(self, fun, lower=-np.inf, upper=np.inf):
        self.fun, self.lower, self.upper, self.points = fun, lower, upper, []

    def __call__(self, x):
        self.points.append(x.copy())
        assert (x >= self.lower).all() and (x <= self.upper).all()  # noqa: PT018
        return self.fun(x)


def curved(x):
    return float(np.exp(0.4 * x).sum() + np.log(3.0 + x @ x) + x[0] * x[1] * x[-1])


def curved_hessian(x):
    n = x.size
    s = 3.0 + x @ x
    H = np.diag(0.16 * np.exp(0.4 * x)) + 2.0 * np.eye(n) / s - 4.0 * np.outer(x, x) / s**2
    for i, j, k in ((0, 1, -1), (0, -1, 1), (1, -1, 0)):
        H[i, j] += x[k]
        H[j, i] += x[k]
    return H


@pytest.mark.parametrize("order", [*ORDERS, "auto"])
@pytest.mark.parametrize("n", [3, 7, 12])
def test_evaluations_are_counted_and_named(order, n):
    f = Recorder(curved)
    result = hessian(f, np.linspace(0.3, 1.7, n), order=order, full_output=True)
    assert result.nfev == len(f.points) == sum(result.evaluations)
    assert result.evaluations.pairs == result.order * n * (n - 1) // 2
    assert result.evaluations.noise == 6
    assert result.success


@pytest.mark.parametrize("order", ORDERS)
def test_result_repeats_bit_for_bit_from_its_steps(order):
    x = np.linspace(0.3, 1.7, 6)
    result = hessian(curved, x, order=order, full_output=True)
    again = hessian(curved, x, order=order, abs_step=result.step, full_output=True)
    assert again.nfev == 1 + again.step.size * len(formula(order, order == 1).nodes) + result.evaluations.pairs
    np.testing.assert_array_equal(again.jac, result.jac)
    if result.refined == 0:
        np.testing.assert_array_equal(again.hess, result.hess)
    else:
        np.testing.assert_array_equal(np.diag(again.hess), np.diag(result.hess))


def test_same_call_same_bits():
    first, second = (hessian(curved, np.linspace(0.3, 1.7, 9), full_output=True) for _ in range(2))
    np.testing.assert_array_equal(first.hess, second.hess)
    np.testing.assert_array_equal(first.hess_error, second.hess_error)


@pytest.mark.parametrize(("order", "error"), [(1, 1e-4), (2, 1e-6), (4, 1e-8), (6, 1e-9), (8, 1e-9)])
def test_accuracy_and_bars(order, error):
    x = np.linspace(0.3, 1.7, 8)
    result = hessian(curved, x, order=order, full_output=True)
    miss = np.abs(result.hess - curved_hessian(x))
    assert miss.max() <= error
    assert np.mean(miss <= result.hess_error) >= 0.95
    np.testing.assert_array_equal(result.hess_error, result.truncation_error + result.condition_error)
    np.testing.assert_array_equal(result.hess_error, result.hess_error.T)


def test_automatic_order_follows_the_noise():
    rng = np.random.default_rng(0)
    assert hessian(log_sum_exp, X0, order="auto", full_output=True).order == 6
    noisy = hessian(lambda x: log_sum_exp(x) + 1e-9 * rng.standard_normal(), X0, order="auto", full_output=True)
    assert noisy.order == 4


def test_batched_axis_phase_takes_few_rounds():
    rounds = []

    def f(X):
        rounds.append(X.shape[1])
        return np.exp(0.4 * X).sum(axis=0) + np.log(3.0 + (X * X).sum(axis=0))

    result = hessian(f, np.linspace(0.3, 1.7, 30), vectorized=True, full_output=True)
    assert result.nfev == sum(rounds)
    assert len(rounds) <= 60


SIDES = {"on": 0.0, "one ulp from": None, "1e-12 from": 1e-12, "1e-6 from": 1e-6}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("distance", SIDES)
@pytest.mark.parametrize("corner", ["lower", "upper", "mixed", "one"])
def test_no_point_leaves_the_box(order, distance, corner):
    n = 4
    x = np.array([0.7, 1.3, -0.4, 0.9])
    side = {"lower": [-1] * n, "upper": [1] * n, "mixed": [-1, 1, -1, 1], "one": [0, 0, 1, 0]}[corner]
    lower, upper = np.full(n, -5.0), np.full(n, 5.0)
    for i, s in enumerate(side):
        edge = x[i] + s * (SIDES[distance] or 0.0)
        if SIDES[distance] is None:
            edge = np.nextafter(x[i], s * np.inf)
        if s < 0:
            lower[i] = edge
        elif s > 0:
            upper[i] = edge
    f = Recorder(curved, lower, upper)
    result = hessian(f, x, order=order, bounds=(lower, upper), full_output=True)
    assert result.nfev == len(f.points)
    exact = curved_hessian(x)
    miss = np.abs(result.hess - exact) / np.maximum(np.abs(exact), 1e-3 * np.abs(exact).max())
    assert miss.max() <= {1: 5e-2, 2: 1e-3}.get(order, 1e-5)
    assert result.one_sided[np.flatnonzero(side)].all()
    again = hessian(f, x, order=order, bounds=(lower, upper), abs_step=result.step, full_output=True)
    np.testing.assert_array_equal(again.one_sided, result.one_sided)
    if result.refined == 0:
        np.testing.assert_array_equal(again.hess, result.hess)


@pytest.mark.filterwarnings("ignore::hessfast.AccuracyWarning")
@pytest.mark.parametrize("width", [1e-3, 1e-6, 1e-9])
def test_narrow_box(width):
    x = np.array([1.0, 2.0, 3.0])
    f = Recorder(curved, x - width, x + 0.3 * width)
    result = hessian(f, x, bounds=(f.lower, f.upper), full_output=True)
    miss = np.abs(result.hess - curved_hessian(x))
    assert (miss <= result.hess_error).all()
    assert result.success == (width == 1e-3)  # changes of f over less drown in its rounding


def test_box_without_room():
    with pytest.raises(ValueError, match=r"x0\[1\].*mask"):
        hessian(curved, [1.0, 2.0, 3.0], bounds=([0.0, 2.0, 0.0], [5.0, 2.0, 5.0]))
    free = hessian(curved, [1.0, 2.0, 3.0], bounds=([0.0, 2.0, 0.0], [5.0, 2.0, 5.0]), mask=[True, False, True])
    np.testing.assert_allclose(free, curved_hessian(np.array([1.0, 2.0, 3.0]))[np.ix_([0, 2], [0, 2])], rtol=1e-7)


def test_given_step_that_leaves_the_box():
    with pytest.raises(ValueError, match="leaves the bounds"):
        hessian(curved, [1.0, 2.0, 3.0], bounds=(0.9, 3.1), abs_step=0.3)


@pytest.mark.parametrize(
    ("bounds", "error"),
    [
        ([(0, 5)] * 2, ValueError),
        ((0.0,), ValueError),
        ((np.zeros(2), 5.0), ValueError),
        ((1.5, 5.0), ValueError),
        (("a", 5.0), TypeError),
    ],
)
def test_bad_bounds_are_named(bounds, error):
    with pytest.raises(error, match="bounds"):
        hessian(curved, [1.0, 2.0, 3.0], bounds=bounds)


def test_pairs_of_bounds_at_two_variables_are_ambiguous():
    with pytest.raises(ValueError, match="bounds"):
        hessian(lambda x: float(x @ x), [1.0, 1.0], bounds=((0, 2), (0, 2)))


def walled(x):
    return float(np.sqrt(x[0]) + x[0] ** 2 * x[1] + np.exp(x[1])) if x[0] >= 0.25 else np.nan


def test_wall_of_nan_turns_the_axis_one_sided():
    result = hessian(walled, [0.25, 0.5], full_output=True)
    exact = [[-0.25 * 0.25**-1.5 + 1.0, 0.5], [0.5, np.exp(0.5)]]
    assert result.success
    np.testing.assert_array_equal(result.one_sided, [True, False])
    np.testing.assert_allclose(result.hess, exact, rtol=1e-5)


def test_exceptions_named_count_as_a_wall():
    def f(x):
        if x[0] < 0.25:
            raise ArithmeticError("outside")
        return walled(x)

    result = hessian(f, [0.25, 0.5], on_error=ArithmeticError, full_output=True)
    assert result.success
    assert result.one_sided[0]
    with pytest.raises(ArithmeticError, match="outside"):
        hessian(f, [0.25, 0.5])


@pytest.mark.parametrize("on_error", ["ignore", 3, (ValueError, "x")])
def test_bad_on_error_is_named(on_error):
    with pytest.raises(TypeError, match="on_error"):
        hessian(curved, [1.0, 2.0, 3.0], on_error=on_error)


def test_isolated_point_has_no_hessian():
    with pytest.warns(RuntimeWarning, match="NaN"):
        result = hessian(lambda x: 1.0 if (x == 1.0).all() else np.nan, [1.0, 1.0], full_output=True)
    assert result.status is HessianStatus.NOT_FINITE
    assert np.isnan(result.hess).all()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("fun", "slope"),
    [(lambda x: 0.0, 0.0), (lambda x: 5.0, 0.0), (lambda x: float(3.0 + x.sum()), 1.0), (lambda x: x[0] - x[0], 0.0)],
    ids=["zero", "constant", "linear", "cancelling"],
)
def test_flat_function(fun, slope, order):
    result = hessian(fun, [0.0, 1.0, -3.0], order=order, full_output=True)
    assert result.success
    assert (np.abs(result.hess) <= result.hess_error).all()
    assert (np.abs(result.jac - slope) <= result.jac_error + 1e-15).all()


def test_drift_is_said():
    start = 1.0

    def f(x):
        nonlocal start
        start += 1e-7
        return start + float(x @ x)

    with pytest.warns(RuntimeWarning, match="changed during the run"):
        result = hessian(f, [1.0, 2.0, 3.0], noise=1e-9, full_output=True)
    assert result.status is HessianStatus.DRIFTED


@pytest.mark.parametrize("name", ["separable_origin_9", "short_origin_6", "thousand_6", "million_5", "fast_waves_4"])
def test_steps_find_natural_lengths_that_x_does_not_tell(name):
    p = draw(name)
    result = hessian(p.fun, p.x0, full_output=True)
    assert p.scaled_error(result.hess) <= 1e-7
    assert (np.abs(result.step) < p.lengths).all()


def test_rounds_ask_each_axis_for_what_it_lacks():
    def square(search):
        values = None
        with suppress(StopIteration):
            while True:
                points = search.send(values)
                asked.append(points.nodes[:, 0].tolist())
                values = points.nodes**2

    asked = []
    axes = [Axis(i, x, 1.0, 1.0, -np.inf, np.inf, NoiseModel(0.0, 0.0, 0.0)) for i, x in enumerate([1.0, 10.0])]
    square(advance(axes, [axes[0].ask([0.5, -0.5]), axes[1].ask([0.5])]))
    square(advance(axes, [axes[0].ask([0.5, 0.25]), axes[1].ask([0.5])]))
    assert asked == [[1.5, 0.5, 10.5], [1.25]]
    assert axes[0].values == {0.5: 2.25, -0.5: 0.25, 0.25: 1.5625}


def test_units_are_powers_of_two_near_the_coordinates():
    sizes = ORDINARY.of(np.array([0.0, 1.0, -3.0, 1e-8, 1e8]))
    np.testing.assert_array_equal(unit_of(sizes), [1.0, 1.0, 4.0, 2.0**-27, 2.0**27])


@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e-155, 1e155, 1e200, 1e300])
def test_size_of_f_does_not_matter(scale, order):
    def f(x):
        return float(np.exp(x[0] * x[1]) + x[2] ** 4 * x[0] + np.cos(x[2]))

    x = np.array([0.7, 1.1, -0.4])
    plain = hessian(f, x, order=order, full_output=True)
    scaled = hessian(lambda z: scale * f(z), x, order=order, full_output=True)
    assert np.all(np.abs(scaled.hess / scale - plain.hess) <= plain.hess_error + scaled.hess_error / scale)
    np.testing.assert_allclose(scaled.hess_error / scale, plain.hess_error, rtol=10.0)


def entangled(x):
    return float(np.exp(x[0] * x[1]) + np.sin(x[1] + 2.0 * x[2]) * x[0])


def entangled_hessian(x):
    a, b, c = x
    E, s, k = np.exp(a * b), np.sin(b + 2.0 * c), np.cos(b + 2.0 * c)
    ab = E * (1.0 + a * b) + k
    return np.array(
        [[b * b * E, ab, 2.0 * k], [ab, a * a * E - s * a, -2.0 * s * a], [2.0 * k, -2.0 * s * a, -4.0 * s * a]]
    )


@pytest.mark.parametrize("bounds", [None, (0.0, 2.0)])
@pytest.mark.parametrize("place", [[0], [1], [2], [0, 1], [0, 1, 2]])
@pytest.mark.parametrize("tiny", [1e-6, 1e-9, 1e-12, 1e-15, 1e-30, 5e-324, 0.0])
def test_coordinates_next_to_zero_find_the_length_of_f(tiny, place, bounds):
    x = np.ones(3)
    x[place] = tiny
    H = entangled_hessian(x)
    result = hessian(entangled, x, bounds=bounds, full_output=True)
    error = np.abs(result.hess - H)
    assert np.max(error) <= 1e-4 * np.max(np.abs(H))
    assert np.all(error <= 5.0 * result.hess_error + 1e-13 * np.max(np.abs(H)))  # what moves f by less than an ulp


@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize("size", [1e4, 1e5, 1e6])
def test_many_periods_within_the_first_step_are_not_taken_for_noise(order, size):
    rng = np.random.default_rng(int(size) + order)
    for x in size * (1.0 + rng.random(5)):
        result = hessian(lambda x: np.sin(x[0]), [x], order=order, full_output=True)
        assert abs(result.hess[0, 0] + np.sin(x)) <= min(1e-3, result.hess_error[0, 0])


def test_noise_alone_is_not_taken_for_many_periods():
    rng = np.random.default_rng(1)
    with np.errstate(all="ignore"), pytest.warns(AccuracyWarning, match="4 of 4 entries are not known|f answers"):
        result = hessian(lambda x: 1.0 + 1e-3 * rng.standard_normal(), [1.0, 2.0], full_output=True)
    assert result.noise > 1e-4
    assert np.all(np.abs(result.hess) <= result.hess_error)
