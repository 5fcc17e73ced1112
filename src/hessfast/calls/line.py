"""f or its gradient along lines x + t v, one point at a time, from one reused array."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from hessfast.algebra import vectors
from hessfast.algebra.vectors import Vector
from hessfast.arithmetic import aside
from hessfast.calls.evaluator import Evaluator
from hessfast.calls.points import OnLine, Points, Purpose, Rows

Floats = npt.NDArray[np.float64]


def _lone_references() -> int:
    """References that `sys.getrefcount` reports for an object that only a local variable holds."""
    lone = np.empty(0)
    return sys.getrefcount(lone)


_LONE = _lone_references()

_PLAINLY = nullcontext()


def _shape_kept(array: Vector, n: int) -> bool:
    flags = array.flags
    return array.shape == (n,) and array.dtype == np.float64 and flags.c_contiguous and flags.writeable


def _own(value: Vector, references: int) -> bool:
    """Whether nobody else can write to the memory of an array, which has so many references.

    It has memory of its own, or is the one view of an array that has, or of memory that numba counts references to.
    """
    base = value.base
    if base is None:
        sole = value.flags.owndata
    elif isinstance(base, np.ndarray):
        sole = base.flags.owndata and sys.getrefcount(base) <= _LONE + 1
    else:
        sole = (
            type(base).__module__ == "_nrt_python"
            and getattr(base, "refcount", 0) == 1
            and getattr(base, "parent", value) is None
            and sys.getrefcount(base) <= _LONE + 1
        )
    return bool(sole and references <= _LONE and value.flags.writeable and value.flags.c_contiguous)


class Neighbourhood:
    """What evaluates points on lines through any x.

    Beside what f itself allocates it holds one vector, the point; x and the directions are read in place, in float64
    or float32 storage, and may be memory maps.

    Parameters
    ----------
    evaluator : Evaluator
        f or its gradient.
    threads : int
        Threads for passes over vectors; f is called from the calling thread alone.
    """

    def __init__(self, evaluator: Evaluator, threads: int = 1) -> None:
        self.evaluator = evaluator
        self.threads = threads
        self.spent: Counter[Purpose] = Counter()
        self._point: Floats = np.empty(0)

    @property
    def nfev(self) -> int:
        """Calls so far, of f or its gradient."""
        return self.evaluator.nfev

    def answer(self, points: Points) -> Any:
        """Return f at the points; a gradient is float64 or float32, contiguous, and the caller's own."""
        if isinstance(points, Rows) and not points.curious:
            return self.evaluator.dense(points.X)
        if not isinstance(points, OnLine):
            raise TypeError(f"points: {type(points).__name__} are not on a line")
        evaluator, x, v, curious = self.evaluator, points.x, points.v, points.curious
        gradient, values = evaluator.gradient, []
        with aside() if curious else _PLAINLY:
            for t in points.t:
                point = self.scratch(x.size)  # memory that no earlier call of f kept
                vectors.line_point(x, v, t, point, self.threads)
                try:
                    value = evaluator.at(point)
                except Exception:
                    if not curious:
                        raise
                    value = np.full(evaluator.shape, np.nan)[()]
                del point
                if gradient:
                    # A function that fills one memory over and over returns it each time: such a gradient is copied.
                    references = sys.getrefcount(value)
                    value = value if _own(value, references) else value.copy()
                values.append(value)
                del value
        return values

    def scratch(self, n: int) -> Floats:
        """Return n numbers of memory, free until f is called next."""
        # Two references: the attribute and getrefcount's own argument.
        if sys.getrefcount(self._point) > 2 or not _shape_kept(self._point, n):
            self._point = np.empty(n)
        return self._point
