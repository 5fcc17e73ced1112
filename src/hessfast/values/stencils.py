"""Nodes and weights of the difference formulas, derived once in exact rational arithmetic.

For a pair of axes take the mixed part of f along the diagonal of the (h_i, h_j) box,

    psi(t) = f(x + t h_i e_i + t h_j e_j) - f(x + t h_i e_i) - f(x + t h_j e_j) + f(x) = c_2 t^2 + c_3 t^3 + ...,

where c_2 = h_i h_j H_ij. There is no t^0 or t^1 term, so m nodes determine c_2 .. c_{m+1}: order m for m evaluations
a pair. psi(t)/t^2 is a polynomial of degree m - 1 through the nodes; its value at t = 0 is c_2:

    H_ij = sum_k L_k(0) psi(t_k) / (t_k h_i t_k h_j),   L_k the Lagrange polynomials of the nodes.

Two families share this rule: *symmetric* nodes +-1, +-2, +-4, ... (orders 2, 4, 6, 8), and *one-sided* nodes
1, 2, .., m (order 1, and any order at an edge of the domain).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

ORDERS = (1, 2, 4, 6, 8)


def _lagrange_at_zero(nodes: tuple[int, ...]) -> list[Fraction]:
    """L_k(0) for each node."""
    from fractions import Fraction

    weights = []
    for k, t in enumerate(nodes):
        weight = Fraction(1)
        for other, s in enumerate(nodes):
            if other != k:
                weight *= Fraction(-s, t - s)
        weights.append(weight)
    return weights


def _lagrange_slope_at_zero(nodes: tuple[int, ...]) -> list[Fraction]:
    """L_k'(0) for each node: sum over l of (prod over others of -s/(t-s)) / (t_k - t_l)."""
    from fractions import Fraction

    weights = []
    for k, t in enumerate(nodes):
        others = [s for other, s in enumerate(nodes) if other != k]
        slope = Fraction(0)
        for left_out, s in enumerate(others):
            term = Fraction(1, t - s)
            for other, r in enumerate(others):
                if other != left_out:
                    term *= Fraction(-r, t - r)
            slope += term
        weights.append(slope)
    return weights


def _floats(numbers: Sequence[Fraction | int]) -> NDArray[np.float64]:
    array = np.array([float(number) for number in numbers])
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Stencil:
    """The formulas of one order in one family.

    Attributes
    ----------
    order : int
        Order of the error in the step, m.
    one_sided : bool
        Whether all nodes lie on the side to which the step points.
    axis_nodes : tuple of int
        Nodes t of the axis values f(x + t h e_i); the first `len(pair_nodes)` are the pairs' own.
    t : ndarray
        The same as floats.
    pair_nodes : tuple of int
        Nodes of the pair values.
    pair_weights : ndarray, shape (m,)
        L_k(0): multiplies psi(t_k) / (t_k h_i t_k h_j).
    gradient_weights, diagonal_weights : ndarray
        One-sided: multiply the slopes (f(x + t_k h) - f0) / (t_k h) of all axis nodes, the diagonal's also 2/h.
        Symmetric: multiply the central differences of each level (pair of nodes +-t).
    """

    order: int
    one_sided: bool
    axis_nodes: tuple[int, ...]
    t: NDArray[np.float64]
    pair_nodes: tuple[int, ...]
    pair_weights: NDArray[np.float64]
    gradient_weights: NDArray[np.float64]
    diagonal_weights: NDArray[np.float64]

    @property
    def reach(self) -> tuple[int, int]:
        """Return the smallest and the largest node, 0 included."""
        return min(0, *self.axis_nodes), max(self.axis_nodes)


@cache
def stencil(order: int, one_sided: bool = False) -> Stencil:
    """Return the stencil of an order; order 1 exists one-sided only.

    Sources: Ridout 2009 (Am. Stat. 63), eq. 8, is the symmetric pair formula of order 2.
    """
    if order == 1 or one_sided:
        pair_nodes = tuple(range(1, order + 1))
        axis_nodes = tuple(range(1, order + 2))
        gradient = _floats(_lagrange_at_zero(axis_nodes))
        diagonal = _floats(_lagrange_slope_at_zero(axis_nodes))
        weights = _floats(_lagrange_at_zero(pair_nodes))
        return Stencil(order, True, axis_nodes, _floats(axis_nodes), pair_nodes, weights, gradient, diagonal)
    levels = tuple(2**k for k in range(order // 2))
    nodes = tuple(sign * level for level in levels for sign in (1, -1))
    # Central differences are polynomials in t^2: extrapolate through the squared levels.
    richardson = _floats(_lagrange_at_zero(tuple(level * level for level in levels)))
    return Stencil(
        order, False, nodes, _floats(nodes), nodes, _floats(_lagrange_at_zero(nodes)), richardson, richardson
    )
