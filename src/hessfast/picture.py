"""The picture of a Taylor model along -g."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hessfast.results import StepStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hessfast.taylor import TaylorModel

__all__ = ["draw"]

Floats = npt.NDArray[np.float64]

INK, MODEL, TRUTH, UPHILL = "#1b1f24", "#1f6feb", "#1b1f24", "#d1495b"


def draw(model: TaylorModel, fun: Callable[[Floats], float] | None, ax: Axes | None) -> Axes:
    """Draw `model` on `ax`, with f where `fun` is given; see `TaylorModel.plot`."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        step = model.step()
    natural = _natural_length(model)
    lengths = np.linspace(-0.15 * natural, 2.7 * natural, 161)
    values = model.along(lengths)
    _draw_band(model, lengths, ax)
    ax.plot(lengths, values, color=MODEL, lw=2.4, label="Taylor model", zorder=3)
    if fun is not None:
        truth = np.array([fun(model.x0 - length * model.g) for length in lengths])
        ax.plot(lengths, truth, color=TRUTH, lw=1.4, ls=(0, (5, 2)), label="f", zorder=4)
        values = np.concatenate([values, _near(truth, values)])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = 0.08 * (high - low or 1.0)
    ax.set_ylim(low - 1.6 * margin, high + margin)
    ax.set_xlim(lengths[0], lengths[-1])
    ax.plot(0.0, model.f0, "o", ms=7, color=INK, zorder=6)
    ax.annotate("x₀", (0.0, model.f0), (6, 6), textcoords="offset points", color=INK)
    if step.status is StepStatus.DESCENT:
        _mark_minimum(model, float(step), ax)
    ax.set_title(step.message, fontsize=9, color=INK)
    ax.set_xlabel("step length ε along −g")
    ax.set_ylabel("f(x₀ − ε g)")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper center")
    return ax


def _natural_length(model: TaylorModel) -> float:
    """Return the length where slope and curvature are level; without either, that of a step as long as x0."""
    terms = model.terms(1.0)
    slope, curvature = -float(terms.direction), 2.0 * abs(float(terms.curvature))
    natural = slope / curvature if curvature > 0.0 else math.inf
    if 0.0 < natural < math.inf:
        return natural
    return (float(np.linalg.norm(model.x0)) or 1.0) / (math.sqrt(slope) or 1.0)


def _draw_band(model: TaylorModel, lengths: Floats, ax: Axes) -> None:
    """Shade what the error bar of gᵀHg leaves open."""
    half = 0.5 * lengths**2 * model.curvature_error
    if np.isfinite(half).all() and half.any():
        values = model.along(lengths)
        ax.fill_between(lengths, values - half, values + half, color=MODEL, alpha=0.18, lw=0, zorder=2)


def _mark_minimum(model: TaylorModel, length: float, ax: Axes) -> None:
    """Mark the step length, the decrease it promises, and where the model lies above f0."""
    lowest = model.along(length)
    ax.axvspan(2.0 * length, ax.get_xlim()[1], color=UPHILL, alpha=0.10, lw=0, label="uphill: ε > 2ε*")
    ax.axhline(model.f0, color=INK, lw=0.7, alpha=0.45, zorder=1)
    ax.vlines(length, lowest, model.f0, color=MODEL, lw=1.2, ls=":", zorder=2)
    ax.plot(length, lowest, "o", ms=7, mfc="white", mec=MODEL, mew=2.0, zorder=6)
    label = f"ε* = {length:.4g}"
    ax.annotate(label, (length, lowest), (0, -16), textcoords="offset points", ha="center", color=MODEL)


def _near(truth: Floats, values: Floats) -> Any:
    """Clip f to little more than the model's own range: a wall far away must not flatten the picture."""
    low, high = values.min(), values.max()
    reach = 0.6 * (high - low)
    return np.clip(truth, low - reach, high + reach)
