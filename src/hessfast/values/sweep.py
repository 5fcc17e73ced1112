"""The Hessian from values of f: axis phase, sweep over pairs, refinement, error bars, a look for roughness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hessfast.arguments import Box
from hessfast.calls import _core
from hessfast.calls.lanes import make_evaluator
from hessfast.calls.team import Team
from hessfast.problem import Problem
from hessfast.resolution import row_blocks
from hessfast.results import EvaluationCounts
from hessfast.values.bars import (
    AXIS_FACTORS,
    FACTORS,
    FAINT,
    POOR,
    axis_bars,
    bar_parts,
    blur,
    natural_roots,
    noise_fields,
    pair_formula,
    pair_noise,
    unseen,
)
from hessfast.values.ladder import Axis, values_along
from hessfast.values.noise import ROUNDING, NoiseModel
from hessfast.values.plan import Plan
from hessfast.values.plateaus import along_axes, direction_inside, roughness
from hessfast.values.refinement import Pairs, refine, shows
from hessfast.values.search import StepSearch, first_rung, make_axes
from hessfast.values.stencils import stencil

Array = NDArray[np.float64]
Coordinates = NDArray[np.int32]

_NOTHING = np.empty((0, 0))

BLOCK = 1 << 18
"""Entries of a matrix worked on at once."""

FARTHEST = 16.0
"""More than the outermost node of any one-sided stencil."""

VAGUE = 0.1
"""Part of the curvature of long steps below which short ones see nothing of it."""

PAIRS = BLOCK // 16
"""Pairs refined at once: each takes many numbers until it is done."""

DRIFT = 6.0
"""Noise levels by which f(x) must change during a run to be called a drift, or chance."""

SINCE = 0.1
"""Part of that change by which it changes from one call to the next, where it is chance."""

REPEATED = 8
"""Differences that are repeated at least where f is random, to learn how far they scatter."""

SCATTER = 2.0
"""Standard deviations, as repetition shows them, in the error bar of a mean of few."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where the points of all pairs lie when some axes are one-sided.

    The axes are ranked, symmetric ones first: in the triangle of ranked pairs those of two symmetric axes then come
    first, and all others, one-sided pairs, after them.

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


