"""The Python frames between a public function and the user's function that it calls."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType, SimpleNamespace
from typing import Any

import numpy as np

import hessfast
from hessfast.algebra import quadratic

Function = Callable[..., Any]


def named(frame: FrameType) -> str:
    """Return where a frame is, as search.run."""
    return f"{frame.f_globals.get('__name__', '').rpartition('.')[2]}.{frame.f_code.co_name}"


def between(code: CodeType) -> tuple[str, ...] | None:
    """Return the frames between the function that asks and the one of that code, the latter's first; None without it.

    What wraps the function of that code stands outside of it and does not count.
    """
    names: list[str] = []
    frame = sys._getframe(1).f_back
    while frame is not None and frame.f_code is not code:
        names.append(named(frame))
        frame = frame.f_back
    return None if frame is None else tuple(reversed(names))


@dataclass
class Watch:
    """What stood between a public function and the functions that were watched, where it was most."""

    public: Function
    deepest: tuple[str, ...] = ()
    calls: int = 0
    code: CodeType = field(init=False)

    def __post_init__(self) -> None:
        self.code = inspect.unwrap(self.public).__code__

    def __call__(self, fun: Function) -> Function:
        """Return the function, looking at its own stack whenever it is called."""

        def watched(*args: Any, **kwargs: Any) -> Any:
            names = between(self.code)
            if names is not None:
                self.calls += 1
                self.deepest = max(self.deepest, names, key=len)
            return fun(*args, **kwargs)

        return watched


def rosenbrock(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_gradient(x: Any) -> Any:
    g = np.zeros_like(x)
    bend = x[1:] - x[:-1] ** 2
    g[:-1] = -400.0 * x[:-1] * bend - 2.0 * (1.0 - x[:-1])
    g[1:] += 200.0 * bend
    return g


def grainy(x: Any) -> Any:
    """Return f with the rounding of another program's printed digits."""
    return np.round(rosenbrock(x), 6)


def grainy_gradient(x: Any) -> Any:
    return np.round(rosenbrock_gradient(x), 6)


def walled(x: Any) -> Any:
    """Return f with a logarithm that has a wall near the second coordinate, and a coordinate on a small scale."""
    return rosenbrock(x) + np.log(x[1]) + np.exp(1e4 * x[2])


def walled_gradient(x: Any) -> Any:
    g = rosenbrock_gradient(x)
    g[1] += 1.0 / x[1]
    g[2] += 1e4 * np.exp(1e4 * x[2])
    return g


START = np.array([0.7, 1.3, -0.4, 0.9, 2.1, 0.2])
AT_WALL = np.array([0.7, 1e-3, 0.0, 0.9, 2.1, 0.2])
V = np.array([1.0, -0.5, 0.3, 0.2, 0.8, -1.0])

States = list[tuple[Function, Function, np.ndarray, dict[str, Any]]]
STATES: States = [
    (rosenbrock, rosenbrock_gradient, START, {}),
    (rosenbrock, rosenbrock_gradient, np.ones(6), {"bounds": (np.zeros(6), np.full(6, 1.0))}),
    (grainy, grainy_gradient, START, {}),
    (walled, walled_gradient, AT_WALL, {}),
]
"""Ordinary, at the edge of bounds, noisy, beside a wall: the branches of a search that a call may take."""


def from_values(public: Function, **options: Any) -> Callable[[Watch], None]:
    def run(watch: Watch) -> None:
        for fun, _, x, bounds in STATES:
            public(watch(fun), x, **options, **bounds)

    return run


def from_gradients(public: Function, **options: Any) -> Callable[[Watch], None]:
    def run(watch: Watch) -> None:
        for _, jac, x, bounds in STATES:
            public(None, x, jac=watch(jac), **options, **bounds)

    return run


def complex_steps(watch: Watch) -> None:
    hessfast.hessian(watch(rosenbrock), START, method="cs")
    hessfast.hessian(None, START, jac=watch(rosenbrock_gradient), method="cs")


