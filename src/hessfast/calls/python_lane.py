"""The lane of Python functions of one point: called from compiled code, one point at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hessfast.calls import _calls
from hessfast.calls.evaluator import Evaluator, element, note, real_gradient
from hessfast.calls.functions import PythonFunction, real_number


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
        convert = real_number if part is None else lambda result: real_number(element(result, part))
        self._call = _calls.PythonCall(function.call, function.args, function.kwargs, convert, wall)

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
        result = element(result, function.part)
        return real_gradient(result, (self.n,)) if self.gradient else real_number(result)
