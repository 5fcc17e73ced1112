"""Peaks: a yield near its maximum, and fits of peak shapes at their optimum."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.states.optima import leave
from problems.states.state import EPS, Chooser, Floats, State, member
from problems.states.terms import Terms, separate

SHAPES = {
    "gauss": (lambda u: np.exp(-(u**2) / 2), lambda u: -u * np.exp(-(u**2) / 2)),
    "lorentz": (lambda u: 1 / (1 + u**2), lambda u: -2 * u / (1 + u**2) ** 2),
    "sech": (lambda u: 1 / np.cosh(u), lambda u: -np.sinh(u) / np.cosh(u) ** 2),
}
BENDS = {
    "gauss": lambda u: (u**2 - 1) * np.exp(-(u**2) / 2),
    "lorentz": lambda u: (6 * u**2 - 2) / (1 + u**2) ** 3,
    "sech": lambda u: (np.sinh(u) ** 2 - 1) / np.cosh(u) ** 3,
}


@member("peaks")
def summit(choose: Chooser) -> State:
    """constant − Σ a exp(−(z − x0)²/2w²), or Lorentz: the objective itself is the peak."""
    n = int(choose.rng.integers(1, 4))
    position = choose.between(0.1, 1e4) * choose.between(0.5, 2, n)
    if choose.chance(0.5):
        position = np.round(position, 2)
    width = position / choose.between(10, 333, n)
    if choose.chance(0.07):
        position[0], width[0] = 9e9 * choose.between(0.1, 10), choose.between(3, 300)
    f = Terms(
        choose.one_of(0.0, 1.0, 10.0),
        position,
        separate(n * [choose.one_of("well", "lorentz")], choose.between(0.1, 1, n), width),
    )
    return f.at(leave(choose, position, width), width)


class PeakFit:
    """Σ ((b + Σ_p a_p s((t − m_p)/w_p) − y)/σ)² over θ = (a, m, w) of each peak, then b where there is a baseline."""

    def __init__(self, shape: str, t: Floats, y: Floats, sigma: float, peaks: int, baseline: bool, log: bool) -> None:
        self.shape, self.t, self.y, self.sigma = shape, t, y, sigma
        self.peaks, self.baseline, self.log = peaks, baseline, log

    def model(self, x: Any) -> Any:
        s, _ = SHAPES[self.shape]
        total = x[3 * self.peaks] if self.baseline else 0.0
        for a, m, w in x[: 3 * self.peaks].reshape(-1, 3):
            total = total + a * s((self.t - m) / w)
        return total

    def jacobian(self, x: Any) -> Any:
        s, slope = SHAPES[self.shape]
        columns = []
        for a, m, w in x[: 3 * self.peaks].reshape(-1, 3):
            u = (self.t - m) / w
            bent = -a * slope(u) / w
            columns += [s(u), bent, bent * u]
        if self.baseline:
            columns.append(np.ones_like(self.t) + 0 * x[0])
        return np.stack(columns, axis=1)

    def __call__(self, x: Any) -> Any:
        r = (self.model(x) - self.y) / self.sigma
        squares = r @ r
        return self.t.size / 2 * np.log(squares) if self.log else squares

    def jac(self, x: Any) -> Any:
        r = (self.model(x) - self.y) / self.sigma
        slope = 2 * (r @ self.jacobian(x)) / self.sigma
        return self.t.size / 2 * slope / (r @ r) if self.log else slope

    def hess(self, x: Floats) -> Floats:
        x = x.astype(np.longdouble)
        _, slope = SHAPES[self.shape]
        r = (self.model(x) - self.y) / self.sigma
        J = self.jacobian(x) / self.sigma
        H = 2 * J.T @ J
        for p in range(self.peaks):
            a, m, w = x[3 * p : 3 * p + 3]
            u = (self.t - m) / w
            first, second = slope(u), BENDS[self.shape](u)
            pairs = {
                (0, 1): -first / w,
                (0, 2): -first * u / w,
                (1, 1): a * second / w**2,
                (1, 2): a * (second * u + first) / w**2,
                (2, 2): a * (second * u**2 + 2 * first * u) / w**2,
            }
            for (i, j), part in pairs.items():
                value = 2 * r @ part / self.sigma
                H[3 * p + i, 3 * p + j] += value
                if i != j:
                    H[3 * p + j, 3 * p + i] += value
        if self.log:
            squares, g = r @ r, 2 * (r @ J)
            H = self.t.size / 2 * (H / squares - np.outer(g, g) / squares**2)
        return H.astype(np.float64)


@member("peaks", 2)
def fitted(choose: Chooser) -> State:
    """A fit at its optimum: residuals orthogonal to the tangents there, or none at all."""
    peaks, baseline = choose.one_of(1, 1, 2), choose.chance(0.4)
    narrow = choose.between(10, 333)
    position = choose.between(0.1, 1e4)
    width = position / narrow
    x = []
    for p in range(peaks):
        x += [
            choose.between(0.3, 30),
            position + 3.5 * p * width * choose.rng.uniform(0.8, 1.2),
            width * choose.rng.uniform(0.7, 1.4),
        ]
    if baseline:
        x.append(float(choose.rng.normal()))
    x0 = np.array(x)
    t = np.linspace(position - 4 * width, position + (3.5 * peaks + 1) * width, int(choose.rng.integers(25, 50)))
    residual = choose.one_of("noise", "noise", "none", "left")
    f = PeakFit(choose.one_of(*SHAPES), t, np.zeros_like(t), 1.0, peaks, baseline, log=False)
    exact = f.model(x0.astype(np.longdouble))
    r = np.zeros_like(t)
    if residual == "noise":
        Q, _ = np.linalg.qr(f.jacobian(x0))
        r = choose.between(1e-3, 0.1) * np.max(np.abs(exact)) * choose.rng.standard_normal(t.size)
        r = r - Q @ (Q.T @ r)
        f.log = choose.chance(0.3)
    f.y, f.sigma = (exact + r).astype(np.float64), choose.one_of(1.0, choose.between(1e-3, 1))
    lengths = np.abs(x0)
    for p in range(peaks):
        lengths[3 * p + 1] = lengths[3 * p + 2] = x0[3 * p + 2]
    if residual == "left":
        x0 = x0 + choose.between(1e-16, 1e-6) * lengths * choose.rng.standard_normal(x0.size)
    hess = f.hess(x0)
    bends = np.abs(np.diag(hess))
    lengths = np.minimum(lengths, np.sqrt(np.max(bends * lengths**2) / bends))
    if f.log:  # a logarithm bends where its argument doubles
        lengths = np.minimum(lengths, np.sqrt(t.size / bends))
    wide = x0.astype(np.longdouble)
    return State(
        fun=f,
        jac=f.jac,
        x0=x0,
        grad=f.jac(wide).astype(np.float64),
        hess=hess,
        lengths=lengths,
        noise=EPS * abs(float(f(x0))),
        analytic=True,
        kind=f"fitted {residual}{' log' if f.log else ''}",
    )
