"""Right where users stand, or loud: states drawn afresh at each run, through every route.

    python bench/states.py                                   # every group and route, another seed each time
    python bench/states.py --groups optima peaks --routes "values 4" "jac 2" --draws 300
    python bench/states.py --groups "near zero" --seed 7 --each   # list the draws that fail: draw(group, seed)
    python bench/states.py --rivals                          # beside statsmodels, numdifftools and SciPy

One row for each group and route. `wrong`, `outside`, `silent` and `false` (alarms) are defined in
`problems.states.routes`; `wrong` and `outside` count loud ones too. Evaluations are those of f, or of its gradient, the
median of all draws. Coverage is the share of entries within their bars.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

from problems.states import EXACT, GROUPS, OPTIONAL, ROUTES, State, draw, judge  # noqa: E402
from problems.states.routes import Answer, Counted, Verdict, failed, reach, weigh  # noqa: E402

HEADER = f"{'':34}draws  wrong  outside  silent  false  raised    worst  evaluations  coverage"


def scipy(fun: Any, s: State) -> Any:
    from scipy.differentiate import hessian

    return hessian(lambda X: np.apply_along_axis(fun, 0, X), s.x0).ddf


def numdifftools(fun: Any, s: State) -> Any:
    from numdifftools import Hessian

    return Hessian(fun)(s.x0)


def statsmodels(which: str) -> Callable[[Any, State], Any]:
    from statsmodels.tools import numdiff

    return lambda fun, s: getattr(numdiff, f"approx_hess{which}")(s.x0, fun)


RIVALS: dict[str, Callable[[Any, State], Any]] = {
    "statsmodels2": lambda fun, s: statsmodels("2")(fun, s),
    "statsmodels3": lambda fun, s: statsmodels("3")(fun, s),
    "numdifftools": numdifftools,
    "scipy": scipy,
}


def judge_rival(name: str, s: State) -> Verdict | None:
    """Judge a rival by the limits of order 2 from values; it has no bars and says nothing but a non-finite number."""
    if not s.values:
        return None
    s.restart()
    fun = Counted(s.fun)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            hess = np.atleast_2d(np.asarray(RIVALS[name](fun, s), dtype=np.float64))
        except Exception as failure:  # whatever it raises
            return failed(type(failure).__name__, fun.calls)
    limits = reach(s, 1 / 2, False)
    loud = not np.all(np.isfinite(hess))
    answer = Answer(hess, s.hess, s.scales, np.maximum.outer(limits, limits), None, s.slack, loud)
    return weigh([answer], fun.calls, by_bars=False)


def fresh_seed() -> int:
    """Return a seed that nothing was tuned to."""
    return secrets.randbelow(10**6) * 1000


def row(name: str, verdicts: list[Verdict]) -> str:
    """Return one line of the table."""
    barred = sum(v.barred for v in verdicts)
    coverage = f"{100 * sum(v.inside for v in verdicts) / barred:8.2f}%" if barred else ""
    judged = [v for v in verdicts if not v.raised]
    worst = max((v.error for v in judged), default=np.inf)
    return (
        f"{name:<34}{len(verdicts):5}{sum(v.wrong for v in verdicts):7}{sum(v.outside for v in verdicts):9}"
        f"{sum(v.silent for v in verdicts):8}{sum(v.false_alarm for v in verdicts):7}{len(verdicts) - len(judged):8}"
        f"{worst:9.1e}{np.median([v.evaluations for v in verdicts]):13.0f}  {coverage}"
    )


def fate(v: Verdict) -> str:
    """Return why a run is listed, or nothing."""
    if v.raised:
        return v.raised
    if v.silent:
        return "silent"
    return "wrong, and said so" if v.wrong else "false alarm" if v.false_alarm else ""


def compare(routes: list[str], rivals: list[str], draws: int, seed: int) -> None:
    """Print, for each group of smooth functions, in how many states each method is wrong: silently, or at all."""
    states = {group: [draw(group, seed + k) for k in range(draws)] for group in EXACT}
    print(
        f"\nwhere users stand: of {draws} states a group those wrong without a word (wrong at all), from --seed {seed}"
    )
    print(" " * 18 + "".join(f"{group:>16}" for group in states) + f"{'all':>16}")
    runs = {f"hessfast {route}": lambda s, route=route: judge(route, s) for route in routes}
    runs |= {rival: lambda s, rival=rival: judge_rival(rival, s) for rival in rivals}
    for name, run in runs.items():
        cells = []
        for members in states.values():
            verdicts = [run(s) for s in members]
            missed = [v for v in verdicts if v is not None and (v.wrong or v.raised)]
            cells.append((sum(not v.loud for v in missed), len(missed)))
        cells.append((sum(silent for silent, _ in cells), sum(wrong for _, wrong in cells)))
        print(f"{name:<18}" + "".join(f"{f'{silent} ({wrong})':>16}" for silent, wrong in cells), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", nargs="+", choices=(*GROUPS, *OPTIONAL), default=list(GROUPS))
    parser.add_argument("--routes", nargs="+", choices=(*ROUTES, "none"), default=list(ROUTES))
    parser.add_argument("--draws", type=int, default=100, help="states a group")
    parser.add_argument("--seed", type=int, help="the first; another one each run by default")
    parser.add_argument("--rivals", nargs="*", choices=RIVALS, help="all of them where none is named")
    parser.add_argument("--each", action="store_true", help="list the draws that fail")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    seed = fresh_seed() if options.seed is None else options.seed
    rivals = [] if options.rivals is None else options.rivals or list(RIVALS)
    print(f"--seed {seed} --draws {options.draws}\n{HEADER}")
    total = {"draws": 0, "wrong": 0, "silent": 0, "false": 0}
    for group in options.groups:
        start = time.perf_counter()
        states = [draw(group, seed + k) for k in range(options.draws)]
        runs: list[tuple[str, Callable[[State], Verdict | None]]] = [
            (route, lambda s, route=route: judge(route, s))
            for route in (GROUPS | OPTIONAL)[group]
            if route in options.routes
        ]
        runs += [(rival, lambda s, rival=rival: judge_rival(rival, s)) for rival in rivals]
        for name, run in runs:
            verdicts = [(s, verdict) for s in states for verdict in [run(s)] if verdict is not None]
            if not verdicts:
                continue
            print(row(f"{group:<13}{name}", [verdict for _, verdict in verdicts]), flush=True)
            if name in ROUTES:
                total["draws"] += len(verdicts)
                total["wrong"] += sum(v.wrong for _, v in verdicts)
                total["silent"] += sum(v.silent for _, v in verdicts)
                total["false"] += sum(v.false_alarm for _, v in verdicts)
            if options.each:
                for s, verdict in verdicts:
                    if fate(verdict):
                        what = f"{s.kind:<24} n {s.n}  {verdict.error:8.1e}  {fate(verdict)}"
                        print(f'    draw("{group}", {s.seed})  {what}')
        print(f"{'':13}{time.perf_counter() - start:.0f} s", file=sys.stderr)
    print("all routes: " + ", ".join(f"{name} {count}" for name, count in total.items()))


if __name__ == "__main__":
    main()
