import numpy as np
from numpy.typing import NDArray

def pair_points(
    nodes: NDArray[np.float64],
    first: int,
    last: int,
    index: NDArray[np.int32],
    value: NDArray[np.float64],
) -> None: ...
