"""A state: a function at a point where people ask for its Hessian, with all that is needed to judge the answer."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from problems import jets

Floats = np.ndarray
Function = Callable[[Any], Any]
EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class State:
    """f: Rⁿ → R and its gradient at x0, the exact derivatives there, and how well they can be known.

    `lengths` are the distances over which f bends; `noise` is the standard deviation of f's own noise, rounding of its
    terms included.
    """

    fun: Function
    jac: Function | None
    x0: Floats  # (n,)
    grad: Floats  # (n,) exact
    hess: Floats  # (n, n) exact
    lengths: Floats  # (n,)
    noise: float = 0.0
    room: Floats | None = (
        None  # (n,) shortest way to a kink or wall along each coordinate, `lengths` where there is none
    )
    least: float = 1e-16  # share of f's largest change below which a coordinate's own does not matter
    analytic: bool = False  # fun and jac take complex arrays
    smooth: bool = True  # judged by the accuracy of its results; else by their bars alone
    values: bool = True  # False where f itself is of no use and only its gradient is asked
    gradient_noise: float = 0.0  # standard deviation of a component's
    slack: Floats | float = 0.0  # (n, n) what the Hessian of a rough f leaves open by itself
    slope_slack: Floats | float = 0.0  # (n,) and its gradient
    kind: str = ""
    group: str = ""
    seed: int = 0

    @property
    def n(self) -> int:
        return self.x0.size

    @cached_property
    def scale(self) -> Floats:
        """D (n,): |H_ii|, or where that is next to 0 a thousandth of what its row changes, or what `least` allows."""
        change = np.abs(self.hess) * np.outer(self.lengths, self.lengths)
        least = self.least * (change.max() if change.any() else np.max(np.abs(self.grad) * self.lengths))
        return np.maximum(np.diag(change), np.maximum(1e-3 * change.max(axis=1), least)) / self.lengths**2

    @cached_property
    def scales(self) -> Floats:
        """(n, n) the natural scale of each entry: max(|H_ij|, √(D_i D_j))."""
        return np.maximum(np.abs(self.hess), np.sqrt(np.outer(self.scale, self.scale)))

    @property
    def reach(self) -> Floats:
        """(n,) how far the smooth piece goes along each coordinate."""
        return self.lengths if self.room is None else np.minimum(self.room, self.lengths)

    @property
    def change(self) -> Floats:
        """V (n,): how much f changes by its curvature within reach."""
        return self.scale * self.reach**2

    def restart(self) -> None:
        """Let a random fun begin its sequence anew, so that every route sees the same one."""
        for function in (self.fun, self.jac):
            if hasattr(function, "restart"):
                function.restart()


class Chooser:
    """The random choices of one drawing."""

    def __init__(self, group: str, seed: int) -> None:
        self.rng = np.random.default_rng([seed, zlib.crc32(group.encode())])

    def one_of(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def between(self, low: float, high: float, size: int | None = None) -> Any:
        """Return numbers uniform in their logarithm."""
        return np.exp(self.rng.uniform(np.log(low), np.log(high), size))

    def signs(self, size: int) -> Floats:
        return self.rng.choice([-1.0, 1.0], size)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)


Maker = Callable[[Chooser], State]
_MAKERS: dict[str, list[tuple[float, Maker]]] = {}


def member(group: str, weight: float = 1.0) -> Callable[[Maker], Maker]:
    """Register a maker of states of a group; `weight` is how often it is drawn against the others."""

    def register(maker: Maker) -> Maker:
        _MAKERS.setdefault(group, []).append((weight, maker))
        return maker

    return register


def draw(group: str, seed: int) -> State:
    """Return the state of that group and seed."""
    choose = Chooser(group, seed)
    weights, makers = zip(*_MAKERS[group], strict=True)
    chosen = makers[int(choose.rng.choice(len(makers), p=np.array(weights) / sum(weights)))]
    made = chosen(choose)
    return replace(made, group=group, seed=seed, kind=made.kind or chosen.__name__)


def of_smooth(
    fun: Function, x0: Sequence[float] | Floats, lengths: Any, jac: Function | None = None, **fields: Any
) -> State:
    """Return the state of a function written with NumPy's functions alone: its derivatives come from jets."""
    x0 = np.array(x0, dtype=np.float64)
    grad, hess = jets.derivatives(fields.pop("exact", fun), x0)
    lengths = np.broadcast_to(np.asarray(lengths, dtype=np.float64), x0.shape)
    if jac is None:
        jac = lambda x: jets.gradient(fun, np.asarray(x))  # noqa: E731
    fields.setdefault("noise", EPS * abs(float(fun(x0))))
    return State(fun=fun, jac=jac, x0=x0, grad=grad, hess=hess, lengths=lengths, **fields)
