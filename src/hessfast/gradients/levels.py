"""One coordinate (or direction) of a gradient on the ladder of dyadic steps: what a level says, and which one is next.

At each level h = 2^k u the column has a condition error N, the noise of g over h, and a truncation error T, read from
the h^2 term that the extrapolation removed. Both relative to the column's norm; they balance at

    h* = h (N / (p T))^(1/(p+1)),   p the order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hessfast.gradients.columns import Array, Family, extrapolate
from hessfast.scale import EPS, TINY

CLEAR = 20.0  # a residual this many times its noise is no noise
VERIFY = 6  # levels below the chosen one at which it is verified
DEEPER = 3  # levels below that at which a failed verification is looked into

_FOLLOW_ONE_SIDED = 2.5
_BENT = 2 / 3
"""c_2 h^2 / H over the square of c_1 h / H: as for the exponential."""
_HIDDEN = 0.8
"""An h^2 term below this share of the condition error is noise: its own noise is a quarter of it. In a column that is
mostly noise (a relative condition error above _NOISY) it must stand out by more to mean anything."""
_NOISY = 0.03
_HIDDEN_IN_NOISE = 4.0
_SQUARED = (1e-140, 1e140)  # between these a sum of squares is right
_MOST = 1e300
_RUN = 1 << 14  # entries of a matrix worked on at once
_LUCKY = 0.1  # share of the rounding of values on a grid below which their scatter is chance
_BLIND = 1.0  # relative condition error above which a column was not seen at all


@cache
def _following(levels: int) -> float:
    """Truncation error over (last correction x relative h^2 term) at so many levels, to two digits.

    The geometric mean of what the exponential and the geometric series give: 1.2 and 4 at two levels, 2.3 and 16 at
    three. Their coefficients of h^2k are 1 / (2k + 1)! and 1, and the last node is 2^(levels - 1).
    """
    return float(f"{4.0 ** (levels - 1) * math.sqrt(6.0 / (2 * levels * (2 * levels + 1))):.2g}")


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """A column with its two errors by entry, the size of its h^2 (one-sided: h) term, and `falling` of the whole."""

    value: Array
    truncation: Array
    condition: Array
    drift: Array
    rate: Array


def judge(D: Sequence[Array], nodes: Family, step: float, noise: Array, weight: Array, bend: float = 0.0) -> Judgement:
    """Extrapolate the divided differences D and estimate both errors of each entry.

    Parameters
    ----------
    D : sequence of ndarray, shape (m,)
        At the nodes of the family; one more than it has serves the truncation alone.
    step : float
    noise : ndarray, shape (m,)
        Noise level of the components of g.
    weight : ndarray, shape (m,)
        Makes the entries of a column comparable.
    bend : float
        c_1 h of the entry on the diagonal, weighted: of a symmetric stencil.
    """
    levels = len(nodes.nodes)
    value = extrapolate(D[:levels], nodes.weights)
    condition = np.hypot(nodes.noise * noise / abs(step), EPS * value)
    # D(1) - D(2) is 3 c_2 h^2, or c_1 h one-sided.
    drift = np.abs(D[0] - D[1]) / (3.0 if nodes.symmetric else 1.0)
    if levels == 1:
        return Judgement(value, drift, condition, drift, np.zeros(value.shape[:-1]))
    last = np.abs(value - extrapolate(D[: levels - 1], nodes.shorter.weights))
    size = norm(value * weight)
    ratio = quotient(norm(drift * weight), size)
    beyond = quotient(norm(np.fmax(last - 2 * condition, 0.0) * weight), size)
    rate = falling(nodes, ratio, beyond, quotient(np.asarray(bend), size))
    if nodes.symmetric and levels > 2:
        # Smooth differences change at most 16 times as much from node to node; a kink that the last one crosses, more.
        near, far = (norm((D[k] - D[k + 1]) * weight) for k in (0, levels - 2))
        if far > 32.0 ** (levels - 2) * near + CLEAR * norm(condition * weight):
            ratio = np.ones_like(ratio)
    return Judgement(value, last * follow(nodes, ratio), condition, drift, rate)


def falling(nodes: Family, square: Array | float, last: Array | float, bend: Array | float) -> Array:
    """Ratio at which the terms of a column fall from one power of h^2 to the next, from all that is seen of it.

    Parameters
    ----------
    nodes : Family
    square, last, bend : ndarray or float
        h^2 term, last correction and h term of the column over its size. The first may vanish by chance, or all even
        ones by symmetry; none is less than what the others let expect.
    """
    found = np.asarray(square, dtype=np.float64)
    if nodes.symmetric:
        found = np.fmax(found, np.fmin(_BENT * np.square(np.fmin(bend, 1.0)), 1.0))
        if (levels := len(nodes.nodes)) > 2:
            found = np.fmax(found, (last / _chain(levels - 1)) ** (1.0 / (levels - 1)))
    return found


def follows(nodes: Family, rate: Array | float) -> Array:
    """Truncation error over the size of a column whose terms fall at that rate; 0 where one side shows too little."""
    levels = len(nodes.nodes)
    if not nodes.symmetric:
        return np.zeros_like(np.asarray(rate))
    return np.asarray(np.fmin(_chain(levels) * np.fmin(rate, 1.0) ** levels, 1.0))


def _chain(levels: int) -> float:
    """Product of what follows at each number of levels up to this one."""
    return float(np.prod([_following(k) for k in range(2, levels + 1)]))


def follow(nodes: Family, ratio: Array | float) -> Array:
    """Truncation error over the last correction, from the relative h^2 (one-sided: h) term."""
    factor = _following(len(nodes.nodes)) if nodes.symmetric else _FOLLOW_ONE_SIDED
    return np.minimum(1.0, factor * ratio)


def norm(a: Array) -> Array:
    """Euclidean norm of the rows, nan where they hold one; squares that leave the range of float64 are scaled."""
    found = np.asarray(np.sqrt(np.sum(a * a, axis=-1)))
    if not np.all((found > _SQUARED[0]) & (found < _SQUARED[1])):
        largest = np.max(np.abs(a), axis=-1, initial=0.0)
        fits = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        found = np.asarray(fits * np.sqrt(np.sum((a / fits[..., None]) ** 2, axis=-1)))
    return found


def quotient(error: Array, size: Array) -> Array:
    """Relative error: finite and no nan, whatever the size."""
    return np.asarray(np.fmin(np.fmax(error / np.fmax(size, TINY), 0.0), _MOST))


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of a column relative to its size; `hidden`: its drift is only noise; `finite`: it is one at all."""

    condition: float
    truncation: float
    hidden: bool
    finite: bool = True
    size: float = 1.0

    @property
    def total(self) -> float:
        """Their sum, infinite where the column is not finite."""
        return self.condition + self.truncation if self.finite else np.inf

    @property
    def absolute(self) -> float:
        """The same in units of the column: a column that is zero in truth has no relative error."""
        return self.total * self.size if self.finite else np.inf

    def move(self, order: int) -> float:
        """Levels from here to the balance; up by a guess where the truncation error cannot be seen."""
        if self.hidden and self.condition > 0.1:
            return 12.0
        levels = (_log2(self.condition) - _log2(order * self.truncation)) / (order + 1)
        return float(np.clip(max(levels, 2.0) if self.hidden else levels, -12.0, 12.0))

    def gain(self, order: int) -> float:
        """Error here over the error at the balance."""
        if not (self.truncation > 0 and self.condition > 0):
            return np.inf
        h = 2.0 ** ((_log2(self.condition) - _log2(order * self.truncation)) / (order + 1))
        return float(self.total / (self.condition / h + self.truncation * h**order))


