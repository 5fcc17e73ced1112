import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int32]

def axis_nodes(x: Array, axis: Index, step: Array, t: Array, nodes: Array, steps: Array) -> int: ...
def assemble_pairs(
    weights: Array,
    f0: float,
    axis_values: Array,
    inverse_steps: Array,
    first: int,
    last: int,
    values: Array,
    H: Array,
) -> None: ...
def assemble_axes(
    one_sided: bool,
    slope_weights: Array,
    curvature_weights: Array,
    f0: float,
    axis_values: Array,
    steps: Array,
    slope: Array,
    curvature: Array,
) -> None: ...
def mirror_lower(H: Array) -> None: ...

class PairFormula:
    def __init__(self, weights: Array, coefficients: Array, product: float, noise: float) -> None: ...
    def parts(self, s: Array, rate: Array, noise: Array) -> tuple[Array, Array, Array]: ...
    def assemble(
        self,
        noise: tuple[float, float, float, float],
        axis_values: Array,
        inverse_steps: Array,
        rate: Array,
        first: int,
        last: int,
        values: Array,
        H: Array,
        truncation: Array,
        condition: Array,
    ) -> None: ...
