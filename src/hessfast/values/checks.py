"""Checks far below the rungs chosen: what smoothness does not explain is noise, aliasing, or a step too long."""

from __future__ import annotations

import math
from dataclasses import replace

from hessfast.calls.points import Search
from hessfast.values.axes import Checks, StepSearch
from hessfast.values.ladder import LOWEST, Ladder, Request, Rung, advance
from hessfast.values.rise import rise


def verify(search: StepSearch) -> Search[None]:
    """Look at each axis far below its rung: residual in f that smoothness does not explain, and its noise."""
    ladders = [ladder for ladder in search.ladders() if not ladder.side and _verifiable(ladder)]
    if len(search.axes) < search.policy.few:
        ladders = [ladder for ladder in ladders if not ladder.regular()]
    yield from advance([ladder.axis for ladder in ladders], [_ask_below(ladder) for ladder in ladders])
    checks: Checks = {}
    for ladder in ladders:
        residual, noise = _residual(ladder)
        if math.isfinite(residual):
            checks[ladder.axis.index] = (ladder, residual, noise)
    search.checks = checks


def unalias(search: StepSearch) -> Search[None]:
    """Come down from steps of many periods, and verify again, until none is left."""
    for _ in range(search.policy.descents):
        if not (yield from _descend_all(search)):
            break
        yield from rise(search)
        yield from verify(search)


def _descend_all(search: StepSearch) -> Search[bool]:
    """Come down from steps of many periods of f, where all of its change looks like noise.

    Noise is as large at ever smaller steps; what falls away there is f's own change, aliased.
    """
    policy = search.policy
    suspects = [
        (ladder, residual)
        for ladder, residual, noise in search.checks.values()
        if residual > policy.incredible * noise and residual > policy.all_of_it * ladder.axis.variation()
    ]
    movers = [ladder.axis for ladder, _ in suspects]
    yield from advance(movers, [_descend(ladder, residual) for ladder, residual in suspects])
    return bool(suspects)


def pool(search: StepSearch) -> Search[None]:
    """Take the median residual of all axes as a second estimate of the noise; where it is larger, choose again."""
    ratios = sorted(residual / noise for _, residual, noise in search.checks.values() if noise > 0.0)
    if not ratios:
        return
    factor = ratios[len(ratios) // 2] / 0.6745  # median of |N(0, 1)|
    if factor <= 1.0:
        return
    evident = factor > 1.0 + search.policy.evident / math.sqrt(len(ratios))
    if not evident and len(ratios) < search.policy.pooled_from:
        return
    noise = search.noise
    search.know(replace(noise, level=factor * noise.level, growth=factor * noise.growth))
    if evident:
        ladders = search.ladders()
        yield from advance([ladder.axis for ladder in ladders], [settle_again(ladder) for ladder in ladders])
    yield from rise(search)
    search.checks = {
        key: (ladder, residual, factor * expected) for key, (ladder, residual, expected) in search.checks.items()
    }


def search_below(search: StepSearch) -> Search[None]:
    """Search again below rungs that the check disproves: steps beyond the natural length of f, or an accident."""
    movers, requests = [], []
    for ladder, residual, noise in search.checks.values():
        rung = ladder.best()
        if residual > search.policy.disproved * noise and rung is not None:
            ladder.disprove(rung, _shown_error(ladder, rung, residual))
            movers.append(ladder.axis)
            requests.append(ladder.settle(max(rung.k - search.policy.restart, LOWEST)))
    yield from advance(movers, requests)


def settle_again(ladder: Ladder) -> Request:
    """Settle once more from the best rung, as what is known has changed."""
    rung = ladder.best()
    assert rung is not None
    yield from ladder.settle(rung.k)


def _verifiable(ladder: Ladder) -> bool:
    rung = ladder.best()
    return rung is not None and rung.k - ladder.policy.verify_depth >= LOWEST


def _descend(ladder: Ladder, residual: float) -> Request:
    """Go down until the second difference falls away, and settle there; stay where it never does."""
    rung = ladder.best()
    assert rung is not None
    for low in range(rung.k - 2 * ladder.policy.verify_depth, LOWEST, -ladder.policy.verify_depth):
        h = ladder.step(low)
        yield from ladder.axis.ask([h, -h])
        if abs(ladder.axis.second_difference(h)) * h * h < ladder.policy.fallen * residual:
            ladder.forget_above(low)
            yield from ladder.settle(low)
            return


def _ask_below(ladder: Ladder) -> Request:
    rung = ladder.best()
    assert rung is not None
    h = ladder.step(rung.k - ladder.policy.verify_depth)
    yield from ladder.axis.ask([h, -h])


def _residual(ladder: Ladder) -> tuple[float, float]:
    """Disagreement of the second derivative far below the best rung, times h², and the noise expected in it.

    With D⁽¹⁾(h) = D + c h² + …, D⁽¹⁾ at a 2^-d of h still differs from D by 4^-d of what it does at h.
    """
    axis, rung = ladder.axis, ladder.best()
    assert rung is not None
    h = ladder.step(rung.k - ladder.policy.verify_depth)
    explained = (axis.second_difference(rung.step) - rung.curvature) / 4.0**ladder.policy.verify_depth
    residual = axis.second_difference(h) - rung.curvature - explained
    largest = max(axis.values[h], axis.values[-h], key=abs)
    noise = math.sqrt(6.0) * axis.noise_at(largest, rung.curvature * h)
    return abs(residual) * h * h, noise


def _shown_error(ladder: Ladder, rung: Rung, residual: float) -> float:
    """Error of a rung that the check shows; a slope errs by what its step makes of the curvature's error."""
    h = abs(ladder.step(rung.k - ladder.policy.verify_depth))
    error = residual / h / h
    return error if ladder.derivative == 2 else error * abs(rung.step)
