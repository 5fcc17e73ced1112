"""What each rule of the search from values is worth: the problem set and drawn states with one rule off at a time.

    python bench/ablation.py                        # every rule off, one after another, in two processes
    python bench/ablation.py leave pool "leap"      # some of them
    python bench/ablation.py --halves visible shows # constants at half and at double
    python bench/ablation.py --together pilots evident   # several rules off at once

A row tells how many runs changed, evaluations over those of the whole search, how many errors became 3 (and 10) times
as large, or as small, how many runs lost an entry that the whole search has, the share of entries within their bars,
and of the drawn states how many are wrong without a word, and how many are right but alarmed. A run is one problem or
state by one route.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

from problems import Problem, problems  # noqa: E402
from problems.states import GROUPS, ROUTES, draw, judge  # noqa: E402

import hessfast  # noqa: E402
from hessfast import along_axes, dense  # noqa: E402
from hessfast.values import products  # noqa: E402
from hessfast.values.policy import POLICY, Policy  # noqa: E402
from hessfast.values.search import start_search  # noqa: E402

INF = math.inf


def without(*phases: str) -> dict[str, Any]:
    """Return the change that leaves phases out."""
    return {"phases": tuple(phase for phase in POLICY.phases if phase not in phases)}


RULES: dict[str, dict[str, Any]] = {
    **{phase: without(phase) for phase in dict.fromkeys(POLICY.phases) if phase not in ("others", "verify")},
    "verify": without("verify", "unalias", "pool", "below"),
    "one spacing": {"spacings": POLICY.spacings[:1]},
    "coarse steps": {"coarse": 0.0},
    "stair noise": {"stair_noise": 0.0},
    "no wider than the change": {"little": INF},
    "second look away": {"outgrown": INF, "farther": INF},
    "noise that follows f": {"proportional": INF, "beyond_growth": INF},
    "swamped": {"swamped": INF},
    "few pooled": {"pooled_from": 1},
    "choose again after pooling": {"evident": INF},
    "rise": {"doubtful": -1e300},
    "doubtful as visible": {"doubtful": POLICY.visible},
    "likely": {"likely": 0},
    "leash": {"leashed": False},
    "slight": {"slight": 0.0},
    "far jump": {"patience": 10**9},
    "highest start": {"highest_start": 99},
    "start below": {"start_below": 0},
    "accidental zeros": {"doubts_zeros": False},
    "kink": {"jump_alike": -1.0},
    "refuted": {"refuted": INF},
    "rounding by contradiction": {"sure": -1.0},
    "roundings of the derivative": {"roundings": 0.0},
    "leap": {"longest_leap": 1},
    "pair weight": {"pair_weight": 1.0},
    "few digits": {"few_digits": INF},
    "no digits": {"no_digits": POLICY.few_digits},
    "beyond |x|": {"beyond": (0, 0)},
    "trusted beyond |x|": {"beyond": (3, 3)},
    "bends": {"beyond": (7, 7)},
    "cramped": {"cramped": INF},
    "full precision": {"full_precision": 0.0},
    "narrow": {"narrow": 0},
    "one-sided": {"turns_aside": False},
    "few verified alike": {"few": 0},
    "only irregular ones verified": {"few": 10**9},
    "refinement": {"shows": INF},
    "one round of refinement": {"turns": 1},
    "one halving": {"halvings": 1},
    "better": {"better": 0.0},
    "longest length": {"longest_length": INF},
    "long steps promise": {"long_step": (INF, INF)},
    "unseen": {"unseen": 0.0},
    "blur": {"faint": INF},
}
"""What is put in place of the policy's own values to switch each rule off."""

NEAR = (0.0, 5e-324, 1e-30, 1e-15, 1e-12, 1e-9, 1e-6)

STATES = ("values 2", "values 4", "values 6", "gradient", "diagonal")
SMALL, TINY = 12, 6  # variables at order 4, and at the others
DRAWS, REDRAWS = 12, 2


class Run(NamedTuple):
    """What one run gave."""

    error: float
    evaluations: int
    inside: int
    barred: int
    lost: bool
    silent: bool
    alarm: bool


def runs(seed: int) -> Iterator[tuple[str, Run]]:
    """Run the problem set and the states."""
    for number, first in enumerate(problems()):
        if first.n > SMALL:
            continue
        for again, p in enumerate([first, *(first.redraw(seed + k) for k in range(REDRAWS))]):
            for order in (4, 2, 6):
                if p.n <= (SMALL if order == 4 else TINY):
                    yield f"{number} {p.name} {again} {order}", of_problem(p, order)
    for number, case in enumerate(scenarios(seed)):
        yield f"scenario {number}", of_scenario(*case)
    for group in GROUPS:
        for k in range(DRAWS):
            s = draw(group, seed + k)
            for route in STATES:
                if route in ROUTES and (v := judge(route, s)) is not None:
                    yield (
                        f"{group} {k} {route}",
                        Run(v.error, v.evaluations, v.inside, v.barred, v.wrong, v.silent, v.false_alarm),
                    )


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


