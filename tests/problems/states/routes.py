"""Every way to ask for curvature, and the judgement of what comes back.

A number is *wrong* where it is off by more than 1e-3 of its natural scale, √(D_i D_j) for H_ij (`State.scales`), or by
more than 30 (ν / V)^p where the noise ν of f leaves more than that at the order: p is m/(m+2) from values, m/(m+1) from
gradients, V the change of f by its curvature within reach. More than 0.3 is wrong whatever the noise. States that are
not smooth are judged by their bars and by that.
It is *outside* where it is off by more than three bars; *silent* where it is wrong or outside and neither a status nor
a warning says so; a *false alarm* where all of a result is right, inside its bars, and something says otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import hessfast
from hessfast.values.stencils import ORDERS
from problems.states.state import EPS, Floats, State

LIMIT = 1e-3
REACH = 30.0
GROSS = 0.3
ROUNDING = 4 * EPS  # of the natural scale: what no bar has to cover


@dataclass(frozen=True, eq=False)
class Answer:
    """Numbers that one call gave, the truth, and what is known of their errors."""

    value: Any
    truth: Any
    scale: Any
    limit: Any
    bar: Any = None  # of each number; a single one on several is a bar on the Euclidean norm of their errors
    slack: Any = 0.0
    loud: bool = False  # its status is not success, or a warning came with it
    alarm: bool = False  # the same, but for what is only said of the sign


@dataclass(frozen=True)
class Verdict:
    """One run of a route on a state."""

    wrong: bool
    outside: bool
    loud: bool
    silent: bool
    false_alarm: bool
    error: float  # largest, in natural scales
    limit: float  # largest
    evaluations: int
    inside: int  # entries within their bars
    barred: int  # entries with a bar
    raised: str = ""


def failed(why: str, evaluations: int) -> Verdict:
    """Return the verdict on a run that an exception ended."""
    return Verdict(False, False, True, False, False, np.inf, LIMIT, evaluations, 0, 0, why)


class Counted:
    """A function that counts its calls."""

    def __init__(self, fun: Callable[[Any], Any] | None) -> None:
        self.fun, self.calls = fun, 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return self.fun(x)  # type: ignore[misc]


def reach(s: State, p: float, gradients: bool) -> Floats:
    """Return (n,) the share of its natural scale that noise leaves in each diagonal entry, or LIMIT."""
    with np.errstate(all="ignore"):
        if gradients:
            size = np.maximum(np.abs(s.x0), s.lengths)
            noise = (s.gradient_noise + EPS * (np.abs(s.grad) + s.scale * size)) / (s.scale * s.reach)
        else:
            noise = max(s.noise, EPS * abs(float(np.max(s.change)))) / s.change
        return np.clip(REACH * noise**p, LIMIT, GROSS)


@dataclass(frozen=True)
class Route:
    """One way to call the library; `run` yields its answers."""

    name: str
    run: Callable[[State, Counted], Iterator[Answer]]
    gradients: bool = False
    complex: bool = False
    once: bool = False  # warns at the first of its answers for all

    def suits(self, s: State) -> bool:
        if self.complex and not s.analytic:
            return False
        return s.jac is not None if self.gradients else s.values


def _loud(result: Any) -> bool:
    """Return whether a result's status is not success."""
    return not np.all(result.success)


def _matrix(s: State, result: Any, limits: Floats) -> Answer:
    return Answer(
        result.hess,
        s.hess,
        s.scales,
        np.maximum.outer(limits, limits),
        result.hess_error,
        s.slack,
        _loud(result),
        _loud(result),
    )


def _values(order: int) -> Route:
    p = order / (order + 2)

    def run(s: State, fun: Counted) -> Iterator[Answer]:
        result = hessfast.hessian(fun, s.x0, order=order, full_output=True)
        yield _matrix(s, result, reach(s, p, False))

    return Route(f"values {order}", run)


def _jac(order: int) -> Route:
    def run(s: State, jac: Counted) -> Iterator[Answer]:
        result = hessfast.hessian(None, s.x0, jac=jac, order=order, full_output=True)
        yield _matrix(s, result, reach(s, order / (order + 1), True))

    return Route(f"jac {order}", run, gradients=True)


