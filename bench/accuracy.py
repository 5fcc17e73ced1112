"""Accuracy against evaluations: hessfast's orders and three rivals at their defaults, on problems with exact Hessians.

    python bench/accuracy.py                        # everything: minutes, nearly all of them SciPy's
    python bench/accuracy.py --rivals none          # ours alone
    python bench/accuracy.py --kinds molecule noise --orders 4 --redraws 5

Prints one table for each group of problems (noise-free; each noise level; f of size 1e10; NIST's models) and one of
medians by kind, and draws error against evaluations. The error is that of the whole matrix, Frobenius norm, scaled by
the natural lengths of the variables. Evaluations are counted inside f. An entry is lost where its error reaches
0.5 max(|H_ij|, 1e-3 sqrt|H_ii H_jj|). Coverage is the share of entries within their error bars, `least` that of the
problem that fares worst, all its drawings together. A rival gets no bounds, having none: a problem that raises outside
its bounds is then a failure. `--gradients` judges Hessians from gradients instead, the evaluations being gradients.
The last table is of states as users meet them, drawn afresh at each run: bench/states.py has all of their routes.
The order "cs" stands for complex steps, from values or from gradients; at an edge of its bounds f refuses them.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

from nist_strd import MODELS, load  # noqa: E402
from problems import KINDS, Problem, problems  # noqa: E402
from problems.outcome import Method, Outcome, OutOfTimeError, measure, summarise  # noqa: E402
from problems.states import ROUTES  # noqa: E402
from states import RIVALS as STATE_RIVALS  # noqa: E402
from states import compare, fresh_seed  # noqa: E402

from hessfast.values import stencils  # noqa: E402

ORDERS = (*map(str, stencils.ORDERS), "auto")
FLOOR, CEILING = 1e-16, 1e2  # of the errors drawn
COLUMNS = (
    "problems  evaluations/n²   median      p95    worst  >1e-6  lost  failed  late  coverage    least  over-estimate"
)


def formula(order: str) -> dict[str, Any]:
    """Return the options that a row of the table stands for."""
    if order == "cs":
        return {"method": "cs"}
    return {"order": order if order == "auto" else int(order)}


def ours(order: str) -> Method:
    """Return hessfast.hessian at one order and its defaults."""
    from hessfast import hessian

    def method(fun: Any, p: Problem) -> tuple[np.ndarray, np.ndarray | None]:
        options = {} if p.bounds is None else {"bounds": p.bounds}
        r = hessian(fun, p.x0, **formula(order), full_output=True, **options)
        assert r.nfev == fun.calls, (p.name, r.nfev, fun.calls)
        return r.hess, r.hess_error

    return method


def from_gradients(order: str) -> Method:
    """Return hessfast.hessian from gradients; the problem's fun is then its gradient."""
    from hessfast import hessian

    def method(jac: Any, p: Problem) -> tuple[np.ndarray, np.ndarray | None]:
        options = {} if p.bounds is None else {"bounds": p.bounds}
        r = hessian(None, p.x0, jac=jac, **formula(order), full_output=True, **options)
        assert r.njev == jac.calls, (p.name, r.njev, jac.calls)
        return r.hess, r.hess_error

    return method


def numdifftools(fun: Any, p: Problem) -> tuple[np.ndarray, None]:
    from numdifftools import Hessian

    return Hessian(fun)(p.x0), None


def scipy(fun: Any, p: Problem) -> tuple[np.ndarray, None]:
    from scipy.differentiate import hessian

    return hessian(lambda X: np.apply_along_axis(fun, 0, X), p.x0).ddf, None


def statsmodels(which: str) -> Method:
    from statsmodels.tools import numdiff

    approx = getattr(numdiff, f"approx_hess{which}")
    return lambda fun, p: (approx(p.x0, fun), None)


RIVALS: dict[str, Method] = {
    "numdifftools": numdifftools,
    "scipy": scipy,
    **{f"statsmodels{which}": statsmodels(which) for which in "123"},
}


def group(p: Problem) -> str:
    """Return the table that a problem belongs to."""
    if p.kind == "model_distance":
        return "NIST models: f(b) = Σ (m(b) − m(b̂))² at b̂"
    if p.kind == "offset":
        return "f of size 1e10 with variations of size 1"
    if p.noise == 0:
        return "noise-free"
    return f"noise {p.noise:.0e} |f|" if p.name.startswith("noisy") else "quantised or single precision"


