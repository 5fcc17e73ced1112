"""What depends on x, the order and the steps only: which points are evaluated, and what their values weigh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Nodes, PairRange
from hessfast.values import _pairs
from hessfast.values.stencils import Stencil

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The stencil of every entry of one Hessian.

    Attributes
    ----------
    x : ndarray, shape (n,)
        Where.
    axes : ndarray of int32, shape (m,)
        Coordinates that are differentiated.
    step : ndarray, shape (m,)
        Step of each axis, signed where the stencil is one-sided.
    stencil : Stencil
        Nodes and weights.
    nodes : ndarray, shape (m, len(stencil.axis_nodes))
        Displaced coordinates x_i + t h_i as they are rounded.
    steps_taken : ndarray, same shape
        (x_i + t h_i) - x_i, the displacements that f really sees.
    """

    x: NDArray[np.float64]
    axes: NDArray[np.int32]
    step: NDArray[np.float64]
    stencil: Stencil
    nodes: NDArray[np.float64]
    steps_taken: NDArray[np.float64]

    @classmethod
    def make(cls, x: NDArray[np.float64], axes: NDArray[np.int32], step: NDArray[np.float64], stencil: Stencil) -> Plan:
        """Lay the stencil at x with the given steps.

        Raises
        ------
        ValueError
            A step so small that x_i + t h_i rounds to x_i, or so large that it overflows.
        """
        nodes, steps_taken = np.empty((2, step.size, stencil.t.size))
        i = _pairs.axis_nodes(x, axes, step, stencil.t, nodes, steps_taken)
        if i < step.size:
            what = "overflows" if not np.isfinite(nodes[i]).all() else "vanishes against"
            raise ValueError(f"step: {step[i]} {what} x[{axes[i]}] = {x[axes[i]]}")
        return cls(x, axes, step, stencil, nodes, steps_taken)

    @property
    def pairs(self) -> int:
        """Number of pairs of axes."""
        return self.axes.size * (self.axes.size - 1) // 2

    @property
    def nfev(self) -> int:
        """Evaluations that the plan needs, f(x) included."""
        return 1 + self.nodes.size + len(self.stencil.pair_nodes) * self.pairs

    @property
    def on_axes(self) -> Nodes:
        """All axis nodes, whose values are (m, len(stencil.axis_nodes))."""
        return Nodes(self.axes, self.nodes)

    def of_pairs(self, first: int, last: int, take: Callable[[int, int, Array], None]) -> PairRange:
        """Pairs first .. last-1, whose values go to take(start, stop, values) tile by tile."""
        nodes = np.ascontiguousarray(self.nodes[:, : len(self.stencil.pair_nodes)])
        return PairRange(self.axes, nodes, first, last, take, "pairs")
