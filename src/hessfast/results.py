"""Result types and statuses: what the public functions hand back."""

from __future__ import annotations

import enum
import sys
import warnings
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hessfast.listing import Listed

__all__ = [
    "AccuracyWarning",
    "AxisDerivatives",
    "CurvatureResult",
    "CurvatureStatus",
    "EvaluationCounts",
    "HessianResult",
    "HessianStatus",
    "HvpResult",
    "StandardErrors",
    "StepResult",
    "StepStatus",
    "TaylorTerms",
    "alarm",
]

Floats = npt.NDArray[np.float64]


class AccuracyWarning(RuntimeWarning):
    """Numbers were returned that are not known to be right; the text says which, and what to do."""


def alarm(where: str, message: str) -> None:
    """
    Raise an `AccuracyWarning` that points at the line which called into this package.

    Parameters
    ----------
    where : str
        Public function that speaks.
    message : str
        What is not known, and what to do.
    """
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("hessfast."):
        level, frame = level + 1, frame.f_back
    warnings.warn(f"{where}: {message}", AccuracyWarning, stacklevel=level)


class HessianStatus(enum.Enum):
    """How derivatives came out; the first that applies."""

    NOT_FINITE = "not finite"
    RANDOM = "random"
    DRIFTED = "drifted"
    ROUGH = "rough"
    UNRESOLVED = "unresolved"
    COMPLETE = "complete"
    UNVERIFIED = "unverified"

    @property
    def success(self) -> bool:
        """Whether nothing speaks against the numbers: everything resolved, or steps given and nothing looked at."""
        return self in (HessianStatus.COMPLETE, HessianStatus.UNVERIFIED)


