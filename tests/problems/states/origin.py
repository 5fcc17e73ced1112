"""Coordinates next to zero, where |x_i| says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.states.state import EPS, Chooser, Floats, State, member, of_smooth
from problems.states.terms import CURVES, Terms, separate

TINY = (1e-6, 1e-8, 1e-12, 1e-17, 1e-30, 1e-100, 1e-300, 5e-324)


def tiny(choose: Chooser, size: int) -> Floats:
    """Return what an optimiser or an exact zero leaves: 1e-6 … 5e-324."""
    exponent = choose.rng.uniform(-324, -6, size) if choose.chance(0.3) else choose.rng.uniform(-20, -6, size)
    picked = 10.0**exponent if choose.chance(0.6) else np.array([choose.one_of(*TINY) for _ in range(size)])
    return np.maximum(picked, 5e-324) * choose.signs(size)


def point(choose: Chooser, n: int) -> Floats:
    """Return n coordinates of size 1, one to three of them next to zero; or all of them."""
    x = choose.rng.uniform(0.2, 2, n) * choose.signs(n)
    if choose.chance(0.15):
        return choose.one_of(1e-8, 1e-12, 1e-17, 1e-4) * x
    small = choose.rng.permutation(n)[: int(choose.rng.integers(1, min(3, n) + 1))]
    x[small] = tiny(choose, small.size)
    return x


@member("near zero", 2)
def sums(choose: Chooser) -> State:
    """Curves of length 1, centred elsewhere, with couplings."""
    n = int(choose.rng.integers(1, 6))
    centre = choose.rng.uniform(-1, 1, n) if choose.chance(0.5) else np.zeros(n)
    names = [choose.one_of(*CURVES) for _ in range(n)]
    blocks = separate(names, np.ones(n), np.ones(n))
    if n > 1 and choose.chance(0.6):
        together = choose.rng.standard_normal((int(choose.rng.integers(1, n + 1)), n)) / np.sqrt(n)
        blocks = (*blocks, (CURVES[choose.one_of(*CURVES)], choose.between(0.3, 3, len(together)), together))
    return Terms(choose.one_of(0.0, 1.0, 10.0), centre, blocks).at(point(choose, n), 1.0)


@member("near zero")
def quadratic(choose: Chooser) -> State:
    """½ xᵀAx + bᵀx: the gradient is linear."""
    n = int(choose.rng.integers(2, 6))
    B = choose.rng.standard_normal((n, n))
    A = np.array([[1.0, 1.0], [1.0, 2.0]]) if n == 2 else B @ B.T / n + 0.3 * np.eye(n)
    b = choose.rng.standard_normal(n) if choose.chance(0.5) else np.zeros(n)
    x0 = point(choose, n)
    fun = lambda x: x @ (A @ x) / 2 + b @ x  # noqa: E731
    return of_smooth(fun, x0, 1.0, lambda x: A @ x + b, analytic=True)


@member("near zero")
def cosh_sum(choose: Chooser) -> State:
    """Σ cosh x: the gradient is sinh."""
    n = int(choose.rng.integers(1, 5))
    x0 = point(choose, n)
    return State(
        fun=lambda x: np.cosh(x).sum(),
        jac=np.sinh,
        x0=x0,
        grad=np.sinh(x0),
        hess=np.diag(np.cosh(x0)),
        lengths=np.ones(n),
        noise=EPS * n,
        analytic=True,
    )


@member("near zero", 2)
def logistic(choose: Chooser) -> State:
    """Logistic regression with weights next to zero, with a ridge or without."""
    n = int(choose.rng.integers(2, 6))
    A = choose.rng.standard_normal((20, n)) * choose.rng.choice([-1.0, 1.0], (20, 1))
    ridge = choose.one_of(0.0, 0.1, 1.0)

    def fun(w: Any) -> Any:
        return np.log1p(np.exp(-(A @ w))).sum() + ridge / 2 * (w @ w)

    def jac(w: Any) -> Any:
        return -(1 / (1 + np.exp(A @ w))) @ A + ridge * w

    w = choose.one_of(1e-17, 1e-16, 1e-24, 1e-31) * choose.rng.standard_normal(n)
    w = w if choose.chance(0.3) else np.where(choose.rng.random(n) < 0.5, w, choose.rng.uniform(-1, 1, n))
    return of_smooth(fun, w, 1.0, jac, analytic=True)


@member("near zero")
def network(choose: Chooser) -> State:
    """One hidden layer of tanh, squared error: weights that a penalty has driven to zero."""
    t = np.linspace(-1, 1, 12)
    y = choose.rng.standard_normal(12)
    penalty = choose.one_of(0.0, 0.05)

    def fun(x: Any) -> Any:
        r = -y
        for a, b, c in ((x[0], x[1], x[2]), (x[3], x[4], x[5])):
            r = r + c * np.tanh(a * t + b)
        return (r * r).sum() / 12 + penalty * (x * x).sum()

    def jac(x: Any) -> Any:
        hidden = [np.tanh(x[3 * k] * t + x[3 * k + 1]) for k in range(2)]
        r = (x[2] * hidden[0] + x[5] * hidden[1] - y) / 6
        g = np.empty_like(x)
        for k in range(2):
            inner = r * x[3 * k + 2] * (1 - hidden[k] ** 2)
            g[3 * k], g[3 * k + 1], g[3 * k + 2] = inner @ t, inner.sum(), r @ hidden[k]
        return g + 2 * penalty * x

    x0 = choose.rng.uniform(0.3, 1.5, 6) * choose.signs(6)
    small = choose.rng.permutation(6)[: int(choose.rng.integers(1, 4))]
    x0[small] = tiny(choose, small.size)
    return of_smooth(fun, x0, 1.0, jac, analytic=True)


@member("near zero")
def flat_minimum(choose: Chooser) -> State:
    """Rastrigin, Bohachevsky: minima at the origin left at 1e-9, where f is exactly 0 and flat around."""
    left = choose.between(1e-11, 1e-8) * choose.rng.standard_normal(2)
    if choose.chance(0.5):

        def fun(x: Any) -> Any:
            return 10 * x.size + (x**2 - 10 * np.cos(2 * np.pi * x)).sum()

        def jac(x: Any) -> Any:
            return 2 * x + 20 * np.pi * np.sin(2 * np.pi * x)

        n = int(choose.rng.integers(1, 5))
        return of_smooth(fun, np.resize(left, n), 0.16, jac, analytic=True, noise=EPS * 10 * n, kind="rastrigin")

    def fun(x: Any) -> Any:
        return x[0] ** 2 + 2 * x[1] ** 2 - 0.3 * np.cos(3 * np.pi * x[0]) - 0.4 * np.cos(4 * np.pi * x[1]) + 0.7

    def jac(x: Any) -> Any:
        scale = np.array([0.9 * np.pi, 1.6 * np.pi])
        return np.array([2.0, 4.0]) * x + scale * np.sin(np.array([3 * np.pi, 4 * np.pi]) * x)

    return of_smooth(fun, left, 0.1, jac, analytic=True, noise=EPS, kind="bohachevsky")


@member("near zero")
def chain(choose: Chooser) -> State:
    """Σ (1 − cos x_i) + k Σ (1 − cos(x_{i+1} − x_i)): angles that 1 − cos does not see."""
    n = int(choose.rng.integers(2, 6))
    k = choose.between(0.3, 3)
    D = np.diff(np.eye(n), axis=0)
    one_minus_cos = (lambda u: 1 - np.cos(u), np.sin, np.cos)
    f = Terms(0.0, np.zeros(n), ((one_minus_cos, np.ones(n), np.eye(n)), (one_minus_cos, np.full(n - 1, k), D)))
    x0 = choose.one_of(1e-18, 1e-12, 1e-9) * choose.rng.standard_normal(n)
    if choose.chance(0.4):
        x0[int(choose.rng.integers(n))] = choose.rng.uniform(0.2, 1)
    return f.at(x0, 1.0, noise=EPS * n)
