"""Quadratic forms gᵀHg of a symmetric matrix, from one of its triangles."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessfast import _quadform

__all__ = ["quadratic_form"]

Matrix = NDArray[np.float64]

# Below this many bytes read, starting threads costs more than they save.
THREADED_FROM = 32 << 20
# Tiles a thread, so that the slower one does not make the other wait.
TILES_PER_THREAD = 4


def quadratic_form(H: ArrayLike, g: ArrayLike, *, lower: bool = True, workers: int | None = None) -> float:
    """
    Compute gᵀHg for a symmetric H, reading one triangle of H alone.

    Parameters
    ----------
    H : (n, n) array_like
        Symmetric matrix. What stands in the other triangle is never read, as in `numpy.linalg.eigh`.
    g : (n,) array_like
        Vector.
    lower : bool, default True
        Read the lower triangle (entries ``H[i, j]``, ``j <= i``), else the upper one, in any memory order.
    workers : int, optional
        Use up to that many threads where the matrix is large enough to repay them; by default one.

    Returns
    -------
    float
        gᵀHg. 0.0 for n = 0. NaN and inf propagate as in any sum.

    Raises
    ------
    TypeError
        H or g is complex, of objects, or masked.
    ValueError
        The shapes disagree.

    Notes
    -----
    The sum is ``2 Σ_{j<i} g_i H_ij g_j + Σ_i H_ii g_i²`` in an order fixed by n alone: the same bits for any
    number of threads, any SIMD level, C and Fortran order, and either triangle of an exactly symmetric H. The
    rounding error is at most (n/4 + 48) eps |g|ᵀ|H||g|. Half of H is read: n²/2 multiplications.

    float64 matrices with contiguous rows or columns are read in place, slices too; others are copied once.

    Examples
    --------
    >>> import numpy as np
    >>> H = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> quadratic_form(H, [1.0, -1.0])
    3.0
    """
    threads = 1 if workers is None else _thread_count(workers)
    if threads == 1:
        value = _quadform.one(H, g, lower)
        if value is not None:
            return value
    matrix, vector = _matrix("H", H), _real("g", g)
    if vector.shape != matrix.shape[:1]:
        raise ValueError(f"g must have shape {matrix.shape[:1]}, as H has {matrix.shape}, got {vector.shape}")
    vector = np.ascontiguousarray(vector)
    n = len(vector)
    if threads == 1 or n * n * 4 < THREADED_FROM:
        value = _quadform.one(matrix, vector, lower)
        assert value is not None
        return value
    values = np.empty(-(-n // _quadform.BLOCK))
    _pull(
        _tiles(len(values), TILES_PER_THREAD * threads),
        lambda first, last: _quadform.blocks(matrix, vector, lower, first, last, values),
        threads,
    )
    return _quadform.sum_blocks(values)


def _thread_count(workers: int) -> int:
    try:
        threads = operator.index(workers)
    except TypeError:
        raise TypeError(f"workers must be an integer or None, got {workers!r}") from None
    if threads < 1:
        raise ValueError(f"workers must be at least 1, got {threads}")
    return threads


def _real(name: str, value: Any) -> Matrix:
    """Return value as a plain float64 array, itself where it is one already."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array; give it with its gaps filled")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return np.require(array, np.float64, "A")


def _matrix(name: str, value: Any) -> Matrix:
    """Return value as a square float64 matrix with contiguous rows or columns."""
    matrix = _real(name, value)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name} must be a square matrix, got shape {matrix.shape}")
    n = len(matrix)
    unit, far = sorted(matrix.strides)
    return matrix if n <= 1 or (unit == 8 and far >= 8 * n and far % 8 == 0) else np.ascontiguousarray(matrix)


def _tiles(blocks: int, count: int) -> list[tuple[int, int]]:
    """Cut blocks of rows of a triangle into about `count` ranges of equal area, the last rows first."""
    edges = sorted({round(blocks * (part / count) ** 0.5) for part in range(count + 1)})
    return list(pairwise(edges))[::-1]


def _pull(tiles: list[tuple[int, int]], task: Callable[[int, int], None], threads: int) -> None:
    """Call task(first, last) on every tile; the caller and threads - 1 others each take the next one left."""
    left = deque(tiles)

    def work() -> None:
        while True:
            try:
                first, last = left.popleft()
            except IndexError:
                return
            task(first, last)

    others = [Thread(target=work, daemon=True) for _ in range(min(threads, len(tiles)) - 1)]
    try:
        for other in others:
            other.start()
        work()
    finally:
        left.clear()
        for other in others:
            if other.ident is not None:
                other.join()
