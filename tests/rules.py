"""The rules of the search from values, each with what switches it off, and what a run gives with it and without."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
from problems import Problem, problems
from problems.states import draw, judge

import hessfast
from hessfast.values.policy import LINE_POLICY, POLICY, Policy
from hessfast.values.search import start_search

FAR = 1e300  # no number exceeds it, and times 0.0 it is 0.0


def without(*phases: str) -> dict[str, Any]:
    """Return the change that leaves phases out."""
    return {"without": phases}


RULES: dict[str, dict[str, Any]] = {
    **{phase: without(phase) for phase in dict.fromkeys(POLICY.phases) if phase not in ("others", "verify")},
    **{f"{phase} of a line": without(phase) for phase in ("noise", "again", "climb")},
    "verify": without("verify", "unalias", "pool", "below"),
    "one spacing": {"spacings": POLICY.spacings[:1]},
    "coarse steps": {"coarse": 0.0},
    "no wider than the change": {"little": FAR},
    "second look away": {"outgrown": FAR, "farther": FAR},
    "noise that follows f": {"proportional": FAR, "beyond_growth": FAR},
    "swamped": {"swamped": FAR},
    "few pooled": {"pooled_from": 1},
    "choose again after pooling": {"evident": FAR},
    "rise": {"doubtful": -1e300},
    "doubtful as visible": {"doubtful": POLICY.visible},
    "likely": {"likely": 0},
    "leash": {"leashed": False},
    "slight": {"slight": 0.0},
    "far jump": {"patience": 10**9},
    "accidental zeros": {"doubts_zeros": False},
    "kink": {"jump_alike": -1.0},
    "refuted": {"refuted": FAR},
    "rounding by contradiction": {"sure": -1.0},
    "roundings of the derivative": {"roundings": 0.0},
    "leap": {"longest_leap": 1},
    "pair weight": {"pair_weight": 1.0},
    "few digits": {"few_digits": FAR},
    "beyond |x|": {"beyond": (0, 0)},
    "trusted beyond |x|": {"beyond": (3, 3)},
    "bends": {"beyond": (7, 7)},
    "cramped": {"cramped": FAR},
    "full precision": {"full_precision": 0.0},
    "narrow": {"narrow": 0},
    "one-sided": {"turns_aside": False},
    "few verified alike": {"few": 0},
    "only irregular ones verified": {"few": 10**9},
    "refinement": {"shows": FAR},
    "one round of refinement": {"turns": 1},
    "one halving": {"halvings": 1},
    "better": {"better": 0.0},
    "longest length": {"longest_length": FAR},
    "long steps promise": {"long_step": (FAR, FAR)},
    "unseen": {"unseen": 0.0},
    "blur": {"faint": FAR},
    "weight along lines": {"line_weight": 1.0},
    "early": {"early": 0.0},
    "clear": {"clear": 0.0},
}
"""What is put in place of the policy's own values to switch each rule off."""

NEAR = (0.0, 5e-324, 1e-30, 1e-15, 1e-12, 1e-9, 1e-6)


class Run(NamedTuple):
    """What one run gave."""

    error: float
    evaluations: int
    inside: int
    barred: int
    lost: bool
    silent: bool
    alarm: bool


def changed(base: Policy, changes: dict[str, Any]) -> Policy:
    """Return a policy with some changes, and without some phases."""
    values = {name: value for name, value in changes.items() if name != "without"}
    phases = tuple(phase for phase in base.phases if phase not in changes.get("without", ()))
    return replace(base, phases=phases, **values)


@contextmanager
def policy(changes: dict[str, Any]) -> Iterator[None]:
    """Context in which every search goes by its policy with some changes."""
    with ExitStack() as stack:
        for room in ("dense", "along_axes", "values.products"):
            start = partial(start_search, policy=changed(POLICY, changes))
            stack.enter_context(patch(f"hessfast.{room}.start_search", start))
        stack.enter_context(patch("hessfast.values.line.LINE_POLICY", changed(LINE_POLICY, changes)))
        yield


def run(key: str, seed: int) -> Run | None:
    """Run one case by its name: a problem and its redraw, a scenario, or a drawn state and the route it goes by.

    ``"problem 12 1 4"`` is problem 12, its first redraw, at order 4; ``"line 12 1"`` its curvature along its second
    direction; ``"scenario 3"``; ``"optima 5 values 2"``. None where the route does not suit the state. What raises is
    lost.
    """
    try:
        return _run(key, seed)
    except Exception:
        return Run(math.inf, 0, 0, 0, True, False, False)


