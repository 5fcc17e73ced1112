"""The Hessian from gradients with steps found by a search, and an error bar on each entry.

A step is h = 2^k u, u the power of two nearest to the size of the coordinate. In turn:

1. the noise of each component of g, from a table of seven gradients;
2. one random direction, displacing each coordinate by its own u, sets a level k for all of them;
3. the columns at that level, each of which says what its two errors are;
4. for the coordinates that could do much better at another level, a search of their own, side by side;
5. a certificate of the whole matrix: one central difference along a short random combination of the coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Search, spent_on
from hessfast.gradients.columns import Array, Family, Gradient, blocks, differences, extrapolate, family
from hessfast.gradients.levels import (
    CLEAR,
    DEEPER,
    VERIFY,
    Errors,
    Judgement,
    Ray,
    again,
    column_errors,
    direction_errors,
    equilibrate,
    failing,
    falling,
    follow,
    follows,
    noise_level,
    norm,
    quotient,
)
from hessfast.gradients.ripples import FAR, FARTHEST, NEAR, Sight, is_broken_near, look_far, plateau
from hessfast.scale import EPS, ORDINARY, TINY, Sizes, farthest, find_sizes, unit_of
from hessfast.values.noise import ROUNDING

_WORTH = 20.0  # a column is searched on its own where that promises to divide its error by this,
_SHORT = 50.0  # or where its condition error exceeds what a balanced step could reach this many times
_UNEVEN = np.array([0.0, 1.0, 4.0, 9.0, 15.0, 20.0, 26.0])  # offsets of the noise table
_RAYS = 256  # coordinates searched at a time at most, as many as leave what they have seen in
_SEEN_BYTES = 1 << 20
_RUN = 1 << 14  # entries of a matrix worked on at once
_HUGE = float(np.finfo(np.float64).max)
_SMALL = 2.0**-14  # |x_i| that parts small coordinates from 1
_DIGITS = -49  # octaves of a number, but for the last ones
_LEVELS = 2000.0  # no step in float64 is farther from its unit
_FARTHER = 7  # octaves by which a size must be less than those it is tried up to, to have a higher ceiling
_NEXT_TO_ZERO = 2.0**-4  # component of g over its change across the steps, below which its noise may be that of nothing
_OF_NOTHING = 2.0**-5  # noise over the rounding of arguments up to which it is
_ROUNDING = 1e-14  # relative noise above which it is no mere rounding, and g may be random
_RANDOM = 6.0  # noise levels by which answers at one point must differ to be called random, or a drift
_SMALL_LEAP = 4  # levels that a search from short steps goes up at once
_SHORT_OF_LENGTH = (
    0.06  # part by which differences at steps of a sixth of the natural length change to those twice as long
)
_USELESS = 32.0  # times the error of a column that its mirror image may have to be averaged with it
_COURSE = 0.5  # of the truncation error along the direction, for a column
_LUCK = 1e3  # by how much a correction may be less than others let expect, by chance
_CONDITION_BAR = 4.1
_TRUNCATION_BAR = 3.9


@dataclass(frozen=True, slots=True, eq=False)
class GradientHessian:
    """A Hessian from gradients.

    Attributes
    ----------
    hess, truncation_error, condition_error : ndarray, shape (m, m)
        Mean of the columns and their transpose, and the two parts of its error bar.
    step : ndarray, shape (m,)
        Smallest node of each coordinate, negative where the stencil is one-sided downwards.
    symmetric : ndarray of bool, shape (m,)
        Where the stencil has both sides.
    jac, jac_error, noise : ndarray, shape (m,)
        g(x), its error bar, and the noise level of its components.
    order : int
        Of the formula; what "auto" came to.
    searched, walled : ndarray of int
        Coordinates that left the common level, and those whose steps a non-finite g kept short.
    sizes : ndarray, shape (m,)
        Natural size of each coordinate: |x_i|, or what the search found in its place.
    random, drifted : bool
        Whether g answered otherwise when it was asked again at x, each time or in the course of the run.
    """

    hess: Array
    truncation_error: Array
    condition_error: Array
    step: Array
    symmetric: NDArray[np.bool_]
    jac: Array
    jac_error: Array
    noise: Array
    order: int
    searched: NDArray[np.intp]
    walled: NDArray[np.intp]
    sizes: Array
    random: bool
    drifted: bool


class GradientSearch:
    """The search for one Hessian; `run` is called once.

    By purpose the columns count as `pairs`, the certificate as `calibration`.
    """

    def __init__(
        self,
        gradient: Gradient,
        order: int | str,
        *,
        lower: Array | None = None,
        upper: Array | None = None,
        noise: float | Array | None = None,
        x_scale: Array | None = None,
    ) -> None:
        x = gradient.x
        self._noise_given = noise is not None
        self.gradient, self._asked_order, self._given = gradient, order, noise
        self.lower = np.full(x.size, -_HUGE) if lower is None else np.maximum(lower, -_HUGE)
        self.upper = np.full(x.size, _HUGE) if upper is None else np.minimum(upper, _HUGE)
        # A difference is rounded; what is less by two eps is no more than the true one, and x + h then stays inside.
        self.below, self.above = ((1 - 2 * EPS) * room for room in (x - self.lower, self.upper - x))
        self.size = ORDINARY.of(x) if x_scale is None else x_scale
        self.unit = unit_of(self.size)
        self._random = np.random.default_rng(20110317)
        self.repeatable, self.random, self.drifted = True, False, False
        self._signs = self._random.choice((-1.0, 1.0), x.size)
        self._paces = 1.0 + np.random.default_rng(20110318).integers(-127, 128, x.size) / 256.0 + 2.0**-9
        self._sized = x_scale is not None
        m = x.size
        self.value = np.full((m, m), np.nan)
        self.truncation = np.full((m, m), np.nan)
        self.level = np.zeros(m, dtype=np.intp)
        self.symmetric = np.ones(m, dtype=np.bool_)
        self.side = np.ones(m)
        self.ceiling = np.zeros(m, dtype=np.intp)
        self.errors = np.full(m, np.inf)
        self.relative = np.full(m, np.inf)
        self.beyond = np.zeros(m, dtype=np.intp)
        self.searched: set[int] = set()
        self.walled: set[int] = set()
        self.bend = 0.0
        self.along = np.zeros(m), np.zeros(m)
        self.unsettled = np.zeros(m)
        self.bends = np.zeros(m)
        self.course = np.zeros(m)
        self.rate = np.zeros(m)
        self.turning = np.zeros(m)
        self.missed = np.zeros(m)
        self.doubted: bool | None = None
        self._displacement = np.zeros(m)

    def run(self) -> Search[GradientHessian]:
        """Search, and return the Hessian with its bars."""
        yield from spent_on("noise", self._measure_noise())
        yield from spent_on("axes", self._scan())
        self._place()
        yield from spent_on("pairs", self._sweep())
        for _ in range(2):
            doubtful = self._doubtful()
            if not doubtful:
                break
            yield from spent_on("refinement", self._search(doubtful))
            self.scale = equilibrate(self.value)
        refuted = self._refuted()
        for everywhere in (False, True):  # most often the diagonal entry is what is wrong
            if not refuted.any():
                break
            wrong = np.flatnonzero(self.glance[0] if everywhere else refuted)
            yield from spent_on("refinement", self._search_below(wrong))
            self.scale = equilibrate(self.value)
            refuted = self._refuted()
        if not (yield from spent_on("calibration", self._certified())):
            others = {i: 0.0 for i in range(self.gradient.size) if i not in self.searched}
            yield from spent_on("refinement", self._search(others))
            refuted = self._refuted()
        self._blur()
        self._charge(refuted)
        if not (self.repeatable or self.random):
            last = yield from spent_on("calibration", self.gradient.dense(self.gradient.x[None, :]))
            self.drifted = self._in_noise(last[0] - self.g0) > _RANDOM
        return self._result()

    def roughness(self, found: GradientHessian) -> Search[Array | None]:
        """Look at g over steps of about the coordinates' own sizes; return its noise level if that shows roughness."""
        if self.random or self.drifted or not (self.doubted or (yield from self._stands_still(found.hess))):
            return None
        d = self._displacement
        size = np.abs(d)
        bar = float(size @ found.truncation_error @ size + size @ found.condition_error @ size)
        noise = float(np.sqrt(size**2 @ self.noise**2))
        seen = yield from plateau(partial(self._difference, d), d, float(d @ found.hess @ d), bar, noise)
        return None if seen is None else seen.height

    def _stands_still(self, hess: Array) -> Search[bool]:
        """Whether g, which does not notice some coordinates at their steps, does over longer ones."""
        room = FARTHEST * self.unit <= np.minimum(self.below, self.above)
        flat = room & (np.abs(self.step) < FAR * self.unit) & ~hess.any(axis=0)
        if self._noise_given or not flat.any() or (self.doubted is not None and not hess.any()):
            return False  # where nothing moved at all the scan has looked already
        self._displacement = np.where(flat, self._signs * self.unit, 0.0)
        moved = 2 * FAR * np.abs((yield from self._difference(self._displacement, FAR)))
        return bool((moved > CLEAR * self.noise).any())

    def again(self, noise: Array) -> GradientSearch:
        """Return a search in that noise."""
        return GradientSearch(
            self.gradient, self.order, lower=self.lower, upper=self.upper, noise=noise, x_scale=self.size
        )

    @property
    def step(self) -> Array:
        """Signed step of each coordinate."""
        return np.asarray(self.side * self.unit * np.exp2(self.level))

    @property
    def _rays(self) -> int:
        """Coordinates searched at a time: some ten gradients of each are kept."""
        return int(np.clip(_SEEN_BYTES // (80 * self.gradient.size), 16, _RAYS))

    # ---- noise, and a level for all coordinates

    def _measure_noise(self) -> Search[None]:
        """Measure g(x) and its noise, find the sizes, resolve the order, choose the level where the scan begins.

        Where half of the first differences vanish g is coarser than the spacing, and the table is made anew, wider;
        also where the sizes that were found are longer and it stood still, or shorter.
        """
        probing = not self._sized
        spacings = [-43, -36, -29, -22]
        while spacings:
            offsets = 2.0 ** spacings.pop(0) * _UNEVEN
            table = yield from self._table(offsets)
            stands_still = np.mean(np.diff(table, axis=0) == 0) >= 0.5
            if probing:
                probing = False
                self._sized, before = True, self.unit
                noise = np.maximum(noise_level(offsets, table), EPS / 2 * np.abs(self.g0))
                if (yield from self._find_sizes(noise)) and (stands_still or (self.unit < before).any()):
                    spacings = [-43, -36, -29, -22]
                    continue
            if not stands_still:
                break
        floor = EPS / 2 * np.abs(self.g0)
        measured = np.maximum(noise_level(offsets, table), floor)
        size = np.abs(self.g0) + np.abs(table[-1] - table[0]) / offsets[-1]
        self.noise = measured if self._given is None else np.maximum(self._given, floor)
        self.measured = self.noise
        known = np.isfinite(size) & (size > 0)
        relative = float(np.median(self.noise[known] / size[known])) if known.any() else EPS
        unlike_rounding = np.median((np.maximum(measured, self.noise) / size)[known]) if known.any() else 0.0
        if unlike_rounding > _ROUNDING:
            yield from self._ask_again()
            relative = float(np.median(self.noise[known] / size[known])) if known.any() else EPS
        relative = min(max(relative, EPS / 2), 1e-2)
        automatic = 6 if relative <= 16 * EPS else 4
        self.order = automatic if self._asked_order == "auto" else int(self._asked_order)
        self.start = round(np.log2(relative) / (self.order + 1))
        self.attainable = relative ** (self.order / (self.order + 1))

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
        drifting = max(next_to) < apart / 5
        self.random = apart > _RANDOM and not drifting
        scatter = np.std(answers, axis=0, ddof=1)
        if drifting:
            scatter = np.max(np.abs(np.diff(answers[1:], axis=0)), axis=0)
        self.noise = np.maximum(self.noise * max(self._in_noise(scatter), 1.0), scatter)

    def _in_noise(self, differences: Array) -> float:
        """Root mean square in units of the noise that the table showed, or that was given."""
        return float(np.sqrt(np.mean((differences / np.fmax(self.measured, TINY)) ** 2)))

    def _table(self, offsets: Array) -> Search[Array]:
        """Ask for g along one irregular direction inside the bounds: (7, m), the first at x."""
        x = self.gradient.x
        # Where all coordinates are small zeros are not moved by more than the others, before their sizes are known.
        longest = float(np.abs(x).max()) or 1.0
        size = self.size if self._sized or longest >= _SMALL else np.fmin(self.size, longest)
        self._spread = spread = unit_of(np.maximum(np.abs(x), size))
        room = 2.0**-16 * spread
        sign = np.where(self.above < room, -1.0, np.where(self.below < room, 1.0, self._signs))
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

    def _cap(self) -> int:
        """Level at which the outermost node displaces a coordinate by its own size."""
        return 1 - max(1, self.order // 2)

    def _scan(self) -> Search[None]:
        """Find a level along one random direction, and verify it."""
        x, both = self.gradient.x, self.order > 1
        room = np.minimum(self.below, self.above) if both else np.maximum(self.below, self.above)
        room = room / (2.0 if self.order <= 2 else 1.0)  # the level above the highest is looked at too
        fitting = np.exp2(np.floor(np.log2(np.maximum(room, TINY))))
        size = np.where(fitting >= self.unit * 2.0**-6, np.minimum(self.unit, fitting), 0.0)
        sign = self._random.choice((-1.0, 1.0), x.size)
        if not both:
            sign = np.where(self.above >= self.below, 1.0, -1.0)
        d = sign * size
        if not d.any():
            return
        ray = Ray(1.0, family(self.order, both), self.start, self._cap(), lowest=_DIGITS)
        yield from self._climb_direction(ray, d)
        for _ in range(2 if both else 0):
            if (yield from self._follows(ray, d)) or ray.best is None:
                break
            yield from self._sample_direction(ray, d, ray.unseen(ray.best - VERIFY))
            wrong = failing(ray, self._judge_direction(ray), self.noise)
            if np.mean(wrong) <= 0.25:  # a few odd coordinates have searches of their own
                break
            yield from self._sample_direction(ray, d, ray.unseen(ray.best - VERIFY - DEEPER))
            ray, self.noise = again(ray, wrong, self.noise)
            yield from self._climb_direction(ray, d)
        if ray.best is not None:
            self.start = ray.best
            j = self._judge_direction(ray)
            shows = np.abs(j.value) > 3 * j.condition
            if shows.any():
                self.bend = float(np.median(j.drift[shows] / np.abs(j.value[shows])))
            self.along, self.turning = (d, np.maximum(j.drift - 2 * j.condition, 0.0)), j.drift + j.condition
            self.course = ray.course(self.noise)

    def _follows(self, ray: Ray, d: Array) -> Search[bool]:
        """Whether g at a long step is what short ones foretell; that verifies them as well as still shorter ones do."""
        best = min(ray.seen) if ray.best is None else ray.best
        if self.doubted is not None or self._noise_given or 8.0 * 2.0**best > FAR or best + 1 not in ray.seen:
            return False
        weight = np.abs(d)
        k, close = best, _SHORT_OF_LENGTH * (weight @ np.abs(ray.seen[best][0]))
        if ray.best is None and close > 0.0:
            return False
        for level in sorted(ray.seen):  # the longest steps that are short say most of the t² term
            if level > k and level + 1 in ray.seen:
                three = [ray.seen[number][0] for number in (k, level, level + 1)]
                if weight @ np.abs(three[2] - three[1]) <= close >= weight @ np.abs(three[1] - three[0]):
                    k = level
        h = 2.0**k
        ratio = (FAR / h) ** 2
        bend = (ray.seen[k + 1][0] - ray.seen[k][0]) * (ratio / 3.0)
        value, spread = weight * (ray.seen[k][0] - bend / ratio), weight * (self.noise / h * ratio)
        bend *= weight
        sight = look_far(value, bend, weight * (yield from self._difference(d, FAR)), spread)
        self.doubted, self._displacement = sight is Sight.SUSPECT, d
        if sight is Sight.BROKEN:
            less = (NEAR / FAR) ** 2
            near, here = weight * (yield from self._difference(d, NEAR)), weight * self.noise / NEAR
            self.doubted = is_broken_near(value, less * bend, near, less * spread + here)
        return sight is Sight.SMOOTH and best >= self.start - 4

    def _difference(self, d: Array, t: float) -> Search[Array]:
        """Central difference at a long step; nan where there is none."""
        x = self.gradient.x
        g = yield from self.gradient.probe(np.array([x + t * d, x - t * d]))
        return np.asarray((g[0] - g[1]) / (2 * t))

    def _climb_direction(self, ray: Ray, d: Array) -> Search[None]:
        going = True
        while going:
            yield from self._sample_direction(ray, d, ray.missing(ray.level))
            going = ray.advance(direction_errors(self._judge_direction(ray, ray.level)))

    def _sample_direction(self, ray: Ray, d: Array, levels: Sequence[int]) -> Search[None]:
        if not levels:
            return
        offsets = (1.0, -1.0) if ray.nodes.symmetric else tuple(range(1, max(self.order, 2) + 1))
        h = [2.0**k for k in levels]
        g = yield from self.gradient.dense(np.array([self.gradient.x + t * s * d for s in h for t in offsets]))
        g = g.reshape(len(h), len(offsets), -1)
        for row, (k, s) in enumerate(zip(levels, h, strict=True)):
            if ray.nodes.symmetric:
                ray.seen[k] = [(g[row, 0] - g[row, 1]) / (2 * s)]
            else:
                ray.seen[k] = [(at - self.g0) / (t * s) for at, t in zip(g[row], offsets, strict=True)]

    def _judge_direction(self, ray: Ray, level: int | None = None) -> Judgement:
        k = ray.best if level is None else level
        assert k is not None
        weight = 1 / np.maximum(np.abs(ray.seen[k][0]), TINY)
        return ray.judge(k, self.noise, weight)

    # ---- columns at the common level

    def _place(self) -> None:
        """Choose stencil, side and highest level of each coordinate inside its bounds.

        A symmetric stencil up to two levels shorter beats a one-sided one, whose weights are six times as noisy. Two
        nodes at least are to fit: a search looks at one more than order 1 or 2 has.
        """
        both, one = family(self.order, True), family(self.order, False)
        near, far = np.minimum(self.below, self.above), np.maximum(self.below, self.above)
        fits_both = np.fmax(np.floor(np.log2(near / max(both.nodes[-1], 2.0)) - np.log2(self.unit)), -_LEVELS)
        fits_one = np.fmax(np.floor(np.log2(far / max(one.nodes[-1], 2.0)) - np.log2(self.unit)), -_LEVELS)
        self.symmetric = (fits_both >= self.start - 2) | (fits_both >= fits_one - 1)
        if not both.symmetric:
            self.symmetric[:] = False
        self.side = np.where(self.symmetric | (self.above >= self.below), 1.0, -1.0)
        room = np.where(self.symmetric, fits_both, fits_one)
        self.ceiling = np.minimum(room, self._cap()).astype(np.intp)
        # To a size of 1, and as far above a size that was guessed.
        farther = np.maximum(np.ceil(np.log2(farthest(self.size) / self.unit)), 0.0)
        farther = np.where(farther < _FARTHER, 0.0, farther)
        farther = np.where(self.size == np.abs(self.gradient.x), farther, np.maximum(farther, 10.0))
        self.beyond = np.clip(room - self.ceiling, 0, farther).astype(np.intp)
        self.level = np.minimum(self.start, self.ceiling)

    def _ray(self, axis: int, level: int) -> Ray:
        nodes = family(self.order, bool(self.symmetric[axis]))
        ceiling, beyond = int(self.ceiling[axis]), int(self.beyond[axis])
        unit = float(self.side[axis] * self.unit[axis])
        return Ray(unit, nodes, min(level, ceiling), ceiling, axis, self._lowest(axis), beyond=beyond)

    def _lowest(self, axis: int) -> int:
        """Level of the shortest steps that still move a coordinate by some of its roundings."""
        roundings = float(np.fmax(np.abs(self.gradient.x[axis]), TINY) / self.unit[axis])
        return _DIGITS + max(math.frexp(roundings)[1], -int(_LEVELS))

    def _sweep(self) -> Search[None]:
        """Ask for all columns at the common level and estimate their truncation errors."""
        m = self.gradient.size
        drift = np.zeros((m, m))
        for both in (True, False):
            nodes = family(self.order, both)
            chosen = np.flatnonzero(self.symmetric == both)
            for run in blocks(chosen.size, self.order, m):
                which = chosen[run]
                found = yield from differences(self.gradient, which, self.step[which], nodes, self.g0)
                self._keep(which, found.D, found.bend, nodes, drift)
                if both:
                    self.unsettled[which] = self._turned(found.bend, self.step[which])
                    self.bends[which] = np.abs(found.bend[np.arange(which.size), which])
        self.scale = equilibrate(self.value)
        self._settle(drift)

    def _blur(self) -> None:
        """Raise the noise of components next to zero to what the rounding of their arguments leaves in them.

        Where they change by far more than themselves over the steps, as at a minimum, the table of their noise has
        seen that of nothing.
        """
        if self._noise_given:
            return
        x, h = np.abs(self.gradient.x)[:, None], np.abs(self.step)[:, None]
        moved, rounding = np.zeros((2, self.gradient.size))
        for rows in self._rows():
            size = np.abs(self.value[rows])
            moved = np.fmax(moved, np.max(size * h[rows], axis=0))
            rounding = np.fmax(rounding, ROUNDING * np.max(size * x[rows], axis=0))
        nothing = (np.abs(self.g0) < _NEXT_TO_ZERO * moved) & (self.noise < _OF_NOTHING * rounding)
        self.noise = np.where(nothing, rounding, self.noise)

    def _turned(self, bend: Array, step: Array) -> Array:
        """Return the square root of what H_ii changes where x does by its rounding.

        c_1 h / h is half the third derivative d2 g_k / dx_i dx_i = dH_ii / dx_k; steps so short that g does not show
        its bend show its noise.
        """
        slopes = np.fmax(bend, self.noise / np.abs(step)[:, None])
        turned = 2 * (slopes @ np.abs(self.gradient.x)) / np.abs(step)
        return np.asarray(np.sqrt(EPS * np.nan_to_num(turned, posinf=0.0)))

    def _keep(self, which: NDArray[np.intp], D: list[Array], bend: Array, nodes: Family, drift: Array) -> None:
        """Keep the columns, their last corrections and their h^2 terms, until the scale of the entries is known."""
        self.value[which] = value = extrapolate(D, nodes.weights)
        if len(D) == 1:
            drift[which] = self.truncation[which] = bend
        else:
            drift[which] = np.abs(D[0] - D[1]) / (3.0 if nodes.symmetric else 1.0)
            if nodes.symmetric and len(D) > 2:  # a kink that the last node crosses, as in a judgement
                rough = CLEAR * norm(nodes.noise / np.abs(self.step[which])[:, None] * self.noise)
                crossed = norm(D[-2] - D[-1]) > 32.0 ** (len(D) - 2) * norm(D[0] - D[1]) + rough
                drift[which[crossed]] = np.abs(value[crossed])
            self.truncation[which] = np.abs(value - extrapolate(D[:-1], nodes.shorter.weights))

    def _rows(self) -> Iterator[slice]:
        """Runs of rows, short enough for what is made of them on the way."""
        m = self.gradient.size
        rows = max(1, _RUN // m)
        for first in range(0, m, rows):
            yield slice(first, min(first + rows, m))

    def _settle(self, drift: Array) -> None:
        """Turn last corrections into truncation errors.

        With one node on each side there is no correction. c_1 h, the bend, stands for it: c_2 h^2 / H ~ 2/3 (c_1 h/H)^2
        as for the exponential; where the bend vanishes, as at a point of symmetry, the direction's h^2 term, in all and
        of each component of g.
        """
        d, along = self.along
        sizes = [np.abs(d[run]) @ np.abs(self.value[run]) for run in self._rows()]
        allotted = quotient(along, np.sum(sizes, axis=0))
        allotted = np.where(along > 0, np.minimum(allotted, 1.0), 0.0)
        if self.order == 1:  # columns say nothing of their second derivatives: the direction does, of all together
            turned = EPS * 2.0 ** (1 - self.start) * float(np.abs(self.gradient.x) @ self.turning)
            self.unsettled = np.sqrt(np.nan_to_num(turned, posinf=0.0)) / self.unit
        for i in range(self.gradient.size):
            nodes = family(self.order, bool(self.symmetric[i]))
            whole = norm(self.value[i] * self.scale)
            ratio = float(quotient(norm(drift[i] * self.scale), whole))
            size = np.abs(self.value[i])
            if len(nodes.nodes) > 1:
                above = np.fmax(self.truncation[i] - 2 * self._condition(slice(i, i + 1))[0], 0.0)
                last, bend = norm(above * self.scale), self.bends[i] * self.scale[i]
                rate = falling(nodes, ratio, quotient(last, whole), quotient(bend, whole))
                self.truncation[i] *= follow(nodes, ratio)
                self.rate[i] = rate
                continue
            at_least = np.maximum(self.bend / self.gradient.size, np.maximum(allotted, allotted[i]))
            if nodes.symmetric:
                ratio = min(ratio, 1.0)
                at_least = np.maximum(2 / 3 * ratio**2, at_least)
                self.truncation[i] = np.maximum(2 / 3 * ratio * drift[i], at_least * size)
            else:
                self.truncation[i] = np.maximum(self.bend, at_least) * size

    def _condition(self, rows: slice, columns: slice = slice(None)) -> Array:
        """Condition error of each entry of some rows and columns."""
        factor = np.where(self.symmetric, family(self.order, True).noise, family(self.order, False).noise)
        per_step = (factor / np.abs(self.step))[rows, None]
        return np.asarray(np.hypot(per_step * self.noise[columns], EPS * self.value[rows, columns]))

    def _relative(self) -> tuple[Array, Array, Array]:
        """Return the norm of each column, and its condition and truncation errors relative to that."""
        found = np.empty((3, self.gradient.size))
        for rows in self._rows():
            found[0, rows] = size = norm(self.value[rows] * self.scale)
            found[1, rows] = np.maximum(quotient(norm(self._condition(rows) * self.scale), size), EPS / 4)
            found[2, rows] = quotient(norm(self.truncation[rows] * self.scale), size)
        return found[0], found[1], found[2]

    def _doubtful(self) -> dict[int, float]:
        """Return the coordinates whose column could be much better at another level, and how far that may be."""
        moves: dict[int, float] = {}
        size, condition, truncation = self._relative()
        finite = np.isfinite(self.value).all(axis=1)
        for i in range(self.gradient.size):
            if i in self.searched:
                continue
            N, T = float(condition[i]), float(truncation[i])
            errors = Errors(N, T, hidden=T < N, finite=bool(finite[i]), size=float(np.fmax(size[i], TINY)))
            self.errors[i], self.relative[i] = errors.absolute, errors.total
            if not errors.finite:
                moves[i] = -2.0
                continue
            move = errors.move(self.order)
            if errors.truncation < errors.condition or errors.condition > 0.1:
                top = self.ceiling[i] + self.beyond[i]
                if errors.condition > _SHORT * self.attainable and self.level[i] < top:
                    moves[i] = max(move, 3.0)
            elif errors.gain(self.order) > _WORTH:
                moves[i] = move
        return moves

    # ---- a search for each coordinate

    def _search(self, moves: dict[int, float]) -> Search[None]:
        axes, count = list(moves), self._rays
        for first in range(0, len(axes), count):
            rays = [self._ray(i, int(self.level[i] + np.floor(moves[i]))) for i in axes[first : first + count]]
            yield from self._search_along(rays)
        self.searched.update(axes)

    def _search_along(self, rays: list[Ray]) -> Search[None]:
        """Search along the rays, and take over what they find."""
        yield from self._climb(rays)
        yield from self._reconsider(rays)
        for ray in rays:
            self._adopt(ray)

    def _climb(self, rays: list[Ray]) -> Search[None]:
        """Advance all rays side by side, a batch of gradients a round."""
        active = rays
        while active:
            yield from self._sample([(ray, k) for ray in active for k in ray.missing(ray.level)])
            active = [
                ray
                for ray in active
                if ray.advance(
                    column_errors(ray.judge(ray.level, self.noise, self.scale), self.scale), _SHORT * self.attainable
                )
            ]

    def _reconsider(self, rays: list[Ray]) -> Search[None]:
        """Verify each symmetric ray far below, twice at most; try both sides where a wall leaves no room for one."""
        failed = yield from self._unverified(rays)
        for _ in range(2):
            if not failed:
                break
            yield from self._sample([(ray, k) for ray, low, _ in failed for k in ray.unseen(low - DEEPER)])
            fresh: dict[int, Ray] = {}
            for ray, _, wrong in failed:
                fresh[ray.axis], self.noise = again(ray, wrong, self.noise)
            yield from self._climb(list(fresh.values()))
            rays[:] = [fresh.get(ray.axis, ray) for ray in rays]
            failed = yield from self._unverified(list(fresh.values()))
        one = family(self.order, False)
        for r, ray in enumerate(rays):
            if not ray.walled:
                continue
            self.walled.add(ray.axis)
            if ray.relative > 1e3 * self.attainable:
                start = self.start if ray.best is None else ray.best
                unit, tops = float(self.unit[ray.axis]), (self.above[ray.axis], self.below[ray.axis])
                sides = []
                for sign, room in zip((1.0, -1.0), tops, strict=True):
                    if room > 0:
                        fits = np.floor(np.log2(room / max(one.nodes[-1], 2.0)) - np.log2(unit))
                        top = int(min(max(fits, -_LEVELS), self._cap()))
                        sides.append(Ray(sign * unit, one, min(max(start, self.start), top), top, ray.axis))
                yield from self._climb(sides)
                rays[r] = min([ray, *sides], key=lambda candidate: candidate.error)

    def _sample(self, requests: Sequence[tuple[Ray, int]]) -> Search[None]:
        for both in (True, False):
            chosen = [(ray, k) for ray, k in requests if ray.nodes.symmetric == both]
            if chosen:
                which = np.array([ray.axis for ray, _ in chosen])
                step = np.array([ray.unit * 2.0**k for ray, k in chosen])
                nodes = family(2, True) if both else family(max(self.order, 2), False)
                found = yield from differences(self.gradient, which, step, nodes, self.g0)
                turned = self._turned(found.bend, step)
                for row, (ray, k) in enumerate(chosen):
                    ray.seen[k] = [d[row] for d in found.D]
                    if both:
                        ray.bends[k] = abs(float(found.bend[row, ray.axis])), turned[row]

    def _unverified(self, rays: list[Ray]) -> Search[list[tuple[Ray, int, NDArray[np.bool_]]]]:
        """Return the rays whose verification failed, its level, and at which components."""
        lows = [
            (ray, ray.best - VERIFY)
            for ray in rays
            if ray.nodes.symmetric and ray.best is not None and not self._same(ray)
        ]
        yield from self._sample([(ray, k) for ray, low in lows for k in ray.unseen(low)])
        judged = [(ray, low, ray.judge(low + VERIFY, self.noise, self.scale)) for ray, low in lows]
        found = [(ray, low, failing(ray, j, self.noise)) for ray, low, j in judged]
        return [entry for entry in found if entry[2].any()]

    def _same(self, ray: Ray) -> bool:
        """Whether the ray agrees with the column at the common level, itself two levels away at least."""
        i = ray.axis
        assert ray.best is not None
        if abs(ray.best - self.level[i]) < 2 or not self.relative[i] < 1e-2:
            return False
        j = ray.judge(ray.best, self.noise, self.scale)
        noise = family(self.order, bool(self.symmetric[i])).noise * self.noise / abs(self.step[i])
        bound = CLEAR * (noise + j.condition) + 3 * (self.truncation[i] + j.truncation)
        return bool(np.all(np.abs(j.value - self.value[i]) <= bound))

    def _adopt(self, ray: Ray) -> None:
        """Take over what a ray found where it is better than what was there."""
        i = ray.axis
        if ray.best is None or not ray.error < self.errors[i]:
            return
        j = ray.judge(ray.best, self.noise, self.scale)
        self.value[i], self.truncation[i], self.rate[i] = j.value, np.fmax(j.truncation, ray.course(self.noise)), j.rate
        self.level[i], self.errors[i], self.relative[i] = ray.best, ray.error, ray.relative
        self.symmetric[i], self.side[i] = ray.nodes.symmetric, np.sign(ray.unit)
        if ray.best in ray.bends:
            self.unsettled[i] = min(self.unsettled[i], *(turned for _, turned in ray.bends.values()))

    # ---- what the table of the noise saw

    def _refuted(self) -> Array:
        """Return by how much each component of g changed otherwise over the table of its noise than the columns say.

        Its points are so close to x that only the roughest contradiction shows, but that wherever the steps are: beyond
        the natural length of g, where it is flat, columns vanish at every step in sight and confirm each other.
        """
        d, change = self.glance
        product, size, truncation, condition = self._products(d)
        bound = CLEAR * (5.0 * self.noise + np.sqrt(condition)) + 3 * truncation + 1e-2 * size
        missed = np.abs(change - product)
        return np.asarray(np.where(missed > bound, missed, 0.0))

    def _charge(self, refuted: Array) -> None:
        """Charge contradictions that no search resolved to all that may be their cause."""
        which = np.flatnonzero(refuted)
        for j in which:
            missed = refuted[j] / np.fmax(np.abs(self.glance[0]), TINY)
            self.truncation[:, j] = np.maximum(self.truncation[:, j], missed)
            self.truncation[j] = np.maximum(self.truncation[j], missed)

    def _search_below(self, which: NDArray[np.intp]) -> Search[None]:
        """Search these coordinates anew from the short steps of the table up, in small leaps."""
        d = np.abs(self.glance[0])
        which = which[d[which] > 0]
        starts = np.floor(np.log2(d[which]) - np.log2(self.unit[which])).astype(np.intp)
        count = self._rays
        for first in range(0, which.size, count):
            some = which[first : first + count].tolist()
            rays = [self._ray(i, int(k)) for i, k in zip(some, starts[first : first + count], strict=True)]
            for ray in rays:
                ray.leap, ray.beyond = _SMALL_LEAP, 0
                ray.ceiling = min(ray.ceiling, max(int(self.level[ray.axis]) - 2, ray.level))
                self.errors[ray.axis] = self.relative[ray.axis] = np.inf
            yield from self._search_along(rays)
        self.searched.update(which.tolist())

    # ---- certificate and bars

    def _certified(self) -> Search[bool]:
        """Compare H v with one central difference along v, a random combination of the steps / 32.

        Its own h^2 term is that of the scanned direction, 32^2 times smaller.
        """
        x = self.gradient.x
        short = np.abs(self.step) / 32
        v = self._random.choice((-1.0, 1.0), x.size) * np.where(short <= np.minimum(self.below, self.above), short, 0.0)
        X = np.array([x + v, x - v])
        g = yield from self.gradient.dense(X)
        v = (X[0] - X[1]) / 2
        product, size, truncation, condition = self._products(v)
        residual = np.abs((g[0] - g[1]) / 2 - product)
        noise = np.sqrt(self.noise**2 / 2 + condition)
        bound = CLEAR * noise + 3 * truncation + max(self.bend / 64, 1e-6) * size
        if self.order <= 2:  # its own h^2 term is then far smaller than that of the columns
            self.missed = np.where(residual > 5 * noise, np.minimum(quotient(residual, size), 1.0), 0.0)
        return not np.any(residual > bound)

    def _products(self, v: Array) -> tuple[Array, Array, Array, Array]:
        """Return v'G, |v|'|G|, |v|'T and v^2 ' C^2."""
        found = np.zeros((4, self.gradient.size))
        for rows in self._rows():
            part, size = v[rows], np.abs(v[rows])
            found[0] += part @ self.value[rows]
            found[1] += size @ np.abs(self.value[rows])
            found[2] += size @ self.truncation[rows]
            found[3] += part**2 @ self._condition(rows) ** 2
        return found[0], found[1], found[2], found[3]

    def _expected(self, seen: Array) -> tuple[Array, Array, Array]:
        """Return what else lets expect of truncation errors, in units of the entries.

        By column, from the rate at which its terms fall; by component, from the direction that was scanned, at its best
        level; and by column what the latter falls to at shorter steps. Corrections that vanish (`seen`, of the columns)
        by more than chance leaves are those of a polynomial, which has no more terms.
        """
        sizes = np.sum([np.abs(self.along[0][run]) @ np.abs(self.value[run]) for run in self._rows()], axis=0)
        both, one = (follows(family(self.order, symmetric), self.rate) for symmetric in (True, False))
        of_columns = np.fmin(np.where(self.symmetric, both, one), _LUCK * seen)
        shorter = np.where(self.level <= self.start, np.exp2(self.order * (self.level - float(self.start))), 0.0)
        return of_columns, quotient(_COURSE * self.course, sizes), shorter

    def _excess(self) -> float:
        """Asymmetry of the pairs whose truncation errors do not hide it, over what the noise level explains."""
        m = self.gradient.size
        found, count = np.empty(m * (m - 1) // 2), 0
        for rows, other in self._tiles():
            T = self.truncation[rows, other] + self.truncation[other, rows].T
            C = np.hypot(self._condition(rows, other), self._condition(other, rows).T)
            below = (np.arange(rows.start, rows.stop)[:, None] > np.arange(other.start, other.stop)) & (T < 0.1 * C)
            spread = (np.abs(self.value[rows, other] - self.value[other, rows].T) / C)[below]
            found[count : count + spread.size] = spread
            count += spread.size
        return float(np.median(found[:count], overwrite_input=True)) / 0.6745 if count >= 3 else 1.0

    def _tiles(self) -> Iterator[tuple[slice, slice]]:
        """Squares of the lower triangle, with the diagonal."""
        m, side = self.gradient.size, math.isqrt(_RUN)
        for first in range(0, m, side):
            for left in range(0, first + 1, side):
                yield slice(first, min(first + side, m)), slice(left, min(left + side, m))

    def _result(self) -> GradientHessian:
        """Symmetrise in place; the bar is the asymmetry and the better of the two columns' own errors.

        H_ij is the mean of both columns; that of the better one alone where the other's error is far larger, and only
        what that does not explain of the asymmetry then counts. Where the asymmetry exceeds what the noise level
        explains, over all pairs, the noise level is raised to it.
        """
        m = self.gradient.size
        G, T = self.value, self.truncation
        condition = np.empty((m, m))
        # An entry's own estimate may vanish by chance: that of its column stands behind it.
        size, _, truncation = self._relative()
        usual = np.nan_to_num(size * truncation / math.sqrt(m), posinf=np.inf)
        of_columns, of_components, shorter = self._expected(truncation)
        excess = min(max(self._excess(), 1.0), 30.0)
        for rows in self._rows():
            condition[rows] = self._condition(rows)
        condition *= excess
        for a, b in self._tiles():
            C, D = condition[a, b], condition[b, a].T
            own = C + np.maximum(T[a, b], usual[a, None] / self.scale[b])
            other = D + np.maximum(T[b, a].T, usual[b] / self.scale[a, None])
            asymmetry = np.abs(G[a, b] - G[b, a].T)
            least = np.minimum(own, other)
            useless = np.maximum(own, other) > _USELESS * least
            better = np.where(useless, other < own, C + T[a, b] > D + T[b, a].T)
            H = np.where(useless, np.where(better, G[b, a].T, G[a, b]), 0.5 * (G[a, b] + G[b, a].T))
            missed = np.maximum(self.missed[a, None], self.missed[b])
            left_out = np.where(better, T[b, a].T, T[a, b])
            expected, mirrored = (
                np.fmax(of_columns[i, None], np.fmin(shorter[i, None] * of_components[j], 1.0))
                for i, j in ((a, b), (b, a))
            )
            left_out = np.fmax(left_out, np.where(better, mirrored.T, expected) * np.abs(H))
            if self.order <= 2:  # where symmetry hides terms it hides the asymmetry too
                common = np.fmin(usual[a, None] / self.scale[b], usual[b] / self.scale[a, None])
                left_out = np.fmax(left_out, common / 2)
            if a == b:  # no asymmetry tells
                np.fill_diagonal(left_out, np.fmax(np.diag(left_out), usual[a] / self.scale[a]))
            explained = np.where(useless, _CONDITION_BAR * np.maximum(own, other), 0.0)
            bar = _TRUNCATION_BAR * np.maximum(left_out, missed * np.abs(H))
            bar += np.fmax(asymmetry - explained, 0.0) if useless.any() else asymmetry
            error = _CONDITION_BAR * np.where(better, D, C) + 4 * EPS * np.abs(H)
            error += np.multiply.outer(self.unsettled[a], self.unsettled[b])
            for whole, part in ((G, H), (T, bar), (condition, error)):
                whole[a, b] = part
                whole[b, a] = part.T
        jac_error = _CONDITION_BAR * self.noise
        return GradientHessian(
            G,
            T,
            condition,
            self.step,
            self.symmetric,
            self.g0,
            jac_error,
            self.noise,
            self.order,
            np.array(sorted(self.searched), dtype=np.intp),
            np.array(sorted(self.walled), dtype=np.intp),
            np.maximum(self.size, np.abs(self.step)),
            self.random,
            self.drifted,
        )
