"""Central differences of gradients along one line, by level.

With h = 2^k u, u the natural unit of the line (`vectors.line_unit`), the central difference

    (g(x + h v) - g(x - h v)) / (2 h),  and vᵀ of it,

is D(k) = D + c₂ h² + c₄ h⁴ + …, and extrapolation over q levels k, k + 1, … makes its order 2q. Its condition error is
noise / h.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hessfast.algebra import vectors
from hessfast.algebra.vectors import Vector
from hessfast.calls.points import OnLine, Search
from hessfast.lines import Lines
from hessfast.scale import EPS
from hessfast.values.noise import ROUNDING

Floats = NDArray[np.float64]
T = TypeVar("T", float, Floats)

_DISPLACED = 0.5 * EPS
"""Noise of g from the rounding of the points x + h v themselves, in units of its change over one unit of the line."""

TURNED = 8.0 * EPS
"""Of x, in its own units, within which no difference tells it from its neighbours: the bar of what turns with x."""

ASTRAY = 4.0
"""Times that the estimated error of the directions really taken enters a bar: coordinates they couple are not seen."""

_COUPLED = 1e-6
"""Share of vᵀHv below which a coordinate's part of a product is not its own: others bring it."""

_BLOCK = 1 << 9
"""Coordinates looked at together."""


SHORT_LEVEL = -10
"""Some four below the level of an f of rounded values whose natural length is the unit of the line, at order 6."""

SAME = 16.0
"""Noise levels of correctly rounded numbers up to which two answers at one point are the same."""

HEADROOM = 32
"""Octaves between a unit of 1 and that to which a direction of extreme length is scaled: v itself must not overflow."""

_FOLD = 1024
"""Numbers that are kept of a vector whose size alone is asked for later: the vector itself up to that length, else
sums with irregular signs, whose sum of squares is right to 1 in 20."""


def in_order(terms: Iterable[Any]) -> Any:
    """Sum from the left, rounded at every term; the builtin compensates where Python is 3.12 or later."""
    total: Any = 0.0
    for term in terms:
        total = total + term
    return total


@cache
def richardson(q: int) -> tuple[float, ...]:
    """Weights of D(k), …, D(k + q - 1) that cancel the terms up to h^(2q - 2): Lagrange's at 0 in the nodes 4^l."""
    nodes = [4.0**level for level in range(q)]
    return tuple(math.prod(other / (other - node) for other in nodes if other != node) for node in nodes)


@cache
def extension(q: int) -> tuple[float, ...]:
    """Weights of D(k), …, D(k + q) in the extrapolation over q + 1 levels minus that over q."""
    return tuple(a - b for a, b in zip(richardson(q + 1), (*richardson(q), 0.0), strict=True))


@cache
def _slope_noise(q: int) -> float:
    """Standard deviation of h times the difference of gradients extrapolated over q levels, for unit noise in g."""
    return math.sqrt(0.5 * in_order((w / 2.0**offset) ** 2 for offset, w in enumerate(richardson(q))))


