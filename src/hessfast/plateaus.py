"""Two curvatures of one f: that of its ripples, seen at short steps, and that of what carries them, seen at long ones.

A solver's steps, a table, fixed random paths, a grid leave f smooth between their own marks: there it is as accurate as
float64 allows, and no short step tells that its curvature is not that of the whole. Where second differences settle at
steps of the coordinates' own sizes, and on another value than at short ones, both are curvatures of f, and nobody
can know which is meant. Where f only has a short natural length they do not settle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hessfast.execution import Team
from hessfast.ladder import Axis
from hessfast.noise import NoiseModel

Array = NDArray[np.float64]
Ask = Callable[[Array], tuple[Array, Array]]

_FIRST, _FURTHER = (-4, -5, -6), (-2, -3, -7, -8)
"""Steps looked at first, and where they disagree with the Hessian, in binary digits of the sizes of the coordinates."""

_STEP = {
    -level: 2.0**-level * (1.0 + off) for level, off in enumerate((0.11, -0.07, 0.13, 0.02, -0.12, 0.06, -0.03), 2)
}
"""Those steps, a little uneven: many periods of a wave that all even steps hold are one long wave to them."""

SHORT = 2
"""Rungs below the default at which the step of an axis says that f is not smooth over the size of the coordinate."""

_SMOOTH = 0.02
"""Part of the change between two differences that smoothness leaves after extrapolation, at least."""

_SETTLED, _BARELY = 0.05, 0.3
"""Relative change from one difference to the next on a plateau, at most; the latter where short steps see nothing of
the curvature there."""

_NEAR, _HARDLY = 0.1, 1.0
"""Distance of f(x) from the parabola of a plateau, in units of what that comes to on it, at most; the latter again
where short steps see nothing."""

_NOTHING = 1e-3
"""Part of the curvature of a plateau that is nothing of it."""

_FALLS = 0.4
"""Factor by which the distance of a difference from the Hessian's value must fall where its step is halved, at least:
smoothness makes it 1/4."""

_DEVIATIONS = 6.0
"""Standard deviations of the noise that are allowed."""

_NOISE = 4.0
"""Standard deviation of an extrapolated difference times the square of its middle step, for unit noise in f."""


class Roughness(NamedTuple):
    """What long steps show of an f that is rough.

    Attributes
    ----------
    height : float
        Distance of f from the parabola of the plateau, at most.
    curvature, change : float
        Of the plateau, and what it changes by along it.
    """

    height: float
    curvature: float
    change: float


def roughness(ask: Ask, curvature: float, bar: float, noise: NoiseModel, sure: bool = False) -> Roughness | None:
    """Return the roughness of f that shows at long steps along one line, None where f is smooth.

    Parameters
    ----------
    ask : callable
        ``ask(t)``: values of f at x + t v and at x - t v, two arrays like t, nan where there are none; v is a
        displacement of about the sizes of the coordinates, and a fourth of it each way must lie inside the bounds.
    curvature, bar : float
        vᵀHv as short steps have it, and its error bar.
    noise : NoiseModel
    sure : bool
        That a long step is known not to show what short ones foretell, and that no kink does that.

    Notes
    -----
    Where f is smooth, second differences at ever shorter steps converge to the curvature as fast as the square of the
    step. Where they first settle on a plateau, and then leave it or never come to the curvature of short steps, what
    lies between is roughness. Where they never settle f has a short natural length. 6 evaluations of f, 8 more where
    the first disagree with the curvature beyond what smoothness explains.
    """
    means: dict[int, float] = {}
    rounding: dict[int, float] = {}

    def look(levels: Sequence[int]) -> bool:
        finite = True
        for level, ahead, behind in zip(levels, *ask(np.array([_STEP[level] for level in levels])), strict=True):
            if math.isfinite(ahead) and math.isfinite(behind):
                means[level] = float(0.5 * ((ahead - noise.f0) + (behind - noise.f0)))
                rounding[level] = noise.at(float(max(ahead, behind, key=abs)))
            else:
                finite = False
        return finite

    def difference(level: int) -> float:
        """Second difference between one step and the next shorter one: it knows nothing of f(x)."""
        return 2.0 * (means[level] - means[level - 1]) / (_STEP[level] ** 2 - _STEP[level - 1] ** 2)

    def extrapolated(level: int) -> float:
        """Value that this difference and the next shorter one have at no step: they go with the sum of squares."""
        far, near = (_STEP[k] ** 2 + _STEP[k - 1] ** 2 for k in (level, level - 1))
        shorter = difference(level - 1)
        return shorter + (shorter - difference(level)) * near / (far - near)

    def allowed(level: int) -> float:
        return bar + _DEVIATIONS * _NOISE * rounding[level] / 4.0 ** (level - 1)

    if not look(_FIRST):
        return None
    change, value = abs(difference(-4) - difference(-5)), extrapolated(-4)
    bent = change * change / max(abs(value), change) if change > 0.0 else 0.0
    if not sure and abs(value - curvature) <= allowed(-5) + _SMOOTH * change + bent:
        return None
    if sure and change > _BARELY * abs(value) and curvature != 0.0:
        return None
    look(_FURTHER)
    seen = {k: difference(k) for k in range(-7, -1) if k in means and k - 1 in means}
    settled = [k for k in sorted(seen, reverse=True) if k - 1 in seen and _is_settled(seen, k, curvature)]
    if not settled or (not sure and _is_kink([seen[k] for k in sorted(seen, reverse=True)], allowed(min(seen)))):
        return None
    level = settled[0]
    value = extrapolated(level)
    beside = {k: abs(means[k] - 0.5 * value * _STEP[k] ** 2) for k in means if k <= level}
    near = _HARDLY if abs(curvature) <= _NOTHING * abs(value) else _NEAR
    if beside[level] > near * abs(value) * 4.0**level:
        return None  # x lies in a well of its own, with f around it on another level
    off = {k: abs(difference - curvature) for k, difference in seen.items() if k <= level}
    falls = not any(off[k - 1] > _FALLS * off[k] + allowed(k - 1) for k in off if k - 1 in off)
    if falls and not sure:
        return None
    height = max(distance for k, distance in beside.items() if k < level)
    return Roughness(height, value, abs(seen[level] - seen[level - 1]))


def along_axes(team: Team, coordinates: NDArray[np.int32], v: Array) -> Ask:
    """Return what asks f along v, which moves the coordinates (m,) alone."""

    def ask(steps: Array) -> tuple[Array, Array]:
        points = np.tile(team.x, (2 * steps.size, 1))
        points[:, coordinates] += np.concatenate([steps, -steps])[:, None] * v
        values = team.probe(points)
        return values[: steps.size], values[steps.size :]

    return ask


def _is_kink(seen: list[float], allowed: float) -> bool:
    """Whether differences at ever shorter steps go away like 1/t: f has a kink, or a wall, somewhere nearby.

    That is how a piece of other curvature, or slope, that begins at some distance shows until steps come so near.
    """
    changes = [b - a for a, b in pairwise(seen)][-3:]
    ratios = [b / a for a, b in pairwise(changes) if a != 0.0]
    return len(ratios) == 2 and all(1.4 < ratio < 2.9 for ratio in ratios) and abs(changes[-1]) > allowed


def _is_settled(seen: dict[int, float], level: int, curvature: float) -> bool:
    """Whether differences stand on a plateau from this level to the next.

    The one after that, in which roughness shows four times as much, may leave it, but not by more than the plateau's
    own height: many periods of a wave agree by accident once, not twice.
    """
    longer, shorter, next_one = seen[level], seen[level - 1], seen.get(level - 2, seen[level - 1])
    change, size = abs(longer - shorter), abs(shorter)
    if abs(curvature) <= _NOTHING * size:
        return change <= _BARELY * size
    return change <= _SETTLED * size and abs(next_one - shorter) <= size


def direction_inside(axes: Sequence[Axis], start: int) -> Array:
    """Return a direction of the sizes of the axes, of irregular signs.

    It is 0 where bounds leave no room for a fourth of the size, and where the step of an axis is not short against the
    default rung `start`, for f is smooth there over longer steps, or longer than that of others: what is short for one
    coordinate and long for another says nothing.
    """
    rungs = [math.inf if axis.ladder is None or (rung := axis.ladder.best()) is None else rung.k for axis in axes]
    highest = min(min(rungs) + 1, start - SHORT)
    random = np.random.default_rng(20191)
    lengths = random.choice((-1.0, 1.0), len(axes)) * random.uniform(0.5, 1.0, len(axes))
    reach = _STEP[max(_FIRST)]  # a further step that leaves the bounds is not taken
    v = [
        length * axis.size if k <= highest and _has_room(axis, reach * axis.size) else 0.0
        for length, axis, k in zip(lengths.tolist(), axes, rungs, strict=True)
    ]
    return np.array(v)


def _has_room(axis: Axis, reach: float) -> bool:
    return axis.inside(reach) and axis.inside(-reach)
