"""Functions that answer differently at each call: minibatches, fresh paths, dropout, noise, drift."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from problems.states.optima import constant, place, stand
from problems.states.state import Chooser, State, member
from problems.states.terms import CURVES, Terms, separate


class Random:
    """(x, rng) -> value as a function of x alone, from a stream of random numbers of its own."""

    def __init__(self, fun: Callable[[Any, np.random.Generator], Any], seed: int) -> None:
        self.fun, self.seed = fun, seed
        self.restart()

    def restart(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def __call__(self, x: Any) -> Any:
        return self.fun(x, self.rng)


def random_state(choose: Chooser, fun: Any, jac: Any, **fields: Any) -> State:
    seed = int(choose.rng.integers(2**31))
    return State(fun=Random(fun, seed), jac=Random(jac, seed + 1), smooth=False, **fields)


def smooth_sum(choose: Chooser) -> tuple[Terms, Any, Any]:
    n = int(choose.rng.integers(1, 5))
    centre, lengths = place(choose, n)
    f = Terms(constant(choose), centre, separate([choose.one_of(*CURVES) for _ in range(n)], np.ones(n), lengths))
    x0 = stand(choose, centre, lengths)
    return f, x0, lengths


@member("chance")
def noise(choose: Chooser) -> State:
    """Independent normal noise of 1e-8 … 1e-1 of f, or of its change."""
    f, x0, lengths = smooth_sum(choose)
    level = choose.between(1e-8, 1e-1)
    size = level * (1 if choose.chance(0.5) else max(abs(float(f(x0))), 1e-3))
    slopes = level / lengths
    return random_state(
        choose,
        lambda x, rng: f(x) + size * rng.standard_normal(),
        lambda x, rng: f.jac(x) + slopes * rng.standard_normal(x.size),
        x0=x0,
        grad=f.jac(x0),
        hess=f.hess(x0),
        lengths=lengths,
        noise=size,
    )


@member("chance")
def minibatch(choose: Chooser) -> State:
    """A mean over a fresh part of the data at each call: logistic or least squares."""
    n, m = int(choose.rng.integers(1, 5)), 200
    A, x0 = choose.rng.standard_normal((m, n)), choose.rng.uniform(-1, 1, n)
    batch, logistic = int(choose.between(10, 150)), choose.chance(0.5)
    y = choose.signs(m) if logistic else A @ x0 + choose.between(0.1, 3) * choose.rng.standard_normal(m)

    def fun(x: Any, rng: Any) -> Any:
        k = rng.integers(m, size=batch)
        u = A[k] @ x
        return np.log1p(np.exp(-y[k] * u)).mean() if logistic else ((u - y[k]) ** 2).mean()

    def jac(x: Any, rng: Any) -> Any:
        k = rng.integers(m, size=batch)
        u = A[k] @ x
        return (-y[k] / (1 + np.exp(y[k] * u)) if logistic else 2 * (u - y[k])) @ A[k] / batch

    u = A @ x0
    bend = 1 / np.cosh(u / 2) ** 2 / 4 if logistic else np.full(m, 2.0)
    slope = -y / (1 + np.exp(y * u)) if logistic else 2 * (u - y)
    return random_state(
        choose,
        fun,
        jac,
        x0=x0,
        grad=slope @ A / m,
        hess=(A.T * bend) @ A / m,
        lengths=np.ones(n),
        noise=1.0,
        kind=f"batch {batch}",
    )


@member("chance")
def fresh_paths(choose: Chooser) -> State:
    """The mean of Σ (u²/2 + u⁴/24), u = x + s z, over normal z drawn anew at each call."""
    n, paths, s = int(choose.rng.integers(1, 4)), int(choose.between(30, 1000)), choose.between(0.01, 1)
    x0 = choose.rng.uniform(-1, 1, n)

    def fun(x: Any, rng: Any) -> Any:
        u = x + s * rng.standard_normal((paths, n))
        return (u**2 / 2 + u**4 / 24).sum() / paths

    def jac(x: Any, rng: Any) -> Any:
        u = x + s * rng.standard_normal((paths, n))
        return (u + u**3 / 6).sum(axis=0) / paths

    grad = x0 + (x0**3 + 3 * x0 * s**2) / 6
    hess = np.diag(1 + (x0**2 + s**2) / 2)
    return random_state(
        choose, fun, jac, x0=x0, grad=grad, hess=hess, lengths=np.ones(n), noise=s, kind=f"{paths} paths"
    )


@member("chance")
def dropout(choose: Chooser) -> State:
    """Least squares with each input left out at random: E adds a ridge of its own."""
    n, m, keep = int(choose.rng.integers(1, 5)), 40, choose.one_of(0.5, 0.8, 0.95)
    A, x0 = choose.rng.standard_normal((m, n)), choose.rng.uniform(-1, 1, n)
    y = A @ x0 + 0.3 * choose.rng.standard_normal(m)

    def residual(x: Any, rng: Any) -> tuple[Any, Any]:
        B = A * (rng.random((m, n)) < keep) / keep
        return B @ x - y, B

    def fun(x: Any, rng: Any) -> Any:
        r, _ = residual(x, rng)
        return r @ r / m

    def jac(x: Any, rng: Any) -> Any:
        r, B = residual(x, rng)
        return 2 * (r @ B) / m

    ridge = (A**2).sum(axis=0) * (1 - keep) / keep
    hess = 2 * (A.T @ A + np.diag(ridge)) / m
    grad = 2 * (A.T @ (A @ x0 - y) + ridge * x0) / m
    return random_state(choose, fun, jac, x0=x0, grad=grad, hess=hess, lengths=np.ones(n), noise=1.0)


class Drifting:
    """f that grows a little with each call."""

    def __init__(self, fun: Callable[[Any], Any], step: Any, walk: bool, seed: int) -> None:
        self.fun, self.step, self.walk, self.seed = fun, step, walk, seed
        self.restart()

    def restart(self) -> None:
        self.far: Any = 0.0
        self.rng = np.random.default_rng(self.seed)

    def __call__(self, x: Any) -> Any:
        self.far = self.far + self.step * (self.rng.standard_normal(np.shape(self.step)) if self.walk else 1.0)
        return self.fun(x) + self.far


@member("chance", 0.7)
def drift(choose: Chooser) -> State:
    """A smooth sum that drifts by 1e-9 … 1e-3 of a change per call, steadily or at random."""
    f, x0, lengths = smooth_sum(choose)
    level, walk, seed = choose.between(1e-9, 1e-3), choose.chance(0.5), int(choose.rng.integers(2**31))
    return State(
        fun=Drifting(f, level, walk, seed),
        jac=Drifting(f.jac, level / lengths, walk, seed),
        x0=x0,
        grad=f.jac(x0),
        hess=f.hess(x0),
        lengths=lengths,
        noise=level,
        smooth=False,
        kind="walk" if walk else "drift",
    )
