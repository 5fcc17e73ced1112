"""The lane of native callbacks: slices of a sweep in C, between two looks at the signals."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hessfast.calls import _calls, njit
from hessfast.calls.evaluator import TILE_POINTS, Evaluator, note, real_gradient
from hessfast.calls.foreign import NativeFunction, data_address
from hessfast.calls.functions import real_number

_SLICE_SECONDS = 5e-3  # between two looks at the signals in a native sweep

_NATIVE_TILE_POINTS = 4 * TILE_POINTS  # in C the points are not written down: 8 bytes each


class NativeEvaluator(Evaluator):
    """Machine code called in a C loop without the GIL, in slices short enough for Ctrl-C to be answered."""

    lane = "native"
    tile_points = _NATIVE_TILE_POINTS
    state = nullcontext  # machine code asks NumPy for no state

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
        self._call = _calls.NativeCall(function.address, function.form, data, refill, (function.keepalive, kept))
        self._refill = refill

    def fork(self) -> Evaluator:
        made = super().fork()
        assert isinstance(made, NativeEvaluator)
        if self._refill and not made._refill:
            made._bind(True)
        made._slice = self._slice
        return made

    def pairs(self, axes: NDArray[np.int32], nodes: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
        """As `Evaluator.pairs`; in C the points need not be written down first."""
        m = nodes.shape[1]
        points = (last - first) * m
        if points > self._slice or not self.holds_nodes(axes, nodes):
            return super().pairs(axes, nodes, first, last)
        values = np.empty(points)
        start = time.perf_counter()
        calls, wrote = self._call.pairs(self.x, axes, nodes, first, last, self._work, values)
        if wrote:
            self.nfev += calls
            self._bind(refill=True)
            return super().pairs(axes, nodes, first, last)
        self._account(0, points, calls, start)
        self.seconds = (time.perf_counter() - start) / points
        if calls < points:  # a point raised: the general way finds out what
            assert self._flag is not None
            self._flag[0] = 0
            whole = calls // m
            values[whole * m :] = super().pairs(axes, nodes, first + whole, last)
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
        return real_gradient(result, (self.n,)).copy() if self.gradient else real_number(result)
