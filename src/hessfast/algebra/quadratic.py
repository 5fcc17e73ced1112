"""Quadratic forms gᵀHg of symmetric matrices, from one of their triangles."""

from __future__ import annotations

from _thread import LockType, allocate_lock, start_new_thread
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from math import isqrt
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessfast.algebra import _quadform
from hessfast.arguments import plain, require_finite
from hessfast.scale import EPS
from hessfast.workers import thread_count

__all__ = ["form_and_bound", "quadratic_form", "require_symmetric"]

Floats = NDArray[np.float64]
Matrix = NDArray[Any]  # float64 or float32
Tile = Callable[[int, int], None]


# Below this many multiplications, starting threads costs more than they save.
THREADED_FROM = 1 << 24
# Tiles a thread, so that the slower one does not make the other wait.
TILES_PER_THREAD = 4
# Order below which a triangle is not cut further, and rows of a square multiplied at once.
BLAS_LEAF, BLAS_ROWS = 128, 1024
# Multiplications n² k from which BLAS's triangular product, a fifth faster than NumPy's product of half of H, is worth
# the import of SciPy (0.15 s, once).
TRIANGULAR_FROM = 1 << 28
# Rows and columns of H compared with their mirror at once.
TILE = 128


@overload
def quadratic_form(
    H: ArrayLike,
    g: ArrayLike,
    *,
    lower: bool = True,
    out: Floats,
    compensated: bool = False,
    check_symmetric: bool = False,
    workers: int | None = None,
) -> Floats: ...
@overload
def quadratic_form(
    H: ArrayLike,
    g: ArrayLike,
    *,
    lower: bool = True,
    out: None = None,
    compensated: bool = False,
    check_symmetric: bool = False,
    workers: int | None = None,
) -> Any: ...
def quadratic_form(
    H: ArrayLike,
    g: ArrayLike,
    *,
    lower: bool = True,
    out: Floats | None = None,
    compensated: bool = False,
    check_symmetric: bool = False,
    workers: int | None = None,
) -> Any:
    """
    Compute gᵀHg for symmetric H, reading one triangle of H alone.

    Parameters
    ----------
    H : (n, n), (b, n, n) or (n (n + 1) / 2,) array_like
        Symmetric matrix, a stack of them, or one packed triangle: the entries of `numpy.tril_indices` in its
        order (`numpy.triu_indices` where ``lower=False``). What stands in the other triangle is never read, as
        in `numpy.linalg.eigh`.
    g : (n,), (k, n) or (b, n) array_like
        Vector; k vectors for one H; or one vector for each matrix of a stack.
    lower : bool, default True
        Read the lower triangle (entries ``H[i, j]``, ``j <= i``), else the upper one, in any memory order.
    out : (), (k,) or (b,) ndarray of float64, optional
        Where the values go; it is also returned. Untouched where an exception is raised.
    compensated : bool, default False
        Sum as if in twice the precision: the result is the exact one to an ulp for condition numbers up to 1e15.
    check_symmetric : bool, default False
        Refuse an H whose triangles differ by more than rounding.
    workers : int, optional
        Use up to that many threads, four a core at most, where there is enough work to repay them; by default one.

    Returns
    -------
    float or (k,) or (b,) ndarray
        gᵀHg. 0.0 for n = 0. NaN and inf propagate as in any sum.

    Raises
    ------
    TypeError
        An argument is complex, of objects, masked, or of the wrong type.
    ValueError
        The shapes disagree, or `check_symmetric` found an asymmetry.

    Notes
    -----
    The sum is ``2 Σ_{j<i} g_i H_ij g_j + Σ_i H_ii g_i²``: half of H is read, n²/2 multiplications. Its order is
    fixed by n alone: the same bits for any number of threads, any SIMD level, C and Fortran order, full or packed,
    and either triangle of an exactly symmetric H. The rounding error is at most (n/8 + 24) eps |g|ᵀ|H||g|. Many
    vectors of one large H (k >= 16, n >= 512, k n >= 12 000) go through BLAS, with an error of that size but no such
    promise: its triangular product where SciPy is installed and n² k >= 2²⁸, else NumPy's product of half of H.

    float64 and float32 matrices with contiguous rows or columns are read in place, slices and `numpy.memmap` too;
    others are copied once. A triangle that memory holds by rows is read a fifth to a third faster: the lower one in C
    order, the upper one in Fortran order. float32 entries are widened one by one: sums are always float64. A stack of
    float64 in C order, with g in C order, is read in place as well.

    `compensated` is dot2 of [1]_ on every product and sum: about five times the arithmetic, which hides behind
    memory from n about 2000 on where the processor has fused multiply-add. Elsewhere its products must stay within
    2⁻⁹⁶⁹ and 2⁹⁹⁵ to be exact: beyond, the sum is as good as the plain one.

    References
    ----------
    .. [1] T. Ogita, S. M. Rump, S. Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26 (2005).

    Examples
    --------
    >>> import numpy as np
    >>> from hessfast import quadratic_form
    >>> H = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> quadratic_form(H, [1.0, -1.0])
    3.0
    >>> quadratic_form(H, [[1.0, -1.0], [0.0, 1.0]])
    array([3., 3.])
    >>> quadratic_form([2.0, 1.0, 3.0], [1.0, -1.0])
    3.0
    """
    if workers is None and out is None and not check_symmetric:
        value = _quadform.form(H, g, lower, compensated)
        if value is not None:
            return value
    threads = thread_count(workers)
    with np.errstate(all="ignore"):  # as silent as the kernels: the values themselves say what became of them
        return _form_of_any(H, g, lower, out, compensated, check_symmetric, threads)


