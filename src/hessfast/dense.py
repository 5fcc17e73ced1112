"""The Hessian of a black-box function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessfast.algebra import _quadform
from hessfast.arguments import Box, check_room, checked_order, given_steps, noise_given
from hessfast.arithmetic import quiet
from hessfast.calls.points import Search, spent_on
from hessfast.calls.run import drive, value_at
from hessfast.estimate import Found
from hessfast.problem import Fun, Jac, Order, Problem, bind
from hessfast.results import EvaluationCounts, HessianResult, HessianStatus, judge_aloud
from hessfast.values.layout import given_one_sided, one_sided_steps
from hessfast.values.plan import Plan
from hessfast.values.search import automatic_order, start_search
from hessfast.values.stencils import ORDERS, stencil
from hessfast.values.sweep import smoothed, with_search, with_steps

if TYPE_CHECKING:  # imported where gradients are at hand
    from hessfast.gradients.search import GradientHessian, GradientSearch

Array = NDArray[np.float64]
Method = Literal["fd", "cs"]


@overload
def hessian(
    fun: Fun | None,
    x0: ArrayLike,
    *,
    jac: Jac = ...,
    method: Method = ...,
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
    out: NDArray[np.float64] | None = ...,
    full_output: Literal[False] = ...,
) -> NDArray[np.float64]: ...
@overload
def hessian(
    fun: Fun | None,
    x0: ArrayLike,
    *,
    jac: Jac = ...,
    method: Method = ...,
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
    out: NDArray[np.float64] | None = ...,
    full_output: Literal[True],
) -> HessianResult: ...
@quiet
def hessian(
    fun: Fun | None,
    x0: ArrayLike,
    *,
    jac: Jac = None,
    method: Method = "fd",
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
    out: NDArray[np.float64] | None = None,
    full_output: bool = False,
) -> NDArray[np.float64] | HessianResult:
    """Estimate the Hessian of a function from its values, or from its gradient.

    Parameters
    ----------
    fun : callable or native function
        ``fun(x, *args, **kwargs) -> float`` with x of shape (n,), float64; an array of one number will do. A
        numba ``@njit`` function, ``@cfunc``, `scipy.LowLevelCallable`, PyCapsule, typed ctypes function or cffi
        function pointer is called in a C loop without the GIL. May be None where `jac` is callable.
    x0 : array_like, shape (n,), or a number
        Where; real and finite, converted to float64. `fun` is always called with an array. A labelled vector, as pandas
        has, keeps its labels in the result.
    jac : callable, native function or True, optional
        Gradient, ``jac(x, *args, **kwargs) -> (n,)``; True where `fun` returns (f, g). The Hessian is then formed
        from differences of gradients.
    method : {"fd", "cs"}
        Finite differences, or complex steps: `fun`, or `jac` where it is given, is then called with complex arrays and
        must be an analytic Python function; it is refused where it is not.
    order : {1, 2, 4, 6, 8, "auto"}
        Order of the error in the step; "auto" is 6 where the noise of `fun` is at rounding level, else 4, and 4 with
        given steps. Complex steps have order 4 and take no other.
    rel_step, abs_step : float or array_like, shape (n,), optional
        Step of each coordinate, exactly as it is used: the smallest node of the stencil; `rel_step` in units of
        |x_i|, or of 1 where x_i = 0. A negative step makes the stencil one-sided, downwards; a positive one whose
        symmetric stencil leaves the bounds makes it one-sided upwards. By default the steps are searched for.
    noise : float, optional
        Standard deviation of `fun`'s own noise near x0, with `jac` of each of its components; measured by default.
        Ripples and stairs of `fun` below it are taken for nothing.
    x_scale : float or array_like, shape (n,), optional
        Typical sizes of the coordinates, where |x_i| says nothing of them; found out by default. The unit of `rel_step`
        is |x_i| all the same.
    bounds : object with lb and ub, tuple (lb, ub), list of tuples or array of shape (n, 2), optional
        In a tuple two arrays, lists or scalars; in a list or an array one pair (lower, upper) a coordinate; None for no
        bound. No point outside is ever evaluated; at an edge the stencils are one-sided.
    mask : array_like of bool, shape (n,), optional
        True where to differentiate; the Hessian is then the (m, m) block of those coordinates.
    args : tuple, optional
    kwargs : mapping, optional
        Further arguments of `fun` and `jac`.
    vectorized : bool
        Whether `fun` takes points as columns, (n, p) -> (p,), and `jac` (n, p) -> (n, p).
    workers : int, optional
        Threads for a native function; giving it is your word that the function is thread-safe.
    on_error : "raise", exception type or tuple of them
        Exceptions of `fun` that count as a wall, as values that are not finite do: steps are kept short of it.
    out : ndarray, shape (m, m), float64, C-contiguous, optional
        Written at the very end, and returned; untouched where anything was raised.
    full_output : bool
        Whether to return a `HessianResult`.

    Returns
    -------
    ndarray, shape (m, m), or HessianResult
        Exactly symmetric.

    Raises
    ------
    ValueError, TypeError
        Naming the argument. Exceptions of `fun` come out as themselves, with a note of the point.

    Warns
    -----
    AccuracyWarning
        Once, where the status is neither COMPLETE nor UNVERIFIED: with the number of entries that are not known, the
        worst of them, and what to do. Entries that depend on points where `fun` was not finite are NaN.

    Notes
    -----
    With m the order and steps given, costs 1 + 2n max(1, m/2) + m n(n-1)/2 evaluations of `fun`, or
    1 + 2n max(1/2, m/2) of `jac`. The search for steps adds 6 evaluations for the noise of `fun` and some 8 a
    coordinate, from gradients about 20 in all for most functions; the result says how they were spent. The pair
    formula is in the module `hessfast.values.stencils`, the searches in `hessfast.values.ladder` and
    `hessfast.gradients.search`. Complex steps cost n² + 3n evaluations of `fun` and about 8 a coordinate for the
    search, or n + 6 of `jac`; the formulas are in `hessfast.complexsteps.search`. Five of them, at least, see whether
    the function is analytic.
    A noisy `fun` is asked once more at x0; sizes of coordinates with a gap cost 4 evaluations, 7 and up where the small
    ones are not meant; steps that came out short against the sizes, or that see no curvature, 6 to 14, for roughness.
    Gradients that short steps do not foretell at a long one cost 2 to 16 more, and the search once more where they are
    rough.
    Memory beside `fun`'s own, at its peak: 8 to 10n² bytes with steps given; with error bars 34n² from values and 33 to
    41n² from gradients; and one tile.

    References
    ----------
    .. [1] M. S. Ridout, "Statistical applications of the complex-step method of numerical differentiation",
       The American Statistician 63 (2009), eq. 8.

    Examples
    --------
    >>> import numpy as np
    >>> import hessfast
    >>> def rosenbrock(x):
    ...     return 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2
    >>> np.round(hessfast.hessian(rosenbrock, [1.0, 1.0]), 4)
    array([[ 802., -400.],
           [-400.,  200.]])
    """
    order = checked_order(order, (*ORDERS, "auto"))
    noise = noise_given(noise)
    if not isinstance(method, str) or method not in ("fd", "cs"):
        raise ValueError(f'method: must be "fd" or "cs", got {method!r}')
    with bind(
        fun,
        x0,
        jac=jac,
        x_scale=x_scale,
        mask=mask,
        args=args,
        kwargs=kwargs,
        vectorized=vectorized,
        workers=workers,
        on_error=on_error,
    ) as problem:
        _check_out(out, problem.axes.size)
        within = problem.confine(bounds)
        step = given_steps(problem.x, problem.axes, rel_step, abs_step)
        if method == "cs":
            _check_complex(problem, order, step, noise, workers)
            result = _from_complex(problem, step, within)
        elif problem.jac:
            result = _from_gradients(problem, order, step, noise, within)
        else:
            result = _from_values(problem, order, step, noise, within)
    judge_aloud("hessian", result)
    if out is not None:
        out[...] = result.hess
        result = result.with_hess(out)
    return result.with_bars() if full_output else result.hess


def _check_complex(
    problem: Problem, order: Order, step: Array | None, noise: float | None, workers: int | None
) -> None:
    """Refuse what complex steps have no use for."""
    if order not in (4, "auto"):
        raise ValueError(f'order: method "cs" has order 4, got {order!r}')
    if noise is not None:
        raise ValueError('noise: method "cs" measures its own')
    if workers is not None:
        raise TypeError('workers: method "cs" calls a Python function')
    if step is not None and problem.jac:
        raise ValueError('rel_step, abs_step: method "cs" takes no step from gradients; it is 2^-664')
    if step is not None and (step < 0).any():
        raise ValueError('rel_step, abs_step: method "cs" has no one-sided stencils for a negative step')


def _check_out(out: NDArray[np.float64] | None, m: int) -> None:
    if out is None:
        return
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray) or out.dtype != np.float64:
        raise TypeError("out: must be a float64 ndarray")
    if out.shape != (m, m) or not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(f"out: must be writeable, C-contiguous and of shape {(m, m)}, got {out.shape}")


def _from_values(problem: Problem, order: Order, step: Array | None, noise: float | None, within: Box) -> HessianResult:
    team = problem.fun
    assert team is not None
    check_room(problem.x, problem.axes, within, 6 if order == "auto" else int(order))
    if step is None:
        f0 = value_at(team)
        found = drive(_searched(problem, f0, order, noise, within), team)._replace(
            evaluations=EvaluationCounts.of(team.spent)
        )
    else:
        chosen = 4 if order == "auto" else int(order)
        one_sided = given_one_sided(problem, step, chosen, within)
        f0 = value_at(team)
        found = drive(with_steps(problem.x, problem.axes, within, f0, chosen, step, one_sided), team)
    return _result(problem, f0, found, team.lane, within)


def _searched(problem: Problem, f0: float, order: Order, noise: float | None, within: Box) -> Search[Found]:
    x, axes = problem.x, problem.axes
    begin = start_search(x, axes, f0, within.lower, within.upper, noise, problem.own_sizes)
    search = yield from spent_on("noise", begin)
    chosen = (yield from automatic_order(search)) if order == "auto" else int(order)
    return (yield from with_search(search, chosen))


def _from_gradients(
    problem: Problem, order: Order, step: Array | None, noise: float | None, within: Box
) -> HessianResult:
    """Difference gradients along each coordinate, with the steps given or those that a search finds."""
    # Imported where gradients are at hand: the import of the library itself is to stay short.
    from hessfast.gradients.columns import Gradient, jacobian
    from hessfast.gradients.noise import Place
    from hessfast.gradients.search import GradientSearch

    team, axes = problem.jac, problem.axes
    assert team is not None
    check_room(problem.x, axes, within, 6 if order == "auto" else int(order))
    gradient = Gradient(problem.x, axes)
    if step is None:
        f0 = value_at(problem.fun) if problem.fun else np.nan
        lower, upper = within.lower[axes], within.upper[axes]
        place = Place(gradient, order, lower=lower, upper=upper, noise=noise, x_scale=problem.own_sizes)
        search = GradientSearch(place)
        found = drive(_searched_columns(search), team)._replace(evaluations=EvaluationCounts.of(team.spent))
        return _result(problem, f0, found, "gradient", within)
    chosen = 4 if order == "auto" else int(order)
    nodes = stencil(chosen).axis_nodes, tuple(range(1, chosen + 1))
    one_sided = one_sided_steps(problem, step, nodes if chosen > 1 else (nodes[1], nodes[1]), within)
    Plan.make(problem.x, axes, step, stencil(chosen))  # refuses steps that vanish or overflow
    f0 = value_at(problem.fun) if problem.fun else np.nan
    g0 = drive(gradient.dense(gradient.x[None, :]), team)[0]
    if not np.isfinite(g0).all():
        raise ValueError("jac: is not finite at x0")
    G = np.ascontiguousarray(drive(jacobian(gradient, g0, step, chosen, ~one_sided), team))
    _quadform.symmetrize(G, 0, len(G))
    return _result(problem, f0, Found(g0, G, step, one_sided, chosen, np.nan), "gradient", within)


def _searched_columns(search: GradientSearch) -> Search[Found]:
    columns = yield from search.run()
    found = _of_columns(columns)
    rough = yield from spent_on("calibration", search.roughness(columns))
    if rough is None:
        return found
    return smoothed(found, _of_columns((yield from search.again(rough).run())))


def _of_columns(columns: GradientHessian) -> Found:
    return Found(
        columns.jac,
        columns.hess,
        columns.step,
        ~columns.symmetric,
        columns.order,
        float(np.median(columns.noise)),
        jac_error=columns.jac_error,
        truncation_error=columns.truncation_error,
        condition_error=columns.condition_error,
        refined=columns.searched.size,
        drifted=columns.drifted,
        random=columns.random,
        sizes=columns.sizes,
    )


def _from_complex(problem: Problem, step: Array | None, within: Box) -> HessianResult:
    """Take imaginary steps from the gradient where there is one, else from the values of f."""
    from hessfast.calls.complex_lane import complex_twin
    from hessfast.complexsteps.search import from_gradient, room_inside, start_search

    axes = problem.axes
    room = room_inside(problem.x[axes], within.lower[axes], within.upper[axes])
    if problem.jac:
        evaluator = complex_twin(problem.jac.evaluator, "jac")
        f0 = value_at(problem.fun) if problem.fun else np.nan
        columns = drive(from_gradient(problem.x, axes, room, x_scale=problem.own_sizes), evaluator)
    else:
        assert problem.fun is not None
        evaluator = complex_twin(problem.fun.evaluator, "fun")
        if step is not None:
            Plan.make(problem.x, axes, step, stencil(4))  # refuses steps that vanish or overflow
        search = drive(start_search(problem.x, axes, room, x_scale=problem.own_sizes), evaluator)
        f0 = search.f0
        columns = drive(search.run(step), evaluator)
    given = step is not None
    found = Found(
        columns.jac,
        columns.hess,
        columns.step,
        np.zeros(axes.size, dtype=np.bool_),
        4,
        columns.noise,
        None if given else EvaluationCounts.of(evaluator.spent),
        None if given else columns.jac_error,
        None if given else columns.truncation_error,
        None if given else columns.condition_error,
        sizes=columns.sizes,
    )
    result = _result(problem, f0, found, evaluator.lane, within)
    if problem.jac:
        return replace(result, njev=evaluator.nfev)
    return replace(result, nfev=evaluator.nfev)


def _result(problem: Problem, f0: float, found: Found, lane: str, within: Box) -> HessianResult:
    H = found.hess
    finite = np.isfinite(H)
    missing = H.size - int(np.count_nonzero(finite))
    if missing:
        H[~finite] = np.nan
    everywhere, axes = within.is_everything, problem.axes
    return HessianResult(
        x=problem.x,
        index=axes,
        fun=f0,
        jac=found.jac,
        hess=H,
        truncation_error=found.truncation_error,
        condition_error=found.condition_error,
        jac_error=found.jac_error,
        step=found.step,
        one_sided=found.one_sided,
        order=found.order,
        noise=found.noise,
        nfev=problem.nfev,
        njev=problem.njev,
        evaluations=found.evaluations,
        refined=found.refined,
        lane=lane,
        status=HessianStatus.UNVERIFIED,
        missing=missing,
        sizes=problem.own_sizes if found.sizes is None else found.sizes,
        lower=None if everywhere else within.lower[axes],
        upper=None if everywhere else within.upper[axes],
        labels=problem.labels,
    ).judged(random=found.random, drifted=found.drifted, rough=found.rough)
