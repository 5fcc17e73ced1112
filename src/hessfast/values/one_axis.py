"""Symmetric or one-sided: which formula an axis takes where bounds and walls leave little room."""

from __future__ import annotations

import math

from hessfast.values.ladder import LOWEST, Axis, Ladder, Request, formula


def search(axis: Axis, derivative: int, order: int, start: int, weight: float) -> Request:
    """Settle an axis from rung `start`: symmetric where bounds and walls leave room for it, else one-sided."""
    ladder = Ladder(axis, derivative, formula(order, order == 1), axis.inward() if order == 1 else 0, weight)
    narrow = axis.policy.narrow
    k = ladder.fitting(start, start - narrow if order > 1 else LOWEST)
    if k is not None:
        yield from ladder.settle(k)
        axis.ladder = ladder
        if ladder.best() is not None and ladder.top().k > start - 2 * narrow:
            return
    if order > 1 and axis.policy.turns_aside:
        yield from _search_one_sided(axis, derivative, order, start, weight)


def leave(axis: Axis, derivative: int, order: int, start: int, weight: float) -> Request:
    """x_i is near a bound and near zero: try one-sided steps of the size that a coordinate at zero would take."""
    for side in (axis.inward(), -axis.inward()):
        room = axis.upper - axis.x if side > 0 else axis.x - axis.lower
        if axis.ladder is None or room < math.ldexp(axis.unit, LOWEST):
            continue
        ladder = Ladder(axis, derivative, formula(order, True), side, weight)
        k = ladder.fitting(math.floor(math.log2(min(room, 1.0) / axis.unit)) + start, LOWEST)
        if k is None:
            continue
        yield from ladder.settle(k)
        near, far = axis.ladder.best(), ladder.best()
        if near is None or far is None or far.error >= near.error:
            continue
        if abs(far.value - near.value) <= axis.policy.beyond_doubt * near.error:
            axis.ladder = ladder
            return


def _search_one_sided(axis: Axis, derivative: int, order: int, start: int, weight: float) -> Request:
    """Try the formula that points into the box, or away from a wall; keep it where it beats the symmetric one."""
    symmetric = axis.ladder
    inward = axis.inward()
    for side in (inward,) if symmetric is None else (inward, -inward):
        ladder = Ladder(axis, derivative, formula(order, True), side, weight)
        k = ladder.fitting(start, LOWEST)
        if k is None:
            continue
        yield from ladder.settle(k)
        best = ladder.best()
        if best is None:
            continue
        again = Ladder(axis, derivative, formula(order, False), 0, weight)
        if symmetric is None and again.fits(best.k + 1):  # narrower than feared: the symmetric formula has room
            yield from again.settle(best.k)
            if again.best() is not None:
                axis.ladder = again
                return
        if axis.ladder is None or ladder.least() < axis.ladder.least():
            axis.ladder = ladder
