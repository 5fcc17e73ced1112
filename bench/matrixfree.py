"""Curvature and products without a matrix: time and memory at n = 10⁶ … 10⁸, accuracy, solvers on real data.

    python bench/matrixfree.py                          # everything at n = 10⁶ and 10⁷: two to three minutes
    python bench/matrixfree.py scale --n 1e7
    python bench/matrixfree.py scale --n 1e8 --single   # float32 storage; 8 GB free
    python bench/matrixfree.py accuracy
    python bench/matrixfree.py solvers

scale: the step length gᵀg / gᵀHg of a separable function whose H is known, from its gradient. Times are the least of
interleaved runs, processor time where one thread works, since other work on the machine disturbs it less; `ratio` is
the whole, g included, over (extra gradients + 1) times the gradient's own time, `passes` what an extra gradient costs
above that time, in passes over a vector of n float64 (half the time of a copy). `memory` is the peak beside x0, in such
vectors, gradients and their temporaries included.
accuracy: relative error against exact curvatures, of f alone and of its gradient, and how often the bar holds.
solvers: eigsh and trust-ncg on the operator, beside the forward difference that one would write by hand. Data:
scikit-learn's digits and breast cancer sets, packaged with it.
"""

from __future__ import annotations

import argparse
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numba import njit
from scipy.optimize import minimize
from scipy.sparse.linalg import LinearOperator, eigsh

from hessfast import HessianOperator, curvature, optimal_step

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

MODES = {
    "order 2, given step": {"order": 2, "rel_step": 2.0**-17},
    "order 4, given step": {"order": 4, "rel_step": 2.0**-10},
    "search": {},
}


@njit
def soft_wells(x: np.ndarray, stiffness: np.ndarray) -> np.ndarray:
    """Gradient of Σ log cosh x_i + stiffness_i x_i² / 2, in the storage of stiffness."""
    g = np.empty_like(stiffness)
    for i in range(x.size):
        g[i] = np.tanh(x[i]) + stiffness[i] * x[i]
    return g


def soft_wells_numpy(x: np.ndarray, stiffness: np.ndarray) -> np.ndarray:
    g = np.tanh(x)
    g += stiffness * x
    return g.astype(stiffness.dtype, copy=False)


def exact_step(x: np.ndarray, stiffness: np.ndarray) -> float:
    """Return gᵀg / gᵀHg in long double, in blocks."""
    gg = gHg = np.longdouble(0)
    for first in range(0, x.size, 10**6):
        point = x[first : first + 10**6].astype(np.longdouble)
        a = stiffness[first : first + 10**6].astype(np.longdouble)
        slope = np.tanh(point)
        g = slope + a * point
        gg += np.sum(g * g)
        gHg += np.sum(g * g * (1 - slope**2 + a))
    return float(gg / gHg)


def peak_vectors(call: Callable[[], object], n: int) -> float:
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (8 * n)


def scale(n: int, single: bool, workers: int | None, repeats: int) -> None:
    storage = np.float32 if single else np.float64
    rng = np.random.default_rng(0)
    x = rng.standard_normal(n, dtype=storage)
    stiffness = rng.random(n, dtype=storage)
    exact = exact_step(x, stiffness)
    clock = time.perf_counter if workers and workers > 1 else time.thread_time
    point, other = x.astype(np.float64), np.empty(n)
    print(f"\nstep length at n = {n:.0e}, {np.dtype(storage).name} storage, workers = {workers}")
    for name, gradient in (("numba", soft_wells), ("NumPy", soft_wells_numpy)):

        def jac(x: np.ndarray, gradient: Callable[..., np.ndarray] = gradient) -> np.ndarray:
            return gradient(x, stiffness)

        def step(jac: Callable[[np.ndarray], np.ndarray] = jac, **options: object) -> tuple[float, int]:
            g = jac(point)
            found = curvature(None, x, g, jac=jac, workers=workers, **options)
            bar = None if np.isnan(found.error) else found.error
            return float(optimal_step(g, gHg=found.value, error=bar)), found.njev

        tasks = {"gradient": lambda jac=jac: jac(point), "copy": lambda: np.copyto(other, point)}
        tasks |= {mode: lambda options=options, step=step: step(**options) for mode, options in MODES.items()}
        times: dict[str, list[float]] = {task: [] for task in tasks}
        for _ in range(repeats + 1):
            for task, run in tasks.items():
                start = clock()
                run()
                times[task].append(clock() - start)
        seconds = {task: min(runs[1:]) for task, runs in times.items()}
        print(f"{name} gradient: {seconds['gradient'] / n * 1e9:.1f} ns a coordinate")
        for mode, options in MODES.items():
            found, extra = step(**options)
            whole, bare = seconds[mode], seconds["gradient"]
            print(
                f"  {mode:20s} extra gradients {extra:2d}  ratio {whole / ((extra + 1) * bare):.2f}"
                f"  passes {(whole - (extra + 1) * bare) / extra / (0.5 * seconds['copy']):4.1f}"
                f"  memory {peak_vectors(lambda options=options, step=step: step(**options), n):.1f}"
                f"  relative error {abs(found - exact) / exact:.1e}",
                flush=True,
            )