def _run(key: str, seed: int) -> Run | None:
    kind, *rest = key.rsplit(" ", 3) if key.startswith("problem") else key.split(" ", 1)
    if kind == "problem":
        number, again, order = map(int, rest)
        first = problems()[number]
        return of_problem(first if again == 0 else first.redraw(seed + again - 1), order)
    if kind == "line":
        number, which = map(int, rest[0].split())
        return of_line(problems()[number], np.random.default_rng([seed, number, which]))
    if kind == "scenario":
        return of_scenario(*list(scenarios(seed))[int(rest[0])])
    words = key.split(" ")
    at = next(place for place, word in enumerate(words) if word.isdigit())
    v = judge(" ".join(words[at + 1 :]), draw(" ".join(words[:at]), seed + int(words[at])))
    return None if v is None else Run(v.error, v.evaluations, v.inside, v.barred, v.wrong, v.silent, v.false_alarm)


Scenario = tuple[Any, Any, Any, Any]


def scenarios(seed: int) -> Iterator[Scenario]:
    """Draw what the problem set has little of: (f, x, H, bounds) next to zero, at bounds, in waves, beside a wall."""
    random = np.random.default_rng(seed)

    def entangled(x: Any) -> float:
        return float(np.exp(x[0] * x[1]) + np.sin(x[1] + 2.0 * x[2]) * x[0])

    def its_hessian(x: Any) -> Any:
        a, b, c = x
        E, s, k = np.exp(a * b), np.sin(b + 2.0 * c), np.cos(b + 2.0 * c)
        ab = E * (1.0 + a * b) + k
        return np.array([[b * b * E, ab, 2 * k], [ab, a * a * E - s * a, -2 * s * a], [2 * k, -2 * s * a, -4 * s * a]])

    for tiny in NEAR:
        for bounds in (None, (0.0, 2.0)):
            for _ in range(4):
                x = random.uniform(0.5, 1.5, 3)
                x[random.permutation(3)[: random.integers(1, 4)]] = tiny
                yield entangled, x, its_hessian(x), bounds
    for _ in range(20):
        x, away = random.uniform(0.3, 2.0, 3), random.choice([0.0, 1e-12, 1e-6, 1e-3], 3)
        sides = random.choice([-1, 0, 1], 3)
        lower, upper = np.where(sides < 0, x - away, -5.0), np.where(sides > 0, x + away, 5.0)
        yield entangled, x, its_hessian(x), (lower, upper)
    for size in (1e4, 1e5, 1e6):
        for at in size * random.uniform(1.0, 2.0, 5):
            yield (lambda x: float(np.sin(x[0]))), np.array([at]), np.array([[-math.sin(at)]]), None
    for far in 10.0 ** random.uniform(-9, -1, 10):
        x = random.uniform(0.5, 1.5, 3)
        edge = x[0] + far
        yield (lambda x, edge=edge: entangled(x) if x[0] < edge else math.nan), x, its_hessian(x), None


def of_scenario(fun: Any, x: Any, hess: Any, bounds: Any) -> Run:
    """Return what a scenario gives at order 4, errors in units of the largest entry."""
    found = hessfast.hessian(fun, x, bounds=bounds, full_output=True)
    size = np.abs(hess).max()
    error = np.nan_to_num(np.abs(found.hess - hess), nan=np.inf)
    inside = int(np.count_nonzero(error <= found.hess_error + 1e-13 * size))
    lost = bool(error.max() > 1e-3 * size)
    silent = bool(found.success and (error > 3.0 * found.hess_error + 1e-13 * size).any())
    return Run(float(error.max() / size), found.nfev, inside, error.size, lost, silent, False)


def of_line(p: Problem, random: np.random.Generator) -> Run:
    """Return the curvature along a drawn direction, its error in units of |v|ᵀ|H||v|."""
    v = random.standard_normal(p.n) * p.lengths
    found = hessfast.curvature(p.fun, p.x0, v, bounds=p.bounds)
    size = float(np.abs(v) @ np.abs(p.hess) @ np.abs(v)) or 1.0
    error = abs(found.value - v @ p.hess @ v)
    error = error if math.isfinite(error) else math.inf
    rounding = np.finfo(float).eps * size
    silent = bool(found.success and error > 3.0 * found.error + rounding)
    inside = int(error <= found.error + rounding)
    return Run(error / size, found.nfev, inside, 1, error > 1e-3 * size, silent, False)


def of_problem(p: Problem, order: int) -> Run:
    """Return the Hessian's error, evaluations and bars at one order."""
    bounds = {} if p.bounds is None else {"bounds": p.bounds}
    found = hessfast.hessian(p.fun, p.x0, order=order, full_output=True, **bounds)
    triangle = np.tril_indices(p.n)
    error, bar = np.abs(found.hess - p.hess)[triangle], found.hess_error[triangle]
    inside = int(np.count_nonzero(error <= bar + np.finfo(float).eps * np.abs(p.hess[triangle])))
    lost = bool(p.lost(found.hess))
    return Run(float(p.scaled_error(found.hess)), found.nfev, inside, error.size, lost, lost and found.success, False)