def of_problem(p: Problem, order: int) -> Run:
    """Return the Hessian's error, evaluations and bars at one order."""
    bounds = {} if p.bounds is None else {"bounds": p.bounds}
    found = hessfast.hessian(p.fun, p.x0, order=order, full_output=True, **bounds)
    triangle = np.tril_indices(p.n)
    error, bar = np.abs(found.hess - p.hess)[triangle], found.hess_error[triangle]
    inside = int(np.count_nonzero(error <= bar + np.finfo(float).eps * np.abs(p.hess[triangle])))
    lost = bool(p.lost(found.hess))
    return Run(float(p.scaled_error(found.hess)), found.nfev, inside, error.size, lost, lost and found.success, False)


def under(changes: dict[str, Any], seed: int) -> dict[str, Run]:
    """Run everything by the policy with some changes."""
    policy = replace(POLICY, **changes)
    for room in (dense, along_axes, products):
        room.start_search = partial(start_search, policy=policy)  # type: ignore[attr-defined]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return dict(runs(seed))


def row(name: str, whole: dict[str, Run], part: dict[str, Run]) -> str:
    """Return one line of the table."""
    pairs = [(whole[key], part[key]) for key in whole]
    changed = sum(a[:4] != b[:4] for a, b in pairs)
    ratio = math.exp(float(np.mean([math.log(b.evaluations / a.evaluations) for a, b in pairs if a.evaluations])))
    errors = [(a.error + 1e-16, b.error + 1e-16) for a, b in pairs]
    worse, far_worse, better, far_better = (
        sum(test) for test in zip(*((b > 3 * a, b > 10 * a, a > 3 * b, a > 10 * b) for a, b in errors), strict=True)
    )
    lost = sum(b.lost for _, b in pairs) - sum(a.lost for a, _ in pairs)
    cover = 100 * sum(b.inside for _, b in pairs) / sum(b.barred for _, b in pairs)
    silent = sum(b.silent for _, b in pairs) - sum(a.silent for a, _ in pairs)
    alarms = sum(b.alarm for _, b in pairs) - sum(a.alarm for a, _ in pairs)
    return (
        f"| {name} | {changed}/{len(pairs)} | x{ratio:.3f} | {worse} ({far_worse}) | {better} ({far_better}) "
        f"| {lost:+} | {cover:.2f} | {silent:+} | {alarms:+} |"
    )


def losers(whole: dict[str, Run], part: dict[str, Run]) -> list[str]:
    """Name the runs whose error grows most, and those that are silently wrong now."""
    told = []
    for key, a in whole.items():
        b = part[key]
        growth = (b.error + 1e-16) / (a.error + 1e-16)
        if growth > 3.0 or b.silent > a.silent or b.lost > a.lost:
            fate = " silent" if b.silent > a.silent else " lost" if b.lost > a.lost else ""
            told.append((growth, f"{key}: {a.error:.1e} -> {b.error:.1e}, {a.evaluations} -> {b.evaluations}{fate}"))
    return [line for _, line in sorted(told, reverse=True)]


HEADER = (
    "| off | runs changed | evaluations | worse 3x (10x) | better 3x (10x) | lost | coverage | silent | alarms |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def scaled(names: list[str]) -> dict[str, dict[str, Any]]:
    """Return the changes that halve and double constants; those of a table or a tuple all alike."""
    numbers = names or [f.name for f in fields(Policy) if isinstance(getattr(POLICY, f.name), (int, float))]

    def times(value: Any, factor: float) -> Any:
        if isinstance(value, tuple):
            return tuple(times(part, factor) for part in value)
        return type(value)(value * factor)

    return {
        f"{name} x {factor:g}": {name: times(getattr(POLICY, name), factor)}
        for name in numbers
        if not isinstance(getattr(POLICY, name), bool)
        for factor in (0.5, 2.0)
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rules", nargs="*", help="those to be switched off; all of them where none is named")
    parser.add_argument("--halves", nargs="*", metavar="CONSTANT", help="constants at half and at double instead")
    parser.add_argument("--together", nargs="+", choices=RULES, metavar="RULE", help="these at once instead")
    parser.add_argument("--seed", type=int, default=4_000_000, help="of the drawn states")
    parser.add_argument("--each", type=int, default=0, metavar="N", help="name the N runs that lose most")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    if options.halves is not None:
        rules = scaled(options.halves)
    elif options.together:
        together = [RULES[name] for name in options.together]
        phases = tuple(
            phase for phase in POLICY.phases if all(phase in change.get("phases", POLICY.phases) for change in together)
        )
        rules = {" + ".join(options.together): {k: v for c in together for k, v in c.items()} | {"phases": phases}}
    else:
        rules = {name: RULES[name] for name in options.rules or RULES}
    with ProcessPoolExecutor(options.processes) as pool:
        parts = pool.map(partial(under, seed=options.seed), [{}, *rules.values()])
        whole = next(parts)
        print(HEADER)
        print(row("nothing", whole, whole))
        for name, part in zip(rules, parts, strict=True):
            print(row(name, whole, part), flush=True)
            for line in losers(whole, part)[: options.each]:
                print(f"      {line}", flush=True)


if __name__ == "__main__":
    main()
