"""Which lane a function goes by: f is called in lanes and nowhere else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.batched_lane import BatchedEvaluator
from hessfast.calls.evaluator import Evaluator
from hessfast.calls.foreign import NativeFunction
from hessfast.calls.functions import BatchedFunction, Function
from hessfast.calls.native_lane import NativeEvaluator
from hessfast.calls.python_lane import PythonEvaluator


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