def _form_of_any(
    H: ArrayLike,
    g: ArrayLike,
    lower: bool,
    out: Floats | None,
    compensated: bool,
    check_symmetric: bool,
    threads: int,
) -> Any:
    """Return the quadratic form of whatever holds H and g."""
    matrix, G = _arguments(H, g)
    if out is not None:
        _check_out(out, G.shape[:-1])
    if check_symmetric and matrix.ndim > 1:
        eps = storage_eps(np.asarray(H))
        if matrix.ndim == 2:
            require_symmetric(matrix, eps=eps)
        else:
            for m, one in enumerate(matrix):
                require_symmetric(one, eps=eps, name=f"H[{m}]")
    rows = np.atleast_2d(G)
    form = _compensated if compensated else _plain
    values = form(matrix, rows, lower, threads) if G.shape[-1] else np.zeros(len(rows))
    if out is not None:
        out[...] = values if G.ndim == 2 else values[0]
        return out
    return values if G.ndim == 2 else float(values[0])


def form_and_bound(H: ArrayLike, g: ArrayLike, *, lower: bool = True) -> tuple[Floats, Floats]:
    """
    Compute gᵀHg and a bound on the rounding error of its sum.

    Parameters
    ----------
    H, g, lower
        As in `quadratic_form`.

    Returns
    -------
    value, bound : ndarray of shape ``g.shape[:-1]``
        gᵀHg, with the bits of `quadratic_form`, and (n/8 + 24) eps |g|ᵀ|H||g|; for several vectors of one large H
        (k >= 16, n >= 512) an upper bound on (n + 24) eps |g|ᵀ|H||g|.

    Notes
    -----
    H is read once for each vector, or once more than `quadratic_form` reads it for several vectors of one large H.

    An entry's way into the sum holds its two products, n/4 additions in its lane, and at most 3 + 2 + 16 + 20 in its
    tile, its panel, its block and the tree of blocks, each with a rounding of eps / 2. Of BLAS no more is known than
    that it adds up to n numbers twice.
    """
    sums = _quadform.form_sized(H, g, lower)
    if sums is None or len(sums) != 1:
        with np.errstate(all="ignore"):
            return _form_and_bound_of_any(H, g, lower, sums)
    sums[0, 1] = (np.shape(g)[-1] / 8 + 24) * EPS * float(sums[0, 1])
    shape = np.shape(g)[:-1]
    return sums[:, 0].reshape(shape), sums[:, 1].reshape(shape)


