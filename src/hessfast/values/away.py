"""Noise away from x: where f dwarfs f(x), and on stairs along an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from hessfast.calls.points import Search, spent_on
from hessfast.values import tables
from hessfast.values.axes import StepSearch
from hessfast.values.checks import settle_again
from hessfast.values.ladder import Axis, Request, advance
from hessfast.values.rise import rise


def glance(search: StepSearch) -> Search[None]:
    """Measure the noise one step away from x, where f dwarfs f(x) there; one evaluation an axis."""
    yield from look_beside(search)
    nodes = [next(iter(axis.values), None) for axis in search.axes]
    search.first_change = yield from measure_away(search, search.policy.swamped, nodes)


def look_beside(search: StepSearch) -> Search[None]:
    """Ask for f at one step of each axis."""
    yield from advance(search.axes, [_glance(axis, search.start) for axis in search.axes])


def look_again(search: StepSearch) -> Search[None]:
    """Measure the noise at the steps chosen, where f has changed much more than at the first look away."""
    nodes = [outer_node(axis) for axis in search.axes]
    if search.noise.growth > 0.0:
        yield from measure_away(search, 0.0, nodes, search.policy.farther * search.first_change)
    else:
        yield from measure_away(search, search.policy.outgrown, nodes)


def measure_away(
    search: StepSearch,
    swamped: float,
    displacements: Sequence[float | None],
    beyond: float = 0.0,
    guessed: bool = False,
) -> Search[float]:
    """Measure the noise once more one step away from x, where f there dwarfs f(x); return the change of f there.

    That change must be more than `swamped` times f(x), and more than `beyond`. `guessed` says that the noise at x has
    not been measured: then nothing tells whether noise follows the value of f.

    At a zero of f that is a sum of squares (or a difference) the noise at x is that of nothing; on a long step
    noise may follow the size of f. The point is the one of median change among one displacement for each axis. Its
    table is no wider than a fourth of the way, and what it says must be little against the change that it is to
    qualify: on a plateau or behind a cliff it is neither.
    """
    f0, policy = search.noise.f0, search.policy
    seen = sorted(
        (abs(value - f0), number, displacement)
        for number, (axis, displacement) in enumerate(zip(search.axes, displacements, strict=True))
        if displacement is not None and math.isfinite(value := axis.values.get(displacement, math.nan))
    )
    if not seen or seen[len(seen) // 2][0] <= max(swamped * abs(f0), beyond):
        return 0.0
    change, number, displacement = seen[len(seen) // 2]
    axis = search.axes[number]
    away = search.x.copy()
    away[axis.index] += displacement
    widest = abs(displacement) / (4.0 * (tables.POINTS - 1) * axis.unit)
    table = tables.measure(
        away, axis.values[displacement], search.axes, (axis, displacement), widest=widest, policy=policy
    )
    there = (yield from spent_on("noise", table)).level
    if there > policy.little * change:
        return 0.0
    value = abs(axis.values[displacement])
    known = search.noise
    grown = math.sqrt(max(there - known.level, 0.0)) * math.sqrt(there + known.level) / math.sqrt(change)
    follows = not guessed and f0 != 0.0 and there / value > policy.proportional * (known.level / abs(f0))
    if known.growth > 0.0:  # measured once before, nearer to x
        follows = there > policy.beyond_growth * known.at(axis.values[displacement])
        grown = max(grown, known.growth)
    search.know(replace(known, relative=there / value) if follows else replace(known, growth=grown))
    return change


def stairs(search: StepSearch) -> Search[None]:
    """Raise the noise of axes along which f stands still where it should move; go up anew where there were any.

    Rounding that hides behind a smooth term is noise of all axes: their pairs move the same terms of f.
    """
    ladders = search.ladders()
    rounding = max((ladder.rounding() for ladder in ladders), default=0.0)
    raised = search.policy.raised
    if rounding > raised * search.noise.level:
        search.know(replace(search.noise, level=rounding))
        found = ladders
    else:
        found = [ladder for ladder in ladders if ladder.stair() > raised * ladder.axis.noise.level]
    for ladder in found:
        ladder.axis.stair = max(ladder.axis.stair, ladder.stair())
        ladder.axis.know(search.noise)
    yield from advance([ladder.axis for ladder in found], [settle_again(ladder) for ladder in found])
    if found:
        yield from rise(search)


def _glance(axis: Axis, k: int) -> Request:
    """Ask for f at one step of rung k, where the box allows it."""
    h = math.ldexp(axis.unit, k)
    yield from axis.ask([d for d in (h, -h) if axis.inside(d)][:1])


def outer_node(axis: Axis) -> float | None:
    """Displacement of the outermost node of the best rung."""
    ladder = axis.ladder
    rung = None if ladder is None else ladder.best()
    return None if ladder is None or rung is None else ladder.formula.last * rung.step
