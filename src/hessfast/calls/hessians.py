"""The user's own Hessian, as a matrix or as its product with a vector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hessfast.arguments import checked_real, plain
from hessfast.arithmetic import callers_state
from hessfast.calls.evaluator import note
from hessfast.calls.points import Points, Product, Purpose

Array = NDArray[np.float64]
Function = Callable[..., Any]


def called(function: Function, ordinal: int, x: Array, *further: Any, **named: Any) -> Any:
    """Return what the user's function for H, or Hv, returns at x; a note says where it raised."""
    try:
        with callers_state():
            return function(x.copy(), *further, **named)
    except BaseException as error:
        note(error, ordinal, x)
        raise


class GivenHessian:
    """What the user's functions say of H at a point.

    Attributes
    ----------
    nfev : int
        Calls so far.
    """

    def __init__(self, hess: Function | None, hessp: Function | None, args: tuple[Any, ...]) -> None:
        self._hess, self._hessp, self._args = hess, hessp, args
        self.nfev = 0
        self.spent: Counter[Purpose] = Counter()

    def answer(self, points: Points) -> NDArray[Any]:
        """Return the product that is asked for."""
        if not isinstance(points, Product):
            raise TypeError(f"points: {type(points).__name__} are not for a Hessian")
        return self.product(points.x, points.v)

    def product(self, x: Array, v: Array) -> NDArray[Any]:
        """Return H(x) v; the product itself where there is a function for it.

        Raises
        ------
        TypeError, ValueError
            What was returned is not real, or of another shape.
        """
        if self._hessp is not None:
            return _vector("hessp", self._call(self._hessp, x, v.copy()), x)
        assert self._hess is not None
        H = self._call(self._hess, x)
        H = H if hasattr(H, "shape") else plain("hess", H)
        if tuple(H.shape) != 2 * x.shape:
            raise ValueError(f"hess must return shape {2 * x.shape}, but it returned {tuple(H.shape)}")
        return _vector("hess", H @ v, x)

    def _call(self, function: Function, x: Array, *further: Array) -> Any:
        self.nfev += 1
        return called(function, self.nfev - 1, x, *further, *self._args)


def _vector(name: str, result: Any, x: Array) -> NDArray[Any]:
    vector = checked_real(result, name, finite=False)
    if vector.shape != x.shape:
        raise ValueError(f"{name} must return shape {x.shape}, but it returned {vector.shape}")
    return vector
