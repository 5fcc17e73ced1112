"""A problem: a function, a point, and the exact Hessian there."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from problems import jets

Function = Callable[[Any], Any]


@dataclass(frozen=True)
class Problem:
    """A function f: Rⁿ → R at a point x0 where its derivatives are known to rounding.

    `smooth` is f without its noise (f itself where `noise` is 0), written with NumPy's functions alone: it
    takes long double, complex and jets, from which the exact derivatives come.
    """

    fun: Function
    x0: np.ndarray  # (n,)
    lengths: np.ndarray  # (n,) natural lengths: the scaled error weighs H_ij by lengths_i lengths_j
    smooth: Function
    noise: float = 0.0  # standard deviation of f's noise over |f|; 0 = rounding only
    lower: np.ndarray | None = None  # (n,) f must not be called below
    upper: np.ndarray | None = None
    analytic: bool = True
    vectorized: Function | None = None  # (n, m) -> (m,)
    name: str = ""
    kind: str = ""

    @property
    def n(self) -> int:
        return self.x0.size

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        """(lower, upper) as hessfast takes it, None where there are none."""
        if self.lower is None and self.upper is None:
            return None
        wall = np.full(self.n, np.inf)
        return (-wall if self.lower is None else self.lower, wall if self.upper is None else self.upper)

    @cached_property
    def _derivatives(self) -> tuple[np.ndarray, np.ndarray]:
        return jets.derivatives(self.smooth, self.x0)

    @property
    def grad(self) -> np.ndarray:
        """Exact gradient (n,)."""
        return self._derivatives[0]

    @property
    def hess(self) -> np.ndarray:
        """Exact Hessian (n, n)."""
        return self._derivatives[1]

    def grad_fun(self, x: np.ndarray) -> np.ndarray:
        """Gradient of `smooth` at any x, accurate to the rounding of x's arithmetic."""
        return jets.gradient(self.smooth, np.asarray(x))

    def redraw(self, seed: int) -> Problem:
        """Return the problem at another point, with other data where they are made up; seed 0 is itself."""
        return draw(self.name, seed)

    def scaled_error(self, hess: np.ndarray) -> float:
        """Return ‖S(hess − H)S‖ / ‖SHS‖ (Frobenius, S = diag(lengths)); absolute where H = 0."""
        if not np.all(np.isfinite(hess)):
            return np.inf
        weights = np.outer(self.lengths, self.lengths)
        size = np.linalg.norm(weights * self.hess)
        return float(np.linalg.norm(weights * (hess - self.hess)) / (size if size > 0 else 1.0))

    def slope_error(self, grad: np.ndarray) -> float:
        """Return ‖S(grad − ∇f)‖ / (‖S∇f‖ + ‖SHS‖): relative to ∇f where that is not about to vanish."""
        if not np.all(np.isfinite(grad)):
            return np.inf
        size = np.linalg.norm(self.lengths * self.grad)
        size += np.linalg.norm(np.outer(self.lengths, self.lengths) * self.hess)
        return float(np.linalg.norm(self.lengths * (grad - self.grad)) / (size if size > 0 else 1.0))

    def lost(self, hess: np.ndarray) -> int:
        """Count the entries of one triangle with |error| ≥ 0.5 max(|H_ij|, 1e-3 sqrt|H_ii H_jj|)."""
        diagonal = np.abs(np.diag(self.hess))
        size = np.maximum(np.abs(self.hess), 1e-3 * np.sqrt(np.outer(diagonal, diagonal)))
        error = np.abs(hess - self.hess)
        wrong = ~np.isfinite(error) | ((error >= 0.5 * size) & (size > 0))
        return int(np.count_nonzero(np.tril(wrong)))


class Draw:
    """The random choices of one drawing; seed 0 stays at the standard point."""

    def __init__(self, name: str, seed: int) -> None:
        self.seed = seed
        self.rng = np.random.default_rng([seed, zlib.crc32(name.encode())])

    def near(self, x: Any, lengths: Any = 1.0, spread: float = 0.1) -> np.ndarray:
        """Return x at seed 0, else x + spread · lengths · N(0, 1)."""
        x = np.array(x, dtype=np.float64)
        return x if self.seed == 0 else x + spread * np.asarray(lengths) * self.rng.standard_normal(x.size)


Maker = Callable[..., Problem]
_MAKERS: dict[str, tuple[str, Maker, tuple[Any, ...]]] = {}


def family(kind: str, *members: Any) -> Callable[[Maker], Maker]:
    """Register a maker `(draw, *member) -> Problem` once for each member (a size or a name)."""

    def register(maker: Maker) -> Maker:
        for member in members or (None,):
            name = maker.__name__ if member is None else f"{maker.__name__}_{member}"
            _MAKERS[name] = (kind, maker, () if member is None else (member,))
        return maker

    return register


def problem(fun: Function, x0: np.ndarray, lengths: Any = None, **fields: Any) -> Problem:
    """Return a Problem; `lengths` defaults to |x_i|, or 1 where x_i = 0, `smooth` to fun."""
    if lengths is None:
        lengths = np.where(x0 == 0, 1.0, np.abs(x0))
    lengths = np.broadcast_to(np.asarray(lengths, dtype=np.float64), x0.shape)
    return Problem(fun=fun, x0=x0, lengths=lengths, **{"smooth": fun, **fields})


def draw(name: str, seed: int = 0) -> Problem:
    """Return the registered problem of that name."""
    kind, maker, member = _MAKERS[name]
    return replace(maker(Draw(name, seed), *member), name=name, kind=kind)


def names(kind: str | None = None) -> Iterator[str]:
    """Yield the registered names, of one kind or of all."""
    return (name for name, entry in _MAKERS.items() if kind in (None, entry[0]))
