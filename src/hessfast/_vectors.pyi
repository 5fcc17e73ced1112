from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.floating[Any]]

PANEL: int

def tree_sum(sums: NDArray[np.float64]) -> float: ...
def line_point(x: Vector, v: Vector, t: float, out: NDArray[np.float64], first: int, last: int) -> None: ...
def dot(x: Vector, y: Vector, sums: NDArray[np.float64], first: int, last: int) -> None: ...
def dot_difference(
    v: Vector, a: Vector, b: Vector, sums: NDArray[np.float64], first: int, last: int
) -> None: ...
def line_sums(
    x: Vector, v: Vector, v_scale: float, x_scale: float, sums: NDArray[np.float64], first: int, last: int
) -> None: ...
