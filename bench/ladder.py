"""The ladder of one coordinate: both errors of its second derivative against the step, and the rung that is chosen.

    python bench/ladder.py                                # prints the rungs of a real axis
    python bench/ladder.py docs/search.png                # draws them
    python bench/ladder.py --problem enso_logit_15 --axis 3 --order 6

The rungs, their errors and the choice are the library's own; the exact derivative, which it does not know, is the
problem's.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

from problems import Problem, draw  # noqa: E402

from hessfast.calls.points import Search  # noqa: E402
from hessfast.calls.run import drive, value_at  # noqa: E402
from hessfast.problem import bind  # noqa: E402
from hessfast.values.ladder import Axis, Ladder, advance  # noqa: E402
from hessfast.values.search import run, start_search  # noqa: E402

INK, TRUNCATION, CONDITION, CHOSEN = "#1b1f24", "#d1495b", "#1f6feb", "#2e7d32"


def climb(p: Problem, number: int, order: int, lowest: int) -> Search[tuple[Axis, int, list[int]]]:
    """Search the steps as `hessian` does, then visit every rung of one axis.

    Return the axis, the rung chosen and those visited by the search.
    """
    infinite = np.full(p.n, np.inf)
    f0 = float(p.fun(p.x0))
    search = yield from start_search(p.x0, np.arange(p.n, dtype=np.int32), f0, -infinite, infinite, None)
    yield from run(search, order)
    axis = search.axes[number]
    ladder = axis.ladder
    assert ladder is not None
    best = ladder.best()
    assert best is not None
    seen = [k for k, rung in ladder.rungs.items() if rung is not None and rung.above is not None]
    for k in range(lowest, 3):
        yield from advance([axis], [ladder.visit(k)])
    return axis, best.k, seen


def rungs(ladder: Ladder, exact: float) -> np.ndarray[Any, Any]:
    """Return rows (k, truncation, condition, true error), all but k over the exact derivative."""
    known = [rung for _, rung in sorted(ladder.rungs.items()) if rung is not None and rung.above is not None]
    rows = [(r.k, r.truncation, r.condition, abs(r.curvature - exact)) for r in known]
    table = np.array(rows)
    table[:, 1:] /= abs(exact)
    return table


def picture(path: str, p: Problem, axis: Axis, seen: list[int], chosen: int, table: np.ndarray[Any, Any]) -> None:
    """Draw both errors, the true one, the rungs that the search visited, its choice, its check and the size of x."""
    import matplotlib.pyplot as plt

    ladder = axis.ladder
    assert ladder is not None
    k, (truncation, condition, true) = table[:, 0], np.maximum(table[:, 1:].T, 1e-17)
    _, ax = plt.subplots(figsize=(8, 4.8), layout="constrained")
    ax.semilogy(k, condition, color=CONDITION, lw=2, label="condition error, estimated: noise / h²")
    shown = np.array([not ladder.hidden(ladder.rungs[int(at)], ladder.policy.visible) for at in k])
    ax.semilogy(k, truncation, color=TRUNCATION, lw=1, ls=":")
    label = f"truncation error, estimated: ~ h^{ladder.formula.order}; dotted where noise hides it"
    ax.semilogy(k[shown], truncation[shown], color=TRUNCATION, lw=2, label=label)
    ax.semilogy(k, true, "o", ms=4, color=INK, label="true error")
    visited = np.isin(k, seen)
    ax.semilogy(
        k[visited], true[visited], "o", ms=9, mfc="none", mec=CHOSEN, mew=1.6, label="rungs that the search visited"
    )
    low, high = ax.get_ylim()
    ax.axvline(chosen, color=CHOSEN, lw=1)
    ax.annotate("chosen", (chosen, high), (4, -12), textcoords="offset points", color=CHOSEN)
    depth = ladder.policy.verify_depth
    ax.axvline(chosen - depth, color=CHOSEN, lw=1, ls="--")
    ax.annotate(f"check, {depth} below", (chosen - depth, high), (4, -12), textcoords="offset points", color=CHOSEN)
    ax.axvline(ladder.far(), color=INK, lw=0.8, ls="-.")
    ax.annotate("nodes reach |x|", (ladder.far(), low), (-4, 8), textcoords="offset points", ha="right", color=INK)
    ax.set(xlabel="rung k: the step is h = 2^k u, u near |x|", ylabel="error of D over D")
    ax.set_title(f"{p.name}, coordinate {axis.index}, order {ladder.formula.order}", loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(framealpha=1.0, edgecolor="none", fontsize=9)
    plt.savefig(path, dpi=110)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?")
    parser.add_argument("--problem", default="challenger_logit")
    parser.add_argument("--axis", type=int, default=0)
    parser.add_argument("--order", type=int, default=4)
    parser.add_argument("--lowest", type=int, default=-26)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    p = draw(options.problem)
    with bind(p.fun, p.x0) as problem:
        team = problem.fun
        assert team is not None
        value_at(team)
        axis, chosen, seen = drive(climb(p, options.axis, options.order, options.lowest), team)
    ladder = axis.ladder
    assert ladder is not None
    table = rungs(ladder, float(p.hess[options.axis, options.axis]))
    print("    k  truncation   condition  true error")
    for k, truncation, condition, true in table.tolist():
        mark = "chosen" if k == chosen else "seen" if k in seen else ""
        print(f"{k:5.0f}{truncation:12.1e}{condition:12.1e}{true:12.1e}  {mark}")
    if options.picture:
        picture(options.picture, p, axis, seen, chosen, table)


if __name__ == "__main__":
    main()
