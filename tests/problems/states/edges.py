"""Where the smooth piece ends: kinks at some distance, penalties and walls."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.states.optima import constant, place, stand
from problems.states.state import EPS, Chooser, Floats, Function, State, member
from problems.states.terms import CURVES, Terms, separate


def room_of(distances: Floats, A: Floats) -> Floats:
    """Return (n,) the way along each coordinate to the first of the planes |A_k (x − x0)| = distance_k."""
    with np.errstate(divide="ignore"):
        return np.min(distances[:, None] / np.abs(A), axis=0)


@member("kinks")
def huber(choose: Chooser) -> State:
    """Σ huber(Ax − y): the residuals' squares within δ, their absolute values beyond."""
    n, m = int(choose.rng.integers(1, 5)), 25
    A, x0 = choose.rng.standard_normal((m, n)), choose.between(0.1, 10, n) * choose.signs(n)
    delta, nearest = choose.between(0.1, 10), choose.between(1e-4, 0.2)
    r = delta * choose.rng.uniform(0, 1 - nearest, m) * choose.signs(m)
    out = choose.rng.random(m) < 0.3
    r[out] = delta * (1 + nearest + choose.between(0.01, 3, m))[out] * np.sign(r[out])
    r[0] = delta * choose.one_of(1 - nearest, 1 + nearest)
    y = A @ x0 - r

    def fun(x: Any) -> Any:
        r = np.abs(A @ x - y)
        return np.where(r < delta, r**2 / 2, delta * (r - delta / 2)).sum()

    def jac(x: Any) -> Any:
        return np.clip(A @ x - y, -delta, delta) @ A

    inside = np.abs(A @ x0 - y) < delta
    return State(
        fun=fun,
        jac=jac,
        x0=x0,
        grad=jac(x0),
        hess=A[inside].T @ A[inside],
        lengths=np.full(n, delta),
        room=room_of(np.abs(np.abs(A @ x0 - y) - delta), A),
        noise=EPS * float(fun(x0)),
        smooth=bool(np.linalg.matrix_rank(A[inside]) == n),
    )


class Network:
    """Σ (c·relu(W t + b) − y)² + λ|x|² over data t (m, d); x holds W (k, d), b (k,), c (k,)."""

    def __init__(self, t: Floats, y: Floats, hidden: int, penalty: float) -> None:
        self.t, self.y, self.hidden, self.penalty = t, y, hidden, penalty

    def parts(self, x: Any) -> tuple[Any, Any, Any]:
        split = self.hidden * self.t.shape[1]
        return x[:split].reshape(self.hidden, -1), x[split : split + self.hidden], x[split + self.hidden :]

    def __call__(self, x: Any) -> Any:
        W, b, c = self.parts(x)
        r = np.maximum(self.t @ W.T + b, 0) @ c - self.y
        return r @ r + self.penalty * (x @ x)

    def jac(self, x: Any) -> Any:
        W, b, c = self.parts(x)
        z = self.t @ W.T + b
        r = 2 * (np.maximum(z, 0) @ c - self.y)
        inner = r[:, None] * (z > 0) * c
        return (
            np.concatenate([(inner.T @ self.t).ravel(), inner.sum(axis=0), np.maximum(z, 0).T @ r])
            + 2 * self.penalty * x
        )

    def hess(self, x: Floats) -> Floats:
        """Return the Hessian with the active units held: 2 JᵀJ + 2 Σ r ∇²m, m bilinear in (W, b) and c."""
        W, b, c = self.parts(x)
        z, k, d = self.t @ W.T + b, self.hidden, self.t.shape[1]
        on, r = (z > 0).astype(np.float64), np.maximum(z, 0) @ c - self.y
        J = np.hstack([((on * c)[:, :, None] * self.t[:, None, :]).reshape(len(r), -1), on * c, on * z])
        H = 2 * J.T @ J + 2 * self.penalty * np.eye(x.size)
        for unit in range(k):
            cross = np.append((2 * r * on[:, unit]) @ self.t, 2 * r @ on[:, unit])
            where = np.append(np.arange(unit * d, unit * d + d), k * d + unit)
            H[where, k * d + k + unit] += cross
            H[k * d + k + unit, where] += cross
        return H


@member("kinks", 2)
def relu_network(choose: Chooser) -> State:
    """A small ReLU network with squared error; x is no closer to a kink than drawn."""
    d, k = choose.one_of((1, 1), (1, 2), (2, 1), (2, 2))
    x0 = choose.rng.uniform(0.3, 1.5, k * (d + 2)) * choose.signs(k * (d + 2))
    t = choose.rng.standard_normal((30, d))
    f = Network(t, np.zeros(30), k, choose.one_of(0.0, 0.01, 0.1))
    W, b, _ = f.parts(x0)
    nearest = choose.between(1e-4, 0.1)
    f.t = t = t[np.min(np.abs(t @ W.T + b), axis=1) > nearest]
    f.y = np.maximum(t @ W.T + b, 0) @ np.ones(k) + choose.rng.normal(0, 0.3, len(t))
    distances = np.abs(t @ W.T + b)  # (m, k)
    room = np.full(x0.size, np.inf)
    for unit in range(k):
        room[unit * d : unit * d + d] = room_of(distances[:, unit], t)
        room[k * d + unit] = distances[:, unit].min()
    hess = f.hess(x0)
    diagonal = np.diag(hess)
    return State(
        fun=f,
        jac=f.jac,
        x0=x0,
        grad=f.jac(x0),
        hess=hess,
        lengths=np.ones(x0.size),
        room=room,
        noise=EPS * float(f(x0)),
        least=1e-4,  # a unit that is off feels nothing
        smooth=bool(diagonal.min() > 1e-6 * diagonal.max()),
    )