@dataclass(slots=True)
class Differences:
    """One Hessian from values of f.

    Attributes
    ----------
    team : Team
    axes : list of Axis
        With the values of f that are known along them; empty where none are and no two stencils share any.
    order : int
    noise : NoiseModel
    step : ndarray, shape (m,)
    one_sided : ndarray of bool, shape (m,)
    hess, truncation, condition : ndarray, shape (m, m)
        The latter two are empty where no error bars are wanted.
    refined : int
        Pairs with smaller steps than their axes.
    swept : dict
        Values at the axis nodes of each plan; nan outside the box.
    """

    team: Team
    axes: list[Axis]
    order: int
    noise: NoiseModel
    step: Array
    one_sided: NDArray[np.bool_]
    hess: Array
    truncation: Array
    condition: Array
    refined: int = 0
    swept: dict[Plan, Array] = field(default_factory=dict)

    @classmethod
    def along(
        cls, team: Team, axes: list[Axis], order: int, noise: NoiseModel, step: Array, one_sided: NDArray[np.bool_]
    ) -> Differences:
        """Return one that looks along the axes alone."""
        return cls(team, axes, order, noise, step, one_sided, _NOTHING, _NOTHING, _NOTHING)

    def along_axes(self, layout: Layout) -> tuple[Array, Array]:
        """Evaluate what is missing at the axis nodes; return first and second derivatives along the axes."""
        self._sweep_axes(layout)
        ranked = np.empty((2, self.step.size))
        for plan, first, last in (
            (layout.inner, 0, layout.symmetric),
            (layout.edge, layout.symmetric, self.step.size),
        ):
            if plan is not None and last > first:
                values = self.swept[plan]
                rows = slice(len(values) - (last - first), None)  # an edge plan may hold the symmetric axes too
                _core.assemble_axes(
                    plan.stencil.one_sided,
                    plan.stencil.gradient_weights,
                    plan.stencil.diagonal_weights,
                    self.noise.f0,
                    values[rows],
                    plan.steps_taken[rows],
                    *ranked[:, first:last],
                )
        jac, diagonal = np.empty(self.step.size), np.empty(self.step.size)
        jac[layout.rank], diagonal[layout.rank] = ranked
        return jac, diagonal

    def _sweep_axes(self, layout: Layout) -> None:
        plans = [plan for plan in (layout.inner, layout.edge) if plan is not None]
        if not self.axes:
            self.swept = {plan: plan.axis_values(self.team) for plan in plans}
            return
        by_coordinate = {axis.index: axis for axis in self.axes}
        for plan in plans:
            movers = [by_coordinate[coordinate] for coordinate in plan.axes.tolist()]
            self.swept[plan] = values_along(self.team, movers, np.multiply.outer(plan.step, plan.stencil.t))

    def sweep(self, layout: Layout, rate: Array | None) -> None:
        """Evaluate all pairs, in ranked order, and bring the matrices back into the order of the axes."""
        inside = layout.symmetric * (layout.symmetric - 1) // 2
        for plan, first, last in (
            (layout.inner, 0, inside),
            (layout.edge, inside, self.step.size * (self.step.size - 1) // 2),
        ):
            if plan is not None and last > first:
                self._sweep_plan(plan, None if rate is None else rate[layout.rank], first, last)
        for name in ("hess", "truncation", "condition"):
            matrix = getattr(self, name)
            if matrix.size:
                _core.mirror_lower(matrix)
                layout.unrank(matrix)

    def _sweep_plan(self, plan: Plan, rate: Array | None, first: int, last: int) -> None:
        m = len(plan.stencil.pair_nodes)
        values = np.ascontiguousarray(self.swept[plan][:, :m])
        inverse = 1.0 / plan.steps_taken[:, :m]
        weights, f0 = plan.stencil.pair_weights, self.noise.f0
        formula, noise = pair_formula(plan.stencil), noise_fields(self.noise)

        def write(start: int, stop: int, found: Array) -> None:
            if rate is None:
                _core.assemble_pairs(weights, f0, values, inverse, start, stop, found, self.hess)
            else:
                formula.assemble(
                    noise, values, inverse, rate, start, stop, found, self.hess, self.truncation, self.condition
                )

        plan.each_tile(self.team, write, first, last)

    def blur(self, layout: Layout, diagonal: Array) -> None:
        """Let condition errors hold what f cannot know for the rounding of its coordinates, where that may show."""
        x, step, factor = self._x(), self.step, pair_noise(stencil(self.order, layout.edge is not None))
        if not np.any(ROUNDING * np.abs(x * diagonal * step) > FAINT * self.noise.level):
            return
        every = np.arange(step.size)
        for rows in row_blocks(step.size, BLOCK):
            blurred = factor * blur(x, diagonal, step, self.noise.f0, every[rows, None], every[None, :])
            np.fmax(self.condition[rows], blurred, out=self.condition[rows])

    def _x(self) -> Array:
        return self.team.x[[axis.index for axis in self.axes]]

    def widen(self) -> None:
        """Turn the estimated error parts into those of error bars."""
        for rows in row_blocks(self.step.size, BLOCK):
            self.truncation[rows], self.condition[rows] = bar_parts(
                self.hess[rows], self.truncation[rows], self.condition[rows], FACTORS[self.order]
            )

    def cover_unseen(self, root: Array, rate: Array) -> None:
        """Let bars cover the truncation that pairs of a low order may not show."""
        for rows in row_blocks(self.step.size, BLOCK):
            hidden = unseen(self.hess, rows, root, rate, self.order)
            np.fmax(self.truncation[rows], hidden, out=self.truncation[rows])

    def repeat(self, search: StepSearch, jac: Array) -> Array:
        """Difference a random f again and take the mean; return how far the gradient scatters.

        The bars are to hold what repetition shows, and no less than the noise leaves at steps of half the sizes: over
        longer ones the curvature itself is random, which looks like nothing.
        """
        m = self.step.size
        lower, upper = np.full(self.team.n, -np.inf), np.full(self.team.n, np.inf)
        lower[search.coordinates] = [axis.lower for axis in self.axes]
        upper[search.coordinates] = [axis.upper for axis in self.axes]
        box = Box(lower, upper, False)

        def once() -> tuple[Array, Array]:
            f0 = float(self.team.dense(self.team.x[None, :])[0])
            steps, sides = self.step.copy(), self.one_sided.copy()
            found = with_steps(self.team, search.coordinates, box, f0, self.order, steps, sides)
            return found.hess, found.jac

        with np.errstate(all="ignore"):
            (mean, deviation), (slope, slopes) = repeated((self.hess, jac), once, m)
            pooled = np.sqrt(np.nanmean((SCATTER * deviation / self.condition) ** 2))
            longest = 0.5 * search.sizes
            least = np.sqrt(6.0) * self.noise.level / np.multiply.outer(longest, longest)
            widened = np.fmax(self.condition * max(1.0, float(pooled)), SCATTER * deviation)
            self.condition[...] = np.fmax(widened, SCATTER * least)
            self.hess[...] = mean
            jac[...] = slope
            return SCATTER * slopes

    def roughness(self, search: StepSearch) -> float:
        """Look at steps of about the coordinates' own sizes; return the height of what shows there as roughness."""
        start = first_rung(self.noise, self.order) + (1 if self.order == 2 else 0)  # short steps see long ripples less
        v = direction_inside(self.axes, start)
        if not v.any():
            return 0.0
        size = np.abs(v)
        with np.errstate(all="ignore"):
            bar = float(size @ self.truncation @ size + size @ self.condition @ size)
            ask = along_axes(self.team, search.coordinates, v)
            seen = roughness(ask, float(v @ self.hess @ v), bar, self.noise)
            return 0.0 if seen is None else seen.height

    def pairs(
        self, layout: Layout, i: NDArray[np.intp], j: NDArray[np.intp], edge: bool, diagonal: Array, rate: Array
    ) -> Pairs:
        """Return pairs of axes, all of one kind, with the steps that the sweep gives them."""
        step = layout.step(edge)
        return Pairs(i, j, step[i], step[j], rate[i] + rate[j], blur(self._x(), diagonal, step, self.noise.f0, i, j))

    def refine(self, layout: Layout, diagonal: Array, rate: Array) -> None:
        """Give smaller steps to the pairs whose truncation shows."""
        for rows in row_blocks(self.step.size, BLOCK):
            i, j = np.nonzero(shows(self.hess[rows], self.truncation[rows], self.condition[rows]))
            i += rows.start
            i, j = i[i > j], j[i > j]
            at_edge = self.one_sided[i] | self.one_sided[j]
            for plan, group in ((layout.inner, ~at_edge), (layout.edge, at_edge)):
                if plan is not None and group.any():
                    self._refine_pairs(layout, plan, i[group], j[group], diagonal, rate)

    def _refine_pairs(
        self, layout: Layout, plan: Plan, i: NDArray[np.intp], j: NDArray[np.intp], diagonal: Array, rate: Array
    ) -> None:
        matrices = self.hess, self.truncation, self.condition
        for first in range(0, i.size, PAIRS):
            here = i[first : first + PAIRS], j[first : first + PAIRS]
            parts = tuple(matrix[here] for matrix in matrices)
            pairs = self.pairs(layout, *here, edge=plan is layout.edge, diagonal=diagonal, rate=rate)
            improved = refine(self.team, self.axes, self.noise, plan.stencil, pairs, *parts)
            for matrix, part in zip(matrices, parts, strict=True):
                matrix[here] = part
                matrix[here[::-1]] = part
            self.refined += int(np.count_nonzero(improved))


def repeated(
    first: tuple[Array, Array], once: Callable[[], tuple[Array, Array]], count: int
) -> list[tuple[Array, Array]]:
    """Return mean and standard deviation of two arrays that are drawn again until they hold REPEATED numbers."""
    draws = [first, *(once() for _ in range(max(1, -(-REPEATED // count))))]
    return [(np.mean(array, axis=0), np.std(array, axis=0, ddof=1)) for array in zip(*draws, strict=True)]


class Found(NamedTuple):
    """What differences of f say about its Hessian; the error parts are None where steps were given.

    `random`, `drifted`, `rough`: what the search saw of f itself, as in `HessianStatus`. `sizes`: the natural sizes of
    the coordinates that were differentiated, where the search knows better than |x_i|.
    """

    jac: Array
    hess: Array
    step: Array
    one_sided: NDArray[np.bool_]
    order: int
    noise: float
    evaluations: EvaluationCounts | None = None
    jac_error: Array | None = None
    truncation_error: Array | None = None
    condition_error: Array | None = None
    refined: int = 0
    drifted: bool = False
    random: bool = False
    rough: bool = False
    sizes: Array | None = None


def with_steps(
    team: Team, coordinates: Coordinates, within: Box, f0: float, order: int, step: Array, one_sided: NDArray[np.bool_]
) -> Found:
    """Difference f with given steps: no probing, no refinement, no error bars."""
    m = step.size
    noise = NoiseModel(f0, 0.0, 0.0)
    both_kinds = 0 < np.count_nonzero(one_sided) < m
    axes = make_axes(team, coordinates, within.lower, within.upper) if both_kinds else []
    layout = Layout.make(team.x, coordinates, axes, step, one_sided, order)
    work = Differences(team, axes, order, noise, step, one_sided, np.zeros((m, m)), _NOTHING, _NOTHING)
    with np.errstate(all="ignore"):
        jac, diagonal = work.along_axes(layout)
        work.sweep(layout, None)
    np.fill_diagonal(work.hess, diagonal)
    return Found(jac, work.hess, step, one_sided, order, np.nan)


def along_given(
    team: Team, coordinates: Coordinates, f0: float, order: int, step: Array, one_sided: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Return first and second derivatives along the axes with given steps."""
    work = Differences.along(team, [], order, NoiseModel(f0, 0.0, 0.0), step, one_sided)
    with np.errstate(all="ignore"):
        return work.along_axes(Layout.of_axes(team.x, coordinates, step, one_sided, order))


def with_search(search: StepSearch, order: int) -> Found:
    """Find the steps, difference f, refine, and bound the errors."""
    team, axes = search.team, search.axes
    search.run(order)
    m = len(axes)
    step, one_sided = chosen_steps(axes)
    noise = search.noise
    layout = Layout.make(team.x, search.coordinates, axes, step, one_sided, order)
    matrices = np.zeros((m, m)), np.zeros((m, m)), np.zeros((m, m))  # each goes its own way with the result
    work = Differences(team, axes, order, noise, step, one_sided, *matrices)
    bars = axis_bars([axis.ladder for axis in axes])
    with np.errstate(all="ignore"):
        jac, diagonal = work.along_axes(layout)
        counts = [team.nfev]
        work.sweep(layout, bars.rate)
        counts.append(team.nfev)
        work.blur(layout, diagonal)
        work.refine(layout, diagonal, bars.rate)
        counts.append(team.nfev)
    work.widen()
    if order <= POOR:
        root = natural_roots(diagonal, bars.truncation + bars.condition, search.sizes)
        work.cover_unseen(root, bars.possible_rate)
    on_diagonal = bar_parts(diagonal, bars.truncation, bars.condition, AXIS_FACTORS)
    for matrix, part in ((work.hess, diagonal), (work.truncation, on_diagonal[0]), (work.condition, on_diagonal[1])):
        np.fill_diagonal(matrix, part)
    jac_parts = bar_parts(jac, bars.slope_truncation, bars.slope_condition, AXIS_FACTORS)
    if search.random:
        jac_scatter = work.repeat(search, jac)
        jac_parts = jac_parts[0], np.fmax(jac_parts[1], jac_scatter)
    rough = 0.0 if search.noise_given or search.random else work.roughness(search)
    counts.append(team.nfev)
    is_random, has_drifted = asked_again(team, noise)
    evaluations = EvaluationCounts(
        origin=1 + team.nfev - counts[3] - (1 if search.begun else 0),
        noise=search.noise_nfev,
        axes=counts[0] - search.noise_nfev - 1 - search.begun,
        pairs=counts[1] - counts[0],
        refinement=counts[2] - counts[1],
        calibration=counts[3] - counts[2],
    )
    found = Found(
        jac,
        work.hess,
        step,
        one_sided,
        order,
        noise.level,
        evaluations,
        jac_parts[0] + jac_parts[1],
        work.truncation,
        work.condition,
        work.refined,
        has_drifted,
        is_random,
        sizes=search.sizes,
    )
    return found if rough == 0.0 else smoothed(found, with_search(search.again(rough), order))


def smoothed(short: Found, long: Found) -> Found:
    """Let bars cover what the search in the noise of f's roughness found.

    Where that contradicts short steps nobody can know which is meant. Short steps that see nothing of what long ones
    do, as in the cell of a table, are those of no derivative: then the long ones have the value.
    """
    assert short.evaluations is not None
    assert long.evaluations is not None
    assert short.truncation_error is not None
    assert short.condition_error is not None
    assert long.truncation_error is not None
    assert long.condition_error is not None
    counts = EvaluationCounts(*(a + b for a, b in zip(short.evaluations, long.evaluations, strict=True)))
    bar = long.truncation_error + long.condition_error
    with np.errstate(all="ignore"):
        between = np.abs(short.hess - long.hess)
        contradicts = not (between <= short.truncation_error + short.condition_error + bar).all()
        size = np.abs(np.diag(long.hess)).max()
        nothing = bool(np.abs(np.diag(short.hess)).max() <= VAGUE * size)
    chosen = long if nothing else short
    return chosen._replace(
        evaluations=counts,
        drifted=short.drifted or long.drifted,
        rough=contradicts,
        truncation_error=long.truncation_error + between,
        condition_error=long.condition_error,
    )


def value_at(team: Team) -> float:
    """Return f(x0), the first evaluation of every run.

    Raises
    ------
    ValueError
        f(x0) is not finite: there is nothing to difference.
    """
    f0 = float(team.dense(team.x[None, :])[0])
    if not np.isfinite(f0):
        raise ValueError(f"fun: is {f0} at x0; it must be finite there") from _walled(team)
    return f0


def _walled(team: Team) -> BaseException | None:
    """Return the exception behind the wall at x0, None where there is none: what f says there is worth another call."""
    at = team.evaluator
    try:
        make_evaluator(at.function, at.x, gradient=at.gradient).dense(at.x[None, :])
    except at.wall as error:
        return error
    return None


def asked_again(team: Team, noise: NoiseModel) -> tuple[bool, bool]:
    """Evaluate f(x) once more; return whether f is random, or has drifted, by more than its noise.

    Where it has changed it is asked a third time: what drifts has hardly gone on since, what is random has.
    """
    again = float(team.dense(team.x[None, :])[0])
    apart = abs(again - noise.f0)
    if apart <= DRIFT * noise.level:
        return False, False
    since = abs(float(team.dense(team.x[None, :])[0]) - again)
    is_random = since > SINCE * apart
    return is_random, not is_random


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