def _log2(a: float) -> float:
    """Logarithm of a, within the range of float64."""
    return float(np.log2(np.fmin(np.fmax(a, 1 / _MOST), _MOST)))


def column_errors(j: Judgement, weight: Array) -> Errors:
    """Norms over the entries of a column."""
    with np.errstate(all="ignore"):
        size = norm(j.value * weight)
        condition = float(quotient(norm(j.condition * weight), size))
        drift = float(quotient(norm(j.drift * weight), size))
        return Errors(
            max(condition, EPS / 4),
            float(quotient(norm(j.truncation * weight), size)),
            drift < _hidden_below(condition) * condition,
            bool(np.isfinite(j.value + j.drift).all()),
            float(np.fmin(np.fmax(size, TINY), _MOST)),
        )


def direction_errors(j: Judgement) -> Errors:
    """Medians over the components that show above their noise: a few odd coordinates leave no mark."""
    finite = bool(np.isfinite(j.value + j.drift).all())
    shows = np.abs(j.value) > 3 * j.condition
    if not finite or not shows.any():
        return Errors(np.inf, 0.0, True, finite)
    size = np.abs(j.value[shows])
    condition = max(float(np.median(j.condition[shows] / size)), EPS / 4)
    drift = float(np.median(j.drift[shows] / j.condition[shows]))
    return Errors(condition, float(np.median(j.truncation[shows] / size)), drift < _hidden_below(condition))


def _hidden_below(condition: float) -> float:
    return _HIDDEN if condition < _NOISY else _HIDDEN_IN_NOISE