def summary(name: str, rows: list[tuple[float, float, int]]) -> None:
    """Print median, 95th percentile and worst error, coverage of the bar, evaluations."""
    error, bar, calls = (np.array(column) for column in zip(*rows, strict=True))
    print(
        f"{name:24s} {len(rows):4d}  median {np.median(error):.1e}  p95 {np.percentile(error, 95):.1e}  worst "
        f"{error.max():.1e}  inside the bar {100 * np.mean(error <= bar):.1f} %  evaluations {np.median(calls):.0f}, "
        f"p95 {np.percentile(calls, 95):.0f}",
        flush=True,
    )


def accuracy() -> None:
    from problems import problems

    values, gradients = [], []
    for p in problems():
        if p.bounds is not None or p.noise > 0 or p.kind == "offset":
            continue
        rng = np.random.default_rng(1)
        for v in (
            rng.standard_normal(p.n),
            p.lengths * rng.standard_normal(p.n),
            p.grad,
            p.grad * p.lengths**2,
        ):
            exact = float(v @ (p.hess.astype(np.longdouble) @ v))
            if not abs(exact) > 1e-6 * (np.abs(v) @ np.abs(p.hess) @ np.abs(v)):
                continue
            found = curvature(p.fun, p.x0, v)
            values.append((abs(found.value - exact) / abs(exact), found.error / abs(exact), found.nfev))
            found = curvature(None, p.x0, v, jac=p.grad_fun)
            gradients.append((abs(found.value - exact) / abs(exact), found.error / abs(exact), found.njev))
    print("\nrelative error of vᵀHv: random, scaled and gradient directions of the problems in tests/problems")
    summary("values", values)
    summary("gradients", gradients)


