"""Curvature and Hessian-vector products along one line, from values of f or from gradients, with an error bar.

With h = 2^k u, u the natural unit of the line (`vectors.line_unit`), each of the central differences

    (f(x + h v) - 2 f(x) + f(x - h v)) / h²,    (g(x + h v) - g(x - h v)) / (2 h)  and vᵀ of it

is D(k) = D + c₂ h² + c₄ h⁴ + …, and extrapolation over q levels k, k + 1, … makes its order 2q. Its condition error is
noise / h^p, with p = 2 from values and p = 1 from gradients. The search predicts and corrects:

1. A deep level shows a first value with hardly any truncation error, a wide one the h² term. Where the wide level lies
   beyond the natural length of the function, so that the two disagree, both go down.
2. The h² term against the value is (h / L)²; with the noise it predicts the level at which the truncation error of
   order 2q balances the condition error.
3. q + 1 levels there give the value, of order 2q + 2, and its error; while the two parts are far apart the level is
   corrected, by as much as their ratio says.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hessfast import vectors
from hessfast.neighbourhood import Neighbourhood
from hessfast.noise import POINTS, SPACINGS, difference_table
from hessfast.vectors import Vector

Floats = NDArray[np.float64]
T = TypeVar("T", float, Floats)

EPS = float(np.finfo(np.float64).eps)
TINY = 1e-300

_SHIFTS = 3
_CLEAR = 8.0
"""Noise levels by which the values at the wide and the deep level must differ to disprove the wide one."""

_BENT = 30.0
"""Even part of the slopes at the deep levels against the odd one: above this it is f's third derivative, not noise."""

_EARLY = 2.0
"""Levels below the predicted balance: a step too short costs 2^p a level, one too long 4^(q + 1)."""

_DISPLACED = 0.5 * EPS
"""Noise of g from the rounding of the points x + h v themselves, in units of its change over one unit of the line."""

_CONDITION_BAR, _TRUNCATION_BAR = 6.0, 5.0
_LOWEST = -45
_ENOUGH = 64 * EPS
_ROUNDS, _DESPERATE_ROUNDS = 2, 7


@cache
def richardson(q: int) -> tuple[float, ...]:
    """Weights of D(k), …, D(k + q - 1) that cancel the terms up to h^(2q - 2): Lagrange's at 0 in the nodes 4^l."""
    nodes = [4.0**level for level in range(q)]
    return tuple(math.prod(other / (other - node) for other in nodes if other != node) for node in nodes)


class Differences(ABC, Generic[T]):
    """Central differences along one line by level; each point is evaluated once.

    Attributes
    ----------
    unit : float
        Unit of the line: level k has the step 2^k unit.
    D : dict
        Differences by level.
    power : int
        Power p of h in the condition error.
    wide, deep, wide_shift, deep_shift : int
        Levels of the first look, and by how much each goes down where the wide one lies beyond the natural length.
    convergence : float
        The change from order 2q to 2q + 2 times the convergence seen one order earlier estimates the error of the
        latter; never less than this part of the change. Steps from values are longer, up to where sums of terms with
        unlike natural lengths stop converging.
    floor : float
        Least noise of what is differenced: that of correctly rounded numbers.
    """

    power: int
    wide: int
    deep: int
    wide_shift: int
    deep_shift: int
    convergence: float

    def __init__(self, around: Neighbourhood, v: Vector, unit: float) -> None:
        self.around, self.v, self.unit = around, v, unit
        self.D: dict[int, T] = {}
        self.floor = 0.0

    def step(self, level: int) -> float:
        """Return h."""
        return math.ldexp(self.unit, level)

    @abstractmethod
    def see(self, levels: Sequence[int]) -> None:
        """Evaluate the levels that are not known."""

    @abstractmethod
    def look(self, wide: int, deep: int) -> tuple[float, float]:
        """See the two levels afresh; return the noise seen, and again as the even part of slopes shows it."""

    @abstractmethod
    def condition(self, level: int, q: int, noise: float) -> float:
        """Standard deviation of the extrapolated difference over q levels."""

    def size(self, value: Any) -> float:
        """Size of a difference: what is compared with noise and error bars."""
        return float(abs(value))

    def narrow(self, level: int, q: int) -> None:
        """Forget what a value over q levels will not need, where it takes memory."""

    def combine(self, level: int, weights: Sequence[float]) -> Any:
        """Return the weighted sum of D(level), D(level + 1) and so on."""
        total: Any = weights[0] * self.D[level]
        for offset, weight in enumerate(weights[1:], 1):
            total += weight * self.D[level + offset]
        return total