class Differences(ABC, Generic[T]):
    """Central differences of gradients along one line by level; each point is asked for once.

    Attributes
    ----------
    lines, v : Lines, ndarray of shape (n,)
        The line.
    unit : float
        Unit of the line: level k has the step 2^k unit.
    D : dict
        Differences by level.
    wide, deep, wide_shift, deep_shift : int
        Levels of the first look, and by how much each goes down where the wide one lies beyond the natural length.
    floor, rounding : float
        Least noise of what is differenced: that of correctly rounded numbers; and relative to them.
    turning : float
        |xᵀT(v, v)|, by how much vᵀHv turns where x grows: its third derivatives, as far as they show.
    """

    wide, deep, wide_shift, deep_shift = -9, -22, 8, 5

    def __init__(self, lines: Lines, v: Vector, unit: float) -> None:
        self.lines, self.v, self.unit = lines, v, unit
        self.D: dict[int, T] = {}
        self.floor = 0.0
        self.rounding = ROUNDING
        self.turning = 0.0

    def step(self, level: int) -> float:
        """Return h."""
        return math.ldexp(self.unit, level)

    def at(self, *t: float) -> OnLine:
        """Return what asks for the points at t."""
        return OnLine(self.lines.x, self.v, t)

    @abstractmethod
    def see(self, levels: Sequence[int]) -> Search[None]:
        """Ask for the levels that are not known."""

    @abstractmethod
    def look(self, wide: int, deep: int) -> Search[tuple[float, float]]:
        """See the two levels afresh; return the noise seen, and again as the even part of slopes shows it."""

    def condition(self, level: int, q: int, noise: float) -> float:
        """Standard deviation of the extrapolated difference over q levels."""
        displaced = _DISPLACED * self.unit * self._size_at(level)
        return _slope_noise(q) * max(noise, displaced) / self.step(level)

    def _size_at(self, level: int) -> float:
        return self.size(self.D[level])

    def size(self, value: Any) -> float:
        """Size of a difference: what is compared with noise and error bars."""
        return float(abs(value))

    def distance(self, one: Any, other: Any) -> float:
        """Size of one - other."""
        return float(abs(one - other))

    def narrow(self, level: int, q: int) -> None:
        """Forget what a value over q levels will not need, where it takes memory."""

    def apart(self, level: int, other: int, weight: float) -> float:
        """Size of D(level) - weight D(other)."""
        return self.distance(self.D[level], weight * self.D[other])

    def residual(self, deep: int, level: int, value: Any) -> float | None:
        """Size of D(deep) - D - c₂ h², with D and the h² term as `value` and D(level) have them; None where unknown."""
        if deep not in self.D:
            return None
        square_term = 4.0 ** (deep - level) * (self.D[level] - value)
        return self.size(self.D[deep] - value - square_term)

    def turned(self) -> float:
        """Bar of what no difference shows, for x itself is rounded."""
        return 0.0

    def astray(self, value: Any, level: int) -> float:
        """Bar of what no difference shows, for points are rounded: of a value whose lowest level is given."""
        return 0.0

    def repeat(self, level: int) -> Search[float]:
        """See a level once more, take the mean of both, and return the noise that their difference shows."""
        first = self.D.pop(level)
        yield from self.see((level,))
        second = self.D[level]
        noise = self.distance(first, second) * self.step(level)
        second += first
        second *= 0.5
        self.D[level] = second
        return noise

    def spread(self) -> Search[float]:
        """Size of the difference between two answers at one point."""
        deep = self.step(min(self.D, default=self.wide))
        first = (yield self.at(deep)).pop()
        second = (yield self.at(deep)).pop()
        return self._apart(first, second)

    def combine(self, level: int, weights: Sequence[float]) -> Any:
        """Return the weighted sum of D(level), D(level + 1) and so on."""
        return in_order(weight * self.D[level + offset] for offset, weight in enumerate(weights))

    def combined_size(self, level: int, weights: Sequence[float]) -> float:
        """Size of that sum."""
        return self.size(self.combine(level, weights))

    @abstractmethod
    def curvature(self, difference: T) -> float:
        """Return vᵀ of a difference."""

    @abstractmethod
    def curvatures(self, level: int) -> dict[int, float]:
        """Return vᵀ of the differences seen at this level and those above."""

    @abstractmethod
    def far(self, t: float, value: T) -> Search[Floats]:
        """Return vᵀ of a difference at a long step, then the difference less `value`, folded; nan at walls."""

    @abstractmethod
    def _apart(self, one: Vector, other: Vector) -> float:
        """Size of the difference of two gradients, as a difference quotient has it."""

    def _keep_floor(self, dtype: np.dtype[Any], size: float) -> None:
        """Know gradients of that size for rounded to the precision in which they come."""
        self.rounding = 0.25 * float(np.finfo(dtype).eps)
        self.floor = self.rounding * size

    def _odd_noise(self, deep: int) -> float:
        """Noise seen in the difference between two neighbouring levels."""
        spread = math.sqrt(0.5) * math.hypot(1.0 / self.step(deep), 1.0 / self.step(deep - 1))
        return max(self.distance(self.D[deep], self.D[deep - 1]) / spread, self.floor)

    def _turn(self, even: float, size: float, noise: float, wide: int, deep: int) -> None:
        """Learn how vᵀHv turns, from an even part of xᵀg, of terms of that size: at the step at which it shows most."""
        lost = 8.0 * EPS * size + 2.0 * noise * vectors.norm(self.lines.x, self.lines.threads)
        seen = max(abs(even) - lost, 0.0) / (self.step(wide) ** 2 - self.step(deep) ** 2)
        if math.isfinite(seen):
            self.turning = max(self.turning, seen)


