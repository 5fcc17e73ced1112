"""Step search: the axis phase, in which f is seen along each coordinate and each coordinate gets its step.

All axes are searched side by side, in rounds of one batch of points each, so that the axis phase serves batched,
threaded and remote evaluation as well as the sweep does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Rows, Search
from hessfast.scale import EPS, ORDINARY, Sizes, clusters, find_sizes
from hessfast.values import tables
from hessfast.values.away import glance, look_again, look_beside, stairs
from hessfast.values.axes import Array, StepSearch, make_axes
from hessfast.values.checks import pool, search_below, unalias, verify
from hessfast.values.ladder import Axis, advance
from hessfast.values.noise import ROUNDING, NoiseModel
from hessfast.values.one_axis import leave
from hessfast.values.one_axis import search as settle
from hessfast.values.policy import POLICY, Policy
from hessfast.values.rise import rise

Phase = Callable[[StepSearch], Search[None]]


def pilots(search: StepSearch) -> Search[None]:
    """Search a few axes first, where there are many; the others start where these end."""
    policy = search.policy
    every = len(search.axes) // policy.pilots
    if every > 1:
        yield from _settle(search, search.axes[::every][: policy.pilots])
        rungs = sorted(rung.k for ladder in search.ladders() if (rung := ladder.best()) is not None)
        if rungs:
            search.start = rungs[len(rungs) // 2]


def others(search: StepSearch) -> Search[None]:
    """Search the axes that have no ladder yet: two evaluations a rung at order 2, and some eight an axis in all."""
    yield from _settle(search, [axis for axis in search.axes if axis.ladder is None])


def _settle(search: StepSearch, axes: list[Axis]) -> Search[None]:
    derivative, order, start, weight = search.derivative, search.order, search.start, search.weight
    yield from advance(axes, [settle(axis, derivative, order, start, weight) for axis in axes])
    yield from rise(search)


def leave_zero(search: StepSearch) -> Search[None]:
    """Search axes that a bound or a wall confines to steps far too short, next to zero, by long one-sided steps."""
    confined = [ladder.axis for ladder in search.ladders() if ladder.confined()]
    if confined and search.order > 1:
        derivative, order, start, weight = search.derivative, search.order, search.default_rung(), search.weight
        yield from advance(confined, [leave(axis, derivative, order, start, weight) for axis in confined])
        yield from rise(search)


PHASES: dict[str, Phase] = {
    "glance": glance,
    "pilots": pilots,
    "others": others,
    "leave": leave_zero,
    "stairs": stairs,
    "verify": verify,
    "unalias": unalias,
    "pool": pool,
    "below": search_below,
    "away": look_again,
}
"""What `Policy.phases` names."""

OF_NOISE = {"glance", "stairs", "pool", "away"}
"""Phases that are left out where the caller gives the noise."""


def run(search: StepSearch, order: int, derivative: int = 2, paired: bool = True) -> Search[None]:
    """Give every axis its ladder, with a best rung wherever f is finite around x.

    Parameters
    ----------
    search : StepSearch
    order : int
    derivative : {1, 2}
        Which derivative the steps are for.
    paired : bool
        Whether they will serve pairs of axes too.
    """
    search.order, search.derivative, search.paired = order, derivative, paired
    search.start = search.default_rung()
    for phase in search.policy.phases:
        if not (search.noise_given and phase in OF_NOISE):
            yield from PHASES[phase](search)


def automatic_order(search: StepSearch) -> Search[int]:
    """Return 6 where the noise is at rounding level, else 4: a higher order needs longer steps in noise."""
    rounding = search.policy.rounding_level * EPS
    scale = abs(search.noise.f0)
    if search.noise.level > rounding * scale:  # f(x) may be small against what was summed
        search.order, search.derivative = 6, 2
        search.start = search.default_rung()
        yield from look_beside(search)
        seen = [abs(value) for axis in search.axes for value in axis.values.values() if math.isfinite(value)]
        scale = max([scale, *seen])
    return 6 if search.noise.level <= rounding * scale else 4


def start_search(
    x: Array,
    coordinates: NDArray[np.int32],
    f0: float,
    lower: Array,
    upper: Array,
    noise: float | None,
    x_scale: Array | None = None,
    policy: Policy = POLICY,
) -> Search[StepSearch]:
    """Learn the noise of f at x (`noise` where the caller knows its standard deviation) and prepare the search.

    The sizes of the coordinates (m,) are those of x_scale, or else found.
    """
    model = None if noise is None else NoiseModel(f0, noise, ROUNDING)
    found = ORDINARY
    if x_scale is None:
        found, model = yield from _sizes(x, coordinates, f0, lower, upper, model, policy)
    sizes = found.of(x[coordinates]) if x_scale is None else x_scale
    axes = make_axes(x, coordinates, lower, upper, sizes, policy)
    if model is None:
        model = yield from tables.measure(x, f0, axes, policy=policy)
    is_random = False
    if noise is not None or model.level > policy.rounding_level * EPS * abs(f0):
        # Only repetition shows chance: a rounded f has the same noise at each call.
        again = yield Rows(x[None, :])
        apart = abs(float(again[0]) - f0)
        is_random = apart > 0.0
        if noise is None and math.isfinite(apart):
            model = replace(model, level=max(model.level, apart / math.sqrt(2.0)))
    for axis in axes:
        axis.know(model)
    return StepSearch(x, coordinates, axes, model, noise is not None, sizes, is_random, policy)


def _sizes(
    point: Array,
    coordinates: NDArray[np.int32],
    f0: float,
    lower: Array,
    upper: Array,
    noise: NoiseModel | None,
    policy: Policy,
) -> Search[tuple[Sizes, NoiseModel | None]]:
    """Find the sizes of the coordinates, and the noise of f where it had to be known for that.

    Where sizes have a gap the noise is measured along the large coordinates alone: those are sizes for certain.
    """
    x = point[coordinates]
    parted, _ = clusters(x)
    if noise is None and parted and (large := np.abs(x) >= parted[-1][0]).any() and not large.all():
        axes = make_axes(point, coordinates[large], lower, upper)
        noise = yield from tables.measure(point, f0, axes, policy=policy)
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