class ValueCurvatures(Differences[float]):
    """Second differences of f: vᵀHv.

    The noise of f at a value F is the larger of that at x and eps/2 |F|, or of the same part of |F| as at x where that
    is more than rounding.
    """

    power = 2
    wide, deep, wide_shift, deep_shift = -8, -14, 7, 6
    convergence = 0.3

    def __init__(self, around: Neighbourhood, v: Vector, unit: float, f0: float, noise: float | None = None) -> None:
        super().__init__(around, v, unit)
        self.f0 = f0
        self.floor = 0.5 * EPS * abs(f0)
        self.noise = noise
        self._largest: dict[int, float] = {}

    def see(self, levels: Sequence[int]) -> None:
        for level in levels:
            if level not in self.D:
                h = self.step(level)
                forward, backward = self.around.at(self.v, h), self.around.at(self.v, -h)
                self.D[level] = ((forward - self.f0) + (backward - self.f0)) / (h * h)
                self._largest[level] = max(abs(forward), abs(backward))

    def look(self, wide: int, deep: int) -> tuple[float, float]:
        if self.noise is None:
            self.noise = self._measured()
        self.see((deep, wide))
        return self._noise_at(deep, 1, self.noise), 0.0

    def _measured(self) -> float:
        """Noise of f by a difference table along the line, as `noise.measure` has it along all coordinates."""
        level = 0.0
        for spacing in SPACINGS:
            values = [self.f0, *(self.around.at(self.v, k * spacing * self.unit) for k in range(1, POINTS))]
            if not all(map(math.isfinite, values)):
                break
            level = difference_table(values)[0]
            if 2 * sum(a == b for a, b in pairwise(values)) < POINTS - 1:
                break
        return max(level, self.floor)

    def _noise_at(self, level: int, q: int, noise: float) -> float:
        relative = noise / abs(self.f0) if noise > 32.0 * self.floor > 0.0 else 0.5 * EPS
        return max(noise, relative * max(self._largest[k] for k in range(level, level + q)))

    def condition(self, level: int, q: int, noise: float) -> float:
        weights = [w / 4.0**offset for offset, w in enumerate(richardson(q))]
        # f(x) is shared by all levels, hence the squared sum.
        factor = math.sqrt(2.0 * sum(w * w for w in weights) + 4.0 * sum(weights) ** 2)
        return factor * self._noise_at(level, q, noise) / self.step(level) ** 2


class _Slopes(Differences[T]):
    """Differences of gradients."""

    power = 1
    wide, deep, wide_shift, deep_shift = -9, -22, 8, 5
    convergence = 0.005

    def condition(self, level: int, q: int, noise: float) -> float:
        factor = math.sqrt(0.5 * sum((w / 2.0**offset) ** 2 for offset, w in enumerate(richardson(q))))
        displaced = _DISPLACED * self.unit * self.size(self.D[level])
        return factor * max(noise, displaced) / self.step(level)

    def _odd_noise(self, deep: int) -> float:
        """Noise seen in the difference between two neighbouring levels."""
        variance = 0.5 / self.step(deep) ** 2 + 0.5 / self.step(deep - 1) ** 2
        return max(self.size(self.D[deep] - self.D[deep - 1]) / math.sqrt(variance), self.floor)


