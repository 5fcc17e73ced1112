"""The Hessian of a black-box function."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessfast.execution import Team
from hessfast.plan import Plan
from hessfast.problem import Fun, Jac, Problem, bind, checked_order, given_steps
from hessfast.results import HessianResult, HessianStatus
from hessfast.stencils import stencil


@overload
def hessian(
    fun: Fun | None,
    x0: ArrayLike,
    *,
    jac: Jac = ...,
    order: int = ...,
    rel_step: ArrayLike | None = ...,
    abs_step: ArrayLike | None = ...,
    mask: ArrayLike | None = ...,
    args: tuple[Any, ...] = ...,
    kwargs: Mapping[str, Any] | None = ...,
    vectorized: bool = ...,
    workers: int | None = ...,
    out: NDArray[np.float64] | None = ...,
    full_output: Literal[False] = ...,
) -> NDArray[np.float64]: ...
@overload
def hessian(
    fun: Fun | None,
    x0: ArrayLike,
    *,
    jac: Jac = ...,
    order: int = ...,
    rel_step: ArrayLike | None = ...,
    abs_step: ArrayLike | None = ...,
    mask: ArrayLike | None = ...,
    args: tuple[Any, ...] = ...,
    kwargs: Mapping[str, Any] | None = ...,
    vectorized: bool = ...,
    workers: int | None = ...,
    out: NDArray[np.float64] | None = ...,
    full_output: Literal[True],
) -> HessianResult: ...
def hessian(
    fun: Fun | None,
    x0: ArrayLike,
    *,
    jac: Jac = None,
    order: int = 4,
    rel_step: ArrayLike | None = None,
    abs_step: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    vectorized: bool = False,
    workers: int | None = None,
    out: NDArray[np.float64] | None = None,
    full_output: bool = False,
) -> NDArray[np.float64] | HessianResult:
    """Estimate the Hessian of a function from its values, or from its gradient.

    Parameters
    ----------
    fun : callable or native function
        ``fun(x, *args, **kwargs) -> float`` with x of shape (n,), float64. A numba ``@njit`` function, ``@cfunc``,
        `scipy.LowLevelCallable`, PyCapsule, typed ctypes function or cffi function pointer is called in a C loop
        without the GIL. May be None where `jac` is callable.
    x0 : array_like, shape (n,)
        Where; real and finite, converted to float64.
    jac : callable, native function or True, optional
        Gradient, ``jac(x, *args, **kwargs) -> (n,)``; True where `fun` returns (f, g). The Hessian is then formed
        from differences of gradients.
    order : {1, 2, 4, 6, 8}
        Order of the error in the step.
    rel_step, abs_step : float or array_like, shape (n,), optional
        Step of each coordinate, exactly as it is used: the smallest node of the stencil; `rel_step` in units of
        |x_i|, or of 1 where x_i = 0. Negative steps point the one-sided stencil of order 1 the other way.
    mask : array_like of bool, shape (n,), optional
        True where to differentiate; the Hessian is then the (m, m) block of those coordinates.
    args : tuple, kwargs : mapping
        Further arguments of `fun` and `jac`.
    vectorized : bool
        Whether `fun` takes points as columns, (n, p) -> (p,), and `jac` (n, p) -> (n, p).
    workers : int, optional
        Threads for a native function; giving it is your word that the function is thread-safe.
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
    RuntimeWarning
        Where `fun` was not finite at points of the stencil: the entries that depend on them are NaN.

    Notes
    -----
    With m the order, costs 1 + 2n max(1, m/2) + m n(n-1)/2 evaluations of `fun`, or 1 + 2n max(1/2, m/2) of `jac`.
    The pair formula is in the module `hessfast.stencils`. Memory beside `fun`'s own: 8n² bytes, twice that with
    `out`, and one tile.

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
    order = checked_order(order)
    with bind(fun, x0, jac=jac, mask=mask, args=args, kwargs=kwargs, vectorized=vectorized, workers=workers) as problem:
        _check_out(out, problem.axes.size)
        step = given_steps(problem.x, problem.axes, rel_step, abs_step)
        if step is None:
            step = _textbook_steps(problem, order)
        result = _from_gradients(problem, order, step) if problem.jac else _from_values(problem, order, step)
    _warn(result)
    if out is not None:
        out[...] = result.hess
        result = result.with_hess(out)
    return result if full_output else result.hess


