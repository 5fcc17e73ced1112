"""Race of minimize_taylor against SciPy's CG and L-BFGS-B and a fixed learning rate, on real data.

    python bench/descent.py                 # about two minutes
    python bench/descent.py --problems logistic --gtol 1e-6

Every method starts at the same point and ends where no component of the gradient exceeds gtol; the gradient there
is checked, and so is f where the problem has a single minimum. An evaluation is one of (f, g)
together, curvature probes included. Times are medians of interleaved runs, as ratios to L-BFGS-B. The fixed rate is the
best of a scan by factors of two, whose own cost is not counted. Data: scikit-learn and statsmodels, packaged with them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from hessfast import minimize_taylor

RATES = [2.0**k for k in range(-8, 7)]
Function = Callable[[np.ndarray], tuple[float, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Problem:
    """A loss with its gradient, and where to start."""

    name: str
    data: str
    fun: Function
    x0: np.ndarray
    convex: bool


def logistic(X: np.ndarray, sign: np.ndarray, ridge: float) -> Function:
    """Mean logistic loss of labels ±1 with a ridge."""

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (X @ w)
        share = 0.5 * (1.0 - np.tanh(0.5 * margin))
        f = np.logaddexp(0.0, -margin).mean() + 0.5 * ridge * w @ w
        return f, X.T @ (-sign * share) / len(sign) + ridge * w

    return loss


def cross_entropy(Z: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean cross entropy of scores Z, and its gradient in Z."""
    Z = Z - Z.max(axis=1, keepdims=True)
    weight = np.exp(Z)
    total = weight.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    f = float((np.log(total[:, 0]) - Z[rows, labels]).mean())
    weight /= total
    weight[rows, labels] -= 1.0
    return f, weight / len(labels)


def softmax(X: np.ndarray, labels: np.ndarray, ridge: float) -> Function:
    """Multinomial logistic regression with a ridge."""

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        f, D = cross_entropy(X @ w.reshape(X.shape[1], -1), labels)
        return f + 0.5 * ridge * w @ w, (X.T @ D).ravel() + ridge * w

    return loss


def network(X: np.ndarray, labels: np.ndarray, hidden: int, ridge: float) -> Function:
    """One hidden layer of tanh, cross entropy, ridge; weights in the order first, its bias, second, its bias."""
    d, classes = X.shape[1], int(labels.max()) + 1
    cuts = np.cumsum([d * hidden, hidden, hidden * classes])

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        first, bias, second, last = np.split(w, cuts)
        second = second.reshape(hidden, classes)
        T = np.tanh(X @ first.reshape(d, hidden) + bias)
        f, D = cross_entropy(T @ second + last, labels)
        Q = (D @ second.T) * (1.0 - T * T)
        g = np.concatenate([(X.T @ Q).ravel(), Q.sum(axis=0), (T.T @ D).ravel(), D.sum(axis=0)])
        return f + 0.5 * ridge * w @ w, g + ridge * w

    return loss


def factors(A: np.ndarray, rank: int, ridge: float) -> Function:
    """Mean squared error of A ≈ U Vᵀ with a ridge: a saddle at the origin."""
    rows = len(A)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        U, V = w[: rows * rank].reshape(-1, rank), w[rows * rank :].reshape(-1, rank)
        R = U @ V.T - A
        g = np.concatenate([(R @ V).ravel(), (R.T @ U).ravel()])
        return 0.5 * (np.vdot(R, R) + ridge * w @ w) / A.size, (g + ridge * w) / A.size

    return loss


def poisson(X: np.ndarray, counts: np.ndarray) -> Function:
    """Mean negative log-likelihood of Poisson regression, constants left out."""

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        eta = X @ w
        with np.errstate(over="ignore"):
            mean = np.exp(eta)
        return (mean - counts * eta).mean(), X.T @ (mean - counts) / len(counts)

    return loss


def standardised(X: np.ndarray) -> np.ndarray:
    """Return the columns that vary, with mean 0 and deviation 1."""
    deviation = X.std(axis=0)
    X = X[:, deviation > 1e-12]
    return (X - X.mean(axis=0)) / X.std(axis=0)


def problems() -> Iterator[Problem]:
    """Yield the races."""
    from sklearn.datasets import load_breast_cancer, load_digits
    from statsmodels.datasets import randhie

    rng = np.random.default_rng(0)
    digits = load_digits()
    X, one = digits.data / 16.0, np.ones((len(digits.data), 1))
    pairs = np.stack([X[:, i] * X[:, j] for i, j in combinations(range(64), 2)], axis=1)
    quadratic = np.hstack([one, X, pairs])
    eight = np.where(digits.target == 8, 1.0, -1.0)
    yield Problem("logistic, pairs", "digits", logistic(quadratic, eight, 1e-4), np.zeros(quadratic.shape[1]), True)

    cancer = load_breast_cancer()
    C = standardised(cancer.data)
    triples = np.stack([C[:, list(t)].prod(axis=1) for t in combinations_with_replacement(range(30), 3)], axis=1)
    cubic = standardised(np.hstack([C, triples]))
    benign = np.where(cancer.target == 1, 1.0, -1.0)
    yield Problem("logistic, cubic", "cancer", logistic(cubic, benign, 1e-3), np.zeros(cubic.shape[1]), True)

    yield Problem("softmax", "digits", softmax(np.hstack([one, X]), digits.target, 1e-4), np.zeros(650), True)

    demand = randhie.load_pandas()
    R = np.hstack([np.ones((len(demand.endog), 1)), standardised(demand.exog.to_numpy(float))])
    yield Problem("poisson", "randhie", poisson(R, demand.endog.to_numpy(float)), np.zeros(R.shape[1]), True)

    start = 0.1 * rng.standard_normal((len(X) + 64) * 8)
    yield Problem("factors, rank 8", "digits", factors(X, 8, 1e-2), start, False)

    hidden = 16
    parts = rng.standard_normal(64 * hidden) / 8.0, rng.standard_normal(hidden * 10) / 4.0
    start = np.concatenate([parts[0], np.zeros(hidden), parts[1], np.zeros(10)])
    yield Problem("network, 16 tanh", "digits", network(X, digits.target, hidden, 1e-4), start, False)


