"""Roughness of gradients that no short step sees: ripples, staircases, fixed paths; and what only looks like it."""

import warnings

import numpy as np
import pytest

from hessfast import AccuracyWarning, CurvatureStatus, HessianOperator, HessianStatus, curvature, hessian, hvp
from hessfast.gradients.ripples import Sight, look_far


def carrier(z):
    return 2.0 * (z - 0.8) + 0.14 * (z - 0.8) ** 3


def slope_of_carrier(z):
    return 2.0 + 0.42 * (z - 0.8) ** 2


def point(rng, most):
    return rng.uniform(0.5, 3.0, int(rng.integers(1, most + 1)))


def covers_or_speaks(jac, x, truth, order):
    """Whether each route has the truth in three of its bars, or a status that says that it may not."""
    v = np.random.default_rng(1).standard_normal(x.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        whole = hessian(None, x, jac=jac, order=order, full_output=True)
        along = curvature(None, x, v, jac=jac, order=order)
        product = hvp(None, x, v, jac=jac, order=order, full_output=True)
    return (
        not whole.success or bool((np.abs(whole.hess - truth) <= 3.0 * whole.hess_error).all()),
        not along.success or abs(along.value - v @ truth @ v) <= 3.0 * along.error,
        not product.success or np.linalg.norm(product.value - truth @ v) <= 3.0 * product.error,
    )


@pytest.mark.parametrize("order", [2, 4])
def test_ripples_are_covered_or_said(order):
    """All but one of fifteen: long steps may by accident agree with short ones where a ripple is steep but shallow."""
    told = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        x = point(rng, 3)
        wave, share = 2.0 * np.pi / 10.0 ** rng.uniform(-2.3, -1.3), 10.0 ** rng.uniform(-2.5, -0.3)

        def jac(z, wave=wave, share=share):
            return carrier(z) + share / wave * np.cos(wave * z)

        told.append(covers_or_speaks(jac, x, np.diag(slope_of_carrier(x)), order))
    assert np.sum(told, axis=0).min() >= 14


@pytest.mark.parametrize("seed", range(10))
def test_staircases_are_not_flat(seed):
    """Between its steps such a gradient does not move at all."""
    rng = np.random.default_rng(seed)
    x = point(rng, 2)
    step = 10.0 ** rng.uniform(-4.0, -2.5)

    def jac(z):
        return np.round(carrier(z) / step) * step

    assert covers_or_speaks(jac, x, np.diag(slope_of_carrier(x)), 4) == (True, True, True)


@pytest.mark.parametrize("seed", range(10))
def test_counts_of_fixed_paths_are_not_flat(seed):
    rng = np.random.default_rng(seed)
    x = np.array([rng.choice((-1.0, 1.0)) * rng.uniform(0.4, 1.2)])
    paths = np.sort(rng.standard_normal(int(10.0 ** rng.uniform(2.5, 4.0))))

    def jac(z):
        return np.searchsorted(paths, z) / paths.size

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        result = hessian(None, x, jac=jac, order=2, full_output=True)
        along = curvature(None, x, [1.0], jac=jac)
    density = np.exp(-0.5 * x[0] ** 2) / np.sqrt(2.0 * np.pi)
    assert result.hess[0, 0] == pytest.approx(density, rel=0.5) or not result.success
    assert along.value == pytest.approx(density, rel=0.5) or not along.success


def test_two_curvatures_are_said_aloud_and_noise_chooses_the_smooth_one():
    x, wave, share = np.array([1.71, 2.2]), 2.0 * np.pi / 0.05, 0.4

    def jac(z):
        return carrier(z) + share / wave * np.cos(wave * z)

    smooth = slope_of_carrier(x)
    short = smooth - share * np.sin(wave * x)
    with pytest.warns(AccuracyWarning, match="short steps"):
        result = hessian(None, x, jac=jac, full_output=True)
    assert result.status is HessianStatus.ROUGH
    for meant in (smooth, short):
        assert (np.abs(np.diag(result.hess) - meant) <= np.diag(result.hess_error)).all()
    assert sum(result.evaluations) == result.njev
    chosen = hessian(None, x, jac=jac, noise=share / wave, full_output=True)
    assert chosen.success
    assert (np.abs(np.diag(chosen.hess) - smooth) <= np.diag(chosen.hess_error)).all()


def test_lines_and_operators_speak_as_well():
    x, wave = np.array([1.71]), 2.0 * np.pi / 0.05

    def jac(z):
        return carrier(z) + 0.5 / wave * np.cos(wave * z)

    smooth = slope_of_carrier(x)[0]
    short = smooth - 0.5 * np.sin(wave * x[0])
    with pytest.warns(AccuracyWarning, match="abs_step"):
        along = curvature(None, x, [1.0], jac=jac)
    with pytest.warns(AccuracyWarning, match="long steps"):
        product = hvp(None, x, [1.0], jac=jac, full_output=True)
    operator = HessianOperator(None, x, jac=jac)
    with pytest.warns(AccuracyWarning, match="long steps"):
        operator @ np.ones(1)
    assert along.status is CurvatureStatus.ROUGH
    assert product.status is operator.status is HessianStatus.ROUGH
    for meant in (smooth, short):
        assert abs(along.value - meant) <= along.error
        assert abs(product.value[0] - meant) <= product.error


@pytest.mark.parametrize("seed", range(15))
def test_short_natural_lengths_are_no_roughness(seed):
    rng = np.random.default_rng(seed)
    x = point(rng, 3)
    length = x * 10.0 ** rng.uniform(-3.0, -1.0)
    v = length * rng.standard_normal(x.size)
    for jac in (
        lambda z: np.tanh((z - x) / length + 0.2) / length,
        lambda z: np.sin((z - x) / length + 0.3) / length,
        lambda z: np.exp(np.clip((z - x) / length, -300.0, 300.0)) / length,
        lambda z: (z - x) / length**2 * np.exp(-0.5 * np.sum(((z - x) / length) ** 2)),
        lambda z: (z - x) / length**2 + (z - 0.3 * x) ** 3,
    ):
        for order in (2, 4):
            assert hessian(None, x, jac=jac, order=order, full_output=True).status is HessianStatus.COMPLETE
            assert hvp(None, x, v, jac=jac, order=order, full_output=True).status is HessianStatus.COMPLETE
        assert curvature(None, x, v, jac=jac).success


@pytest.mark.parametrize("distance", [1e-2, 3e-2, 1e-1])
def test_a_kink_nearby_is_no_roughness(distance):
    x = np.array([2.0, 1.0])

    def jac(z):
        return 2.0 * z + np.array([50.0 * max(z[0] - x[0] - distance, 0.0), 0.0])

    result = hessian(None, x, jac=jac, full_output=True)
    assert result.success
    assert result.hess == pytest.approx(2.0 * np.eye(2), abs=1e-6)
    assert curvature(None, x, [1.0, 0.3], jac=jac).success
    assert hvp(None, x, [1.0, 0.3], jac=jac, full_output=True).success


def test_a_constant_gradient_is_that_of_a_linear_function():
    for x in (np.array([1.0, 2.0, 3.0]), np.array([0.0, 1e-9])):
        result = hessian(None, x, jac=lambda z: np.arange(1.0, z.size + 1.0), full_output=True)
        assert result.success
        assert (result.hess == 0.0).all()
        assert hvp(None, x, np.ones(x.size), jac=lambda z: np.arange(1.0, z.size + 1.0), full_output=True).success


def test_exceptions_far_from_x_are_walls_of_curiosity_alone():
    """The gradient is asked at a fourteenth of x; it has no duty to answer there."""
    x = np.array([1.0, 2.0])

    def jac(z):
        if np.any(np.abs(z - x) > 0.05):
            raise ArithmeticError("too far")
        return np.tanh((z - x) / 1e-2) / 1e-2 + z

    result = hessian(None, x, jac=jac, full_output=True)
    np.testing.assert_allclose(result.hess, 10001.0 * np.eye(2), rtol=1e-8, atol=1e-4)
    assert hvp(None, x, [1.0, 0.0], jac=jac) == pytest.approx([10001.0, 0.0], abs=1e-3)


def test_long_steps_stay_inside_the_bounds():
    rng = np.random.default_rng(3)
    for _ in range(10):
        x = point(rng, 3)
        low, high = x - 10.0 ** rng.uniform(-3.0, 0.0, x.size), x + 10.0 ** rng.uniform(-3.0, 0.0, x.size)

        def jac(z, low=low, high=high):
            assert (low <= z).all()
            assert (z <= high).all()
            return carrier(z) + 1e-3 * np.cos(200.0 * z)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)
            hessian(None, x, jac=jac, bounds=(low, high))
            curvature(None, x, np.ones(x.size), jac=jac, bounds=(low, high))


