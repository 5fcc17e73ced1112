"""Badly scaled variables: lengths 1e-8..1e8, x = 0, x huge against its length, high frequency."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.problem import Draw, Problem, family, problem


def _log_sum_exp(draw: Draw, n: int) -> tuple[np.ndarray, np.ndarray]:
    return draw.rng.standard_normal((2 * n, n)) / np.sqrt(n), draw.rng.standard_normal(2 * n)


@family("scales", 9, 40)
def separable_scales(draw: Draw, n: int) -> Problem:
    s = np.logspace(-8, 8, n)
    x0 = s * (1 + 0.3 * draw.rng.standard_normal(n))
    return problem(lambda x: np.sum(np.exp(x / s) + np.sin(2 * x / s)), x0, s)


@family("scales", 9, 17, 40)
def dense_scales(draw: Draw, n: int) -> Problem:
    s = draw.rng.permutation(np.logspace(-8, 8, n))
    A, c = _log_sum_exp(draw, n)
    return problem(lambda x: np.log(np.sum(np.exp(A @ (x / s) + c))), s * draw.rng.uniform(0.5, 2, n), s)


@family("scales", 10)
def product_scales(draw: Draw, n: int) -> Problem:
    """Π x_i^p_i: a power law whose scaled Hessian is dense."""
    s, p = np.logspace(-6, 6, n), np.linspace(-1.5, 1.8, n)
    return problem(lambda x: np.exp(np.sum(p * np.log(x / s)) / 2), s * draw.rng.uniform(0.5, 2, n), s)


@family("scales", 12)
def rosenbrock_scales(draw: Draw, n: int) -> Problem:
    s = np.logspace(-4, 4, n)

    def fun(x: Any) -> Any:
        z = x / s
        return np.sum(100 * (z[1:] - z[:-1] ** 2) ** 2) + np.sum((1 - z[:-1]) ** 2)

    return problem(fun, s * draw.near(np.tile([-1.2, 1.0], n // 2)), s)


@family("origin", 9)
def separable_origin(draw: Draw, n: int) -> Problem:
    lengths = np.logspace(-4, 4, n)
    phase = draw.rng.uniform(0.2, 1.2, n)
    return problem(lambda x: np.sum(np.cos(x / lengths + phase)), np.zeros(n), lengths)


@family("origin", 12, 40)
def dense_origin(draw: Draw, n: int) -> Problem:
    lengths = draw.rng.permutation(np.logspace(-4, 4, n))
    A, c = _log_sum_exp(draw, n)
    return problem(lambda x: np.log(np.sum(np.exp(A @ (x / lengths) + c))), np.zeros(n), lengths)


@family("origin", 6)
def short_origin(draw: Draw, n: int) -> Problem:
    """Every length 1e-4: nothing at x = 0 says so."""
    A, c = _log_sum_exp(draw, n)
    return problem(lambda x: np.log(np.sum(np.exp(A @ (x * 1e4) + c))), np.zeros(n), 1e-4)


@family("huge_x", 6, 40)
def thousand(draw: Draw, n: int) -> Problem:
    """x ~ 1e3 with length 1e-2."""
    center = 1000 + draw.rng.uniform(0, 1, n)
    A, c = _log_sum_exp(draw, n)
    x0 = center + 0.01 * draw.rng.uniform(-0.5, 0.5, n)
    return problem(lambda x: np.log(np.sum(np.exp(A @ ((x - center) / 0.01) + c))), x0, 0.01)


@family("huge_x", 5)
def million(draw: Draw, n: int) -> Problem:
    """x ~ 1e6 with length 1."""
    center = 1e6 * draw.rng.uniform(0.5, 2, n)
    A, c = _log_sum_exp(draw, n)
    return problem(lambda x: np.sum(np.sin(A @ (x - center) + c)), center + draw.rng.uniform(-1, 1, n), 1.0)


@family("frequency", 4, 20)
def fast_waves(draw: Draw, n: int) -> Problem:
    """x ~ 1, wave numbers 50 to 300."""
    k = draw.rng.uniform(50, 300, n)
    phase = draw.rng.uniform(0, 6, n)

    def fun(x: Any) -> Any:
        return np.sum(np.sin(k * x + phase)) + np.cos(np.sum(k * x) / 3)

    return problem(fun, draw.rng.uniform(0.5, 2, n), 1 / k)


@family("frequency", 6)
def ripple(draw: Draw, n: int) -> Problem:
    """A bowl with a ripple of amplitude 1e-2 and wave number 300, which owns the curvature."""
    phase = draw.rng.uniform(0.3, 1.2, n)

    def fun(x: Any) -> Any:
        return np.sum(x**2) + 0.01 * np.sum(np.sin(300 * x + phase)) + np.sum(x) ** 2

    return problem(fun, draw.rng.uniform(0.5, 1.5, n), 1 / 300)


@family("frequency", 10)
def chirp(draw: Draw, n: int) -> Problem:
    """sin(x²) at x ~ 10: wave number 20, rising."""
    return problem(
        lambda x: np.sum(np.sin(x**2)) + np.sin(np.sum(x[1:] * x[:-1]) / 5), draw.rng.uniform(8, 12, n), 0.05
    )