def _form_and_bound_of_any(H: ArrayLike, g: ArrayLike, lower: bool, sums: Floats | None) -> tuple[Floats, Floats]:
    if sums is None:
        matrix, g = _arguments(H, g)
        rows = np.atleast_2d(g)
        n = rows.shape[1]
        if matrix.ndim == 2 and _quadform.several_of_large(len(rows), n):
            return _plain(matrix, rows, lower, 1), (n + 24) * EPS * _sizes_at_most(matrix, rows, lower)
        sums = _quadform.form_sized(matrix, g, lower) if len(rows) else np.empty((0, 2))
        assert sums is not None
    shape = np.shape(g)
    value, bound = sums[:, 0], (shape[-1] / 8 + 24) * EPS * sums[:, 1]
    return value.reshape(shape[:-1]), bound.reshape(shape[:-1])


def _sizes_at_most(H: Matrix, G: Floats, lower: bool) -> Floats:
    """
    Bound |g|ᵀ|H||g| for every row of G by one pass over H.

    2 |g_i g_j| <= g_i² c_j / c_i + g_j² c_i / c_j for any c > 0, hence |g|ᵀ|H||g| <= Σ_i g_i² / c_i Σ_j |H_ij| c_j.
    With c_i the largest |g_i| of all rows the bound does not depend on the units of the variables, and no square
    underflows.
    """
    sizes = np.abs(G)
    largest = sizes.max(axis=0)
    triangle = H if lower else H.T
    sums = -np.abs(np.diagonal(H)) * largest  # the diagonal is met in its row and in its column
    for first in range(0, len(H), BLAS_LEAF):
        rows = slice(first, first + BLAS_LEAF)
        left, corner = np.abs(triangle[rows, :first]), np.tril(np.abs(triangle[rows, rows]))
        sums[rows] += left @ largest[:first] + corner @ largest[rows] + largest[rows] @ corner
        sums[:first] += largest[rows] @ left
    shares = np.divide(sizes, largest, out=np.zeros_like(sizes), where=largest > 0.0)
    bound: Floats = (sizes * shares) @ sums
    return bound


def storage_eps(H: NDArray[Any]) -> float:
    """Return the rounding unit of the numbers that H was stored in, at least that of float64."""
    return max(EPS, float(np.finfo(H.dtype).eps)) if H.dtype.kind == "f" else EPS


def require_symmetric(H: Matrix, *, eps: float = EPS, name: str = "H") -> None:
    """
    Raise ValueError where an entry of H differs from its mirror by more than sqrt(eps) of its own scale.

    The scale of (i, j) is sqrt(|H_ii H_jj|) or the entry itself, the larger: it does not depend on the units of the
    variables, and what a difference of gradients leaves behind passes. What is rounding beside the largest entry
    passes too. The message says the largest asymmetry. Tiles that mirror each other exactly, the rule, cost one
    comparison. NaN and inf are refused as well.

    Parameters
    ----------
    eps
        Rounding unit of the entries.
    name
        What the message calls H.
    """
    n = len(H)
    if not np.isfinite(quadratic_form(H, np.ones(n))):
        require_finite(name, H)
    scale = np.sqrt(np.abs(np.diagonal(H)).astype(np.float64))
    worst, where, rounding = 0.0, (0, 0), -1.0
    for first, left in ((down, across) for down in range(0, n, TILE) for across in range(0, down + 1, TILE)):
        rows, columns = slice(first, first + TILE), slice(left, left + TILE)
        lower, upper = H[rows, columns].astype(np.float64), H[columns, rows].T.astype(np.float64)
        if np.array_equal(lower, upper):
            continue
        require_finite(name, upper)
        if rounding < 0.0:
            rounding = 4.0 * eps * max(float(H.max()), -float(H.min()))
        difference = np.abs(lower - upper)
        size = np.maximum(np.maximum(np.abs(lower), np.abs(upper)), scale[rows, None] * scale[columns])
        difference[difference <= np.maximum(np.sqrt(eps) * size, rounding)] = 0.0
        i, j = divmod(int(np.argmax(difference)), difference.shape[1])
        if difference[i, j] > worst:
            worst, where = float(difference[i, j]), (max(first + i, left + j), min(first + i, left + j))
    if worst > 0.0:
        i, j = where
        raise ValueError(
            f"{name} must be symmetric, but {name}[{i}, {j}] = {H[i, j]:.9g} and {name}[{j}, {i}] = {H[j, i]:.9g} "
            f"differ by {worst:.3g}"
        )


