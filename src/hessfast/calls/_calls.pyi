from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Real = NDArray[np.float64]
_Index = NDArray[np.int32]

def axis_points(axis: _Index, nodes: _Real, index: _Index, value: _Real) -> None: ...
def pair_points(axis: _Index, nodes: _Real, first: int, last: int, index: _Index, value: _Real) -> None: ...
def fill_block(x: _Real, index: _Index, value: _Real, block: _Real) -> None: ...

class NativeCall:
    def __init__(
        self,
        address: int,
        form: str,
        data: int | NDArray[np.int64],
        refill: bool,
        keepalive: object,
    ) -> None: ...
    def displaced(
        self, x: _Real, index: _Index, value: _Real, first: int, last: int, work: _Real, out: _Real
    ) -> tuple[int, bool]: ...
    def pairs(
        self, x: _Real, axis: _Index, nodes: _Real, first: int, last: int, work: _Real, values: _Real
    ) -> tuple[int, bool]: ...
    def rows(self, X: _Real, first: int, last: int, work: _Real, out: _Real) -> tuple[int, bool]: ...
    def at(self, x: _Real, out: _Real) -> bool: ...

class PythonCall:
    @property
    def begun(self) -> int: ...
    def __init__(
        self,
        fun: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        convert: Callable[[Any], float],
        wall: tuple[type[BaseException], ...],
    ) -> None: ...
    def displaced(self, x: _Real, index: _Index, value: _Real, out: _Real) -> None: ...
    def rows(self, X: _Real, out: _Real) -> None: ...
