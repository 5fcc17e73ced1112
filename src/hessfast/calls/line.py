"""The neighbourhood of a point x: f or its gradient at x + t v, one point at a time, from one reused array."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from hessfast.algebra import vectors
from hessfast.algebra.vectors import Vector
from hessfast.arguments import box, exceptions, flag, further, real_vector, refuse_infinite, typical_sizes
from hessfast.arithmetic import aside
from hessfast.calls.evaluator import Evaluator
from hessfast.calls.foreign import NativeFunction
from hessfast.calls.functions import Function, make_function
from hessfast.calls.lanes import make_evaluator
from hessfast.calls.points import OnLine, Points, Purpose, Search
from hessfast.calls.run import drive
from hessfast.scale import EPS, ORDINARY, VANISHING, Change, Seen, Sizes, find_sizes, gaps
from hessfast.workers import thread_count

Floats = npt.NDArray[np.float64]
Fun = Callable[..., Any] | NativeFunction
Jac = Callable[..., Any] | NativeFunction | bool | None


def _lone_references() -> int:
    """References that `sys.getrefcount` reports for an object that only a local variable holds."""
    lone = np.empty(0)
    return sys.getrefcount(lone)


_LONE = _lone_references()

_SHIFT = 3.0
"""Octaves by which the unit of a line may be off without harm: the search sees to them."""


def _shape_kept(array: Vector, n: int) -> bool:
    flags = array.flags
    return array.shape == (n,) and array.dtype == np.float64 and flags.c_contiguous and flags.writeable


def _own(value: Vector, references: int) -> bool:
    """Whether nobody else can write to the memory of an array, which has so many references.

    It has memory of its own, or is the one view of an array that has, or of memory that numba counts references to.
    """
    base = value.base
    if base is None:
        sole = value.flags.owndata
    elif isinstance(base, np.ndarray):
        sole = base.flags.owndata and sys.getrefcount(base) <= _LONE + 1
    else:
        sole = (
            type(base).__module__ == "_nrt_python"
            and getattr(base, "refcount", 0) == 1
            and getattr(base, "parent", value) is None
            and sys.getrefcount(base) <= _LONE + 1
        )
    return bool(sole and references <= _LONE and value.flags.writeable and value.flags.c_contiguous)


_SAMPLED, _FEW = 4096, 16
"""Coordinates looked at for the longest unit of a line; of those, one in so many may move by more than its size ..."""

_WIDE = 8
"""... at the wide level, 2^-8 of the unit."""


class Neighbourhood:
    """What is seen around x.

    Beside what f itself allocates it holds one vector, the point; x and the directions are read in place, in float64
    or float32 storage, and may be memory maps.

    Parameters
    ----------
    evaluator : Evaluator
        f or its gradient.
    x : ndarray, shape (n,)
        As `vectors.as_vector` returns it.
    threads : int
        Threads for passes over vectors; f is called from the calling thread alone.
    x_scale : ndarray, shape (n,), optional
        Sizes of the coordinates, where the caller knows them.
    """

    def __init__(self, evaluator: Evaluator, x: Vector, threads: int = 1, x_scale: Floats | None = None) -> None:
        self.evaluator = evaluator
        self.x = x
        self.threads = threads
        self.spent: Counter[Purpose] = Counter()
        self.x_scale = x_scale
        self.function: Function | None = None
        self.wall: tuple[type[BaseException], ...] = ()
        self._gaps: list[tuple[int, int]] = []
        self._vanishing = False
        self._seen_at: Vector | None = None
        self._sizes: Sizes | None = None
        self._point: Floats = np.empty(0)

    @property
    def nfev(self) -> int:
        """Calls so far, of f or its gradient."""
        return self.evaluator.nfev

    def answer(self, points: Points) -> Any:
        """Return f at the point."""
        if not isinstance(points, OnLine):
            raise TypeError(f"points: {type(points).__name__} are not on a line")
        return self.probe(points.v, points.t) if points.curious else self.at(points.v, points.t)

    def at(self, v: Vector, t: float) -> Any:
        """Return f at x + t v; a gradient is float64 or float32, contiguous, and the caller's own."""
        value = self.evaluator.at(self._displaced(v, t))
        if not self.evaluator.gradient:
            return value
        # A function that fills one memory over and over returns it each time: such a gradient is copied.
        references = sys.getrefcount(value)
        return value if _own(value, references) else value.copy()

    def probe(self, v: Vector, t: float) -> Any:
        """Return f at x + t v, which lies far from x and is asked out of curiosity: what f raises counts as nan."""
        with aside():
            try:
                return self.at(v, t)
            except Exception:
                return np.full(self.evaluator.shape, np.nan)[()]

    def unit(self, v: Vector) -> float:
        """Return the natural unit of t along v, a power of two; 0.0 where v = 0. Refuse what is not finite."""
        unit = vectors.line_unit(self.x, v, self.threads, self.x_scale)
        if math.isnan(unit):
            refuse_infinite(v, "v")
            refuse_infinite(self.x, "x0")
        sizes = self.x_scale
        if sizes is None and unit > 0.0 and not self._ordinary() and self._small_share(v):
            sizes = self.sizes().of(self.x.astype(np.float64))
            unit = vectors.line_unit(self.x, v, self.threads, sizes)
        if unit > (longest := self._longest(v, sizes)) and sizes is None and not self._ordinary():
            longest = self._longest(v, self.sizes().of(self.x.astype(np.float64)))
        return min(unit, longest)

    def _longest(self, v: Vector, sizes: Floats | None) -> float:
        """Return the longest unit with which the wide level moves few coordinates by more than their sizes.

        The unit of a line weighs coordinates by their share in ‖v‖, which says nothing where they are of unlike units:
        an amplitude of 0.1, a position of 1e10 and a width of 40 move along one line.
        """
        every = slice(None, None, -(-v.size // _SAMPLED))
        moved = np.abs(v[every])
        size = np.abs(self.x[every]) if sizes is None else sizes[every]
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            ratio = np.where(size > 0.0, size, 1.0) / moved
        ratio = ratio[moved > 0.0]
        if ratio.size == 0:
            return math.inf
        few = ratio.size // _FEW
        least = float(np.partition(ratio, few)[few])
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

    def sizes(self) -> Sizes:
        """Return the sizes of coordinates; f is asked where they have gaps, and again where x moves across them."""
        if not self._gaps:
            return ORDINARY
        if self._sizes is not None:
            limit = math.log2(self._sizes.limit)
            if any(low <= limit <= high for low, high in self._gaps):
                return self._sizes
        x = self.x.astype(np.float64)
        search = find_sizes(x, self._change(), power=2 if self.evaluator.gradient else 1, toward=self._inward(x))
        found = drive(search, self)
        for low, high in self._gaps:  # the limit lies anywhere in a gap: in its middle it stays true when x moves
            if low - 1 <= math.log2(found.limit) <= low + 2:
                found = Sizes(math.ldexp(1.0, (low + high) // 2), found.zero)
        self._sizes = found
        return found

    def _inward(self, x: Floats) -> Floats | None:
        confines = self.evaluator.confines
        if confines is None:
            return None
        return np.where(confines.upper - x >= x - confines.lower, 1.0, -1.0)

    def lengths(self, v: Vector) -> tuple[float, float]:
        """Return the least and the largest t at which a coordinate that moves has moved by its own size."""
        moving = v != 0.0
        x = self.x[moving].astype(np.float64)
        size = ORDINARY.of(x) if self._sizes is None else self._sizes.of(x)
        if self.x_scale is not None:
            size = self.x_scale[moving]
        t = size / np.abs(v[moving])
        return float(t.min()), float(t.max())

    def _change(self) -> Change:
        """Return the change of f over a displacement d, or of dᵀg, with its rounding."""
        one = np.zeros(self.x.size)
        here = self.at(one, 0.0)
        # What changes by less than the rounding of the whole gradient is not noticed at all.
        whole = vectors.norm(here) if self.evaluator.gradient else 0.0

        def of_values(d: Floats) -> Search[Seen]:
            yield from ()
            there = self.probe(d, 1.0)
            return there - here, EPS * max(abs(there), abs(here))

        def of_gradients(d: Floats) -> Search[Seen]:
            yield from ()
            there = self.probe(d, 1.0)
            rounding = EPS * math.sqrt(vectors.dot_square(d, there) + vectors.dot_square(d, here))
            rounding = max(rounding, EPS * whole * vectors.norm(d))
            return vectors.dot_difference(d, there, here), rounding

        return of_gradients if self.evaluator.gradient else of_values

    def scratch(self) -> Floats:
        """Return n numbers of memory, free until f is called next."""
        # Two references: the attribute and getrefcount's own argument.
        if sys.getrefcount(self._point) > 2 or not _shape_kept(self._point, self.x.size):
            self._point = np.empty(self.x.size)
        return self._point

    def _displaced(self, v: Vector, t: float) -> Floats:
        """Write x + t v into memory that no earlier call of f kept."""
        point = self.scratch()
        vectors.line_point(self.x, v, t, point, self.threads)
        return point

    def room(self, v: Vector) -> tuple[float, float]:
        """Return how far t can go up and down before x + t v leaves the box."""
        confines = self.evaluator.confines
        if confines is None:
            return math.inf, math.inf
        with np.errstate(all="ignore"):
            up = np.where(v > 0.0, confines.upper - self.x, self.x - confines.lower) / np.abs(v)
            down = np.where(v < 0.0, confines.upper - self.x, self.x - confines.lower) / np.abs(v)
        moves = v != 0.0
        return float(up[moves].min(initial=math.inf)), float(down[moves].min(initial=math.inf))


def surround(
    fun: Fun | None,
    x0: npt.ArrayLike,
    *,
    jac: Jac,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None,
    vectorized: bool,
    workers: int | None,
    x_scale: npt.ArrayLike | None = None,
    bounds: Any = None,
    on_error: Any = "raise",
) -> Neighbourhood:
    """Check the arguments that the matrix-free functions share; bind the gradient where there is one, else f.

    x0 is neither copied nor converted where it is a contiguous float64 or float32 array.
    """
    x = real_vector(x0, "x0")
    threads = thread_count(workers)
    gradient = jac is not None and jac is not False
    obj, name = (jac, "jac") if gradient and jac is not True else (fun, "fun")
    if obj is None:
        raise TypeError("fun: None needs a callable jac")
    positional, named = further(args, kwargs)
    function = make_function(
        obj,
        name=name,
        args=positional,
        kwargs=named,
        vectorized=flag(vectorized, "vectorized"),
        gradient=gradient,
        part=1 if jac is True else None,
    )
    wall = exceptions(on_error)
    # The evaluator reads its own x for displaced points alone, of which there are none here.
    evaluator = make_evaluator(function, cast(Floats, x), wall=wall, gradient=gradient)
    if bounds is not None:
        refuse_infinite(x, "x0")
        within = box(bounds, x.astype(np.float64))
        evaluator.confine(within.lower, within.upper)
    around = Neighbourhood(evaluator, x, threads, typical_sizes(x_scale, x.size))
    around.function, around.wall = function, wall
    return around
