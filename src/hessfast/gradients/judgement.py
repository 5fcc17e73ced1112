"""What the differences of one column at a few nodes say: the column, and both errors of each of its entries.

The condition error is the noise of g over h. The truncation error is read from the terms that the extrapolation has
removed, and from how fast they fall from one power of h^2 to the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from hessfast.gradients.columns import Array, Family, extrapolate
from hessfast.gradients.levels import Errors
from hessfast.gradients.norms import MOST, norm, quotient
from hessfast.gradients.policy import POLICY, Policy
from hessfast.scale import EPS, TINY


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """A column with its two errors by entry, the size of its h^2 (one-sided: h) term, and `falling` of the whole."""

    value: Array
    truncation: Array
    condition: Array
    drift: Array
    rate: Array


def judge(
    D: Sequence[Array],
    nodes: Family,
    step: float,
    noise: Array,
    weight: Array,
    bend: float = 0.0,
    policy: Policy = POLICY,
) -> Judgement:
    """Extrapolate the divided differences D and estimate both errors of each entry.

    Parameters
    ----------
    D : sequence of ndarray, shape (m,)
        At the nodes of the family; one more than it has serves the truncation alone.
    step : float
    noise : ndarray, shape (m,)
        Noise level of the components of g.
    weight : ndarray, shape (m,)
        Makes the entries of a column comparable.
    bend : float
        c_1 h of the entry on the diagonal, weighted: of a symmetric stencil.
    """
    levels = len(nodes.nodes)
    value = extrapolate(D[:levels], nodes.weights)
    condition = np.hypot(nodes.noise * noise / abs(step), EPS * value)
    drift = first_term(D, nodes)
    if levels == 1:
        return Judgement(value, drift, condition, drift, np.zeros(value.shape[:-1]))
    last = np.abs(value - extrapolate(D[: levels - 1], nodes.shorter.weights))
    size = norm(value * weight)
    ratio = quotient(norm(drift * weight), size)
    beyond = quotient(norm(np.fmax(last - 2 * condition, 0.0) * weight), size)
    rate = falling(nodes, ratio, beyond, quotient(np.asarray(bend), size), policy)
    if nodes.symmetric and levels > 2:
        near, far = (norm((D[k] - D[k + 1]) * weight) for k in (0, levels - 2))
        if far > policy.kink ** (levels - 2) * near + policy.clear * norm(condition * weight):
            # The last node crosses a kink.
            ratio = np.ones_like(ratio)
    return Judgement(value, last * follow(nodes, ratio, policy), condition, drift, rate)


def first_term(D: Sequence[Array], nodes: Family) -> Array:
    """Size of the h^2 term, one-sided of the h term: D(1) - D(2) is 3 c_2 h^2, or c_1 h."""
    return np.asarray(np.abs(D[0] - D[1]) / (3.0 if nodes.symmetric else 1.0))


def falling(
    nodes: Family, square: Array | float, last: Array | float, bend: Array | float, policy: Policy = POLICY
) -> Array:
    """Ratio at which the terms of a column fall from one power of h^2 to the next, from all that is seen of it.

    Parameters
    ----------
    nodes : Family
    square, last, bend : ndarray or float
        h^2 term, last correction and h term of the column over its size. The first may vanish by chance, or all even
        ones by symmetry; none is less than what the others let expect.
    """
    found = np.asarray(square, dtype=np.float64)
    if nodes.symmetric:
        found = np.fmax(found, np.fmin(policy.bent * np.square(np.fmin(bend, 1.0)), 1.0))
        if (levels := len(nodes.nodes)) > 2:
            found = np.fmax(found, (last / _chain(levels - 1)) ** (1.0 / (levels - 1)))
    return found


def follows(nodes: Family, rate: Array | float) -> Array:
    """Truncation error over the size of a column whose terms fall at that rate; 0 where one side shows too little."""
    levels = len(nodes.nodes)
    if not nodes.symmetric:
        return np.zeros_like(np.asarray(rate))
    return np.asarray(np.fmin(_chain(levels) * np.fmin(rate, 1.0) ** levels, 1.0))


@cache
def following(levels: int) -> float:
    """Truncation error over (last correction x relative h^2 term) at so many levels, to two digits.

    The geometric mean of what the exponential and the geometric series give: 1.2 and 4 at two levels, 2.3 and 16 at
    three. Their coefficients of h^2k are 1 / (2k + 1)! and 1, and the last node is 2^(levels - 1).
    """
    return float(f"{4.0 ** (levels - 1) * math.sqrt(6.0 / (2 * levels * (2 * levels + 1))):.2g}")


def _chain(levels: int) -> float:
    """Product of what follows at each number of levels up to this one."""
    return float(np.prod([following(k) for k in range(2, levels + 1)]))


def follow(nodes: Family, ratio: Array | float, policy: Policy = POLICY) -> Array:
    """Truncation error over the last correction, from the relative h^2 (one-sided: h) term."""
    factor = following(len(nodes.nodes)) if nodes.symmetric else policy.following_one_sided
    return np.minimum(1.0, factor * ratio)


def column_errors(j: Judgement, weight: Array, policy: Policy = POLICY) -> Errors:
    """Norms over the entries of a column."""
    with np.errstate(all="ignore"):
        size = norm(j.value * weight)
        condition = float(quotient(norm(j.condition * weight), size))
        drift = float(quotient(norm(j.drift * weight), size))
        return Errors(
            max(condition, EPS / 4),
            float(quotient(norm(j.truncation * weight), size)),
            drift < _hidden_below(condition, policy) * condition,
            bool(np.isfinite(j.value + j.drift).all()),
            float(np.fmin(np.fmax(size, TINY), MOST)),
        )


def direction_errors(j: Judgement, policy: Policy = POLICY) -> Errors:
    """Medians over the components that show above their noise: a few odd coordinates leave no mark."""
    finite = bool(np.isfinite(j.value + j.drift).all())
    shows = np.abs(j.value) > policy.visible * j.condition
    if not finite or not shows.any():
        return Errors(np.inf, 0.0, True, finite)
    size = np.abs(j.value[shows])
    condition = max(float(np.median(j.condition[shows] / size)), EPS / 4)
    drift = float(np.median(j.drift[shows] / j.condition[shows]))
    return Errors(condition, float(np.median(j.truncation[shows] / size)), drift < _hidden_below(condition, policy))


def _hidden_below(condition: float, policy: Policy) -> float:
    return policy.hidden if condition < policy.noisy else policy.hidden_in_noise
