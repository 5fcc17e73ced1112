"""What a way of computing Hessians does on a problem, and on many: error, evaluations, lost entries, error bars."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.problem import Problem

Method = Callable[[Callable[..., Any], Problem], tuple[np.ndarray, np.ndarray | None]]


class OutOfTimeError(Exception):
    """The evaluations of one problem took longer than allowed."""


class Counted:
    """A function that counts its calls and stops when its time is up."""

    def __init__(self, fun: Callable[..., Any], seconds: float = np.inf) -> None:
        self.fun, self.calls, self.deadline = fun, 0, time.process_time() + seconds

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        if time.process_time() > self.deadline:
            raise OutOfTimeError
        return self.fun(x)


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One method on one problem."""

    problem: Problem
    hess: np.ndarray  # (n, n), NaN where nothing came back
    error: float  # scaled Frobenius; inf where an entry is not finite or nothing came back
    lost: int  # entries of one triangle
    calls: int
    seconds: float
    inside: np.ndarray | None  # (n(n+1)/2,) is the entry within its bar?
    overestimate: np.ndarray  # bar / |error| of each entry that has an error
    failure: str = ""  # the exception that came instead of a Hessian

    @property
    def evaluations(self) -> float:
        """Calls of f over n²."""
        return self.calls / self.problem.n**2


def measure(method: Method, p: Problem, seconds: float = np.inf) -> Outcome:
    """Run one method on one problem; whatever it raises is an outcome too."""
    fun, start = Counted(p.fun, seconds), time.perf_counter()
    triangle = np.tril_indices(p.n)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            hess, bars = method(fun, p)
        hess = np.atleast_2d(np.asarray(hess, dtype=np.float64))
    except Exception as failure:  # the rivals raise whatever they raise
        elapsed, nothing, why = time.perf_counter() - start, np.full((p.n, p.n), np.nan), type(failure).__name__
        return Outcome(p, nothing, np.inf, triangle[0].size, fun.calls, elapsed, None, np.empty(0), why)
    elapsed = time.perf_counter() - start
    inside, overestimate = None, np.empty(0)
    if bars is not None:
        error, bar = np.abs(hess - p.hess)[triangle], bars[triangle]
        inside = error <= bar + np.finfo(np.float64).eps * np.abs(p.hess[triangle])
        overestimate = (bar / np.where(error > 0, error, 1))[error > 0]
    return Outcome(p, hess, p.scaled_error(hess), p.lost(hess), fun.calls, elapsed, inside, overestimate)


def oracle(p: Problem, order: int) -> float:
    """Return the smallest error that one common step, in natural lengths, reaches at that order (no bounds)."""
    from hessfast import hessian

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        ladder = 2.0 ** np.arange(-32, 3)
        return min(p.scaled_error(hessian(p.fun, p.x0, order=order, abs_step=h * p.lengths)) for h in ladder)


@dataclass(frozen=True, slots=True)
class Summary:
    """One method on many problems; a problem without an answer has error inf."""

    problems: int
    evaluations: float  # median of calls / n²
    median: float
    p95: float
    worst: float
    above: int  # problems with an error above 1e-6
    lost: int  # problems that lost an entry
    failed: int  # problems where an exception came instead
    late: int  # problems whose time ran out: left out of all the above
    coverage: float  # entries within their bars, pooled; nan without bars
    least_covered: float  # the same over all drawings of the problem that fares worst
    overestimate: float  # median of bar / |error|, pooled


def summarise(outcomes: Sequence[Outcome]) -> Summary:
    """Pool outcomes."""
    total = len(outcomes)
    outcomes = [o for o in outcomes if o.failure != OutOfTimeError.__name__]
    errors = np.array([o.error for o in outcomes])
    inside: dict[str, list[np.ndarray]] = {}
    for o in outcomes:
        if o.inside is not None:
            inside.setdefault(o.problem.name, []).append(o.inside)
    shares = {name: np.concatenate(drawings) for name, drawings in inside.items()}
    ratios = np.concatenate([o.overestimate for o in outcomes])
    median, p95 = np.quantile(errors, [0.5, 0.95], method="higher")
    return Summary(
        problems=total,
        evaluations=float(np.median([o.evaluations for o in outcomes])),
        median=float(median),
        p95=float(p95),
        worst=float(errors.max()),
        above=int(np.count_nonzero(errors > 1e-6)),
        lost=sum(o.lost > 0 for o in outcomes),
        failed=sum(bool(o.failure) for o in outcomes),
        late=total - len(outcomes),
        coverage=float(np.concatenate(list(shares.values())).mean()) if shares else np.nan,
        least_covered=float(min(share.mean() for share in shares.values())) if shares else np.nan,
        overestimate=float(np.median(ratios)) if ratios.size else np.nan,
    )