def test_a_smooth_gradient_costs_no_more_for_the_look():
    """The long step verifies the level of the scan in place of a short one."""
    x = np.linspace(0.5, 1.5, 5)
    result = hessian(None, x, jac=np.exp, full_output=True)
    longest = []
    hessian(None, x, jac=lambda z: longest.append(np.abs(z - x).max()) or np.exp(z))
    assert sum(step > 0.05 for step in longest) == 2
    assert result.njev <= 4 * x.size + 17


@pytest.mark.parametrize(
    ("bend", "far", "sight"),
    [
        (1e-3, 1.001, Sight.SMOOTH),
        (0.2, 1.22, Sight.SMOOTH),  # the square of the t² term may follow
        (0.2, 1.01, Sight.SUSPECT),  # the foretold change is not there
        (30.0, 1.1, Sight.SUSPECT),
        (30.0, 0.01, Sight.SHORT),  # nothing is left of the value
        (1e-3, 1.05, Sight.BROKEN),
        (1e-3, 1.5, Sight.SHORT),  # a kink
        (1e-3, 1e6, Sight.SHORT),  # a wall
        (0.0, 1.0, Sight.SMOOTH),
    ],
)
def test_what_a_long_step_shows(bend, far, sight):
    one = np.ones(1)
    assert look_far(one, bend * one, far * one, 1e-9 * one) is sight