def in_time(o: Outcome) -> bool:
    """Return whether the time limit was kept; what was cut short says nothing of the method's accuracy."""
    return o.failure != OutOfTimeError.__name__


def row(name: str, outcomes: list[Outcome]) -> str:
    """Return one line of a table."""
    if not any(in_time(o) for o in outcomes):
        return f"{name:<16}{len(outcomes):>8}  none in time"
    s = summarise(outcomes)
    bars = (
        ""
        if np.isnan(s.coverage)
        else f"  {100 * s.coverage:7.2f}% {100 * s.least_covered:7.1f}%  {s.overestimate:13.1f}"
    )
    return (
        f"{name:<16}{s.problems:>8}  {s.evaluations:>14.2f}  {s.median:7.1e}  {s.p95:7.1e}  {s.worst:7.1e}"
        f"{s.above:>7}{s.lost:>6}{s.failed:>8}{s.late:>6}{bars}"
    )


def report(table: dict[str, list[Outcome]]) -> None:
    """Print the tables."""
    some = next(iter(table.values()))
    for title in sorted({group(o.problem) for o in some}, key=lambda t: (t != "noise-free", t)):
        print(f"\n{title}\n{'':16}{COLUMNS}")
        for name, outcomes in table.items():
            print(row(name, [o for o in outcomes if group(o.problem) == title]))
    large = [o.problem for o in some if o.problem.n >= 39 and o.problem.noise == 0]
    if large:
        print(f"\nnoise-free, n ≥ 39\n{'':16}{COLUMNS}")
        for name, outcomes in table.items():
            print(row(name, [o for o in outcomes if o.problem in large]))
    kinds = [k for k in KINDS if any(o.problem.kind == k for o in some)]
    print("\nmedian error (worst) by kind\n" + " " * 16 + "".join(f"{k[:14]:>16}" for k in kinds))
    for name, outcomes in table.items():
        cells = [np.array([o.error for o in outcomes if o.problem.kind == k and in_time(o)]) for k in kinds]
        medians = (
            f"{np.median(c):.0e} ({c.max():.0e})".replace("e-", "-").replace("e+", "+") if c.size else "late"
            for c in cells
        )
        print(f"{name:<16}" + "".join(f"{cell:>16}" for cell in medians))


def report_gradients(table: dict[str, list[Outcome]]) -> None:
    """Print the table of Hessians from gradients; `extra` is what the search spends beyond order · n gradients."""
    print(f"\n{'':16}problems  gradients/n  extra   median      p95    worst  >1e-8  coverage    least  over-estimate")
    for name, outcomes in table.items():
        s = summarise(outcomes)
        order = {"auto": 6, "cs": 1}.get(name.split()[1]) or int(name.split()[1])
        gradients = np.array([o.calls / o.problem.n for o in outcomes])
        extra = np.array([o.calls - order * o.problem.n for o in outcomes])
        above = sum(o.error > 1e-8 for o in outcomes)
        print(
            f"{name:<16}{s.problems:>8}  {np.median(gradients):>11.1f}  {np.median(extra):>5.0f}  {s.median:7.1e}  "
            f"{s.p95:7.1e}  {s.worst:7.1e}{above:>7}  {100 * s.coverage:7.2f}% {100 * s.least_covered:7.1f}%  "
            f"{s.overestimate:13.1f}"
        )


def report_digits(table: dict[str, list[Outcome]]) -> None:
    """Print how many digits of NIST's certified deviations come out of the Hessians."""
    print("\ndigits of NIST's certified standard deviations")
    certified = {f"model_distance_{name}": load(name).certified for name in MODELS}
    for name, outcomes in table.items():
        found = [
            load(o.problem.name.removeprefix("model_distance_")).certified_digits(o.hess)
            for o in outcomes
            if o.problem.name in certified and in_time(o) and np.array_equal(o.problem.x0, certified[o.problem.name])
        ]
        if found:
            print(
                f"{name:<16}{len(found):>8} models: median {np.median(found):4.1f} digits, worst {min(found):4.1f}, "
                f"under 4 digits {sum(d < 4 for d in found):>2}, under 1 digit {sum(d < 1 for d in found):>2}"
            )


