"""What is known of g around x before any column: g(x), the noise of its components, the sizes of the coordinates.

The noise is that of seven gradients on an irregular line so short that a smooth g is a parabola there; the scatter
about that parabola is the noise. Where sizes are next to zero they are asked of g as they are of f
(`hessfast.scale.find_sizes`). From the noise follow the order, where it is left open, and the level to begin with.
"""

from __future__ import annotations

import math

import numpy as np

from hessfast.calls.points import Search
from hessfast.gradients.columns import Array, Gradient
from hessfast.gradients.norms import norm
from hessfast.gradients.policy import POLICY, Policy
from hessfast.scale import EPS, ORDINARY, TINY, Sizes, find_sizes, unit_of

_HUGE = float(np.finfo(np.float64).max)


class Place:
    """Where g is differentiated, and what is known of it there; `measure` is called once.

    Attributes
    ----------
    gradient : Gradient
    lower, upper, below, above : ndarray, shape (m,)
        Bounds, and the room to either.
    size, unit : ndarray, shape (m,)
        Natural size of each coordinate, |x_i| or what was found in its place, and the step at level 0.
    g0, noise : ndarray, shape (m,)
        g(x), and the noise level of its components, as it is known so far.
    noise_given : bool
        The caller's noise is not doubted.
    repeatable, random : bool
        Whether g(x) was the same when it was asked again, and whether it differs each time.
    glance : tuple of ndarray, shape (m,)
        The longest displacement of the table, and what g changes along it but for the second derivatives of g.
    order, start : int
        Of the formula, what "auto" came to; level at which the columns begin.
    attainable : float
        Relative error of a balanced level, in an ordinary function.
    """

    order: int
    start: int
    attainable: float
    g0: Array
    noise: Array
    glance: tuple[Array, Array]

    def __init__(
        self,
        gradient: Gradient,
        order: int | str,
        policy: Policy = POLICY,
        *,
        lower: Array | None = None,
        upper: Array | None = None,
        noise: float | Array | None = None,
        x_scale: Array | None = None,
    ) -> None:
        x = gradient.x
        self.gradient, self.policy, self._asked_order, self._given = gradient, policy, order, noise
        self.lower = np.full(x.size, -_HUGE) if lower is None else np.maximum(lower, -_HUGE)
        self.upper = np.full(x.size, _HUGE) if upper is None else np.minimum(upper, _HUGE)
        # A difference is rounded; what is less by two eps is no more than the true one, and x + h then stays inside.
        self.below, self.above = ((1 - 2 * EPS) * room for room in (x - self.lower, self.upper - x))
        self.size = ORDINARY.of(x) if x_scale is None else x_scale
        self.unit = unit_of(self.size)
        self.noise_given = noise is not None
        self.repeatable, self.random = True, False
        self.chance = np.random.default_rng(20110317)
        self.signs = self.chance.choice((-1.0, 1.0), x.size)
        self._paces = 1.0 + np.random.default_rng(20110318).integers(-127, 128, x.size) / 256.0 + 2.0**-9
        self._sized = x_scale is not None

    def again(self, noise: Array) -> Place:
        """Return the same place, to be looked at once more in that noise; order and sizes are known by now."""
        return Place(
            self.gradient,
            self.order,
            self.policy,
            lower=self.lower,
            upper=self.upper,
            noise=noise,
            x_scale=self.size,
        )

    @property
    def cap(self) -> int:
        """Level at which the outermost node displaces a coordinate by its own size."""
        return 1 - max(1, self.order // 2)

    def measure(self) -> Search[None]:
        """Measure g(x) and its noise, find the sizes, resolve the order, choose the level where the scan begins.

        Where half of the first differences vanish g is coarser than the spacing, and the table is made anew, wider;
        also where the sizes that were found are longer and it stood still, or shorter.
        """
        policy = self.policy
        probing = not self._sized
        spacings = list(policy.spacings)
        while spacings:
            offsets = 2.0 ** spacings.pop(0) * np.array(policy.offsets)
            table = yield from self._table(offsets)
            stands_still = np.mean(np.diff(table, axis=0) == 0) >= 0.5
            if probing:
                probing = False
                self._sized, before = True, self.unit
                noise = np.maximum(noise_level(offsets, table, policy.lucky), EPS / 2 * np.abs(self.g0))
                if (yield from self._find_sizes(noise)) and (stands_still or (self.unit < before).any()):
                    spacings = list(policy.spacings)
                    continue
            if not stands_still:
                break
        floor = EPS / 2 * np.abs(self.g0)
        measured = np.maximum(noise_level(offsets, table, policy.lucky), floor)
        size = np.abs(self.g0) + np.abs(table[-1] - table[0]) / offsets[-1]
        self.noise = measured if self._given is None else np.maximum(self._given, floor)
        self._measured = self.noise
        known = np.isfinite(size) & (size > 0)
        relative = float(np.median(self.noise[known] / size[known])) if known.any() else EPS
        unlike_rounding = np.median((np.maximum(measured, self.noise) / size)[known]) if known.any() else 0.0
        if unlike_rounding > policy.unlike_rounding:
            yield from self._ask_again()
            relative = float(np.median(self.noise[known] / size[known])) if known.any() else EPS
        relative = min(max(relative, EPS / 2), policy.most_noise)
        automatic = 6 if relative <= policy.automatic * EPS else 4
        self.order = automatic if self._asked_order == "auto" else int(self._asked_order)
        self.start = round(np.log2(relative) / (self.order + 1))
        self.attainable = relative ** (self.order / (self.order + 1))

    def has_drifted(self, again: Array) -> bool:
        """Whether an answer at the end of the run, at x, is not g(x) as it was at its beginning."""
        return self._in_noise(again - self.g0) > self.policy.random

    def _ask_again(self) -> Search[None]:
        """Ask g for its value at x again: one that answers differently each time shows it nowhere else.

        Its noise is no less than that. Where two more answers differ by far less, it is a drift.
        """
        x = self.gradient.x[None, :]
        again = (yield from self.gradient.dense(x))[0]
        if np.array_equal(again, self.g0):
            return
        self.repeatable = False
        answers = np.stack([self.g0, again, *(yield from self.gradient.dense(np.repeat(x, 2, axis=0)))])
        apart, *next_to = (self._in_noise(step) for step in np.diff(answers, axis=0))
        drifting = max(next_to) < apart / self.policy.drifting
        self.random = apart > self.policy.random and not drifting
        scatter = np.std(answers, axis=0, ddof=1)
        if drifting:
            scatter = np.max(np.abs(np.diff(answers[1:], axis=0)), axis=0)
        self.noise = np.maximum(self.noise * max(self._in_noise(scatter), 1.0), scatter)

    def _in_noise(self, differences: Array) -> float:
        """Root mean square in units of the noise that the table showed, or that was given."""
        return float(np.sqrt(np.mean((differences / np.fmax(self._measured, TINY)) ** 2)))

    def _table(self, offsets: Array) -> Search[Array]:
        """Ask for g along one irregular direction inside the bounds: (7, m), the first at x."""
        x = self.gradient.x
        # Where all coordinates are small zeros are not moved by more than the others, before their sizes are known.
        longest = float(np.abs(x).max()) or 1.0
        size = self.size if self._sized or longest >= self.policy.small else np.fmin(self.size, longest)
        self._spread = spread = unit_of(np.maximum(np.abs(x), size))
        room = 2.0**-16 * spread
        sign = np.where(self.above < room, -1.0, np.where(self.below < room, 1.0, self.signs))
        # Displacements of many bits, unlike in every coordinate, so that sums are rounded afresh and none cancel.
        points = np.clip(x + offsets[:, None] * (sign * self._paces * spread), self.lower, self.upper)
        table = yield from self.gradient.dense(points)
        self.g0 = table[0]
        if not np.isfinite(self.g0).all():
            raise ValueError("jac: is not finite at x0")
        self._look(points[1:] - x, table[1:] - table[0])
        return table

    def _look(self, d: Array, change: Array) -> None:
        """Keep the longest displacement of a line, and what g changes along it but for the second derivatives of g."""
        t = np.max(np.abs(d), axis=1)
        t /= t[-1] or 1.0
        self.glance = d[-1], (np.linalg.pinv(np.stack([t, t * t], axis=1)) @ change)[0]

    def _find_sizes(self, noise: Array) -> Search[bool]:
        """Ask g for the sizes of coordinates that are next to zero; return whether they differ from |x_i|."""
        x = self.gradient.x
        last = [self.g0]

        def change(d: Array) -> Search[tuple[float, float]]:
            point = np.clip(x + d, self.lower, self.upper)
            moved = point - x
            g = (yield from self.gradient.probe(point[None, :]))[0]
            # One that keeps its last result while x hardly moves says nothing at such displacements.
            same, last[0] = np.array_equal(g, last[0]), g
            level = np.maximum(noise, EPS / 2 * np.abs(g))
            lost = max(float(np.abs(moved) @ level), EPS * float(norm(self.g0) * norm(moved)))
            return float(moved @ (g - self.g0)), math.inf if same else lost

        toward = None
        if np.minimum(self.below, self.above).min() < _HUGE / 2:
            toward = np.where(self.above >= self.below, 1.0, -1.0)
        found: Sizes = yield from find_sizes(x, change, power=2, toward=toward)
        if found is ORDINARY:
            return False
        self.size = found.of(x)
        self.unit = unit_of(self.size)
        # A look at each coordinate over as much of its size as the table has.
        d = self.glance[0] / self._spread * self.unit
        points = np.clip(x + np.array([[0.5], [1.0]]) * d, self.lower, self.upper)
        self._look(points - x, (yield from self.gradient.dense(points)) - self.g0)
        return True


def noise_level(offsets: Array, table: Array, lucky: float = POLICY.lucky) -> Array:
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
    if 2 * np.count_nonzero(sigma >= lucky * rounding) > len(rounding):
        sigma = np.fmax(sigma, rounding)
    return np.where(np.isfinite(sigma), sigma, 0.0)


def _grid(values: Array) -> Array:
    """Largest power of two of which all values in a column are multiples; 0 where they all are 0."""
    mantissa, exponent = np.frexp(np.where(np.isfinite(values), values, 0.0))
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    last = np.ldexp((whole & -whole).astype(np.float64), exponent - 53)
    found = np.min(last, axis=0, initial=np.inf, where=whole != 0)
    return np.where(np.isfinite(found), found, 0.0)
