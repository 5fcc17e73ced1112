"""Noise level of f: how far its computed values scatter about a smooth function.

The noise is estimated by ECnoise [1]_: a difference table of f at equally spaced points so close together that a
smooth f contributes nothing to the higher differences; what is left there is noise.

References
----------
.. [1] J. J. Moré and S. M. Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011) 1292-1314.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Rows, Search
from hessfast.values.ladder import Axis
from hessfast.values.noise import ROUNDING, NoiseModel
from hessfast.values.policy import POLICY, Policy

Array = NDArray[np.float64]
At = Callable[[float, Sequence[float]], Search[list[float]]]

POINTS = 7
"""Values in a difference table, f(x) among them."""

FEW = 64
"""Axes up to which the signs of a table are kept from one call to the next."""


def difference_table(values: Sequence[float]) -> tuple[float, bool]:
    """Estimate the noise in equally spaced values of f.

    Returns
    -------
    level : float
        Estimated standard deviation.
    resolved : bool
        Three successive orders of differences agree within a factor of 4 and change sign: the differences are noise.

    Notes
    -----
    The k-th differences of white noise of variance σ² have variance σ² (2k)!/(k!)²; differences of one order estimate σ
    each on their own (Moré & Wild 2011, section 3). Unresolved, the highest differences count: a smooth part has died
    out there as far as it can.
    """
    row = list(values)
    gamma = 1.0
    levels: list[float] = []
    signs: list[bool] = []
    for k in range(1, len(values)):
        row = [b - a for a, b in pairwise(row)]
        gamma *= 0.5 * k / (2 * k - 1)
        levels.append(math.sqrt(gamma / len(row)) * math.hypot(*row))
        signs.append(min(row) < 0.0 < max(row))
    for k in range(len(levels) - 2):
        three = levels[k : k + 3]
        if signs[k] and max(three) <= 4.0 * min(three):
            return three[0], True
    return min(levels[-3:]), False


@cache
def _of_few(count: int) -> list[float]:
    """The numbers in [0, 1) that fix the irregular signs of few axes: to make a generator costs more than their table.

    They are kept, those of many axes are not.
    """
    return _draws(count)


def _draws(count: int, rng: np.random.Generator | int | None = None) -> list[float]:
    draws: list[float] = np.random.default_rng(20110 if rng is None else rng).random(count).tolist()
    return draws


def direction(axes: Sequence[Axis], n: int, spacing: float, rng: np.random.Generator | int | None = None) -> Array:
    """Step of a difference table: irregular signs, fixed by default, into the box where it is narrow.

    A coordinate without room for the whole table is left in place.
    """
    count = len(axes)
    draws = _of_few(count) if rng is None and count <= FEW else _draws(count, rng)
    steps = np.zeros(n)
    for axis, draw in zip(axes, draws, strict=True):
        step = spacing * axis.unit
        for side in (1.0, -1.0) if draw < 0.5 else (-1.0, 1.0):
            if axis.inside(side * (POINTS - 1) * step):
                steps[axis.index] = side * step
                break
    return steps


def along(at: At, f_x: float, widest: float = math.inf, policy: Policy = POLICY) -> Search[float]:
    """Estimate the noise level of f on one line.

    Parameters
    ----------
    at : callable
        ``at(spacing, multiples)`` asks for values of f at x + (multiple * spacing) d, d a displacement by about the
        sizes of the coordinates; empty where there is no room for them.
    f_x : float
        f(x).
    widest : float
        Spacings beyond this are not tried.
    policy : Policy

    Returns
    -------
    float
        Standard deviation, 0.0 where no table tells any.

    Notes
    -----
    The smallest noise that the values allow is returned: noise that is underrated refutes itself in every later
    check, while too much of it hides all that could refute it. So the first table in which f moves decides: at a
    stationary point the seven values of the narrowest are one number, and wider ones begin to see f's own change.
    Wider tables are for staircases (f computed in float32, rounded, on top of a large offset), whose narrow tables are
    too regular, and a staircase is known by its steps: between two of its values there is none. Costs 6 evaluations
    where f moves in the first table, 6 more for each wider one, and up to 5 to tell a staircase.
    """
    levels: list[float] = []
    stair = 0.0
    for spacing in policy.spacings:
        if spacing > widest:
            break
        values = [f_x, *(yield from at(spacing, range(1, POINTS)))]
        if len(values) < POINTS or not all(map(math.isfinite, values)):
            break
        changes = [abs(b - a) for a, b in pairwise(values) if a != b]
        if 2 * len(changes) < POINTS - 1:
            if changes and min(changes) > policy.coarse * max(map(abs, values)):
                stair = min(changes)
            continue
        level, resolved = difference_table(values)
        levels.append(level)
        if spacing == policy.spacings[0]:
            break
        stair = stair or (yield from _stair(at, spacing, values, policy))
        if stair == 0.0 or resolved:
            break
    return max(min(levels, default=0.0), stair / math.sqrt(12.0))  # standard deviation of a rounding error


def _stair(at: At, spacing: float, values: Sequence[float], policy: Policy) -> Search[float]:
    """Return the height of a step where f is a staircase, 0.0 where it is none or its steps are those of float64.

    In the interval of the table over which f changes most, f is asked at ever smaller parts: at 1/16 of its way to the
    next value a smooth f has moved, but less; a staircase stands still or has taken a whole step.
    """
    scale = policy.coarse * max(map(abs, values))
    start = max(range(POINTS - 1), key=lambda k: abs(values[k + 1] - values[k]))
    change = abs(values[start + 1] - values[start])
    for k in range(1, 6):
        if change <= scale:
            return 0.0
        nearer = yield from at(spacing, [start + 16.0**-k])
        if not nearer or not math.isfinite(nearer[0]):
            return 0.0
        moved = abs(nearer[0] - values[start])
        if moved == 0.0:
            return change
        change = min(change, moved)
    return 0.0


def measure(
    x: Array,
    f_x: float,
    axes: Sequence[Axis],
    displaced: tuple[Axis, float] | None = None,
    rng: np.random.Generator | int | None = None,
    widest: float = math.inf,
    policy: Policy = POLICY,
) -> Search[NoiseModel]:
    """Measure the noise of f at x along one irregular direction.

    The axes judge their room from their own origin: one along which x is displaced from it, `displaced`, takes part
    only where the others tell nothing, as at a minimum, and towards its origin.
    """

    def at(spacing: float, multiples: Sequence[float], with_displaced: bool = False) -> Search[list[float]]:
        step = direction(axes, x.size, spacing, rng)
        if displaced is not None:
            axis, away = displaced
            step[axis.index] = math.copysign(spacing * axis.unit, -away) if with_displaced else 0.0
        if not step.any():
            return []
        values = yield Rows(x + np.array(multiples)[:, None] * step)
        found: list[float] = values.tolist()
        return found

    level = yield from along(at, f_x, widest, policy)
    if level == 0.0 and displaced is not None:
        level = yield from along(partial(at, with_displaced=True), f_x, widest, policy)
    return NoiseModel(f_x, max(level, ROUNDING * abs(f_x)), ROUNDING)
