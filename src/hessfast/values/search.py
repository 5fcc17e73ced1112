"""Step search: the axis phase, in which f is seen along each coordinate and each coordinate gets its step.

All axes are searched side by side, in rounds of one batch of points each, so that the axis phase serves batched,
threaded and remote evaluation as well as the sweep does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Rows, Search, spent_on
from hessfast.scale import EPS, ORDINARY, Sizes, clusters, farthest, find_sizes, unit_of
from hessfast.values import noise as noise_level
from hessfast.values.ladder import (
    BEYOND_DOUBT,
    INVISIBLE,
    LOWEST,
    NO_DIGITS,
    ROUNDING_LEVEL,
    VISIBLE,
    Axis,
    Ladder,
    Request,
    Rung,
    advance,
)
from hessfast.values.noise import ROUNDING, SWAMPED, NoiseModel
from hessfast.values.one_axis import leave, search

Array = NDArray[np.float64]
Checks = dict[int, tuple[Ladder, float, float]]

VERIFY_DEPTH = 6
"""Rungs below the chosen one where its second derivative is checked."""

FEW = 6
"""Of fewer axes only those are verified whose truncation has not been seen to grow as it should."""

PROPORTIONAL = 0.5
"""Share of the ratio of two values of f that the ratio of their noises must be for the noise to follow the value."""

OUTGROWN = 3.0
"""|f - f(x)| over |f(x)| at the steps chosen above which the noise is measured there too."""

POOLED_FROM = 4
"""Axes whose residuals together are worth as much as the difference table, with its six degrees of freedom."""

DISPROVED = 20.0
"""Noise levels by which the check must fail before the rung is given up."""

INCREDIBLE = 1000.0
"""Measured noise levels beyond which a residual may be f's own change, aliased by steps of many periods ..."""

ALL_OF_IT = 0.01
"""... where it is also that share of all the change of f that was seen along the axis."""

FALLEN = 0.03
"""Share of an aliased residual below which the second difference is that of one period."""

DESCENTS = 4
"""Descents from aliased steps at most: one may end early, where a second difference happens to be small."""

RESTART = 5
"""Rungs below a disproved one where its axis is searched again."""

PILOTS = 5
"""Axes searched first where there are at least twice as many; the others start near where these end."""

HIGHEST_START = 2
"""Rungs above the default at which a search may start."""

SLIGHT = 2.0**-6
"""Change of f over |f(x)| that costs no digits: so far an axis next to zero may go while D has few digits."""

RAISED = 3.0
"""Times that a staircase along an axis must exceed the noise as it is known, to be believed."""

LITTLE = 0.1
"""Share of the change of f that the noise measured behind it may be at most."""

FARTHER = 64.0
"""Times the change at the first look away from which f has changed so much that the noise is looked at again."""

BEYOND_GROWTH = 3.0
"""Noise over that which grows like the square root of the change, above which it follows the value of f instead."""

PAIR_WEIGHT = {1: 1.0, 2: 2.0, 4: 4.0, 6: 8.0, 8: 16.0}
"""Weight of an axis's truncation error by order: along the diagonal of a pair's box f moves by both steps at once."""


