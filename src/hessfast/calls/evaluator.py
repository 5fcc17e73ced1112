"""Lanes: f is called here and nowhere else.

An Evaluator binds one function to one x and evaluates points in one of two forms: x with at most two coordinates
displaced (`displaced`), or any point (`dense`). It counts every call truly, in `nfev`. Where it is confined to a box,
no point outside reaches f, whoever asks for it: its value is nan, a wall.
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hessfast.arguments import unmasked
from hessfast.arithmetic import callers_state
from hessfast.calls import _core, njit
from hessfast.calls.functions import (
    BatchedFunction,
    Function,
    NativeFunction,
    PythonFunction,
    data_address,
    real_number,
)

_SLICE_SECONDS = 5e-3  # between two looks at the signals in a native sweep
_TILE_POINTS = 8_192  # where f is very cheap: 32 bytes a point stay in the L2 cache
_NATIVE_TILE_POINTS = 4 * _TILE_POINTS  # in C the points are not written down: 8 bytes each
_BLOCK_BYTES = 262_144  # a batched block; f's own temporaries of that size still fit the L2 cache


_ROWS_CHECKED = 1 << 16  # coordinates at once: the answers take no memory to speak of beside a long vector


class Confines:
    """The box that no point leaves.

    Parameters
    ----------
    lower, upper : ndarray, shape (n,)
        Bounds, infinite where there are none.
    """

    def __init__(self, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> None:
        self.lower, self.upper = lower, upper

    def hold(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each displaced point, shape (points, 2), lies inside, where x itself does."""
        inside = ((self.lower[index] <= value) & (value <= self.upper[index])) | (index < 0)
        return np.asarray(inside.all(axis=1))

    def hold_nodes(self, axes: NDArray[np.int32], nodes: NDArray[np.float64]) -> bool:
        """Whether all nodes (m, k) of the axes (m,) lie inside."""
        lower, upper = self.lower[axes, None], self.upper[axes, None]
        return bool(((lower <= nodes) & (nodes <= upper)).all())

    def hold_rows(self, X: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each row of X, shape (points, n), lies inside."""
        inside = np.ones(len(X), dtype=np.bool_)
        for first in range(0, self.lower.size, _ROWS_CHECKED):
            part = slice(first, first + _ROWS_CHECKED)
            columns = X[:, part]
            inside &= ((self.lower[part] <= columns) & (columns <= self.upper[part])).all(axis=1)
        return inside


class Evaluator(ABC):
    """One function at one x.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The point from which others are displaced.
    gradient : bool
        Whether the function gives its gradient: values are then (points, n), otherwise (points,).
    nfev : int
        Calls so far (for gradients: of the gradient); a batched call counts once a column.
    seconds : float
        Time of one evaluation as last measured.
    tile_points : int
        Points of a tile at most.
    stop : bool
        Set from another thread, ends a native run at its next slice; the values are then void.
    """

    lane = ""
    tile_points = _TILE_POINTS
    function: Any
    _state: Callable[[], AbstractContextManager[None]] = callers_state

    def __init__(self, x: NDArray[np.float64], wall: tuple[type[BaseException], ...], gradient: bool) -> None:
        self.x = x
        self.n = x.size
        self.wall = wall
        self.gradient = gradient
        self._confines: Confines | None = None
        self._x_inside = True
        self.nfev = 0
        self.seconds = 0.0
        self.stop = False
        self._index = np.empty((0, 2), dtype=np.int32)
        self._value = np.empty((0, 2))
        self._nodes_inside: NDArray[np.float64] | None = None

    def confine(self, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> None:
        """Let no point outside lower and upper, shape (n,), reach f; where x lies outside, no point beside it does."""
        self.confines = Confines(lower, upper)

    @property
    def confines(self) -> Confines | None:
        """The box that no point leaves, None where there is none."""
        return self._confines

    @confines.setter
    def confines(self, box: Confines | None) -> None:
        self._confines = box
        self._x_inside = box is None or bool(box.hold_rows(self.x[None, :])[0])
        self._nodes_inside = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return (self.n,) if self.gradient else ()

    def displaced(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate x with x[index[p, 0]] = value[p, 0] and x[index[p, 1]] = value[p, 1]; index -1 displaces nothing.

        Parameters
        ----------
        index, value : ndarray, shape (points, 2)

        Returns
        -------
        ndarray, shape (points,) or (points, n)
        """
        if self.confines is not None:
            inside = self.confines.hold(index, value) & self._x_inside
            if not inside.all():
                return self._where(inside, lambda: self._timed(self._displaced, index[inside], value[inside]))
        return self._timed(self._displaced, index, value)

    def dense(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate the rows of X, shape (points, n)."""
        X = np.ascontiguousarray(X)
        if self.confines is not None:
            inside = self.confines.hold_rows(X)
            if not inside.all():
                return self._where(inside, lambda: self._timed(self._dense, X[inside]))
        return self._timed(self._dense, X)

    def _timed(self, evaluate: Callable[..., NDArray[np.float64]], *points: NDArray[Any]) -> NDArray[np.float64]:
        start = time.perf_counter()
        with self._state():
            values = evaluate(*points)
        self.seconds = (time.perf_counter() - start) / max(1, len(values))
        return values

    def _where(self, inside: NDArray[np.bool_], evaluate: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
        """Evaluate the points inside; nan at the others."""
        values = self._empty(inside.size)
        values[...] = np.nan
        if inside.any():
            values[inside] = evaluate()
        return values

    def points_within(self, seconds: float) -> int:
        """How many points make a tile of so many seconds, by the last measurement; at most what the caches hold."""
        return min(self.tile_points, int(seconds / max(self.seconds, 1e-9)))

    def buffers(self, points: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return (index, value) for that many points, in memory reused from call to call."""
        if len(self._index) < points:
            self._index = np.empty((points, 2), dtype=np.int32)
            self._value = np.empty((points, 2))
        return self._index[:points], self._value[:points]

    def at(self, point: NDArray[np.float64]) -> Any:
        """Evaluate one point in the caller's own array, without copies: for vectors that fill the memory.

        Returns
        -------
        float or ndarray, shape (n,)
            A gradient may be float32 and may be f's own array, to be kept only where nobody else holds it. f may
            write into `point`, and may keep it.
        """
        if self.confines is not None and not self.confines.hold_rows(point[None, :])[0]:
            return np.full(self.shape, np.nan)[()]
        start = time.perf_counter()
        with self._state():
            value = self._at_point(point)
        self.seconds = time.perf_counter() - start
        return value

    def pairs(self, axes: NDArray[np.int32], nodes: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
        """Evaluate the points of pairs first .. last-1 of the strict lower triangle, in row order.

        Parameters
        ----------
        axes : ndarray, shape (n,)
            Coordinate that each axis is.
        nodes : ndarray, shape (n, m)
            Displaced coordinate of each axis at each node.

        Returns
        -------
        ndarray, shape ((last - first) * m,)
            Node fastest.
        """
        if self.confines is not None and nodes is not self._nodes_inside:  # the same for all tiles of a sweep
            if not (self._x_inside and self.confines.hold_nodes(axes, nodes)):
                index, value = self._pair_points(axes, nodes, first, last)
                return self.displaced(index, value)
            self._nodes_inside = nodes
        return self._pairs(axes, nodes, first, last)

    def _pairs(self, axes: NDArray[np.int32], nodes: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
        return self._timed(self._displaced, *self._pair_points(axes, nodes, first, last))

    def _pair_points(
        self, axes: NDArray[np.int32], nodes: NDArray[np.float64], first: int, last: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        index, value = self.buffers((last - first) * nodes.shape[1])
        _core.pair_points(axes, nodes, first, last, index, value)
        return index, value

    def fork(self) -> Evaluator:
        """Return an evaluator of the same function for one more worker, its count at zero."""
        made = make_evaluator(self.function, self.x, wall=self.wall, gradient=self.gradient)
        made.confines, made.seconds = self.confines, self.seconds
        return made

    @abstractmethod
    def _displaced(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.float64]: ...

    @abstractmethod
    def _dense(self, X: NDArray[np.float64]) -> NDArray[np.float64]: ...

    @abstractmethod
    def _at_point(self, point: NDArray[np.float64]) -> Any: ...

    def _empty(self, points: int) -> NDArray[np.float64]:
        return np.empty((points, *self.shape))

    def _point(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.float64]:
        point = self.x.copy()
        for coordinate, displaced in zip(index, value, strict=True):
            if coordinate >= 0:
                point[coordinate] = displaced
        return point


class NativeEvaluator(Evaluator):
    """Machine code called in a C loop without the GIL, in slices short enough for Ctrl-C to be answered."""

    lane = "native"
    tile_points = _NATIVE_TILE_POINTS
    _state = nullcontext  # machine code asks NumPy for no state

    def __init__(
        self,
        function: NativeFunction,
        x: NDArray[np.float64],
        wall: tuple[type[BaseException], ...],
        gradient: bool,
    ) -> None:
        super().__init__(x, wall, gradient)
        self.function = function
        self._width = self.n if gradient else 1
        self._slice = 1
        self._bind(function.refill)

    def _bind(self, refill: bool) -> None:
        function = self.function
        self._flag: NDArray[np.int64] | None = None
        data: int | NDArray[np.int64]
        kept: object
        if function.callback is not None:
            kept = block = njit.block(function.callback, function.args)
            data = self._flag = block.memory
        else:
            data, kept = data_address(function.data)
        self._call = _core.NativeCall(function.address, function.form, data, refill, (function.keepalive, kept))
        self._refill = refill

    def fork(self) -> Evaluator:
        made = super().fork()
        assert isinstance(made, NativeEvaluator)
        if self._refill and not made._refill:
            made._bind(True)
        made._slice = self._slice
        return made

    def _pairs(self, axes: NDArray[np.int32], nodes: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
        """As `Evaluator._pairs`; in C the points need not be written down first."""
        m = nodes.shape[1]
        points = (last - first) * m
        if points > self._slice:
            return super()._pairs(axes, nodes, first, last)
        values = np.empty(points)
        start = time.perf_counter()
        calls, wrote = self._call.pairs(self.x, axes, nodes, first, last, self._work, values)
        if wrote:
            self.nfev += calls
            self._bind(refill=True)
            return super()._pairs(axes, nodes, first, last)
        self._account(0, points, calls, start)
        self.seconds = (time.perf_counter() - start) / points
        if calls < points:  # a point raised: the general way finds out what
            assert self._flag is not None
            self._flag[0] = 0
            whole = calls // m
            values[whole * m :] = super()._pairs(axes, nodes, first + whole, last)
        return values

    def _displaced(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.float64]:
        def call(first: int, last: int, out: NDArray[np.float64]) -> tuple[int, bool]:
            return self._call.displaced(self.x, index, value, first, last, self._work, out)

        return self._in_slices(len(index), call, lambda p: self._point(index[p], value[p]), refilled=False)

    def _dense(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        def call(first: int, last: int, out: NDArray[np.float64]) -> tuple[int, bool]:
            return self._call.rows(X, first, last, self._work, out)

        return self._in_slices(len(X), call, lambda p: X[p], refilled=True)

    def _in_slices(
        self,
        points: int,
        call: Callable[[int, int, NDArray[np.float64]], tuple[int, bool]],
        point: Callable[[int], NDArray[np.float64]],
        *,
        refilled: bool,
    ) -> NDArray[np.float64]:
        """Call slice by slice; `refilled` says that each point was a fresh copy, which no write spoils."""
        values = self._empty(points)
        flat = values.reshape(-1)
        done = 0
        while done < points and not self.stop:
            stop = min(points, done + self._slice)
            start = time.perf_counter()
            got, wrote = call(done, stop, flat)
            if wrote:
                self._bind(refill=True)
            if wrote and not refilled:  # the values are void
                self.nfev += got
                continue
            done = self._account(done, stop, got, start)
            if done < stop:
                values[done] = self._again(point(done))
                done += 1
        return values

    @cached_property
    def _work(self) -> NDArray[np.float64]:
        return np.empty(2 * self.n)

    def _at_point(self, point: NDArray[np.float64]) -> Any:
        out = np.empty(self._width)
        kept = point.copy() if self._refill and self._flag is not None else point
        self.nfev += 1
        if not self._call.at(point, out):
            return self._again(kept)
        return out if self.gradient else float(out[0])

    def _account(self, done: int, stop: int, got: int, start: float) -> int:
        """Count the calls, size the next slice, return how many values stand."""
        self.nfev += min(got + 1, stop - done)
        each = (time.perf_counter() - start) / max(1, got)
        self._slice = max(1, min(2 * self._slice if each > 1e-4 else 1_000_000, int(_SLICE_SECONDS / each)))
        return done + got

    def _again(self, point: NDArray[np.float64]) -> Any:
        """Call a numba function through Python where its compiled callback caught an exception."""
        function = self.function
        assert self._flag is not None
        assert function.callback is not None
        self._flag[0] = 0
        self.nfev += 1
        given = point.copy()
        try:
            result = njit.call(function.dispatcher, function.callback, self._flag, given)
        except self.wall:
            return np.nan
        except BaseException as error:
            note(error, self.nfev - 1, point)
            raise
        if function.part is not None:
            result = result[function.part]
        # A gradient may lie in the memory of the point given, which nobody keeps.
        return _real_gradient(result, (self.n,)).copy() if self.gradient else real_number(result)


class PythonEvaluator(Evaluator):
    """A Python function of one point."""

    lane = "python"

    def __init__(
        self,
        function: PythonFunction,
        x: NDArray[np.float64],
        wall: tuple[type[BaseException], ...],
        gradient: bool,
    ) -> None:
        super().__init__(x, wall, gradient)
        self.function = function
        part = function.part
        convert = real_number if part is None else lambda result: real_number(_element(result, part))
        self._call = _core.PythonCall(function.call, function.args, function.kwargs, convert, wall)

    def _displaced(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.float64]:
        values = self._empty(len(index))
        if self.gradient:
            for p in range(len(index)):
                point = self._point(index[p], value[p])
                values[p] = self._result(point.copy(), point)
            return values
        try:
            self._call.displaced(self.x, index, value, values)
        except BaseException as error:
            p = max(0, self._call.begun - 1)
            note(error, self.nfev + p, self._point(index[p], value[p]))
            raise
        finally:
            self.nfev += self._call.begun
        return values

    def _dense(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        values = self._empty(len(X))
        if self.gradient:
            for p, point in enumerate(X):
                values[p] = self._result(point.copy(), point)
            return values
        try:
            self._call.rows(X, values)
        except BaseException as error:
            p = max(0, self._call.begun - 1)
            note(error, self.nfev + p, X[p])
            raise
        finally:
            self.nfev += self._call.begun
        return values

    def _at_point(self, point: NDArray[np.float64]) -> Any:
        return self._result(point, point)

    def _result(self, given: NDArray[np.float64], point: NDArray[np.float64]) -> Any:
        function = self.function
        self.nfev += 1
        try:
            result = function.call(given, *function.args, **function.kwargs)
        except self.wall:
            return np.full(self.shape, np.nan)[()]
        except BaseException as error:
            note(error, self.nfev - 1, point)
            raise
        result = _element(result, function.part)
        return _real_gradient(result, (self.n,)) if self.gradient else real_number(result)


class BatchedEvaluator(Evaluator):
    """A Python function of points as columns, called in blocks."""

    lane = "batched"

    def __init__(
        self,
        function: BatchedFunction,
        x: NDArray[np.float64],
        wall: tuple[type[BaseException], ...],
        gradient: bool,
    ) -> None:
        super().__init__(x, wall, gradient)
        self.function = function
        # Measured: blocks beyond the L2 cache cost 3-7 times as much in f itself, tiny ones the price of a call.
        self.block = max(16, _BLOCK_BYTES // (8 * self.n))
        self._memory = np.empty(0)

    def points_within(self, seconds: float) -> int:
        return self.block

    def _displaced(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.float64]:
        def fill(block: NDArray[np.float64], first: int, last: int) -> None:
            _core.fill_block(self.x, index[first:last], value[first:last], block)

        return self._blocks(len(index), fill)

    def _dense(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        def fill(block: NDArray[np.float64], first: int, last: int) -> None:
            block[...] = X[first:last].T

        return self._blocks(len(X), fill)

    def _at_point(self, point: NDArray[np.float64]) -> Any:
        try:
            return self._at(point.reshape(self.n, 1))[0]
        except self.wall:
            return np.full(self.shape, np.nan)[()]

    def _blocks(self, points: int, fill: Any) -> NDArray[np.float64]:
        values = self._empty(points)
        for first in range(0, points, self.block):
            last = min(points, first + self.block)
            block = self._fresh_block(last - first)
            fill(block, first, last)
            try:
                values[first:last] = self._at(block)
            except self.wall:
                for p in range(first, last):  # which column it was is known only one by one
                    values[p] = self._alone(fill, p)
        return values

    def _alone(self, fill: Any, p: int) -> Any:
        block = self._fresh_block(1)
        fill(block, p, p + 1)
        try:
            return self._at(block)[0]
        except self.wall:
            return np.nan

    def _fresh_block(self, columns: int) -> NDArray[np.float64]:
        """Return an (n, columns) block in memory that no earlier call of f kept."""
        needed = self.n * columns
        # Two references: the attribute and getrefcount's own argument.
        if self._memory.size < needed or sys.getrefcount(self._memory) > 2 or not self._memory.flags.writeable:
            self._memory = np.empty(needed)
        return self._memory[:needed].reshape(self.n, columns)

    def _at(self, block: NDArray[np.float64]) -> NDArray[np.float64]:
        columns = block.shape[1]
        function = self.function
        first = block[:, 0].copy()
        ordinal = self.nfev
        self.nfev += columns
        try:
            result = function.call(block, *function.args, **function.kwargs)
        except BaseException as error:
            if not isinstance(error, self.wall):
                note(error, ordinal, first, f"in a block of {columns} points that begins there")
            raise
        result = _element(result, function.part)
        if self.gradient:
            return _real_gradient(result, (self.n, columns)).T
        return _real_array(result, (columns,), "fun", "vectorized: takes (n, m) and must return (m,)")


def make_evaluator(
    function: Function,
    x: NDArray[np.float64],
    *,
    wall: tuple[type[BaseException], ...] = (),
    gradient: bool = False,
) -> Evaluator:
    """Bind a function to x; exceptions named in wall count as NaN."""
    if isinstance(function, NativeFunction):
        return NativeEvaluator(function, x, wall, gradient)
    if isinstance(function, BatchedFunction):
        return BatchedEvaluator(function, x, wall, gradient)
    return PythonEvaluator(function, x, wall, gradient)


def note(error: BaseException, ordinal: int, point: NDArray[Any], more: str = "") -> None:
    """Say in a note where f raised; an exception that takes none, or a point that cannot be printed, goes without."""
    with suppress(Exception):
        coordinates = np.array2string(point, threshold=12, edgeitems=4, max_line_width=100_000)
        error.add_note(f"hessfast: raised at evaluation {ordinal}, x = {coordinates}")
        if more:
            error.add_note(f"hessfast: {more}")


def _element(result: Any, part: int | None) -> Any:
    if part is None:
        return result
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"jac: True means that fun returns (f, g); it returned {type(result).__name__}")
    return result[part]


def _real_gradient(result: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a gradient as it is where it is float64 or float32; of one variable a number will do."""
    single = getattr(result, "dtype", None) == np.float32
    if shape == (1,) and np.shape(result) == ():
        result = np.asarray(result).reshape(shape)
    return _real_array(result, shape, "jac", "must return the gradient", np.float32 if single else np.float64)


def _real_array(
    result: Any, shape: tuple[int, ...], name: str, promise: str, dtype: type[np.floating[Any]] = np.float64
) -> NDArray[Any]:
    array = np.asarray(unmasked(result))
    if array.shape != shape:
        raise ValueError(f"{name}: {promise}; shape {shape} expected, got {array.shape}")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: {promise}; real numbers expected, got dtype {array.dtype}")
    return array.astype(dtype, copy=False)
