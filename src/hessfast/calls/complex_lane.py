"""Functions of complex points: a Python function of one point, or of points as columns.

Machine code takes doubles and is refused; so is what returns real numbers for complex points, casts them or raises.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import numpy as np
from numpy.exceptions import ComplexWarning
from numpy.typing import NDArray

from hessfast.arguments import not_analytic, unmasked
from hessfast.arithmetic import aside, callers_state
from hessfast.calls.batched_lane import BatchedEvaluator
from hessfast.calls.evaluator import Confines, Evaluator, element, note
from hessfast.calls.functions import BatchedFunction, PythonFunction
from hessfast.calls.points import Points, Purpose, Rows
from hessfast.calls.python_lane import PythonEvaluator

_BLOCK_BYTES = 262_144  # as for the real batched lane


class ComplexEvaluator:
    """One function at one x, evaluated at complex points.

    Attributes
    ----------
    x : ndarray, shape (n,)
    name : str
        "fun" or "jac".
    gradient : bool
        Whether a value is (n,) rather than a number.
    lane : str
        "batched" or "python".
    nfev : int
        Calls so far; a batched call counts once a column.
    """

    def __init__(
        self,
        function: PythonFunction | BatchedFunction,
        x: NDArray[np.float64],
        *,
        name: str,
        wall: tuple[type[BaseException], ...] = (),
    ) -> None:
        self._function = function
        self._wall = wall
        self.x, self.n, self.name = x, x.size, name
        self.gradient = name == "jac"
        self.lane = "batched" if isinstance(function, BatchedFunction) else "python"
        self.confines: Confines | None = None
        self.nfev = 0
        self.spent: Counter[Purpose] = Counter()
        self._takes_complex = False

    def answer(self, points: Points) -> NDArray[Any]:
        """Return f at the points; the first complex ones show whether it takes them at all."""
        if not isinstance(points, Rows):
            raise TypeError(f"points: {type(points).__name__} are not complex")
        if points.curious:
            return self.probe(points.X)
        first = not self._takes_complex and np.iscomplexobj(points.X)
        self._takes_complex |= first
        with strictly(self.name) if first else nullcontext():
            return self.at(points.X)

    def at(self, points: NDArray[Any]) -> NDArray[Any]:
        """Evaluate the rows of points, complex or real: (p,), for gradients (p, n), of the same kind of numbers.

        Where the real part lies outside the confines, f is not called and the value is nan.
        """
        if self.confines is not None:
            inside = self.confines.hold_rows(points.real)
            if not inside.all():
                values = self._nowhere(points)
                values[inside] = self._at(points[inside])
                return values
        return self._at(points)

    def _nowhere(self, points: NDArray[Any]) -> NDArray[Any]:
        """Return the values of points outside: what is nan is so in both parts, for either may be read alone."""
        shape = (len(points), self.n) if self.gradient else (len(points),)
        return np.full(shape, complex(np.nan, np.nan) if np.iscomplexobj(points) else np.nan)

    def probe(self, points: NDArray[Any]) -> NDArray[Any]:
        """Evaluate the rows of points, far from x and out of curiosity: what the function raises counts as nan."""
        with aside():
            try:
                return self.at(points)
            except Exception:
                return self._nowhere(points)

    def _at(self, points: NDArray[Any]) -> NDArray[Any]:
        values = self._nowhere(points)
        if self.lane == "python":
            shape = (self.n,) if self.gradient else ()
            for row, point in enumerate(points):
                try:
                    values[row] = self._checked(self._call(point.copy(), 1), shape, point.dtype)
                except self._wall:
                    continue
            return values
        width = max(1, _BLOCK_BYTES // (points.itemsize * self.n))
        for first in range(0, len(points), width):
            columns = np.ascontiguousarray(points[first : first + width].T)
            try:
                values[first : first + width] = self._columns(columns)
            except self._wall:
                for row in range(first, min(first + width, len(points))):
                    with suppress(*self._wall):
                        values[row] = self._columns(points[row][:, None].copy())[0]
        return values

    def _columns(self, columns: NDArray[Any]) -> NDArray[Any]:
        count = columns.shape[1]
        shape = (self.n, count) if self.gradient else (count,)
        return self._checked(self._call(columns, count), shape, columns.dtype).T

    def _call(self, points: NDArray[Any], count: int) -> Any:
        function = self._function
        ordinal, first = self.nfev, points.reshape(self.n, -1)[:, 0].copy()
        self.nfev += count
        try:
            with callers_state(under="ignore"):  # imaginary parts of 1e-200 are our choice
                result = function.call(points, *function.args, **function.kwargs)
        except BaseException as error:
            if not isinstance(error, self._wall):
                more = "" if self.lane == "python" else f"in a block of {count} points that begins there"
                note(error, ordinal, first, more)
            raise
        return element(result, function.part)

    def _checked(self, result: Any, shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
        value = np.asarray(unmasked(result))
        if value.size == 1 and shape in ((), (1,)) and self.lane == "python":
            value = value.reshape(shape)
        if value.shape != shape:
            raise ValueError(f"{self.name}: shape {shape} expected, got {value.shape}")
        if kind.kind == "c" and value.dtype.kind != "c":
            raise not_analytic(self.name, f"returned {value.dtype} at a complex point")
        if value.dtype.kind not in "cfiub":
            raise TypeError(f"{self.name}: must return numbers, returned {value.dtype}")
        if kind.kind == "c":
            return np.where(np.isfinite(value), value, complex(np.nan, np.nan))
        if value.dtype.kind == "c":
            if value.imag.any():
                raise TypeError(f"{self.name}: must return real numbers at real points, returned {value.dtype}")
            return value.real
        return value


@contextmanager
def strictly(name: str) -> Iterator[None]:
    """Context of the first complex points: what the function cannot do with them comes out as a refusal."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ComplexWarning)
        try:
            yield
        except ComplexWarning as cause:
            raise not_analytic(name, "discards imaginary parts") from cause
        except (TypeError, AttributeError) as cause:
            raise not_analytic(name, f"raised {type(cause).__name__} at one: {cause}") from cause


def complex_twin(evaluator: Evaluator, name: str) -> ComplexEvaluator:
    """Return the evaluator of the same function at the same x for complex points."""
    if not isinstance(evaluator, (PythonEvaluator, BatchedEvaluator)):
        raise TypeError(
            f'method: "cs" evaluates {name} at complex points, and {name} is native; pass a Python function'
        )
    twin = ComplexEvaluator(evaluator.function, evaluator.x, name=name, wall=evaluator.wall)
    twin.confines = evaluator.confines
    return twin
