"""Accuracy of gradients from values of f: hessfast.gradient, the by-product of hessfast.hessian, and three rivals.

    python bench/gradients.py

The problems are those of bench/accuracy.py; the error is ‖S(ĝ − ∇f)‖ / (‖S∇f‖ + ‖SHS‖), S the natural lengths.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "examples")]

from problems import Problem, problems  # noqa: E402
from problems.outcome import Counted  # noqa: E402

from hessfast.values.stencils import ORDERS  # noqa: E402

Method = Callable[[Any, Problem], tuple[np.ndarray, np.ndarray | None]]


def own_call(order: int | str) -> Method:
    """Return hessfast.gradient at one order."""
    from hessfast import gradient

    def method(fun: Any, p: Problem) -> tuple[np.ndarray, np.ndarray]:
        r = gradient(fun, p.x0, order=order, bounds=p.bounds, full_output=True)
        return r.value, r.error

    return method


def by_product(order: int | str) -> Method:
    """Return the gradient that hessfast.hessian finds on its way."""
    from hessfast import hessian

    def method(fun: Any, p: Problem) -> tuple[np.ndarray, np.ndarray]:
        r = hessian(fun, p.x0, order=order, bounds=p.bounds, full_output=True)
        return r.jac, r.jac_error

    return method


def numdifftools(fun: Any, p: Problem) -> tuple[np.ndarray, None]:
    from numdifftools import Gradient

    return np.atleast_1d(Gradient(fun)(p.x0)), None


def scipy_jacobian(fun: Any, p: Problem) -> tuple[np.ndarray, None]:
    from scipy.differentiate import jacobian

    return np.atleast_1d(jacobian(lambda X: np.apply_along_axis(fun, 0, X), p.x0).df), None


def scipy_fprime(fun: Any, p: Problem) -> tuple[np.ndarray, None]:
    from scipy.optimize import approx_fprime

    return approx_fprime(p.x0, fun), None


METHODS: dict[str, Method] = {
    **{f"gradient {order}": own_call(order) for order in (*ORDERS, "auto")},
    **{f"hessian {order}": by_product(order) for order in (2, 4, 6)},
    "numdifftools": numdifftools,
    "scipy jacobian": scipy_jacobian,
    "approx_fprime": scipy_fprime,
}


def judge(method: Method, cases: list[Problem]) -> str:
    """Return one line of the table."""
    errors, costs, inside, over, failed = [], [], [], [], 0
    for p in cases:
        fun = Counted(p.fun)
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                grad, bars = method(fun, p)
        except Exception:  # the rivals raise whatever they raise
            grad, bars, failed = np.full(p.n, np.nan), None, failed + 1
        with np.errstate(over="ignore"):
            errors.append(p.slope_error(grad))
        costs.append(fun.calls / p.n)
        if bars is not None:
            error = np.abs(grad - p.grad)
            inside.append(error <= bars + np.finfo(np.float64).eps * np.abs(p.grad))
            over.append((bars / np.where(error > 0, error, 1))[error > 0])
    covered = (
        "" if not inside else f"{100 * np.concatenate(inside).mean():9.2f}%{np.median(np.concatenate(over)):14.1f}"
    )
    median, p95 = np.quantile(errors, [0.5, 0.95], method="higher")
    return f"{np.median(costs):14.1f}  {median:7.1e}  {p95:7.1e}  {max(errors):7.1e}{failed:>8}{covered}"


def main() -> None:
    smooth = [p for p in problems() if p.noise == 0 and p.kind not in ("offset", "model_distance") and p.n <= 25]
    noisy = [p for p in problems("noise") if p.n <= 25]
    for title, cases in (("noise-free, n ≤ 25", smooth), ("noise, n ≤ 25", noisy)):
        print(f"\n{title}: {len(cases)} problems\n{'':16}{'evaluations/n':>14}", end="")
        print("   median      p95    worst  failed  coverage  over-estimate")
        for name, method in METHODS.items():
            print(f"{name:<16}{judge(method, cases)}")


if __name__ == "__main__":
    main()
