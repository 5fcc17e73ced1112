"""Standard errors of fitted parameters from the Hessian at the minimum of an objective."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hessfast.alarms import alarm
from hessfast.scale import EPS

__all__ = ["Fit", "Objective", "StandardErrors", "covariance_factor", "standard_errors"]

Array = NDArray[np.float64]
Objective = Literal["nll", "chi2", "rss"]


FAR = 0.1
"""Standard errors between x and the minimum of the model that are worth a warning."""

ON_BOUND = 0.01
"""Standard errors from its bound within which a parameter stands on it."""

VAGUE = 0.1
"""Bar of a standard error, in units of itself, that is worth a warning."""

LEADING = 0.3
"""Part of its largest component that one of a direction must have to be named with it."""

NAMED = 5
"""Parameters of a direction that are named."""


class StandardErrors(NamedTuple):
    """Standard errors and the error bars that the Hessian's bars leave in them."""

    value: Array
    error: Array


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """An objective at the parameters that minimise it.

    Attributes
    ----------
    x : ndarray, shape (m,)
        Parameters.
    hess : ndarray, shape (m, m)
    bars : ndarray, shape (m, m), or None
    slope, slope_bars : ndarray, shape (m,)
        Gradient and its bars, 0 where they are not known.
    lower, upper : ndarray, shape (m,), or None
        Bounds.
    names : list of str
    """

    x: Array
    hess: Array
    bars: Array | None
    slope: Array
    slope_bars: Array
    lower: Array | None
    upper: Array | None
    names: list[str]


def covariance_factor(objective: Objective, f0: float, observations: int | None, parameters: int) -> float:
    """Return k of the covariance k H⁻¹.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    """
    if not isinstance(objective, str) or objective not in ("nll", "chi2", "rss"):
        raise ValueError(f'objective: must be "nll", "chi2" or "rss", got {objective!r}')
    if objective != "rss":
        if observations is not None:
            raise ValueError(f'observations: only objective="rss" has a use for them, got {objective!r}')
        return 2.0 if objective == "chi2" else 1.0
    if observations is None:
        raise ValueError('observations: objective="rss" needs their number')
    try:
        count = operator.index(observations)
    except TypeError:
        raise TypeError(f"observations: must be an integer, got {observations!r}") from None
    if count <= parameters:
        raise ValueError(f"observations: more than the {parameters} parameters are needed, got {count}")
    if not f0 >= 0.0:
        reason = "f(x) is not known: give fun beside jac" if np.isnan(f0) else f"f(x) is {f0:.6g}"
        raise ValueError(f'objective: "rss" is a sum of squares, but {reason}')
    return 2.0 * f0 / (count - parameters)


def standard_errors(fit: Fit, factor: float) -> StandardErrors:
    """Return sqrt(diag(factor H⁻¹)) with error bars; warn where they do not mean what they say.

    Raises
    ------
    numpy.linalg.LinAlgError
        H is not positive definite, or not so beyond its bars.
    """
    m = len(fit.hess)
    for entry in np.argwhere(~np.isfinite(fit.hess))[:1].tolist():
        names = ", ".join(fit.names[i] for i in entry)
        raise np.linalg.LinAlgError(f"the Hessian is not finite: its entry for {names} is {fit.hess[tuple(entry)]}")
    bars = np.zeros((m, m)) if fit.bars is None else np.where(np.isnan(fit.bars), np.inf, fit.bars)
    with np.errstate(all="ignore"):
        diagonal = np.diag(fit.hess)
        size = np.sqrt(np.fmax(np.abs(diagonal), np.where(np.isfinite(np.diag(bars)), np.diag(bars), 0.0)))
        size = 1.0 / np.where(size > 0.0, size, 1.0)
        scaled = fit.hess * size * size[:, None]
        bars = bars * size * size[:, None]
        _require_positive(scaled, bars, fit.names)
        inverse = np.asarray(np.linalg.inv(scaled), dtype=np.float64)
        variance = np.diag(inverse)
        value: Array = np.sqrt(factor * variance) * size
        spread = np.abs(inverse) @ bars @ np.abs(inverse)
        error = 0.5 * value * np.diag(spread) / variance
        doubts = _doubts(fit, factor, size, scaled, inverse, value)
    if fit.bars is None:
        error = np.full(m, np.nan)
    elif (vague := np.flatnonzero(~(error <= VAGUE * value))).size:
        worst = vague[np.argmax(error[vague] / value[vague])]
        doubts.append(
            f"{vague.size} of {m} standard errors are known to less than a tenth of themselves, that of "
            f"{fit.names[worst]} is {value[worst]:.2g} ± {error[worst]:.2g}"
        )
    if doubts:
        alarm("standard_errors", "; ".join(doubts))
    return StandardErrors(value, error)


