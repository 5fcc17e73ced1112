"""Pairs looked at one by one: those whose truncation shows get smaller steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Search
from hessfast.scale import EPS
from hessfast.values.ladder import Axis
from hessfast.values.noise import NoiseModel
from hessfast.values.pairs import Array, Pairs
from hessfast.values.policy import Policy
from hessfast.values.stencils import Stencil


def shows(value: Array, truncation: Array, condition: Array, policy: Policy) -> NDArray[np.bool_]:
    """Whether an entry deserves smaller steps: its truncation stands out of its noise, or it is not finite."""
    floor = np.maximum(policy.shows * condition, policy.rounding_factor * EPS * np.abs(value))
    return np.asarray(~np.isfinite(value) | (truncation > floor))


def refine(
    axes: list[Axis],
    noise: NoiseModel,
    of: Stencil,
    policy: Policy,
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
    live = shows(value, truncation, condition, policy)
    for _ in range(policy.turns):
        if not live.any():
            break
        with np.errstate(all="ignore"):
            excess = 0.5 * of.order * truncation / np.maximum(condition, np.finfo(float).tiny)
            leap = np.round(np.log2(excess) / (of.order + 2))
        leap = np.where(np.isfinite(value), np.clip(leap, 1, policy.halvings), 2.0)
        halvings[live] += leap[live]
        shorter = pairs.chosen(live).halved(halvings[live])
        new_value, new_truncation, new_condition = yield from shorter.parts(axes, noise, of)
        where = np.flatnonzero(live)
        with np.errstate(invalid="ignore"):
            change = np.abs(new_value - value[where])
            fresh = np.isfinite(new_value) & ~np.isfinite(value[where])
            better = new_condition + new_truncation < condition[where] + truncation[where]
            better = fresh | (better & (change > policy.better * new_condition))
            # If halving changed the value by less than its noise, the old truncation estimate was too large.
            unmoved = ~better & (change <= policy.better * new_condition)
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
        live[where] = shows(value[where], truncation[where], condition[where], policy)
        live[lost] = True
    return improved