class EvaluationCounts(NamedTuple):
    """What evaluations were spent on; they sum to nfev (njev for a Hessian from gradients)."""

    origin: int = 0
    """f(x), and f(x) once more at the end where steps were searched."""
    noise: int = 0
    """Noise level of f."""
    axes: int = 0
    """Values along the axes: step search, verification, axis nodes of the stencil."""
    pairs: int = 0
    """The n² part."""
    refinement: int = 0
    """Pairs whose truncation showed."""
    calibration: int = 0
    """Pairs taken to the next order to check the error bars."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AxisDerivatives(Listed):
    """
    A derivative along each coordinate, with error bars.

    Attributes
    ----------
    x : ndarray, shape (n,)
        Where.
    index : ndarray of int, shape (m,)
        Coordinates of x that the entries belong to.
    fun : float
        f(x).
    value : ndarray, shape (m,)
        The gradient, or the diagonal of the Hessian; NaN where f was not finite.
    error, truncation_error, condition_error : ndarray, shape (m,), or None
        Error bar and its two parts. None where steps were given.
    step, one_sided, order, noise, nfev, evaluations, lane, status, missing
        As in `HessianResult`.
    """

    x: Floats
    index: npt.NDArray[np.int32]
    fun: float
    value: Floats
    error: Floats | None
    truncation_error: Floats | None
    condition_error: Floats | None
    step: Floats
    one_sided: npt.NDArray[np.bool_]
    order: int
    noise: float
    nfev: int
    evaluations: EvaluationCounts | None
    lane: str
    status: HessianStatus
    missing: int

    @property
    def success(self) -> bool:
        """Whether every entry is a number and f a function of x alone."""
        return self.status is HessianStatus.COMPLETE

    @property
    def message(self) -> str:
        """The status in one sentence."""
        return _outcome(self.status, self.missing)


def _outcome(status: HessianStatus, missing: int) -> str:
    if missing:
        return f"{missing} entries are NaN: f was not finite at points they depend on"
    if status is HessianStatus.DRIFTED:
        return "f(x) changed during the run by more than its noise: f is not a function of x alone"
    return "every entry was determined"


class StandardErrors(NamedTuple):
    """Standard errors and the error bars that the Hessian's bars leave in them."""

    value: Floats
    error: Floats


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HessianResult(Listed):
    """
    A Hessian and what was learnt with it.

    Attributes
    ----------
    x : ndarray, shape (n,)
        Where.
    index : ndarray of int, shape (m,)
        Coordinates of x that the rows and columns belong to.
    fun : float
        f(x); nan where only gradients were evaluated.
    jac : ndarray, shape (m,)
        Gradient, a by-product of the axis values.
    hess : ndarray, shape (m, m)
        The Hessian, exactly symmetric; NaN where f was not finite.
    hess_error : ndarray, shape (m, m), or None
        Error bar of each entry: `truncation_error + condition_error`. None where steps were given: nothing was then
        evaluated to learn it from.
    truncation_error, condition_error : ndarray, shape (m, m), or None
        What the formula leaves out; what the noise of f leaves in, cancellation and our own rounding included.
    jac_error : ndarray, shape (m,), or None
        Error bar of the gradient.
    step : ndarray, shape (m,)
        Step of each axis, negative where it points down from an edge; given as `abs_step` (with the same bounds) it
        repeats an unrefined result bit for bit.
    one_sided : ndarray of bool, shape (m,)
        Axes whose stencil lies on one side of x: at a bound, or where f was not finite on the other side.
    order : int
        Order of the error in the step.
    noise : float
        Noise level of f at x, as measured or given; nan where it was not needed.
    nfev, njev : int
        Evaluations of f and of its gradient.
    evaluations : EvaluationCounts or None
        What they were spent on, where steps were searched.
    refined : int
        Pairs that have a smaller step than their axes.
    lane : str
        How f was called: "native", "batched", "python" or "gradient".
    status : HessianStatus
        Whether every entry stands.
    missing : int
        Entries of hess that are NaN.
    """

    x: Floats
    index: npt.NDArray[np.int32]
    fun: float
    jac: Floats
    hess: Floats
    step: Floats
    nfev: int
    njev: int
    lane: str
    status: HessianStatus
    missing: int
    order: int = 4
    one_sided: npt.NDArray[np.bool_] | None = None
    hess_error: Floats | None = None
    truncation_error: Floats | None = None
    condition_error: Floats | None = None
    jac_error: Floats | None = None
    noise: float = np.nan
    evaluations: EvaluationCounts | None = None
    refined: int = 0

    @property
    def success(self) -> bool:
        """Whether every entry of hess is a number."""
        return self.status is HessianStatus.COMPLETE

    @property
    def message(self) -> str:
        """The status in one sentence, with how many entries are vague: their bars pass a thousandth of their scale."""
        vague = self._vague() if self.success else 0
        some = f", {vague} of {self.hess.size} to fewer than three digits" if vague else ""
        return _outcome(self.status, self.missing) + some

    def _vague(self) -> int:
        """Entries whose error bar exceeds a thousandth of the entry itself and of sqrt|H_ii H_jj|."""
        if self.hess_error is None:
            return 0
        size = np.sqrt(np.abs(np.diag(self.hess)))
        scale = np.maximum(np.abs(self.hess), np.multiply.outer(size, size))
        return int(np.count_nonzero(self.hess_error > 1e-3 * scale))

    def with_hess(self, hess: Floats) -> HessianResult:
        """Return the same result with hess held in another array."""
        return replace(self, hess=hess)

    def standard_errors(self, scale: float = 1.0) -> StandardErrors:
        """
        Standard errors of parameters at the minimum of an objective.

        Parameters
        ----------
        scale : float
            1 where f = -log L; 2 RSS / (observations - parameters) where f is a residual sum of squares RSS.

        Returns
        -------
        StandardErrors
            `value` = sqrt(diag(scale H⁻¹)) and `error`, both of shape (m,); `error` is nan where the Hessian has no
            error bars. A RuntimeWarning counts the values that do not exceed their own bar.

        Raises
        ------
        numpy.linalg.LinAlgError
            H is not positive definite: x is not a minimum, or some parameters are not identified.

        Notes
        -----
        H is scaled to unit diagonal before it is inverted. To first order an error E of H changes C = H⁻¹ by -C E C,
        hence |ΔC_ii| ≤ (|C| |E| |C|)_ii, and the standard error by half of that, relatively.
        """
        diagonal = np.diag(self.hess)
        if not (diagonal > 0.0).all():
            i = int(np.argmin(np.where(np.isfinite(diagonal), diagonal, -np.inf)))
            raise np.linalg.LinAlgError(f"the Hessian is not positive definite: entry [{i}, {i}] is {diagonal[i]:.3g}")
        size = 1.0 / np.sqrt(diagonal)
        scaled = self.hess * np.multiply.outer(size, size)
        smallest = float(np.linalg.eigvalsh(scaled)[0]) if np.isfinite(scaled).all() else np.nan
        if not smallest > 0.0:
            raise np.linalg.LinAlgError(
                f"the Hessian is not positive definite: its smallest scaled eigenvalue is {smallest:.3g}"
            )
        inverse = np.linalg.inv(scaled)
        variance = np.diag(inverse)
        value = np.sqrt(scale * variance) * size
        if self.hess_error is None:
            return StandardErrors(value, np.full_like(value, np.nan))
        spread = np.abs(inverse) @ (self.hess_error * np.multiply.outer(size, size)) @ np.abs(inverse)
        error = 0.5 * value * np.diag(spread) / variance
        lost = np.flatnonzero(~(error < value))
        if lost.size:
            warnings.warn(
                f"{lost.size} of {value.size} standard errors are not determined: the error bar of number {lost[0]}, "
                f"{error[lost[0]]:.2g}, is as large as itself",
                RuntimeWarning,
                stacklevel=2,
            )
        return StandardErrors(value, error)


