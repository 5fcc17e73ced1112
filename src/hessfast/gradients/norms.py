"""Sizes of columns and scales of matrices: norms and quotients that stay in the range of float64."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from hessfast.gradients.columns import Array
from hessfast.scale import TINY

MOST = 1e300
"""What stands for an error without bounds: finite, so that it can be compared."""

_SQUARED = (1e-140, 1e140)
"""Between these a sum of squares is right."""

_RUN = 1 << 14
"""Entries of a matrix worked on at once."""


def norm(a: Array) -> Array:
    """Euclidean norm of the rows, nan where they hold one; squares that leave the range of float64 are scaled."""
    found = np.asarray(np.sqrt(np.sum(a * a, axis=-1)))
    if not np.all((found > _SQUARED[0]) & (found < _SQUARED[1])):
        largest = np.max(np.abs(a), axis=-1, initial=0.0)
        fits = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
        found = np.asarray(fits * np.sqrt(np.sum((a / fits[..., None]) ** 2, axis=-1)))
    return found


def quotient(error: Array, size: Array) -> Array:
    """Relative error: finite and no nan, whatever the size."""
    return np.asarray(np.fmin(np.fmax(error / np.fmax(size, TINY), 0.0), MOST))


def equilibrate(G: Array) -> Array:
    """Scale s with max_j |s_i G_ij s_j| = 1 in each row (Ruiz 2001), on the smaller of G_ij and G_ji.

    A column spoiled by its step then weighs on nothing but its own diagonal entry. Rows of zeros keep s = 1.
    """
    B = np.abs(G)
    s = np.ones(len(B))
    with np.errstate(all="ignore"):
        for run in rows_of(len(B)):
            B[run] = np.minimum(B[run], np.abs(G[:, run].T))
            B[run][~np.isfinite(B[run])] = 0.0
        for _ in range(12):
            largest = np.concatenate(
                [np.max(s[run, None] * B[run] * s, axis=1, initial=0.0) for run in rows_of(len(B))]
            )
            s /= np.sqrt(np.where((largest > 0) & np.isfinite(largest), largest, 1.0))
    return s


def rows_of(m: int) -> Iterator[slice]:
    """Runs of rows of a matrix (m, m), short enough for what is made of them on the way."""
    rows = max(1, _RUN // m)
    for first in range(0, m, rows):
        yield slice(first, min(first + rows, m))


def squares_of(m: int) -> Iterator[tuple[slice, slice]]:
    """Squares of the lower triangle of a matrix (m, m), with the diagonal."""
    side = math.isqrt(_RUN)
    for first in range(0, m, side):
        for left in range(0, first + 1, side):
            yield slice(first, min(first + side, m)), slice(left, min(left + side, m))
