"""The way up: axes whose truncation noise hides try longer steps, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hessfast.calls.points import Search
from hessfast.values.axes import StepSearch
from hessfast.values.ladder import Ladder, advance


def rise(search: StepSearch) -> Search[None]:
    """Let the axes whose truncation hides go up side by side, but not far beyond those where it shows.

    A pair sees truncation that neither axis does: f(a, b) = a g(b) has none along a, but a long step in a lends
    its weight to the truncation in b. Where it shows on some axes, the others stop at steps that change f, and
    its quadratic term, as much as theirs do.
    """
    policy, paired, turn = search.policy, search.paired, 0
    while True:
        ladders = search.ladders()
        shown = [ladder for ladder in ladders if ladder.shows(policy.beyond_doubt)]
        likely = [ladder for ladder in ladders if ladder.shows(policy.visible)]
        if policy.likely * len(likely) >= len(ladders):
            shown = likely
        quadratic, change, rung = _median_change(shown if paired and policy.leashed else [])
        movers, requests = [], []
        for ladder in ladders:
            own_quadratic, own_change, own_rung = ladder.change()
            flat = own_change <= policy.invisible * search.noise.level
            leashed = own_rung >= rung if flat else own_quadratic >= quadratic or own_change >= change
            if leashed and own_rung - ladder.head_room() < rung and ladder.has_few_digits():
                leashed = own_change > policy.slight * abs(search.noise.f0)
            rungs = 0 if leashed else ladder.may_rise()
            if rungs and turn >= policy.patience and not (shown and paired):  # most likely a polynomial
                rungs = max(rungs, ladder.far() - ladder.top().k)
            if rungs:
                movers.append(ladder.axis)
                requests.append(ladder.rise(rungs))
        if not movers:
            return
        yield from advance(movers, requests)
        turn += 1


def _median_change(ladders: Sequence[Ladder]) -> tuple[float, float, float]:
    if not ladders:
        return math.inf, math.inf, math.inf
    columns = zip(*(ladder.change() for ladder in ladders), strict=True)
    quadratic, change, rung = (sorted(column)[len(ladders) // 2] for column in columns)
    return quadratic, change, rung