def _complex(gradients: bool) -> Route:
    def run(s: State, fun: Counted) -> Iterator[Answer]:
        asked = {"fun": None, "jac": fun} if gradients else {"fun": fun}
        result = hessfast.hessian(x0=s.x0, method="cs", full_output=True, **asked)
        # From values by differences of the imaginary part, of order 2; from gradients to rounding.
        yield _matrix(s, result, reach(s, 2 / 3, True) if gradients else reach(s, 2 / 3, False))

    return Route("cs jac" if gradients else "cs", run, gradients, complex=True)


def directions(s: State) -> Iterator[Floats]:
    """Yield a random direction in natural lengths, one in equal units where they are alike, and a coordinate's."""
    rng = np.random.default_rng([s.seed, 7])
    yield s.lengths * rng.standard_normal(s.n)
    if s.lengths.max() <= 1e3 * s.lengths.min():
        yield rng.standard_normal(s.n)
    axis = np.zeros(s.n)
    axis[int(rng.integers(s.n))] = 1.0
    small = np.flatnonzero(np.abs(s.x0) < 1e-4 * np.abs(s.x0).max())
    if small.size and rng.random() < 0.7:
        axis = np.zeros(s.n)
        axis[rng.choice(small)] = 1.0
    yield axis


def _curvature(gradients: bool) -> Route:
    def run(s: State, fun: Counted) -> Iterator[Answer]:
        limits = reach(s, 4 / 5 if gradients else 4 / 6, gradients)
        for v in directions(s):
            asked = {"fun": None, "jac": fun} if gradients else {"fun": fun}
            result = hessfast.curvature(x0=s.x0, v=v, **asked)
            size, limit = np.abs(v), limits[v != 0].max()
            slack = size @ np.broadcast_to(s.slack, s.hess.shape) @ size
            truth, scale = v @ s.hess @ v, size @ s.scales @ size
            unknown = result.status.name not in ("POSITIVE", "NEGATIVE")
            # The sign of a curvature next to 0 may stay unknown where its bar is short.
            alarm = unknown and not result.error <= 0.1 * scale
            yield Answer(result.value, truth, scale, limit, result.error, slack, unknown, alarm)

    return Route("curvature jac" if gradients else "curvature", run, gradients)


def _product(s: State, value: Floats, v: Floats, limits: Floats, bar: Any = None, loud: bool = False) -> Answer:
    size, limit = np.abs(v), np.maximum(limits, limits[v != 0].max())
    slack = np.broadcast_to(s.slack, s.hess.shape) @ size
    return Answer(value, s.hess @ v, s.scales @ size, limit, bar, slack, loud, loud)


def _hvp(order: int, gradients: bool) -> Route:
    def run(s: State, fun: Counted) -> Iterator[Answer]:
        limits = reach(s, order / (order + 1) if gradients else order / (order + 2), gradients)
        asked: dict[str, Any] = {"fun": None, "jac": fun} if gradients else {"fun": fun}
        for v in directions(s):
            asked |= {"x0": s.x0, "v": v, "order": order}
            try:
                result = hessfast.hvp(**asked, full_output=True)
            except TypeError as refused:
                if "full_output" not in str(refused):
                    raise
                yield _product(s, hessfast.hvp(**asked), v, limits)
            else:
                bar = None if result.status.name == "UNVERIFIED" else result.error
                yield _product(s, result.value, v, limits, bar, _loud(result))

    return Route(f"hvp {order}" if gradients else "hvp values", run, gradients)


def _operator(order: int, gradients: bool) -> Route:
    def run(s: State, fun: Counted) -> Iterator[Answer]:
        limits = reach(s, order / (order + 1) if gradients else order / (order + 2), gradients)
        asked = {"fun": None, "jac": fun} if gradients else {"fun": fun}
        operator = hessfast.HessianOperator(x0=s.x0, order=order, **asked)
        for v in directions(s):
            yield _product(s, operator @ v, v, limits)

    return Route(f"operator {order}", run, gradients, once=True)


def _gradient(s: State, fun: Counted) -> Iterator[Answer]:
    result = hessfast.gradient(fun, s.x0, full_output=True)
    scale = np.abs(s.grad) + s.scale * s.lengths
    loud = _loud(result)
    yield Answer(result.value, s.grad, scale, reach(s, 4 / 5, False), result.error, s.slope_slack, loud, loud)


def _diagonal(s: State, fun: Counted) -> Iterator[Answer]:
    result = hessfast.hessian_diag(fun, s.x0, full_output=True)
    slack = np.diag(np.broadcast_to(s.slack, s.hess.shape))
    loud = _loud(result)
    yield Answer(result.value, np.diag(s.hess), s.scale, reach(s, 4 / 6, False), result.error, slack, loud, loud)