class Counted:
    """The loss, counted: a second call at the same point in a row is served from memory, as SciPy does it."""

    def __init__(self, fun: Function) -> None:
        self.fun, self.count, self.x = fun, 0, np.empty(0)

    def both(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        if not np.array_equal(x, self.x):
            self.count += 1
            self.x, (self.f, self.g) = x.copy(), self.fun(x)
        return self.f, self.g

    def value(self, x: np.ndarray) -> float:
        return self.both(x)[0]

    def gradient(self, x: np.ndarray) -> np.ndarray:
        return self.both(x)[1]


def taylor(variant: str) -> Callable[..., OptimizeResult]:
    """Return minimize_taylor of one variant."""

    def method(fun: Counted, x0: np.ndarray, gtol: float, limit: int) -> OptimizeResult:
        options = {"variant": variant, "gtol": gtol, "maxiter": limit}
        return minimize(fun.value, x0, jac=fun.gradient, method=minimize_taylor, options=options)

    return method


def conjugate_gradients(fun: Counted, x0: np.ndarray, gtol: float, limit: int) -> OptimizeResult:
    return minimize(fun.value, x0, jac=fun.gradient, method="CG", options={"gtol": gtol, "maxiter": limit})


def lbfgs(fun: Counted, x0: np.ndarray, gtol: float, limit: int) -> OptimizeResult:
    options = {"gtol": gtol, "ftol": 0.0, "maxiter": limit, "maxfun": 2 * limit}
    return minimize(fun.value, x0, jac=fun.gradient, method="L-BFGS-B", options=options)


def fixed_rate(rate: float) -> Callable[..., OptimizeResult]:
    """Return gradient descent with one learning rate."""

    def method(fun: Counted, x0: np.ndarray, gtol: float, limit: int) -> OptimizeResult:
        x = x0.copy()
        f, g = fun.both(x)
        first = f
        for _ in range(limit):
            if np.abs(g).max() <= gtol or not np.isfinite(f) or f > 10.0 * abs(first) + 10.0:
                break
            x = x - rate * g
            f, g = fun.both(x)
        return OptimizeResult(x=x, fun=f, jac=g)

    return method


def best_rate(problem: Problem, gtol: float, limit: int) -> float:
    """Return the rate that gets the least gradient, or the same with fewest evaluations, in a short scan."""
    trials = []
    for rate in RATES:
        fun = Counted(problem.fun)
        with np.errstate(all="ignore"):
            result = fixed_rate(rate)(fun, problem.x0, gtol, limit)
        size = float(np.abs(result.jac).max())
        trials.append((max(size, gtol) if np.isfinite(size) else np.inf, fun.count, rate))
    return min(trials)[2]


METHODS: dict[str, Callable[..., OptimizeResult]] = {
    "L-BFGS-B": lbfgs,
    "CG": conjugate_gradients,
    "taylor abb": taylor("abb"),
    "taylor cauchy-bb": taylor("cauchy-bb"),
    "taylor relaxed": taylor("relaxed"),
    "taylor cauchy": taylor("cauchy"),
}


def race(problem: Problem, gtol: float, limit: int, repeats: int) -> None:
    """Run every method on one problem and print its lines."""
    methods = dict(METHODS)
    rate = best_rate(problem, gtol, min(limit, 300))
    methods[f"fixed rate {rate:g}"] = fixed_rate(rate)
    times: dict[str, list[float]] = {name: [] for name in methods}
    results: dict[str, tuple[OptimizeResult, int]] = {}
    for _ in range(repeats):
        for name, method in methods.items():
            fun = Counted(problem.fun)
            began = time.perf_counter()
            result = method(fun, problem.x0, gtol, limit)
            times[name].append(time.perf_counter() - began)
            results[name] = result, fun.count
    unit = float(np.median(times["L-BFGS-B"]))
    least = min(float(result.fun) for result, _ in results.values())
    print(f"\n{problem.name} ({problem.data}), n = {problem.x0.size}; L-BFGS-B {unit:.3g} s")
    for name, (result, count) in results.items():
        f, g = problem.fun(result.x)
        size = float(np.abs(g).max())
        arrived = size <= gtol
        if arrived and problem.convex:
            assert f - least <= 3e-3 * abs(least), (name, f, least)
        ratio = float(np.median(times[name])) / unit
        note = "" if arrived else f"   stopped at |g| = {size:.1e}"
        print(f"  {name:<18} {count:6} evaluations  {ratio:6.2f} x time   f = {f:.8f}{note}", flush=True)


def main() -> None:
    """Read the options and race."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="*", default=None, help="run those whose name contains one of these")
    parser.add_argument("--gtol", type=float, default=1e-5)
    parser.add_argument("--limit", type=int, default=3000, help="most iterations of a method")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for problem in problems():
        if options.problems is None or any(part in problem.name for part in options.problems):
            race(problem, options.gtol, options.limit, options.repeats)


if __name__ == "__main__":
    main()
