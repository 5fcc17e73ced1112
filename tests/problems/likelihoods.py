"""Negative log-likelihoods of real observations.

Besides NIST's reference sets: the O-ring distress of 23 Space Shuttle flights against temperature (Report of
the Presidential Commission on the Space Shuttle Challenger Accident, 1986, a work of the United States
government) and Student's counts of yeast cells in 400 squares (Biometrika 5, 1907).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from nist_strd import load

from problems.problem import Draw, Problem, family, problem

TEMPERATURE = np.array([53, 57, 58, 63, 66, 67, 67, 67, 68, 69, 70, 70, 70, 70, 72, 73, 75, 75, 76, 76, 78, 79, 81.0])
DISTRESS = np.isin(np.arange(23), [0, 1, 2, 3, 10, 11, 16]).astype(np.float64)
YEAST = np.repeat(np.arange(6.0), [213, 128, 37, 18, 3, 1])


def _log_gamma(z: Any) -> Any:
    """Stirling's series after a shift by 8 (error 1e-15 for z > 0): a function that takes any arithmetic."""
    product = z
    for k in range(1, 8):
        product = product * (z + k)
    w = z + 8
    series = 1 / (12 * w) - 1 / (360 * w**3) + 1 / (1260 * w**5) - 1 / (1680 * w**7) + 1 / (1188 * w**9)
    return (w - 0.5) * np.log(w) - w + 0.5 * np.log(2 * np.pi) + series - np.log(product)


