"""Products Hv from values of f: mixed differences of one direction with every coordinate.

With ψ_i(t) = f(x + t h v + t h_i e_i) - f(x + t h v) - f(x + t h_i e_i) + f(x), the mixed part of f in the box of v and
the i-th coordinate, (Hv)_i = Σ_k w_k ψ_i(t_k) / (t_k h t_k h_i) with the nodes and weights of a pair of coordinates:
m evaluations a coordinate at order m. The coordinates' own steps and values are found once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hessfast.balance import first_look
from hessfast.differences import chosen_steps, value_at
from hessfast.directional import ValueCurvatures
from hessfast.execution import Team
from hessfast.neighbourhood import Neighbourhood
from hessfast.stencils import stencil
from hessfast.steps import start_search
from hessfast.vectors import Vector

Floats = NDArray[np.float64]


class CrossProducts:
    """The Hessian of f at one x, by its products.

    Parameters
    ----------
    bind : callable
        Gives the Team that evaluates f around a point.
    x : ndarray, shape (n,)
    order : {2, 4, 6, 8}
    """

    def __init__(self, bind: Callable[[Floats], Team], x: Vector, order: int) -> None:
        self._bind = bind
        self._x = np.array(x, dtype=np.float64)
        self._stencil = stencil(order)
        self._team = bind(self._x)
        self._others = 0
        self._f0 = value_at(self._team)
        coordinates, infinite = np.arange(self._x.size, dtype=np.int32), np.full(self._x.size, np.inf)
        search = start_search(self._team, coordinates, self._f0, -infinite, infinite, None)
        search.run(order)
        self._noise = search.noise.level
        # Lengths alone count: the stencils are symmetric.
        self._h = np.abs(chosen_steps(search.axes)[0])
        self._nodes, self._at_nodes = self._along_axes()

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

    def product(self, v: Vector) -> Floats:
        """Return Hv."""
        around = Neighbourhood(self._team.evaluator, self._x)
        unit = around.unit(v)
        if unit == 0.0:
            return np.zeros(v.size)
        h = self._line_step(around, v, unit)
        product = np.zeros(self._x.size)
        for k, t in enumerate(self._stencil.pair_nodes):
            base = self._x + (t * h) * v
            team = self._bind(base)
            there = value_at(team)
            # Both ends of an edge along e_i take the same step, each from its own rounded coordinate.
            step = self._nodes[k] - self._x
            beside = self._displaced(team, base + step)
            mixed = (beside - there) - (self._at_nodes[k] - self._f0)
            product += self._stencil.pair_weights[k] * mixed / (t * h * step)
            self._others += team.nfev
        return product

    def _line_step(self, around: Neighbourhood, v: Vector, unit: float) -> float:
        differences = ValueCurvatures(around, v, unit, self._f0, self._noise)
        look, balance = first_look(differences)
        return differences.step(look.wide if balance is None else balance.level(self._stencil.order))