@member("kinks")
def absolute(choose: Chooser) -> State:
    """A smooth sum, and absolute values or squared hinges of linear terms that are not 0 at x0."""
    n = int(choose.rng.integers(1, 5))
    centre = choose.between(0.1, 10, n) * choose.signs(n)
    lengths = np.abs(centre) * choose.between(0.1, 1, n)
    smooth = Terms(constant(choose), centre, separate([choose.one_of(*CURVES) for _ in range(n)], np.ones(n), lengths))
    x0 = stand(choose, centre, lengths)
    if choose.chance(0.4):  # a lasso: the kinks are at x_i = 0
        A, offset = np.diag(1 / lengths), np.zeros(n)
    else:
        A = choose.rng.standard_normal((2, n)) / lengths
        offset = A @ x0 - choose.between(1e-4, 1, 2) * choose.signs(2)
    weight, hinge = choose.between(1e-2, 10), choose.chance(0.3)

    def fun(x: Any) -> Any:
        u = A @ x - offset
        return smooth(x) + weight * ((np.maximum(u, 0) ** 2).sum() if hinge else np.abs(u).sum())

    def jac(x: Any) -> Any:
        u = A @ x - offset
        return smooth.jac(x) + weight * ((2 * np.maximum(u, 0)) @ A if hinge else np.sign(u) @ A)

    u = A @ x0 - offset
    hess = smooth.hess(x0) + (2 * weight * (A[u > 0].T @ A[u > 0]) if hinge else 0.0)
    return State(
        fun=fun,
        jac=jac,
        x0=x0,
        grad=jac(x0),
        hess=hess,
        lengths=lengths,
        room=room_of(np.abs(u), A),
        noise=smooth.rounding(x0) + EPS * weight * float(np.abs(u).sum()),
        smooth=bool(np.all(np.diag(hess) * lengths**2 > 1e-3)),
        kind="hinge" if hinge else "absolute",
    )


def behind(kind: str, height: float) -> tuple[Function, Function]:
    """Return what stands behind a wall: (f, how far) -> value, and the slope along its normal that goes with it."""
    return {
        "added": (lambda f, far: f + height, lambda far: height),
        "put in its place": (lambda f, far: height, lambda far: height),
        "slope": (lambda f, far: f + height * far, lambda far: height),
        "squares": (lambda f, far: f + height * far**2, lambda far: 2 * height * far),
        "inf": (lambda f, far: np.inf, lambda far: np.inf),
        "nan": (lambda f, far: np.nan, lambda far: np.nan),
    }[kind]


@member("cliffs")
def penalty(choose: Chooser) -> State:
    """A smooth sum, and a penalty where a coordinate or a linear term passes its limit 1e-5 … 0.1 away."""
    n = int(choose.rng.integers(1, 5))
    centre, lengths = place(choose, n)
    lengths = np.maximum(lengths, 0.03 * np.abs(centre))
    smooth = Terms(constant(choose), centre, separate([choose.one_of(*CURVES) for _ in range(n)], np.ones(n), lengths))
    x0 = stand(choose, centre, lengths)
    walls = int(choose.rng.integers(1, min(n, 2) + 1))
    A = np.eye(n)[choose.rng.permutation(n)[:walls]] * choose.signs(walls)[:, None]
    if choose.chance(0.3):
        A = choose.rng.standard_normal((walls, n)) / lengths
    distance = choose.between(1e-5, 0.1) * np.max(np.abs(A * x0), axis=1)
    edge = A @ x0 + distance
    if choose.chance(0.2):  # a corridor
        A, edge = np.vstack([A, -A[:1]]), np.append(edge, 2 * distance[0] - edge[0])
        distance = np.append(distance, distance[0])
    kind = choose.one_of("added", "added", "put in its place", "slope", "squares", "inf", "nan")
    value, slope = behind(kind, choose.between(1e3, 1e20))

    def fun(x: Any) -> Any:
        past = (A @ x - edge) / distance
        far = past.max()
        return value(smooth(x), far) if far > 0 else smooth(x)

    def jac(x: Any) -> Any:
        past = (A @ x - edge) / distance
        far = past.max()
        if far <= 0:
            return smooth.jac(x)
        normal = A[past.argmax()] / distance[past.argmax()]
        return smooth.jac(x) + np.where(normal == 0, 0, slope(far) * normal)

    return State(
        fun=fun,
        jac=jac,
        x0=x0,
        grad=smooth.jac(x0),
        hess=smooth.hess(x0),
        lengths=lengths,
        room=room_of(distance, A),
        noise=smooth.rounding(x0),
        smooth=bool(np.all(np.diag(np.abs(smooth.hess(x0))) * lengths**2 > 0.05)),
        kind=kind,
    )