def _textbook_steps(problem: Problem, order: int) -> NDArray[np.float64]:
    """Balance truncation h^m against condition error eps/h^2 (eps/h from gradients), scaled by max(|x_i|, 1)."""
    power = 1.0 / (order + (1 if problem.jac else 2))
    return np.finfo(np.float64).eps ** power * np.maximum(np.abs(problem.x[problem.axes]), 1.0)


def _check_out(out: NDArray[np.float64] | None, m: int) -> None:
    if out is None:
        return
    if not isinstance(out, np.ndarray) or out.dtype != np.float64:
        raise TypeError("out: must be a float64 ndarray")
    if out.shape != (m, m) or not out.flags.c_contiguous or not out.flags.writeable:
        raise ValueError(f"out: must be writeable, C-contiguous and of shape {(m, m)}, got {out.shape}")


def value_at(team: Team) -> float:
    """Return f(x0), the first evaluation of every run.

    Raises
    ------
    ValueError
        f(x0) is not finite: there is nothing to difference.
    """
    f0 = float(team.dense(team.x[None, :])[0])
    if not np.isfinite(f0):
        raise ValueError(f"fun: is {f0} at x0; it must be finite there")
    return f0


def _from_values(problem: Problem, order: int, step: NDArray[np.float64]) -> HessianResult:
    team = problem.fun
    assert team is not None
    plan = Plan.make(problem.x, problem.axes, step, stencil(order))
    f0 = value_at(team)
    axis_values = plan.axis_values(team)
    H = np.zeros((step.size, step.size))
    with np.errstate(all="ignore"):
        plan.sweep(team, f0, axis_values, H)
        H[np.diag_indices_from(H)] = plan.stencil.diagonal(f0, axis_values, plan.steps_taken)
        jac = plan.stencil.gradient(f0, axis_values, plan.steps_taken)
    return _result(problem, f0, jac, H, step, team.lane)


def _from_gradients(problem: Problem, order: int, step: NDArray[np.float64]) -> HessianResult:
    """Difference gradients: column i of H from the axis nodes of coordinate i, then the symmetric part."""
    team = problem.jac
    assert team is not None
    plan = Plan.make(problem.x, problem.axes, step, stencil(order))
    f0 = value_at(problem.fun) if problem.fun else np.nan
    g0 = team.dense(problem.x[None, :])[0]
    if not np.isfinite(g0).all():
        raise ValueError("jac: is not finite at x0")
    columns = plan.columns(team, g0)
    H = 0.5 * (columns + columns.T)
    return _result(problem, f0, g0[problem.axes], H, step, "gradient")


def _result(
    problem: Problem,
    f0: float,
    jac: NDArray[np.float64],
    H: NDArray[np.float64],
    step: NDArray[np.float64],
    lane: str,
) -> HessianResult:
    missing = int(np.count_nonzero(~np.isfinite(H)))
    H[~np.isfinite(H)] = np.nan
    return HessianResult(
        x=problem.x,
        index=problem.axes,
        fun=f0,
        jac=jac,
        hess=H,
        step=step,
        nfev=problem.nfev,
        njev=problem.njev,
        lane=lane,
        status=HessianStatus.NOT_FINITE if missing else HessianStatus.COMPLETE,
        missing=missing,
    )


def _warn(result: HessianResult) -> None:
    if result.missing:
        warnings.warn(f"hessian: {result.message}", RuntimeWarning, stacklevel=3)
