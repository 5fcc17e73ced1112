"""The step length that minimises the second-order model along -g, and how certain it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hessfast.alarms import alarm
from hessfast.algebra.symmetric import SymmetricMatrix, as_symmetric
from hessfast.algebra.vectors import Vector, as_vector, dot
from hessfast.arguments import checked_bar, checked_length, checked_real, norm_bar, require_finite
from hessfast.results import CurvatureResult, StepResult, StepStatus

__all__ = ["ScaledGradient", "certify", "optimal_step"]

Floats = npt.NDArray[np.float64]


def optimal_step(
    g: npt.ArrayLike,
    H: object = None,
    *,
    gHg: npt.ArrayLike | CurvatureResult | None = None,
    error: npt.ArrayLike | None = None,
    g_error: npt.ArrayLike | None = None,
    max_step: float | None = None,
) -> StepResult:
    """
    Find the step length that minimises the second-order model along -g, and say how certain it is.

    Parameters
    ----------
    g : array_like, shape (n,) or (k, n)
        Gradient, or one gradient a row.
    H : optional
        Symmetric matrix: array (n, n), of which the lower triangle counts, stack (k, n, n), packed lower
        triangle, memmap, operator with `matvec` or `matmat`, or callable v -> Hv. Either `H` or `gHg`.
    gHg : float, array_like of shape (k,), or CurvatureResult, optional
        The curvature gᵀHg itself, found elsewhere; a `CurvatureResult` brings its error bar along.
    error : float or array_like, shape (k,), optional
        Absolute error bar of gᵀHg, what the error of g does to it included. Default: the rounding bound of its sum
        with `H`, 0 with `gHg`.
    g_error : float or array_like, shape (n,) or (k, n), optional
        Error bar of g: of its norm, or of each component. Default 0.
    max_step : float, optional
        Longest step length to return.

    Returns
    -------
    StepResult
        ``float(result)`` is the step length. Its status:

        DESCENT
            gᵀHg > 0: the step length gᵀg / gᵀHg is the model's minimiser along -g.
        FLAT
            g = 0, or |g| at or below `g_error`: 0.0.
        NEGATIVE_CURVATURE
            gᵀHg <= 0: the model falls without bound: inf, or `max_step`.
        UNRESOLVED
            |gᵀHg| below its error bar: `max_step`, or nan with a RuntimeWarning.

    Raises
    ------
    ValueError
        For NaN or inf in g, H or gHg, and for shapes that disagree.

    Notes
    -----
    f(x0 - s g) is modelled by f0 - s gᵀg + s² gᵀHg / 2, least at s = gᵀg / gᵀHg where gᵀHg > 0, and level
    with f0 again at twice that. g is scaled by a power of two first, so that gradients of 1e±160 neither
    overflow nor vanish. With error bars e of D = gᵀHg and b of |g| the interval is [(|g| - b)² / (D + e),
    (|g| + b)² / (D - e)].

    Examples
    --------
    >>> import numpy as np
    >>> from hessfast import optimal_step
    >>> step = optimal_step([1.0, 2.0], np.diag([1.0, 4.0]))
    >>> float(step), step.status.name
    (0.29411764705882354, 'DESCENT')
    >>> optimal_step([1.0, 2.0], np.diag([1.0, -4.0])).step_length
    inf
    """
    g = checked_real(g, "g", finite=False)
    if g.ndim not in (1, 2) or g.shape[-1] == 0:
        raise ValueError(f"g must have shape (n,) or (k, n), but it has {g.shape}")
    if (H is None) == (gHg is None):
        raise ValueError("give either H or gHg")
    limit = checked_length(max_step, "max_step")
    if isinstance(gHg, CurvatureResult):
        # A bar that could not be found, nan, leaves the value to stand by itself.
        error = np.nan_to_num(gHg.error, posinf=np.inf) if error is None else error
        gHg = gHg.value
    if g.ndim == 2:
        return _optimal_steps(g, H, gHg, error, g_error, limit)
    gradient = ScaledGradient.of(g)
    if H is not None:
        D, bar = gradient.curvature(as_symmetric(H, g.size))
    else:
        given = checked_real(gHg, "gHg")
        if given.ndim:
            raise ValueError(f"gHg must be a number to go with g of shape {g.shape}, but it has {given.shape}")
        D, bar = gradient.scaled(float(given)), 0.0
    if error is not None:
        bar = gradient.scaled(checked_bar(error, "error", ()))
    return certify(gradient, D, bar, None if g_error is None else norm_bar(g_error, g.shape), limit)


@dataclass(frozen=True, slots=True)
class ScaledGradient:
    """A gradient as 2^exponent times a vector whose square neither overflows nor vanishes."""

    vector: Vector
    exponent: int
    square: float

    @classmethod
    def of(cls, g: npt.ArrayLike) -> ScaledGradient:
        """Scale g where it must be; the sum of squares says so, and finds NaN and inf, in one pass."""
        vector = as_vector(g)
        square = dot(vector, vector)
        if 1e-30 < square < 1e30:  # gᵀHg too stays in range, unless H itself nears its end
            return cls(vector, 0, square)
        largest = float(max(vector.max(), -vector.min()))
        require_finite("g", largest)
        exponent = math.frexp(largest)[1]
        with np.errstate(under="ignore"):
            vector = np.ldexp(vector.astype(np.float64), -exponent)
        return cls(vector, exponent, dot(vector, vector))

    @property
    def norm(self) -> float:
        """Euclidean norm of the gradient itself."""
        return _ldexp(math.sqrt(self.square), self.exponent)

    def scaled(self, form: float) -> float:
        """Scale a quadratic form of the gradient to one of the vector."""
        return _ldexp(form, -2 * self.exponent)

    def unscaled(self, form: float) -> float:
        """Scale a quadratic form of the vector to one of the gradient."""
        return _ldexp(form, 2 * self.exponent)

    def curvature(self, H: SymmetricMatrix) -> tuple[float, float]:
        """Return the quadratic form of the vector and the rounding bound of its sum."""
        value, bound = H.quadratic_form(np.asarray(self.vector, dtype=np.float64)[None])
        D = float(value[0])
        if not math.isfinite(D):
            raise ValueError(NOT_FINITE)
        return D, float(bound[0])


NOT_FINITE = "H must be finite and gᵀHg within float64, but gᵀHg came out as NaN or inf"


def certify(
    gradient: ScaledGradient, D: float, bar: float, g_error: float | None = None, max_step: float | None = None
) -> StepResult:
    """
    Judge the direction -g from its curvature.

    Parameters
    ----------
    D, bar
        Quadratic form of the scaled gradient, and its error bar.
    g_error
        Error bar of |g|.
    """
    gg = gradient.square
    limit = math.inf if max_step is None else max_step
    length, length_bar = math.sqrt(gg), _ldexp(g_error or 0.0, -gradient.exponent)
    shortest = gg - length_bar * (2.0 * length - length_bar) if length > length_bar else 0.0
    lowest = shortest / (D + bar) if D + bar > 0.0 else math.inf
    highest = (gg + length_bar * (2.0 * length + length_bar)) / (D - bar) if D - bar > 0.0 else math.inf
    if gg == 0.0 or (g_error is not None and gradient.norm <= g_error):
        status, minimiser, lowest, highest = StepStatus.FLAT, 0.0, 0.0, 0.0
    elif abs(D) < bar:
        status, minimiser = StepStatus.UNRESOLVED, math.nan
    elif D > 0.0:
        status, minimiser = StepStatus.DESCENT, gg / D
    else:
        status, minimiser = StepStatus.NEGATIVE_CURVATURE, math.inf
    step = min(minimiser, limit)
    if status is StepStatus.UNRESOLVED:
        step = math.nan if max_step is None else max_step
        if max_step is None:
            _warn_unresolved(1, 1)
    correction = 0.5 * step * D if D else 0.0
    decrease = 0.5 * step * gg if step == minimiser and D > 0.0 else step * (gg - correction)
    return StepResult(
        step_length=step,
        status=status,
        interval=(min(lowest, limit), min(highest, limit)),
        curvature=gradient.unscaled(D),
        predicted_decrease=gradient.unscaled(decrease),
        uphill_beyond=2.0 * minimiser,
    )


def _optimal_steps(g: Vector, H: object, gHg: Any, error: Any, g_error: Any, max_step: float | None) -> StepResult:
    """Judge a batch: `certify` on arrays."""
    require_finite("g", g)
    k, n = g.shape
    G = g.astype(np.float64)
    exponent = np.frexp(np.abs(G).max(axis=1))[1].astype(np.int64)
    with np.errstate(all="ignore"):
        G = np.ldexp(G, -exponent[:, None])
        gg = np.asarray((G * G).sum(axis=1))
    if H is not None:
        D, bar = as_symmetric(H, n, batch=k).quadratic_form(G)
        if not np.isfinite(D).all():
            raise ValueError(NOT_FINITE)
    else:
        given = checked_real(gHg, "gHg")
        if given.shape not in ((), (k,)):
            raise ValueError(f"gHg must have shape ({k},) to go with g, but it has {given.shape}")
        with np.errstate(all="ignore"):
            D, bar = np.ldexp(np.broadcast_to(given, k), -2 * exponent), np.zeros(k)
    with np.errstate(all="ignore"):
        if error is not None:
            bar = np.ldexp(np.broadcast_to(checked_bar(error, "error", (k,)), k), -2 * exponent)
        flat = gg == 0.0
        length, length_bar = np.sqrt(gg), np.zeros(k)
        if g_error is not None:
            length_bar = np.ldexp(np.broadcast_to(norm_bar(g_error, g.shape), k), -exponent)
            flat |= length <= length_bar
        unresolved = ~flat & (np.abs(D) < bar)
        negative = ~flat & ~unresolved & (D <= 0.0)
        minimiser = np.where(flat, 0.0, np.where(unresolved, np.nan, np.where(negative, np.inf, gg / D)))
        shortest = np.where(length > length_bar, gg - length_bar * (2.0 * length - length_bar), 0.0)
        squares = shortest, gg + length_bar * (2.0 * length + length_bar)
        ends = [np.where(c > 0.0, a / c, np.inf) for a, c in zip(squares, (D + bar, D - bar), strict=True)]
        interval = np.where(flat[:, None], 0.0, np.stack(ends, axis=1))
        limit = np.inf if max_step is None else max_step
        step = np.minimum(minimiser, limit) if max_step is None else np.fmin(minimiser, limit)
        correction = np.where(D == 0.0, 0.0, 0.5 * step * D)
        decrease = np.where((step == minimiser) & (D > 0.0), 0.5 * step * gg, step * (gg - correction))
        decrease = np.ldexp(decrease, 2 * exponent)
        curvature = np.ldexp(D, 2 * exponent)
        uphill = 2.0 * minimiser
    status = np.full(k, StepStatus.DESCENT, dtype=object)
    status[flat] = StepStatus.FLAT
    status[unresolved] = StepStatus.UNRESOLVED
    status[negative] = StepStatus.NEGATIVE_CURVATURE
    if max_step is None and unresolved.any():
        _warn_unresolved(int(unresolved.sum()), k)
    return StepResult(step, status, np.minimum(interval, limit), curvature, decrease, uphill)


def _warn_unresolved(count: int, k: int) -> None:
    alarm(
        "optimal_step",
        f"gᵀHg is below its own error bar in {count} of {k} directions: no step length there; give max_step, "
        "or a smaller error",
    )


def _ldexp(value: float, exponent: int) -> float:
    """Return value 2^exponent, inf where that overflows."""
    if exponent == 0:
        return value
    try:
        return math.ldexp(value, exponent)
    except OverflowError:
        return math.copysign(math.inf, value)
