"""Probe a training run for its learning rate: how large may a step be, and where does training stand against that?

A small network (one hidden layer of tanh) learns to forecast the Southern Oscillation (NIST StRD, ENSO) from the 24
months before. Along −g the loss is least at the step length ε* = gᵀg / gᵀHg and back where it was at 2ε*: a learning
rate above 2ε* goes uphill. gᵀHg costs a few gradients, H is never formed. Plain gradient descent at a fixed rate drifts
to the edge, rate = 2ε*, and stays there (Cohen et al., "Gradient descent on neural networks typically occurs at the
edge of stability", ICLR 2021): the probe shows it happen.

    python examples/learning_rate.py              # prints the tables, saves learning_rate.png

Where PyTorch is installed the same network is probed through its automatic gradient too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from nist_strd import load

from hessfast import StepResult, TaylorModel, curvature, optimal_step

LAGS, HIDDEN = 24, 16
RATES = (0.1, 0.2, 0.4, 0.8)
EPOCHS = 2000
INK, SOFT, SHADES = "#1b1f24", "#8b949e", ("#9ecbff", "#54a3ff", "#1f6feb", "#0b3d91")
CUTS = np.cumsum([LAGS * HIDDEN, HIDDEN, HIDDEN])

Gradient = Callable[[np.ndarray], np.ndarray]


def observations() -> tuple[np.ndarray, np.ndarray]:
    """Return the months before, (m, LAGS), and the month to forecast, (m,), standardised."""
    y = load("ENSO").y
    y = (y - y.mean()) / y.std()
    return np.lib.stride_tricks.sliding_window_view(y, LAGS)[:-1].copy(), y[LAGS:]


def start() -> np.ndarray:
    """Return the weights to begin with: first layer, its bias, second layer, its bias."""
    rng = np.random.default_rng(0)
    first = rng.standard_normal(LAGS * HIDDEN) / np.sqrt(LAGS)
    second = rng.standard_normal(HIDDEN) / np.sqrt(HIDDEN)
    return np.concatenate([first, np.zeros(HIDDEN), second, [0.0]])


class Network:
    """The mean squared error of the forecasts, and its gradient, in NumPy."""

    def __init__(self) -> None:
        self.inputs, self.target = observations()

    def loss(self, w: np.ndarray) -> float:
        """Return half the mean squared error."""
        return self._forward(w)[0]

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """Return the gradient of the loss."""
        _, wrong, hidden = self._forward(w)
        wrong = wrong / wrong.size
        inner = np.outer(wrong, w[CUTS[1] : CUTS[2]]) * (1.0 - hidden**2)
        return np.concatenate([(self.inputs.T @ inner).ravel(), inner.sum(axis=0), hidden.T @ wrong, [wrong.sum()]])

    def _forward(self, w: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        first, bias, second, last = np.split(w, CUTS)
        hidden = np.tanh(self.inputs @ first.reshape(LAGS, HIDDEN) + bias)
        wrong = hidden @ second + last - self.target
        return 0.5 * float(wrong @ wrong) / wrong.size, wrong, hidden


def torch_gradient() -> Gradient | None:
    """Return the gradient of the same loss by PyTorch, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    inputs, target = (torch.from_numpy(array) for array in observations())

    def gradient(w: np.ndarray) -> np.ndarray:
        weights = torch.from_numpy(w.copy()).requires_grad_()
        first, bias, second, last = torch.tensor_split(weights, CUTS.tolist())
        hidden = torch.tanh(inputs @ first.reshape(LAGS, HIDDEN) + bias)
        loss = 0.5 * ((hidden @ second + last - target) ** 2).mean()
        return torch.autograd.grad(loss, weights)[0].numpy()

    return gradient


def probe(gradient: Gradient, w: np.ndarray) -> StepResult:
    """Return ε* at w with its certificate, from gradients alone."""
    g = gradient(w)
    return optimal_step(g, gHg=curvature(None, w, g, jac=gradient))


