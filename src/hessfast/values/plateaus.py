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

from hessfast.calls.points import Rows, Search
from hessfast.values.ladder import Axis
from hessfast.values.noise import NoiseModel

Array = NDArray[np.float64]
Ask = Callable[[Array], Search[tuple[Array, Array]]]

_FIRST, _LONGER, _SHORTER = (-4, -5, -6), (-2, -3), (-7, -8)
"""Steps looked at first, where they disagree with the Hessian, and where differences then settle, in binary digits of
the sizes of the coordinates."""

_STEP = {
    -level: 2.0**-level * (1.0 + off) for level, off in enumerate((0.11, -0.07, 0.13, 0.02, -0.12, 0.06, -0.03), 2)
}
"""Those steps, a little uneven: many periods of a wave that all even steps hold are one long wave to them."""

SHORT = 2
"""Rungs below the default at which the step of an axis says that f is not smooth over the size of the coordinate."""

_UNSEEN = 10.0
"""Condition errors within which a curvature is not seen."""

_SMOOTH = 0.02
"""Part of the change between two differences that smoothness leaves after extrapolation, at least."""

_SMOOTHER = 0.002
"""The same for slopes, which see the square of shorter steps; where that is not all of it, ..."""

_FOURTH = 0.08
"""... of the change between two extrapolated slopes smoothness leaves this part, at most: 1/25 by its fifth order."""

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

_FALLS_AFTER = 1.0 / 16.0
"""The same for extrapolated values where the step is quartered: smoothness makes it 1/256."""

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


def roughness(
    ask: Ask, curvature: float, bar: float, noise: NoiseModel, sure: bool = False
) -> Search[Roughness | None]:
    """Return the roughness of f that shows at long steps along one line, None where f is smooth.

    Parameters
    ----------
    ask : callable
        ``ask(t)`` asks for values of f at x + t v and at x - t v, two arrays like t, nan where there are none; v is a
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
    lies between is roughness. Where they never settle f has a short natural length. 6 evaluations of f, 4 more where
    the first disagree with the curvature beyond what smoothness explains, and 4 where differences then settle.
    """
    seen = _Looks(ask, noise)
    if not (yield from seen.look(_FIRST)):
        return None
    change, value = abs(seen.difference(-4) - seen.difference(-5)), seen.extrapolated(-4)
    bent = change * change / max(abs(value), change) if change > 0.0 else 0.0
    if not sure and abs(value - curvature) <= bar + seen.noise_of(-5) + _SMOOTH * change + bent:
        return None
    if sure and change > _BARELY * abs(value) and curvature != 0.0:
        return None
    if not (yield from seen.look_further(curvature)):
        return None
    plateau = seen.plateau(curvature, bar, sure)
    if plateau is None or sure:
        return plateau and plateau[1]
    level, found = plateau
    off = {k: abs(difference - curvature) for k, difference in seen.differences().items() if k <= level}
    better = {k: abs(seen.extrapolated(k) - curvature) for k in off if k - 1 in off}
    stays = _stays(off, {k: bar + seen.noise_of(k) for k in off})
    return found if stays or _stays_after(better, {k: bar + seen.noise_of(k - 1) for k in better}) else None


