"""The Hessian from gradients with steps found by a search, and an error bar on each entry.

A step is h = 2^k u, u the power of two nearest to the size of the coordinate. In turn:

1. the noise of each component of g, from a table of seven gradients (`noise`);
2. one random direction, displacing each coordinate by its own u, sets a level k for all of them (`scan`);
3. the columns at that level, each of which says what its two errors are (`sweep`);
4. for the coordinates that could do much better at another level, a search of their own, side by side (`single`);
5. a certificate of the whole matrix: one central difference along a short random combination of the coordinates
   (`certificate`);
6. both columns of each pair into one entry, with its bar (`bars`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Search, spent_on
from hessfast.gradients.bars import bars, blur
from hessfast.gradients.certificate import certified, charge, refuted
from hessfast.gradients.columns import Array
from hessfast.gradients.matrix import Matrix
from hessfast.gradients.noise import Place
from hessfast.gradients.scan import Scan
from hessfast.gradients.single import search, search_below
from hessfast.gradients.sweep import doubtful, sweep


@dataclass(frozen=True, slots=True, eq=False)
class GradientHessian:
    """A Hessian from gradients.

    Attributes
    ----------
    hess, truncation_error, condition_error : ndarray, shape (m, m)
        Mean of the columns and their transpose, and the two parts of its error bar.
    step : ndarray, shape (m,)
        Smallest node of each coordinate, negative where the stencil is one-sided downwards.
    symmetric : ndarray of bool, shape (m,)
        Where the stencil has both sides.
    jac, jac_error, noise : ndarray, shape (m,)
        g(x), its error bar, and the noise level of its components.
    order : int
        Of the formula; what "auto" came to.
    searched, walled : ndarray of int
        Coordinates that left the common level, and those whose steps a non-finite g kept short.
    sizes : ndarray, shape (m,)
        Natural size of each coordinate: |x_i|, or what the search found in its place.
    random, drifted : bool
        Whether g answered otherwise when it was asked again at x, each time or in the course of the run.
    """

    hess: Array
    truncation_error: Array
    condition_error: Array
    step: Array
    symmetric: NDArray[np.bool_]
    jac: Array
    jac_error: Array
    noise: Array
    order: int
    searched: NDArray[np.intp]
    walled: NDArray[np.intp]
    sizes: Array
    random: bool
    drifted: bool


class GradientSearch:
    """The search for one Hessian; `run` is called once.

    By purpose the columns count as `pairs`, the certificate as `calibration`.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.scan = Scan(place)

    def run(self) -> Search[GradientHessian]:
        """Search, and return the Hessian with its bars."""
        place = self.place
        yield from spent_on("noise", place.measure())
        yield from spent_on("axes", self.scan.run())
        matrix = Matrix(place, self.scan)
        yield from spent_on("pairs", sweep(matrix))
        for _ in range(2):
            moves = doubtful(matrix)
            if not moves:
                break
            yield from spent_on("refinement", search(matrix, moves))
            matrix.rescale()
        contradicted = refuted(matrix)
        for everywhere in (False, True):  # most often the diagonal entry is what is wrong
            if not contradicted.any():
                break
            wrong = np.flatnonzero(place.glance[0] if everywhere else contradicted)
            yield from spent_on("refinement", search_below(matrix, wrong))
            matrix.rescale()
            contradicted = refuted(matrix)
        if not (yield from spent_on("calibration", certified(matrix))):
            others = {i: 0.0 for i in range(place.gradient.size) if i not in matrix.searched}
            yield from spent_on("refinement", search(matrix, others))
            contradicted = refuted(matrix)
        blur(matrix)
        charge(matrix, contradicted)
        drifted = False
        if not (place.repeatable or place.random):
            last = yield from spent_on("calibration", place.gradient.dense(place.gradient.x[None, :]))
            drifted = place.has_drifted(last[0])
        return self._result(matrix, drifted)

    def roughness(self, found: GradientHessian) -> Search[Array | None]:
        """Look at g over steps of about the coordinates' own sizes; return its noise level if that shows roughness."""
        if found.random or found.drifted:
            return None
        return (yield from self.scan.roughness(found.hess, found.truncation_error, found.condition_error, found.step))

    def again(self, noise: Array) -> GradientSearch:
        """Return a search in that noise."""
        return GradientSearch(self.place.again(noise))

    def _result(self, matrix: Matrix, drifted: bool) -> GradientHessian:
        place = self.place
        hess, truncation, condition = bars(matrix)
        return GradientHessian(
            hess,
            truncation,
            condition,
            matrix.step,
            matrix.symmetric,
            place.g0,
            place.policy.condition_bar * place.noise,
            place.noise,
            place.order,
            np.array(sorted(matrix.searched), dtype=np.intp),
            np.array(sorted(matrix.walled), dtype=np.intp),
            np.maximum(place.size, np.abs(matrix.step)),
            place.random,
            drifted,
        )
