"""The lane of Python functions of many points: one call a block of columns."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hessfast.calls import _calls
from hessfast.calls.evaluator import Evaluator, element, note, real_answer, real_gradient
from hessfast.calls.functions import BatchedFunction

_BLOCK_BYTES = 262_144  # a batched block; f's own temporaries of that size still fit the L2 cache


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
            _calls.fill_block(self.x, index[first:last], value[first:last], block)

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
        result = element(result, function.part)
        if self.gradient:
            return real_gradient(result, (self.n, columns)).T
        return real_answer(result, (columns,), "fun", "vectorized: takes (n, m) and must return (m,)")
