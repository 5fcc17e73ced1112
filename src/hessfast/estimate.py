"""What differences of f say about its Hessian, on the way from a search to a result."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hessfast.results import EvaluationCounts

Array = NDArray[np.float64]


class Found(NamedTuple):
    """What differences of f say about its Hessian; the error parts are None where steps were given.

    `random`, `drifted`, `rough`: what the search saw of f itself, as in `HessianStatus`. `sizes`: the natural sizes of
    the coordinates that were differentiated, where the search knows better than |x_i|.
    """

    jac: Array
    hess: Array
    step: Array
    one_sided: NDArray[np.bool_]
    order: int
    noise: float
    evaluations: EvaluationCounts | None = None
    jac_error: Array | None = None
    truncation_error: Array | None = None
    condition_error: Array | None = None
    refined: int = 0
    drifted: bool = False
    random: bool = False
    rough: bool = False
    sizes: Array | None = None