@dataclass(slots=True, eq=False)
class Ray:
    """The levels looked at along one coordinate, and where its search stands.

    Attributes
    ----------
    unit : float
        Step at level 0, signed where the stencil is one-sided.
    nodes : Family
    level, ceiling : int
        Present level, and the highest one allowed.
    lowest : int
        Level below which points round back to x.
    axis : int
        The coordinate; -1 for a direction.
    seen : dict
        Divided differences by level: one for a symmetric stencil (levels share them), all nodes for a one-sided.
    bends : dict
        By level: c_1 h of the entry on the diagonal, and how much that turns with x (`GradientSearch.unsettled`).
    best : int or None
        Level of the least error so far.
    error, relative : float
        That error, and its share of the column.
    beyond : int
        Levels that the column may go above its ceiling while it is not seen.
    leap : int
        Levels that it goes up at once, at most.
    walled : bool
        Whether g was not finite at a level.
    """

    unit: float
    nodes: Family
    level: int
    ceiling: int
    axis: int = -1
    lowest: int = -2000
    seen: dict[int, list[Array]] = field(default_factory=dict)
    bends: dict[int, tuple[float, float]] = field(default_factory=dict)
    tried: set[int] = field(default_factory=set)
    best: int | None = None
    error: float = np.inf
    relative: float = np.inf
    beyond: int = 0
    leap: int = 12
    misses: int = 0
    walled: bool = False

    def _span(self, level: int) -> range:
        """Levels whose differences a judgement takes: at least two, so that the drift is seen."""
        return range(level, level + (max(2, len(self.nodes.nodes)) if self.nodes.symmetric else 1))

    def missing(self, level: int) -> list[int]:
        """Levels still to be evaluated for a judgement at `level`."""
        return [k for k in self._span(level) if k not in self.seen]

    def unseen(self, level: int) -> list[int]:
        """The level, where it is still to be evaluated."""
        return [] if level in self.seen else [level]

    def judge(self, level: int, noise: Array, weight: Array) -> Judgement:
        """Judge a level whose differences were all seen."""
        D = [d for k in self._span(level) for d in self.seen[k]]
        with np.errstate(all="ignore"):
            bend = self.bends[level][0] * weight[self.axis] if level in self.bends else 0.0
            return judge(D, self.nodes, self.unit * 2.0**level, noise, weight, bend)

    def course(self, noise: Array) -> Array:
        """Truncation error at the best level as all others have it: it falls like h^p from where it is larger.

        Shorter steps have less of it and more noise; those at which the column is another one altogether, as beyond a
        cliff, say nothing.
        """
        assert self.best is not None
        levels, found = len(self.nodes.nodes), np.zeros(noise.shape)
        if not self.nodes.symmetric:
            return found
        with np.errstate(all="ignore"):
            value = self._combined(self.best)
            for level in self.seen:
                if level != self.best and all(level + k in self.seen for k in range(levels)):
                    missed = np.abs(self._combined(level) - value)
                    if level > self.best:
                        if not norm(missed) <= norm(value):
                            continue
                        missed *= 2.0 ** (self.nodes.order * (self.best - level))
                    else:
                        missed -= CLEAR / 4 * self.nodes.noise * noise / abs(self.unit * 2.0**level)
                    found = np.fmax(found, np.nan_to_num(missed, posinf=0.0))
        return found

    def _combined(self, level: int) -> Array:
        return extrapolate([self.seen[level + k][0] for k in range(len(self.nodes.nodes))], self.nodes.weights)

    def advance(self, errors: Errors, reachable: float = np.inf) -> bool:
        """Take the errors of the present level and go to the next one; False where the search ends.

        Above the balance the error grows like h^p, below it like 1/h: half a level too high is already too much. Where
        the condition error is above what is `reachable`, a truncation error no larger may be noise, and up is tried,
        above the ceiling too. A column of which nothing is seen yet is no miss.
        """
        self.tried.add(self.level)
        if not errors.finite:
            self.walled = True
            self.ceiling, self.beyond = self.level - 1, 0
            move = -2.0 if len(self.tried) < 4 else -6.0
        else:
            if errors.absolute < self.error:
                self.error, self.relative, self.best = errors.absolute, errors.total, self.level
            elif errors.condition < _BLIND:
                self.misses += 1
            move = errors.move(self.nodes.order)
            if errors.condition > reachable and errors.truncation < 4 * errors.condition:
                move = max(move, 3.0)
            if -0.6 <= move <= 1.25 or self.misses > 2:
                return False
        above = self.beyond if errors.condition > reachable else 0
        if self.level >= self.ceiling and errors.condition >= _BLIND:  # far from any size in sight
            move, self.leap = float(self.leap), 2 * self.leap
        wanted = min(self.level + min(int(np.floor(move + 0.4)), self.leap), self.ceiling + above)
        while wanted in self.tried and self.best is None:
            wanted -= 1
        self.level = wanted = max(wanted, min(self.lowest, self.ceiling))
        return wanted not in self.tried and len(self.tried) < 16


