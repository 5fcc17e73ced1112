"""The Hessian from values of f: axis phase, sweep over pairs, refinement, error bars, a look for roughness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hessfast.arguments import Box
from hessfast.calls.points import Rows, Search, spent_on
from hessfast.estimate import Found
from hessfast.resolution import row_blocks
from hessfast.values import _pairs
from hessfast.values.axes import StepSearch, first_rung, make_axes
from hessfast.values.bars import (
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
from hessfast.values.layout import BLOCK, Array, Coordinates, Layout, chosen_steps
from hessfast.values.noise import ROUNDING, NoiseModel
from hessfast.values.pairs import Pairs
from hessfast.values.plan import Plan
from hessfast.values.plateaus import along_axes, direction_inside, roughness
from hessfast.values.policy import POLICY, Policy
from hessfast.values.refinement import refine, shows
from hessfast.values.search import run
from hessfast.values.stencils import stencil

_NOTHING = np.empty((0, 0))


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


@dataclass(slots=True)
class Differences:
    """One Hessian from values of f.

    Attributes
    ----------
    x : ndarray, shape (n,)
        Where.
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
    policy : Policy
    swept : dict
        Values at the axis nodes of each plan; nan outside the box.
    """

    x: Array
    axes: list[Axis]
    order: int
    noise: NoiseModel
    step: Array
    one_sided: NDArray[np.bool_]
    hess: Array
    truncation: Array
    condition: Array
    policy: Policy = POLICY
    refined: int = 0
    swept: dict[Plan, Array] = field(default_factory=dict)

    @classmethod
    def along(
        cls, x: Array, axes: list[Axis], order: int, noise: NoiseModel, step: Array, one_sided: NDArray[np.bool_]
    ) -> Differences:
        """Return one that looks along the axes alone."""
        return cls(x, axes, order, noise, step, one_sided, _NOTHING, _NOTHING, _NOTHING)

    def along_axes(self, layout: Layout) -> Search[tuple[Array, Array]]:
        """Evaluate what is missing at the axis nodes; return first and second derivatives along the axes."""
        yield from self._sweep_axes(layout)
        ranked = np.empty((2, self.step.size))
        for plan, first, last in (
            (layout.inner, 0, layout.symmetric),
            (layout.edge, layout.symmetric, self.step.size),
        ):
            if plan is not None and last > first:
                values = self.swept[plan]
                rows = slice(len(values) - (last - first), None)  # an edge plan may hold the symmetric axes too
                _pairs.assemble_axes(
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

    def _sweep_axes(self, layout: Layout) -> Search[None]:
        plans = [plan for plan in (layout.inner, layout.edge) if plan is not None]
        if not self.axes:
            for plan in plans:
                self.swept[plan] = yield plan.on_axes
            return
        by_coordinate = {axis.index: axis for axis in self.axes}
        for plan in plans:
            movers = [by_coordinate[coordinate] for coordinate in plan.axes.tolist()]
            self.swept[plan] = yield from values_along(movers, np.multiply.outer(plan.step, plan.stencil.t))

    def sweep(self, layout: Layout, rate: Array | None) -> Search[None]:
        """Evaluate all pairs, in ranked order, and bring the matrices back into the order of the axes."""
        inside = layout.symmetric * (layout.symmetric - 1) // 2
        for plan, first, last in (
            (layout.inner, 0, inside),
            (layout.edge, inside, self.step.size * (self.step.size - 1) // 2),
        ):
            if plan is not None and last > first:
                yield from self._sweep_plan(plan, None if rate is None else rate[layout.rank], first, last)
        for name in ("hess", "truncation", "condition"):
            matrix = getattr(self, name)
            if matrix.size:
                _pairs.mirror_lower(matrix)
                layout.unrank(matrix)

    def _sweep_plan(self, plan: Plan, rate: Array | None, first: int, last: int) -> Search[None]:
        m = len(plan.stencil.pair_nodes)
        values = np.ascontiguousarray(self.swept[plan][:, :m])
        inverse = 1.0 / plan.steps_taken[:, :m]
        weights, f0 = plan.stencil.pair_weights, self.noise.f0
        formula, noise = pair_formula(plan.stencil), noise_fields(self.noise)

        def write(start: int, stop: int, found: Array) -> None:
            if rate is None:
                _pairs.assemble_pairs(weights, f0, values, inverse, start, stop, found, self.hess)
            else:
                formula.assemble(
                    noise, values, inverse, rate, start, stop, found, self.hess, self.truncation, self.condition
                )

        yield plan.of_pairs(first, last, write)

    def blur(self, layout: Layout, diagonal: Array) -> None:
        """Let condition errors hold what f cannot know for the rounding of its coordinates, where that may show."""
        x, step, factor = self._own(), self.step, pair_noise(stencil(self.order, layout.edge is not None))
        if not np.any(ROUNDING * np.abs(x * diagonal * step) > self.policy.faint * self.noise.level):
            return
        every = np.arange(step.size)
        for rows in row_blocks(step.size, BLOCK):
            blurred = factor * blur(x, diagonal, step, self._swamped, every[rows, None], every[None, :])
            np.fmax(self.condition[rows], blurred, out=self.condition[rows])

    @property
    def _swamped(self) -> float:
        """Change of f from which its noise at x says nothing."""
        return self.policy.swamped * abs(self.noise.f0)

    def _own(self) -> Array:
        return self.x[[axis.index for axis in self.axes]]

    def widen(self) -> None:
        """Turn the estimated error parts into those of error bars."""
        factors = self.policy.factors_at(self.order)
        for rows in row_blocks(self.step.size, BLOCK):
            self.truncation[rows], self.condition[rows] = bar_parts(
                self.hess[rows], self.truncation[rows], self.condition[rows], factors, self.policy.rounding_factor
            )

    def cover_unseen(self, root: Array, rate: Array) -> None:
        """Let bars cover the truncation that pairs of a low order may not show."""
        for rows in row_blocks(self.step.size, BLOCK):
            hidden = unseen(self.hess, rows, root, rate, self.order, self.policy.unseen)
            np.fmax(self.truncation[rows], hidden, out=self.truncation[rows])

    def repeat(self, search: StepSearch, jac: Array) -> Search[Array]:
        """Difference a random f again and take the mean; return how far the gradient scatters.

        The bars are to hold what repetition shows, and no less than the noise leaves at steps of half the sizes: over
        longer ones the curvature itself is random, which looks like nothing.
        """
        m = self.step.size
        lower, upper = np.full(self.x.size, -np.inf), np.full(self.x.size, np.inf)
        lower[search.coordinates] = [axis.lower for axis in self.axes]
        upper[search.coordinates] = [axis.upper for axis in self.axes]
        box = Box(lower, upper, False)

        def once() -> Search[tuple[Array, Array]]:
            f0 = yield from once_more(self.x)
            steps, sides = self.step.copy(), self.one_sided.copy()
            found = yield from with_steps(self.x, search.coordinates, box, f0, self.order, steps, sides)
            return found.hess, found.jac

        (mean, deviation), (slope, slopes) = yield from repeated((self.hess, jac), once, m)
        with np.errstate(all="ignore"):
            pooled = np.sqrt(np.nanmean((SCATTER * deviation / self.condition) ** 2))
            longest = 0.5 * search.sizes
            least = np.sqrt(6.0) * self.noise.level / np.multiply.outer(longest, longest)
            widened = np.fmax(self.condition * max(1.0, float(pooled)), SCATTER * deviation)
            self.condition[...] = np.fmax(widened, SCATTER * least)
            self.hess[...] = mean
            jac[...] = slope
            return SCATTER * slopes

    def roughness(self, search: StepSearch) -> Search[float]:
        """Look at steps of about the coordinates' own sizes; return the height of what shows there as roughness."""
        start = first_rung(self.noise, self.order) + (1 if self.order == 2 else 0)  # short steps see long ripples less
        v = direction_inside(self.axes, start)
        if not v.any():
            return 0.0
        size = np.abs(v)
        with np.errstate(all="ignore"):
            bar = float(size @ self.truncation @ size + size @ self.condition @ size)
            curvature = float(v @ self.hess @ v)
        seen = yield from roughness(along_axes(self.x, search.coordinates, v), curvature, bar, self.noise)
        return 0.0 if seen is None else seen.height

    def pairs(
        self, layout: Layout, i: NDArray[np.intp], j: NDArray[np.intp], edge: bool, diagonal: Array, rate: Array
    ) -> Pairs:
        """Return pairs of axes, all of one kind, with the steps that the sweep gives them."""
        step = layout.step(edge)
        return Pairs(i, j, step[i], step[j], rate[i] + rate[j], blur(self._own(), diagonal, step, self._swamped, i, j))

    def refine(self, layout: Layout, diagonal: Array, rate: Array) -> Search[None]:
        """Give smaller steps to the pairs whose truncation shows."""
        for rows in row_blocks(self.step.size, BLOCK):
            i, j = np.nonzero(shows(self.hess[rows], self.truncation[rows], self.condition[rows], self.policy))
            i += rows.start
            i, j = i[i > j], j[i > j]
            at_edge = self.one_sided[i] | self.one_sided[j]
            for plan, group in ((layout.inner, ~at_edge), (layout.edge, at_edge)):
                if plan is not None and group.any():
                    yield from self._refine_pairs(layout, plan, i[group], j[group], diagonal, rate)

    def _refine_pairs(
        self, layout: Layout, plan: Plan, i: NDArray[np.intp], j: NDArray[np.intp], diagonal: Array, rate: Array
    ) -> Search[None]:
        matrices = self.hess, self.truncation, self.condition
        for first in range(0, i.size, PAIRS):
            here = i[first : first + PAIRS], j[first : first + PAIRS]
            parts = tuple(matrix[here] for matrix in matrices)
            pairs = self.pairs(layout, *here, edge=plan is layout.edge, diagonal=diagonal, rate=rate)
            improved = yield from refine(self.axes, self.noise, plan.stencil, self.policy, pairs, *parts)
            for matrix, part in zip(matrices, parts, strict=True):
                matrix[here] = part
                matrix[here[::-1]] = part
            self.refined += int(np.count_nonzero(improved))


