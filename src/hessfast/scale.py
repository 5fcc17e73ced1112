"""The natural size of a coordinate: |x_i|, where that means something, else what the others and f itself say.

Steps are sought in units of the coordinates' sizes. Next to zero |x_i| says nothing: an optimiser leaves a zero at
1e-17, a planar molecule has some exactly, while a rate of 1e-9 beside numbers of size 1 may mean it. Whether a small
size is meant is seen in f: over a natural length f grows like a polynomial of low degree, and it notices a step of
one part in 2^14 of it about as much in one coordinate as in another. Both are asked of ever shorter sizes, from that
of the large coordinates down to |x_i|; only where sizes have a gap, so that ordinary points cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hessfast.calls.points import Search

__all__ = [
    "EPS",
    "ORDINARY",
    "TINY",
    "VANISHING",
    "Change",
    "Sizes",
    "clusters",
    "farthest",
    "find_sizes",
    "gaps",
    "higher",
    "unit_of",
]

Array = NDArray[np.float64]
Seen = tuple[float, float]
Change = Callable[[Array], "Search[Seen]"]

EPS = float(np.finfo(np.float64).eps)

TINY = float(np.finfo(np.float64).tiny)

VANISHING = 2.0**-400
"""|x_i| below which it counts as zero: h² would leave the range of float64."""

_GAP = 14
"""Octaves without a size that part small coordinates from large ones; a step in one part in 2^14 is also what f is to
notice alike in both."""

_STRIDE = 7
"""Octaves between the three displacements over which growth is judged, and from one size tried to the next."""

_NOTICED = 2.0**7
"""Times that f may notice a size more than those of the large coordinates, before it is called too long."""

_CLEAR = 20.0
"""Noise levels below which a change of f tells nothing."""

_NEARLY = 0.01
"""The same over sizes as they are: next to zero f is straight over |x_i|, at sizes that are meant it is not. Where the
natural length is 2^7 of it or more, what t^p + t^(p+1) leave is less than this; stiff directions of a molecule in
metres, nearly straight, hide no more than a part of what bends."""

_UNLIKE = 0.75
"""Share of the larger by which the change over a whole size may differ from what its beginnings promise: a factor
of 4, which exp(3 t) on 0..1 keeps and log cosh(10 t) does not."""

_DESCENTS = 30
"""Sizes tried at most, 7 octaves from one to the next."""

_CLUSTERS = 3
"""Clusters of small coordinates looked at, from the largest down."""


_LOOKS = 3
"""Directions looked along where all coordinates are small: springs may look straight along one of them."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of all coordinates of one x in two numbers.

    Attributes
    ----------
    limit : float
        |x_i| below which a coordinate counts as zero.
    zero : float
        Size of those.
    """

    limit: float = VANISHING
    zero: float = 1.0

    def of(self, x: Array) -> Array:
        """Return the size of each coordinate of x."""
        size = np.abs(x)
        return np.asarray(np.where(size < self.limit, self.zero, size))


ORDINARY = Sizes()
"""|x_i|, and 1 where that is zero."""


def unit_of(size: Array) -> Array:
    """Power of two nearest to each size, below the end of the range."""
    return np.asarray(np.exp2(np.fmin(np.round(np.log2(size)), 1023.0)))


def clusters(x: Array) -> tuple[list[tuple[float, float]], bool]:
    """Return smallest and largest |x_i| of each cluster of sizes, ascending, and whether there are zeros.

    Clusters are parted by gaps of more than 2^14. Where all sizes are less than 2^-14 a last one holds 1 alone.
    """
    size = np.abs(x)
    least = float(size.min())
    largest = float(size.max())
    if least >= VANISHING and largest < 2.0**_GAP * least and largest >= 2.0**-_GAP:
        return [(least, largest)], False
    size = np.sort(size[size >= VANISHING])
    has_zeros = size.size < x.size
    found: list[tuple[float, float]] = []
    if size.size:
        exponent = np.frexp(size)[1]
        last = np.flatnonzero(np.diff(exponent) > _GAP)
        starts, ends = np.append(0, last + 1), np.append(last, size.size - 1)
        found = [(float(low), float(high)) for low, high in zip(size[starts], size[ends], strict=True)]
    if largest < 2.0**-_GAP:
        found.append((1.0, 1.0))
    return found, has_zeros


def farthest(size: Array) -> Array:
    """Return up to which size each coordinate may be tried, where its own tells nothing, shape (m,).

    That of the middle one of those from which no gap parts it, and at least 1: the units of x are the caller's choice.
    """
    order = np.argsort(size)
    octave = np.frexp(size[order])[1]
    found = np.empty_like(size)
    for cluster in np.split(order, np.flatnonzero(np.diff(octave) > _GAP) + 1):
        found[cluster] = size[cluster[cluster.size // 2]]
    return np.fmax(np.fmax(found, size), 1.0)


def higher(size: Array, unit: Array, least: int) -> Array:
    """Return by how many octaves above its unit each coordinate may be tried, (m,); 0.0 where less than `least`."""
    octaves = np.maximum(np.ceil(np.log2(farthest(size) / unit)), 0.0)
    return np.where(octaves < least, 0.0, octaves)


def gaps(octaves: list[int], has_zeros: bool) -> list[tuple[int, int]]:
    """Return the gaps because of which `find_sizes` would look at f, from the octaves that hold a size.

    Octave o holds 2^(o-1) <= |x_i| < 2^o; a gap is its lower and upper end. No gap: sizes are `ORDINARY`.
    """
    least = math.frexp(VANISHING)[1]
    held = [octave for octave in octaves if octave >= least]
    has_zeros = has_zeros or len(held) < len(octaves)
    if not held:
        return []
    found = [(low, high) for low, high in pairwise(held) if high - low > _GAP]
    if held[-1] <= -_GAP:
        found.append((held[-1], 1))
    if has_zeros and (found or held[-1] > _GAP):
        found.insert(0, (least - 1, held[0]))
    return found


def find_sizes(x: Array, change: Change, *, power: int = 1, toward: Array | None = None) -> Search[Sizes]:
    """Find the sizes of coordinates that are zero or next to it.

    Parameters
    ----------
    x : ndarray, shape (n,)
    change : callable
        ``change(d)`` asks for f(x + d) - f(x), or dᵀ(g(x + d) - g(x)), and its noise level; nan where it cannot be had.
    power : int
        Lowest power of t in ``change(t d)``: 1 for f, 2 for its gradient.
    toward : ndarray, shape (n,), optional
        Sign of the displacement of each coordinate, such as towards the inside of bounds; irregular by default.

    Returns
    -------
    Sizes

    Notes
    -----
    Costs no evaluation where all sizes are within 2^14 of each other, zeros apart, and the largest is at least 2^-14
    (at most 2^14 where there are zeros). Else 7 where small coordinates are zeros, and one more for each 7 octaves by
    which their size is less than that of the large ones; 4 where small sizes are meant.
    """
    parted, has_zeros = clusters(x)
    if len(parted) == 1 and (not has_zeros or parted[0][1] <= 2.0**_GAP):
        return ORDINARY
    size = np.abs(x)
    signs = np.random.default_rng(20110).choice((-1.0, 1.0), x.size) if toward is None else toward
    random = np.random.default_rng(20190)
    lines = [_Line(change, signs * random.uniform(0.1, 1.0, x.size), size, power) for _ in range(_LOOKS)]
    line = lines[0]
    top = math.ldexp(1.0, min(1023, math.ceil(math.log2(max(parted[-1][1], 1.0)))))
    largest = float(size.max())
    # All that is small is asked first; where some of it is meant, what is smaller still, and at last zeros alone.
    groups = [high for _, high in reversed(parted[:-1])][:_CLUSTERS]
    for own in groups + ([0.0] if has_zeros else []):
        others, most = 0.0, math.inf
        if own < largest:
            others, most = yield from line.others(next(low for low, high in parted if high >= largest))
        looks = () if own == 0.0 else lines[:1] if own < largest else lines
        begins = []
        for look in looks:
            begins.append((yield from look.begins(own, EPS * others)))
        if not all(line.grows(seen, 3, _NEARLY) for seen in begins):
            continue
        length = yield from line.length(own, top, _NOTICED * most)
        if length > 2.0**_STRIDE * own:
            return Sizes(max(2.0 * own, VANISHING), length)
    return ORDINARY


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """Changes of f along one irregular direction, in which only coordinates of some sizes take part."""

    change: Change
    direction: Array
    size: Array
    power: int

    def others(self, least: float) -> Search[Seen]:
        """Change of f where coordinates of at least this size move by 2^-14 of it, and what it is at most.

        The first is 0.0 where it is lost in noise.
        """
        seen, noise = yield from self.change(np.where(self.size >= least, 2.0**-_GAP * self.direction * self.size, 0.0))
        if _CLEAR * noise < abs(seen) < math.inf:
            return abs(seen), abs(seen)
        most = abs(seen) + _CLEAR * noise
        return 0.0, most if most > 0.0 else math.inf

    def begins(self, own: float, coarse: float) -> Search[list[Seen]]:
        """Return changes over the coordinates' own sizes, up to `own`, with their noise.

        Where small sizes are meant f leaves its natural length there. `coarse` is how coarse f is at least: where f(x)
        vanishes because large terms cancel, its noise is not that of its value. It shows in changes that are multiples
        of a number far above their own rounding, and in those that begin all of a sudden: a smooth change grows at most
        like t^(p+1).
        """
        seen = yield from self.each(own, own, (6, 3, 0))
        values = [abs(value) for value, _ in seen if math.isfinite(value)]
        coarse = max(coarse, min((_lowest_bit(value) for value in values if value > 0.0), default=0.0))
        growth = 8.0 ** (self.power + 1)
        if len(values) == 3:
            first, second, third = values
            if first == 0.0:
                coarse = max(coarse, second / growth)
            if third > 4.0 * growth * max(second, growth * first):
                coarse = max(coarse, third / growth)
        return [(value, max(noise, coarse)) for value, noise in seen]

    def each(self, own: float, length: float, octaves: tuple[int, ...]) -> Search[list[Seen]]:
        """Changes over a length shortened by so many octaves."""
        seen = []
        for octave in octaves:
            seen.append((yield from self.along(own, length * 2.0**-octave)))
        return seen

    def along(self, own: float, t: float) -> Search[Seen]:
        """Change and its noise where the coordinates of up to `own` move by t."""
        return self.change(np.where(self.size <= own, t * self.direction, 0.0))

    def length(self, own: float, top: float, noticed: float) -> Search[float]:
        """Return the longest size, from `top` down, over which f grows as over a natural length.

        `own` where there is none above 2^7 of it; where f tells none for zeros, `top` or 1, the shorter. Where f does
        not change at all it may have come to rest far away: shorter ones are asked, and without an answer it is the
        size of the largest coordinate.
        """
        length = top
        largest = float(self.size.max()) or 1.0
        seen = yield from self.each(own, length, (2 * _STRIDE, _STRIDE, 0))
        for _ in range(_DESCENTS):
            known = [math.isfinite(noise) for _, noise in seen]  # of a gradient that stands still only the first
            if any(known) == all(known) and abs(seen[0][0]) <= noticed and self.grows(seen, _STRIDE, _UNLIKE):
                told = any(abs(value) > _CLEAR * noise for value, noise in seen)
                if told and (yield from self.reaches(own, length, seen[2])):
                    return length
                if length <= largest:
                    return largest
            length *= 2.0**-_STRIDE
            if length <= 2.0**_STRIDE * own:
                return own
            shortest = yield from self.along(own, length * 2.0 ** (-2 * _STRIDE))
            seen = [shortest, *seen[:2]]
        return min(top, 1.0)

    def reaches(self, own: float, length: float, far: Seen) -> Search[bool]:
        """Whether f changes over a length by no less than over the size of the largest coordinate.

        Atoms a metre apart change nothing any more, and a dying exponential grows like a polynomial.
        """
        largest = float(self.size.max())
        if not 0.0 < largest < length * 2.0**-_STRIDE:
            return True
        change, _ = yield from self.along(own, largest)
        return not abs(change) > abs(far[0]) + _CLEAR * far[1]

    def grows(self, seen: list[Seen], stride: int, unlike: float) -> bool:
        """Whether changes at t = 4^-stride, 2^-stride and 1 are as those of a t^p + b t^(p+1), up to noise.

        The third may differ from what the others promise by the share `unlike` of the larger of the two.
        """
        if not all(math.isfinite(value) for value, _ in seen):
            return False
        promised, unsure = self.promise(seen, stride)
        return abs(promised - seen[2][0]) <= unlike * max(abs(promised), abs(seen[2][0])) + _CLEAR * unsure

    def promise(self, seen: list[Seen], stride: int) -> tuple[float, float]:
        """Return what two changes, which tell a and b, make of the third, and how noise lets it be off."""
        short, middle = 4.0**-stride, 2.0**-stride
        weight = (1.0 - short) / (middle - short)
        for_first, for_second = (1.0 - weight) / short**self.power, weight / middle**self.power
        promised = for_first * seen[0][0] + for_second * seen[1][0]
        return promised, abs(for_first) * seen[0][1] + abs(for_second) * seen[1][1] + seen[2][1]


def _lowest_bit(value: float) -> float:
    """Return the largest power of two that divides a number."""
    mantissa, exponent = math.frexp(value)
    digits = int(math.ldexp(mantissa, 53))
    return math.ldexp(float(digits & -digits), exponent - 53)