def failing(ray: Ray, j: Judgement, noise: Array) -> NDArray[np.bool_]:
    """Components where D six levels below is not what the extrapolated column and its h^2 term predict.

    Noise from seven values may be low by a factor; where most components say so, up to three is given to it.
    """
    assert ray.best is not None
    low = ray.best - VERIFY
    with np.errstate(all="ignore"):
        expected = j.value + 4.0**-VERIFY * (ray.seen[ray.best][0] - j.value)
        residual = np.abs(ray.seen[low][0] - expected)
        spread = noise / abs(ray.unit * 2.0**low) + EPS * np.abs(j.value)
        excess = float(np.median(residual / np.maximum(spread, TINY))) / 0.48
        return np.asarray(~(residual <= CLEAR * spread * min(max(excess, 1.0), 3.0) + 2 * j.truncation))


def again(ray: Ray, wrong: NDArray[np.bool_], noise: Array) -> tuple[Ray, Array]:
    """Return the ray to search anew after a verification that failed, and the noise level, for one of two reasons.

    Noise above the level that was measured at x grows with 1/h: then that level is raised. A step beyond the natural
    length fails alike however small the verifying one is: then the search restarts below it.
    """
    assert ray.best is not None
    low = ray.best - VERIFY
    D, deeper = ray.seen[low][0], ray.seen[low - DEEPER][0]
    level, ceiling = low, ray.best - 4
    with np.errstate(all="ignore"):
        missed = np.abs(D - ray.judge(ray.best, noise, np.ones_like(D)).value)
        grown = np.abs(deeper - D)
        noisy = wrong & (grown > 0.5 * missed) & np.isfinite(grown)
        if 2 * np.count_nonzero(noisy) > np.count_nonzero(wrong):
            seen = 1.5 * grown * abs(ray.unit * 2.0 ** (low - DEEPER))
            noise = np.where(noisy, np.maximum(noise, seen), noise)
            level, ceiling = ray.best, ray.ceiling
    return (
        Ray(
            ray.unit,
            ray.nodes,
            level,
            ceiling,
            ray.axis,
            ray.lowest,
            seen=ray.seen,
            bends=ray.bends,
            leap=ray.leap,
            walled=ray.walled,
        ),
        noise,
    )


def noise_level(offsets: Array, table: Array) -> Array:
    """Noise level of each column of a table of values along a line: their scatter about a parabola.

    The offsets are to be uneven. At equal spacing the rounding errors of a short sum of products can be a smooth
    function of the row, and the differences of Moré & Wild (2011) then miss them by a factor of 100. Values on a grid
    may lie on a straight line by chance: they are rounded to that grid nevertheless, unless g is exact.
    """
    t = offsets / offsets[-1]
    basis, _ = np.linalg.qr(np.stack([np.ones_like(t), t, t * t], axis=1))
    values = table - table[0]
    residual = values - basis @ (basis.T @ values)
    sigma = np.sqrt(np.sum(residual**2, axis=0) / (len(t) - 3))
    rounding = _grid(values) / math.sqrt(12.0)
    if 2 * np.count_nonzero(sigma >= _LUCKY * rounding) > len(rounding):
        sigma = np.fmax(sigma, rounding)
    return np.where(np.isfinite(sigma), sigma, 0.0)


def _grid(values: Array) -> Array:
    """Largest power of two of which all values in a column are multiples; 0 where they all are 0."""
    mantissa, exponent = np.frexp(np.where(np.isfinite(values), values, 0.0))
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    last = np.ldexp((whole & -whole).astype(np.float64), exponent - 53)
    found = np.min(last, axis=0, initial=np.inf, where=whole != 0)
    return np.where(np.isfinite(found), found, 0.0)


def equilibrate(G: Array) -> Array:
    """Scale s with max_j |s_i G_ij s_j| = 1 in each row (Ruiz 2001), on the smaller of G_ij and G_ji.

    A column spoiled by its step then weighs on nothing but its own diagonal entry. Rows of zeros keep s = 1.
    """
    B = np.abs(G)
    s = np.ones(len(B))
    runs = [slice(first, first + max(1, _RUN // len(B))) for first in range(0, len(B), max(1, _RUN // len(B)))]
    with np.errstate(all="ignore"):
        for run in runs:
            B[run] = np.minimum(B[run], np.abs(G[:, run].T))
            B[run][~np.isfinite(B[run])] = 0.0
        for _ in range(12):
            largest = np.concatenate([np.max(s[run, None] * B[run] * s, axis=1, initial=0.0) for run in runs])
            s /= np.sqrt(np.where((largest > 0) & np.isfinite(largest), largest, 1.0))
    return s
