"""A record of what every route does on every problem, and what a change does to it.

    python bench/record.py write                            # bench/record.csv anew, in minutes
    python bench/record.py write --out new.csv --routes "values 4" curvature --n 12
    python bench/record.py compare                          # the committed record against the code as it is now
    python bench/record.py compare HEAD~3                   # that of a revision against the code as it is now
    python bench/record.py compare HEAD~9 new.csv           # two records, each a file or a revision; nothing is run
    python bench/record.py compare --routes "jac 2" --n 12  # some routes, small problems

A row is a route on a problem of `tests/problems`, "@k" after its name at its k-th redrawing, which small ones have.
`error` is relative, in the natural lengths of the variables (infinite where no finite answer came); `lost` counts the
numbers off by half of themselves and of a thousandth of their natural size; `inside` how many of `numbers` are within
their bars; `typical` is the median of |error| over bar, of what has an error, `worst` the largest, less the rounding of
natural sizes that no bar has to cover; `loud` is 1 where a status or a warning spoke; `bits` is a hash of all numbers
and bars. Bits may change from machine to machine and from NumPy to NumPy, so the first line of a record names both.

`compare` prints two lines, old and new, for each route on the noise-free and the noisy problems, then what got worse.
There `none` counts the problems without a finite answer, which `worst` leaves out; `silent` those where a number is
more than 3 bars off, or the error above 0.3, without a word. Evaluations are a ratio, the geometric mean of all. Its
exit status is 1 where a problem was lost or has more than 3 times its old error.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import multiprocessing
import os
import platform
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

from problems import Problem, draw, problems  # noqa: E402
from problems.outcome import Counted  # noqa: E402

import hessfast  # noqa: E402
from hessfast.values.stencils import ORDERS  # noqa: E402

RECORD = ROOT / "bench" / "record.csv"
EPS = float(np.finfo(np.float64).eps)
LARGEST_N = 60
REDRAWN_N = 8  # largest n of the problems that are redrawn
WORSE, COSTLIER = 3.0, 1.05
ROUNDING = 1e-15  # of the error: no change for the worse is smaller
ROUNDINGS = 4 * EPS  # of the natural size of a number: what no bar has to cover
OUTSIDE, GROSS = 3.0, 0.3  # bars, or relative error, beyond which an answer without a word is silently wrong

Array = np.ndarray


@dataclass(frozen=True)
class Numbers:
    """What one call gave, the truth, and how its error is measured."""

    value: Array  # (k,)
    bar: Array  # (k,), or (1,) on the Euclidean norm of the errors
    truth: Array  # (k,)
    size: Array  # (k,) natural size of each number
    error: float
    result: Any


@dataclass(frozen=True)
class Row:
    """One route on one problem, as it stands in the record."""

    route: str
    problem: str
    noise: float
    error: float
    lost: int
    inside: int
    numbers: int
    typical: float
    worst: float
    evaluations: int
    status: str
    loud: int
    bits: str

    @property
    def key(self) -> tuple[str, str]:
        return self.route, self.problem

    @property
    def silent(self) -> bool:
        """Whether something is wrong without a word."""
        return not self.loud and not (self.worst <= OUTSIDE and self.error <= GROSS)

    def cells(self) -> list[str]:
        """Return the cells of the line, floats to three digits."""
        return [f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in asdict(self).values()]

    @classmethod
    def of(cls, cells: Sequence[str]) -> Row:
        """Return the row that a line holds."""
        read: dict[str, Callable[[str], Any]] = {"int": int, "float": float, "str": str}
        kinds = [read[str(field.type)] for field in fields(cls)]
        return cls(*(kind(cell) for kind, cell in zip(kinds, cells, strict=True)))


Records = dict[tuple[str, str], Row]


# ---- the routes


def asked(p: Problem, fun: Counted, gradients: bool) -> dict[str, Any]:
    """Return the arguments that say what the function is and where."""
    bounds = {} if p.bounds is None else {"bounds": p.bounds}
    return {"fun": None, "x0": p.x0, "jac": fun, **bounds} if gradients else {"fun": fun, "x0": p.x0, **bounds}


def natural_sizes(hess: Array) -> Array:
    """Return the sizes that the entries of a Hessian would have if they were no smaller than those of the diagonal."""
    diagonal = np.abs(np.diag(hess))
    return np.sqrt(np.outer(diagonal, diagonal))


def direction(p: Problem) -> Array:
    """Return a random direction in natural lengths, the same at every run, that points away from bounds at x0."""
    v = np.random.default_rng(p.n).standard_normal(p.n) * p.lengths
    if p.bounds is None:
        return v
    lower, upper = (np.abs(bound - p.x0) < p.lengths * 1e-3 for bound in p.bounds)
    return np.where(lower, np.abs(v), np.where(upper, -np.abs(v), v))


def ratio(error: Any, size: Any) -> float:
    """Return error over size, the error itself where the size is 0, and inf where it is not finite."""
    quotient = float(error / size) if size > 0 else float(error)
    return quotient if math.isfinite(quotient) else math.inf


def dense(p: Problem, fun: Counted, gradients: bool, **options: Any) -> Numbers:
    result = hessfast.hessian(**asked(p, fun, gradients), **options, full_output=True)
    triangle = np.tril_indices(p.n)
    value, bar, size = result.hess[triangle], result.hess_error[triangle], natural_sizes(p.hess)[triangle]
    return Numbers(value, bar, p.hess[triangle], size, p.scaled_error(result.hess), result)


def along_direction(p: Problem, fun: Counted, gradients: bool) -> Numbers:
    v = direction(p)
    result = hessfast.curvature(v=v, **asked(p, fun, gradients))
    truth, size = v @ p.hess @ v, np.abs(v) @ np.abs(p.hess) @ np.abs(v)
    error = ratio(abs(result.value - truth), size)
    value, bar, truth, size = (np.atleast_1d(part) for part in (result.value, result.error, truth, size))
    return Numbers(value, bar, truth, size, error, result)


def product(p: Problem, fun: Counted, gradients: bool) -> Numbers:
    v = direction(p)
    result = hessfast.hvp(v=v, **asked(p, fun, gradients), full_output=True)
    truth, size = p.hess @ v, np.abs(p.hess) @ np.abs(v)
    error = ratio(np.linalg.norm(p.lengths * (result.value - truth)), np.linalg.norm(p.lengths * size))
    return Numbers(result.value, np.atleast_1d(result.error), truth, size, error, result)


def slopes(p: Problem, fun: Counted, gradients: bool) -> Numbers:
    result = hessfast.gradient(**asked(p, fun, gradients), full_output=True)
    size = np.abs(p.grad) + np.abs(p.hess) @ p.lengths
    return Numbers(result.value, result.error, p.grad, size, p.slope_error(result.value), result)


def diagonal(p: Problem, fun: Counted, gradients: bool) -> Numbers:
    result = hessfast.hessian_diag(**asked(p, fun, gradients), full_output=True)
    truth = np.diag(p.hess)
    size = np.linalg.norm(np.outer(p.lengths, p.lengths) * p.hess)
    error = ratio(np.linalg.norm(p.lengths**2 * (result.value - truth)), size)
    return Numbers(result.value, result.error, truth, np.abs(truth), error, result)


@dataclass(frozen=True)
class Route:
    """A public call, from values or from gradients."""

    call: Callable[..., Numbers]
    gradients: bool = False
    options: tuple[tuple[str, Any], ...] = ()

    def suits(self, p: Problem) -> bool:
        """Return whether the problem has what the route needs: complex steps need a function that is analytic."""
        if self.gradients and p.noise:
            return False
        return ("method", "cs") not in self.options or (p.analytic and p.bounds is None)


ROUTES: dict[str, Route] = {
    **{f"values {order}": Route(dense, False, (("order", order),)) for order in ORDERS},
    **{f"jac {order}": Route(dense, True, (("order", order),)) for order in (2, 4, 6)},
    "cs": Route(dense, False, (("method", "cs"),)),
    "cs jac": Route(dense, True, (("method", "cs"),)),
    "curvature": Route(along_direction),
    "curvature jac": Route(along_direction, True),
    "hvp": Route(product),
    "hvp jac": Route(product, True),
    "gradient": Route(slopes),
    "diagonal": Route(diagonal),
}


# ---- running them


def case(name: str) -> Problem:
    """Return the problem that a row names."""
    name, _, seed = name.partition("@")
    return draw(name, int(seed or 0))


def run(name: str, p: Problem, route: str) -> Row:
    """Return the row of a route on a problem; an exception is an outcome too."""
    chosen = ROUTES[route]
    fun = Counted(p.grad_fun if chosen.gradients else p.fun)
    with warnings.catch_warnings(record=True) as said, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            numbers = chosen.call(p, fun, chosen.gradients, **dict(chosen.options))
        except Exception as failure:
            status = f"raised {type(failure).__name__}"
            return Row(route, name, p.noise, math.inf, 1, 0, 1, math.nan, math.nan, fun.calls, status, 1, "")
        warned = any(issubclass(w.category, hessfast.AccuracyWarning) for w in said)
        return judged(name, p, route, numbers, fun.calls, warned)


def over_bars(off: Array, slack: Array | float, bar: Array) -> Array:
    """Return the errors beyond some slack over their bars; that of their norm where there is one bar for all."""
    rest = np.where(np.isfinite(off), np.maximum(off - slack, 0.0), np.inf)
    if bar.size < rest.size:
        rest = np.atleast_1d(np.linalg.norm(rest))
    return np.where(rest == 0, 0.0, np.where(np.isfinite(rest), rest / bar, np.inf))


def judged(name: str, p: Problem, route: str, numbers: Numbers, evaluations: int, warned: bool) -> Row:
    """Return the row that numbers make."""
    off, truth, bar, result = np.abs(numbers.value - numbers.truth), np.abs(numbers.truth), numbers.bar, numbers.result
    size = np.maximum(truth, 1e-3 * numbers.size)
    lost = ~np.isfinite(off) | ((off >= 0.5 * size) & (size > 0))
    inside = over_bars(off, EPS * truth, bar) <= 1
    plain = over_bars(off, 0.0, bar)
    beyond = over_bars(off, ROUNDINGS * np.maximum(truth, numbers.size), bar)
    return Row(
        route=route,
        problem=name,
        noise=p.noise,
        error=numbers.error,
        lost=int(np.count_nonzero(lost)),
        inside=int(np.count_nonzero(inside)),
        numbers=inside.size,
        typical=float(np.median(plain[plain > 0])) if np.any(plain > 0) else 0.0,
        worst=float(np.max(beyond)),
        evaluations=evaluations,
        status=result.status.name.lower().replace("_", " "),
        loud=int(warned or not result.success),
        bits=f"{zlib.crc32(bar.tobytes(), zlib.crc32(numbers.value.tobytes())):08x}",
    )


def run_all(work: tuple[str, tuple[str, ...]]) -> list[Row]:
    """Return the rows of some routes on one problem."""
    name, routes = work
    p = case(name)
    return [run(name, p, route) for route in routes if ROUTES[route].suits(p)]


def fresh(work: Iterable[tuple[str, tuple[str, ...]]], processes: int) -> Records:
    """Run routes on problems, in processes of their own where BLAS has one thread: more might change the bits."""
    print(f"hessfast of {Path(hessfast.__file__).parent}", file=sys.stderr)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        rows = [row for some in pool.map(run_all, work) for row in some]
    return {row.key: row for row in rows}


# ---- the record as text


def origin() -> str:
    """Return what the bits of a record depend on, apart from the code."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return f"NumPy {np.__version__}, {platform.machine()} {simd[-1] if simd else ''}, {' '.join(platform.libc_ver())}"


