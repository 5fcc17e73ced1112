"""Curvature along a line from values: random lines, noise near and far, walls, bounds, chance, rounded points."""

import warnings
import zlib

import numpy as np
import pytest
from problems import problems

from hessfast import CurvatureStatus, curvature
from hessfast.alarms import AccuracyWarning
from hessfast.values.line import PHASES
from hessfast.values.policy import LINE_POLICY


def lines(p, seed):
    rng = np.random.default_rng([seed, zlib.crc32(p.name.encode())])
    yield p.lengths * rng.standard_normal(p.n)
    yield np.eye(p.n)[rng.integers(p.n)]


def quietly(fun, x, v, **named):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", AccuracyWarning)
        return curvature(fun, x, v, **named)


def judged(p, v, fun):
    """Return the error in units of |v|ᵀ|H||v|, whether it is inside the bar, and the evaluations."""
    found, size = quietly(fun, p.x0, v), np.abs(v)
    scale = size @ np.abs(p.hess) @ size
    error = abs(found.value - v @ p.hess @ v)
    return error / (scale or 1.0), error <= found.error + 1e-15 * scale, found.nfev


def test_smooth_lines():
    smooth = [p for p in problems() if p.n <= 40 and p.noise == 0 and p.bounds is None]
    error, inside, spent = np.array([judged(p, v, p.fun) for p in smooth for v in lines(p, 3)]).T
    assert np.median(error) <= 3e-13
    assert error.max() <= 1e-3
    assert np.mean(inside) >= 0.99
    assert np.median(spent) <= 22
    assert np.mean(spent) <= 26


def test_noisy_lines():
    smooth = [p for p in problems() if p.n <= 20 and p.noise == 0 and p.bounds is None and p.kind != "offset"][::3]
    rng = np.random.default_rng(11)
    rows = []
    for p in smooth:
        for v in lines(p, 4):
            level = 10.0 ** rng.uniform(-12, -4)

            def noisy(x, p=p, level=level):
                seed = zlib.crc32(np.ascontiguousarray(x).tobytes())
                return p.fun(x) * (1.0 + level * np.random.default_rng(seed).standard_normal())

            rows.append(judged(p, v, noisy))
    _, inside, spent = np.array(rows).T
    assert np.mean(inside) >= 0.95
    assert np.median(spent) <= 30


def test_every_phase_is_known():
    assert set(LINE_POLICY.phases) == set(PHASES)


@pytest.mark.parametrize("power", [4, 6, 8])
def test_minimum_without_curvature(power):
    found = quietly(lambda x: float(np.sum(x**power)), np.zeros(3), np.array([1.0, -2.0, 0.5]))
    assert abs(found.value) <= found.error
    assert found.nfev <= 100


@pytest.mark.parametrize("height", [1e3, 1e12, 1e30])
def test_noise_behind_a_cliff_is_not_that_of_f(height):
    """At a zero of f, with f far away beyond every step of first sight."""
    x, v = np.array([0.3, -0.2]), np.array([1.0, 0.5])

    def fun(z):
        d = z - x
        return float(d @ d + d[0] ** 3) if abs(d[0]) < 1e-4 else height * (1.0 + abs(d[0]))

    found = curvature(fun, x, v)
    assert found.value == pytest.approx(2.5, rel=1e-6)
    assert abs(found.value - 2.5) <= found.error
    assert found.success


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_one_side_on_a_bound(side):
    x, v = np.array([1.0, 0.5]), np.array([1.0, 0.0])
    bounds = ([1.0, -5.0], [5.0, 5.0]) if side > 0.0 else ([-5.0, -5.0], [1.0, 5.0])
    seen = []

    def fun(z):
        seen.append(z[0])
        return float(np.sum(np.exp(z)))

    found = curvature(fun, x, v, bounds=bounds)
    assert min(side * (z - 1.0) for z in seen) >= 0.0
    assert found.status is CurvatureStatus.POSITIVE
    assert abs(found.value - np.e) <= found.error <= 1e-5


@pytest.mark.parametrize("far", [1e4, 1e6])
def test_coordinates_far_from_their_own_lengths(far):
    """A place of any number beside a length of 1: the step in it is rounded."""
    inside = 0
    rng = np.random.default_rng(8)
    for _ in range(20):
        at = far * rng.uniform(0.5, 2.0)
        x, v = np.array([at, 0.7]), rng.standard_normal(2)
        inward = quietly(lambda z, at=at: float(np.exp(-0.5 * (z[0] - at) ** 2) * -np.cosh(z[1])), x, v)
        exact = v[0] ** 2 * np.cosh(0.7) - v[1] ** 2 * np.cosh(0.7)
        inside += abs(inward.value - exact) <= inward.error
    assert inside >= 18


def test_order_of_the_difference():
    x, v = np.linspace(0.3, 1.2, 6), np.ones(6)
    exact = np.exp(x).sum()
    errors = [abs(quietly(lambda z: float(np.exp(z).sum()), x, v, order=order).value / exact - 1.0) for order in (2, 8)]
    assert errors[1] < errors[0] < 1e-8
