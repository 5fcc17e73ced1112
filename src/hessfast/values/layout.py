"""Where the points lie: steps, sides and the order of the axes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hessfast.arguments import Box
from hessfast.problem import Problem
from hessfast.resolution import row_blocks
from hessfast.values.ladder import Axis
from hessfast.values.plan import Plan
from hessfast.values.stencils import stencil

Array = NDArray[np.float64]

Coordinates = NDArray[np.int32]

BLOCK = 1 << 18
"""Entries of a matrix worked on at once."""

FARTHEST = 16.0
"""More than the outermost node of any one-sided stencil."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Axes ordered symmetric first, so that pairs of two such form the leading triangle and take the symmetric stencil.

    All other pairs come after them and take the one-sided stencil.

    Attributes
    ----------
    rank : ndarray of int, shape (m,)
        Number of the axis at each rank.
    symmetric : int
        How many axes are symmetric.
    inner, edge : Plan or None
        Symmetric stencil on the symmetric axes; one-sided stencil on all of them.
    """

    rank: NDArray[np.intp]
    symmetric: int
    inner: Plan | None
    edge: Plan | None

    @classmethod
    def make(
        cls, x: Array, coordinates: Coordinates, axes: list[Axis], step: Array, one_sided: NDArray[np.bool_], order: int
    ) -> Layout:
        """Lay the stencils; in one-sided pairs a symmetric axis goes to the side that has room, else by half its step.

        A symmetric stencil of reach r has room for nodes up to m/2 ≤ r on either side, one-sided ones go up to m.
        """
        rank = one_sided.argsort(kind="stable")
        symmetric = step.size - int(np.count_nonzero(one_sided))
        coordinates = coordinates[rank]
        inner = edge = None
        if symmetric:
            inner = Plan.make(x, coordinates[:symmetric], step[rank[:symmetric]], stencil(order))
        if symmetric < step.size:
            inward = step.copy()
            for number in rank[:symmetric]:
                inward[number] = _one_way(axes[number], float(step[number]), order)
            edge = Plan.make(x, coordinates, inward[rank], stencil(order, True))
        return cls(rank, symmetric, inner, edge)

    @classmethod
    def of_axes(
        cls, x: Array, coordinates: Coordinates, step: Array, one_sided: NDArray[np.bool_], order: int
    ) -> Layout:
        """Lay the stencils of the axes alone, none for pairs."""
        rank = one_sided.argsort(kind="stable")
        symmetric = step.size - int(np.count_nonzero(one_sided))
        coordinates = coordinates[rank]
        plans = [
            Plan.make(x, coordinates[group], step[rank[group]], stencil(order, edge)) if rank[group].size else None
            for group, edge in ((slice(0, symmetric), False), (slice(symmetric, None), True))
        ]
        return cls(rank, symmetric, *plans)

    def step(self, edge: bool) -> Array:
        """Return the step of each axis, by its number, in pairs of one kind."""
        plan = self.edge if edge else self.inner
        steps = np.full(self.rank.size, np.nan)
        if plan is not None:
            steps[self.rank[: plan.step.size]] = plan.step
        return steps

    def unrank(self, matrix: Array) -> None:
        """Bring a matrix of ranked axes, in place, into the order of their numbers."""
        if self.edge is None or self.inner is None:
            return
        place = np.argsort(self.rank)
        for rows in row_blocks(len(matrix), BLOCK):
            matrix[rows] = matrix[rows].take(place, axis=1)
        for cycle in _cycles(place.tolist()):
            first = matrix[cycle[0]].copy()
            for row, source in pairwise(cycle):
                matrix[row] = matrix[source]
            matrix[cycle[-1]] = first


def _cycles(place: list[int]) -> Iterator[list[int]]:
    """Cut a permutation, in which row r comes from place[r], into its cycles of more than one row."""
    met = [False] * len(place)
    for start in range(len(place)):
        cycle = []
        row = start
        while not met[row]:
            met[row] = True
            cycle.append(row)
            row = place[row]
        if len(cycle) > 1:
            yield cycle


def _one_way(axis: Axis, h: float, order: int) -> float:
    for step in (h, -h, 0.5 * h):
        if axis.inside(order * step):
            return step
    return -0.5 * h


def given_one_sided(problem: Problem, step: Array, order: int, within: Box) -> NDArray[np.bool_]:
    """Which given steps make a one-sided stencil: negative ones, and those whose symmetric stencil leaves the box.

    Raises
    ------
    ValueError
        The one-sided stencil leaves it too.
    """
    nodes = stencil(order).axis_nodes, stencil(order, True).axis_nodes
    return one_sided_steps(problem, step, nodes, within)


def one_sided_steps(
    problem: Problem, step: Array, nodes: tuple[tuple[int, ...], tuple[int, ...]], within: Box
) -> NDArray[np.bool_]:
    """Which given steps make a one-sided stencil: negative ones, and those whose symmetric stencil leaves the box.

    `nodes` are those of the symmetric stencil and of the one-sided one; the same where there is no symmetric one.

    Raises
    ------
    ValueError
        The one-sided stencil leaves it too.
    """
    both, one = nodes
    one_sided: NDArray[np.bool_] = step < 0.0
    if both == one:
        one_sided[:] = True
    if within.is_everything:
        return one_sided
    x, low, high = (array[problem.axes] for array in (problem.x, within.lower, within.upper))

    def leaves(nodes: tuple[int, ...]) -> NDArray[np.bool_]:
        with np.errstate(over="ignore"):  # refused by name later
            points = x[:, None] + np.multiply.outer(step, np.array(nodes, dtype=np.float64))
        return np.asarray(
            ((points < low[:, None]) | (points > high[:, None])).any(axis=1) & np.isfinite(points).all(axis=1)
        )

    one_sided |= leaves(both)
    out = one_sided & leaves(one)
    if out.any():
        i = int(np.argmax(out))
        raise ValueError(f"rel_step, abs_step: {step[i]} leaves the bounds at x0[{problem.axes[i]}] = {x[i]}")
    return one_sided


def chosen_steps(axes: list[Axis]) -> tuple[Array, NDArray[np.bool_]]:
    """Return the steps found, and which of them are one-sided; an axis without a usable rung keeps a default.

    That is 2^-20 of its unit, or what fits into the bounds.
    """
    step = np.empty(len(axes))
    one_sided = np.zeros(len(axes), dtype=bool)
    for number, axis in enumerate(axes):
        ladder = axis.ladder
        rung = None if ladder is None else ladder.best()
        if ladder is None or rung is None:
            side = axis.inward()
            room = axis.upper - axis.x if side > 0 else axis.x - axis.lower
            step[number] = side * min(axis.unit * 2.0**-20, room / FARTHEST)
            one_sided[number] = True
            continue
        step[number] = rung.step
        one_sided[number] = ladder.side != 0
    return step, one_sided
