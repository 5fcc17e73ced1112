"""Roughness that no short step sees: ripples, tables, solvers, jumps; and what only looks like it."""

import warnings

import numpy as np
import pytest

from hessfast import AccuracyWarning, HessianStatus, gradient, hessian, hessian_diag

SMOOTH = 2.0, 0.7


def carrier(z):
    return float(np.sum(0.5 * SMOOTH[0] * (z - 0.8) ** 2 + 0.05 * SMOOTH[1] * (z - 0.8) ** 4))


def curvature_of_carrier(x):
    return SMOOTH[0] + 0.6 * SMOOTH[1] * (x - 0.8) ** 2


def quiet_hessian(f, x, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        return hessian(f, x, full_output=True, **options)


def covers_or_speaks(result, truth):
    """Whether the bar holds the truth, or the status says that it may not."""
    off = np.abs(np.diag(result.hess) - truth)
    return bool(np.all(off <= 3.0 * np.diag(result.hess_error))) or not result.success


@pytest.mark.parametrize("order", [4, 6])
@pytest.mark.parametrize("seed", range(12))
def test_ripples_are_covered_or_said(seed, order):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 3.0, int(rng.integers(1, 3)))
    period, height = 10.0 ** rng.uniform(-2.0, -1.0), 10.0 ** rng.uniform(-6.0, -4.0)
    result = quiet_hessian(lambda z: carrier(z) + height * np.sum(np.sin(2.0 * np.pi * z / period)), x, order=order)
    assert covers_or_speaks(result, curvature_of_carrier(x))


@pytest.mark.parametrize("seed", range(8))
def test_cells_of_a_table_are_not_flat(seed):
    rng = np.random.default_rng(seed)
    x, spacing = rng.uniform(0.5, 3.0, 1), 10.0 ** rng.uniform(-3.0, -1.5)
    nodes = np.arange(-20.0, 20.0, spacing)
    table = np.array([carrier(np.array([t])) for t in nodes])
    result = quiet_hessian(lambda z: float(np.interp(z[0], nodes, table)), x)
    assert covers_or_speaks(result, curvature_of_carrier(x))
    assert result.hess_error[0, 0] > 1e-6


@pytest.mark.parametrize("along", [gradient, hessian_diag])
def test_slopes_and_diagonals_see_ripples_too(along):
    """All but those few whose differences happen to fall like those beside a kink."""
    silent = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        x = rng.uniform(0.5, 3.0, int(rng.integers(1, 4)))
        period, height = 10.0 ** rng.uniform(-2.7, -1.7), 10.0 ** rng.uniform(-6.0, -4.5)

        def f(z, period=period, height=height):
            return carrier(z) + height * float(np.sum(np.sin(2.0 * np.pi * z / period)))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)
            result = along(f, x, full_output=True)
        slope = SMOOTH[0] * (x - 0.8) + 0.2 * SMOOTH[1] * (x - 0.8) ** 3
        truth = slope if along is gradient else curvature_of_carrier(x)
        if result.success and np.any(np.abs(result.value - truth) > 3.0 * result.error):
            silent.append(seed)
    assert len(silent) <= 2, silent


@pytest.mark.parametrize("seed", range(12))
def test_slopes_over_short_natural_lengths_are_no_roughness(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 4))
    x = rng.uniform(0.5, 3.0, n)
    length = x * 10.0 ** rng.uniform(-3.0, -1.0)
    offset = rng.uniform(0.2, 1.0, n)
    for f, slope in (
        (lambda z: 1.0 - np.exp(-0.5 * np.sum(((z - x) / length + offset) ** 2)), None),
        (lambda z: 3.0 + float(np.sum(np.log(np.cosh((z - x) / length + offset)))), np.tanh(offset) / length),
        (lambda z: -float(np.sum(np.cos((z - x) / length + offset))), np.sin(offset) / length),
    ):
        result = gradient(f, x, full_output=True)
        assert result.success, result.message
        if slope is not None:
            np.testing.assert_allclose(result.value, slope, rtol=1e-7)


