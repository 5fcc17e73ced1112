"""Error bars: what the formulas leave out (truncation) and what the noise of f leaves in (condition)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hessfast.scale import EPS
from hessfast.values._pairs import PairFormula
from hessfast.values.ladder import Ladder
from hessfast.values.noise import ROUNDING, NoiseModel
from hessfast.values.stencils import Stencil

Array = NDArray[np.float64]


@cache
def pair_formula(stencil: Stencil) -> PairFormula:
    """Return the pair formula of a stencil with what its error parts need."""
    t = np.array(stencil.pair_nodes, dtype=np.float64)
    coefficients = np.ascontiguousarray(np.linalg.inv(np.vander(t, increasing=True)))
    return PairFormula(stencil.pair_weights, coefficients, float(np.prod(np.abs(t))), pair_noise(stencil))


@cache
def pair_noise(stencil: Stencil) -> float:
    """Return the standard deviation of h_i h_j H_ij for white noise of unit level in f.

    ψ has f at the pair's node and on both axes, each with noise of its own; f(x) is shared by all nodes.
    """
    weights = stencil.pair_weights / np.array(stencil.pair_nodes, dtype=np.float64) ** 2
    return float(np.sqrt(3.0 * (weights @ weights) + weights.sum() ** 2))


@dataclass(frozen=True, slots=True, eq=False)
class AxisBars:
    """What the ladders say about the axes at their steps: arrays of shape (m,).

    Attributes
    ----------
    truncation, condition : ndarray
        Error parts of the second derivatives.
    slope_truncation, slope_condition : ndarray
        Error parts of the first derivatives.
    rate : ndarray
        Ratio r at which the coefficients of f(x + t h) fall from one power of t to the next, from the first one that
        the second derivative leaves out against t² itself: b_(p+2) = r^p b_2. Zero where the latter is not seen.
    possible_rate : ndarray
        The same, not below what a natural length of f that the axes do not show may bring; of use at low orders.
    """

    truncation: Array
    condition: Array
    slope_truncation: Array
    slope_condition: Array
    rate: Array
    possible_rate: Array


def axis_bars(ladders: Sequence[Ladder | None]) -> AxisBars:
    """Collect the error parts of all axes; nan where an axis has no rung of use."""
    rows = [_axis_row(ladder) for ladder in ladders]
    return AxisBars(*np.ascontiguousarray(np.array(rows).reshape(-1, 6).T))


def _axis_row(ladder: Ladder | None) -> tuple[float, float, float, float, float, float]:
    rung = None if ladder is None else ladder.best()
    if ladder is None or rung is None:
        return (np.nan,) * 6
    truncation = ladder.truncation_at_least(rung) if ladder.derivative == 2 else ladder.truncation_of(rung, 2)
    condition = ladder.condition_of(rung, 2)
    formula, curvature, policy = ladder.formula, abs(rung.curvature), ladder.policy
    relative_step = abs(rung.step) / ladder.axis.size
    seen = floor = 0.0
    if curvature > policy.visible * condition:
        seen = (truncation / (formula.product * curvature)) ** (1.0 / formula.order)
    is_long = relative_step > policy.long_step[formula.order <= policy.poor]
    if not is_long or not ladder.shows(policy.visible):
        floor = relative_step / policy.longest_length
    rate = max(seen, floor) if is_long else seen  # a polynomial along this axis; its pairs may see more
    possible = seen if is_long else max(seen, floor)  # long steps have been shortened where that is so
    if formula.order <= policy.poor:
        possible = max(possible, abs(rung.step) * ladder.bend())
    rate, possible = min(rate, 1.0), min(possible, 1.0)
    truncation = max(truncation, rung.jump / abs(rung.step))
    slope_truncation = max(ladder.truncation_of(rung, 1), rung.jump)
    return truncation, condition, slope_truncation, ladder.condition_of(rung, 1), rate, possible


def natural_roots(diagonal: Array, errors: Array, u: Array, visible: float) -> Array:
    """Return √|H_ii|, (m,); where it is not seen, as much as the coordinate's size (m,) needs beside the others.

    Across its plane a molecule may have no curvature, but its pairs with what lies in the plane still bend.
    """
    root = np.sqrt(np.abs(diagonal))
    return np.where(np.abs(diagonal) > visible * errors, root, np.fmax(root, np.nanmax(root * u, initial=0.0) / u))


def unseen(hess: Array, rows: slice, root: Array, rate: Array, order: int, factor: float) -> Array:
    """Return what pair entries of a low order may leave out, though they do not show it: of some rows.

    An entry and what follows it may be of any size up to √|H_ii H_jj|, and either may vanish by symmetry. What follows
    falls away as it does along the axes; of an entry that is smaller than that, all may be truncation.
    """
    falls = root * rate**order
    left_out = np.multiply.outer(falls[rows], root) + np.multiply.outer(root[rows], falls)
    return np.asarray(factor * np.fmin(np.abs(hess[rows]), left_out))


def bar_parts(
    value: Array, truncation: Array, condition: Array, factors: tuple[float, float], roundings: float
) -> tuple[Array, Array]:
    """Turn estimated error parts into the truncation and condition parts of error bars."""
    for_condition, for_truncation = factors
    return for_truncation * truncation, for_condition * condition + roundings * EPS * np.abs(value)


def blur(x: Array, diagonal: Array, step: Array, least: float, i: NDArray[np.intp], j: NDArray[np.intp]) -> Array:
    """Return the noise that rounded coordinates leave in f at a node of pairs i, j, over the steps of the pairs.

    At its node f changes along axis i by f_i ≤ √D_i (√D_i h_i + √D_j h_j) more than at x, and f is known no better than
    its arguments, to f_i x_i eps/4, as `Axis.noise_at` has it along one axis, where it changes by at least so much.
    """
    root = np.sqrt(np.abs(diagonal))
    rounding, reach = ROUNDING * np.abs(x) * root, root * np.abs(step)
    change = reach[i] + reach[j]
    noise = np.hypot(rounding[i], rounding[j]) * change
    return np.where(0.5 * change * change > least, noise / np.abs(step[i] * step[j]), 0.0)


def noise_fields(noise: NoiseModel) -> tuple[float, float, float, float]:
    """Return the noise model as the kernels take it."""
    return noise.f0, noise.level, noise.growth, noise.relative
