"""Descent by the step length that minimises the Taylor model along -g, as a method for SciPy's minimize."""

from __future__ import annotations

import inspect
import math
import operator
import sys
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hessfast.algebra.vectors import dot, dot_difference, line_unit, norm
from hessfast.arguments import checked_length, checked_real
from hessfast.arithmetic import callers_state, quiet
from hessfast.calls.hessians import GivenHessian
from hessfast.calls.points import Product, Rows, Search
from hessfast.calls.run import drive
from hessfast.models.step_length import ScaledGradient, certify
from hessfast.problem import Problem, bind
from hessfast.resolution import SPECK
from hessfast.results import StepResult, StepStatus
from hessfast.scale import EPS

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

__all__ = ["minimize_taylor"]

Floats = npt.NDArray[np.float64]

VARIANTS = ("abb", "cauchy", "cauchy-bb", "relaxed")
# Slope fraction that a step must realise, as in SciPy's own line searches.
ARMIJO = 1e-4
# Relaxed steps are this part of the minimiser or more; (0.7, 1) halved the gradients that (0, 2) took.
RELAXED_FROM = 0.7
# BB2 against BB1: start, and factor of the adaptive threshold (Frassoldati, Zanni, Zanghirati 2008).
THRESHOLD, ADAPT = 0.5, 1.1
LATEST_BB2 = 6
GROWTH = 10.0
DOUBLINGS = 60