def test_two_curvatures_are_said_aloud_and_noise_chooses_the_smooth_one():
    x, height, period = np.array([1.71]), 3e-5, 0.05

    def f(z):
        return carrier(z) + height * float(np.sum(np.sin(2.0 * np.pi * z / period)))

    with pytest.warns(AccuracyWarning, match="other derivatives at short steps"):
        result = hessian(f, x, full_output=True)
    assert result.status is HessianStatus.ROUGH
    assert not result.success
    ripple = -height * (2.0 * np.pi / period) ** 2 * np.sin(2.0 * np.pi * x[0] / period)
    smooth = curvature_of_carrier(x[0])
    for meant in (smooth, smooth + ripple):
        assert abs(result.hess[0, 0] - meant) <= result.hess_error[0, 0]
    chosen = hessian(f, x, noise=height, full_output=True)
    assert abs(chosen.hess[0, 0] - smooth) <= chosen.hess_error[0, 0] < 0.1 * smooth
    short = hessian(f, x, abs_step=1e-3)
    assert abs(short[0, 0] - smooth - ripple) < 1e-4


@pytest.mark.parametrize("seed", range(20))
def test_short_natural_lengths_are_no_roughness(seed):
    """Wells, valleys, waves and walls, all of them much shorter than x."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 4))
    x = rng.uniform(0.5, 3.0, n)
    length = x * 10.0 ** rng.uniform(-3.0, -1.0)
    for f in (
        lambda z: 1.0 - np.exp(-0.5 * np.sum(((z - x) / length) ** 2)),
        lambda z: 3.0 + float(np.sum(np.logaddexp((z - x) / length, -(z - x) / length))),
        lambda z: -float(np.sum(np.cos((z - x) / length + 0.3))),
        lambda z: float(np.sum(np.exp((z - x) / length))) + 5.0,
        lambda z: 1e-3 * float(np.sum(((z - x) / length) ** 2)) + float(np.sum(z**4)),
    ):
        result = hessian(f, x, full_output=True)
        assert result.success, result.message


def test_a_kink_nearby_is_no_roughness():
    x, step = np.array([2.0]), 3e-3

    def f(z):
        return float(z[0] ** 2 + 50.0 * max(z[0] - x[0] - step, 0.0) ** 2)

    result = hessian(f, x, full_output=True)
    assert result.success
    assert result.hess[0, 0] == pytest.approx(2.0, abs=1e-6)


def test_exceptions_far_from_x_are_walls_of_curiosity_alone():
    """f is asked at a fourth of x, or at 1 where x is next to zero; it has no duty to answer there."""

    def f(z):
        if np.any(np.abs(z - x) > 0.05):
            raise ArithmeticError("too far")
        return float(np.sum(np.log(np.cosh((z - x) / 1e-3)))) + 1.0

    for x in (np.array([1.0, 2.0]), np.array([1e-17, 2.0])):
        result = hessian(f, x, full_output=True)
        np.testing.assert_allclose(result.hess, 1e6 * np.eye(2), rtol=1e-5, atol=1.0)


def test_overflow_far_from_x_does_not_reach_the_caller():
    with np.errstate(all="raise"):
        result = hessian(lambda z: float(np.exp(1e3 * (z[0] - 5.0))), [5.0], full_output=True)
    assert result.hess[0, 0] == pytest.approx(1e6, rel=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_what_is_random_is_covered(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.5, 2.0, 2)
    size = 10.0 ** rng.uniform(-6.0, -2.0)

    def f(z):
        return carrier(z) + size * rng.standard_normal()

    result = quiet_hessian(f, x)
    assert np.all(np.abs(result.hess - np.diag(curvature_of_carrier(x))) <= 3.0 * result.hess_error)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        slope = gradient(f, x, full_output=True)
    truth = SMOOTH[0] * (x - 0.8) + 0.2 * SMOOTH[1] * (x - 0.8) ** 3
    assert np.all(np.abs(slope.value - truth) <= 3.0 * slope.error)


def test_more_chance_than_declared_is_named():
    rng = np.random.default_rng(0)
    with pytest.warns(AccuracyWarning):
        result = hessian(lambda z: carrier(z) + 1e-3 * rng.standard_normal(), [1.0, 2.0], noise=1e-9, full_output=True)
    assert result.status is HessianStatus.RANDOM


def test_drift_is_told_from_chance():
    calls = []

    def f(z):
        calls.append(1)
        return carrier(z) + 1e-6 * len(calls)

    result = quiet_hessian(f, [1.0, 2.0], noise=1e-9)
    assert result.status is HessianStatus.DRIFTED


def test_a_smooth_function_is_asked_again_at_x_once():
    calls = []
    result = hessian(lambda z: calls.append(z.tobytes()) or carrier(z), [1.0, 2.0], full_output=True)
    assert sum(at == np.array([1.0, 2.0]).tobytes() for at in calls) == 2 == result.evaluations.origin
    assert sum(result.evaluations) == result.nfev == len(calls)