class SlopeCurvatures(_Slopes[float]):
    """Differences of vᵀg: vᵀHv."""

    def see(self, levels: Sequence[int]) -> None:
        missing = sorted(level for level in levels if level not in self.D)
        if missing:
            self._walk(missing)

    def _walk(self, levels: Sequence[int]) -> list[float]:
        """Walk from end to end of the line and return the increments of vᵀg between neighbouring points.

        Increments keep their digits where vᵀg itself would round, and two gradients at a time are in memory.
        """
        around, v = self.around, self.v
        t = [-self.step(level) for level in reversed(levels)] + [self.step(level) for level in levels]
        last = around.at(v, t[0])
        if self.floor == 0.0:
            self.floor = 0.25 * EPS * math.sqrt(vectors.dot_square(v, last, around.threads))
        rise = []
        for point in t[1:]:
            g = around.at(v, point)
            rise.append(vectors.dot_difference(v, g, last, around.threads))
            last = g
            del g
        middle = len(levels) - 1
        total = 0.0
        for offset, level in enumerate(levels):
            total += rise[middle] if offset == 0 else rise[middle - offset] + rise[middle + offset]
            self.D[level] = total / (2.0 * self.step(level))
        return rise

    def look(self, wide: int, deep: int) -> tuple[float, float]:
        self.D.clear()
        rise = self._walk((deep - 1, deep, wide))
        # Even parts vᵀg(h) + vᵀg(-h) against that of the innermost pair, less the h² term that the wide level shows.
        inner, outer = rise[3] - rise[1], rise[4] - rise[0]
        ratio = (4.0**deep - 4.0 ** (deep - 1)) / (4.0**wide - 4.0**deep)
        return self._odd_noise(deep), 0.5 * abs(inner - outer * ratio)


class Products(_Slopes[Floats]):
    """Differences of g: Hv."""

    def see(self, levels: Sequence[int]) -> None:
        for level in levels:
            if level not in self.D:
                forward = self.around.at(self.v, self.step(level))
                if self.floor == 0.0:
                    self.floor = 0.25 * EPS * vectors.norm(forward, self.around.threads)
                self.D[level] = divided_difference(self.around, self.v, self.step(level), forward)

    def look(self, wide: int, deep: int) -> tuple[float, float]:
        self.D.clear()
        self.see((deep - 1, deep, wide))
        noise = self._odd_noise(deep)
        del self.D[deep - 1]
        return noise, 0.0

    def size(self, value: Any) -> float:
        return vectors.norm(value, self.around.threads)

    def narrow(self, level: int, q: int) -> None:
        self.D = {k: value for k, value in self.D.items() if level <= k < level + q}