def large_n_accuracy(n: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(n)
    functions = {
        "sum of log cosh": (lambda x: np.sum(np.log(np.cosh(x))), lambda x: 1 / np.cosh(x) ** 2),
        "sum of cosines": (lambda x: np.sum(0.5 * x * x - np.cos(x)), lambda x: 1 + np.cos(x)),
        "logistic": (lambda x: np.sum(np.logaddexp(0, x)), lambda x: 1 / (2 + np.exp(x) + np.exp(-x))),
        "sum of quartics": (lambda x: np.sum(x**4 - x**2), lambda x: 12 * x**2 - 2),
        "sum of exponentials": (lambda x: np.sum(np.exp(x)), np.exp),
    }
    print(f"\nrelative error of vᵀHv from f alone at n = {n:.0e}, v random")
    for name, (fun, diagonal) in functions.items():
        v = rng.standard_normal(n)
        exact = float(np.sum((v * v * diagonal(x)).astype(np.longdouble)))
        found = curvature(fun, x, v)
        print(
            f"  {name:20s} {abs(found.value - exact) / abs(exact):.1e}, bar {found.error / abs(exact):.1e},"
            f" {found.nfev} evaluations",
            flush=True,
        )


class ByHand:
    """The forward difference (g(x + h p) - g(x)) / h with h = 1e-8 / ‖p‖, as one would write it."""

    def __init__(self, jac: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> None:
        self.jac, self.x, self.g, self.njev, self.products = jac, x, None, 0, 0

    def hessp(self, x: np.ndarray, p: np.ndarray) -> np.ndarray:
        if self.g is None or not np.array_equal(x, self.x):
            self.x, self.g = x.copy(), self.jac(x)
            self.njev += 1
        self.products += 1
        self.njev += 1
        size = np.linalg.norm(p)
        h = 1e-8 / size if size > 0 else 1.0
        return (self.jac(x + h * p) - self.g) / h


def softmax_loss(A: np.ndarray, labels: np.ndarray, ridge: float) -> tuple[Callable, Callable]:
    Y = np.eye(labels.max() + 1)[labels]
    shape = A.shape[1], Y.shape[1]

    def parts(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z = A @ w.reshape(shape)
        top = z.max(axis=1, keepdims=True)
        e = np.exp(z - top)
        total = e.sum(axis=1, keepdims=True)
        return e / total, z - top - np.log(total)

    def fun(w: np.ndarray) -> float:
        return -np.sum(Y * parts(w)[1]) / len(A) + 0.5 * ridge * w @ w

    def jac(w: np.ndarray) -> np.ndarray:
        return (A.T @ (parts(w)[0] - Y)).ravel() / len(A) + ridge * w

    return fun, jac


def real_problems() -> dict[str, tuple[Callable, Callable, np.ndarray]]:
    """Softmax regressions with raw and standardised features."""
    try:
        from sklearn.datasets import load_breast_cancer, load_digits
    except ImportError:
        raise SystemExit("solvers need scikit-learn's packaged data: pip install scikit-learn") from None
    rng = np.random.default_rng(0)
    made = {}
    for name, data, standardise in (("digits", load_digits(), False), ("breast cancer", load_breast_cancer(), True)):
        A = data.data / (1.0 if standardise else 16.0)
        if standardise:
            A = (A - A.mean(axis=0)) / A.std(axis=0)
        fun, jac = softmax_loss(A, data.target, 1e-4)
        made[name] = fun, jac, 0.01 * rng.standard_normal(A.shape[1] * (data.target.max() + 1))
    return made


def solvers() -> None:
    for name, (fun, jac, x0) in real_problems().items():
        n = x0.size
        print(f"\n{name}, n = {n}: trust-ncg to ‖g‖ ≤ 1e-7")
        entries = []
        for title, order in (("cheap mode, order 1", 1), ("default, order 2", 2)):
            operator = HessianOperator(None, x0, jac=jac, order=order)
            entries.append((title, operator.gradient, operator.hessp, operator))
        by_hand = ByHand(jac, x0)
        entries.append(("by hand", jac, by_hand.hessp, by_hand))
        for title, gradient, hessp, counter in entries:
            found = minimize(
                fun, x0, jac=gradient, hessp=hessp, method="trust-ncg", options={"gtol": 1e-7, "maxiter": 500}
            )
            spent = counter.njev - (0 if counter is by_hand else found.njev)
            print(
                f"  {title:20s} {found.nit:3d} iterations  {counter.products:4d} products  gradients a product"
                f" {spent / counter.products:.3f}  ‖g‖ {np.linalg.norm(jac(found.x)):.1e}",
                flush=True,
            )
        optimum = found.x
        print(f"{name}: largest eigenvalue at the optimum, eigsh to tol 1e-8")
        exact = eigsh(HessianOperator(None, optimum, jac=jac, order=6), k=1, tol=1e-13, return_eigenvectors=False)[0]
        for order in (1, 2):
            operator = HessianOperator(None, optimum, jac=jac, order=order)
            largest = eigsh(operator, k=1, tol=1e-8, v0=np.ones(n), return_eigenvectors=False)[0]
            print(
                f"  order {order:14d} {operator.products:4d} products  gradients a product"
                f" {operator.njev / operator.products:.3f}  relative error {abs(largest - exact) / exact:.1e}"
            )
        by_hand = ByHand(jac, optimum)
        matrix = LinearOperator((n, n), lambda p, by_hand=by_hand, x=optimum: by_hand.hessp(x, p.ravel()), dtype=float)
        largest = eigsh(matrix, k=1, tol=1e-8, v0=np.ones(n), return_eigenvectors=False)[0]
        print(
            f"  {'by hand':20s} {by_hand.products:4d} products  gradients a product"
            f" {by_hand.njev / by_hand.products:.3f}  relative error {abs(largest - exact) / exact:.1e}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=["scale", "accuracy", "solvers"])
    parser.add_argument("--n", type=float, nargs="+", default=[1e6, 1e7])
    parser.add_argument("--single", action="store_true", help="float32 storage")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # rival steps overflow here and there
    np.seterr(all="ignore")
    if given.part in (None, "accuracy"):
        accuracy()
        large_n_accuracy(10**6)
    if given.part in (None, "solvers"):
        solvers()
    if given.part in (None, "scale"):
        for n in given.n:
            scale(int(n), given.single, given.workers, given.repeats)


if __name__ == "__main__":
    main()