def _require_positive(scaled: Array, bars: Array, names: list[str]) -> None:
    """Refuse a Hessian, scaled to unit diagonal, with an eigenvalue that is not positive beyond its bar.

    To first order an error E moves the eigenvalue of v by vᵀEv.
    """
    eigenvalues, vectors = np.linalg.eigh(scaled)
    size = np.abs(vectors)
    allowed = np.einsum("ik,ij,jk->k", size, np.where(np.isinf(bars), 1e300, bars), size, optimize=True)
    allowed = np.where(allowed > 1e200, np.inf, allowed) + len(scaled) * EPS
    offending = np.flatnonzero(~(eigenvalues > allowed))
    if not offending.size:
        return
    k = int(offending[0])
    v = size[:, k]
    leading = [i for i in np.argsort(-v, kind="stable")[:NAMED] if v[i] >= LEADING * v.max()]
    which = (
        f"eigenvalue {eigenvalues[k]:.3g} ± {allowed[k]:.1g} of the Hessian scaled to unit diagonal, along "
        f"{', '.join(names[i] for i in leading)}"
    )
    if eigenvalues[k] < -allowed[k]:
        raise np.linalg.LinAlgError(f"the Hessian is not positive definite, so that x is no minimum: {which}")
    raise np.linalg.LinAlgError(
        f"the Hessian is undetermined at this accuracy: {which}; the data may not identify these parameters"
    )


def _doubts(fit: Fit, factor: float, size: Array, scaled: Array, inverse: Array, value: Array) -> list[str]:
    """Say where parameters stand on their bounds, and how far x is from the minimum of the model."""
    if not np.isfinite(fit.slope).all() or not factor > 0.0:
        return []
    slope, blur = fit.slope * size, fit.slope_bars * size
    doubts, free = [], np.ones(value.size, dtype=np.bool_)
    if fit.lower is not None and fit.upper is not None:
        pushed = np.abs(slope) - blur > FAR * np.sqrt(factor)
        at_lower = (fit.x - fit.lower <= ON_BOUND * value) & (slope > 0.0) & pushed
        at_upper = (fit.upper - fit.x <= ON_BOUND * value) & (slope < 0.0) & pushed
        free = ~(at_lower | at_upper)
        for i in np.flatnonzero(~free)[:NAMED]:
            side = "lower" if at_lower[i] else "upper"
            doubts.append(
                f"{fit.names[i]} stands on its {side} bound, beyond which f falls: its standard error means nothing; "
                "leave it out by `mask=`"
            )
    if not free.any():
        return doubts
    if not free.all():
        inverse = np.linalg.inv(scaled[np.ix_(free, free)])
    slope, blur = slope[free], blur[free]
    step = inverse @ slope
    square = float(slope @ step)
    bar = float(2.0 * np.abs(step) @ blur + blur @ np.abs(inverse) @ blur)
    if square - bar > FAR**2 * factor:
        alone = np.abs(step) / np.sqrt(np.diag(inverse))
        worst = int(np.flatnonzero(free)[int(np.argmax(alone))])
        doubts.append(
            f"x is not stationary: the minimum of the quadratic model is {np.sqrt(square / factor):.2g} standard "
            f"errors away, {fit.names[worst]} {alone.max() / np.sqrt(factor):.2g} of its own; minimise further"
        )
    return doubts
