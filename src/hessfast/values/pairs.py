"""Pair entries while they are refined: value and errors of each, and the evaluations that another step takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Displaced, Search
from hessfast.values.bars import pair_formula
from hessfast.values.ladder import Axis, values_along
from hessfast.values.noise import NoiseModel
from hessfast.values.stencils import Stencil

Array = NDArray[np.float64]

Numbers = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs of axes, each with steps of its own.

    Attributes
    ----------
    i, j : ndarray of int, shape (p,)
        Numbers of the axes.
    step_i, step_j : ndarray, shape (p,)
    rate : ndarray, shape (p,)
        Sum of the axes' rates at those steps.
    blur : ndarray, shape (p,)
        Noise of f, over both steps, that its rounded coordinates leave at those steps.
    """

    i: Numbers
    j: Numbers
    step_i: Array
    step_j: Array
    rate: Array
    blur: Array

    def chosen(self, which: NDArray[np.bool_]) -> Pairs:
        """Return some of the pairs."""
        steps = self.step_i[which], self.step_j[which]
        return Pairs(self.i[which], self.j[which], *steps, self.rate[which], self.blur[which])

    def halved(self, times: Array) -> Pairs:
        """Return the same pairs with both steps halved so many times."""
        factor = np.exp2(-times)
        steps = self.step_i * factor, self.step_j * factor
        return Pairs(self.i, self.j, *steps, self.rate * factor, self.blur / factor)

    def parts(self, axes: list[Axis], noise: NoiseModel, of: Stencil) -> Search[tuple[Array, Array, Array]]:
        """Ask for the pairs at the nodes of the stencil.

        Returns
        -------
        value, truncation, condition : ndarray, shape (p,)
            Nan where a node lies outside the box or f is not finite there.
        """
        # Complex numbers sort by their real part first: the rows go by axis, then by step.
        places = np.concatenate([self.i + 1j * self.step_i, self.j + 1j * self.step_j])
        rows, inverse = np.unique(places, return_inverse=True)
        row_i, row_j = inverse[: self.i.size], inverse[self.i.size :]
        movers = [axes[number] for number in rows.real.astype(np.intp).tolist()]
        displacements = np.multiply.outer(rows.imag, np.array(of.pair_nodes, dtype=np.float64))
        values = yield from values_along(movers, displacements)
        coordinates = np.array([axis.index for axis in movers], dtype=np.int32)
        x = np.array([axis.x for axis in movers])[:, None]
        nodes = x + displacements
        taken = nodes - x
        usable = np.asarray(np.isfinite(values).all(axis=1))
        wanted = np.flatnonzero(usable[row_i] & usable[row_j])
        found = np.full((self.i.size, nodes.shape[1]), np.nan)
        if wanted.size:
            index = np.empty((wanted.size, nodes.shape[1], 2), dtype=np.int32)
            value = np.empty(index.shape)
            for end, row in enumerate((row_i[wanted], row_j[wanted])):
                index[:, :, end] = coordinates[row, None]
                value[:, :, end] = nodes[row]
            values_found = yield Displaced(index.reshape(-1, 2), value.reshape(-1, 2))
            found[wanted] = values_found.reshape(wanted.size, -1)
        with np.errstate(all="ignore"):
            s = ((found - values[row_i]) - (values[row_j] - noise.f0)) / taken[row_i] / taken[row_j]
            each = noise.at_all(found) / np.abs(taken[row_i, 0] * taken[row_j, 0])
        return pair_formula(of).parts(s, self.rate, np.fmax(each, self.blur))
