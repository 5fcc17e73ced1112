"""Minima of smooth functions, exact or where an optimiser left them."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.states.state import EPS, Chooser, Floats, State, member
from problems.states.terms import CURVES, Terms, separate

LEFT = (0.0, 1e-8, 1e-6, 1e-4)  # lengths from the minimum


def place(choose: Chooser, n: int) -> tuple[Floats, Floats]:
    """Return a point (n,) and natural lengths between |x_i| and a thousandth of it."""
    centre = choose.between(1e-3, 1e3) * choose.between(0.1, 10, n) * choose.signs(n)
    shares = choose.between(1e-3, 1, n) if choose.chance(0.5) else np.full(n, choose.between(1e-3, 1))
    if choose.chance(0.3):
        centre = np.round(centre, 3 - int(np.floor(np.log10(np.abs(centre).min()))))  # numbers as people write them
    return centre, np.abs(centre) * shares


def constant(choose: Chooser) -> float:
    """Return what a likelihood or an energy starts from."""
    kind = choose.one_of("none", "one", "large", "small", "any")
    return {"none": 0.0, "one": 1.0, "large": 1e3, "small": 1e-6, "any": float(choose.rng.normal(0, 30))}[kind]


def leave(choose: Chooser, centre: Floats, lengths: Floats) -> Floats:
    """Return the point at which an optimiser stops."""
    return centre + choose.one_of(*LEFT) * lengths * choose.rng.standard_normal(centre.size)


def stand(choose: Chooser, centre: Floats, lengths: Floats) -> Floats:
    """Return the point at which an optimiser stops, or one on the way there."""
    if choose.chance(0.5):
        return leave(choose, centre, lengths)
    return centre + 0.3 * lengths * choose.rng.standard_normal(centre.size)


@member("optima", 2)
def one_curve(choose: Chooser) -> State:
    """constant + Σ φ((z − x0)/L), one φ for all."""
    n = int(choose.rng.integers(1, 7))
    centre, lengths = place(choose, n)
    name = choose.one_of("log_cosh", *CURVES)
    f = Terms(constant(choose), centre, separate(n * [name], np.ones(n), lengths))
    return f.at(leave(choose, centre, lengths), lengths, kind=name)


@member("optima")
def weighed(choose: Chooser) -> State:
    """Another φ and another weight for each coordinate."""
    n = int(choose.rng.integers(2, 7))
    centre, lengths = place(choose, n)
    names = [choose.one_of(*CURVES) for _ in range(n)]
    f = Terms(constant(choose), centre, separate(names, choose.between(0.03, 30, n), lengths))
    return f.at(leave(choose, centre, lengths), lengths)


@member("optima")
def coupled(choose: Chooser) -> State:
    """Every coordinate, and further directions in which several move together."""
    n = int(choose.rng.integers(2, 7))
    centre, lengths = place(choose, n)
    names = [choose.one_of(*CURVES) for _ in range(n)]
    together = choose.rng.standard_normal((int(choose.rng.integers(1, n + 1)), n)) / np.sqrt(n) / lengths
    more = (CURVES[choose.one_of(*CURVES)], choose.between(0.1, 3, len(together)), together)
    f = Terms(constant(choose), centre, (*separate(names, np.ones(n), lengths), more))
    return f.at(leave(choose, centre, lengths), lengths)


@member("optima")
def beside_a_zero(choose: Chooser) -> State:
    """f = 0 at its minimum, next to which most of it rounds to nothing, and a small rest does not."""
    n = int(choose.rng.integers(1, 5))
    centre, lengths = place(choose, n)
    names = [choose.one_of("hypot", "cosh", "log_cosh") for _ in range(n)]
    weights = choose.between(0.1, 10, n)
    rest = (CURVES["quartic"], choose.between(1e-8, 1e-2, n), np.diag(1 / lengths))
    f = Terms(0.0, centre, (*separate(names, weights, lengths), rest))
    x0 = centre + choose.between(1e-12, 1e-8, n) * lengths * choose.rng.standard_normal(n)
    return f.at(x0, lengths, noise=EPS * float(weights.sum()))


class Residuals:
    """Σ_k r_k², r_k = Σ_j p_kj x_j² + q_kj x_j − s_k: zero at a point, up to what its arguments round to."""

    def __init__(self, p: Floats, q: Floats, at: Floats) -> None:
        self.p, self.q = p, q
        self.s = p @ at**2 + q @ at

    def residuals(self, x: Any) -> Any:
        return self.p @ x**2 + self.q @ x - self.s

    def slopes(self, x: Any) -> Any:
        return 2 * self.p * x + self.q

    def __call__(self, x: Any) -> Any:
        r = self.residuals(x)
        return r @ r

    def jac(self, x: Any) -> Any:
        return 2 * (self.residuals(x) @ self.slopes(x))

    def hess(self, x: Floats) -> Floats:
        wide = x.astype(np.longdouble)
        J = self.slopes(wide)
        return (2 * (J.T @ J) + 4 * np.diag(self.residuals(wide) @ self.p)).astype(np.float64)


@member("optima")
def zero_residuals(choose: Chooser) -> State:
    """A system of equations as a sum of squares, at its solution: often a point of round numbers."""
    n = int(choose.rng.integers(1, 6))
    centre = choose.rng.integers(1, 6, n) * choose.signs(n) if choose.chance(0.5) else choose.between(0.1, 10, n)
    rows = n + int(choose.rng.integers(0, 3))
    p, q = choose.rng.standard_normal((rows, n)), choose.rng.standard_normal((rows, n)) * np.abs(centre)
    f = Residuals(p, q, centre.astype(np.float64))
    x0 = leave(choose, centre.astype(np.float64), np.abs(centre))
    J = f.slopes(x0.astype(np.longdouble))
    rounding = EPS * (np.abs(p) @ x0**2 + np.abs(q) @ np.abs(x0) + np.abs(f.s))
    return State(
        fun=f,
        jac=f.jac,
        x0=x0,
        grad=np.asarray(f.jac(x0.astype(np.longdouble)), dtype=np.float64),
        hess=f.hess(x0),
        lengths=np.abs(x0),
        noise=float(2 * np.abs(f.residuals(x0)) @ rounding + rounding @ rounding),
        gradient_noise=float(np.max(2 * rounding @ np.abs(J))),
        analytic=True,
    )
