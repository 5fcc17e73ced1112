"""Result types and statuses: what the public functions hand back."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["HessianResult", "HessianStatus", "StepResult", "StepStatus", "TaylorTerms"]

Floats = npt.NDArray[np.float64]


class HessianStatus(enum.Enum):
    """How a Hessian came out."""

    COMPLETE = "complete"
    NOT_FINITE = "not finite"


@dataclass(frozen=True, slots=True, eq=False)
class HessianResult:
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
    step : ndarray, shape (m,)
        Step of each axis; given as `abs_step` it repeats the result bit for bit.
    nfev, njev : int
        Evaluations of f and of its gradient.
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

    @property
    def success(self) -> bool:
        """Whether every entry of hess is a number."""
        return self.status is HessianStatus.COMPLETE

    @property
    def message(self) -> str:
        """The status in one sentence."""
        if self.missing:
            return f"{self.missing} entries are NaN: f was not finite at points they depend on"
        return "every entry was determined"

    def with_hess(self, hess: Floats) -> HessianResult:
        """Return the same result with hess held in another array."""
        return replace(self, hess=hess)


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


@dataclass(frozen=True, slots=True, eq=False)
class StepResult:
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
        return gauge if gauge.ndim else float(gauge)

    def __float__(self) -> float:
        if isinstance(self.step_length, np.ndarray):
            raise TypeError(f"a batch of {self.step_length.size} step lengths is no float: read step_length")
        return self.step_length
