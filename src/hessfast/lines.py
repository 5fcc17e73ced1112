"""Lines x + t v through a point x: the natural unit of t, and how far it may go.

Nothing here calls f: where it has to be asked, as where sizes of coordinates have gaps, a search says so.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hessfast.algebra import vectors
from hessfast.algebra.vectors import Vector
from hessfast.arguments import Box, refuse_infinite
from hessfast.calls.points import OnLine, Search
from hessfast.scale import EPS, ORDINARY, VANISHING, Change, Seen, Sizes, find_sizes, gaps

Floats = npt.NDArray[np.float64]

_SHIFT = 3.0
"""Octaves by which the unit of a line may be off without harm: the search sees to them."""

_SAMPLED, _FEW = 4096, 16
"""Coordinates looked at for the longest unit of a line; of those, one in so many may move by more than its size ..."""

_WIDE = 8
"""... at the wide level, 2^-8 of the unit."""


class Lines:
    """The lines through x.

    x and the directions are read in place, in float64 or float32 storage, and may be memory maps.

    Parameters
    ----------
    x : ndarray, shape (n,)
        As `vectors.as_vector` returns it.
    gradient : bool
        Whether the gradient is evaluated along them, else f.
    threads : int
        Threads for passes over vectors.
    x_scale : ndarray, shape (n,), optional
        Sizes of the coordinates, where the caller knows them.
    within : Box, optional
        Where points may lie; everywhere where there is none.
    scratch : callable, optional
        Returns n numbers of memory, free until f is called next.
    """

    def __init__(
        self,
        x: Vector,
        gradient: bool,
        threads: int = 1,
        x_scale: Floats | None = None,
        within: Box | None = None,
        scratch: Callable[[int], Floats] = np.empty,
    ) -> None:
        self.x, self.gradient, self.threads = x, gradient, threads
        self.x_scale, self.within = x_scale, within
        self._scratch = scratch
        self._gaps: list[tuple[int, int]] = []
        self._vanishing = False
        self._seen_at: Vector | None = None
        self._sizes: Sizes | None = None

    def scratch(self) -> Floats:
        """Return n numbers of memory, free until f is called next."""
        return self._scratch(self.x.size)

    def here(self) -> Search[Any]:
        """Ask for f, or its gradient, at x itself."""
        return (yield OnLine(self.x, self.x, (0.0,), "origin")).pop()

    def unit(self, v: Vector) -> Search[float]:
        """Return the natural unit of t along v, a power of two; 0.0 where v = 0. Refuse what is not finite."""
        unit = vectors.line_unit(self.x, v, self.threads, self.x_scale)
        if math.isnan(unit):
            refuse_infinite(v, "v")
            refuse_infinite(self.x, "x0")
        sizes = self.x_scale
        if sizes is None and unit > 0.0 and not self._ordinary() and self._small_share(v):
            sizes = (yield from self.sizes()).of(self.x.astype(np.float64))
            unit = vectors.line_unit(self.x, v, self.threads, sizes)
        if unit > (longest := self._longest(v, sizes)) and sizes is None and not self._ordinary():
            longest = self._longest(v, (yield from self.sizes()).of(self.x.astype(np.float64)))
        return min(unit, longest)

    def _longest(self, v: Vector, sizes: Floats | None) -> float:
        """Return the longest unit with which the wide level moves few coordinates by more than their sizes.

        The unit of a line weighs coordinates by their share in ‖v‖, which says nothing where they are of unlike units:
        an amplitude of 0.1, a position of 1e10 and a width of 40 move along one line.
        """
        every = slice(None, None, -(-v.size // _SAMPLED))
        moved = np.abs(v[every])
        size = np.abs(self.x[every]) if sizes is None else sizes[every]
        ratio = np.where(size > 0.0, size, 1.0) / moved
        ratio = ratio[moved > 0.0]
        if ratio.size == 0:
            return math.inf
        few = ratio.size // _FEW
        ratio.partition(few)
        least = float(ratio[few])
        exponent = _WIDE + math.frexp(least)[1]
        return math.ldexp(1.0, exponent) if least > 0.0 and exponent < sys.float_info.max_exp else math.inf

    def _ordinary(self) -> bool:
        """Whether |x_i|, or 1 where it is zero, is the size of each coordinate: their sizes have no gaps then."""
        if self._seen_at is not self.x:
            held, has_zeros = vectors.octaves(self.x, self.threads)
            self._gaps, self._vanishing = gaps(held, has_zeros), held[:1] < [math.frexp(VANISHING)[1]]
            self._seen_at = self.x
        return not self._gaps and not self._vanishing

    def _small_share(self, v: Vector) -> bool:
        """Whether the unit of the line depends on the sizes of small coordinates."""
        size = np.abs(self.x.astype(np.float64))
        low = math.ldexp(1.0, self._gaps[-1][0]) if self._gaps else VANISHING
        small = size <= low
        length = vectors.norm(v, self.threads)
        share = float(np.linalg.norm(v[small] / length)) ** 2
        octaves = -math.log2(max(float(size[small & (v != 0.0)].min(initial=low)), sys.float_info.min)) + max(
            0.0, math.log2(max(float(size.max()), 1.0))
        )
        return share * octaves > _SHIFT

    def sizes(self) -> Search[Sizes]:
        """Return the sizes of coordinates; f is asked where they have gaps, and again where x moves across them."""
        if not self._gaps:
            return ORDINARY
        if self._sizes is not None:
            limit = math.log2(self._sizes.limit)
            if any(low <= limit <= high for low, high in self._gaps):
                return self._sizes
        x = self.x.astype(np.float64)
        change = yield from self._change()
        found = yield from find_sizes(x, change, power=2 if self.gradient else 1, toward=self._inward(x))
        for low, high in self._gaps:  # the limit lies anywhere in a gap: in its middle it stays true when x moves
            if low - 1 <= math.log2(found.limit) <= low + 2:
                found = Sizes(math.ldexp(1.0, (low + high) // 2), found.zero)
        self._sizes = found
        return found

    def _inward(self, x: Floats) -> Floats | None:
        if self.within is None:
            return None
        return np.where(self.within.upper - x >= x - self.within.lower, 1.0, -1.0)

    def _change(self) -> Search[Change]:
        """Return what asks for the change of f over a displacement d, or of dᵀg, with its rounding."""
        here = (yield OnLine(self.x, np.zeros(self.x.size), (0.0,))).pop()
        # What changes by less than the rounding of the whole gradient is not noticed at all.
        whole = vectors.norm(here) if self.gradient else 0.0

        def of_values(d: Floats) -> Search[Seen]:
            there = (yield OnLine(self.x, d, (1.0,), curious=True)).pop()
            return there - here, EPS * max(abs(there), abs(here))

        def of_gradients(d: Floats) -> Search[Seen]:
            there = (yield OnLine(self.x, d, (1.0,), curious=True)).pop()
            rounding = EPS * math.sqrt(vectors.dot_square(d, there) + vectors.dot_square(d, here))
            rounding = max(rounding, EPS * whole * vectors.norm(d))
            return vectors.dot_difference(d, there, here), rounding

        return of_gradients if self.gradient else of_values

    def reaches(self, v: Vector) -> tuple[float, float]:
        """Return two sizes of t: of which points are rounded, and how far f may be asked while digits are few.

        The first is |x_i / v_i| of all coordinates that move but a few, the second the middle one of |x_i / v_i| or
        |1 / v_i|, the larger; both of a sample.
        """
        every = slice(None, None, -(-v.size // _SAMPLED))
        moved, x = np.abs(v[every].astype(np.float64)), np.abs(self.x[every].astype(np.float64))
        rounded, far = (x / moved)[moved > 0.0], (np.fmax(x, 1.0) / moved)[moved > 0.0]
        if far.size == 0:
            return 0.0, 0.0
        most, middle = far.size - 1 - far.size // _FEW, far.size // 2
        return float(np.partition(rounded, most)[most]), float(np.partition(far, middle)[middle])

    def lengths(self, v: Vector) -> tuple[float, float]:
        """Return the least and the largest t at which a coordinate that moves has moved by its own size."""
        moving = v != 0.0
        x = self.x[moving].astype(np.float64)
        size = ORDINARY.of(x) if self._sizes is None else self._sizes.of(x)
        if self.x_scale is not None:
            size = self.x_scale[moving]
        t = size / np.abs(v[moving])
        return float(t.min()), float(t.max())

    def room(self, v: Vector) -> tuple[float, float]:
        """Return how far t can go up and down before x + t v leaves the box."""
        if self.within is None:
            return math.inf, math.inf
        lower, upper = self.within.lower, self.within.upper
        up = np.where(v > 0.0, upper - self.x, self.x - lower) / np.abs(v)
        down = np.where(v < 0.0, upper - self.x, self.x - lower) / np.abs(v)
        moves = v != 0.0
        return float(up[moves].min(initial=math.inf)), float(down[moves].min(initial=math.inf))
