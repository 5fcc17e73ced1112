"""
Passes over vectors of any length: points x + t v, dot products, the natural unit of t.

Storage is float64 or float32, contiguous, `numpy.memmap` included; arithmetic is float64. Each sum is made
of panels added by a fixed tree: its bits depend neither on the number of threads nor on the SIMD level.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hessfast.algebra import _vectors

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["Vector", "as_vector", "dot", "dot_difference", "dot_square", "line_point", "line_unit", "norm", "octaves"]

Vector = npt.NDArray[np.floating[Any]]
Floats = npt.NDArray[np.float64]

# 64k coordinates are some 50 µs of memory traffic; below that, handing work to a thread costs more.
_THREAD_PANELS = 64


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(threads, thread_name_prefix="hessfast")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads


def _over_panels(n: int, threads: int, task: Callable[[int, int], None]) -> None:
    """Run task(first, last) on equal ranges of panels, one a thread."""
    panels = -(-n // _vectors.PANEL)
    ranges = min(threads, panels // _THREAD_PANELS)
    if ranges <= 1:
        task(0, panels)
        return
    cuts = [panels * k // ranges for k in range(ranges + 1)]
    for done in [_pool(ranges).submit(task, *cut) for cut in pairwise(cuts)]:
        done.result()


def as_vector(x: npt.ArrayLike) -> Vector:
    """Return x as a contiguous float64 or float32 array, itself where it is one already (memmap included)."""
    array = np.asarray(x)
    if array.dtype not in (np.float64, np.float32):
        array = np.asarray(array, dtype=np.float64)
    return np.ascontiguousarray(array)


def line_point(x: Vector, v: Vector, t: float, out: Floats, threads: int = 1) -> None:
    """Write x + t v into `out`, which may be x."""
    _over_panels(x.size, threads, lambda first, last: _vectors.line_point(x, v, t, out, first, last))


def dot(x: Vector, y: Vector, threads: int = 1) -> float:
    """Return the sum of x_i y_i."""
    sums = np.empty(-(-x.size // _vectors.PANEL))
    _over_panels(x.size, threads, lambda first, last: _vectors.dot(x, y, sums, first, last))
    return _vectors.tree_sum(sums)


def norm(x: Vector, threads: int = 1) -> float:
    """Return ‖x‖, also where its square leaves the range of float64."""
    square = dot(x, x, threads)
    if _well_scaled(square):
        return math.sqrt(square)
    scale = _scale_of(x)
    return math.sqrt(dot(x * scale, x * scale, threads)) / scale


def dot_square(x: Vector, y: Vector, threads: int = 1) -> float:
    """Return the sum of (x_i y_i)²."""
    sums = np.empty(-(-x.size // _vectors.PANEL))
    _over_panels(x.size, threads, lambda first, last: _vectors.dot_square(x, y, sums, first, last))
    return _vectors.tree_sum(sums)


def dot_difference(v: Vector, a: Vector, b: Vector, threads: int = 1) -> float:
    """Return the sum of v_i (a_i - b_i), rounded relative to the differences."""
    sums = np.empty(-(-v.size // _vectors.PANEL))
    _over_panels(v.size, threads, lambda first, last: _vectors.dot_difference(v, a, b, sums, first, last))
    return _vectors.tree_sum(sums)


def octaves(x: Vector, threads: int = 1) -> tuple[list[int], bool]:
    """
    Return the octaves that hold sizes of coordinates, ascending, and whether there are zeros.

    Octave o holds 2^(o-1) ≤ |x_i| < 2^o; subnormal numbers are counted as the smallest normal ones.
    """
    seen = np.zeros(2048, dtype=np.uint8)
    _over_panels(x.size, threads, lambda first, last: _vectors.octaves(x, seen, first, last))
    return (np.flatnonzero(seen[1:]) - 1021).tolist(), bool(seen[0])


def line_unit(x: Vector, v: Vector, threads: int = 1, sizes: Vector | None = None) -> float:
    """
    Return the natural unit of t on the line x + t v, a power of two.

    With w = v / ‖v‖ it is exp(Σ w_i² ln(typ_i / |w_i|)) / ‖v‖, typ_i = sizes_i, by default |x_i| or 1: the
    coordinates' own lengths, averaged by their share in the direction; scale-free, and of the size ‖x‖ / ‖v‖
    for generic vectors. Never less than eps ‖x‖ / ‖v‖, below which the points round back to x. Logarithms are
    good to 0.09 in base 2, which a step never notices. 0.0 where v = 0; nan where v or x is not finite.
    """
    v_scale = x_scale = 1.0
    for _ in range(2):
        square, weighted, x_square = _line_sums(x if sizes is None else sizes, v, v_scale, x_scale, threads)
        if _well_scaled(square) and (_well_scaled(x_square) or x_square == 0.0):
            break
        v_scale, x_scale = _scale_of(v), _scale_of(x if sizes is None else sizes)
    if not (math.isfinite(square) and math.isfinite(x_square)):
        return math.nan
    if square == 0.0:
        return 0.0
    log_norm = 0.5 * math.log2(square) - math.log2(v_scale)
    log_unit = weighted / square
    length = norm(x, threads) if sizes is not None else math.sqrt(x_square) / x_scale
    if length > 0.0:
        log_unit = max(log_unit, math.log2(length) - 52 - log_norm)
    return math.ldexp(1.0, max(-1000, min(1000, round(log_unit))))


def _line_sums(x: Vector, v: Vector, v_scale: float, x_scale: float, threads: int) -> list[float]:
    sums = np.empty((3, -(-x.size // _vectors.PANEL)))
    _over_panels(x.size, threads, lambda first, last: _vectors.line_sums(x, v, v_scale, x_scale, sums, first, last))
    return [_vectors.tree_sum(row) for row in sums]


def _well_scaled(square: float) -> bool:
    """Return whether a sum of squares is far from overflow and from where its terms underflow."""
    return 1e-200 < square < 1e300


def _scale_of(x: Vector) -> float:
    """Return the power of two that brings the largest |x_i| near 1."""
    largest = float(max(abs(x.max()), abs(x.min())))
    if largest == 0.0 or not math.isfinite(largest):
        return 1.0
    return math.ldexp(1.0, min(1000, -math.frexp(largest)[1]))
