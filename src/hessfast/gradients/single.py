"""Columns that leave the common level: each searched on its own, many side by side, and verified far below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Search
from hessfast.gradients.columns import differences, family
from hessfast.gradients.judgement import column_errors
from hessfast.gradients.matrix import LEVELS, Matrix
from hessfast.gradients.ray import Ray, again, failing

_MOST_RAYS = 256
"""Coordinates searched at a time at most,"""

_SEEN_BYTES = 1 << 20
"""or as many as leave what they have seen in so much memory."""


def _rays(matrix: Matrix) -> int:
    """Coordinates searched at a time: some ten gradients of each are kept."""
    place = matrix.place
    return int(np.clip(_SEEN_BYTES // (80 * place.gradient.size), 16, _MOST_RAYS))


def search(matrix: Matrix, moves: dict[int, float]) -> Search[None]:
    """Search these coordinates, each from so many levels beyond the one where it stands."""
    axes, count = list(moves), _rays(matrix)
    for first in range(0, len(axes), count):
        rays = [matrix.ray(i, int(matrix.level[i] + np.floor(moves[i]))) for i in axes[first : first + count]]
        yield from _search_along(matrix, rays)
    matrix.searched.update(axes)


def _search_along(matrix: Matrix, rays: list[Ray]) -> Search[None]:
    """Search along the rays, and take over what they find."""
    yield from _climb(matrix, rays)
    yield from _reconsider(matrix, rays)
    for ray in rays:
        _adopt(matrix, ray)


def _climb(matrix: Matrix, rays: list[Ray]) -> Search[None]:
    """Advance all rays side by side, a batch of gradients a round."""
    place, policy = matrix.place, matrix.place.policy
    active = rays
    while active:
        yield from _sample(matrix, [(ray, k) for ray in active for k in ray.missing(ray.climb.level)])
        judged = [(ray, ray.judge(ray.climb.level, place.noise, matrix.scale)) for ray in active]
        errors = [(ray, column_errors(j, matrix.scale, policy)) for ray, j in judged]
        active = [ray for ray, seen in errors if ray.climb.advance(seen)]


def _reconsider(matrix: Matrix, rays: list[Ray]) -> Search[None]:
    """Verify each symmetric ray far below, twice at most; try both sides where a wall leaves no room for one."""
    place, policy = matrix.place, matrix.place.policy
    failed = yield from _unverified(matrix, rays)
    for _ in range(2):
        if not failed:
            break
        yield from _sample(matrix, [(ray, k) for ray, low, _ in failed for k in ray.unseen(low - policy.deeper)])
        fresh: dict[int, Ray] = {}
        for ray, _, wrong in failed:
            fresh[ray.axis], place.noise = again(ray, wrong, place.noise)
        yield from _climb(matrix, list(fresh.values()))
        rays[:] = [fresh.get(ray.axis, ray) for ray in rays]
        failed = yield from _unverified(matrix, list(fresh.values()))
    one = family(place.order, False)
    for r, ray in enumerate(rays):
        if not ray.climb.walled:
            continue
        matrix.walled.add(ray.axis)
        if ray.climb.relative > policy.far_from_reachable * place.attainable:
            start = place.start if ray.best is None else ray.best
            unit, tops = float(place.unit[ray.axis]), (place.above[ray.axis], place.below[ray.axis])
            sides = []
            for sign, room in zip((1.0, -1.0), tops, strict=True):
                if room > 0:
                    fits = np.floor(np.log2(room / max(one.nodes[-1], 2.0)) - np.log2(unit))
                    top = int(min(max(fits, -LEVELS), place.cap))
                    climb = matrix.climb(min(max(start, place.start), top), top)
                    sides.append(Ray(sign * unit, one, climb, ray.axis, policy=policy))
            yield from _climb(matrix, sides)
            rays[r] = min([ray, *sides], key=lambda candidate: candidate.climb.error)


def _sample(matrix: Matrix, requests: Sequence[tuple[Ray, int]]) -> Search[None]:
    place = matrix.place
    for both in (True, False):
        chosen = [(ray, k) for ray, k in requests if ray.nodes.symmetric == both]
        if chosen:
            which = np.array([ray.axis for ray, _ in chosen])
            step = np.array([ray.unit * 2.0**k for ray, k in chosen])
            nodes = family(2, True) if both else family(max(place.order, 2), False)
            found = yield from differences(place.gradient, which, step, nodes, place.g0)
            turned = matrix.turned(found.bend, step)
            for row, (ray, k) in enumerate(chosen):
                ray.seen[k] = [d[row] for d in found.D]
                if both:
                    ray.bends[k] = abs(float(found.bend[row, ray.axis])), turned[row]


def _unverified(matrix: Matrix, rays: list[Ray]) -> Search[list[tuple[Ray, int, NDArray[np.bool_]]]]:
    """Return the rays whose verification failed, its level, and at which components."""
    place, policy = matrix.place, matrix.place.policy
    lows = [
        (ray, ray.best - policy.verify)
        for ray in rays
        if ray.nodes.symmetric and ray.best is not None and not _same(matrix, ray)
    ]
    yield from _sample(matrix, [(ray, k) for ray, low in lows for k in ray.unseen(low)])
    judged = [(ray, low, ray.judge(low + policy.verify, place.noise, matrix.scale)) for ray, low in lows]
    found = [(ray, low, failing(ray, j, place.noise)) for ray, low, j in judged]
    return [entry for entry in found if entry[2].any()]


def _same(matrix: Matrix, ray: Ray) -> bool:
    """Whether the ray agrees with the column at the common level, itself two levels away at least."""
    place, policy = matrix.place, matrix.place.policy
    i = ray.axis
    assert ray.best is not None
    if abs(ray.best - matrix.level[i]) < 2 or not matrix.relative[i] < 1e-2:
        return False
    j = ray.judge(ray.best, place.noise, matrix.scale)
    noise = family(place.order, bool(matrix.symmetric[i])).noise * place.noise / abs(matrix.step[i])
    bound = policy.clear * (noise + j.condition) + 3 * (matrix.truncation[i] + j.truncation)
    return bool(np.all(np.abs(j.value - matrix.value[i]) <= bound))


def _adopt(matrix: Matrix, ray: Ray) -> None:
    """Take over what a ray found where it is better than what was there."""
    place = matrix.place
    i = ray.axis
    if ray.best is None or not ray.climb.error < matrix.errors[i]:
        return
    j = ray.judge(ray.best, place.noise, matrix.scale)
    matrix.value[i], matrix.truncation[i], matrix.rate[i] = (
        j.value,
        np.fmax(j.truncation, ray.course(place.noise)),
        j.rate,
    )
    matrix.level[i], matrix.errors[i], matrix.relative[i] = ray.best, ray.climb.error, ray.climb.relative
    matrix.symmetric[i], matrix.side[i] = ray.nodes.symmetric, np.sign(ray.unit)
    if ray.best in ray.bends:
        matrix.unsettled[i] = min(matrix.unsettled[i], *(turned for _, turned in ray.bends.values()))


def search_below(matrix: Matrix, which: NDArray[np.intp]) -> Search[None]:
    """Search these coordinates anew from the short steps of the table up, in small leaps."""
    place, policy = matrix.place, matrix.place.policy
    d = np.abs(place.glance[0])
    which = which[d[which] > 0]
    starts = np.floor(np.log2(d[which]) - np.log2(place.unit[which])).astype(np.intp)
    count = _rays(matrix)
    for first in range(0, which.size, count):
        some = which[first : first + count].tolist()
        rays = [matrix.ray(i, int(k)) for i, k in zip(some, starts[first : first + count], strict=True)]
        for ray in rays:
            climb = ray.climb
            climb.leap, climb.beyond = policy.small_leap, 0
            climb.ceiling = min(climb.ceiling, max(int(matrix.level[ray.axis]) - 2, climb.level))
            matrix.errors[ray.axis] = matrix.relative[ray.axis] = np.inf
        yield from _search_along(matrix, rays)
    matrix.searched.update(which.tolist())