def train(network: Network, rate: float, stops: np.ndarray) -> list[tuple[float, float]]:
    """Descend at a fixed rate; return loss and rate / ε* at each stop."""
    w, seen = start(), []
    for epoch in range(stops[-1] + 1):
        if epoch in stops:
            step = probe(network.gradient, w)
            # rate / ε* is signed like the curvature; 0 where the model falls without bound.
            seen.append((network.loss(w), 1.0 + step.gauge(rate)))
        w = w - rate * network.gradient(w)
    return seen


def draw(network: Network, stops: np.ndarray, runs: dict[float, list[tuple[float, float]]], path: str) -> None:
    """Save the picture: the loss along −g at the start, and each run's rate / ε* as it trains."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"axes.edgecolor": SOFT, "axes.labelcolor": INK, "text.color": INK})
    figure, (left, right) = plt.subplots(1, 2, figsize=(12.4, 4.8), layout="constrained")
    TaylorModel.fit(network.loss, start(), jac=network.gradient, dense=False).plot(network.loss, ax=left)
    left.set_title("Training loss along −g at the start", loc="left", weight="bold")
    left.set(xlabel="learning rate ε", ylabel="loss after one step")
    for (rate, seen), shade in zip(runs.items(), SHADES, strict=True):
        right.plot(stops, [ratio for _, ratio in seen], color=shade, lw=1.8, label=f"rate {rate:g}")
    right.axhspan(2.0, 3.4, color="#d1495b", alpha=0.09, lw=0)
    right.axhline(2.0, color="#d1495b", lw=1.0)
    right.axhline(1.0, color=SOFT, lw=0.8, ls=":")
    right.text(1.0, 3.15, "uphill: rate > 2ε*", color="#d1495b")
    right.text(1.0, 1.06, "rate = ε*", color=SOFT)
    right.set(xscale="symlog", xlim=(0, stops[-1]), ylim=(-0.1, 3.4), xlabel="epoch", ylabel="rate / ε*")
    right.set_title("Where training stands", loc="left", weight="bold")
    right.legend(frameon=False, loc="upper right", ncols=2)
    right.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def main(path: str = "learning_rate.png") -> None:
    """Run the whole example."""
    began = time.perf_counter()
    network, w = Network(), start()
    step = probe(network.gradient, w)
    print(f"A network of {w.size} weights, {network.target.size} months, {LAGS} lags; loss {network.loss(w):.4f}.")
    print(f"At the start ε* = {step.step_length:.8g} in [{step.interval[0]:.8g}, {step.interval[1]:.8g}]")
    print(f"  {step.message}; uphill beyond {step.uphill_beyond:.4g}.")
    g = network.gradient(w)
    print("\nOne step from the start at learning rate")
    for rate in (0.5 * step.step_length, step.step_length, *(k * step.uphill_beyond for k in (0.9, 1.1, 2.0))):
        promise = -(rate - 0.5 * rate**2 / step.step_length) * (g @ g)
        change = network.loss(w - rate * g) - network.loss(w)
        print(f"  {rate:7.4f}, gauge {step.gauge(rate):+5.2f}: the model says {promise:+.4f}, the loss {change:+.4f}")

    stops = np.unique(np.concatenate([[0], np.geomspace(1, EPOCHS, 60).astype(int)]))
    runs = {rate: train(network, rate, stops) for rate in RATES}
    shown = [int(np.searchsorted(stops, epoch)) for epoch in (0, 10, 100, 500, EPOCHS)]
    print("\nTraining at a fixed rate: loss (rate / ε*); 2 is the edge")
    print("  rate " + "".join(f"{f'epoch {stops[i]}':>18}" for i in shown))
    for rate, seen in runs.items():
        print(f"  {rate:<5g}" + "".join(f"{f'{seen[i][0]:.5f} ({seen[i][1]:.2f})':>18}" for i in shown))

    gradient = torch_gradient()
    if gradient is None:
        print("\nPyTorch is not installed: its gradient is left out (pip install torch).")
    else:
        other = probe(gradient, w)
        print(f"\nThrough PyTorch's gradient ε* = {other.step_length:.8g}, {other.message}.")
    draw(network, stops, runs, path)
    print(f"\n{path} shows the loss along −g and the way to the edge. {time.perf_counter() - began:.1f} s in all.")


if __name__ == "__main__":
    main(*sys.argv[1:])
