"""Curvature along a direction without the Hessian: vᵀHv with its error bar, for any number of variables."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hessfast import vectors
from hessfast.arithmetic import quiet
from hessfast.arrays import plain
from hessfast.balance import search
from hessfast.directional import EPS, Differences, SlopeCurvatures, ValueCurvatures, richardson
from hessfast.neighbourhood import Fun, Jac, Neighbourhood, given_step, real_vector, surround
from hessfast.results import CurvatureResult, CurvatureStatus
from hessfast.vectors import Vector

__all__ = ["curvature"]

_ROUNDING_BAR = 16.0
"""Noise levels in the condition part where a step was given: the noise is then not measured but taken as rounding."""

_SMALLEST_UNIT = 2.0**-400
"""Units of the line below this, or above its inverse, are brought near 1 by scaling the direction."""


@quiet
def curvature(
    fun: Fun | None,
    x0: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    jac: Jac = None,
    order: int = 4,
    rel_step: float | None = None,
    abs_step: float | None = None,
    noise: float | None = None,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    vectorized: bool = False,
    workers: int | None = None,
) -> CurvatureResult:
    """Estimate the curvature vᵀHv of a function along a direction, without its Hessian.

    Parameters
    ----------
    fun : callable or native function
        ``fun(x, *args, **kwargs) -> float``, as in `hessian`. May be None where `jac` is callable.
    x0 : array_like, shape (n,)
        Where. A contiguous float64 or float32 array, memory maps included, is read in place.
    v : array_like, shape (n,) or (k, n)
        Direction, or one direction a row; any length: vᵀHv is quadratic in it.
    jac : callable, native function or True, optional
        Gradient, ``jac(x, *args, **kwargs) -> (n,)``, float64 or float32; True where `fun` returns (f, g).
    order : {2, 4, 6, 8}
        Order of the central difference; 1, the forward difference, with `jac` and a given step.
    rel_step, abs_step : float, optional
        Exactly this step: the cheap mode, without search. `abs_step` is t in x0 ± t v, `rel_step` is in units of the
        line's natural unit. 2**-26, 2**-17 and 2**-10 suit an accurate gradient at orders 1, 2 and 4; 2**-13 and
        2**-9 an accurate f at orders 2 and 4.
    noise : float, optional
        Standard deviation of the noise of `fun`, where it is known; it is then not measured.
    args : tuple, optional
    kwargs : mapping, optional
        Further arguments of `fun` and `jac`.
    vectorized : bool
        Whether `fun` and `jac` take points as columns.
    workers : int, optional
        Threads for passes over vectors of some 10⁵ coordinates and more; `fun` is called from one thread.

    Returns
    -------
    CurvatureResult
        ``float(result)`` is vᵀHv; arrays for a batch.

    Raises
    ------
    ValueError, TypeError
        Naming the argument. Exceptions of `fun` come out as themselves, with a note of the point.

    Warns
    -----
    RuntimeWarning
        Where no step gave finite values.

    Notes
    -----
    The points are x0 + t v, t = 2^k u with u the natural unit of the line: exp(Σ w_i² ln(typ_i / |w_i|)) / ‖v‖ with
    w = v / ‖v‖ and typ_i = |x0_i|, or 1 where that is 0. The level k is found by predicting and correcting, and the
    central difference is extrapolated once more than `order` says.

    Cost of the search: about 20 evaluations of f, or 10 of its gradient; with a given step 1 + `order` of f, or `order`
    of the gradient (2 at order 1). The sign is certain where `status` is POSITIVE or NEGATIVE. Memory beside the
    arguments and what `fun` allocates: one vector of n numbers, three with a gradient that fills its own array.

    Examples
    --------
    >>> import numpy as np
    >>> import hessfast
    >>> x = np.linspace(-1.0, 1.0, 1000)
    >>> result = hessfast.curvature(lambda x: np.sum(np.cosh(x)), x, np.ones(1000))
    >>> bool(abs(result.value - np.cosh(x).sum()) < result.error), result.status.name, result.nfev < 28
    (True, 'POSITIVE', True)
    >>> cheap = hessfast.curvature(None, x, np.ones(1000), jac=np.sinh, order=2, rel_step=2.0**-17)
    >>> round(float(cheap), 6), cheap.njev
    (1175.569465, 2)
    """
    _check_order(order, jac, rel_step is not None or abs_step is not None)
    given = given_step(rel_step, abs_step)
    if noise is not None and not (math.isfinite(noise) and noise >= 0.0):
        raise ValueError(f"noise: must be finite and not negative, got {noise!r}")
    around = surround(fun, x0, jac=jac, args=args, kwargs=kwargs, vectorized=vectorized, workers=workers)
    rows = plain("v", v)
    n = around.x.size
    if rows.ndim != 2:
        found = [_along(around, real_vector(rows, "v", n), order, given, noise)]
    else:
        if rows.shape[1] != n or len(rows) == 0:
            raise ValueError(f"v: shape {(n,)} or (k, {n}) expected, got {rows.shape}")
        f0 = None if around.evaluator.gradient else around.at(around.x, 0.0)
        found = [_along(around, real_vector(row, "v", n), order, given, noise, f0) for row in rows]
    return _result(around, found, single=rows.ndim != 2)


def _check_order(order: int, jac: Jac, step_given: bool) -> None:
    if isinstance(order, bool) or order not in (1, 2, 4, 6, 8):
        raise ValueError(f"order: must be one of 1, 2, 4, 6, 8, got {order!r}")
    if order == 1 and not (jac and step_given):
        raise ValueError("order: 1 is the forward difference of gradients at a given step; it needs jac and a step")


def _along(
    around: Neighbourhood,
    v: Vector,
    order: int,
    given: tuple[float | None, bool],
    noise: float | None,
    f0: float | None = None,
) -> tuple[float, float, float]:
    """Return value, error bar and smallest step along v."""
    unit = around.unit(v)
    if unit == 0.0:
        return 0.0, 0.0, 0.0
    step, relative = given
    if not _SMALLEST_UNIT < unit < 1.0 / _SMALLEST_UNIT:  # its square would leave the range of numbers
        return _along_scaled(around, v, math.frexp(unit)[1], order, given, noise, f0)
    if step is not None:
        unit = step * unit if relative else step
    if order == 1:
        return _forward(around, v, unit), math.nan, unit
    differences: Differences[float]
    if around.evaluator.gradient:
        differences = SlopeCurvatures(around, v, unit)
    else:
        if f0 is None:
            f0 = around.at(v, 0.0)
        if not math.isfinite(f0):
            raise ValueError(f"fun: is {f0} at x0; it must be finite there")
        differences = ValueCurvatures(around, v, unit, f0, noise)
    if step is not None:
        return *_at_given_step(differences, order // 2, noise), unit
    # From values one level more pays: it costs 2 evaluations of 19 and gains a factor of 3.
    found = search(differences, order if around.evaluator.gradient else order + 2)
    return found.value, found.error, differences.step(found.level)


def _along_scaled(
    around: Neighbourhood,
    v: Vector,
    exponent: int,
    order: int,
    given: tuple[float | None, bool],
    noise: float | None,
    f0: float | None,
) -> tuple[float, float, float]:
    """Look along v 2^exponent instead; what vᵀHv itself cannot be in float64 comes out as inf or 0."""
    step, relative = given
    if step is not None and not relative:
        given = float(np.ldexp(step, -exponent)), False
    scaled: Vector = np.ldexp(v, exponent)
    value, error, t = _along(around, scaled, order, given, noise, f0)
    with np.errstate(over="ignore", under="ignore"):
        value, error = (float(number) for number in np.ldexp([value, error], -2 * exponent))
    return value, error, float(np.ldexp(t, exponent))


def _forward(around: Neighbourhood, v: Vector, t: float) -> float:
    return vectors.dot_difference(v, around.at(v, t), around.at(v, 0.0), around.threads) / t


def _at_given_step(differences: Differences[float], q: int, noise: float | None) -> tuple[float, float]:
    """Extrapolate over q levels from 0; the change from q - 1 levels bounds the truncation error, no change is nan."""
    differences.see(range(q))
    value = differences.combine(0, richardson(q))
    if q == 1:
        return value, math.nan
    change = value - differences.combine(0, richardson(q - 1))
    level = noise if noise is not None else _ROUNDING_BAR * differences.floor
    return value, abs(change) + 3.0 * differences.condition(0, q, level) + 4.0 * EPS * abs(value)


def _status(value: float, error: float) -> CurvatureStatus:
    if not math.isfinite(value) or error == math.inf:
        return CurvatureStatus.NOT_FINITE
    if math.isnan(error):
        return CurvatureStatus.UNVERIFIED
    if abs(value) <= error:
        return CurvatureStatus.UNRESOLVED
    return CurvatureStatus.POSITIVE if value > 0.0 else CurvatureStatus.NEGATIVE


def _result(around: Neighbourhood, found: list[tuple[float, float, float]], single: bool) -> CurvatureResult:
    status = [_status(value, error) for value, error, _ in found]
    lost = status.count(CurvatureStatus.NOT_FINITE)
    if lost:
        warnings.warn(
            f"curvature: {CurvatureStatus.NOT_FINITE.message} in {lost} of {len(found)} directions",
            RuntimeWarning,
            stacklevel=3,
        )
    gradient = around.evaluator.gradient
    nfev, njev = (0, around.evaluator.nfev) if gradient else (around.evaluator.nfev, 0)
    if single:
        return CurvatureResult(*found[0], nfev, njev, status[0])
    value, error, step = np.array(found).T.copy()
    statuses = np.empty(len(status), dtype=object)
    statuses[:] = status
    return CurvatureResult(value, error, step, nfev, njev, statuses)
