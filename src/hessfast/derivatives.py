"""First and second derivatives along the coordinates: the gradient and the diagonal of the Hessian, in O(n)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessfast.arithmetic import quiet
from hessfast.bars import AXIS_FACTORS, axis_bars, bar_parts
from hessfast.differences import (
    SCATTER,
    Differences,
    Layout,
    along_given,
    asked_again,
    chosen_steps,
    given_one_sided,
    repeated,
    value_at,
)
from hessfast.ladder import Axis
from hessfast.problem import (
    Box,
    Fun,
    Order,
    Problem,
    bind,
    check_room,
    checked_order,
    given_steps,
    noise_given,
)
from hessfast.resolution import natural_sizes
from hessfast.results import AxisDerivatives, EvaluationCounts, HessianStatus, judge_aloud
from hessfast.stencils import ORDERS
from hessfast.steps import StepSearch, start_search

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
    values = along_given(team, problem.axes, f0, order, step, one_sided)
    return _result(problem, f0, values[derivative - 1], None, step, one_sided, order, np.nan, None)


def _searched(problem: Problem, derivative: int, order: Order, given: float | None, within: Box) -> AxisDerivatives:
    team = problem.fun
    assert team is not None
    f0 = value_at(team)
    search = start_search(team, problem.axes, f0, within.lower, within.upper, given, **problem.sizes_given)
    chosen = search.automatic_order() if order == "auto" else int(order)
    search.run(chosen, derivative, paired=False)
    axes, noise = search.axes, search.noise
    step, one_sided = chosen_steps(axes)
    bars = axis_bars([axis.ladder for axis in axes])
    work = Differences.along(team, axes, chosen, noise, step, one_sided)
    with np.errstate(all="ignore"):
        values = work.along_axes(Layout.of_axes(team.x, problem.axes, step, one_sided, chosen))
    parts = (
        bar_parts(values[0], bars.slope_truncation, bars.slope_condition, AXIS_FACTORS),
        bar_parts(values[1], bars.truncation, bars.condition, AXIS_FACTORS),
    )
    spent = team.nfev - search.noise_nfev - 1
    if search.random:
        values, parts = _repeated(search, chosen, step, one_sided, values, parts)
    asked = team.nfev
    is_random, has_drifted = asked_again(team, noise)
    counts = {"noise": search.noise_nfev, "axes": spent, "calibration": asked - spent - search.noise_nfev - 1}
    evaluations = EvaluationCounts(origin=1 + team.nfev - asked, **counts)
    result = _result(
        problem, f0, values[derivative - 1], parts[derivative - 1], step, one_sided, chosen, noise.level, evaluations
    )
    u = natural_sizes(problem.x, problem.axes, step, search.sizes)
    with np.errstate(all="ignore"):
        slope, curvature = (np.fmax(np.abs(d) - (T + C), 0.0) for d, (T, C) in zip(values, parts, strict=True))
        change = np.fmax(
            np.fmax(slope * u, curvature * u * u), [_seen(*at) for at in zip(axes, u.tolist(), strict=True)]
        )
    return result.judged(change, u, derivative, random=is_random, drifted=has_drifted)


def _repeated(
    search: StepSearch, order: int, step: Array, one_sided: NDArray[np.bool_], values: Pair, parts: tuple[Pair, Pair]
) -> tuple[Pair, tuple[Pair, Pair]]:
    """Difference a random f again; return the means, with condition errors that hold what repetition shows."""
    team = search.team

    def once() -> Pair:
        f0 = float(team.dense(team.x[None, :])[0])
        return along_given(team, search.coordinates, f0, order, step, one_sided)

    with np.errstate(all="ignore"):
        slopes, curvatures = repeated(values, once, step.size)
        least = SCATTER * search.noise.level / (0.5 * search.sizes)
        floors = least, np.sqrt(6.0) * least / (0.5 * search.sizes)
        (slope_t, slope_c), (curvature_t, curvature_c) = (
            (truncation, np.fmax(np.fmax(condition, SCATTER * deviation), floor))
            for (truncation, condition), (_, deviation), floor in zip(parts, (slopes, curvatures), floors, strict=True)
        )
    return (slopes[0], curvatures[0]), ((slope_t, slope_c), (curvature_t, curvature_c))


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