def plot(table: dict[str, list[Outcome]], path: Path, unit: str) -> None:
    """Draw each noise-free problem as a point, each method's median and the 5-95 % span of its errors."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    blues, reds = plt.get_cmap("viridis")(np.linspace(0, 0.85, 6)), plt.get_cmap("autumn")(np.linspace(0, 0.75, 5))
    colours = {"hessfast": iter(blues), "rival": iter(reds)}
    for name, outcomes in table.items():
        shown = [o for o in outcomes if o.problem.n >= 8 and group(o.problem) == "noise-free" and in_time(o)]
        if not shown:
            continue
        is_ours = name.startswith("hessfast")
        colour = next(colours["hessfast" if is_ours else "rival"])
        errors = np.clip([o.error for o in shown], FLOOR, CEILING)
        costs = np.array([o.evaluations if unit == "evaluations of f / n²" else o.calls / o.problem.n for o in shown])
        axes.scatter(costs, errors, s=9, alpha=0.3, color=colour, linewidths=0)
        low, middle, high = np.quantile(errors, [0.05, 0.5, 0.95])
        axes.plot(2 * [np.median(costs)], [low, high], color=colour, lw=2)
        axes.plot(np.median(costs), middle, "o" if is_ours else "s", ms=11, color=colour, mec="k", label=name)
    axes.set(
        xscale="log", yscale="log", xlabel=unit, ylabel="relative error of the Hessian", ylim=(FLOOR / 3, CEILING * 3)
    )
    axes.xaxis.set_major_locator(FixedLocator([0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axhline(CEILING, color="0.6", ls=":", lw=1)
    axes.annotate(
        "no answer, or worse than this", (0.99, CEILING), xycoords=("axes fraction", "data"), ha="right", va="bottom"
    )
    axes.set_title("Noise-free problems, n ≥ 8: median and 5-95 % of the error")
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(path, dpi=130)
    print(f"\n{path} drawn")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", nargs="+", choices=(*ORDERS, "cs", "none"), default=ORDERS)
    parser.add_argument("--rivals", nargs="+", choices=(*RIVALS, "none"), default=RIVALS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--n", type=int, default=60, help="largest n")
    parser.add_argument("--redraws", type=int, default=0, help="further points of each problem")
    parser.add_argument("--states", type=int, default=30, help="states a group, where users stand")
    parser.add_argument("--seed", type=int, help="of the states; another one each run by default")
    parser.add_argument("--seconds", type=float, default=10.0, help="processor time a problem")
    parser.add_argument("--plot", type=Path, default=Path("accuracy.png"))
    parser.add_argument("--gradients", action="store_true", help="Hessians from gradients, noise-free problems")
    parser.add_argument("--each", action="store_true", help="print one line a problem")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    make = from_gradients if options.gradients else ours
    chosen = {f"hessfast {order}": make(order) for order in options.orders if order != "none"}
    cases = [p for p in problems() if p.kind in options.kinds and p.n <= options.n]
    cases = [q for p in cases for q in (p, *(p.redraw(seed) for seed in range(1, options.redraws + 1)))]
    if options.gradients:
        cases = [replace(p, fun=p.grad_fun) for p in cases if group(p) == "noise-free"]
    else:
        chosen |= {rival: RIVALS[rival] for rival in options.rivals if rival != "none"}
    table: dict[str, list[Outcome]] = {}
    for name, method in chosen.items():
        table[name] = [measure(method, p, options.seconds) for p in cases]
        print(f"{name}: {sum(o.seconds for o in table[name]):.0f} s", file=sys.stderr)
        if options.each:
            for o in table[name]:
                print(
                    f"{name:<14}{o.problem.kind:<15}{o.problem.name:<32}{o.problem.n:>3}{o.evaluations:>9.2f}"
                    f"{o.error:>9.1e}{o.lost:>4} {o.failure}"
                )
    if options.gradients:
        report_gradients(table)
    else:
        report(table)
        report_digits(table)
    if options.states:
        gradients = "jac" if options.gradients else "values"
        routes = [f"{gradients} {order}" for order in options.orders if f"{gradients} {order}" in ROUTES]
        rivals = [] if options.gradients else [rival for rival in options.rivals if rival in STATE_RIVALS]
        compare(routes, rivals, options.states, fresh_seed() if options.seed is None else options.seed)
    plot(table, options.plot, "gradients / n" if options.gradients else "evaluations of f / n²")


if __name__ == "__main__":
    main()
