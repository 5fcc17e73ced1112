"""The symmetric matrix of a quadratic model, whatever holds it: array, stack, packed triangle, operator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hessfast.algebra.quadratic import form_and_bound, require_symmetric, storage_eps
from hessfast.arguments import plain, require_finite
from hessfast.arithmetic import callers_state
from hessfast.scale import EPS

__all__ = ["SymmetricMatrix", "as_symmetric"]

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class SymmetricMatrix(Protocol):
    """H as the Taylor model meets it."""

    n: int

    def quadratic_form(self, G: Floats) -> tuple[Floats, Floats]:
        """Return gᵀHg and the rounding bound of its sum for each row g of G (k, n)."""

    def product(self, V: Floats) -> Floats:
        """Return H V for columns V (n, m)."""

    def solve(self, b: Floats) -> Floats:
        """Return H⁻¹ b; LinAlgError where H is not positive definite."""


def as_symmetric(H: object, n: int, *, batch: int | None = None, check: bool = False) -> SymmetricMatrix:
    """
    Wrap H once, by what it is.

    Parameters
    ----------
    H
        (n, n) array or memmap, (b, n, n) stack where `batch` is b, packed lower triangle of n(n+1)/2 entries
        row by row, operator with `shape` and `matvec` or `matmat`, sparse matrix, or callable v -> Hv.
    n
        Number of variables.
    check
        Refuse entries that are not finite, and a dense or sparse H that is not symmetric. Otherwise the lower triangle
        of a dense H alone counts.
    """
    if hasattr(H, "matvec") or hasattr(H, "matmat"):
        _require_shape(H, n)
        return _Product(_operator_product(H), n)
    if hasattr(H, "tocsr"):
        _require_shape(H, n)
        if check:
            _require_symmetric_sparse(H)
        return _Product(lambda V: H @ V, n)  # type: ignore[operator]
    if callable(H):
        return _Product(_columnwise(H), n)
    dense = plain("H", H)
    if dense.dtype.kind not in "fiub":
        raise TypeError(f"H must be real, but its dtype is {dense.dtype}")
    eps = storage_eps(dense)
    if dense.dtype not in (np.float64, np.float32):
        dense = dense.astype(np.float64)
    if dense.ndim == 1 and dense.size == n * (n + 1) // 2:
        if check:
            require_finite("H", dense)
        return _Packed(dense, n)
    if batch is not None and dense.shape == (batch, n, n):
        return _Stack(dense, n)
    if dense.shape != (n, n):
        raise ValueError(
            f"H must have shape ({n}, {n}) to go with g, or be its packed triangle, but it has {dense.shape}"
        )
    if check:
        require_symmetric(dense, eps=eps)
    return _Dense(dense, n)


class _Dense:
    """H (n, n); its lower triangle alone enters gᵀHg."""

    def __init__(self, H: Array, n: int) -> None:
        self.H, self.n = H, n

    def quadratic_form(self, G: Floats) -> tuple[Floats, Floats]:
        return form_and_bound(self.H, G)

    def product(self, V: Floats) -> Floats:
        return np.asarray(self.H @ V, dtype=np.float64)

    def solve(self, b: Floats) -> Floats:
        return _solve_scaled(np.array(self.H, dtype=np.float64), b)


class _Stack:
    """One H (n, n) for each gradient: (b, n, n)."""

    def __init__(self, H: Array, n: int) -> None:
        self.H, self.n = H, n

    def quadratic_form(self, G: Floats) -> tuple[Floats, Floats]:
        return form_and_bound(self.H, G)

    def product(self, V: Floats) -> Floats:
        raise TypeError("a stack of matrices has no single product")

    def solve(self, b: Floats) -> Floats:
        raise TypeError("a stack of matrices has no single inverse")


class _Packed:
    """The lower triangle row by row: H_ij at i (i + 1) / 2 + j, j <= i; half the memory, memmap welcome."""

    def __init__(self, packed: Array, n: int) -> None:
        self.packed, self.n = packed, n

    def _row(self, i: int) -> Array:
        first = i * (i + 1) // 2
        return self.packed[first : first + i + 1]

    def quadratic_form(self, G: Floats) -> tuple[Floats, Floats]:
        return form_and_bound(self.packed, G)

    def product(self, V: Floats) -> Floats:
        out = np.zeros(V.shape)
        for i in range(self.n):
            row = self._row(i).astype(np.float64, copy=False)
            out[i] += row @ V[: i + 1]
            out[:i] += np.multiply.outer(row[:i], V[i])
        return out

    def solve(self, b: Floats) -> Floats:
        full = np.zeros((self.n, self.n))
        full[np.tril_indices(self.n)] = self.packed
        full += np.tril(full, -1).T
        return _solve_scaled(full, b)


class _Product:
    """H known by its products alone."""

    def __init__(self, product: Callable[[Floats], Any], n: int) -> None:
        self._product, self.n = product, n

    def product(self, V: Floats) -> Floats:
        with callers_state():
            out = plain("H", self._product(V))
        if out.shape != V.shape or out.dtype.kind not in "fiu":
            raise ValueError(f"H must map real {V.shape} to real {V.shape}, but gave {out.dtype} {out.shape}")
        if not np.isfinite(out).all():
            raise ValueError("H must give finite products, but H v holds NaN or inf")
        return out.astype(np.float64, copy=False)

    def quadratic_form(self, G: Floats) -> tuple[Floats, Floats]:
        HG = self.product(G[0]) if len(G) == 1 else self.product(np.ascontiguousarray(G.T)).T
        with np.errstate(all="ignore"):
            # What is summed here is gᵀ(Hg): the operator's own rounding stays unknown to us.
            summands = G * HG
            return summands.sum(axis=1), (self.n + 2) * EPS * np.abs(summands).sum(axis=1)

    def solve(self, b: Floats) -> Floats:
        return _conjugate_gradients(self.product, b)


def _operator_product(H: Any) -> Callable[[Floats], Any]:
    if not hasattr(H, "matmat"):
        return _columnwise(H.matvec)
    if not hasattr(H, "matvec"):
        return lambda V: H.matmat(V.reshape(len(V), -1)).reshape(V.shape)
    return lambda V: H.matvec(V) if V.ndim == 1 else H.matmat(V)


def _columnwise(product: Any) -> Callable[[Floats], Any]:
    """Serve columns by a product of single vectors; it may write into its argument and return one array each time."""

    def columns(V: Floats) -> Any:
        if V.ndim == 1:
            return product(V.copy())
        return np.stack([np.array(product(v.copy())) for v in V.T], axis=1)

    return columns


def _require_symmetric_sparse(H: Any) -> None:
    """Raise ValueError as `require_symmetric` does; what is compared are the entries that differ from their mirror."""
    values = H.tocsr().data
    require_finite("H", values)
    difference = (H - H.T).tocoo()
    if not difference.nnz:
        return
    i, j = difference.coords if hasattr(difference, "coords") else (difference.row, difference.col)
    eps, scale = storage_eps(values), np.sqrt(np.abs(H.diagonal()).astype(np.float64))
    own = np.asarray((abs(H) + abs(H.T)).tocsr()[i, j]).ravel()
    far = np.abs(difference.data) > np.maximum(
        np.sqrt(eps) * np.maximum(own, scale[i] * scale[j]), 4.0 * eps * float(np.abs(values).max())
    )
    if far.any():
        at = int(np.argmax(np.where(far, np.abs(difference.data), -1.0)))
        raise ValueError(
            f"H must be symmetric, but H[{i[at]}, {j[at]}] and H[{j[at]}, {i[at]}] differ by "
            f"{abs(difference.data[at]):.3g}"
        )


def _require_shape(H: Any, n: int) -> None:
    if tuple(H.shape) != (n, n):
        raise ValueError(f"H must have shape ({n}, {n}) to go with g, but it has {tuple(H.shape)}")


def _solve_scaled(H: Floats, b: Floats) -> Floats:
    """Solve after scaling H to a unit diagonal, which takes the units of the variables out."""
    diagonal = np.diagonal(H)
    if not (diagonal > 0.0).all():
        i = int(np.argmin(diagonal))
        raise np.linalg.LinAlgError(f"H is not positive definite: H[{i}, {i}] = {diagonal[i]:.6g}")
    unit = 1.0 / np.sqrt(diagonal)
    scaled = H * unit * unit[:, None]
    try:
        np.linalg.cholesky(scaled)
    except np.linalg.LinAlgError:
        lowest = float(np.linalg.eigvalsh(scaled)[0])
        raise np.linalg.LinAlgError(
            f"H is not positive definite: scaled to a unit diagonal its lowest eigenvalue is {lowest:.6g}"
        ) from None
    return np.asarray(unit * np.linalg.solve(scaled, unit * b))


def _conjugate_gradients(product: Callable[[Floats], Floats], b: Floats, rtol: float = 1e-10) -> Floats:
    """Solve H x = b to a residual of rtol |b| by conjugate gradients, within 10 n products."""
    x, r = np.zeros(b.shape), b.copy()
    p, rr = r.copy(), float(r @ r)
    goal = rtol * rtol * rr
    for _ in range(10 * b.size):
        if rr <= goal:
            return x
        Hp = product(p)
        pHp = float(p @ Hp)
        if not pHp > 0.0:
            quotient = pHp / float(p @ p)
            raise np.linalg.LinAlgError(
                f"H is not positive definite: its Rayleigh quotient along one direction is {quotient:.6g}"
            )
        alpha = rr / pHp
        x += alpha * p
        r -= alpha * Hp
        rr, previous = float(r @ r), rr
        p *= rr / previous
        p += r
    if rr <= goal:
        return x
    residual = math.sqrt(rr / float(b @ b))
    raise np.linalg.LinAlgError(f"conjugate gradients left a relative residual of {residual:.2g}")
