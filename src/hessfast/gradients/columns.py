"""Differences of gradients: one column of the Hessian from a few gradients along one coordinate.

Column i is the derivative of g along e_i. With the divided differences D(t), t a node in units of the step h,

    symmetric   D(t) = [g(x + t h e_i) - g(x - t h e_i)] / 2th = H e_i + c_2 (t h)^2 + c_4 (t h)^4 + ..,
    one-sided   D(t) = [g(x + t h e_i) - g(x)] / th            = H e_i + c_1 (t h) + c_2 (t h)^2 + ..,

the column is the Lagrange extrapolation of D to t = 0: in t^2 on the nodes 1, 2, 4, 8, in t on the nodes 1 .. m.
Order m costs m gradients a column, beside g(x).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Displaced, Rows, Search
from hessfast.values.stencils import stencil

Array = NDArray[np.float64]
Axes = NDArray[np.int32]

_BLOCK_BYTES = 1 << 18  # gradients kept at a time while columns are differenced,
_BLOCK_COLUMNS = 16  # or those of so many columns: enough for all workers


class Gradient:
    """What is asked of g around x, over the coordinates `axes` alone: all that is seen here has their length m.

    Parameters
    ----------
    x : ndarray, shape (n,)
    axes : ndarray of int32, shape (m,)
    """

    def __init__(self, x: Array, axes: Axes) -> None:
        self._at = x
        self._axes = axes
        self._whole = axes.size == x.size
        self.x = x[axes]
        self.size = axes.size

    def along(self, which: NDArray[np.intp], value: Array) -> Search[Array]:
        """Ask for g at x with coordinate which[p] put at value[p]: (p, m)."""
        index = np.full((which.size, 2), -1, dtype=np.int32)
        index[:, 0] = self._axes[which]
        displaced = np.zeros((which.size, 2))
        displaced[:, 0] = value
        return self._own((yield Displaced(index, displaced)))

    def dense(self, X: Array) -> Search[Array]:
        """Ask for g at the rows of X (p, m), the other coordinates of x as they are."""
        return self._own((yield Rows(self._full(X))))

    def probe(self, X: Array) -> Search[Array]:
        """Ask as `dense` does, out of curiosity: what g raises there counts as nan."""
        return self._own((yield Rows(self._full(X), curious=True)))

    def _full(self, X: Array) -> Array:
        if self._whole:
            return X
        full = np.tile(self._at, (len(X), 1))
        full[:, self._axes] = X
        return full

    def _own(self, g: Array) -> Array:
        return g if self._whole else g[:, self._axes]


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """Nodes and weights of one order.

    Attributes
    ----------
    order : int
        Power of h in the truncation error; also the gradients that a column costs.
    symmetric : bool
        Whether each node t stands for the two points +t and -t.
    nodes, weights : ndarray, shape (levels,)
        t of each divided difference, and its weight.
    noise : float
        Standard deviation of a column in units of (noise of g) / h.
    """

    order: int
    symmetric: bool
    nodes: Array
    weights: Array
    noise: float

    @property
    def shorter(self) -> Family:
        """The family without the outermost node."""
        return family(self.order - (2 if self.symmetric else 1), self.symmetric)


@cache
def family(order: int, symmetric: bool) -> Family:
    """Return the stencil of one order; order 1 has one node on one side."""
    if order == 1:
        return Family(1, False, np.ones(1), np.ones(1), float(np.sqrt(2.0)))
    if symmetric:
        found = stencil(order)
        nodes = np.array(found.axis_nodes[::2], dtype=np.float64)
    else:
        found = stencil(order - 1, one_sided=True)  # its gradient rule has one node more than its order
        nodes = np.array(found.axis_nodes, dtype=np.float64)
    w: Array = found.gradient_weights / nodes
    # g(x) is common to all one-sided differences; (g+ - g-)/2t has the noise of g over sqrt(2) t.
    noise = np.sqrt(w @ w / 2) if symmetric else np.sqrt(w @ w + w.sum() ** 2)
    return Family(order, symmetric, nodes, found.gradient_weights, float(noise))


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """Divided differences of some coordinates.

    Attributes
    ----------
    D : list of ndarray, shape (coordinates, m)
        One for each node.
    bend : ndarray, shape (coordinates, m)
        Half the difference of the one-sided differences at +h and -h, |c_1 h|; NaN for a one-sided stencil.
    """

    D: list[Array]
    bend: Array


def differences(
    gradient: Gradient, which: NDArray[np.intp], step: Array, nodes: Family, g0: Array
) -> Search[Differences]:
    """Ask for the nodes of the coordinates `which` with their steps, signed where the stencil is one-sided."""
    x = gradient.x[which]
    signs = (1.0, -1.0) if nodes.symmetric else (1.0,)
    offsets = [t * s for t in nodes.nodes for s in signs]
    value = np.stack([x + t * step for t in offsets], axis=1)
    g = yield from gradient.along(np.repeat(which, len(offsets)), value.ravel())
    g = g.reshape(which.size, len(offsets), -1)
    a = (value - x[:, None])[:, :, None]
    slopes = (g - g0) / a
    if not nodes.symmetric:
        return Differences([slopes[:, k] for k in range(len(offsets))], np.full_like(g[:, 0], np.nan))
    D = [_central(g, slopes, a, k) for k in range(0, len(offsets), 2)]
    return Differences(D, np.abs(slopes[:, 0] - slopes[:, 1]) / 2)


def _central(g: Array, slopes: Array, a: Array, k: int) -> Array:
    """Central difference of the points k and k + 1, for the steps a > 0 > b really taken.

    Where rounding left a != -b the quotient keeps c_1 (a + b), and c_1 = (slope_a - slope_b) / (a - b) is subtracted.
    """
    ahead, behind = a[:, k], a[:, k + 1]
    D: Array = (g[:, k] - g[:, k + 1]) / (ahead - behind)
    uneven = ahead + behind
    if uneven.any():
        D -= uneven * ((slopes[:, k] - slopes[:, k + 1]) / (ahead - behind))
    return D


def extrapolate(D: Sequence[Array], weights: Array) -> Array:
    """Sum the weighted differences in the order of their nodes: a column's bits do not depend on its neighbours."""
    value: Array = weights[0] * D[0]
    for w, d in zip(weights[1:], D[1:], strict=True):
        value = value + w * d
    return value


