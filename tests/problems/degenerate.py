"""Where relative measures of f or of H end: constant, linear, zero diagonal, f = 0, zero residuals."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.problem import Draw, Problem, family, problem


@family("degenerate", 1, 5)
def constant(draw: Draw, n: int) -> Problem:
    return problem(lambda x: 3.25 + 0 * np.sum(x), draw.rng.standard_normal(n), 1.0)


@family("degenerate", 4)
def zero(draw: Draw, n: int) -> Problem:
    return problem(lambda x: 0 * np.sum(x), np.zeros(n), 1.0)


@family("degenerate", 6)
def linear(draw: Draw, n: int) -> Problem:
    a = draw.rng.standard_normal(n)
    return problem(lambda x: np.sum(a * x) + 7, draw.rng.standard_normal(n), 1.0)


@family("degenerate", 6)
def bilinear(draw: Draw, n: int) -> Problem:
    """Zero diagonal: f = Σ x_i x_j a_ij over i < j."""
    A = np.triu(draw.rng.standard_normal((n, n)), 1)
    return problem(lambda x: np.sum(x * (A @ x)), draw.rng.standard_normal(n), 1.0)


@family("degenerate")
def quartic_minimum(draw: Draw) -> Problem:
    """H = 0 at the minimum of Σ x⁴."""
    return problem(lambda x: np.sum(x**4), np.zeros(3), 1.0)


@family("degenerate", 12)
def half_linear(draw: Draw, n: int) -> Problem:
    """f curves in half of its variables."""
    A, a = draw.rng.standard_normal((n // 2, n // 2)), draw.rng.standard_normal(n // 2)

    def fun(x: Any) -> Any:
        return np.sum(np.exp(A @ x[: n // 2] / 3)) + np.sum(a * x[n // 2 :])

    return problem(fun, draw.rng.standard_normal(n), 1.0)


@family("degenerate", 4, 20)
def rosenbrock_minimum(draw: Draw, n: int) -> Problem:
    """f = 0 and every residual 0."""
    return problem(lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2) + np.sum((1 - x[:-1]) ** 2), np.ones(n), 1.0)


@family("degenerate", 12)
def least_squares_minimum(draw: Draw, n: int) -> Problem:
    """Zero residuals of exponentials of size 10."""
    A, x0 = draw.rng.standard_normal((30, n)) / np.sqrt(n), draw.rng.standard_normal(n)
    target = np.exp(2 + A @ x0)
    return problem(
        lambda x: np.sum((np.exp(2 + A @ x) - target) ** 2),
        x0,
        1.0,
        smooth=lambda x: np.sum((np.exp(2 + A @ x) - np.exp(2 + A @ (0 * x + x0))) ** 2),
    )


@family("degenerate", 8)
def zero_crossing(draw: Draw, n: int) -> Problem:
    """f(x0) = 0 by cancellation of terms of size 1."""
    A = draw.rng.standard_normal((n, n)) / np.sqrt(n)
    x0 = draw.rng.standard_normal(n)
    level = np.sum(np.exp(A @ x0))
    return problem(lambda x: np.sum(np.exp(A @ x)) - level, x0, 1.0)
