"""First and second derivatives along the coordinates: the gradient and the diagonal of the Hessian, in O(n)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessfast.arguments import Box, check_room, checked_order, given_steps, noise_given
from hessfast.arithmetic import quiet
from hessfast.calls.points import Search, spent_on
from hessfast.calls.run import drive, value_at
from hessfast.problem import Fun, Order, Problem, bind
from hessfast.resolution import natural_sizes
from hessfast.results import AxisDerivatives, EvaluationCounts, HessianStatus, judge_aloud
from hessfast.values.axes import StepSearch, first_rung
from hessfast.values.bars import axis_bars, bar_parts
from hessfast.values.ladder import Axis
from hessfast.values.layout import Layout, chosen_steps, given_one_sided
from hessfast.values.plateaus import along_axes, direction_inside, slope_roughness
from hessfast.values.search import automatic_order, run, start_search
from hessfast.values.stencils import ORDERS
from hessfast.values.sweep import SCATTER, VAGUE, Differences, along_given, asked_again, once_more, repeated

Array = NDArray[np.float64]
Pair = tuple[Array, Array]

CLEAR = 20.0
"""Noise levels by which f must change to be known to."""


@overload
def gradient(
    fun: Fun,
    x0: ArrayLike,
    *,
    order: Order = ...,
    rel_step: ArrayLike | None = ...,
    abs_step: ArrayLike | None = ...,
    noise: float | None = ...,
    x_scale: ArrayLike | None = ...,
    bounds: Any = ...,
    mask: ArrayLike | None = ...,
    args: tuple[Any, ...] = ...,
    kwargs: Mapping[str, Any] | None = ...,
    vectorized: bool = ...,
    workers: int | None = ...,
    on_error: Any = ...,
    full_output: Literal[False] = ...,
) -> Array: ...
@overload
def gradient(
    fun: Fun,
    x0: ArrayLike,
    *,
    order: Order = ...,
    rel_step: ArrayLike | None = ...,
    abs_step: ArrayLike | None = ...,
    noise: float | None = ...,
    x_scale: ArrayLike | None = ...,
    bounds: Any = ...,
    mask: ArrayLike | None = ...,
    args: tuple[Any, ...] = ...,
    kwargs: Mapping[str, Any] | None = ...,
    vectorized: bool = ...,
    workers: int | None = ...,
    on_error: Any = ...,
    full_output: Literal[True],
) -> AxisDerivatives: ...
@quiet
def gradient(
    fun: Fun,
    x0: ArrayLike,
    *,
    order: Order = 4,
    rel_step: ArrayLike | None = None,
    abs_step: ArrayLike | None = None,
    noise: float | None = None,
    x_scale: ArrayLike | None = None,
    bounds: Any = None,
    mask: ArrayLike | None = None,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    vectorized: bool = False,
    workers: int | None = None,
    on_error: Any = "raise",
    full_output: bool = False,
) -> Array | AxisDerivatives:
    """Estimate the gradient of a function from its values, with steps that suit first derivatives.

    Parameters
    ----------
    fun, x0, order, rel_step, abs_step, noise, x_scale, bounds, mask, args, kwargs, vectorized, workers, on_error
        As in `hessian`.
    full_output : bool
        Whether to return an `AxisDerivatives`.

    Returns
    -------
    ndarray, shape (m,), or AxisDerivatives

    Raises
    ------
    ValueError, TypeError
        Naming the argument.

    Warns
    -----
    AccuracyWarning
        As `hessian` does.

    Notes
    -----
    Central differences at order/2 levels, extrapolated (one-sided ones at an edge): 2 max(1, order/2) evaluations a
    coordinate with given steps. The search for steps adds 6 for the noise and some 6 a coordinate. An error of order m
    balances at ε^(m/(m+1)), ε the relative noise: 1e-13 at order 4.

    Examples
    --------
    >>> import numpy as np
    >>> import hessfast
    >>> np.round(hessfast.gradient(lambda x: np.exp(x[0]) * x[1], [0.0, 2.0]), 10)
    array([2., 1.])
    """
    result = _along_axes(
        1, fun, x0, order, rel_step, abs_step, noise, x_scale, bounds, mask, args, kwargs, vectorized, workers, on_error
    )
    judge_aloud("gradient", result)
    return result if full_output else result.value


@overload
def hessian_diag(
    fun: Fun,
    x0: ArrayLike,
    *,
    order: Order = ...,
    rel_step: ArrayLike | None = ...,
    abs_step: ArrayLike | None = ...,
    noise: float | None = ...,
    x_scale: ArrayLike | None = ...,
    bounds: Any = ...,
    mask: ArrayLike | None = ...,
    args: tuple[Any, ...] = ...,
    kwargs: Mapping[str, Any] | None = ...,
    vectorized: bool = ...,
    workers: int | None = ...,
    on_error: Any = ...,
    full_output: Literal[False] = ...,
) -> Array: ...
@overload
def hessian_diag(
    fun: Fun,
    x0: ArrayLike,
    *,
    order: Order = ...,
    rel_step: ArrayLike | None = ...,
    abs_step: ArrayLike | None = ...,
    noise: float | None = ...,
    x_scale: ArrayLike | None = ...,
    bounds: Any = ...,
    mask: ArrayLike | None = ...,
    args: tuple[Any, ...] = ...,
    kwargs: Mapping[str, Any] | None = ...,
    vectorized: bool = ...,
    workers: int | None = ...,
    on_error: Any = ...,
    full_output: Literal[True],
) -> AxisDerivatives: ...
@quiet
def hessian_diag(
    fun: Fun,
    x0: ArrayLike,
    *,
    order: Order = 4,
    rel_step: ArrayLike | None = None,
    abs_step: ArrayLike | None = None,
    noise: float | None = None,
    x_scale: ArrayLike | None = None,
    bounds: Any = None,
    mask: ArrayLike | None = None,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    vectorized: bool = False,
    workers: int | None = None,
    on_error: Any = "raise",
    full_output: bool = False,
) -> Array | AxisDerivatives:
    """Estimate the diagonal of the Hessian of a function from its values, in O(n) evaluations.

    Parameters
    ----------
    fun, x0, order, rel_step, abs_step, noise, x_scale, bounds, mask, args, kwargs, vectorized, workers, on_error
        As in `hessian`.
    full_output : bool
        Whether to return an `AxisDerivatives`.

    Returns
    -------
    ndarray, shape (m,), or AxisDerivatives

    Raises
    ------
    ValueError, TypeError
        Naming the argument.

    Warns
    -----
    AccuracyWarning
        As `hessian` does.

    Notes
    -----
    The diagonal formulas of `hessian`, at steps that need not serve pairs: with the same steps the same bits. Costs
    1 + 2n max(1, order/2) evaluations with given steps; the search adds 6 for the noise and some 6 a coordinate.

    Examples
    --------
    >>> import numpy as np
    >>> import hessfast
    >>> np.round(hessfast.hessian_diag(lambda x: x[0] ** 2 + x[0] * x[1] ** 3, [1.0, 2.0]), 6)
    array([ 2., 12.])
    """
    result = _along_axes(
        2, fun, x0, order, rel_step, abs_step, noise, x_scale, bounds, mask, args, kwargs, vectorized, workers, on_error
    )
    judge_aloud("hessian_diag", result)
    return result if full_output else result.value


def _along_axes(
    derivative: int,
    fun: Fun,
    x0: ArrayLike,
    order: Order,
    rel_step: ArrayLike | None,
    abs_step: ArrayLike | None,
    noise: float | None,
    x_scale: ArrayLike | None,
    bounds: Any,
    mask: ArrayLike | None,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None,
    vectorized: bool,
    workers: int | None,
    on_error: Any,
) -> AxisDerivatives:
    order = checked_order(order, (*ORDERS, "auto"))
    noise = noise_given(noise)
    with bind(
        fun,
        x0,
        x_scale=x_scale,
        mask=mask,
        args=args,
        kwargs=kwargs,
        vectorized=vectorized,
        workers=workers,
        on_error=on_error,
    ) as problem:
        within = problem.confine(bounds)
        check_room(problem.x, problem.axes, within, 6 if order == "auto" else int(order))
        step = given_steps(problem.x, problem.axes, rel_step, abs_step)
        if step is not None:
            chosen = 4 if order == "auto" else int(order)
            return _given(problem, derivative, chosen, step, within)
        return _searched(problem, derivative, order, noise, within)


def _given(problem: Problem, derivative: int, order: int, step: Array, within: Box) -> AxisDerivatives:
    team = problem.fun
    assert team is not None
    one_sided = given_one_sided(problem, step, order, within)
    f0 = value_at(team)
    values = drive(along_given(problem.x, problem.axes, f0, order, step, one_sided), team)
    return _result(problem, f0, values[derivative - 1], None, step, one_sided, order, np.nan, None)


def _searched(problem: Problem, derivative: int, order: Order, given: float | None, within: Box) -> AxisDerivatives:
    team = problem.fun
    assert team is not None
    f0 = value_at(team)
    begin = start_search(problem.x, problem.axes, f0, within.lower, within.upper, given, problem.own_sizes)
    search = drive(spent_on("noise", begin), team)
    chosen = drive(automatic_order(search), team) if order == "auto" else int(order)
    found, states = drive(_found(search, chosen, derivative), team)
    (step, one_sided, values, parts), evaluations = found, EvaluationCounts.of(team.spent)
    value, part, level = values[derivative - 1], parts[derivative - 1], search.noise.level
    result = _result(problem, f0, value, part, step, one_sided, chosen, level, evaluations)
    u = natural_sizes(problem.x, problem.axes, step, search.sizes)
    with np.errstate(all="ignore"):
        slope, curvature = (np.fmax(np.abs(d) - (T + C), 0.0) for d, (T, C) in zip(values, parts, strict=True))
        change = np.fmax(
            np.fmax(slope * u, curvature * u * u), [_seen(*at) for at in zip(search.axes, u.tolist(), strict=True)]
        )
    return result.judged(change, u, derivative, **states)


class _Found(NamedTuple):
    """Steps, and the first and second derivatives they give, each with the two parts of its error bar."""

    step: Array
    one_sided: NDArray[np.bool_]
    values: Pair
    parts: tuple[Pair, Pair]


def _found(search: StepSearch, order: int, derivative: int) -> Search[tuple[_Found, dict[str, bool]]]:
    """Difference f along its axes; say what was seen of f itself: whether it is random, drifts or is rough."""
    found, is_rough = (yield from _differenced(search, order, derivative)), False
    if search.random:
        found = yield from spent_on("calibration", _repeated(search, order, found))
    elif not search.noise_given:
        height = yield from _roughness(search, order, derivative, found)
        if height > 0.0:
            again = _differenced(search.again(height), order, derivative)
            found, is_rough = _smoothed(found, (yield from spent_on("calibration", again)), derivative)
    is_random, has_drifted = yield from asked_again(search.x, search.noise)
    return found, {"random": is_random, "drifted": has_drifted, "rough": is_rough}


def _differenced(search: StepSearch, order: int, derivative: int) -> Search[_Found]:
    """Find the steps that suit the derivative, and difference f with them."""
    yield from run(search, order, derivative, paired=False)
    x, axes = search.x, search.axes
    step, one_sided = chosen_steps(axes)
    bars = axis_bars([axis.ladder for axis in axes])
    work = Differences.along(x, axes, order, search.noise, step, one_sided)
    values = yield from work.along_axes(Layout.of_axes(x, search.coordinates, step, one_sided, order))
    factors = search.policy.axis_factors, search.policy.rounding_factor
    parts = (
        bar_parts(values[0], bars.slope_truncation, bars.slope_condition, *factors),
        bar_parts(values[1], bars.truncation, bars.condition, *factors),
    )
    return _Found(step, one_sided, values, parts)


def _roughness(search: StepSearch, order: int, derivative: int, found: _Found) -> Search[float]:
    """Return the height of the roughness that the slope over long steps shows, 0.0 where there is none."""
    v = direction_inside(search.axes, first_rung(search.noise, order, derivative))
    if not v.any():
        return 0.0
    with np.errstate(all="ignore"):
        slope, (truncation, condition) = found.values[0], found.parts[0]
        bar = float(np.abs(v) @ (truncation + condition))
        most = float(np.abs(v) @ np.sqrt(np.abs(found.values[1]))) ** 2
        along = float(v @ slope)
    seen = yield from slope_roughness(along_axes(search.x, search.coordinates, v), along, bar, search.noise, most)
    return 0.0 if seen is None else seen


def _smoothed(short: _Found, long: _Found, derivative: int) -> tuple[_Found, bool]:
    """Let bars cover what the search in the noise of f's roughness found; say whether it contradicts short steps.

    As in `hessfast.values.sweep.smoothed`: steps at which f shows no curvature, as in the cell of a table, are those of
    no derivative.
    """
    with np.errstate(all="ignore"):
        between = [np.abs(one - other) for one, other in zip(short.values, long.values, strict=True)]
        bars = [np.add(*found.parts[derivative - 1]) for found in (short, long)]
        contradicts = not (between[derivative - 1] <= bars[0] + bars[1]).all()
        nothing = bool(np.abs(short.values[1]).max() <= VAGUE * np.abs(long.values[1]).max())
    slopes, curvatures = (
        (truncation + apart, condition) for (truncation, condition), apart in zip(long.parts, between, strict=True)
    )
    return (long if nothing else short)._replace(parts=(slopes, curvatures)), contradicts


def _repeated(search: StepSearch, order: int, found: _Found) -> Search[_Found]:
    """Difference a random f again; return the means, with condition errors that hold what repetition shows."""
    step, one_sided, values, parts = found

    def once() -> Search[Pair]:
        f0 = yield from once_more(search.x)
        return (yield from along_given(search.x, search.coordinates, f0, order, step, one_sided))

    slopes, curvatures = yield from repeated(values, once, step.size)
    with np.errstate(all="ignore"):
        least = SCATTER * search.noise.level / (0.5 * search.sizes)
        floors = least, np.sqrt(6.0) * least / (0.5 * search.sizes)
        (slope_t, slope_c), (curvature_t, curvature_c) = (
            (truncation, np.fmax(np.fmax(condition, SCATTER * deviation), floor))
            for (truncation, condition), (_, deviation), floor in zip(parts, (slopes, curvatures), floors, strict=True)
        )
    return _Found(step, one_sided, (slopes[0], curvatures[0]), ((slope_t, slope_c), (curvature_t, curvature_c)))


def _seen(axis: Axis, size: float) -> float:
    """Return the largest change of f, clear of its noise, that was seen within so far from x along an axis."""
    noise = axis.noise
    near = (value for displacement, value in axis.values.items() if abs(displacement) <= size and math.isfinite(value))
    return max((abs(value - noise.f0) - CLEAR * noise.at(value) for value in near), default=0.0)


def _result(
    problem: Problem,
    f0: float,
    value: Array,
    parts: tuple[Array, Array] | None,
    step: Array,
    one_sided: NDArray[np.bool_],
    order: int,
    noise: float,
    evaluations: EvaluationCounts | None,
) -> AxisDerivatives:
    missing = int(np.count_nonzero(~np.isfinite(value)))
    assert problem.fun is not None
    return AxisDerivatives(
        x=problem.x,
        index=problem.axes,
        fun=f0,
        value=np.where(np.isfinite(value), value, np.nan),
        error=None if parts is None else parts[0] + parts[1],
        truncation_error=None if parts is None else parts[0],
        condition_error=None if parts is None else parts[1],
        step=step,
        one_sided=one_sided,
        order=order,
        noise=noise,
        nfev=problem.nfev,
        evaluations=evaluations,
        lane=problem.fun.lane,
        status=HessianStatus.NOT_FINITE if missing else HessianStatus.UNVERIFIED,
        missing=missing,
        labels=problem.labels,
    )
