from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK: int
SIMD_LEVEL: str

def one(H: Any, g: Any, lower: bool) -> float | None: ...
def blocks(
    H: NDArray[np.float64],
    g: NDArray[np.float64],
    lower: bool,
    first: int,
    last: int,
    values: NDArray[np.float64],
) -> None: ...
def sum_blocks(values: NDArray[np.float64]) -> float: ...