def _arguments(H: ArrayLike, g: ArrayLike) -> tuple[Matrix, Floats]:
    """Return H as the kernels read it and g (n,) or (k, n) in C order, of shapes that fit."""
    matrix = _readable(_real("H", H))
    G: Floats = np.require(_real("g", g), np.float64, ["C", "A"])
    if matrix.ndim == 1:
        n = (isqrt(8 * matrix.size + 1) - 1) // 2
        if n * (n + 1) // 2 != matrix.size:
            raise ValueError(f"H, a packed triangle, must have n (n + 1) / 2 entries, got {matrix.size}")
    elif matrix.ndim in (2, 3) and matrix.shape[-1] == matrix.shape[-2]:
        n = matrix.shape[-1]
    else:
        raise ValueError(f"H must be square matrices or a packed triangle, got shape {matrix.shape}")
    fits = G.shape == (len(matrix), n) if matrix.ndim == 3 else G.ndim in (1, 2) and G.shape[-1] == n
    if not fits:
        shapes = f"({len(matrix)}, {n})" if matrix.ndim == 3 else f"({n},) or (k, {n})"
        raise ValueError(f"g must have shape {shapes} to go with H of shape {matrix.shape}, got {G.shape}")
    return matrix, G


def _real(name: str, value: Any) -> NDArray[Any]:
    """Return value as a plain array of real numbers."""
    array = plain(name, value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    return array


def _readable(H: NDArray[Any]) -> Matrix:
    """Return H itself where the kernels can read it in place, else a float64 copy in C order."""
    H = np.require(H, H.dtype if H.dtype in (np.float64, np.float32) else np.float64, "A")
    width, n = H.itemsize, H.shape[-1] if H.ndim else 0
    unit, far = (width, n * width) if H.ndim < 2 else sorted(H.strides[-2:])
    rows_whole = unit == width and far >= n * width and far % width == 0
    if H.ndim == 1:
        rows_whole = H.strides[0] == width
    return H if n <= 1 or rows_whole else np.ascontiguousarray(H)


def _check_out(out: Any, shape: tuple[int, ...]) -> None:
    if not isinstance(out, np.ndarray) or isinstance(out, np.ma.MaskedArray) or out.dtype != np.float64:
        raise TypeError(f"out must be a plain array of float64, got {getattr(out, 'dtype', type(out))}")
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}, got {out.shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")


def _block_count(n: int) -> int:
    return -(-n // _quadform.BLOCK)


def _plain(H: Matrix, G: Floats, lower: bool, threads: int) -> Floats:
    k, n = G.shape
    values = np.empty(k)
    if H.ndim == 3:
        edges = np.linspace(0, k, min(TILES_PER_THREAD * threads, k) + 1).astype(int).tolist()
        tiles = [pair for pair in pairwise(edges) if pair[0] < pair[1]]
        _run(tiles, lambda first, last: _quadform.stack(H, G, lower, first, last, values), threads, k * n * n)
        return values
    if H.ndim == 2 and _quadform.better_by_blas(k, n):
        return _by_blas(H, G, lower)
    for first in range(0, k, _quadform.VECTORS):
        some = G[first : first + _quadform.VECTORS]
        block = np.empty((len(some), _block_count(n), 2))

        def tile(start: int, stop: int, some: Floats = some, block: Floats = block) -> None:
            _quadform.blocks(H, some, lower, start, stop, block)

        _run(_triangle_tiles(n, threads), tile, threads, len(some) * n * n)
        values[first : first + len(some)] = [_quadform.sum_blocks(sums)[0] for sums in block]
    return values


def _compensated(H: Matrix, G: Floats, lower: bool, threads: int) -> Floats:
    n = G.shape[1]
    values = np.empty(len(G))
    for i, g in enumerate(G):
        one = H[i] if H.ndim == 3 else H
        block = np.empty((_block_count(n), 2))

        def tile(start: int, stop: int, one: Matrix = one, g: Floats = g, block: Floats = block) -> None:
            _quadform.blocks_compensated(one, g, lower, start, stop, block)

        _run(_triangle_tiles(n, threads), tile, threads, 4 * n * n)
        values[i] = _quadform.sum_twofold(block)
        if not np.isfinite(values[i]):
            values[i] = _quadform.form(one, g, lower, True)
    return values


def _by_blas(H: Matrix, G: Floats, lower: bool) -> Floats:
    """Multiply one triangle of H by all vectors at once."""
    whole = H.dtype == np.float64 and (H.flags.c_contiguous or H.flags.f_contiguous)
    if whole and G.size * len(H) >= TRIANGULAR_FROM:
        values = _by_triangular_product(H, G, lower)
        if values is not None and np.isfinite(values).all():
            return values
    return _by_halves(H, G, lower)


def _by_triangular_product(H: Matrix, G: Floats, lower: bool) -> Floats | None:
    """Return 2 gᵀTg - Σ H_ii g_i², T the triangle with its diagonal; None without SciPy."""
    try:
        from scipy.linalg.blas import dtrmm
    except ImportError:
        return None
    triangle, below = (H.T, not lower) if H.flags.c_contiguous else (H, lower)
    TG = dtrmm(1.0, triangle, G.T, lower=below)
    values: Floats = 2.0 * np.einsum("ki,ki->k", TG.T, G) - (G * G) @ np.diagonal(H)
    return values


def _by_halves(H: Matrix, G: Floats, lower: bool) -> Floats:
    """Cut the triangle into two halves and the square between them, which goes through NumPy's matrix product."""
    n = G.shape[1]
    if n <= BLAS_LEAF:
        leaf: Floats = _quadform.form(H, np.ascontiguousarray(G), lower)
        return leaf
    cut = max(1, n // 2 // BLAS_LEAF) * BLAS_LEAF
    values = _by_halves(H[:cut, :cut], G[:, :cut], lower) + _by_halves(H[cut:, cut:], G[:, cut:], lower)
    for first in range(cut, n, BLAS_ROWS):
        rows = slice(first, first + BLAS_ROWS)
        panel = (H[rows, :cut].T if lower else H[:cut, rows]).astype(np.float64, copy=False)
        values += 2.0 * np.einsum("ki,ki->k", G[:, :cut] @ panel, G[:, rows])
    return values


def _triangle_tiles(n: int, threads: int) -> list[tuple[int, int]]:
    """Cut the blocks of rows of a triangle into ranges of about equal area, the last rows first."""
    blocks = _block_count(n)
    count = min(TILES_PER_THREAD * threads, blocks) if threads > 1 else 1
    edges = sorted({round(blocks * (part / count) ** 0.5) for part in range(count + 1)})
    return list(pairwise(edges))[::-1]


def _run(tiles: list[tuple[int, int]], task: Tile, threads: int, multiplications: int) -> None:
    """Call task(first, last) on every tile; the caller and threads - 1 others each take the next one left."""
    left = deque(tiles)
    errors: list[BaseException] = []

    def work() -> None:
        while True:
            try:
                first, last = left.popleft()
            except IndexError:
                return
            task(first, last)

    def help_out(busy: LockType) -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            busy.release()

    count = min(threads, len(tiles)) if multiplications >= THREADED_FROM else 1
    others: list[LockType] = []
    try:
        for _ in range(count - 1):
            busy = allocate_lock()
            busy.acquire()
            try:
                start_new_thread(help_out, (busy,))  # threading.Thread would wait for it: 0.1 ms of 1 ms at n = 4096
            except RuntimeError:  # no more threads to be had: those that are there do it all
                break
            others.append(busy)
        work()
    finally:
        left.clear()
        for busy in others:
            busy.acquire()
    if errors:
        raise errors[0]
