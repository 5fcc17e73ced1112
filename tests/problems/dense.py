"""Smooth functions whose every variable meets every other, at their natural scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.problem import Draw, Problem, family, problem


@family("dense", 2, 5, 12, 40)
def log_sum_exp(draw: Draw, n: int) -> Problem:
    A = draw.rng.standard_normal((3 * n, n)) / np.sqrt(n)
    c = draw.rng.standard_normal(3 * n)

    def fun(x: Any) -> Any:
        return np.log(np.sum(np.exp(A @ x + c)))

    def vectorized(X: np.ndarray) -> np.ndarray:
        return np.log(np.sum(np.exp(A @ X + c[:, None]), axis=0))

    return problem(fun, draw.rng.standard_normal(n), 1.0, vectorized=vectorized)


@family("dense", 3, 40)
def quadratic(draw: Draw, n: int) -> Problem:
    B = draw.rng.standard_normal((n, n))
    A, b = B @ B.T / n, draw.rng.standard_normal(n)
    return problem(lambda x: 0.5 * np.sum(x * (A @ x)) + np.sum(b * x), draw.rng.standard_normal(n), 1.0)


@family("dense", 8, 40)
def quartic(draw: Draw, n: int) -> Problem:
    A, B = draw.rng.standard_normal((2, 2 * n, n)) / np.sqrt(n)

    def fun(x: Any) -> Any:
        return np.sum((A @ x) ** 4) + np.sum((A @ x) * (B @ x) ** 2) + np.sum(B @ x)

    return problem(fun, draw.rng.standard_normal(n), 1.0)


@family("dense", 6, 20, 40)
def bell(draw: Draw, n: int) -> Problem:
    """exp(−xᵀAx/2): indefinite where x is outside the inflection."""
    B = draw.rng.standard_normal((n, n)) / np.sqrt(n)
    A = B @ B.T + np.eye(n)
    x0 = draw.rng.standard_normal(n) / np.sqrt(n)
    return problem(lambda x: np.exp(-0.5 * np.sum(x * (A @ x))), x0, 1.0)


@family("dense", 4, 30)
def rational(draw: Draw, n: int) -> Problem:
    a, B = draw.rng.standard_normal(n), draw.rng.standard_normal((n, n)) / n

    def fun(x: Any) -> Any:
        return (1 + np.sum(a * x) ** 2) / (2 + np.sum((B @ x) ** 2) + np.sum(x**2))

    return problem(fun, draw.rng.standard_normal(n), 1.0)


@family("dense", 10, 40)
def waves(draw: Draw, n: int) -> Problem:
    A, phase = draw.rng.standard_normal((n, n)) / np.sqrt(n), draw.rng.uniform(0, 6, n)
    return problem(lambda x: np.sum(np.sin(A @ x + phase)), draw.rng.standard_normal(n), 1.0)


@family("dense", 33)
def network(draw: Draw, n: int) -> Problem:
    """Squared loss of a tanh network 2-8-1 (n = 33 weights) on 30 made-up observations."""
    inputs = draw.rng.standard_normal((30, 2))
    target = np.sin(inputs[:, 0]) * inputs[:, 1]

    def fun(w: Any) -> Any:
        hidden = np.tanh(inputs @ w[:16].reshape(2, 8) + w[16:24])
        return np.sum((hidden @ w[24:32] + w[32] - target) ** 2) / 60

    return problem(fun, draw.rng.standard_normal(n), 1.0)


@family("dense")
def one_variable(draw: Draw) -> Problem:
    return problem(lambda x: np.sum(np.exp(np.sin(x)) / (1 + x**2)), draw.near([0.7]), 1.0)
