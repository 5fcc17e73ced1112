"""Products Hv from values of f: mixed differences of one direction with every coordinate.

With ψ_i(t) = f(x + t h v + t h_i e_i) - f(x + t h v) - f(x + t h_i e_i) + f(x), the mixed part of f in the box of v and
the i-th coordinate, (Hv)_i = Σ_k w_k ψ_i(t_k) / (t_k h t_k h_i) with the nodes and weights of a pair of coordinates:
m evaluations a coordinate at order m. The coordinates' own steps and values are found once. vᵀHv, sought along the line
with its error bar, vouches for the product: vᵀ(Hv) has to agree with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hessfast.algebra import vectors
from hessfast.algebra.vectors import Vector
from hessfast.arguments import Box
from hessfast.calls.line import Neighbourhood
from hessfast.calls.run import drive, value_at
from hessfast.calls.team import Team
from hessfast.gradients.balance import first_look, search_from
from hessfast.gradients.line import TINY
from hessfast.scale import EPS
from hessfast.values.layout import chosen_steps
from hessfast.values.line import ValueCurvatures
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

_LONGEST = -2
"""Level of the longest step along v: its nodes lie within half the natural unit, whether f bends along v or not."""

_RANDOM = 6.0
"""Noise levels by which two answers at one point must differ to be called random."""


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


class CrossProducts:
    """The Hessian of f at one x, by its products.

    Parameters
    ----------
    bind : callable
        Gives the Team that evaluates f around a point.
    x : ndarray, shape (n,)
    order : {2, 4, 6, 8}
    within : Box
        Where f may be evaluated.
    x_scale : ndarray, shape (n,), optional
        Sizes of the coordinates, where the caller knows them.
    """

    def __init__(
        self, bind: Callable[[Floats], Team], x: Vector, order: int, within: Box, x_scale: Floats | None
    ) -> None:
        self._bind = bind
        self._x = np.array(x, dtype=np.float64)
        self._stencil = stencil(order)
        self._team = bind(self._x)
        self._others = 0
        self._f0 = value_at(self._team)
        coordinates = np.arange(self._x.size, dtype=np.int32)
        begin = start_search(self._x, coordinates, self._f0, within.lower, within.upper, None, x_scale)
        search = drive(begin, self._team)
        drive(run(search, order), self._team)
        self._noise, self._sizes = search.noise, search.sizes
        # Lengths alone count: the stencils are symmetric.
        self._h = np.abs(chosen_steps(search.axes)[0])
        self._nodes, self._at_nodes = self._along_axes()
        slopes = (self._at_nodes[0] - self._f0) / (self._nodes[0] - self._x)
        rungs = [None if axis.ladder is None else axis.ladder.best() for axis in search.axes]
        bends = np.array([0.0 if rung is None else abs(rung.curvature) for rung in rungs])
        self._roots = np.sqrt(bends)
        self._changes = max(vectors.norm(slopes), float(np.max(bends * self._sizes)))

    @property
    def nfev(self) -> int:
        """Evaluations of f so far."""
        return self._team.nfev + self._others

    def _along_axes(self) -> tuple[Floats, Floats]:
        """Displaced coordinates and values of f at the nodes of every axis, both (m, n)."""
        nodes = np.array([self._x + t * self._h for t in self._stencil.pair_nodes])
        return nodes, np.array([self._displaced(self._team, row) for row in nodes])

    def _displaced(self, team: Team, row: Floats) -> Floats:
        """Values of f with each coordinate in turn at its entry of row."""
        return team.at_nodes(np.arange(row.size, dtype=np.int32), row[:, None])[:, 0]

    def product(self, v: Vector) -> Crossed:
        """Return Hv."""
        around = Neighbourhood(self._team.evaluator, self._x, x_scale=self._sizes)
        unit = around.unit(v)
        if unit == 0.0:
            return Crossed(np.zeros(v.size), 0.0, 0.0, 0.0, False)
        order, q = self._stencil.order, self._stencil.order // 2
        differences = ValueCurvatures(around, v, unit, self._f0, self._noise.level)
        look, balance = first_look(differences)
        along = search_from(differences, order, look, balance)
        random = differences.spread() > _RANDOM * self._noise.level + 4.0 * EPS * abs(self._f0)
        level = look.wide if balance is None else balance.level(order)
        h = differences.step(min(level, along.level + q, _LONGEST))
        product, lower, noise, h = self._within_reach(v, h)
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
        return Crossed(product, bar, h, self._changes / unit, random)

    def _within_reach(self, v: Vector, h: float) -> tuple[Floats, Floats, float, float]:
        """Return what `_mixed` does and the step along v, all steps shortened where two orders are far apart."""
        product, lower, noise = self._mixed(v, h)
        for _ in range(_SHORTENED if self._stencil.order > 2 else 0):
            size, change = vectors.norm(product), vectors.norm(product - lower)
            if not change > max(_FAR * size, _SEEN * noise):
                break
            # Both steps s times as long leave s² of the change, and s^-2 times the noise.
            wanted = max(math.sqrt(_FAR * size / change), (noise / change) ** 0.25)
            shorter = 2.0 ** min(-1, round(math.log2(wanted)))
            h *= shorter
            self._h *= shorter
            self._nodes, self._at_nodes = self._along_axes()
            product, lower, noise = self._mixed(v, h)
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

    def _mixed(self, v: Vector, h: float) -> tuple[Floats, Floats, float]:
        """Return the product, the same two orders lower (0 at order 2), and the norm of its condition error."""
        product, lower, spread = np.zeros(v.size), np.zeros(v.size), np.zeros(v.size)
        below = self._stencil.order - 2
        lower_weights = stencil(below).pair_weights if below else ()
        largest = abs(self._f0)
        for k, t in enumerate(self._stencil.pair_nodes):
            base = self._x + (t * h) * v
            confines = self._team.evaluator.confines
            if confines is not None and not confines.hold_rows(base[None, :])[0]:
                product[:] = np.nan
                break
            team = self._bind(base)
            there = float(team.evaluator.at(base.copy()))
            # Both ends of an edge along e_i take the same step, each from its own rounded coordinate.
            step = self._nodes[k] - self._x
            beside = self._displaced(team, base + step)
            mixed = ((beside - there) - (self._at_nodes[k] - self._f0)) / (t * h * step)
            product += self._stencil.pair_weights[k] * mixed
            if k < len(lower_weights):
                lower += lower_weights[k] * mixed
            spread += (self._stencil.pair_weights[k] / (t * h * step)) ** 2
            largest = max(largest, abs(there), float(np.abs(beside).max()))
            self._others += team.nfev
        noise = 2.0 * max(self._noise.level, EPS * largest, self._noise.at(largest))
        return product, lower, noise * math.sqrt(float(spread.sum()))
