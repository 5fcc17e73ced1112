"""All axes while their steps are searched: what is known of them, of f's noise, and of their sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hessfast.scale import ORDINARY, farthest, unit_of
from hessfast.values.ladder import Axis, Ladder
from hessfast.values.noise import ROUNDING, NoiseModel
from hessfast.values.policy import POLICY, Policy

Array = NDArray[np.float64]
Checks = dict[int, tuple[Ladder, float, float]]
"""By coordinate: a ladder that was checked below its rung, the residual in f, and the noise expected in it."""


@dataclass(slots=True)
class StepSearch:
    """The axis phase of one function at one point.

    Attributes
    ----------
    x : ndarray, shape (n,)
        Where.
    coordinates : ndarray of int32, shape (m,)
        Those that are differentiated.
    axes : list of Axis
        One for each of them.
    noise : NoiseModel
        Noise of f as it is known so far.
    noise_given : bool
        The caller's noise is not doubted.
    sizes : ndarray, shape (m,)
        Sizes of the coordinates.
    random : bool
        f answered differently when it was asked again at x.
    policy : Policy
    order, derivative, paired
        What the steps are for: the order of the formulas, which derivative, and whether pairs of axes too.
    start : int
        Rung at which an axis begins.
    first_change : float
        Change of f at the first look away from x that told its noise, 0.0 without one.
    checks : dict
        What was seen far below the rungs.
    """

    x: Array
    coordinates: NDArray[np.int32]
    axes: list[Axis]
    noise: NoiseModel
    noise_given: bool
    sizes: Array
    random: bool = False
    policy: Policy = POLICY
    order: int = 4
    derivative: int = 2
    paired: bool = True
    start: int = 0
    first_change: float = 0.0
    checks: Checks = field(default_factory=dict)

    def again(self, level: float) -> StepSearch:
        """Return a search of the same axes in another noise; what was seen along them is known to it."""
        model = NoiseModel(self.noise.f0, level, ROUNDING)
        axes = [axis.anew(model) for axis in self.axes]
        return StepSearch(self.x, self.coordinates, axes, model, True, self.sizes, policy=self.policy)

    @property
    def weight(self) -> float:
        """Weight of truncation against condition error."""
        return self.policy.weight_at(self.order) if self.paired else 1.0

    def default_rung(self) -> int:
        """Return the rung at which the errors of an ordinary function balance, in the noise as it is known."""
        return first_rung(self.noise, self.order, self.derivative)

    def ladders(self) -> list[Ladder]:
        """Ladders that have a rung of use."""
        return [axis.ladder for axis in self.axes if axis.ladder is not None and axis.ladder.best() is not None]

    def know(self, noise: NoiseModel) -> None:
        """Take another noise for that of f, along every axis."""
        self.noise = noise
        for axis in self.axes:
            axis.know(noise)


def make_axes(
    x: Array,
    coordinates: NDArray[np.int32],
    lower: Array,
    upper: Array,
    sizes: Array | None = None,
    policy: Policy = POLICY,
) -> list[Axis]:
    """Return an axis for each of these coordinates of x, of sizes (m,); lower and upper (n,) are bounds."""
    x = x[coordinates]
    unknown = NoiseModel(0.0, 0.0, ROUNDING)
    sizes = ORDINARY.of(x) if sizes is None else sizes
    columns = (coordinates, x, sizes, unit_of(sizes), lower[coordinates], upper[coordinates])
    rows = zip(*(column.tolist() for column in columns), strict=True)
    axes = [Axis(index, at, size, unit, low, high, unknown, policy) for index, at, size, unit, low, high in rows]
    for axis, reach in zip(axes, farthest(sizes).tolist(), strict=True):
        axis.farthest = reach
    return axes


def first_rung(noise: NoiseModel, order: int, derivative: int = 2) -> int:
    """Rung at which noise/h^d and h^m balance for a function whose natural lengths are its coordinates' sizes."""
    relative = noise.level / abs(noise.f0) if noise.f0 != 0.0 else ROUNDING
    return round(math.log2(min(max(relative, ROUNDING), 0.01)) / (order + derivative))