def blocks(count: int, order: int, size: int) -> Iterator[slice]:
    """Cut `count` columns into runs whose gradients fit the memory meant for them."""
    columns = max(_BLOCK_COLUMNS, _BLOCK_BYTES // (8 * order * size))
    for first in range(0, count, columns):
        yield slice(first, min(first + columns, count))


def jacobian(gradient: Gradient, g0: Array, step: Array, order: int, symmetric: NDArray[np.bool_]) -> Search[Array]:
    """Return the columns for given steps, before they are symmetrised.

    Parameters
    ----------
    gradient : Gradient
    g0 : ndarray, shape (m,)
        g(x).
    step : ndarray, shape (m,)
        Smallest node of each coordinate, signed where the stencil is one-sided.
    order : int
    symmetric : ndarray of bool, shape (m,)
        Which coordinates have nodes on both sides.

    Returns
    -------
    ndarray, shape (m, m)
        Row i is dg/dx_i. Costs order * m gradients.
    """
    G = np.empty((gradient.size, gradient.size))
    for both in (True, False):
        nodes = family(order, both)
        chosen = np.flatnonzero(symmetric == both)
        for run in blocks(chosen.size, order, gradient.size):
            which = chosen[run]
            D = (yield from differences(gradient, which, step[which], nodes, g0)).D
            G[which] = extrapolate(D, nodes.weights)
            del D
    return G
