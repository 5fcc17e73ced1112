"""Products Hv from values of f: mixed differences of one direction with every coordinate.

With ψ_i(t) = f(x + t h v + t h_i e_i) - f(x + t h v) - f(x + t h_i e_i) + f(x), the mixed part of f in the box of v and
the i-th coordinate, (Hv)_i = Σ_k w_k ψ_i(t_k) / (t_k h t_k h_i) with the nodes and weights of a pair of coordinates:
m evaluations a coordinate at order m. The coordinates' own steps and values are found once. vᵀHv, sought along the line
with its error bar, vouches for the product: vᵀ(Hv) has to agree with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hessfast.algebra import vectors
from hessfast.algebra.vectors import Vector
from hessfast.arguments import Box
from hessfast.calls.points import Nodes, Purpose, Rows, Search
from hessfast.lines import Lines
from hessfast.scale import EPS, TINY
from hessfast.values.axes import StepSearch
from hessfast.values.layout import chosen_steps
from hessfast.values.line import Line, curvature_along
from hessfast.values.search import run, start_search
from hessfast.values.stencils import stencil

Floats = NDArray[np.float64]

_CONDITION_BAR, _TRUNCATION_BAR = 6.0, 5.0
"""Factors of the two parts in an error bar."""

_FAR = 0.01
"""Share of the product by which two orders differ above which its steps are beyond the natural length of f, though the
higher order may show none of it: where f is a polynomial of a low degree along each coordinate."""

_SEEN = 10.0
"""Condition errors above which that difference is not noise."""

_SHORTENED = 3
"""Times that all steps are then made shorter, at most."""

_SHORTER = 2
"""Rungs below that of vᵀHv for the step along v: a box has truncation that the line has not, and no rung beside it."""

_LONGEST = -2
"""Level of the longest step along v: its nodes lie within half the natural unit, whether f bends along v or not."""


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """A product from values.

    Attributes
    ----------
    value : ndarray, shape (n,)
    error : float
        Bar on the Euclidean norm of its error.
    step : float
        Step along v.
    scale : float
        Norm of a product that is known to come with f: what an error below a thousandth of it means is nothing.
    random : bool
        f answers differently each time.
    """

    value: Floats
    error: float
    step: float
    scale: float
    random: bool


def start_products(
    x: Floats, f0: float, order: int, within: Box, x_scale: Floats | None = None
) -> Search[CrossProducts]:
    """Return the Hessian of f at x, by its products, with the steps of all coordinates.

    Parameters
    ----------
    x : ndarray, shape (n,)
    f0 : float
        f(x).
    order : {2, 4, 6, 8}
    within : Box
        Where f may be evaluated.
    x_scale : ndarray, shape (n,), optional
        Sizes of the coordinates, where the caller knows them.
    """
    coordinates = np.arange(x.size, dtype=np.int32)
    search = yield from start_search(x, coordinates, f0, within.lower, within.upper, None, x_scale)
    yield from run(search, order)
    products = CrossProducts(x, f0, order, within, search)
    yield from products.start()
    return products


class CrossProducts:
    """The Hessian of f at one x, by its products.

    Parameters
    ----------
    x, f0, order, within
        As in `start_products`.
    search : StepSearch
        The steps of the coordinates.
    """

    def __init__(self, x: Floats, f0: float, order: int, within: Box, search: StepSearch) -> None:
        self._x, self._f0, self._within = x, f0, within
        self._stencil = stencil(order)
        self._axes = search.axes
        self._noise = search.noise
        self._lines = Lines(x, gradient=False, x_scale=search.sizes)
        # Lengths alone count: the stencils are symmetric.
        self._h = np.abs(chosen_steps(search.axes)[0])

    def start(self) -> Search[None]:
        """See the nodes of every axis."""
        self._nodes, self._at_nodes = yield from self._along_axes()
        slopes = (self._at_nodes[0] - self._f0) / (self._nodes[0] - self._x)
        rungs = [None if axis.ladder is None else axis.ladder.best() for axis in self._axes]
        bends = np.array([0.0 if rung is None else abs(rung.curvature) for rung in rungs])
        self._roots = np.sqrt(bends)
        self._changes = max(vectors.norm(slopes), float(np.max(bends * self._lines.x_scale)))

    def _along_axes(self) -> Search[tuple[Floats, Floats]]:
        """Return displaced coordinates and values of f at the nodes of every axis, both (m, n)."""
        nodes = np.array([self._x + t * self._h for t in self._stencil.pair_nodes])
        values = []
        for row in nodes:
            values.append((yield from self._displaced(row)))
        return nodes, np.array(values)

    def _displaced(self, row: Floats, base: Floats | None = None) -> Search[Floats]:
        """Return values of f at x, or at another base, with each coordinate in turn at its entry of row."""
        purpose: Purpose = "axes" if base is None else "pairs"
        values = yield Nodes(np.arange(row.size, dtype=np.int32), row[:, None], purpose, base)
        found: Floats = values[:, 0]
        return found

    def product(self, v: Vector) -> Search[Crossed]:
        """Return Hv."""
        unit = yield from self._lines.unit(v)
        if unit == 0.0:
            return Crossed(np.zeros(v.size), 0.0, 0.0, 0.0, False)
        line = Line(self._x, v, unit, *self._lines.reaches(v), *self._lines.room(v))
        along = yield from curvature_along(line, self._f0, self._stencil.order, self._noise, certain=False)
        h = math.ldexp(unit, min(along.rung - _SHORTER, _LONGEST))
        product, lower, noise, h = yield from self._within_reach(v, h)
        size = vectors.norm(product)
        length = vectors.norm(v)
        truncation = self._truncation(product, lower)
        apart = max(0.0, abs(vectors.dot(v, product) - along.value) - along.error) / length * math.sqrt(v.size)
        bar = (
            _CONDITION_BAR * (noise + self._rounding(v, h))
            + _TRUNCATION_BAR * truncation
            + 2.0 * apart
            + 4.0 * EPS * size
        )
        return Crossed(product, bar, h, self._changes / unit, along.random)

    def _within_reach(self, v: Vector, h: float) -> Search[tuple[Floats, Floats, float, float]]:
        """Return what `_mixed` does and the step along v, all steps shortened where two orders are far apart."""
        product, lower, noise = yield from self._mixed(v, h)
        for _ in range(_SHORTENED if self._stencil.order > 2 else 0):
            size, change = vectors.norm(product), vectors.norm(product - lower)
            if not change > max(_FAR * size, _SEEN * noise):
                break
            # Both steps s times as long leave s² of the change, and s^-2 times the noise.
            wanted = max(math.sqrt(_FAR * size / change), (noise / change) ** 0.25)
            shorter = 2.0 ** min(-1, round(math.log2(wanted)))
            h *= shorter
            self._h *= shorter
            self._nodes, self._at_nodes = yield from self._along_axes()
            product, lower, noise = yield from self._mixed(v, h)
        return product, lower, noise, h

    def _truncation(self, product: Floats, lower: Floats) -> float:
        """Return the norm of what the order leaves out.

        Orders m - 2 and m are off by D (h / L)^(m - 2) and D (h / L)^m. Each component has a length L of its own; of
        one that vanishes all of the change is error.
        """
        order = self._stencil.order
        if order == 2:
            return 0.0
        change = np.abs(product - lower)
        share = np.minimum(1.0, change / np.maximum(np.abs(product), TINY))
        return vectors.norm(change * share ** (2.0 / (order - 2)))

    def _rounding(self, v: Vector, h: float) -> float:
        """Return the norm of H (d - h v), d the displacement that is left of h v in x + h v: |H_ij|² <= H_ii H_jj."""
        lost = np.abs(((self._x + h * v) - self._x) - h * v)
        return vectors.norm(self._roots) * float(self._roots @ lost) / h

    def _mixed(self, v: Vector, h: float) -> Search[tuple[Floats, Floats, float]]:
        """Return the product, the same two orders lower (0 at order 2), and the norm of its condition error."""
        product, lower, spread = np.zeros(v.size), np.zeros(v.size), np.zeros(v.size)
        below = self._stencil.order - 2
        lower_weights = stencil(below).pair_weights if below else ()
        largest = abs(self._f0)
        for k, t in enumerate(self._stencil.pair_nodes):
            base = self._x + (t * h) * v
            if (base < self._within.lower).any() or (base > self._within.upper).any():
                product[:] = np.nan
                break
            there = float((yield Rows(base[None, :], "pairs"))[0])
            # Both ends of an edge along e_i take the same step, each from its own rounded coordinate.
            step = self._nodes[k] - self._x
            beside = yield from self._displaced(base + step, base)
            mixed = ((beside - there) - (self._at_nodes[k] - self._f0)) / (t * h * step)
            product += self._stencil.pair_weights[k] * mixed
            if k < len(lower_weights):
                lower += lower_weights[k] * mixed
            spread += (self._stencil.pair_weights[k] / (t * h * step)) ** 2
            largest = max(largest, abs(there), float(np.abs(beside).max()))
        noise = 2.0 * max(self._noise.level, EPS * largest, self._noise.at(largest))
        return product, lower, noise * math.sqrt(float(spread.sum()))
