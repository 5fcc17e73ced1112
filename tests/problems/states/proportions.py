"""Proportions and amounts: likelihoods at their maximum with rare classes, chemical equilibria."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.states.state import Chooser, State, member, of_smooth


@member("proportions")
def binomial(choose: Chooser) -> State:
    """−Σ (k log p + (N − k) log(1 − p)) at p = k/N, from even to rare."""
    n = int(choose.rng.integers(1, 4))
    total = choose.one_of(100.0, 1e3, 1e6, 1e8)
    k = np.maximum(1.0, np.round(total * choose.between(max(1e-7, 2 / total), 0.5, n)))
    if choose.chance(0.4):
        k = total - k
    rest = total - k

    def fun(p: Any) -> Any:
        return -(k @ np.log(p) + rest @ np.log(1 - p))

    def jac(p: Any) -> Any:
        return rest / (1 - p) - k / p

    p0 = k / total
    return of_smooth(fun, p0, np.minimum(p0, 1 - p0), jac, analytic=True)


@member("proportions")
def multinomial(choose: Chooser) -> State:
    """−Σ c log p, the last p being what the others leave, with rare classes."""
    n = int(choose.rng.integers(1, 5))
    p = choose.rng.dirichlet(np.full(n + 1, 5.0))
    for i in range(int(choose.rng.integers(0, n + 1))):
        p[i] = choose.between(1e-7, 1e-4)
    p[-1] = 1 - p[:-1].sum()
    c = p * choose.one_of(1.0, 1e3, 1e6)

    def fun(q: Any) -> Any:
        return -(c[:-1] @ np.log(q) + c[-1] * np.log(1 - q.sum()))

    def jac(q: Any) -> Any:
        return c[-1] / (1 - q.sum()) - c[:-1] / q

    return of_smooth(fun, p[:-1], np.minimum(p[:-1], p[-1]), jac, analytic=True)


@member("proportions")
def log_odds(choose: Chooser) -> State:
    """N log(1 + Σ exp θ) − cᵀθ: the multinomial likelihood in log odds."""
    n = int(choose.rng.integers(1, 5))
    odds = choose.between(1e-5 if choose.chance(0.5) else 0.05, 3, n)
    total = choose.one_of(1.0, 1e3, 1e6)
    c = total * odds / (1 + odds.sum())

    def fun(z: Any) -> Any:
        return total * np.log(1 + np.exp(z).sum()) - c @ z

    def jac(z: Any) -> Any:
        e = np.exp(z)
        return total * e / (1 + e.sum()) - c

    return of_smooth(fun, np.log(odds), 1.0, jac, analytic=True)


@member("proportions", 2)
def equilibrium(choose: Chooser) -> State:
    """Σ x (log(x/c) − 1): amounts of 1e-6 … 1e-12 beside 1, a balance that holds or none, f's domain clipped or not."""
    n = int(choose.rng.integers(2, 6))
    c = choose.rng.uniform(0.2, 2, n)
    rare = int(choose.rng.integers(1, n))
    c[:rare] = choose.between(1e-12, 1e-6, rare)
    balance = choose.rng.integers(0, 3, n).astype(np.float64) if choose.chance(0.4) else np.zeros(n)
    held = float(balance @ c)
    floor = choose.one_of(None, None, 1e-300, 1e-30)
    x0 = c if choose.chance(0.6) else c * (1 + choose.one_of(1e-8, 1e-6, 1e-3) * choose.rng.standard_normal(n))

    def smooth(x: Any) -> Any:
        return (x * (np.log(x / c) - 1)).sum() + (balance @ x - held) ** 2

    def slope(x: Any) -> Any:
        return np.log(x / c) + 2 * (balance @ x - held) * balance

    if floor is None:
        return of_smooth(smooth, x0, x0, slope, analytic=True)
    return of_smooth(
        lambda x: smooth(np.maximum(x, floor)),
        x0,
        x0,
        lambda x: slope(np.maximum(x, floor)),
        exact=smooth,
        kind="clipped",
    )
