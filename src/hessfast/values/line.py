"""Curvature along a line from values of f."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from hessfast.algebra.vectors import Vector
from hessfast.calls.points import OnLine, Search
from hessfast.gradients.line import SHORT_LEVEL, Differences, in_order, richardson
from hessfast.lines import Lines
from hessfast.scale import EPS
from hessfast.values.noise import ROUNDING, NoiseModel, along

_SWAMPED = 16.0
"""Times |f(x)| above which the noise at x tells nothing of the noise a step away."""

_PART_OF_WAY = 1.0 / 24.0
"""Spacing of a table away from x, at most, in units of the way there: all of it then fits into a fourth of that."""

_QUALIFIES = 0.1
"""Share of f's change up to which what a table away from x shows is noise."""


@cache
def _value_noise(q: int) -> float:
    """Standard deviation of h² times the second difference extrapolated over q levels, for unit noise in f."""
    weights = [w / 4.0**offset for offset, w in enumerate(richardson(q))]
    # f(x) is shared by all levels, hence the squared sum.
    return math.sqrt(2.0 * in_order(w * w for w in weights) + 4.0 * in_order(weights) ** 2)


def _over_square(value: float, h: float) -> float:
    """Return value / h², also where h² leaves the range of float64."""
    square = h * h
    return value / square if 0.0 < square < math.inf else value / h / h


class ValueCurvatures(Differences[float]):
    """Second differences of f: vᵀHv.

    Parameters
    ----------
    lines, v, unit
        The line.
    f0 : float
        f(x).
    noise : float, optional
        Standard deviation of the noise of f; measured where it is not given.
    """

    power = 2
    wide, deep, wide_shift, deep_shift = -8, -14, 7, 6
    convergence, slack = 1.0, 0.5

    def __init__(self, lines: Lines, v: Vector, unit: float, f0: float, noise: float | None = None) -> None:
        super().__init__(lines, v, unit)
        self.f0 = f0
        self.floor = ROUNDING * abs(f0)
        self._given = noise is not None
        self._model = NoiseModel(f0, self.floor if noise is None else noise, ROUNDING)
        self._at_x = False
        self._away: int | None = None
        self._ends: dict[int, tuple[float, float]] = {}
        self._deep = 0.0

    def see(self, levels: Sequence[int]) -> Search[None]:
        missing = [level for level in levels if level not in self.D]
        if not missing:
            return
        t: list[float] = []
        for level in missing:
            h = self.step(level)
            t += h, -h
        values = iter((yield OnLine(self.lines.x, self.v, t)))
        for level, h, forward, backward in zip(missing, t[::2], values, values, strict=True):
            self._ends[level] = forward, backward
            self.D[level] = _over_square((forward - self.f0) + (backward - self.f0), h)

    def slope(self) -> float:
        """Return vᵀg as the shortest step shows it."""
        level = min(self._ends)
        forward, backward = self._ends[level]
        return (forward - backward) / (2.0 * self.step(level))

    def look(self, wide: int, deep: int) -> Search[tuple[float, float]]:
        yield from self.see((deep, wide))
        if self._away is not None or not (self._at_x or self._given):
            yield from self._measure_away(wide)
        if self._away is None and not (self._at_x or self._given):
            yield from self._measure_at_x()
        self._deep = self._model.at(self._largest(deep))
        return self._deep, 0.0

    @property
    def model(self) -> NoiseModel:
        """Noise of f as it is known."""
        return self._model

    def may_be_rough(self, level: int) -> bool:
        """Whether steps that start at this level are so short that f cannot be smooth over the unit of the line."""
        return not self._given and level <= SHORT_LEVEL

    def settle(self, level: int) -> Search[None]:
        if self._away is not None and level < self._away:
            yield from self._measure_away(level)

    def reconsider(self, deep: int) -> Search[float]:
        if self._away is None or self._at_x:
            return 0.0
        yield from self._measure_at_x()
        self._deep = self._model.at(self._largest(deep))
        return self._deep

    def _largest(self, level: int) -> float:
        """The value at the level that is farthest from f(x)."""
        return max(self._ends[level], key=lambda value: abs(value - self.f0))

    def _measure_at_x(self) -> Search[None]:
        self._at_x = True
        level = yield from self._table(0.0, self.f0, math.inf)
        self._model = replace(self._model, level=max(level, self.floor))

    def _measure_away(self, level: int) -> Search[None]:
        """Measure the noise where f dwarfs f(x), as a step away from a minimum with f(x) = 0; there its square grows.

        What was seen at another level is forgotten: that turned out to be too wide.
        """
        growth, there = 0.0, self._ends[level][0]
        change = abs(there - self.f0)
        if change == 0.0 and self._away is not None:  # f stands still there: nothing speaks against what was seen
            return
        self._away = None
        if _SWAMPED * abs(self.f0) < abs(there) < math.inf:
            seen = yield from self._table(self.step(level), there, math.ldexp(_PART_OF_WAY, level))
            noise = max(seen, ROUNDING * abs(there))
            if noise <= _QUALIFIES * change:
                self._away, growth = level, noise / math.sqrt(change)
        # Below growth² noise exceeds the value itself.
        self._model = replace(self._model, level=max(self._model.level, growth * growth), growth=growth)

    def _table(self, t: float, value: float, widest: float) -> Search[float]:
        """Noise of f at x + t v by difference tables along the line."""

        def at(spacing: float, multiples: Sequence[float]) -> Search[list[float]]:
            points = [t + multiple * spacing * self.unit for multiple in multiples]
            values: list[float] = yield OnLine(self.lines.x, self.v, points, "noise")
            return values

        return along(at, value, widest)

    def condition(self, level: int, q: int, noise: float) -> float:
        here = max(self._model.at(self._largest(k)) for k in range(level, level + q))
        if self._deep > 0.0:
            here *= noise / self._deep
        else:  # no look was taken
            here = math.hypot(here, noise)
        # Points are off by eps x, and h by as much of a unit.
        rounded = EPS * abs(self.D[level]) * 2.0**-level if level in self.D else 0.0
        return _over_square(_value_noise(q) * here, self.step(level)) + rounded

    def spread(self) -> Search[float]:
        again = (yield self.at(0.0)).pop()
        return abs(float(again) - self.f0)

    def repeat(self, level: int) -> Search[float]:
        first, ends, f0 = self.D.pop(level), self._ends[level], self.f0
        self.f0 = (yield self.at(0.0)).pop()
        yield from self.see((level,))
        shown = math.hypot(*(one - other for one, other in zip(ends, self._ends[level], strict=True)), self.f0 - f0)
        self.f0, self.D[level] = f0, 0.5 * (first + self.D[level])
        return shown / math.sqrt(6.0)
