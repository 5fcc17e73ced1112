"""All columns while they are searched: their values, the errors of each entry, and at which level they stand."""

from __future__ import annotations

import math

import numpy as np

from hessfast.gradients.columns import Array, family
from hessfast.gradients.levels import Climb
from hessfast.gradients.noise import Place
from hessfast.gradients.norms import equilibrate, norm, quotient, rows_of
from hessfast.gradients.ray import Ray
from hessfast.gradients.scan import DIGITS, Scan
from hessfast.scale import EPS, TINY, higher

LEVELS = 2000.0
"""No step in float64 is farther from its unit."""


class Matrix:
    """The columns; row i of a matrix is column i of the Hessian, as coordinate i gave it.

    Attributes
    ----------
    place : Place
    scan : Scan
    value, truncation : ndarray, shape (m, m)
    level, ceiling, beyond : ndarray, shape (m,)
        Level of each column, its highest, and how far above that it may go while nothing is seen.
    symmetric, side : ndarray, shape (m,)
        Whether its stencil has both sides, and the sign of its steps.
    errors, relative : ndarray, shape (m,)
        Error of each column, and its share of the column.
    scale : ndarray, shape (m,)
        What makes entries comparable (`equilibrate`).
    rate, bends, unsettled : ndarray, shape (m,)
        How its terms fall; c_1 h of its diagonal entry; the square root of what that entry changes where x does by its
        rounding.
    missed : ndarray, shape (m,)
        What the certificate found left out of each component of g, relative.
    searched, walled : set of int
        Columns that left the common level, and those that met a g that is not finite.
    """

    scale: Array

    def __init__(self, place: Place, scan: Scan) -> None:
        m = place.gradient.size
        self.place, self.scan = place, scan
        self.value = np.full((m, m), np.nan)
        self.truncation = np.full((m, m), np.nan)
        self.errors = np.full(m, np.inf)
        self.relative = np.full(m, np.inf)
        self.unsettled = np.zeros(m)
        self.bends = np.zeros(m)
        self.rate = np.zeros(m)
        self.missed = np.zeros(m)
        self.searched: set[int] = set()
        self.walled: set[int] = set()
        self._take_stencils()

    @property
    def step(self) -> Array:
        """Signed step of each coordinate."""
        return np.asarray(self.side * self.place.unit * np.exp2(self.level))

    def _take_stencils(self) -> None:
        """Choose stencil, side and highest level of each coordinate inside its bounds.

        A symmetric stencil up to two levels shorter beats a one-sided one, whose weights are six times as noisy. Two
        nodes at least are to fit: a search looks at one more than order 1 or 2 has.
        """
        place, policy = self.place, self.place.policy
        both, one = family(place.order, True), family(place.order, False)
        near, far = np.minimum(place.below, place.above), np.maximum(place.below, place.above)
        fits_both = np.fmax(np.floor(np.log2(near / max(both.nodes[-1], 2.0)) - np.log2(place.unit)), -LEVELS)
        fits_one = np.fmax(np.floor(np.log2(far / max(one.nodes[-1], 2.0)) - np.log2(place.unit)), -LEVELS)
        self.symmetric = (fits_both >= place.start - policy.symmetric_by) | (fits_both >= fits_one - 1)
        if not both.symmetric:
            self.symmetric[:] = False
        self.side = np.where(self.symmetric | (place.above >= place.below), 1.0, -1.0)
        room = np.where(self.symmetric, fits_both, fits_one)
        self.ceiling = np.minimum(room, place.cap).astype(np.intp)
        # To a size of 1, and as far above a size that was guessed.
        farther = higher(place.size, place.unit, policy.farther)
        farther = np.where(place.size == np.abs(place.gradient.x), farther, np.maximum(farther, policy.beyond_a_guess))
        self.beyond = np.clip(room - self.ceiling, 0, farther).astype(np.intp)
        self.level = np.minimum(place.start, self.ceiling)

    def ray(self, axis: int, level: int) -> Ray:
        """Return the levels of one column, to be searched from that one on."""
        place = self.place
        nodes = family(place.order, bool(self.symmetric[axis]))
        ceiling, beyond = int(self.ceiling[axis]), int(self.beyond[axis])
        unit = float(self.side[axis] * place.unit[axis])
        climb = self.climb(min(level, ceiling), ceiling, self._lowest(axis), beyond)
        return Ray(unit, nodes, climb, axis, policy=place.policy)

    def climb(self, level: int, ceiling: int, lowest: int = -int(LEVELS), beyond: int = 0) -> Climb:
        """Return a search by levels of one column, from that level on."""
        place = self.place
        leap, moves = place.policy.leap, place.policy.moves
        return Climb(place.order, level, ceiling, lowest, beyond, leap, moves, place.attainable)

    def _lowest(self, axis: int) -> int:
        """Level of the shortest steps that still move a coordinate by some of its roundings."""
        roundings = float(np.fmax(np.abs(self.place.gradient.x[axis]), TINY) / self.place.unit[axis])
        return DIGITS + max(math.frexp(roundings)[1], -int(LEVELS))

    def rescale(self) -> None:
        """Make the entries comparable, as they are now."""
        self.scale = equilibrate(self.value)

    def turned(self, bend: Array, step: Array) -> Array:
        """Return the square root of what H_ii changes where x does by its rounding.

        c_1 h / h is half the third derivative d2 g_k / dx_i dx_i = dH_ii / dx_k; steps so short that g does not show
        its bend show its noise.
        """
        slopes = np.fmax(bend, self.place.noise / np.abs(step)[:, None])
        turned = 2 * (slopes @ np.abs(self.place.gradient.x)) / np.abs(step)
        return np.asarray(np.sqrt(EPS * np.nan_to_num(turned, posinf=0.0)))

    def condition(self, rows: slice, columns: slice = slice(None)) -> Array:
        """Condition error of each entry of some rows and columns."""
        factor = np.where(self.symmetric, family(self.place.order, True).noise, family(self.place.order, False).noise)
        per_step = (factor / np.abs(self.step))[rows, None]
        return np.asarray(np.hypot(per_step * self.place.noise[columns], EPS * self.value[rows, columns]))

    def relative_errors(self) -> tuple[Array, Array, Array]:
        """Return the norm of each column, and its condition and truncation errors relative to that."""
        found = np.empty((3, self.place.gradient.size))
        for rows in rows_of(self.place.gradient.size):
            found[0, rows] = size = norm(self.value[rows] * self.scale)
            found[1, rows] = np.maximum(quotient(norm(self.condition(rows) * self.scale), size), EPS / 4)
            found[2, rows] = quotient(norm(self.truncation[rows] * self.scale), size)
        return found[0], found[1], found[2]

    def products(self, v: Array) -> tuple[Array, Array, Array, Array]:
        """Return v'G, |v|'|G|, |v|'T and v^2 ' C^2."""
        found = np.zeros((4, self.place.gradient.size))
        for rows in rows_of(self.place.gradient.size):
            part, size = v[rows], np.abs(v[rows])
            found[0] += part @ self.value[rows]
            found[1] += size @ np.abs(self.value[rows])
            found[2] += size @ self.truncation[rows]
            found[3] += part**2 @ self.condition(rows) ** 2
        return found[0], found[1], found[2], found[3]
