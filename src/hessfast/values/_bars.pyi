import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

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
