"""The neighbourhood of a point x: f or its gradient at x + t v, one point at a time, from one reused array."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hessfast import vectors
from hessfast.arrays import plain
from hessfast.functions import Function, NativeFunction, make_function
from hessfast.lanes import Evaluator, make_evaluator
from hessfast.vectors import Vector

Floats = npt.NDArray[np.float64]
Fun = Callable[..., Any] | NativeFunction
Jac = Callable[..., Any] | NativeFunction | bool | None


def _lone_references() -> int:
    """References that `sys.getrefcount` reports for an object that only a local variable holds."""
    lone = np.empty(0)
    return sys.getrefcount(lone)


_LONE = _lone_references()
_FRESH = np.empty(0)


def _shape_kept(array: Vector, n: int) -> bool:
    flags = array.flags
    return array.shape == (n,) and array.dtype == np.float64 and flags.c_contiguous and flags.writeable


class Neighbourhood:
    """What is seen around x.

    Beside what f itself allocates it holds one vector, the point; x and the directions are read in place, in float64
    or float32 storage, and may be memory maps.

    Parameters
    ----------
    evaluator : Evaluator
        f or its gradient.
    x : ndarray, shape (n,)
        As `vectors.as_vector` returns it.
    threads : int
        Threads for passes over vectors; f is called from the calling thread alone.
    """

    def __init__(self, evaluator: Evaluator, x: Vector, threads: int = 1) -> None:
        self.evaluator = evaluator
        self.x = x
        self.threads = threads
        self.function: Function | None = None
        self._foreign: Vector | None = None
        self._point: Floats = np.empty(0)

    def at(self, v: Vector, t: float) -> Any:
        """Return f at x + t v; a gradient is float64 or float32, contiguous, and the caller's own."""
        value = self.evaluator.at(self._displaced(v, t))
        if not self.evaluator.gradient:
            return value
        # A function that fills one array over and over returns it each time: such a gradient is copied.
        base = value.base
        shared = sys.getrefcount(value) > _LONE
        if isinstance(base, np.ndarray):
            shared = shared or not base.flags.owndata or sys.getrefcount(base) > _LONE + 1
        elif base is not None:
            shared = shared or self._reused(value)
        if shared or not value.flags.writeable or not value.flags.c_contiguous:
            value = value.copy()
        return value

    def _reused(self, value: Vector) -> bool:
        """Whether memory that is not NumPy's, such as numba's or a tensor's, may be the same each time.

        The first such gradient is copied and kept until the second comes: with that one beside it in memory, it is
        known whether there is new memory for each.
        """
        if self._foreign is None:
            self._foreign = value
            return True
        if self._foreign is not _FRESH and np.may_share_memory(self._foreign, value):
            return True
        self._foreign = _FRESH
        return False

    def unit(self, v: Vector) -> float:
        """Return the natural unit of t along v, a power of two; 0.0 where v = 0. Refuse what is not finite."""
        unit = vectors.line_unit(self.x, v, self.threads)
        if math.isnan(unit):
            refuse_infinite(v, "v")
            refuse_infinite(self.x, "x0")
        return unit

    def scratch(self) -> Floats:
        """Return n numbers of memory, free until f is called next."""
        # Two references: the attribute and getrefcount's own argument.
        if sys.getrefcount(self._point) > 2 or not _shape_kept(self._point, self.x.size):
            self._point = np.empty(self.x.size)
        return self._point

    def _displaced(self, v: Vector, t: float) -> Floats:
        """Write x + t v into memory that no earlier call of f kept."""
        point = self.scratch()
        vectors.line_point(self.x, v, t, point, self.threads)
        return point


def surround(
    fun: Fun | None,
    x0: npt.ArrayLike,
    *,
    jac: Jac,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None,
    vectorized: bool,
    workers: int | None,
) -> Neighbourhood:
    """Check the arguments that the matrix-free functions share; bind the gradient where there is one, else f.

    x0 is neither copied nor converted where it is a contiguous float64 or float32 array.
    """
    x = real_vector(x0, "x0")
    threads = 1 if workers is None else operator.index(workers)
    if threads < 1:
        raise ValueError(f"workers: must be at least 1, got {workers}")
    gradient = jac is not None and jac is not False
    obj, name = (jac, "jac") if gradient and jac is not True else (fun, "fun")
    if obj is None:
        raise TypeError("fun: None needs a callable jac")
    function = make_function(
        obj,
        name=name,
        args=args if isinstance(args, tuple) else (args,),
        kwargs=dict(kwargs or {}),
        vectorized=bool(vectorized),
        gradient=gradient,
        part=1 if jac is True else None,
    )
    # The evaluator reads its own x for displaced points alone, of which there are none here.
    around = Neighbourhood(make_evaluator(function, cast(Floats, x), gradient=gradient), x, threads)
    around.function = function
    return around


def real_vector(x: npt.ArrayLike, name: str, n: int | None = None) -> Vector:
    """Return a real, non-empty 1-D array in float64 or float32, itself where it is one; it may hold nan and inf."""
    array = plain(name, x)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: must be real numbers, got dtype {array.dtype}")
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name}: must be one-dimensional and not empty, got shape {array.shape}")
    if n is not None and array.size != n:
        raise ValueError(f"{name}: shape {(n,)} expected, got {array.shape}")
    return vectors.as_vector(array)


def checked_vector(x: npt.ArrayLike, name: str, n: int | None = None) -> Vector:
    """Return such an array, refused where it is not finite."""
    vector = real_vector(x, name, n)
    refuse_infinite(vector, name)
    return vector


def refuse_infinite(x: Vector, name: str) -> None:
    """Raise where a coordinate is not finite."""
    finite = np.isfinite(x)
    if not finite.all():
        raise ValueError(f"{name}: must be finite, {name}[{int(np.argmin(finite))}] is not")


def given_step(rel_step: float | None, abs_step: float | None) -> tuple[float | None, bool]:
    """Return the step that the caller gave, or None, and whether it is relative to the unit of the line."""
    if rel_step is None and abs_step is None:
        return None, False
    if rel_step is not None and abs_step is not None:
        raise ValueError("rel_step, abs_step: give one of them")
    name, step = ("abs_step", abs_step) if rel_step is None else ("rel_step", rel_step)
    number = np.asarray(step)
    if number.dtype.kind not in "fiu" or number.ndim != 0:
        raise TypeError(f"{name}: must be a real number, got {step!r}")
    if not np.isfinite(number) or number <= 0.0:
        raise ValueError(f"{name}: must be finite and positive, got {step!r}")
    return float(number), abs_step is None