def slope_roughness(
    ask: Ask, slope: float, bar: float, noise: NoiseModel, curvature: float = math.nan
) -> Search[float | None]:
    """Return the height of the roughness that shows in slopes over long steps along one line, None where f is smooth.

    Parameters
    ----------
    ask, noise
        As in `roughness`.
    slope, bar : float
        vᵀg as short steps have it, and its error bar.
    curvature : float
        What vᵀHv is at most, where that is known.

    Notes
    -----
    Slopes contradict each other where curvatures do, but for accidents, and need no more than the gradient to be known.
    What long steps show must be a plateau of curvature all the same: behind a peak f is flat, and has no slope either.
    4 evaluations of f, 2 more and then 4 or 8 more where these disagree with the slope beyond what smoothness explains.
    """
    seen = _Looks(ask, noise)
    if not (yield from seen.look(_FIRST[1:])):
        return None
    change, value = abs(seen.slope(-5) - seen.slope(-6)), seen.extrapolated_slope(-5)
    off = abs(value - slope) - bar - seen.noise_of_slope(-6) - _SMOOTHER * change
    if (
        off <= 0.0
        or not (yield from seen.look(_FIRST[:1]))
        or off <= _FOURTH * abs(value - seen.extrapolated_slope(-4))
    ):
        return None
    if not (yield from seen.look_further(curvature)):
        return None
    plateau = seen.plateau(curvature, 0.0)
    if plateau is None:
        return None
    level, found = plateau
    away = {k: abs(seen.slope(k) - slope) for k in seen.means if k <= level}
    better = {k: abs(seen.extrapolated_slope(k) - slope) for k in away if k - 1 in away}
    stays = _stays(away, {k: bar + seen.noise_of_slope(k) for k in away})
    if not stays and not _stays_after(better, {k: bar + seen.noise_of_slope(k - 1) for k in better}):
        return None
    value = seen.extrapolated_slope(level) if level - 1 in seen.means else seen.slope(level)
    return max(found.height, *(abs(seen.halves[k] - value * _STEP[k]) for k in away if k < level))


def _stays(off: dict[int, float], allowed: dict[int, float]) -> bool:
    """Whether the distance from what short steps have does not fall anywhere as smoothness makes it fall."""
    return any(off[k - 1] > _FALLS * off[k] + allowed[k - 1] for k in off if k - 1 in off)


def _stays_after(off: dict[int, float], allowed: dict[int, float]) -> bool:
    """Say the same of extrapolated values, two levels on: one may be right by accident."""
    return any(off[k - 2] > _FALLS_AFTER * off[k] + allowed[k - 2] for k in off if k - 2 in off)


