"""The picture of a Taylor model along -g."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from hessfast.calls.points import Rows, asked
from hessfast.calls.run import drive
from hessfast.problem import bind
from hessfast.results import StepResult, StepStatus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

Floats = npt.NDArray[np.float64]

INK, MODEL, UPHILL = "#1b1f24", "#1f6feb", "#d1495b"


class Drawn(Protocol):
    """What is drawn: a Taylor model, of which the slice along -g is taken."""

    x0: npt.NDArray[Any]
    f0: float
    g: npt.NDArray[Any]

    @property
    def curvature_error(self) -> float: ...
    def step(self) -> StepResult: ...
    def along(self, step_length: npt.ArrayLike) -> Any: ...
    def terms(self, step_length: npt.ArrayLike) -> Any: ...


def draw(model: Drawn, fun: Callable[[Floats], float] | None, ax: Axes | None) -> Axes:
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
        with bind(fun, model.x0) as problem:
            truth = drive(asked(Rows(model.x0 - lengths[:, None] * model.g)), problem.fun)
        ax.plot(lengths, truth, color=INK, lw=1.5, ls=(0, (5, 2)), label="f", zorder=4)
        values = np.concatenate([values, _near(truth, values)])
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    span = high - low or 1.0
    ax.set(ylim=(low - 0.16 * span, high + 0.06 * span), xlim=(lengths[0], lengths[-1]))
    ax.plot(0.0, model.f0, "o", ms=7, color=INK, zorder=6)
    _note(ax, "x₀", 0.0, model.f0, (8, 6), INK, "left")
    if step.status is StepStatus.DESCENT:
        _mark_minimum(model, float(step.uphill_beyond) / 2.0, ax)
    ax.set_title(step.message, loc="left", fontsize=10, color=INK)
    ax.set(xlabel="step length ε along −g", ylabel="f(x₀ − ε g)")
    ax.ticklabel_format(axis="x", scilimits=(-3, 4), useMathText=True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper center")
    return ax


def _natural_length(model: Drawn) -> float:
    """Return the length where slope and curvature are level; without either, that of a step as long as x0."""
    terms = model.terms(1.0)
    slope, curvature = -float(terms.direction), 2.0 * abs(float(terms.curvature))
    natural = slope / curvature if curvature > 0.0 else math.inf
    if 0.0 < natural < math.inf:
        return natural
    return (float(np.linalg.norm(model.x0)) or 1.0) / (math.sqrt(slope) or 1.0)


def _draw_band(model: Drawn, lengths: Floats, ax: Axes) -> None:
    """Shade what the error bar of gᵀHg leaves open."""
    half = 0.5 * lengths**2 * model.curvature_error
    if np.isfinite(half).all() and half.any():
        values = model.along(lengths)
        ax.fill_between(lengths, values - half, values + half, color=MODEL, alpha=0.18, lw=0, zorder=2)


def _mark_minimum(model: Drawn, minimiser: float, ax: Axes) -> None:
    """Mark the minimiser, the decrease it promises, and where the model lies above f0."""
    lowest, edge = model.along(minimiser), ax.get_xlim()[1]
    ax.axhline(model.f0, color=INK, lw=0.7, alpha=0.4, zorder=1)
    ax.axvspan(2.0 * minimiser, edge, color=UPHILL, alpha=0.09, lw=0)
    middle = minimiser + 0.5 * edge
    ax.text(middle, 0.97, "uphill", color=UPHILL, ha="center", va="top", transform=ax.get_xaxis_transform())
    ax.vlines(minimiser, lowest, model.f0, color=MODEL, lw=1.2, ls=":", zorder=2)
    ax.plot(minimiser, lowest, "o", ms=8, mfc="white", mec=MODEL, mew=2.0, zorder=6)
    ax.plot(2.0 * minimiser, model.f0, "o", ms=6, mfc="white", mec=UPHILL, mew=1.6, zorder=6)
    _note(ax, f"ε* = {minimiser:.4g}", minimiser, lowest, (0, -20), MODEL, "center")
    _note(ax, "2ε*", 2.0 * minimiser, model.f0, (9, -13), UPHILL, "left")


def _note(ax: Axes, text: str, x: float, y: float, offset: tuple[int, int], color: str, align: str) -> None:
    ax.annotate(text, (x, y), offset, textcoords="offset points", ha=align, color=color, zorder=7)


def _near(truth: Floats, values: Floats) -> Any:
    """Clip f to little more than the model's own range: a wall far away must not flatten the picture."""
    low, high = values.min(), values.max()
    reach = 0.6 * (high - low)
    return np.clip(truth, low - reach, high + reach)