@dataclass(slots=True)
class StepSearch:
    """The axis phase of one function at one point.

    Attributes
    ----------
    x : ndarray, shape (n,)
        Where.
    coordinates : ndarray of int32, shape (m,)
        Those that are differentiated.
    axes : list of Axis
        One for each of them.
    noise : NoiseModel
        Noise of f as it is known so far.
    noise_given : bool
        The caller's noise is not doubted.
    sizes : ndarray, shape (m,)
        Sizes of the coordinates.
    random : bool
        f answered differently when it was asked again at x.
    """

    x: Array
    coordinates: NDArray[np.int32]
    axes: list[Axis]
    noise: NoiseModel
    noise_given: bool
    sizes: Array
    random: bool = False

    def again(self, level: float) -> StepSearch:
        """Return a search of the same axes in another noise; what was seen along them is known to it."""
        model = NoiseModel(self.noise.f0, level, ROUNDING)
        axes = [axis.anew(model) for axis in self.axes]
        return StepSearch(self.x, self.coordinates, axes, model, True, self.sizes)

    def automatic_order(self) -> Search[int]:
        """Return 6 where the noise is at rounding level, else 4: a higher order needs longer steps in noise."""
        scale = abs(self.noise.f0)
        if self.noise.level > ROUNDING_LEVEL * EPS * scale:  # f(x) may be small against what was summed
            start = first_rung(self.noise, 6)
            yield from advance(self.axes, [_glance(axis, start) for axis in self.axes])
            seen = [abs(value) for axis in self.axes for value in axis.values.values() if math.isfinite(value)]
            scale = max([scale, *seen])
        return 6 if self.noise.level <= ROUNDING_LEVEL * EPS * scale else 4

    def run(self, order: int, derivative: int = 2, paired: bool = True) -> Search[None]:
        """Give every axis its ladder, with a best rung wherever f is finite around x.

        Parameters
        ----------
        order : int
        derivative : {1, 2}
            Which derivative the steps are for.
        paired : bool
            Whether they will serve pairs of axes too.
        """
        start = first_rung(self.noise, order, derivative)
        weight = PAIR_WEIGHT[order] if paired else 1.0
        if not self.noise_given:
            yield from advance(self.axes, [_glance(axis, start) for axis in self.axes])
            first = yield from self._measure_away(SWAMPED, [next(iter(axis.values), None) for axis in self.axes])
        every = len(self.axes) // PILOTS
        pilots = self.axes[:: every or 1][:PILOTS] if every > 1 else []
        if pilots:
            yield from advance(pilots, [search(axis, derivative, order, start, weight) for axis in pilots])
            yield from self._rise(paired)
            start = self._start_after_pilots(start)
        others = [axis for axis in self.axes if axis.ladder is None]
        yield from advance(others, [search(axis, derivative, order, start, weight) for axis in others])
        yield from self._rise(paired)
        confined = [ladder.axis for ladder in self.ladders() if ladder.confined()]
        if confined and order > 1:
            start = first_rung(self.noise, order, derivative)
            yield from advance(confined, [leave(axis, derivative, order, start, weight) for axis in confined])
            yield from self._rise(paired)
        if not self.noise_given and (yield from self._find_stairs()):
            yield from self._rise(paired)
        checks = yield from self._verify()
        for _ in range(DESCENTS):
            if not (yield from self._unalias(checks)):
                break
            yield from self._rise(paired)
            checks = yield from self._verify()
        if not self.noise_given:
            checks = yield from self._pool(checks, paired)
        yield from self._search_below(checks)
        if not self.noise_given:
            if (yield from self._find_stairs()):
                yield from self._rise(paired)
            yield from self._look_again(first)

    def _look_again(self, first: float) -> Search[None]:
        """Measure the noise at the steps chosen, where f has changed much more than at the first look away."""
        nodes = [_outer_node(axis) for axis in self.axes]
        if self.noise.growth > 0.0:
            yield from self._measure_away(0.0, nodes, FARTHER * first)
        else:
            yield from self._measure_away(OUTGROWN, nodes)

    def _start_after_pilots(self, start: int) -> int:
        """Rung for the other axes: just below the pilots' median, and never far above the default.

        Far above it a step may exceed the natural length of f, and what it shows there then looks smooth by accident.
        """
        rungs = sorted(rung.k for ladder in self.ladders() if (rung := ladder.best()) is not None)
        return min(rungs[len(rungs) // 2] - 1, start + HIGHEST_START) if rungs else start

    def ladders(self) -> list[Ladder]:
        """Ladders that have a rung of use."""
        return [axis.ladder for axis in self.axes if axis.ladder is not None and axis.ladder.best() is not None]

    def _know(self, noise: NoiseModel) -> None:
        self.noise = noise
        for axis in self.axes:
            axis.know(noise)

    def _measure_away(
        self, swamped: float, displacements: Sequence[float | None], beyond: float = 0.0
    ) -> Search[float]:
        """Measure the noise once more one step away from x, where f there dwarfs f(x); return the change of f there.

        That change must be more than `swamped` times f(x), and more than `beyond`.

        At a zero of f that is a sum of squares (or a difference) the noise at x is that of nothing; on a long step
        noise may follow the size of f. The point is the one of median change among one displacement for each axis. Its
        table is no wider than a fourth of the way, and what it says must be little against the change that it is to
        qualify: on a plateau or behind a cliff it is neither.
        """
        f0 = self.noise.f0
        seen = sorted(
            (abs(value - f0), number, displacement)
            for number, (axis, displacement) in enumerate(zip(self.axes, displacements, strict=True))
            if displacement is not None and math.isfinite(value := axis.values.get(displacement, math.nan))
        )
        if not seen or seen[len(seen) // 2][0] <= max(swamped * abs(f0), beyond):
            return 0.0
        change, number, displacement = seen[len(seen) // 2]
        axis = self.axes[number]
        away = self.x.copy()
        away[axis.index] += displacement
        widest = abs(displacement) / (4.0 * (noise_level.POINTS - 1) * axis.unit)
        table = noise_level.measure(away, axis.values[displacement], self.axes, (axis, displacement), widest=widest)
        there = (yield from spent_on("noise", table)).level
        if there > LITTLE * change:
            return 0.0
        value = abs(axis.values[displacement])
        known = self.noise
        grown = math.sqrt(max(there - known.level, 0.0)) * math.sqrt(there + known.level) / math.sqrt(change)
        follows = f0 != 0.0 and there / value > PROPORTIONAL * (known.level / abs(f0))
        if known.growth > 0.0:  # measured once before, nearer to x
            follows = there > BEYOND_GROWTH * known.at(axis.values[displacement])
            grown = max(grown, known.growth)
        self._know(replace(known, relative=there / value) if follows else replace(known, growth=grown))
        return change

    def _rise(self, paired: bool) -> Search[None]:
        """Let the axes whose truncation hides go up side by side, but not far beyond those where it shows.

        A pair sees truncation that neither axis does: f(a, b) = a g(b) has none along a, but a long step in a lends
        its weight to the truncation in b. Where it shows on some axes, the others stop at steps that change f, and
        its quadratic term, as much as theirs do.
        """
        turn = 0
        while True:
            ladders = self.ladders()
            shown = [ladder for ladder in ladders if ladder.shows(BEYOND_DOUBT)]
            likely = [ladder for ladder in ladders if ladder.shows(VISIBLE)]
            if 4 * len(likely) >= len(ladders):
                shown = likely
            quadratic, change, rung = _median_change(shown if paired else [])
            movers, requests = [], []
            for ladder in ladders:
                own_quadratic, own_change, own_rung = ladder.change()
                flat = own_change <= INVISIBLE * self.noise.level
                leashed = own_rung >= rung if flat else own_quadratic >= quadratic or own_change >= change
                if leashed and own_rung - ladder.head_room() < rung and ladder.has_few_digits():
                    leashed = own_change > SLIGHT * abs(self.noise.f0)
                rungs = 0 if leashed else ladder.may_rise()
                if rungs and turn >= 2 and not (shown and paired):  # most likely a polynomial
                    rungs = max(rungs, ladder.far() - ladder.top().k)
                if rungs:
                    movers.append(ladder.axis)
                    requests.append(ladder.rise(rungs))
            if not movers:
                return
            yield from advance(movers, requests)
            turn += 1

    def _find_stairs(self) -> Search[bool]:
        """Raise the noise of axes along which f stands still where it should move; return whether there were any.

        Rounding that hides behind a smooth term is noise of all axes: their pairs move the same terms of f.
        """
        ladders = self.ladders()
        rounding = max((ladder.rounding() for ladder in ladders), default=0.0)
        if rounding > RAISED * self.noise.level:
            self._know(replace(self.noise, level=rounding))
            found = ladders
        else:
            found = [ladder for ladder in ladders if ladder.stair() > RAISED * ladder.axis.noise.level]
        for ladder in found:
            ladder.axis.stair = max(ladder.axis.stair, ladder.stair())
            ladder.axis.know(self.noise)
        yield from advance([ladder.axis for ladder in found], [_settle_again(ladder) for ladder in found])
        return bool(found)

    def _verify(self) -> Search[Checks]:
        """Look at each axis far below its rung: residual in f that smoothness does not explain, and its noise."""
        ladders = [ladder for ladder in self.ladders() if not ladder.side and _verifiable(ladder)]
        if len(self.axes) < FEW:
            ladders = [ladder for ladder in ladders if not ladder.regular()]
        yield from advance([ladder.axis for ladder in ladders], [_ask_below(ladder) for ladder in ladders])
        checks = {}
        for ladder in ladders:
            residual, noise = _residual(ladder)
            if math.isfinite(residual):
                checks[ladder.axis.index] = (ladder, residual, noise)
        return checks

    def _unalias(self, checks: Checks) -> Search[bool]:
        """Come down from steps of many periods of f, where all of its change looks like noise.

        Noise is as large at ever smaller steps; what falls away there is f's own change, aliased.
        """
        suspects = [
            (ladder, residual)
            for ladder, residual, noise in checks.values()
            if residual > INCREDIBLE * noise and residual > ALL_OF_IT * ladder.axis.variation()
        ]
        movers = [ladder.axis for ladder, _ in suspects]
        yield from advance(movers, [_descend(ladder, residual) for ladder, residual in suspects])
        return bool(suspects)

    def _pool(self, checks: Checks, paired: bool) -> Search[Checks]:
        """Take the median residual of all axes as a second estimate of the noise; where it is larger, choose again."""
        ratios = sorted(residual / noise for _, residual, noise in checks.values() if noise > 0.0)
        if not ratios:
            return checks
        factor = ratios[len(ratios) // 2] / 0.6745  # median of |N(0, 1)|
        if factor <= 1.0:
            return checks
        evident = factor > 1.0 + 3.0 / math.sqrt(len(ratios))
        if not evident and len(ratios) < POOLED_FROM:
            return checks
        self._know(replace(self.noise, level=factor * self.noise.level, growth=factor * self.noise.growth))
        if evident:
            ladders = self.ladders()
            yield from advance([ladder.axis for ladder in ladders], [_settle_again(ladder) for ladder in ladders])
        yield from self._rise(paired)
        return {key: (ladder, residual, factor * noise) for key, (ladder, residual, noise) in checks.items()}

    def _search_below(self, checks: Checks) -> Search[None]:
        """Search again below rungs that the check disproves: steps beyond the natural length of f, or an accident."""
        movers, requests = [], []
        for ladder, residual, noise in checks.values():
            rung = ladder.best()
            if residual > DISPROVED * noise and rung is not None:
                ladder.disprove(rung, _shown_error(ladder, rung, residual))
                movers.append(ladder.axis)
                requests.append(ladder.settle(max(rung.k - RESTART, LOWEST)))
        yield from advance(movers, requests)


def make_axes(
    x: Array, coordinates: NDArray[np.int32], lower: Array, upper: Array, sizes: Array | None = None
) -> list[Axis]:
    """Return an axis for each of these coordinates of x, of sizes (m,); lower and upper (n,) are bounds."""
    x = x[coordinates]
    unknown = NoiseModel(0.0, 0.0, ROUNDING)
    sizes = ORDINARY.of(x) if sizes is None else sizes
    columns = (coordinates, x, sizes, unit_of(sizes), lower[coordinates], upper[coordinates])
    rows = zip(*(column.tolist() for column in columns), strict=True)
    axes = [Axis(index, at, size, unit, low, high, unknown) for index, at, size, unit, low, high in rows]
    for axis, reach in zip(axes, farthest(sizes).tolist(), strict=True):
        axis.farthest = reach
    return axes


def start_search(
    x: Array,
    coordinates: NDArray[np.int32],
    f0: float,
    lower: Array,
    upper: Array,
    noise: float | None,
    x_scale: Array | None = None,
) -> Search[StepSearch]:
    """Learn the noise of f at x (`noise` where the caller knows its standard deviation) and prepare the search.

    The sizes of the coordinates (m,) are those of x_scale, or else found.
    """
    model = None if noise is None else NoiseModel(f0, noise, ROUNDING)
    found = ORDINARY
    if x_scale is None:
        found, model = yield from _sizes(x, coordinates, f0, lower, upper, model)
    sizes = found.of(x[coordinates]) if x_scale is None else x_scale
    axes = make_axes(x, coordinates, lower, upper, sizes)
    for axis in axes:
        if found.limit <= abs(axis.x) <= found.meant:
            axis.few_digits = NO_DIGITS
    if model is None:
        model = yield from noise_level.measure(x, f0, axes)
    is_random = False
    if noise is not None or model.level > ROUNDING_LEVEL * EPS * abs(f0):
        # Only repetition shows chance: a rounded f has the same noise at each call.
        again = yield Rows(x[None, :])
        apart = abs(float(again[0]) - f0)
        is_random = apart > 0.0
        if noise is None and math.isfinite(apart):
            model = replace(model, level=max(model.level, apart / math.sqrt(2.0)))
    for axis in axes:
        axis.know(model)
    return StepSearch(x, coordinates, axes, model, noise is not None, sizes, is_random)


def _sizes(
    point: Array, coordinates: NDArray[np.int32], f0: float, lower: Array, upper: Array, noise: NoiseModel | None
) -> Search[tuple[Sizes, NoiseModel | None]]:
    """Find the sizes of the coordinates, and the noise of f where it had to be known for that.

    Where sizes have a gap the noise is measured along the large coordinates alone: those are sizes for certain.
    """
    x = point[coordinates]
    parted, _ = clusters(x)
    if noise is None and parted and (large := np.abs(x) >= parted[-1][0]).any() and not large.all():
        noise = yield from noise_level.measure(point, f0, make_axes(point, coordinates[large], lower, upper))
    level = ROUNDING * abs(f0) if noise is None else noise.level
    low, high = lower[coordinates], upper[coordinates]

    def change(d: Array) -> Search[tuple[float, float]]:
        moved = point.copy()
        moved[coordinates] = x + d
        if not ((low <= moved[coordinates]) & (moved[coordinates] <= high)).all():
            return math.nan, math.nan
        values = yield Rows(moved[None, :], curious=True)
        value = float(values[0])
        return value - f0, max(level, ROUNDING * abs(value))

    below, above = x - low, high - x
    toward = None if np.isinf(below).all() and np.isinf(above).all() else np.where(above >= below, 1.0, -1.0)
    return (yield from find_sizes(x, change, toward=toward)), noise


def first_rung(noise: NoiseModel, order: int, derivative: int = 2) -> int:
    """Rung at which noise/h^d and h^m balance for a function whose natural lengths are its coordinates' sizes."""
    relative = noise.level / abs(noise.f0) if noise.f0 != 0.0 else ROUNDING
    return round(math.log2(min(max(relative, ROUNDING), 0.01)) / (order + derivative))


def _glance(axis: Axis, k: int) -> Request:
    """Ask for f at one step of rung k, where the box allows it."""
    h = math.ldexp(axis.unit, k)
    yield from axis.ask([d for d in (h, -h) if axis.inside(d)][:1])


def _median_change(ladders: Sequence[Ladder]) -> tuple[float, float, float]:
    if not ladders:
        return math.inf, math.inf, math.inf
    columns = zip(*(ladder.change() for ladder in ladders), strict=True)
    quadratic, change, rung = (sorted(column)[len(ladders) // 2] for column in columns)
    return quadratic, change, rung


def _settle_again(ladder: Ladder) -> Request:
    rung = ladder.best()
    assert rung is not None
    yield from ladder.settle(rung.k)


def _outer_node(axis: Axis) -> float | None:
    """Displacement of the outermost node of the best rung."""
    ladder = axis.ladder
    rung = None if ladder is None else ladder.best()
    return None if ladder is None or rung is None else ladder.formula.last * rung.step


def _verifiable(ladder: Ladder) -> bool:
    rung = ladder.best()
    return rung is not None and rung.k - VERIFY_DEPTH >= LOWEST


def _descend(ladder: Ladder, residual: float) -> Request:
    """Go down until the second difference falls away, and settle there; stay where it never does."""
    rung = ladder.best()
    assert rung is not None
    for low in range(rung.k - 2 * VERIFY_DEPTH, LOWEST, -VERIFY_DEPTH):
        h = ladder.step(low)
        yield from ladder.axis.ask([h, -h])
        if abs(ladder.axis.second_difference(h)) * h * h < FALLEN * residual:
            ladder.forget_above(low)
            yield from ladder.settle(low)
            return


def _ask_below(ladder: Ladder) -> Request:
    rung = ladder.best()
    assert rung is not None
    h = ladder.step(rung.k - VERIFY_DEPTH)
    yield from ladder.axis.ask([h, -h])


def _residual(ladder: Ladder) -> tuple[float, float]:
    """Disagreement of the second derivative far below the best rung, times h², and the noise expected in it.

    With D⁽¹⁾(h) = D + c h² + …, D⁽¹⁾ at a 2^-d of h still differs from D by 4^-d of what it does at h.
    """
    axis, rung = ladder.axis, ladder.best()
    assert rung is not None
    h = ladder.step(rung.k - VERIFY_DEPTH)
    explained = (axis.second_difference(rung.step) - rung.curvature) / 4.0**VERIFY_DEPTH
    residual = axis.second_difference(h) - rung.curvature - explained
    largest = max(axis.values[h], axis.values[-h], key=abs)
    noise = math.sqrt(6.0) * axis.noise_at(largest, rung.curvature * h)
    return abs(residual) * h * h, noise


def _shown_error(ladder: Ladder, rung: Rung, residual: float) -> float:
    """Error of a rung that the check shows; a slope errs by what its step makes of the curvature's error."""
    h = abs(ladder.step(rung.k - VERIFY_DEPTH))
    error = residual / h / h
    return error if ladder.derivative == 2 else error * abs(rung.step)