class _Looks:
    """What was seen of f along a line, by level.

    Attributes
    ----------
    means, halves : dict
        Half the sum, less f(x), and half the difference of f at both sides.
    rounding : dict
        Noise there.
    """

    def __init__(self, ask: Ask, noise: NoiseModel) -> None:
        self.ask, self.noise = ask, noise
        self.means: dict[int, float] = {}
        self.halves: dict[int, float] = {}
        self.rounding: dict[int, float] = {}

    def look(self, levels: Sequence[int]) -> Search[bool]:
        """Ask f at these levels; return whether it has values at all of them."""
        finite, noise = True, self.noise
        sides = yield from self.ask(np.array([_STEP[level] for level in levels]))
        for level, ahead, behind in zip(levels, *sides, strict=True):
            if math.isfinite(ahead) and math.isfinite(behind):
                self.means[level] = float(0.5 * ((ahead - noise.f0) + (behind - noise.f0)))
                self.halves[level] = float(0.5 * (ahead - behind))
                self.rounding[level] = noise.at(float(max(ahead, behind, key=abs)))
            else:
                finite = False
        return finite

    def look_further(self, curvature: float) -> Search[bool]:
        """Look at longer steps, and where differences settle somewhere at shorter ones too; say whether they do."""
        yield from self.look(_LONGER)
        if not self._settled(curvature):
            return False
        yield from self.look(_SHORTER)
        return True

    def _settled(self, curvature: float) -> list[int]:
        """Levels from which differences stand on a plateau to the next, the longest first."""
        seen = self.differences()
        return [k for k in sorted(seen, reverse=True) if k - 1 in seen and _is_settled(seen, k, curvature)]

    def difference(self, level: int) -> float:
        """Second difference between one step and the next shorter one: it knows nothing of f(x)."""
        means = self.means
        return 2.0 * (means[level] - means[level - 1]) / (_STEP[level] ** 2 - _STEP[level - 1] ** 2)

    def differences(self) -> dict[int, float]:
        return {k: self.difference(k) for k in range(-7, -1) if k in self.means and k - 1 in self.means}

    def extrapolated(self, level: int) -> float:
        """Value that this difference and the next shorter one have at no step: they go with the sum of squares."""
        far, near = (_STEP[k] ** 2 + _STEP[k - 1] ** 2 for k in (level, level - 1))
        shorter = self.difference(level - 1)
        return shorter + (shorter - self.difference(level)) * near / (far - near)

    def slope(self, level: int) -> float:
        return self.halves[level] / _STEP[level]

    def extrapolated_slope(self, level: int) -> float:
        """Value that this slope and the next shorter one have at no step: they go with the square."""
        far, near = _STEP[level] ** 2, _STEP[level - 1] ** 2
        shorter = self.slope(level - 1)
        return shorter + (shorter - self.slope(level)) * near / (far - near)

    def noise_of(self, level: int) -> float:
        """What noise may leave in an extrapolated difference."""
        return _DEVIATIONS * _NOISE * self.rounding[level] / 4.0 ** (level - 1)

    def noise_of_slope(self, level: int) -> float:
        return _DEVIATIONS * _NOISE * self.rounding[level] / _STEP[level]

    def plateau(self, curvature: float, bar: float, no_kink: bool = False) -> tuple[int, Roughness] | None:
        """Return the level at which differences settle, and what they settle on; None where they do not.

        `curvature` is what short steps have, where that is known; `no_kink`: that no kink looks like a plateau here.
        """
        seen, means = self.differences(), self.means
        falling = sorted(seen, reverse=True)
        settled = self._settled(curvature)
        if not settled or (not no_kink and _is_kink([seen[k] for k in falling], bar + self.noise_of(min(seen)))):
            return None
        level = settled[0]
        value = self.extrapolated(level)
        beside = {k: abs(means[k] - 0.5 * value * _STEP[k] ** 2) for k in means if k <= level}
        near = _HARDLY if abs(curvature) <= _NOTHING * abs(value) else _NEAR
        if beside[level] > near * abs(value) * 4.0**level:
            return None  # x lies in a well of its own, with f around it on another level
        height = max(distance for k, distance in beside.items() if k < level)
        return level, Roughness(height, value, abs(seen[level] - seen[level - 1]))


def along_axes(x: Array, coordinates: NDArray[np.int32], v: Array) -> Ask:
    """Return what asks f along v, which moves the coordinates (m,) of x alone."""

    def ask(steps: Array) -> Search[tuple[Array, Array]]:
        points = np.tile(x, (2 * steps.size, 1))
        points[:, coordinates] += np.concatenate([steps, -steps])[:, None] * v
        values = yield Rows(points, "calibration", curious=True)
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
    coordinate and long for another says nothing. An axis along which no curvature is seen is short whatever its step.
    """
    rungs = [math.inf if axis.ladder is None or (rung := axis.ladder.best()) is None else rung.k for axis in axes]
    highest = min(min(rungs) + 1, start - SHORT)
    random = np.random.default_rng(20191)
    lengths = random.choice((-1.0, 1.0), len(axes)) * random.uniform(0.5, 1.0, len(axes))
    reach = _STEP[max(_FIRST)]  # a further step that leaves the bounds is not taken
    v = [
        length * axis.size if (k <= highest or _sees_nothing(axis)) and _has_room(axis, reach * axis.size) else 0.0
        for length, axis, k in zip(lengths.tolist(), axes, rungs, strict=True)
    ]
    return np.array(v)


def _sees_nothing(axis: Axis) -> bool:
    """Whether the curvature along an axis hardly stands out of the noise at its best rung."""
    ladder = axis.ladder
    rung = None if ladder is None else ladder.best()
    return ladder is not None and rung is not None and abs(rung.curvature) <= _UNSEEN * ladder.condition_of(rung, 2)


def _has_room(axis: Axis, reach: float) -> bool:
    return axis.inside(reach) and axis.inside(-reach)