def divided_difference(around: Neighbourhood, v: Vector, h: float, forward: Vector | None = None) -> Floats:
    """Return (g(x + h v) - g(x - h v)) / (2 h), in the memory of g(x + h v)."""
    if forward is None:
        forward = around.at(v, h)
    backward = around.at(v, -h)
    out: Any = forward if forward.dtype == np.float64 else np.empty(forward.size)
    np.subtract(forward, backward, out=out, dtype=np.float64)
    out *= 0.5 / h
    return cast(Floats, out)


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What a search found.

    Attributes
    ----------
    value
        Extrapolated difference.
    error : float
        Bar on the size of its error; inf where no level was of use.
    level : int
        Smallest level in it.
    """

    value: T
    error: float
    level: int


@dataclass(frozen=True, slots=True)
class Balance:
    """What sets the level: truncation and condition part, as seen from the first look.

    Attributes
    ----------
    length : float
        Level, in binary digits, of the natural length: the h² term is as large as the value there.
    noise : float
        Binary logarithm of condition error over value at that level.
    power : int
        p: the condition error grows like h^-p.
    """

    length: float
    noise: float
    power: int

    def level(self, order: int) -> int:
        """Return the level at which an error h^order and the condition error balance."""
        return round(min(max(self.length + self.noise / (order + self.power) - _EARLY, _LOWEST), 0.0))


def search(differences: Differences[T], order: int) -> Found[T]:
    """Find the level of a central difference of that order and return the value of order + 2 there."""
    return search_from(differences, order, *first_look(differences))


def search_from(differences: Differences[T], order: int, look: Look, balance: Balance | None) -> Found[T]:
    """Do the same after a first look."""
    q = order // 2
    level = look.wide if balance is None else min(balance.level(order + 2), -q)
    if level == look.wide + 1:
        level = look.wide
    elif level == look.wide - q - 1:
        level += 1
    return _corrected(differences, q, level, look)


@dataclass(frozen=True, slots=True)
class Look:
    """The levels of the first look and the noise seen there."""

    wide: int
    deep: int
    noise: float


def first_look(differences: Differences[T]) -> tuple[Look, Balance | None]:
    """Go down until the wide level lies within the natural length; None where that is not known."""
    wide, deep, size = differences.wide, differences.deep, differences.size
    for shift in range(_SHIFTS + 1):
        noise, bend = differences.look(wide, deep)
        gap = size(differences.D[wide] - differences.D[deep])
        unseen = differences.condition(deep, 1, noise)
        clear = gap > 0.1 * size(differences.D[deep]) and gap > _CLEAR * unseen
        if shift == _SHIFTS or (math.isfinite(gap) and not clear and bend <= _BENT * noise):
            break
        wide, deep = wide - differences.wide_shift, deep - differences.deep_shift
    look = Look(wide, deep, max(noise, bend))
    unseen = differences.condition(deep, 1, look.noise)
    value = max(size(differences.D[wide]), size(differences.D[deep]) - 4.0 * unseen, TINY)
    if not math.isfinite(gap + value + look.noise) or look.noise == 0.0:
        return look, None
    length = wide - 0.5 * math.log2(max(gap, 0.25 * unseen) / value)
    power = differences.power
    at_length = math.log2(look.noise / value) - power * (math.log2(differences.unit) + length)
    return look, Balance(length, at_length, power)


def _corrected(differences: Differences[T], q: int, level: int, look: Look) -> Found[T]:
    """Evaluate q + 1 levels; move while truncation and condition part are far apart; return the best seen."""
    best: Found[T] | None = None
    tried: set[int] = set()
    for turn in range(_DESPERATE_ROUNDS):
        tried.add(level)
        differences.narrow(level, q + 1)
        differences.see(range(level, level + q + 1))
        value = differences.combine(level, richardson(q + 1))
        condition, truncation, doubt = _parts(differences, q, level, look, value)
        size = differences.size(value)
        error = _CONDITION_BAR * condition + _TRUNCATION_BAR * truncation + doubt + 4.0 * EPS * size
        if best is None or error < best.error:
            best = Found(value, error if math.isfinite(error) else math.inf, level)
        del value
        if error <= _ENOUGH * size or (turn + 1 >= _ROUNDS and best.error < 1e-6 * size):
            break
        if not math.isfinite(error) or doubt > _CONDITION_BAR * condition + _TRUNCATION_BAR * truncation:
            move = -5
        else:
            ratio = max(condition, TINY) / max(truncation, condition * 2.0**-20, TINY)
            gap = math.log2(ratio) / (2 * q + 2 + differences.power)
            move = round(gap) if abs(gap) >= 1.5 else 0
        level = min(level + move, -q)
        if level in tried or level < _LOWEST:
            break
    assert best is not None
    return best


def _parts(differences: Differences[T], q: int, level: int, look: Look, value: T) -> tuple[float, float, float]:
    """Return condition part, truncation part, and what the deep level says against the value beyond both."""
    size, deep, noise = differences.size, look.deep, look.noise
    truncation = size(_change(differences, level, q))
    if q > 1:
        earlier = size(_change(differences, level, q - 1))
        if earlier > 0.0:
            truncation *= max(min(1.0, 4.0 * truncation / earlier), differences.convergence)
    doubt = 0.0
    if deep in differences.D:
        spread = differences.condition(deep, 1, noise) / noise if noise > 0.0 else math.inf
        residual = size(differences.D[deep] - value) / spread
        doubt = max(0.0, residual - 6.0 * noise) * spread if math.isfinite(spread) else 0.0
        noise = max(noise, min(residual, 4.0 * noise))
    return differences.condition(level, q + 1, noise), truncation, doubt


def _change(differences: Differences[T], level: int, q: int) -> Any:
    """Extrapolation over q + 1 levels minus that over q."""
    shorter = (*richardson(q), 0.0)
    return differences.combine(level, [a - b for a, b in zip(richardson(q + 1), shorter, strict=True)])