@quiet
def minimize_taylor(
    fun: Callable[..., float],
    x0: npt.ArrayLike,
    args: tuple[Any, ...] = (),
    jac: Callable[..., Any] | None = None,
    hess: Callable[..., Any] | None = None,
    hessp: Callable[..., Any] | None = None,
    bounds: object = None,
    constraints: object = (),
    callback: Callable[..., Any] | None = None,
    *,
    variant: str = "abb",
    gtol: float = 1e-5,
    tol: float | None = None,
    maxiter: int | None = None,
    max_step: float | None = None,
    memory: int | None = None,
    rng: np.random.Generator | int | None = 0,
    disp: bool = False,
    **unknown: object,
) -> OptimizeResult:
    """
    Minimise a function by descent along -g with certified step lengths.

    For ``scipy.optimize.minimize(fun, x0, jac=..., method=minimize_taylor, options={...})``.

    Parameters
    ----------
    fun, x0, args, callback
        As in `scipy.optimize.minimize`.
    jac : callable
        Gradient, ``jac(x, *args) -> (n,)``.
    hess, hessp : callable, optional
        Hessian, or Hessian-vector product ``hessp(x, v, *args)``, for the curvature along -g. Without them it is
        taken from one more gradient.
    bounds, constraints
        Refused.
    variant : {"abb", "cauchy", "cauchy-bb", "relaxed"}
        "cauchy": the model's minimiser gᵀg / gᵀHg in each step. "relaxed": a random part in (0.7, 1) of it,
        which breaks the zigzag [1]_. "cauchy-bb": the minimiser, then the same length once more [1]_. "abb":
        the minimiser that belongs to the step before, its curvature read from the two gradients that are
        known (Barzilai and Borwein's length [2]_), or the shortest of the latest sᵀy / yᵀy where that
        is much smaller [3]_; no gradient is spent on curvature but at the start and after negative curvature.
    gtol : float
        Stop where no component of g exceeds it. `tol` sets it too.
    maxiter : int, optional
        Default 200 n.
    max_step : float, optional
        Longest step length.
    memory : int, optional
        The safeguard compares f with the largest of so many latest values [4]_: 1 is plain Armijo. Default
        10, for "cauchy" and "relaxed" 1.
    rng : numpy.random.Generator or int
        Of "relaxed". The default gives the same path each time.
    disp : bool
        Print how it ended.

    Returns
    -------
    scipy.optimize.OptimizeResult
        With, beside SciPy's fields, `step_length` and `certificate` (a `StepStatus`) of the last step and
        `certificates`, how many steps each status had, by its value.

    Notes
    -----
    Each step -εg must satisfy f(x - εg) <= f_ref - 1e-4 ε gᵀg; it is cut by quadratic interpolation where it
    does not. Where the curvature is negative or not resolved the step is ten times the last one, doubled for
    as long as f falls. A step costs one gradient; "cauchy" and "relaxed" one more, "cauchy-bb" half of one.

    References
    ----------
    .. [1] M. Raydan, B. F. Svaiter, "Relaxed steepest descent and Cauchy-Barzilai-Borwein method",
       Computational Optimization and Applications 21 (2002).
    .. [2] J. Barzilai, J. M. Borwein, "Two-point step size gradient methods", IMA Journal of Numerical
       Analysis 8 (1988).
    .. [3] G. Frassoldati, L. Zanni, G. Zanghirati, "New adaptive stepsize selections in gradient methods",
       Journal of Industrial and Management Optimization 4 (2008): ABBmin.
    .. [4] L. Grippo, F. Lampariello, S. Lucidi, "A nonmonotone line search technique for Newton's method",
       SIAM Journal on Numerical Analysis 23 (1986).

    Examples
    --------
    >>> from scipy.optimize import minimize, rosen, rosen_der
    >>> from hessfast import minimize_taylor
    >>> result = minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=minimize_taylor)
    >>> result.success, result.x.round(4)
    (True, array([1., 1.]))
    """
    if bounds is not None or not (constraints is None or (isinstance(constraints, (tuple, list)) and not constraints)):
        raise ValueError("minimize_taylor takes neither bounds nor constraints")
    if not isinstance(variant, str) or variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, but it is {variant!r}")
    if not callable(fun):
        raise TypeError(f"fun must be a function, but it is {fun!r}")
    if not callable(jac):
        raise ValueError(
            "jac must be a function: minimize_taylor descends along the gradient; "
            "without one, jac=lambda x: hessfast.gradient(fun, x) takes it from values"
        )
    if unknown:
        from scipy.optimize import OptimizeWarning

        warnings.warn(f"unknown options: {', '.join(unknown)}", OptimizeWarning, stacklevel=4)
    for name, function in (("hess", hess), ("hessp", hessp), ("callback", callback)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} must be a function or None, but it is {function!r}")
    args = args if isinstance(args, tuple) else (args,)
    problem = bind(fun, x0, jac=jac, args=args)
    x = problem.x
    monotone = variant in ("cauchy", "relaxed")
    limit = checked_length(max_step, "max_step")
    descent = _Descent(
        x,
        None if hess is None and hessp is None else GivenHessian(hess, hessp, args),
        variant,
        reference=deque(maxlen=_count(memory, "memory", 1) or (1 if monotone else 10)),
        max_step=math.inf if limit is None else limit,
        rng=_generator(rng),
    )
    steps = _count(maxiter, "maxiter", 0)
    tolerance = _tolerance(gtol, "gtol") if tol is None else _tolerance(tol, "tol")
    search = descent.run(tolerance, 200 * x.size if steps is None else steps, _listener(callback))
    with problem:
        status, reason = drive(search, problem.fun, problem.jac, descent.hessian)
    result = descent.result(problem, status, reason)
    if disp:
        print(result.message)
        print(f"f {result.fun:.6g}, {result.nit} steps, {result.nfev} values, {result.njev} gradients")
    return result


def _tolerance(value: Any, name: str) -> float:
    """Return a tolerance: a real number >= 0."""
    tolerance = checked_real(value, name, finite=False)
    if tolerance.ndim or not tolerance >= 0.0:
        raise ValueError(f"{name} must be a number >= 0, but it is {value!r}")
    return float(tolerance)


def _count(value: Any, name: str, least: int) -> int | None:
    """Return a whole number that is at least `least`, or None."""
    if value is None:
        return None
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number or None, but it is {value!r}") from None
    if count < least:
        raise ValueError(f"{name} must be at least {least}, but it is {count}")
    return min(count, sys.maxsize)


