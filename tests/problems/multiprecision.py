"""Many-digit arithmetic behind NumPy's functions: the independent check of the exact derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

FUNCTIONS = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "sqrt": mpmath.sqrt,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tanh": mpmath.tanh,
    "arctan": mpmath.atan,
    "ndtr": mpmath.ncdf,
}
ARITHMETIC = {"add", "subtract", "multiply", "divide", "power", "matmul", "negative", "square"}


class Digits(NDArrayOperatorsMixin):
    """Array of mpmath numbers that NumPy's functions take."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array, dtype=object)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Digits:
        return Digits(self.array[index])

    def reshape(self, *shape: int) -> Digits:
        return Digits(self.array.reshape(*shape))

    def sum(self, axis: int | None = None, **_: Any) -> Digits:
        return Digits(self.array.sum(axis=axis))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = ufunc.__name__
        if method != "__call__" or kwargs or not (name in FUNCTIONS or name in ARITHMETIC):
            return NotImplemented
        arrays = [v.array if isinstance(v, Digits) else np.asarray(v).astype(object) for v in inputs]
        apply = np.frompyfunc(FUNCTIONS[name], 1, 1) if name in FUNCTIONS else ufunc
        return Digits(apply(*arrays))


def mixed_difference(fun: Callable[[Any], Any], x: np.ndarray, u: np.ndarray, v: np.ndarray) -> mpmath.mpf:
    """Return uᵀHv from values at x ± h u ± h v, h = 1e-20: error h² and |f| 10^(40 − digits)."""
    h = mpmath.mpf(10) ** -20
    point, u, v = (np.array([mpmath.mpf(float(e)) for e in a], dtype=object) for a in (x, u, v))

    def value(s: int, t: int) -> mpmath.mpf:
        result = fun(Digits(point + s * h * u + t * h * v))
        return result.array[()] if isinstance(result, Digits) else mpmath.mpf(float(result))

    return (value(1, 1) - value(1, -1) - value(-1, 1) + value(-1, -1)) / (4 * h**2)


def slope(fun: Callable[[Any], Any], x: np.ndarray, u: np.ndarray) -> mpmath.mpf:
    """Return uᵀ∇f from two values, h = 1e-20."""
    h = mpmath.mpf(10) ** -20
    point, u = (np.array([mpmath.mpf(float(e)) for e in a], dtype=object) for a in (x, u))
    ahead, behind = (fun(Digits(point + s * h * u)) for s in (1, -1))
    difference = ahead - behind
    if not isinstance(difference, Digits):  # fun is constant
        return mpmath.mpf(float(difference))
    return difference.array[()] / (2 * h)