ROUTES: dict[str, Route] = {
    route.name: route
    for route in (
        *map(_values, ORDERS),
        *map(_jac, (1, 2, 4, 6)),
        _complex(False),
        _complex(True),
        _curvature(False),
        _curvature(True),
        *(_hvp(order, True) for order in (1, 2, 4)),
        _hvp(4, False),
        _operator(2, True),
        _operator(1, True),
        Route("gradient", _gradient),
        Route("diagonal", _diagonal),
    )
}
"""By name: values and their order, gradients (jac) and theirs, complex steps, and what makes no matrix."""

ALL = tuple(ROUTES)
_RANDOM = (
    "values 2",
    "values 4",
    "values 6",
    "jac 2",
    "jac 4",
    "curvature",
    "curvature jac",
    "hvp 2",
    "hvp 4",
    "gradient",
    "diagonal",
)
GROUPS: dict[str, tuple[str, ...]] = {
    "optima": ALL,
    "peaks": ALL,
    "proportions": ALL,
    "near zero": ALL,
    "molecules": ALL,
    "kinks": tuple(name for name in ALL if "cs" not in name),
    "cliffs": tuple(name for name in ALL if "cs" not in name),
    "real": tuple(name for name in ALL if "cs" not in name),
    "roughness": _RANDOM,
    "chance": _RANDOM,
}
"""The routes that a group is judged by."""

OPTIONAL = {"statsmodels": tuple(name for name in ALL if "cs" not in name)}
"""Groups that need a further package."""

EXACT = ("optima", "peaks", "proportions", "near zero", "molecules")
"""Groups of smooth functions: there every route is right, and says so."""


def weigh(answers: list[Answer], evaluations: int, by_bars: bool) -> Verdict:
    """Return the verdict on all answers of one run."""
    wrong = outside = silent = false_alarm = False
    worst = largest = 0.0
    inside = barred = 0
    for a in answers:
        value, truth, scale, slack, limit = (
            np.asarray(part, dtype=np.float64) for part in (a.value, a.truth, a.scale, a.slack, a.limit)
        )
        with np.errstate(all="ignore"):
            error = np.where(np.isfinite(value), np.maximum(np.abs(value - truth) - slack, 0), np.inf)
            share = np.where(error > 0, error / scale, 0.0)
        is_wrong, is_outside, covered = bool(np.any(share > (GROSS if by_bars else limit))), False, True
        if a.bar is not None:
            bar = np.asarray(a.bar, dtype=np.float64)
            if bar.ndim < error.ndim:
                error, scale = np.linalg.norm(error), np.linalg.norm(scale)
            within = error <= bar + ROUNDING * scale
            is_outside = bool(np.any(error > 3 * bar + ROUNDING * scale) or np.any(np.isnan(bar)))
            covered = bool(np.all(within))
            inside, barred = inside + int(np.count_nonzero(within)), barred + within.size
        is_right = not is_wrong and covered and bool(np.all(share <= LIMIT) and np.all(limit <= LIMIT))
        wrong, outside = wrong or is_wrong, outside or is_outside
        silent = silent or ((is_wrong or is_outside) and not a.loud)
        false_alarm = false_alarm or (is_right and a.alarm)
        worst, largest = max(worst, float(share.max())), max(largest, float(limit.max()))
    loud = any(a.loud for a in answers)
    return Verdict(wrong, outside, loud, silent, false_alarm, worst, largest, evaluations, inside, barred)


def judge(route: str, s: State) -> Verdict | None:
    """Run a route on a state and return the verdict, or None where the route does not suit it."""
    chosen = ROUTES[route]
    if not chosen.suits(s):
        return None
    s.restart()
    fun, answers, heard = Counted(s.jac if chosen.gradients else s.fun), [], 0
    with warnings.catch_warnings(record=True) as said, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            for answer in chosen.run(s, fun):
                warned = any(issubclass(w.category, RuntimeWarning) for w in said[heard:])
                answers.append(replace(answer, loud=answer.loud or warned, alarm=answer.alarm or warned))
                heard = 0 if chosen.once else len(said)
        except Exception as failure:
            return failed(f"{type(failure).__name__}: {failure}", fun.calls)
    return weigh(answers, fun.calls, by_bars=not s.smooth)
