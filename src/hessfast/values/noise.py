"""The noise of f: how far its computed values scatter about a smooth function."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hessfast.scale import EPS

Array = NDArray[np.float64]

ROUNDING = 0.25 * EPS
"""Relative noise of a correctly rounded f, the least that is ever assumed: a rounding error is uniform in ± ulp/2, of
standard deviation 0.29 ulp, and an ulp is between eps/2 and eps."""


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Standard deviation of f's noise at a value F: sqrt(level² + growth² |F - f0| + (relative F)²).

    Attributes
    ----------
    f0 : float
        f at the origin of the search.
    level : float
        Noise level at the origin.
    relative : float
        Noise that follows the size of F.
    growth : float
        Noise at one unit of |F - f0|: a sum of squared residuals r carries the noise 2 r δr, the square root of its
        value times the noise of a residual. Zero unless it was measured away from the origin.
    """

    f0: float
    level: float
    relative: float
    growth: float = 0.0

    def at(self, value: float) -> float:
        """Noise level where f has this value."""
        return math.hypot(self.level, self.growth * math.sqrt(abs(value - self.f0)), self.relative * value)

    def at_all(self, values: Array) -> Array:
        """Noise level at the largest value of each row."""
        with np.errstate(invalid="ignore"):
            largest = values[np.arange(len(values)), np.argmax(np.abs(values), axis=1)]
            grown = self.growth * np.sqrt(np.abs(largest - self.f0))
            return np.asarray(np.hypot(np.hypot(self.level, grown), self.relative * largest))