class SlopeCurvatures(Differences[float]):
    """Differences of vᵀg: vᵀHv."""

    _slope = _even = _scalar = 0.0

    def see(self, levels: Sequence[int]) -> Search[None]:
        missing = sorted(level for level in levels if level not in self.D)
        if missing:
            yield from self._walk(missing)

    def _walk(self, levels: Sequence[int]) -> Search[list[float]]:
        """Walk from end to end of the line and return the increments of vᵀg between neighbouring points.

        Increments keep their digits where vᵀg itself would round, and two gradients at a time are in memory.
        """
        v, x, threads = self.v, self.lines.x, self.lines.threads
        t = [-self.step(level) for level in reversed(levels)] + [self.step(level) for level in levels]
        last = (yield self.at(t[0])).pop()
        if not 0.0 < self.floor < math.inf and len(levels) > 1:
            self._keep_floor(last.dtype, math.sqrt(vectors.dot_square(v, last, threads)))
            self._slope = vectors.dot(v, last, threads)
        rise, outermost = [], []
        for point in t[1:]:
            g = (yield self.at(point)).pop()
            rise.append(vectors.dot_difference(v, g, last, threads))
            if len(levels) > 1 and point in (t[1], t[-1]):
                outermost.append(vectors.dot_difference(x, g, last, threads))
                self._scalar = vectors.dot(x, g, threads)
            last = g
            del g
        middle = len(levels) - 1
        total = 0.0
        for offset, level in enumerate(levels):
            total += rise[middle] if offset == 0 else rise[middle - offset] + rise[middle + offset]
            self.D[level] = total / (2.0 * self.step(level))
        if outermost:
            self._even = outermost[1] - outermost[0]
        return rise

    def curvature(self, difference: float) -> float:
        return difference

    def curvatures(self, level: int) -> dict[int, float]:
        return {k: value for k, value in self.D.items() if k >= level}

    def far(self, t: float, value: float) -> Search[Floats]:
        gradients = yield OnLine(self.lines.x, self.v, (t, -t), curious=True)
        behind, ahead = gradients.pop(), gradients.pop()
        found = vectors.dot_difference(self.v, ahead, behind, self.lines.threads) / (2.0 * t)
        return np.array([found, found - value])

    def _apart(self, one: Vector, other: Vector) -> float:
        return abs(vectors.dot_difference(self.v, one, other, self.lines.threads))

    def turned(self) -> float:
        return TURNED * self.turning

    def slope(self) -> float:
        """Return vᵀg, as the first point seen has it."""
        return self._slope

    def look(self, wide: int, deep: int) -> Search[tuple[float, float]]:
        self.D, self.floor = {}, 0.0
        rise = yield from self._walk((deep - 1, deep, wide))
        # Even parts vᵀg(h) + vᵀg(-h) against that of the innermost pair, less the h² term that the wide level shows.
        inner, outer = rise[3] - rise[1], rise[4] - rise[0]
        ratio = (4.0**deep - 4.0 ** (deep - 1)) / (4.0**wide - 4.0**deep)
        noise = self._odd_noise(deep)
        along = vectors.norm(self.v, self.lines.threads)
        self._turn(self._even, abs(self._scalar), noise / along if along > 0.0 else 0.0, wide, deep)
        return noise, 0.5 * abs(inner - outer * ratio)