def products(gradients: bool) -> Callable[[Watch], None]:
    def run(watch: Watch) -> None:
        for fun, jac, x, bounds in STATES:
            asked: dict[str, Any] = {"fun": None, "jac": watch(jac)} if gradients else {"fun": watch(fun)}
            operator = hessfast.HessianOperator(x0=x, **asked, **bounds)
            operator.matvec(V)
            operator.matvec(V[::-1])

    return run


def descent(watch: Watch) -> None:
    for variant in ("abb", "cauchy"):
        options: dict[str, Any] = {"variant": variant, "maxiter": 20}
        hessfast.minimize_taylor(watch(rosenbrock), START, jac=watch(rosenbrock_gradient), **options)


def models(watch: Watch) -> None:
    for fun, jac, x, bounds in STATES:
        hessfast.TaylorModel.fit(watch(fun), x, **bounds)
        hessfast.TaylorModel.fit(watch(fun), x, jac=watch(jac), **bounds)
        hessfast.TaylorModel.fit(watch(fun), x, jac=watch(jac), dense=False, **bounds)


@contextmanager
def watched_kernels(watch: Watch) -> Iterator[None]:
    """Context in which the kernels of the quadratic forms take the place of the user's function."""
    kernels = quadratic._quadform
    seen = {name: watch(kernel) for name, kernel in vars(kernels).items() if callable(kernel)}
    quadratic._quadform = SimpleNamespace(**(vars(kernels) | seen))
    try:
        yield
    finally:
        quadratic._quadform = kernels


def forms(watch: Watch) -> None:
    H = np.diag(np.arange(1.0, 7.0))
    with watched_kernels(watch):
        hessfast.quadratic_form(H, V)
        hessfast.quadratic_form(H, V, compensated=True)
        hessfast.quadratic_form(H, np.stack([V, V[::-1]]))


def forms_of_any(watch: Watch) -> None:
    H = np.diag(np.arange(1.0, 7.0))
    with watched_kernels(watch):
        hessfast.quadratic_form(H[::-1, ::-1], V, out=np.empty(()), check_symmetric=True)
        hessfast.quadratic_form(H.tolist(), V, workers=2)


CALLS: dict[str, tuple[Function, Callable[[Watch], None]]] = {
    "hessian, values": (hessfast.hessian, from_values(hessfast.hessian)),
    "hessian, gradients": (hessfast.hessian, from_gradients(hessfast.hessian)),
    "hessian, complex steps": (hessfast.hessian, complex_steps),
    "gradient": (hessfast.gradient, from_values(hessfast.gradient)),
    "hessian_diag": (hessfast.hessian_diag, from_values(hessfast.hessian_diag)),
    "curvature, values": (hessfast.curvature, from_values(hessfast.curvature, v=V)),
    "curvature, gradients": (hessfast.curvature, from_gradients(hessfast.curvature, v=V)),
    "hvp, values": (hessfast.hvp, from_values(hessfast.hvp, v=V)),
    "hvp, gradients": (hessfast.hvp, from_gradients(hessfast.hvp, v=V)),
    "HessianOperator.matvec, values": (hessfast.HessianOperator.matvec, products(False)),
    "HessianOperator.matvec, gradients": (hessfast.HessianOperator.matvec, products(True)),
    "minimize_taylor": (hessfast.minimize_taylor, descent),
    "TaylorModel.fit": (hessfast.TaylorModel.fit.__func__, models),
    "quadratic_form": (hessfast.quadratic_form, forms),
    "quadratic_form, any options": (hessfast.quadratic_form, forms_of_any),
}
"""Each public call, and runs of it in the Python lane; of the quadratic forms the kernels are watched."""


def watch_call(name: str) -> Watch:
    """Make the runs of a public call and return what stood between."""
    public, run = CALLS[name]
    watch = Watch(public)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(watch)
    return watch
