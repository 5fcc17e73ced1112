"""Minima of smooth functions, exact or where an optimiser left them."""

from __future__ import annotations

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