class Products(Differences[Floats]):
    """Differences of g: Hv."""

    def __init__(self, lines: Lines, v: Vector, unit: float) -> None:
        super().__init__(lines, v, unit)
        self._folds: dict[int, Floats] = {}
        self._sizes: dict[int, float] = {}
        self._along: dict[int, float] = {}
        self._evens: dict[int, float] = {}

    def _size_at(self, level: int) -> float:
        return self.size(self.D[level]) if level in self.D else self._sizes[level]

    def see(self, levels: Sequence[int]) -> Search[None]:
        for level in levels:
            if level not in self.D:
                forward = (yield self.at(self.step(level))).pop()
                if not 0.0 < self.floor < math.inf:
                    self._keep_floor(forward.dtype, vectors.norm(forward, self.lines.threads))
                backward = (yield self.at(-self.step(level))).pop()
                x, threads = self.lines.x, self.lines.threads
                self._evens[level] = vectors.dot(x, forward, threads) + vectors.dot(x, backward, threads)
                self.D[level] = divided_difference(forward, backward, self.step(level))
                del forward, backward
                self._along[level] = self.curvature(self.D[level])

    def look(self, wide: int, deep: int) -> Search[tuple[float, float]]:
        self.D, self._evens, self.floor = {}, {}, 0.0
        yield from self.see((deep - 1, deep))
        noise = self._odd_noise(deep)
        del self.D[deep - 1]
        self._folds[deep], self._sizes[deep] = _folded(self.D[deep]), self.size(self.D[deep])
        yield from self.see((wide,))
        even = self._evens[wide] - self._evens[deep]
        self._turn(even, abs(self._evens[wide]) + abs(self._evens[deep]), noise, wide, deep)
        return noise, 0.0

    def turned(self) -> float:
        return TURNED * self.turning / vectors.norm(self.v, self.lines.threads)

    def astray(self, value: Any, level: int) -> float:
        return ASTRAY * astray(self.lines.x, self.v, self.step(level), value)

    def size(self, value: Any) -> float:
        return vectors.norm(value, self.lines.threads)

    def distance(self, one: Any, other: Any) -> float:
        return self.size(np.subtract(one, other, out=self.lines.scratch()))

    def combine(self, level: int, weights: Sequence[float]) -> Any:
        return self._into(np.empty(self.v.size), level, weights)

    def combined_size(self, level: int, weights: Sequence[float]) -> float:
        return self.size(self._into(self.lines.scratch(), level, weights))

    def _into(self, total: Floats, level: int, weights: Sequence[float]) -> Floats:
        np.multiply(self.D[level], weights[0], out=total)
        for offset, weight in enumerate(weights[1:], 1):
            vectors.line_point(total, self.D[level + offset], weight, total, self.lines.threads)
        return total

    def narrow(self, level: int, q: int) -> None:
        self.D = {k: value for k, value in self.D.items() if level <= k < level + q}

    def residual(self, deep: int, level: int, value: Any) -> float | None:
        if deep not in self._folds:
            return None
        # Folding is linear: D(deep) itself is not kept, for want of memory.
        found = _folded(value)
        square_term = 4.0 ** (deep - level) * (_folded(self.D[level]) - found)
        return vectors.norm(self._folds[deep] - found - square_term)

    def curvature(self, difference: Floats) -> float:
        return vectors.dot(self.v, difference, self.lines.threads)

    def curvatures(self, level: int) -> dict[int, float]:
        return {k: value for k, value in self._along.items() if k >= level}

    def far(self, t: float, value: Floats) -> Search[Floats]:
        gradients = yield OnLine(self.lines.x, self.v, (t, -t), curious=True)
        behind, ahead = gradients.pop(), gradients.pop()
        found = np.subtract(ahead, behind, dtype=np.float64)
        found *= 0.5 / t
        curvature = self.curvature(found)
        found -= value
        return np.concatenate([[curvature], _folded(found)])

    def _apart(self, one: Vector, other: Vector) -> float:
        return self.size(np.subtract(one, other, out=self.lines.scratch(), dtype=np.float64))


def _folded(vector: Floats) -> Floats:
    """Return at most _FOLD numbers, linear in a vector, with nearly its Euclidean norm."""
    if vector.size <= _FOLD:
        return vector.copy()
    random = np.random.default_rng(20110)
    signs = random.choice((-1.0, 1.0), 2 * _FOLD)
    total = np.zeros(_FOLD)
    shifts = random.integers(_FOLD, size=-(-vector.size // _FOLD)).tolist()
    for block, shift in enumerate(shifts):
        part = vector[block * _FOLD : (block + 1) * _FOLD]
        total[: part.size] += part * signs[shift : shift + part.size]
    return total


def astray(x: Vector, v: Vector, h: float, product: Floats, sides: Sequence[float] = (1.0, -1.0)) -> float:
    """Estimate the error of a product because points are rounded: H u - H v, u the direction really taken.

    Where |x_i| is far from the step in it, u_i is off by eps |x_i| / h, and its own part of the product by as much;
    and what it brings to the others, as the directions differ.
    """
    least = _COUPLED * math.fsum(float(np.abs(v_i) @ np.abs(p_i)) for v_i, p_i in _blocks(v, product))
    largest = max(float(v.max()), -float(v.min()))  # squares of v may leave the range of float64
    own = away = length = 0.0
    for x_i, v_i, p_i in _blocks(x, v, product):
        taken = np.zeros_like(x_i)
        for side in sides:
            taken += side * ((x_i + side * h * v_i) - x_i)
        off = taken / (len(sides) * h) - v_i
        share = np.divide(p_i * off, v_i, out=np.zeros_like(off), where=v_i != 0.0)
        share *= np.fmin(np.abs(p_i * v_i), least) / least if least > 0.0 else 0.0
        off, part = off / largest, v_i / largest
        own, away, length = own + float(share @ share), away + float(off @ off), length + float(part @ part)
    return math.hypot(math.sqrt(own), vectors.norm(product) * math.sqrt(away / length))


def _blocks(*arrays: Vector) -> Iterator[list[Floats]]:
    """Yield blocks of a few coordinates of each."""
    for first in range(0, arrays[0].size, _BLOCK):
        yield [part[first : first + _BLOCK].astype(np.float64) for part in arrays]


def divided_difference(forward: Vector, backward: Vector, h: float) -> Floats:
    """Return (g(x + h v) - g(x - h v)) / (2 h), in the memory of the first."""
    out: Any = forward if forward.dtype == np.float64 else np.empty(forward.size)
    np.subtract(forward, backward, out=out, dtype=np.float64)
    out *= 0.5 / h
    return cast(Floats, out)
