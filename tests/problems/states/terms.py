"""Sums of functions of one variable, each along a direction: cheap, and differentiable by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.states.state import EPS, Floats, State

Curve = tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]]

CURVES: dict[str, Curve] = {
    "log_cosh": (lambda u: np.log(np.cosh(u)), np.tanh, lambda u: 1 / np.cosh(u) ** 2),
    "cosine": (lambda u: -np.cos(u), np.sin, np.cos),
    "well": (
        lambda u: -np.exp(-(u**2) / 2),
        lambda u: u * np.exp(-(u**2) / 2),
        lambda u: (1 - u**2) * np.exp(-(u**2) / 2),
    ),
    "lorentz": (
        lambda u: -1 / (1 + u**2),
        lambda u: 2 * u / (1 + u**2) ** 2,
        lambda u: (2 - 6 * u**2) / (1 + u**2) ** 3,
    ),
    "student": (
        lambda u: 2 * np.log1p(u**2 / 3),
        lambda u: 4 * u / (3 + u**2),
        lambda u: 4 * (3 - u**2) / (3 + u**2) ** 2,
    ),
    "softplus": (
        lambda u: np.log1p(np.exp(u)) - u / 2,
        lambda u: np.tanh(u / 2) / 2,
        lambda u: 1 / np.cosh(u / 2) ** 2 / 4,
    ),
    "quartic": (lambda u: u**2 / 2 + u**4 / 24, lambda u: u + u**3 / 6, lambda u: 1 + u**2 / 2),
    "cosh": (lambda u: np.cosh(u) - 1, np.sinh, np.cosh),
    "hypot": (
        lambda u: np.sqrt(1 + u**2) - 1,
        lambda u: u / np.sqrt(1 + u**2),
        lambda u: (1 + u**2) ** np.longdouble(-1.5),
    ),
    "exponential": (lambda u: np.exp(u) - u, np.expm1, np.exp),
}
"""(φ, φ', φ''): all but the last three minimal at 0 with φ'' near 1 over a length of 1, those too."""


@dataclass(frozen=True, eq=False)
class Terms:
    """C + Σ_k a_k φ((A (x − c))_k), with one φ for each block of rows."""

    constant: float
    centre: Floats  # (n,)
    blocks: tuple[tuple[Curve, Floats, Floats], ...]  # φ, a (K,), A (K, n)

    def __call__(self, x: Any) -> Any:
        away = x - self.centre
        total = self.constant
        for (phi, _, _), a, A in self.blocks:
            total = total + a @ phi(A @ away)
        return total

    def jac(self, x: Any) -> Any:
        away = x - self.centre
        total = np.zeros_like(away)
        for (_, slope, _), a, A in self.blocks:
            total = total + (a * slope(A @ away)) @ A
        return total

    def hess(self, x: Floats) -> Floats:
        away = x.astype(np.longdouble) - self.centre
        total = np.zeros((x.size, x.size), dtype=np.longdouble)
        for (_, _, bend), a, A in self.blocks:
            A = A.astype(np.longdouble)
            total += A.T @ ((a * bend(A @ away))[:, None] * A)
        return total.astype(np.float64)

    def rounding(self, x: Floats) -> float:
        """Return the rounding of the sum: of the constant and of every term."""
        away = x - self.centre
        return EPS * (
            abs(self.constant) + sum(float(np.abs(a) @ np.abs(phi(A @ away))) for (phi, _, _), a, A in self.blocks)
        )

    def at(self, x0: Floats, lengths: Any, **fields: Any) -> State:
        wide = x0.astype(np.longdouble)
        fields.setdefault("noise", self.rounding(x0))
        fields.setdefault("analytic", True)
        return State(
            fun=self,
            jac=self.jac,
            x0=x0,
            grad=np.asarray(self.jac(wide), dtype=np.float64),
            hess=self.hess(x0),
            lengths=np.broadcast_to(np.asarray(lengths, dtype=np.float64), x0.shape),
            **fields,
        )


def separate(names: list[str], weights: Floats, lengths: Floats) -> tuple[tuple[Curve, Floats, Floats], ...]:
    """Return blocks that hold a φ of its own for each coordinate, in units of its length."""
    rows = np.diag(1 / lengths)
    return tuple(
        (CURVES[name], weights[chosen], rows[chosen])
        for name in dict.fromkeys(names)
        for chosen in [np.array([other == name for other in names])]
    )
