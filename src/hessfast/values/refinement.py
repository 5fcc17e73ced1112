"""Pairs looked at one by one: those whose truncation shows get smaller steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Search
from hessfast.scale import EPS
from hessfast.values.bars import ROUNDING_FACTOR
from hessfast.values.ladder import Axis
from hessfast.values.noise import NoiseModel
from hessfast.values.pairs import Array, Pairs
from hessfast.values.stencils import Stencil

SHOWS = 20.0
"""A pair is refined where its truncation error exceeds this many condition errors."""

EVIDENT = 3.0
"""Condition errors by which the value must change for smaller steps to be called better."""

TURNS = 4
"""Rounds of refinement at most."""

LONGEST_LEAP = 6
"""Halvings of the step in one round at most."""


def shows(value: Array, truncation: Array, condition: Array) -> NDArray[np.bool_]:
    """Whether an entry deserves smaller steps: its truncation stands out of its noise, or it is not finite."""
    floor = np.maximum(SHOWS * condition, ROUNDING_FACTOR * EPS * np.abs(value))
    return np.asarray(~np.isfinite(value) | (truncation > floor))


def refine(
    axes: list[Axis],
    noise: NoiseModel,
    of: Stencil,
    pairs: Pairs,
    value: Array,
    truncation: Array,
    condition: Array,
) -> Search[NDArray[np.bool_]]:
    """Halve the steps of pairs while their truncation shows and the halving helps; the parts are updated in place.

    Truncation falls like h^m, condition error rises like h^-2: from their ratio follows how often to halve.

    Returns
    -------
    ndarray of bool, shape (p,)
        The pairs that were improved.
    """
    improved = np.zeros(value.size, dtype=bool)
    halvings = np.zeros(value.size)
    live = shows(value, truncation, condition)
    for _ in range(TURNS):
        if not live.any():
            break
        with np.errstate(all="ignore"):
            excess = 0.5 * of.order * truncation / np.maximum(condition, np.finfo(float).tiny)
            leap = np.round(np.log2(excess) / (of.order + 2))
        leap = np.where(np.isfinite(value), np.clip(leap, 1, LONGEST_LEAP), 2.0)
        halvings[live] += leap[live]
        shorter = pairs.chosen(live).halved(halvings[live])
        new_value, new_truncation, new_condition = yield from shorter.parts(axes, noise, of)
        where = np.flatnonzero(live)
        with np.errstate(invalid="ignore"):
            change = np.abs(new_value - value[where])
            fresh = np.isfinite(new_value) & ~np.isfinite(value[where])
            better = new_condition + new_truncation < condition[where] + truncation[where]
            better = fresh | (better & (change > EVIDENT * new_condition))
            # A change that noise explains shows the old truncation to have been overrated; its noise is less.
            unmoved = ~better & (change <= EVIDENT * new_condition)
        truncation[where[unmoved]] = np.minimum(truncation[where], change + new_condition)[unmoved]
        lost = where[~np.isfinite(new_value) & ~np.isfinite(value[where])]
        where = where[better]
        value[where], truncation[where], condition[where] = (
            new_value[better],
            new_truncation[better],
            new_condition[better],
        )
        improved[where] = True
        live[:] = False
        live[where] = shows(value[where], truncation[where], condition[where])
        live[lost] = True
    return improved