class CurvatureStatus(enum.Enum):
    """What is certain about vᵀHv."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNRESOLVED = "unresolved"
    UNVERIFIED = "unverified"
    NOT_FINITE = "not finite"

    @property
    def message(self) -> str:
        """The status in one sentence."""
        return _CURVATURE_MESSAGES[self]


_CURVATURE_MESSAGES = {
    CurvatureStatus.POSITIVE: "the curvature is positive beyond its error bar",
    CurvatureStatus.NEGATIVE: "the curvature is negative beyond its error bar",
    CurvatureStatus.UNRESOLVED: "the curvature is below its own error bar: its sign is unknown",
    CurvatureStatus.UNVERIFIED: "one step was given and nothing else seen: the truncation error is unknown",
    CurvatureStatus.NOT_FINITE: "the function was not finite at any useful step",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class CurvatureResult(Listed):
    """
    The curvature vᵀHv along a direction with its error bar.

    The fields hold one number for one direction and an array with one entry a direction for a batch; the counts are
    those of the whole call.

    Attributes
    ----------
    value
        vᵀHv.
    error
        Bar on |value - vᵀHv|: truncation and condition part together; nan where a single step was given, which tells
        nothing of its truncation error.
    step
        Smallest step t of the points x0 ± t v that value was made from.
    nfev, njev : int
        Evaluations of f and of its gradient.
    status
        `CurvatureStatus`; an object array for a batch.
    """

    value: float | Floats
    error: float | Floats
    step: float | Floats
    nfev: int
    njev: int
    status: CurvatureStatus | npt.NDArray[np.object_]

    @property
    def message(self) -> str:
        """The status in one sentence; for a batch, how often each came out."""
        if isinstance(self.status, CurvatureStatus):
            return self.status.message
        counts = [(status, int(np.count_nonzero(self.status == status))) for status in CurvatureStatus]
        return ", ".join(f"{count} {status.value}" for status, count in counts if count)

    def __float__(self) -> float:
        if isinstance(self.value, np.ndarray):
            raise TypeError(f"a batch of {self.value.size} curvatures is no float: read value")
        return self.value

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.value, dtype=dtype)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HvpResult(Listed):
    """
    Hessian-vector products with a bar.

    Attributes
    ----------
    value : ndarray, shape (n,) or (n, k)
        H v.
    error : float or ndarray, shape (k,)
        Bar on the Euclidean norm of the error of each product; nan where a step was given.
    step : float or ndarray, shape (k,)
        Smallest step t of the points x0 ± t v that the products were made from.
    nfev, njev : int
        Evaluations of f and of its gradient.
    status : HessianStatus
        Of all products together, the first that applies.
    """

    value: Floats
    error: float | Floats
    step: float | Floats
    nfev: int
    njev: int
    status: HessianStatus

    @property
    def success(self) -> bool:
        """Whether the status is COMPLETE, or UNVERIFIED."""
        return self.status.success

    @property
    def message(self) -> str:
        """The status in one sentence."""
        return _PRODUCT_MESSAGES[self.status]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.value, dtype=dtype)


_PRODUCT_MESSAGES = {
    HessianStatus.NOT_FINITE: "the gradient was not finite at points that the product depends on",
    HessianStatus.RANDOM: "the gradient answers differently each time at one point",
    HessianStatus.DRIFTED: "the gradient at x0 changed during the run by more than its noise",
    HessianStatus.ROUGH: "differences at short steps and at long ones disagree beyond their bars",
    HessianStatus.UNRESOLVED: "the product is not known: its bar is as large as itself",
    HessianStatus.COMPLETE: "the product was determined",
    HessianStatus.UNVERIFIED: "a step was given and nothing else seen: the error is unknown",
}


class StepStatus(enum.Enum):
    """What is certain about the step length along -g."""

    DESCENT = "descent"
    FLAT = "flat"
    NEGATIVE_CURVATURE = "negative curvature"
    UNRESOLVED = "unresolved"

    @property
    def message(self) -> str:
        """The certificate in one sentence."""
        return _MESSAGES[self]


_MESSAGES = {
    StepStatus.DESCENT: "the curvature along -g is positive: the model has its minimum at the step length",
    StepStatus.FLAT: "the gradient vanishes or is below its own error: no direction of descent is resolved",
    StepStatus.NEGATIVE_CURVATURE: "the curvature along -g is not positive: the model falls without bound",
    StepStatus.UNRESOLVED: "the curvature along -g is below its own error bar: its sign is unknown",
}


class TaylorTerms(NamedTuple):
    """The three terms of the model at x0 - step_length * g; they sum to the model's value."""

    position: float | Floats
    """f0: where the model starts."""
    direction: float | Floats
    """-step_length gᵀg: the change expected from the slope."""
    curvature: float | Floats
    """step_length² gᵀHg / 2: the correction."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StepResult(Listed):
    """
    The step length along -g with its certificate.

    Each field is a scalar for one gradient and an array with one entry a gradient for a batch; there
    `status` is an object array of `StepStatus` and `interval` has shape (k, 2).

    Attributes
    ----------
    step_length
        gᵀg / gᵀHg where the status is DESCENT; inf (the model falls without bound) where it is
        NEGATIVE_CURVATURE; 0.0 where it is FLAT; nan where it is UNRESOLVED. Never above `max_step`
        where one was given, which also takes the place of inf and nan.
    status
        What is certain about `step_length`.
    interval
        Lower and upper end of `step_length` from the error bar of gᵀHg; the upper end is inf (or
        `max_step`) where that bar reaches zero curvature.
    curvature
        gᵀHg.
    predicted_decrease
        f0 minus the model's value at `step_length`.
    uphill_beyond
        The step length, twice the model's minimiser, beyond which the model lies above f0; inf for
        NEGATIVE_CURVATURE, nan for UNRESOLVED. `max_step` does not touch it.
    """

    step_length: float | Floats
    status: StepStatus | npt.NDArray[np.object_]
    interval: tuple[float, float] | Floats
    curvature: float | Floats
    predicted_decrease: float | Floats
    uphill_beyond: float | Floats

    @property
    def message(self) -> str:
        """The certificate in one sentence; for a batch, how often each status came out."""
        if isinstance(self.status, StepStatus):
            return self.status.message
        counts = [(status, int(np.count_nonzero(self.status == status))) for status in StepStatus]
        return ", ".join(f"{count} {status.value}" for status, count in counts if count)

    def gauge(self, step_length: npt.ArrayLike) -> Any:
        """
        Place a step length against the model's minimum.

        Parameters
        ----------
        step_length : array_like
            One step length, or any shape that broadcasts against the batch.

        Returns
        -------
        float or ndarray
            step_length / ε* - 1: -1 at the start, 0 at the minimum, +1 where the model is level with f0
            again. -1 throughout for NEGATIVE_CURVATURE (the minimum is infinitely far), 0 for FLAT (no
            step leaves x0), nan for UNRESOLVED.
        """
        minimiser = np.multiply(0.5, self.uphill_beyond)
        given = np.asarray(step_length, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            gauge = np.where(minimiser == 0.0, 0.0, given / minimiser - 1.0)
            gauge = np.where(np.isinf(minimiser) & ~np.isnan(given), -1.0, gauge)
        return gauge if gauge.ndim else float(gauge)

    def __float__(self) -> float:
        if isinstance(self.step_length, np.ndarray):
            raise TypeError(f"a batch of {self.step_length.size} step lengths is no float: read step_length")
        return self.step_length

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.step_length, dtype=dtype)
