"""Functions that end: log and sqrt domains near their edge, points on a bound; outside f raises."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.problem import Draw, Function, Problem, family, problem


def _walled(fun: Function, x0: np.ndarray, lengths: Any, lower: Any, upper: Any, **fields: Any) -> Problem:
    """Return the problem whose fun raises where a real x is outside [lower, upper]."""
    lower, upper = (np.broadcast_to(np.asarray(b, dtype=np.float64), x0.shape) for b in (lower, upper))

    def guarded(x: Any) -> Any:
        if not np.all((lower <= np.real(x)) & (np.real(x) <= upper)):
            raise FloatingPointError(f"x outside its bounds: {x}")
        return fun(x)

    return problem(guarded, x0, lengths, smooth=fun, lower=lower, upper=upper, **fields)


@family("domain", 8)
def log_barrier(draw: Draw, n: int) -> Problem:
    """−Σ log x at x = 1e-6 … 1, and a dense quadratic; x = 0 itself has no value."""
    x0 = np.logspace(-6, 0, n) * draw.rng.uniform(0.5, 2, n)
    B = draw.rng.standard_normal((n, n))
    return _walled(lambda x: -np.sum(np.log(x)) + np.sum((B @ x) ** 2), x0, x0, np.nextafter(0, 1), np.inf)


@family("domain", 6)
def square_roots(draw: Draw, n: int) -> Problem:
    x0 = np.logspace(-4, 0, n) * draw.rng.uniform(0.5, 2, n)

    def fun(x: Any) -> Any:
        return np.sqrt(np.sum(np.sqrt(x))) + np.sum(np.sqrt(x[1:] * x[:-1]))

    return _walled(fun, x0, x0, 0.0, np.inf)


@family("domain", 5)
def entropy(draw: Draw, n: int) -> Problem:
    """Negative entropy of proportions, the last being 1 − Σ of the others."""
    x0 = np.array([1e-4, 1e-3, 1e-2, 0.2, 0.3]) * draw.rng.uniform(0.8, 1.2, n)

    def fun(x: Any) -> Any:
        rest = 1 - np.sum(x)
        return np.sum(x * np.log(x)) + rest * np.log(rest)

    return _walled(fun, x0, x0, np.nextafter(0, 1), 1.5 * x0)


@family("domain", 4)
def polytope_barrier(draw: Draw, n: int) -> Problem:
    """−Σ log(b − Ax) 1e-3 from the nearest face, without bounds: NaN beyond it."""
    A = draw.rng.standard_normal((3 * n, n))
    A /= np.linalg.norm(A, axis=1)[:, None]
    b = np.append(1e-3, draw.rng.uniform(0.5, 2, 3 * n - 1))

    def fun(x: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return -np.sum(np.log(b - A @ x))

    return problem(fun, np.zeros(n), 1e-3)


@family("domain", 3)
def inside_disc(draw: Draw, n: int) -> Problem:
    """−log(1 − ‖x‖²) at ‖x‖² ≈ 0.99, without bounds: NaN beyond it."""
    x0 = draw.near(np.array([0.7, 0.5, 0.5]), spread=0.001)

    def fun(x: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return -np.log(1 - np.sum(x**2))

    return problem(fun, x0, 0.01)


@family("domain", "lower", "upper", "both")
def on_bound(draw: Draw, side: str) -> Problem:
    """A smooth dense function, x0 in a corner of its box (both: some coordinates low, some high)."""
    n = 6
    A = draw.rng.standard_normal((n, n)) / np.sqrt(n)
    x0 = draw.rng.uniform(0.5, 2, n)
    at_lower = {"lower": np.ones(n, bool), "upper": np.zeros(n, bool), "both": np.arange(n) % 2 == 0}[side]
    far = 1.0 if side == "both" else np.inf
    lower, upper = np.where(at_lower, x0, x0 - far), np.where(at_lower, x0 + far, x0)
    return _walled(lambda x: np.sum(np.exp(A @ x)) + np.sum(np.sin(A.T @ x)), x0, 1.0, lower, upper)


@family("domain", "1ulp", "1e-12", "1e-6")
def near_bound(draw: Draw, gap: str) -> Problem:
    """As on_bound, with the bound 1 ulp, 1e-12 or 1e-6 below x0."""
    n = 5
    A = draw.rng.standard_normal((n, n)) / np.sqrt(n)
    x0 = draw.rng.uniform(0.5, 2, n)
    lower = np.nextafter(x0, 0) if gap == "1ulp" else x0 - float(gap)
    return _walled(lambda x: np.sum(np.exp(A @ x)) + np.sum(np.sin(A.T @ x)), x0, 1.0, lower, np.inf)
