"""How large may a step be? Extreme curvatures of a training loss on real data, without its Hessian.

The loss is a softmax regression with a ridge on scikit-learn's 1797 handwritten digits, 650 parameters. SciPy's Lanczos
asks `HessianOperator` for a few dozen products; each is two gradients. From the largest curvature L and the smallest m:
gradient descent with a fixed rate s converges near the minimum where s < 2 / L, best at 2 / (L + m), and then shrinks
the error by (L - m) / (L + m) a step. Both claims are put to the test.

    python examples/extreme_curvature.py            # prints the table, saves extreme_curvature.png
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.optimize import minimize
from scipy.sparse.linalg import aslinearoperator, eigsh

from hessfast import HessianOperator, curvature, optimal_step

RIDGE = 1e-2
STEPS = 400


class DigitLoss:
    """Mean cross-entropy of softmax(A W) against the labels, plus ridge/2 ‖W‖²; parameters w = W.ravel()."""

    def __init__(self) -> None:
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise SystemExit("this example reads scikit-learn's packaged digits: pip install scikit-learn") from None
        digits = load_digits()
        self.A = np.hstack([digits.data / 16.0, np.ones((len(digits.data), 1))])
        self.Y = np.eye(10)[digits.target]
        self.n = self.A.shape[1] * 10

    def _log_odds(self, w: np.ndarray) -> np.ndarray:
        z = self.A @ w.reshape(-1, 10)
        z -= z.max(axis=1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    def fun(self, w: np.ndarray) -> float:
        return -np.sum(self.Y * self._log_odds(w)) / len(self.A) + 0.5 * RIDGE * w @ w

    def jac(self, w: np.ndarray) -> np.ndarray:
        return (self.A.T @ (np.exp(self._log_odds(w)) - self.Y)).ravel() / len(self.A) + RIDGE * w


def descend(loss: DigitLoss, w: np.ndarray, optimum: np.ndarray, rate: float) -> np.ndarray:
    """Distances to the optimum along gradient descent with a fixed rate."""
    distances = [np.linalg.norm(w - optimum)]
    for _ in range(STEPS):
        w = w - rate * loss.jac(w)
        distances.append(np.linalg.norm(w - optimum))
    return np.array(distances)


def main(picture: str = "extreme_curvature.png") -> None:
    loss = DigitLoss()
    rng = np.random.default_rng(0)
    hessian = HessianOperator(None, np.zeros(loss.n), jac=loss.jac)
    found = minimize(
        loss.fun,
        np.zeros(loss.n),
        jac=hessian.gradient,
        hessp=hessian.hessp,
        method="trust-ncg",
        options={"gtol": 1e-8},
    )
    optimum = found.x
    print(f"digits, n = {loss.n}: {found.nit} iterations of trust-ncg, {hessian.products} products, ‖g‖ ", end="")
    print(f"{np.linalg.norm(loss.jac(optimum)):.1e}")

    hessian = HessianOperator(None, optimum, jac=loss.jac)
    start = rng.standard_normal(loss.n)
    values, vectors = eigsh(hessian, k=1, which="LA", tol=1e-9, v0=start)
    largest, top = float(values[0]), vectors[:, 0]
    # The smallest is the largest of L I - H, which Lanczos finds without solving any equation. It belongs to a crowd of
    # directions that only the ridge bends: a loose tolerance on the vector still gives three digits of the value.
    shifted = largest * aslinearoperator(np.eye(loss.n)) - hessian
    smallest = largest - float(eigsh(shifted, k=1, which="LA", tol=1e-4, v0=start, return_eigenvectors=False)[0])
    along = curvature(None, optimum, top, jac=loss.jac)
    print(f"largest curvature L   {largest:.8f}   along its own direction {along.value:.8f} ± {along.error:.0e}")
    print(f"smallest curvature m  {smallest:.8f}   the ridge is {RIDGE}")
    print(f"condition number      {largest / smallest:.1f}")
    print(
        f"gradients             {hessian.njev} for {hessian.products} products; a Hessian takes {2 * loss.n} at least"
    )
    print(f"largest rate 2 / L    {2 / largest:.4f}   best fixed rate 2 / (L + m) {2 / (largest + smallest):.4f}")

    near = optimum + 1e-4 * top + 1e-4 * start / np.linalg.norm(start)
    g = loss.jac(near)
    along = curvature(None, near, g, jac=loss.jac)
    step = optimal_step(g, gHg=along.value, error=along.error)
    print(f"one step along -g     {float(step):.4f}   the step length that the model calls best at a point nearby")

    rates = {
        "0.98 · 2 / L": 1.96 / largest,
        "1.02 · 2 / L": 2.04 / largest,
        "2 / (L + m)": 2 / (largest + smallest),
    }
    curves = {name: descend(loss, near, optimum, rate) for name, rate in rates.items()}
    predicted = (largest - smallest) / (largest + smallest)
    for name, distance in curves.items():
        print(f"rate {name:14s} distance {distance[0]:.1e} -> {distance[-1]:.1e} in {STEPS} steps")
    observed = (curves["2 / (L + m)"][-1] / curves["2 / (L + m)"][STEPS // 2]) ** (2 / STEPS)
    print(f"shrinks by {observed:.4f} a step at the best rate; (L - m) / (L + m) = {predicted:.4f}")
    draw(curves, picture)


def draw(curves: dict[str, np.ndarray], picture: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
    for (name, distance), colour in zip(curves.items(), ("#1f6feb", "#d1495b", "#1b1f24"), strict=True):
        ax.semilogy(distance, label=f"rate {name}", color=colour)
    ax.set(xlabel="steps", ylabel="distance to the minimum", title="Gradient descent near the largest stable rate")
    ax.legend(frameon=False)
    figure.savefig(picture, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main(*sys.argv[1:])
