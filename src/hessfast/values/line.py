"""Curvature along a line from values of f: one more axis on the ladder, whose coordinate is t in x + t v.

A line has no other axes to lean on, and no pairs to serve. So it begins with a look at two second differences, which
foretell the rung; truncation may weigh less, for the value is extrapolated from the rung and the one above it to the
next order; and what the rung above says is doubted more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Nodes, OnLine, Points, Rows, Search, T
from hessfast.scale import EPS
from hessfast.values import one_axis, tables
from hessfast.values.away import measure_away, outer_node, stairs
from hessfast.values.axes import StepSearch
from hessfast.values.checks import pool, search_below, unalias, verify
from hessfast.values.ladder import LOWEST, Axis, Formula, Ladder, Request, Rung, advance, formula
from hessfast.values.noise import ROUNDING, NoiseModel
from hessfast.values.policy import LINE_POLICY
from hessfast.values.rise import rise

_SECOND = math.sqrt(6.0)
"""Standard deviation of h² times a second difference, for unit noise in f."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line x + t v.

    Attributes
    ----------
    x, v : ndarray, shape (n,)
        In float64 or float32 storage.
    unit : float
        Its natural unit of t, a power of two.
    rounded : float
        Typical |x_i / v_i|: rounding x + t v errs by about eps times this in t.
    far : float
        How far f may be asked while digits are few.
    up, down : float
        How far t can go above and below 0 before x + t v leaves the bounds.
    """

    x: NDArray[Any]
    v: NDArray[Any]
    unit: float
    rounded: float
    far: float
    up: float = math.inf
    down: float = math.inf


@dataclass(slots=True)
class LineSearch(StepSearch):
    """The search of one axis that is a line.

    Attributes
    ----------
    rounded : float
        The size of t of which points are rounded.
    apart : float
        Difference of two answers at x.
    """

    rounded: float = 0.0
    apart: float = 0.0


@dataclass(frozen=True, slots=True)
class AlongLine:
    """What was found along a line.

    Attributes
    ----------
    value, error : float
        vᵀHv and its bar; nan and inf where no rung was of use.
    step : float
    random : bool
        f answers differently each time, by more than its noise.
    noise : NoiseModel
    rung : int
        Number of the lowest rung in the value; 0 without one.
    change : float
        Largest change of f over one unit of the line that its slope, its curvature or a second difference shows.
    """

    value: float
    error: float
    step: float
    random: bool
    noise: NoiseModel
    rung: int
    change: float


def curvature_along(
    line: Line, f0: float, order: int, noise: NoiseModel | None = None, certain: bool = True
) -> Search[AlongLine]:
    """Find vᵀHv by a difference of that order, extrapolated to the next one.

    `noise` is that of f, where it is known; unless for certain, it may turn out larger.
    """
    return _on_line(_searched(line, f0, order, noise, certain), line)


def at_given_step(line: Line, f0: float, order: int, h: float, noise: float | None) -> Search[tuple[float, float]]:
    """Return vᵀHv by a difference of that order at step h, and a bar from the order below: nan at order 2."""
    of = formula(order, False)
    values = yield OnLine(line.x, line.v, [t * h for t in of.nodes])
    known = dict(zip(of.nodes, values, strict=True))
    value = _difference(of, known, f0, h)
    if order == 2:
        return value, math.nan
    lower = _difference(formula(order - 2, False), known, f0, h)
    level = LINE_POLICY.rounding_bar * ROUNDING * abs(f0) if noise is None else noise
    return value, abs(value - lower) + 3.0 * of.curvature_noise * level / h / h + 4.0 * EPS * abs(value)


def _difference(of: Formula, values: dict[Any, float], f0: float, h: float) -> float:
    """Second derivative by a formula from values by node."""
    total = 0.0
    for t, weight, _ in of.terms:
        total += weight * ((values[t] - f0) / (t * h))
    return total / h


def _on_line(search: Search[T], line: Line) -> Search[T]:
    """Let a search of the one coordinate t ask for points x + t v."""
    try:
        points = next(search)
        while True:
            t, shape = _coordinates(points)
            curious = isinstance(points, Rows) and points.curious
            values = yield OnLine(line.x, line.v, t, points.purpose, curious)
            points = search.send(np.array(values, dtype=np.float64).reshape(shape))
    except StopIteration as done:
        result: T = done.value
        return result


def _coordinates(points: Points) -> tuple[list[float], tuple[int, ...]]:
    if isinstance(points, Rows):
        return points.X[:, 0].tolist(), (len(points.X),)
    assert isinstance(points, Nodes)
    return points.nodes.ravel().tolist(), points.nodes.shape


def _searched(line: Line, f0: float, order: int, noise: NoiseModel | None, certain: bool) -> Search[AlongLine]:
    origin, only, sizes = np.zeros(1), np.zeros(1, dtype=np.int32), np.array([line.unit])
    unknown = NoiseModel(f0, 0.0, ROUNDING)
    axis = Axis(0, 0.0, line.unit, line.unit, -line.down, line.up, unknown, LINE_POLICY)
    axis.farthest, axis.rounded = max(line.unit, line.far), line.unit
    model, given = noise or NoiseModel(f0, ROUNDING * abs(f0), ROUNDING), noise is not None and certain
    axis.know(model)
    search = LineSearch(origin, only, [axis], model, given, sizes, policy=LINE_POLICY, rounded=line.rounded)
    search.order, search.paired = order, False
    left_out = OF_NOISE if given else {"noise"} if noise is not None else set()
    for phase in LINE_POLICY.phases:
        if phase not in left_out:
            yield from PHASES[phase](search)
    ladder = axis.ladder
    if ladder is None or ladder.best() is None:
        return AlongLine(math.nan, math.inf, math.nan, search.random, search.noise, 0, 0.0)
    rung = _least(search, ladder)
    value, error = _extrapolated(ladder, rung), _bar(search, ladder, rung)
    if search.apart > LINE_POLICY.answers * ROUNDING * abs(f0):
        value, error = yield from _repeated(search, ladder, rung, value, error)
    change = max(abs(rung.slope) * line.unit, abs(rung.curvature) * line.unit**2, _seen_within(axis))
    return AlongLine(value, error, abs(rung.step), search.random, search.noise, rung.k, change)


def _seen_within(axis: Axis) -> float:
    """Return the largest change of f by a second difference that was seen within one unit."""
    steps = [h for h in axis.values if 0.0 < h <= axis.unit and -h in axis.values]
    changes = [abs(axis.second_difference(h)) * h * h for h in steps]
    return max((change for change in changes if math.isfinite(change)), default=0.0)


# ---- phases


def learn_noise(search: LineSearch) -> Search[None]:
    """Measure the noise one step away from x where f there dwarfs f(x), else at x.

    That step must lie within the natural length: behind a cliff, or past a pole, noise is that of another function.
    """
    (axis,) = search.axes
    policy, f0, k = search.policy, search.noise.f0, search.default_rung()
    h = math.ldexp(axis.unit, k)
    if not axis.inside(h):
        h = -h
    yield from advance([axis], [axis.ask([h] if axis.inside(h) else [])])
    while k - policy.verify_depth >= LOWEST and abs(axis.values.get(h, 0.0)) > policy.swamped * abs(f0):
        low = math.ldexp(h, -policy.verify_depth)
        both = axis.inside(-h)
        yield from advance([axis], [axis.ask([-h, low, -low] if both else [low])])
        if both and not _beyond_length(axis, abs(h)):
            search.first_change = yield from measure_away(search, policy.swamped, [h], guessed=True)
            if search.first_change > 0.0:
                # Below growth² noise exceeds the value itself, and it falls no faster than the root of that.
                growth = search.noise.growth
                level = max(search.noise.level, growth * max(growth, math.sqrt(abs(f0))))
                search.know(replace(search.noise, level=level))
                return
            break
        k, h = k - policy.verify_depth, low
    search.know((yield from tables.measure(search.x, f0, search.axes, policy=policy)))


def ask_again(search: LineSearch) -> Search[None]:
    """Ask for f(x) once more: only repetition shows chance."""
    again = yield Rows(search.x[None, :], "origin")
    noise = search.noise
    apart = abs(float(again[0]) - noise.f0)
    search.apart = apart if math.isfinite(apart) else math.inf
    search.random = search.apart > search.policy.random * noise.level
    if not search.noise_given and math.isfinite(apart):
        search.know(replace(noise, level=max(noise.level, apart / math.sqrt(2.0))))


def settle(search: LineSearch) -> Search[None]:
    """Settle the line at the rung that two second differences foretell; one-sided where bounds leave no room."""
    search.start = search.default_rung()
    yield from advance(search.axes, [_settle(axis, search.order, search.start) for axis in search.axes])


def climb(search: LineSearch) -> Search[None]:
    """Go up while truncation hides; where something is known above, half way to that."""
    yield from rise(search)
    (axis,) = search.axes
    policy, ladder = search.policy, axis.ladder
    while ladder is not None and (best := ladder.best()) is not None:
        if best.condition <= policy.full_precision * abs(best.value) or not ladder.hidden(best, policy.doubtful):
            return
        above = [k for k, rung in ladder.rungs.items() if k > best.k and (rung is None or rung.above is not None)]
        if not above:
            return
        k = (best.k + min(above)) // 2
        known = len(ladder.rungs)
        yield from advance([axis], [_visit(ladder, k)])
        if len(ladder.rungs) == known:
            return


def look_farther(search: LineSearch) -> Search[None]:
    """Measure the noise at the steps chosen, where f there dwarfs what is known of it; rounding follows the value."""
    (axis,) = search.axes
    policy, noise, outer = search.policy, search.noise, outer_node(axis)
    rounding = policy.rounding_level * EPS
    if noise.growth > 0.0:
        if noise.growth > rounding * math.sqrt(search.first_change):
            yield from measure_away(search, 0.0, [outer], policy.farther * search.first_change)
    elif noise.level > rounding * abs(noise.f0):
        yield from measure_away(search, policy.swamped, [outer])
    elif outer is not None and abs(axis.values[outer]) > policy.swamped * abs(noise.f0) > 0.0:
        search.know(replace(noise, relative=max(noise.relative, noise.level / abs(noise.f0))))


PHASES: dict[str, Callable[[LineSearch], Search[None]]] = {
    "noise": learn_noise,
    "again": ask_again,
    "settle": settle,
    "climb": climb,
    "stairs": stairs,
    "verify": verify,
    "unalias": unalias,
    "pool": pool,
    "below": search_below,
    "away": look_farther,
}
"""What `LINE_POLICY.phases` names."""

OF_NOISE = {"noise", "stairs", "pool", "away"}
"""Phases that are left out where the caller gives the noise."""


# ---- the rung that second differences foretell


def _settle(axis: Axis, order: int, start: int) -> Request:
    policy = axis.policy
    k = yield from _foretold(axis, order, start)
    ladder = Ladder(axis, 2, formula(order, False), 0, policy.line_weight)
    at = ladder.fitting(k, max(k - policy.narrow, LOWEST))
    if at is not None:
        yield from ladder.settle(at)
        axis.ladder = ladder
    if ladder.best() is None:
        yield from one_axis.search(axis, 2, order, start, policy.line_weight)


def _foretold(axis: Axis, order: int, start: int) -> Generator[list[float], None, int]:
    """Return the rung at which truncation and condition error balance, as far as second differences tell."""
    policy = axis.policy
    depth, wide = policy.verify_depth, start
    h = math.ldexp(axis.unit, wide)
    while not (axis.inside(h) and axis.inside(-h)):
        wide, h = wide - 1, 0.5 * h
        if wide <= start - 2 * depth:
            return start
    while wide - depth >= LOWEST:
        low = math.ldexp(h, -depth)
        yield from axis.ask([h, -h, low, -low])
        if not _beyond_length(axis, h):
            break
        wide, h = wide - depth, low
    else:
        return wide
    long, short, unseen = axis.second_difference(h), axis.second_difference(low), _unseen(axis, low)
    value = max(abs(long), abs(short) - 4.0 * unseen)
    if not (0.0 < unseen < 0.1 * value < math.inf):
        return wide
    # D h² reaches D L² at the natural length L, where the change to it, of D (h/L)², would be D itself.
    length = wide - 0.5 * math.log2(max(abs(long - short), 0.25 * unseen) / value)
    noise = math.log2(unseen * low * low / (_SECOND * value)) - 2.0 * (math.log2(axis.unit) + length)
    balance = length + noise / (order + 3) - policy.early
    return round(max(balance, LOWEST))


def _beyond_length(axis: Axis, h: float) -> bool:
    """Whether second differences at h and far below it differ by more than a tenth, and than noise explains.

    Where f has no curvature they are those of t⁴ or t⁶: that is no reason to go down.
    """
    depth = axis.policy.verify_depth
    low = math.ldexp(h, -depth)
    long, short = axis.second_difference(h), axis.second_difference(low)
    if abs(long - short) <= max(0.1 * abs(short), axis.policy.clear * _unseen(axis, low)):
        return False
    return not any(abs(long - math.ldexp(short, power * depth)) <= 0.1 * abs(long) < math.inf for power in (2, 4))


def _unseen(axis: Axis, h: float) -> float:
    """Standard deviation of the second difference at h."""
    slope = axis.second_difference(h) * h
    return _SECOND * max(axis.noise_at(axis.values[t], slope) for t in (h, -h)) / h / h


def _visit(ladder: Ladder, k: int) -> Request:
    yield from ladder.visit(k)


# ---- the value and its bar


def _least(search: LineSearch, ladder: Ladder) -> Rung:
    """Return the rung of the least bar, among the best one and those below it."""
    return min(_below(ladder), key=lambda rung: _bar(search, ladder, rung))


def _below(ladder: Ladder) -> list[Rung]:
    """Return the best rung and those of use below it."""
    best = ladder.best()
    assert best is not None
    rungs = [rung for rung in ladder.rungs.values() if rung is not None and rung.above is not None and rung.k <= best.k]
    return [rung for rung in rungs if rung.moved or not best.moved]


def _extrapolated(ladder: Ladder, rung: Rung) -> float:
    """Return the value of the next order, which a rung and the one above it make."""
    assert rung.above is not None
    return rung.curvature if ladder.side else rung.curvature - (rung.above.curvature - rung.curvature) / ladder.gain


def _bar(search: LineSearch, ladder: Ladder, rung: Rung) -> float:
    """Return the error bar.

    Points are rounded, by which the step is another one in each coordinate: by eps `rounded` of t in some. Whether f
    bends along those is not known, but where it does rungs differ by as much, and most do.
    """
    policy, size, h = search.policy, abs(rung.curvature), abs(rung.step)
    for_condition, for_truncation = policy.axis_factors
    truncation = max(_truncation(ladder, rung), rung.jump / h)
    apart = max(
        abs(low.curvature - low.above.curvature) * abs(low.step) for low in _below(ladder) if low.above is not None
    )
    rounded = max(EPS * size * ladder.axis.rounded, min(EPS * size * search.rounded, apart))
    condition = ladder.condition_of(rung, 2) + rounded / h
    bar = for_condition * condition + for_truncation * truncation + policy.rounding_factor * EPS * size
    return max(bar, rung.doubt)


def _truncation(ladder: Ladder, rung: Rung) -> float:
    """Return the truncation of a rung as far as it is to be believed.

    That is the change to the rung above over 2^p - 1, where that change is a small part of the value. It falls no
    faster than it was seen to fall above.
    """
    policy, above = ladder.policy, rung.above
    assert above is not None
    change, size = abs(rung.curvature - above.curvature), max(abs(rung.curvature), abs(above.curvature))
    least = max(ladder.truncation_at_least(rung), _next_in_series(ladder, rung))
    if size > 0.0:
        least = max(least, change * (change / size))
    if above.above is None or ladder.hidden(above, policy.visible):
        return least
    far = above.above
    if far.above is None or ladder.hidden(far, policy.visible):
        return least
    return max(least, above.truncation * min(1.0, above.truncation / far.truncation))


def _next_in_series(ladder: Ladder, rung: Rung) -> float:
    """Return by how much the next order changes the value, as the three below foretell; 0.0 where there are fewer."""
    order, axis, h = ladder.formula.order, ladder.axis, rung.step
    if ladder.side or order < 6:
        return 0.0
    values = {t: axis.values[t * h] for t in ladder.formula.nodes}
    first, second = (_difference(formula(order - less, False), values, axis.noise.f0, h) for less in (4, 2))
    earlier, last = abs(second - first), abs(rung.curvature - second)
    return last * min(1.0, last / earlier) if earlier > 0.0 else last


def _repeated(
    search: LineSearch, ladder: Ladder, rung: Rung, value: float, error: float
) -> Search[tuple[float, float]]:
    """Ask for the nodes of a rung once more, where f answers differently; return the mean, with what repetition shows.

    The bar is no less than noise leaves at half a unit: over longer steps curvature itself is random, which looks like
    nothing.
    """
    axis, of, h = ladder.axis, ladder.formula, rung.step
    (again, *beside) = (yield Rows(np.array([0.0, *(t * h for t in of.nodes)])[:, None], "calibration")).tolist()
    off = [again - axis.noise.f0, *(there - axis.values[t * h] for t, there in zip(of.nodes, beside, strict=True))]
    shown = math.hypot(*off) / math.sqrt(2.0 * len(off))
    search.random = search.random or shown > search.policy.random * search.noise.level
    second = _difference(of, dict(zip(of.nodes, beside, strict=True)), again, h)
    reach = min(abs(h), 0.5 * axis.unit)
    for_condition, for_truncation = search.policy.axis_factors
    condition = of.curvature_noise * max(search.noise.level, shown) / reach / reach
    bar = max(error, for_condition * condition + for_truncation * rung.truncation)
    return 0.5 * (value + second), bar if math.isfinite(bar) else math.inf
