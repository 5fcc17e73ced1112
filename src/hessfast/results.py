"""Result types and statuses: what the public functions hand back."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hessfast.alarms import AccuracyWarning, alarm
from hessfast.covariance import Fit, Objective, StandardErrors, covariance_factor, standard_errors
from hessfast.listing import Listed
from hessfast.resolution import (
    NAMED,
    Natural,
    Worst,
    all_known,
    entries,
    hessian_scale,
    natural_sizes,
    places,
    resolved_along,
    resolved_rows,
    sum_rows,
    unknown_entries,
)

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
    "judge_aloud",
]

Floats = npt.NDArray[np.float64]

VAGUE = 0.01
"""Bar of a resolved entry, in units of what it may be, that is worth a word: fewer than three digits."""

NOISY = 64.0
"""Noise of f, in units of its rounding, from which it is the reason for what is not known."""


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
    """Looks that check what was found: for roughness of f, or six levels below the steps chosen."""

    @classmethod
    def of(cls, spent: Mapping[Any, int]) -> EvaluationCounts:
        """Read counts by name."""
        return cls(*(spent.get(name, 0) for name in cls._fields))


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
    resolved : ndarray of bool, shape (m,), or None
        Which entries are known: to a tenth of themselves, or so well that what is not known of them cannot change f,
        over the coordinate's own size, by a thousandth of what is known to change. None where steps were given.
    step, one_sided, order, noise, nfev, evaluations, lane, status, missing, unresolved, labels
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
    resolved: npt.NDArray[np.bool_] | None = None
    unresolved: int = 0
    labels: tuple[Any, ...] | None = None

    @property
    def success(self) -> bool:
        """Whether the status is COMPLETE, or UNVERIFIED."""
        return self.status.success

    @property
    def message(self) -> str:
        """The status in one sentence, with the entries that are not known."""
        lost = np.flatnonzero(~np.isfinite(self.value))[:NAMED] if self.missing else ()
        worst = self._worst() if self.unresolved else ()
        return _outcome(self, self.value.size, places([(i,) for i in lost], self.labels), worst)

    def judged(
        self,
        change: Floats,
        u: Floats,
        derivative: int,
        *,
        random: bool = False,
        drifted: bool = False,
        rough: bool = False,
    ) -> AxisDerivatives:
        """Return the same result with its status, from its bars and from what was seen of f.

        `change` is the largest change of f known to come with a move of each coordinate by its size u.
        """
        assert self.error is not None
        resolved = resolved_along(self.value, self.error, change, self.fun, u, derivative, self.order)
        count = int(np.count_nonzero(~resolved))
        status = _status(self.missing > 0, random, drifted, rough and count > 0, count > 0)
        return replace(self, status=status, resolved=resolved, unresolved=count)

    def _worst(self) -> tuple[Worst, ...]:
        """Entries that are not known, those with the largest bars for their size first."""
        assert self.error is not None
        assert self.resolved is not None
        with np.errstate(all="ignore"):
            doubt = np.where(self.resolved | ~np.isfinite(self.value), -1.0, self.error / np.abs(self.value))
        order = np.argsort(-np.nan_to_num(doubt, nan=np.inf), kind="stable")[:NAMED]
        return tuple(Worst((int(i),), float(self.value[i]), float(self.error[i])) for i in order if not doubt[i] < 0.0)


def _status(*applies: bool) -> HessianStatus:
    """Return the first status that applies, of those that speak against numbers, in their order."""
    return next(
        (status for status, applying in zip(HessianStatus, applies, strict=False) if applying), HessianStatus.COMPLETE
    )


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
    unresolved : int
        Entries of hess that are not known, those that are NaN included; 0 where steps were given.
    sizes : ndarray, shape (m,), or None
        Sizes of the coordinates: those given by `x_scale`, else as the search took them, |x_i| where that is one. None
        where neither is there.
    lower, upper : ndarray, shape (m,), or None
        Bounds of the coordinates, where there are any.
    labels : tuple or None
        Labels of the coordinates that the rows and columns belong to, where x0 had any.
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
    unresolved: int = 0
    sizes: Floats | None = None
    lower: Floats | None = None
    upper: Floats | None = None
    labels: tuple[Any, ...] | None = None

    @property
    def success(self) -> bool:
        """Whether the status is COMPLETE, or UNVERIFIED."""
        return self.status.success

    @property
    def message(self) -> str:
        """The status in one sentence, with the entries that are not known, and how many are vague.

        Vague ones are resolved, but would not be if they had to be known a hundred times as well.
        """
        lost = np.argwhere(np.tril(~np.isfinite(self.hess)))[:NAMED].tolist() if self.missing else ()
        worst = self._unknown()[1] if self.unresolved else ()
        said = _outcome(self, self.hess.size, places([tuple(place) for place in lost], self.labels), worst)
        vague = self._vague() if self.status is HessianStatus.COMPLETE else 0
        return said + (f", {vague} of {self.hess.size} to fewer than three digits" if vague else "")

    @property
    def resolved(self) -> npt.NDArray[np.bool_] | None:
        """
        Which entries are known, ndarray of bool of shape (m, m); None where steps were given.

        Notes
        -----
        Those whose bar B_ij is at most a tenth of |H_ij| or of sqrt|H_ii H_jj|; and those where what is not known
        cannot matter, B_ij u_i u_j ≤ 1e-3 sqrt(V_i V_j). There u_i is the size of a coordinate, V_i the largest change
        of f known to come with a move by it: max(|g_i| u_i, max_j |H_ij| u_i u_j), or at least 2⁻²⁶ |f| (2⁻¹⁸ at order
        2, 2⁻¹² at order 1) and 2⁻¹⁶ of the largest V_j (2⁻¹² at order 1). So is a 0 that is right.
        """
        parts = self._parts()
        if not parts:
            return None
        resolved = np.empty(self.hess.shape, dtype=np.bool_)
        for rows, excess in resolved_rows(self.hess, parts, self._scale(parts)):
            np.less_equal(excess, 1.0, out=resolved[rows])
        return resolved

    def _parts(self) -> tuple[Floats, ...]:
        """Error bars, or the parts that sum to them; nothing where steps were given."""
        parts = (self.truncation_error, self.condition_error) if self.hess_error is None else (self.hess_error,)
        return tuple(part for part in parts if part is not None)

    def _scale(self, parts: tuple[Floats, ...]) -> Natural:
        u = natural_sizes(self.x, self.index, self.step, self.sizes)
        with np.errstate(all="ignore"):
            slope = np.abs(self.jac) - (0.0 if self.jac_error is None else self.jac_error)
        return hessian_scale(self.hess, parts, slope, self.fun, u, self.order)

    def _unknown(self) -> tuple[int, tuple[Worst, ...]]:
        """Entries that are not known, how many and the worst."""
        parts = self._parts()
        if not parts or all_known(self.hess, parts):
            return 0, ()
        return unknown_entries(self.hess, parts, self._scale(parts))

    def judged(self, *, random: bool = False, drifted: bool = False, rough: bool = False) -> HessianResult:
        """Return the same result with its status, from its bars and from what was seen of f."""
        count = self._unknown()[0]
        status = _status(self.missing > 0, random, drifted, rough and count > 0, count > 0)
        if status is HessianStatus.COMPLETE and not self._parts():
            status = HessianStatus.UNVERIFIED
        return replace(self, status=status, unresolved=count)

    def _vague(self) -> int:
        """Entries that would not be resolved if they had to be known a hundred times as well."""
        parts = self._parts()
        if not parts:
            return 0
        return sum(
            int(np.count_nonzero(excess > VAGUE)) for _, excess in resolved_rows(self.hess, parts, self._scale(parts))
        )

    def with_hess(self, hess: Floats) -> HessianResult:
        """Return the same result with hess held in another array."""
        return replace(self, hess=hess)

    def with_bars(self) -> HessianResult:
        """Return the same result with the error parts summed."""
        if self.truncation_error is None or self.condition_error is None:
            return self
        return replace(self, hess_error=self.truncation_error + self.condition_error)

    def standard_errors(self, objective: Objective = "nll", observations: int | None = None) -> StandardErrors:
        """
        Standard errors of the parameters that minimise an objective.

        Parameters
        ----------
        objective : {"nll", "chi2", "rss"}
            What f is: -log L, with the covariance H⁻¹; χ², with 2 H⁻¹; or a residual sum of squares, with
            2 f(x) / (observations - m) H⁻¹.
        observations : int, optional
            Their number, for "rss".

        Returns
        -------
        StandardErrors
            `value`, the roots of the diagonal of the covariance, and `error`, both of shape (m,); `error` is nan where
            the Hessian has no error bars.

        Raises
        ------
        numpy.linalg.LinAlgError
            H is not positive definite: x is no minimum. Or an eigenvalue is not positive beyond its bar: H is
            undetermined at this accuracy, perhaps because the data do not identify every parameter. The eigenvalue and
            the parameters along its vector are named.
        ValueError, TypeError
            Naming the argument.

        Warns
        -----
        AccuracyWarning
            x is more than a tenth of a standard error from the minimum of the quadratic model, beyond the bar of the
            gradient: sqrt(gᵀH⁻¹g) in units of the standard errors. A parameter stands on its bound and f falls beyond
            it. A standard error is less than ten of its own bars.

        Notes
        -----
        H is scaled to unit diagonal before it is inverted. To first order an error E of H changes C = H⁻¹ by -C E C,
        hence |ΔC_ii| ≤ (|C| |E| |C|)_ii, and the standard error by half of that, relatively.
        """
        factor = covariance_factor(objective, self.fun, observations, len(self.hess))
        names = [f"x[{i}]" for i in self.index] if self.labels is None else [str(label) for label in self.labels]
        parts = self._parts()
        fit = Fit(
            x=self.x[self.index],
            hess=self.hess,
            bars=sum_rows(parts, slice(None)) if parts else None,
            slope=self.jac,
            slope_bars=np.zeros_like(self.jac) if self.jac_error is None else self.jac_error,
            lower=self.lower,
            upper=self.upper,
            names=names,
        )
        return standard_errors(fit, factor)


Derivatives = AxisDerivatives | HessianResult


def _outcome(result: Derivatives, size: int, lost: str, worst: tuple[Worst, ...]) -> str:
    """Spell a status: what was seen, how many entries are not known, and the worst of them."""
    f = _subject(result)
    missing, unknown = result.missing, result.unresolved - result.missing
    said = {
        HessianStatus.NOT_FINITE: f"{_entries_are(missing)} NaN: {f} was not finite at points needed for {lost}",
        HessianStatus.RANDOM: f"{f} answers differently each time at the same point, by more than its noise",
        HessianStatus.DRIFTED: f"{f}(x) changed during the run by more than its noise: it depends on more than x",
        HessianStatus.ROUGH: f"{f} has other derivatives at short steps than at long ones; the bars cover both",
        HessianStatus.COMPLETE: "every entry was determined",
        HessianStatus.UNVERIFIED: "steps were given: nothing is known of the errors",
    }.get(result.status)
    if unknown <= 0 or result.status is HessianStatus.COMPLETE:
        return said or "not every entry is known"
    which = f"{'the worst, ' if unknown > 1 else ''}{entries(worst, result.labels)}"
    count = f"{_entries_are(unknown, size)} not known: {which}"
    return f"{said}; {count}" if said else count


def _subject(result: Derivatives) -> str:
    return "jac" if isinstance(result, HessianResult) and result.njev else "f"


def _entries_are(count: int, size: int | None = None) -> str:
    of = "" if size is None else f" of {size}"
    noun = "entry" if count == 1 and size in (None, 1) else "entries"
    return f"{count}{of} {noun} {'is' if count == 1 else 'are'}"


def _advice(result: Derivatives) -> str:
    """Say what to do, by status."""
    f = _subject(result)
    if result.status is HessianStatus.NOT_FINITE:
        return f"`bounds=` keep {f} where it is defined, `mask=` leaves coordinates out"
    if result.status is HessianStatus.RANDOM:
        return f"fix the random numbers of {f}, or give its standard deviation as `noise=`"
    if result.status is HessianStatus.DRIFTED:
        return f"{f} must not remember earlier calls"
    if result.status is HessianStatus.ROUGH:
        return "`noise=`, the height of the roughness, asks for the smooth derivative, a short given step for the other"
    gradient = "" if f == "jac" else ", or give a gradient as `jac=`"
    if result.noise > NOISY * np.finfo(np.float64).eps * _magnitude(result):
        return (
            f"{f} seems to have noise of {result.noise:.1g}: compute it more exactly (tighter tolerances, fixed random "
            f"numbers){gradient}; `noise=` where that is not so; a kink of {f} at x looks alike"
        )
    return (
        f"`noise=` where {f} is rougher than it looks, `x_scale=` where |x| says little of the sizes of coordinates, "
        f"`bounds=` where {f} is smooth within them only{gradient}"
    )


def _magnitude(result: Derivatives) -> float:
    """How large the numbers are whose noise was measured."""
    if isinstance(result, HessianResult) and result.njev:
        return float(np.fmax.reduce(np.abs(result.jac), initial=0.0))
    return abs(result.fun)


def judge_aloud(where: str, result: Derivatives) -> None:
    """Warn of what is not known."""
    if not result.success:
        alarm(where, f"{result.message}; {_advice(result)}")


class CurvatureStatus(enum.Enum):
    """What is certain about vᵀHv."""

    POSITIVE = "positive"
    NEGATIVE = "negative"
    UNRESOLVED = "unresolved"
    UNVERIFIED = "unverified"
    NOT_FINITE = "not finite"
    RANDOM = "random"
    ROUGH = "rough"

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
    CurvatureStatus.RANDOM: "the function answers differently each time at one point, by more than its noise",
    CurvatureStatus.ROUGH: "the function has another curvature at short steps than at long ones: the bar covers both",
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
    resolved
        Whether value is known: to a tenth of itself, or so well that what is not known of it cannot change f, over the
        natural unit of the line, by a thousandth of what is known to change. A 0 that is right is known, though its
        sign is not. An array of bool for a batch.
    """

    value: float | Floats
    error: float | Floats
    step: float | Floats
    nfev: int
    njev: int
    status: CurvatureStatus | npt.NDArray[np.object_]
    resolved: bool | npt.NDArray[np.bool_] = True

    @property
    def success(self) -> bool:
        """Whether every value is known, finite and that of a function of x alone."""
        lost = (CurvatureStatus.NOT_FINITE, CurvatureStatus.RANDOM, CurvatureStatus.ROUGH)
        return bool(np.all(self.resolved)) and not any(status in lost for status in np.ravel(np.array(self.status)))

    @property
    def message(self) -> str:
        """The status in one sentence; for a batch, how often each came out."""
        if isinstance(self.status, CurvatureStatus):
            unknown = "" if self.resolved or self.success else ", and it is known to less than one digit"
            return self.status.message + (unknown if math.isfinite(float(np.max(self.error))) else "")
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