def text(records: Records) -> str:
    """Return a record as it is stored: sorted, a line a row."""
    out = io.StringIO()
    out.write(f"# {origin()}\n")
    table = csv.writer(out, lineterminator="\n")
    table.writerow(field.name for field in fields(Row))
    table.writerows(records[key].cells() for key in sorted(records))
    return out.getvalue()


def parse(stored: str) -> tuple[str, Records]:
    """Return the origin of a record and its rows."""
    first, _, table = stored.partition("\n")
    rows = [Row.of(cells) for cells in list(csv.reader(io.StringIO(table)))[1:]]
    return first.removeprefix("# "), {row.key: row for row in rows}


def load(source: str) -> tuple[str, Records]:
    """Read a record: that file, or the committed one of that revision."""
    if Path(source).is_file():
        return parse(Path(source).read_text())
    place = f"{source}:{RECORD.relative_to(ROOT)}"
    shown = subprocess.run(["git", "show", place], cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode:
        sys.exit(f"{source} is neither a file nor a revision with a record: {shown.stderr.strip()}")
    return parse(shown.stdout)


# ---- what a change did


@dataclass(frozen=True)
class Change:
    """A row before and after."""

    old: Row
    new: Row

    @property
    def is_worse(self) -> bool:
        return self.new.error > WORSE * self.old.error + ROUNDING

    @property
    def is_better(self) -> bool:
        return self.old.error > WORSE * self.new.error + ROUNDING

    @property
    def is_lost(self) -> bool:
        return self.new.lost > 0 and not self.old.lost

    @property
    def growth(self) -> float:
        """How much the error grew, the rounding apart."""
        if math.isinf(self.new.error):
            return math.inf
        return (self.new.error + ROUNDING) / (self.old.error + ROUNDING)

    @property
    def cost(self) -> float:
        """Evaluations over those before; 1 where either gave no answer."""
        answered = math.isfinite(self.old.error) and math.isfinite(self.new.error)
        return max(self.new.evaluations, 1) / max(self.old.evaluations, 1) if answered else 1.0

    def __str__(self) -> str:
        old, new = self.old, self.new
        return (
            f"{new.route:<14}{new.problem:<36} error {old.error:.1e} -> {new.error:.1e}"
            f"  lost {old.lost} -> {new.lost}  evaluations {old.evaluations} -> {new.evaluations}"
            f"  worst over bar {old.worst:.2g} -> {new.worst:.2g}  {old.status} -> {new.status}"
        )


LOSSES: dict[str, tuple[Callable[[Change], bool], Callable[[Change], float]]] = {
    "more than 3 times the error": (lambda c: c.is_worse, lambda c: c.growth),
    "more numbers lost": (lambda c: c.new.lost > c.old.lost, lambda c: c.new.lost - c.old.lost),
    "wrong without a word, and was not": (lambda c: c.new.silent and not c.old.silent, lambda c: c.new.worst),
    "more than 1.05 times the evaluations": (lambda c: c.cost > COSTLIER, lambda c: c.cost),
}
"""What counts as a loss, and by what the losers are sorted."""

HEADER = (
    f"{'':30}problems    median       p95     worst  none  lost  silent  coverage   least  over-estimate"
    "  evaluations  bits changed"
)


def pooled(rows: Sequence[Row]) -> str:
    """Return the figures of many rows."""
    errors = np.array([row.error for row in rows])
    answers = errors[np.isfinite(errors)]
    p95 = float(np.quantile(errors, 0.95, method="higher"))
    coverage = 100 * sum(row.inside for row in rows) / sum(row.numbers for row in rows)
    least = 100 * min(row.inside / row.numbers for row in rows)
    typical = [row.typical for row in rows if 0 < row.typical < math.inf]
    return (
        f"{np.median(errors):10.2e}{p95:10.2e}{answers.max(initial=0.0):10.1e}{errors.size - answers.size:6}"
        f"{sum(row.lost > 0 for row in rows):6}{sum(row.silent for row in rows):8}{coverage:9.2f}%{least:7.1f}%"
        f"{1 / np.median(typical) if typical else math.nan:15.1f}"
    )


def groups(changes: Sequence[Change]) -> Iterator[tuple[str, list[Change]]]:
    """Yield the changes of each route, on the noise-free and on the noisy problems."""
    for route in ROUTES:
        for noisy in (False, True):
            some = [c for c in changes if c.new.route == route and (c.new.noise > 0) == noisy]
            if some:
                yield f"{route}{', noisy' if noisy else ''}", some


def report_routes(changes: Sequence[Change]) -> None:
    """Print two lines a route."""
    print(HEADER)
    for title, some in groups(changes):
        cost = math.exp(np.mean([math.log(c.cost) for c in some]))
        changed = sum(c.new.bits != c.old.bits for c in some)
        print(f"{title:<24}{'old':<6}{len(some):8}{pooled([c.old for c in some])}")
        print(f"{'':24}{'new':<6}{'':8}{pooled([c.new for c in some])}{f'x{cost:.3f}':>13}{changed:14}")


def report_losses(changes: Sequence[Change], most: int) -> None:
    """Print the losers, those that lost most first, and how many won."""
    for title, (loses, by) in LOSSES.items():
        losers = sorted((c for c in changes if loses(c)), key=by, reverse=True)
        print(f"\n{title}: {len(losers)}")
        for c in losers[:most]:
            print(f"  {c}")
        if len(losers) > most:
            print(f"  and {len(losers) - most} more")
    found = sum(c.old.lost > 0 and not c.new.lost for c in changes)
    print(
        f"\nless than a third of the error: {sum(c.is_better for c in changes)}; lost no longer: {found}; "
        f"fewer evaluations by 5 %: {sum(c.cost * COSTLIER < 1 for c in changes)}; "
        f"no longer wrong without a word: {sum(c.old.silent and not c.new.silent for c in changes)}"
    )


def compare(old: Records, new: Records, most: int) -> bool:
    """Print what changed and return whether nothing was lost."""
    changes = [Change(old[key], new[key]) for key in sorted(old.keys() & new.keys())]
    if not changes:
        sys.exit("the two records have no row in common")
    report_routes(changes)
    report_losses(changes, most)
    for title, keys in (("only in the old", old.keys() - new.keys()), ("only in the new", new.keys() - old.keys())):
        if keys:
            print(f"{title} record: {len(keys)} rows, as {', '.join(sorted(keys)[0])}")
    return not any(c.is_worse or c.is_lost for c in changes)


# ---- the command line


def selected(records: Records, routes: Sequence[str], largest: int) -> Records:
    """Return the rows of some routes and of the problems that are there still and small enough."""
    size = {p.name: p.n for p in problems()}
    return {
        key: row
        for key, row in records.items()
        if row.route in routes and size.get(row.problem.partition("@")[0], 0) <= largest
    }


def again(records: Records) -> list[tuple[str, tuple[str, ...]]]:
    """Return the work that makes the same rows anew."""
    known = {p.name for p in problems()}
    names = sorted({name for _, name in records if name.partition("@")[0] in known})
    return [(name, tuple(route for route in ROUTES if (route, name) in records)) for name in names]


def write(options: argparse.Namespace) -> int:
    cases = sorted((p for p in problems() if p.n <= options.n), key=lambda p: -p.n)
    names = [p.name for p in cases]
    names += [f"{p.name}@{seed}" for seed in range(1, options.redraws + 1) for p in cases if p.n <= REDRAWN_N]
    records = fresh([(name, tuple(options.routes)) for name in names], options.processes)
    options.out.write_text(text(records))
    print(f"{options.out}: {len(records)} rows")
    return 0


def show_change(options: argparse.Namespace) -> int:
    origins, old = load(options.old)
    old = selected(old, options.routes, options.n)
    if options.new is None:
        now, new = origin(), fresh(again(old), options.processes)
        now, new = parse(text(new))[0], parse(text(new))[1]
    else:
        now, new = load(options.new)
        new = selected(new, options.routes, options.n)
    if origins != now:
        print(f"old from {origins}; new from {now}: bits may differ for that alone\n")
    return 0 if compare(old, new, options.most) else 1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, metavar="{write,compare}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--routes", nargs="+", choices=ROUTES, default=list(ROUTES))
    common.add_argument("--n", type=int, default=LARGEST_N, help="largest n (default %(default)s)")
    common.add_argument("--processes", type=int, default=2)
    writing = verbs.add_parser("write", parents=[common], help="run everything and store it")
    writing.add_argument("--out", type=Path, default=RECORD)
    writing.add_argument("--redraws", type=int, default=1, help="further points of each small problem")
    writing.set_defaults(verb=write)
    comparing = verbs.add_parser("compare", parents=[common], help="show what a change did")
    comparing.add_argument("old", nargs="?", default="HEAD", help="file or revision (default HEAD)")
    comparing.add_argument("new", nargs="?", help="the same; the code as it is now by default")
    comparing.add_argument("--most", type=int, default=20, help="losers of a kind listed (default %(default)s)")
    comparing.set_defaults(verb=show_change)
    return parser.parse_args()


if __name__ == "__main__":
    options = arguments()
    sys.exit(options.verb(options))