def _harmonics(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (168, count) constant, cosines and sines of the months of ENSO, and the pressures (168,)."""
    data = load("ENSO")
    angles = 2 * np.pi * np.outer(data.x, np.arange(1, count // 2 + 1)) / 168
    return np.hstack([np.ones((168, 1)), np.cos(angles), np.sin(angles)])[:, :count], data.y


def _bernoulli(design: np.ndarray, success: np.ndarray) -> Callable[[Any], Any]:
    sign = 1 - 2 * success
    return lambda b: np.sum(np.log1p(np.exp(sign * (design @ b))))


@family("likelihood")
def challenger_logit(draw: Draw) -> Problem:
    design = np.stack([np.ones(23), TEMPERATURE], axis=1)
    x0 = draw.near([15.0429, -0.232163], [1.0, 0.015])
    return problem(_bernoulli(design, DISTRESS), x0, [1.0, 0.015])


@family("likelihood")
def challenger_probit(draw: Draw) -> Problem:
    from scipy.special import ndtr

    design = np.stack([np.ones(23), TEMPERATURE], axis=1) * (2 * DISTRESS - 1)[:, None]
    x0 = draw.near([8.775, -0.1351], [1.0, 0.015])
    return problem(lambda b: -np.sum(np.log(ndtr(design @ b))), x0, [1.0, 0.015])


@family("likelihood")
def yeast_negative_binomial(draw: Draw) -> Problem:
    """Parameters: log mean and log r; Γ(y + r)/Γ(r) is a product, y being a count."""
    counts, size = np.unique(YEAST, return_counts=True)

    def fun(theta: Any) -> Any:
        mean, r = np.exp(theta[0]), np.exp(theta[1])
        total = YEAST.size * (r * np.log1p(mean / r))
        for y, times in zip(counts[1:], size[1:], strict=True):
            rising = sum(np.log(r + k) for k in range(int(y)))
            total = total + times * (y * np.log(1 + r / mean) - rising)
        return total

    return problem(fun, draw.near([-0.3819, 1.28]), 1.0)


@family("likelihood", 20, 40)
def enso_poisson(draw: Draw, n: int) -> Problem:
    """Pressures rounded to counts against harmonics."""
    design, y = _harmonics(n)
    counts = np.round(y)
    x0 = np.append(np.log(np.mean(counts)), np.zeros(n - 1)) + 0.02 * draw.rng.standard_normal(n)
    return problem(lambda b: np.sum(np.exp(design @ b)) - np.sum((counts @ design) * b), x0, 0.1)


@family("likelihood", 12, 40)
def enso_student(draw: Draw, n: int) -> Problem:
    """Robust harmonic regression: Student t of 4 degrees of freedom; the last parameter is the log scale."""
    design, y = _harmonics(n - 1)

    def fun(theta: Any) -> Any:
        z = (y - design @ theta[:-1]) * np.exp(-theta[-1])
        return 2.5 * np.sum(np.log1p(z**2 / 4)) + y.size * theta[-1]

    center = np.linalg.lstsq(design, y, rcond=None)[0]
    return problem(fun, np.append(center + 0.1 * draw.rng.standard_normal(n - 1), np.log(1.5)), 0.3)


@family("likelihood", 15, 40)
def enso_logit(draw: Draw, n: int) -> Problem:
    """Is the pressure above its median, given the n − 1 months before?"""
    y = load("ENSO").y
    lags = np.lib.stride_tricks.sliding_window_view(y, n)
    design = np.hstack([np.ones((len(lags), 1)), (lags[:, :-1] - np.mean(y)) / np.std(y)])
    success = (lags[:, -1] > np.median(y)).astype(np.float64)
    return problem(_bernoulli(design, success), 0.3 * draw.rng.standard_normal(n), 0.5)


@family("likelihood")
def nelson_gamma(draw: Draw) -> Problem:
    """Breakdown voltage: Gamma of log shape θ₃ and log mean linear in weeks and temperature."""
    data = load("Nelson")
    voltage, design = np.exp(data.y), np.stack([np.ones(128), data.x[0] / 10, data.x[1] / 100], axis=1)

    def fun(theta: Any) -> Any:
        shape, log_mean = np.exp(theta[3]), design @ theta[:3]
        fit = voltage * np.exp(-log_mean) + log_mean - np.log(voltage)
        normaliser = 128 * (_log_gamma(shape) - shape * np.log(shape))
        return np.sum(shape * fit) + normaliser + np.sum(np.log(voltage))

    return problem(fun, draw.near([3.5, -0.1, -0.4, 2.4]), [0.3, 0.3, 0.15, 1.0])


@family("likelihood")
def nelson_weibull(draw: Draw) -> Problem:
    data = load("Nelson")
    design = np.stack([np.ones(128), data.x[0] / 10, data.x[1] / 100], axis=1)

    def fun(theta: Any) -> Any:
        z = (data.y - design @ theta[:3]) * np.exp(theta[3])
        return np.sum(np.exp(z) - z) - 128 * theta[3]

    return problem(fun, draw.near([3.5, -0.1, -0.4, 1.2]), [0.1, 0.1, 0.05, 0.3])


@family("likelihood")
def enso_mixture(draw: Draw) -> Problem:
    """Two normal components: logit of the weight, two means, two log scales."""
    y = load("ENSO").y

    def fun(theta: Any) -> Any:
        weight = 1 / (1 + np.exp(-theta[0]))
        first = np.exp(-0.5 * ((y - theta[1]) * np.exp(-theta[3])) ** 2 - theta[3])
        second = np.exp(-0.5 * ((y - theta[2]) * np.exp(-theta[4])) ** 2 - theta[4])
        return -np.sum(np.log(weight * first + (1 - weight) * second))

    return problem(fun, draw.near([0.2, 8.0, 13.0, 0.7, 0.9], 0.5), [1.0, 1.0, 1.0, 0.5, 0.5])


@family("likelihood")
def enso_autoregression(draw: Draw) -> Problem:
    """First-order Gaussian autoregression: level, atanh of the correlation, log scale."""
    y = load("ENSO").y

    def fun(theta: Any) -> Any:
        rho = np.tanh(theta[1])
        z = y - theta[0]
        inner = np.sum((z[1:] - rho * z[:-1]) ** 2) + (1 - rho**2) * z[0] ** 2
        return 0.5 * np.exp(-2 * theta[2]) * inner + y.size * theta[2] - 0.5 * np.log(1 - rho**2)

    return problem(fun, draw.near([10.6, 0.7, 0.9], 0.5), [1.0, 0.5, 0.5])