def _generator(rng: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rng must be a Generator, a seed or None, but it is {rng!r}") from None


@dataclass(slots=True)
class _Descent:
    """The path: where it is, what the last step showed, and how the next length is chosen."""

    x: Floats
    hessian: GivenHessian | None
    variant: str
    reference: deque[float]
    max_step: float
    rng: np.random.Generator
    f: float = math.nan
    g: Floats = field(default_factory=lambda: np.empty(0))
    length: float = 0.0
    shown: StepResult | None = None
    latest: deque[float] = field(default_factory=lambda: deque(maxlen=LATEST_BB2))
    threshold: float = THRESHOLD
    certificates: dict[str, int] = field(default_factory=lambda: {status.value: 0 for status in StepStatus})
    certificate: StepStatus = StepStatus.FLAT
    nit: int = 0

    def run(self, gtol: float, maxiter: int, listen: Callable[[Floats, float], bool]) -> Search[tuple[int, str]]:
        """Step until the ground is flat; return how that ended, and why."""
        self.f, self.g = (yield from _value(self.x)), (yield from _gradient(self.x))
        if not (math.isfinite(self.f) and np.isfinite(self.g).all()):
            return 4, "f or its gradient is not finite at x0"
        self.reference.append(self.f)
        while float(np.abs(self.g).max()) > gtol:
            if self.nit >= maxiter:
                return 1, "the number of iterations is exhausted"
            length, self.certificate = yield from self._next()
            falling = self.certificate in (StepStatus.NEGATIVE_CURVATURE, StepStatus.UNRESOLVED)
            length, f = yield from self._safeguard(length)
            if falling and length > 0.0:
                length, f = yield from self._expand(length, f)
            if length == 0.0:
                return 2, "no step along -g lowers f beyond its rounding"
            if not math.isfinite(f):
                return 3, "f falls without bound"
            if not (yield from self._move(length, f)):
                return 4, "the gradient is not finite at x"
            if listen(self.x, self.f):
                return 99, "the callback stopped the descent"
        return 0, f"no component of the gradient exceeds {gtol:g}"

    def _next(self) -> Search[tuple[float, StepStatus]]:
        """Choose the next length by the variant's rule, with its certificate."""
        if self.variant == "abb" and self.shown is not None and self.shown.status is StepStatus.DESCENT:
            return min(self._adaptive(float(self.shown)), self.max_step), StepStatus.DESCENT
        if self.variant == "cauchy-bb" and self.nit % 2 and self.certificate is StepStatus.DESCENT:
            return self.length, StepStatus.DESCENT
        step = _judge(self.g, *(yield from self._curvature()))
        assert isinstance(step.status, StepStatus)
        if step.status is StepStatus.DESCENT:
            part = self.rng.uniform(RELAXED_FROM, 1.0) if self.variant == "relaxed" else 1.0
            return min(part * float(step), self.max_step), step.status
        # Before any step, one of a tenth of x's own size.
        first = 0.1 * max(norm(self.x), 1.0) / norm(self.g)
        return min(GROWTH * self.length or first, self.max_step), step.status

    def _curvature(self) -> Search[tuple[float, float]]:
        """
        Return gᵀHg and its error bar.

        From gradients by a forward difference, near sqrt(eps) of the line's natural unit: some seven digits, where a
        step length needs one or two. What is next to zero beside the other coordinates says nothing of that unit.
        """
        x, g = self.x, self.g
        if self.hessian is not None:
            Hg = yield Product(x, g)
            return float(g @ Hg), 4.0 * EPS * float(np.abs(g) @ np.abs(Hg))
        sizes = np.abs(x)
        h = math.sqrt(EPS) * line_unit(np.where(sizes > SPECK * sizes.max(), x, 0.0), g)
        behind = yield from _gradient(x - h * g)
        return dot_difference(g, g, behind) / h, 4.0 * EPS * dot(g, g) / h

    def _adaptive(self, bb1: float) -> float:
        """Choose between BB1 and the shortest of the latest BB2: the smaller BB2 / BB1, the more g lies across."""
        if self.latest[-1] < self.threshold * bb1:
            self.threshold /= ADAPT
            return min(self.latest)
        self.threshold *= ADAPT
        return bb1

    def _safeguard(self, length: float) -> Search[tuple[float, float]]:
        """
        Cut the step until f satisfies Armijo's rule against the reference; (0, f) where none does.

        The rounding of f is forgiven to the first length alone: forgiven to cut ones it would let f creep uphill.
        """
        gg, rounding = float(self.g @ self.g), 4.0 * EPS * abs(self.f)
        ceiling = max(self.reference) + rounding
        while True:
            f = yield from self._at(length)
            if f <= ceiling - ARMIJO * length * gg:
                return length, f
            ceiling = max(self.reference)
            if length * gg <= rounding or length == 0.0:
                return 0.0, self.f
            # Least of the parabola through f, its slope -gᵀg and the value just found.
            rise = f - self.f + length * gg
            parabola = 0.5 * length * length * gg / rise if math.isfinite(rise) and rise > 0.0 else 0.0
            length = min(max(parabola, 0.1 * length), 0.5 * length)

    def _expand(self, length: float, f: float) -> Search[tuple[float, float]]:
        """Double the step while f falls; f = -inf where it never ends."""
        for _ in range(DOUBLINGS):
            longer = min(2.0 * length, self.max_step)
            further = (yield from self._at(longer)) if longer > length else math.inf
            if not further < f:
                return length, f
            length, f = longer, further
        return length, -math.inf

    def _at(self, length: float) -> Search[float]:
        f = yield from _value(self.x - length * self.g)
        return math.inf if math.isnan(f) else f

    def _move(self, length: float, f: float) -> Search[bool]:
        """Go there and read the curvature of the step from the two gradients; False where the new one is not finite."""
        x = self.x - length * self.g
        g = yield from _gradient(x)
        if not np.isfinite(g).all():
            return False
        if self.variant == "abb":
            y = self.g - g
            self.shown = _judge(self.g, float(self.g @ y) / length, 4.0 * EPS * float(self.g @ self.g) / length)
            yy = float(y @ y)
            if self.shown.status is StepStatus.DESCENT and yy > 0.0:
                self.latest.append(length * float(self.g @ y) / yy)
        self.x, self.f, self.g, self.length = x, f, g, length
        self.reference.append(f)
        self.certificates[self.certificate.value] += 1
        self.nit += 1
        return True

    def result(self, problem: Problem, status: int, reason: str) -> OptimizeResult:
        """Say where the path ended, how, and what it cost."""
        from scipy.optimize import OptimizeResult

        last = f"; in the last step {self.certificate.message}" if self.nit else ""
        return OptimizeResult(
            x=self.x,
            fun=self.f,
            jac=self.g,
            nit=self.nit,
            nfev=problem.nfev,
            njev=problem.njev,
            nhev=0 if self.hessian is None else self.hessian.nfev,
            status=status,
            success=status == 0,
            message=reason + last,
            step_length=self.length,
            certificate=self.certificate,
            certificates=self.certificates,
        )


def _value(x: Floats) -> Search[float]:
    values = yield Rows(x[None, :])
    return float(values[0])


def _gradient(x: Floats) -> Search[Floats]:
    values = yield Rows(x[None, :], of="jac")
    return np.asarray(values[0])


def _judge(g: Floats, D: float, bar: float) -> StepResult:
    """Certify the step length of curvature D ± bar; a curvature that is not finite is not resolved."""
    if not math.isfinite(D):
        D, bar = 0.0, math.inf
    gradient = ScaledGradient.of(g)
    return certify(gradient, gradient.scaled(D), gradient.scaled(bar), max_step=math.inf)


def _listener(callback: Callable[..., Any] | None) -> Callable[[Floats, float], bool]:
    """Wrap SciPy's two kinds of callback: True where it asks to stop."""
    if callback is None:
        return lambda x, f: False
    from scipy.optimize import OptimizeResult

    named = set(inspect.signature(callback).parameters) == {"intermediate_result"}

    def listen(x: Floats, f: float) -> bool:
        try:
            with callers_state():
                if named:
                    callback(intermediate_result=OptimizeResult(x=x.copy(), fun=f))
                else:
                    callback(x.copy())
        except StopIteration:
            return True
        return False

    return listen
