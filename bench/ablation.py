"""What each rule of the search from values is worth: the problem set and drawn states with one rule off at a time.

    python bench/ablation.py                        # every rule off, one after another, in two processes
    python bench/ablation.py leave pool "leap"      # some of them
    python bench/ablation.py --halves visible shows # constants at half and at double
    python bench/ablation.py --together pilots likely    # several rules off at once
    python bench/ablation.py --runs line scenario        # some of the runs alone

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
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

from problems import problems  # noqa: E402
from problems.states import GROUPS  # noqa: E402
from rules import RULES, Run, policy, run, scenarios  # noqa: E402

from hessfast.values.policy import POLICY, Policy  # noqa: E402

STATES = ("values 2", "values 4", "values 6", "gradient", "diagonal", "curvature", "hvp values")
SMALL, TINY = 12, 6  # variables at order 4, and at the others
LONG, LINES = 40, 2  # variables at most where f is looked at along lines, and how many of these
DRAWS, REDRAWS = 12, 2


def keys(seed: int) -> list[str]:
    """Name all runs."""
    small = [(number, p) for number, p in enumerate(problems()) if p.n <= SMALL]
    return [
        *(
            f"problem {number} {again} {order}"
            for number, p in small
            for again in range(1 + REDRAWS)
            for order in (4, 2, 6)
            if order == 4 or p.n <= TINY
        ),
        *(f"line {number} {which}" for number, p in enumerate(problems()) if p.n <= LONG for which in range(LINES)),
        *(f"scenario {number}" for number, _ in enumerate(scenarios(seed))),
        *(f"{group} {k} {route}" for group in GROUPS for k in range(DRAWS) for route in STATES),
    ]


def under(changes: dict[str, Any], seed: int, kinds: tuple[str, ...]) -> dict[str, Run]:
    """Run everything by the policy with some changes."""
    with policy(changes), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = {key: run(key, seed) for key in keys(seed) if key.startswith(kinds)}
    return {key: outcome for key, outcome in found.items() if outcome is not None}


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
    parser.add_argument("--runs", nargs="+", default=[""], metavar="KIND", help="those whose names begin so")
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
        values = {name: value for change in together for name, value in change.items()}
        phases = tuple(phase for change in together for phase in change.get("without", ()))
        rules = {" + ".join(options.together): values | {"without": phases}}
    else:
        rules = {name: RULES[name] for name in options.rules or RULES}
    with ProcessPoolExecutor(options.processes) as pool:
        parts = pool.map(partial(under, seed=options.seed, kinds=tuple(options.runs)), [{}, *rules.values()])
        whole = next(parts)
        print(HEADER)
        print(row("nothing", whole, whole))
        for name, part in zip(rules, parts, strict=True):
            print(row(name, whole, part), flush=True)
            for line in losers(whole, part)[: options.each]:
                print(f"      {line}", flush=True)


if __name__ == "__main__":
    main()