def repeated(
    first: tuple[Array, Array], once: Callable[[], Search[tuple[Array, Array]]], count: int
) -> Search[list[tuple[Array, Array]]]:
    """Return mean and standard deviation of two arrays that are drawn again until they hold REPEATED numbers."""
    draws = [first]
    for _ in range(max(1, -(-REPEATED // count))):
        draws.append((yield from once()))
    return [(np.mean(array, axis=0), np.std(array, axis=0, ddof=1)) for array in zip(*draws, strict=True)]


def with_steps(
    x: Array, coordinates: Coordinates, within: Box, f0: float, order: int, step: Array, one_sided: NDArray[np.bool_]
) -> Search[Found]:
    """Difference f with given steps: no probing, no refinement, no error bars."""
    m = step.size
    noise = NoiseModel(f0, 0.0, 0.0)
    both_kinds = 0 < np.count_nonzero(one_sided) < m
    axes = make_axes(x, coordinates, within.lower, within.upper) if both_kinds else []
    layout = Layout.make(x, coordinates, axes, step, one_sided, order)
    work = Differences(x, axes, order, noise, step, one_sided, np.zeros((m, m)), _NOTHING, _NOTHING)
    jac, diagonal = yield from work.along_axes(layout)
    yield from work.sweep(layout, None)
    np.fill_diagonal(work.hess, diagonal)
    return Found(jac, work.hess, step, one_sided, order, np.nan)


def along_given(
    x: Array, coordinates: Coordinates, f0: float, order: int, step: Array, one_sided: NDArray[np.bool_]
) -> Search[tuple[Array, Array]]:
    """Return first and second derivatives along the axes with given steps."""
    work = Differences.along(x, [], order, NoiseModel(f0, 0.0, 0.0), step, one_sided)
    return (yield from work.along_axes(Layout.of_axes(x, coordinates, step, one_sided, order)))


def with_search(search: StepSearch, order: int) -> Search[Found]:
    """Find the steps, difference f, refine, and bound the errors."""
    axes = search.axes
    yield from run(search, order)
    m = len(axes)
    step, one_sided = chosen_steps(axes)
    noise, policy = search.noise, search.policy
    layout = Layout.make(search.x, search.coordinates, axes, step, one_sided, order)
    matrices = np.zeros((m, m)), np.zeros((m, m)), np.zeros((m, m))  # each goes its own way with the result
    work = Differences(search.x, axes, order, noise, step, one_sided, *matrices, policy)
    bars = axis_bars([axis.ladder for axis in axes])
    jac, diagonal = yield from work.along_axes(layout)
    yield from work.sweep(layout, bars.rate)
    with np.errstate(all="ignore"):
        work.blur(layout, diagonal)
    yield from spent_on("refinement", work.refine(layout, diagonal, bars.rate))
    work.widen()
    if order <= policy.poor:
        root = natural_roots(diagonal, bars.truncation + bars.condition, search.sizes, policy.visible)
        work.cover_unseen(root, bars.possible_rate)
    on_axes = policy.axis_factors, policy.rounding_factor
    on_diagonal = bar_parts(diagonal, bars.truncation, bars.condition, *on_axes)
    for matrix, part in ((work.hess, diagonal), (work.truncation, on_diagonal[0]), (work.condition, on_diagonal[1])):
        np.fill_diagonal(matrix, part)
    jac_parts = bar_parts(jac, bars.slope_truncation, bars.slope_condition, *on_axes)
    if search.random:
        jac_scatter = yield from spent_on("calibration", work.repeat(search, jac))
        jac_parts = jac_parts[0], np.fmax(jac_parts[1], jac_scatter)
    rough = 0.0 if search.noise_given or search.random else (yield from work.roughness(search))
    is_random, has_drifted = yield from asked_again(search.x, noise)
    found = Found(
        jac,
        work.hess,
        step,
        one_sided,
        order,
        noise.level,
        None,
        jac_parts[0] + jac_parts[1],
        work.truncation,
        work.condition,
        work.refined,
        has_drifted,
        is_random,
        sizes=search.sizes,
    )
    if rough == 0.0:
        return found
    return smoothed(found, (yield from with_search(search.again(rough), order)))


def smoothed(short: Found, long: Found) -> Found:
    """Let bars cover what the search in the noise of f's roughness found.

    Where that contradicts short steps nobody can know which is meant. Short steps that see nothing of what long ones
    do, as in the cell of a table, are those of no derivative: then the long ones have the value.
    """
    assert short.truncation_error is not None
    assert short.condition_error is not None
    assert long.truncation_error is not None
    assert long.condition_error is not None
    bar = long.truncation_error + long.condition_error
    with np.errstate(all="ignore"):
        between = np.abs(short.hess - long.hess)
        contradicts = not (between <= short.truncation_error + short.condition_error + bar).all()
        size = np.abs(np.diag(long.hess)).max()
        nothing = bool(np.abs(np.diag(short.hess)).max() <= VAGUE * size)
    chosen = long if nothing else short
    return chosen._replace(
        drifted=short.drifted or long.drifted,
        rough=contradicts,
        truncation_error=long.truncation_error + between,
        condition_error=long.condition_error,
    )


def once_more(x: Array) -> Search[float]:
    """Ask for f(x) once more."""
    values = yield Rows(x[None, :], "origin")
    return float(values[0])


def asked_again(x: Array, noise: NoiseModel) -> Search[tuple[bool, bool]]:
    """Ask for f(x) once more; return whether f is random, or has drifted, by more than its noise.

    Where it has changed it is asked a third time: what drifts has hardly gone on since, what is random has.
    """
    again = yield from once_more(x)
    apart = abs(again - noise.f0)
    if apart <= DRIFT * noise.level:
        return False, False
    since = abs((yield from once_more(x)) - again)
    is_random = since > SINCE * apart
    return is_random, not is_random
