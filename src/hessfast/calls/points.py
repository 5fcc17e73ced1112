"""Points at which f is wanted, and what a search is: a generator that yields them and is sent their values.

A search never calls f. Who drives it (`hessfast.calls.run.drive`) has the points evaluated, counts the evaluations by
what they are for, and stops where it must.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
T = TypeVar("T")

Purpose = Literal["origin", "noise", "axes", "pairs", "refinement", "calibration"]
"""What evaluations are for, as `hessfast.results.EvaluationCounts` counts them."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Any points; the values are (points,), of a gradient (points, n).

    Attributes
    ----------
    X : ndarray, shape (points, n)
        Real, or complex.
    purpose : str
    curious : bool
        Whether they lie far from x and are asked out of curiosity: what f raises there is no failure, its value is nan.
    of : {"fun", "jac"}
        Of which function, where a search asks both.
    """

    X: NDArray[Any]
    purpose: Purpose = "axes"
    curious: bool = False
    of: Literal["fun", "jac"] = "fun"


@dataclass(frozen=True, slots=True, eq=False)
class Displaced:
    """x with at most two coordinates displaced; the values are (points,), of a gradient (points, n).

    Attributes
    ----------
    index, value : ndarray, shape (points, 2)
        x[index[p, k]] = value[p, k]; index -1 displaces nothing.
    purpose : str
    """

    index: NDArray[np.int32]
    value: Array
    purpose: Purpose = "axes"


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """x with one coordinate displaced: each of axes in turn at its nodes; the values are (m, k).

    Attributes
    ----------
    axes : ndarray of int32, shape (m,)
    nodes : ndarray, shape (m, k)
    purpose : str
    x : ndarray, shape (n,), optional
        Another point than the search's own from which they are displaced.
    """

    axes: NDArray[np.int32]
    nodes: Array
    purpose: Purpose = "axes"
    x: Array | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PairRange:
    """Pairs first .. last-1 of the strict lower triangle, in row order; their values are taken tile by tile.

    Attributes
    ----------
    axes : ndarray of int32, shape (m,)
        Coordinate that each axis is.
    nodes : ndarray, shape (m, k)
        Displaced coordinate of each axis at each node.
    first, last : int
    take : callable
        ``take(start, stop, values)`` is handed the values ((stop - start) * k,), node fastest, of each tile, once each,
        in any order and from any thread. The request itself has the answer None.
    purpose : str
    """

    axes: NDArray[np.int32]
    nodes: Array
    first: int
    last: int
    take: Callable[[int, int, Array], None]
    purpose: Purpose = "axes"


@dataclass(slots=True, eq=False)  # not frozen: that would double the price of a request for a single cheap value
class OnLine:
    """Points x + t v; the values are a list, one for each t: numbers, or gradients (n,), float64 or float32.

    Gradients are the caller's own. Who takes one out of the list is alone in holding it: it may fill the memory.

    Attributes
    ----------
    x, v : ndarray, shape (n,)
        In float64 or float32 storage.
    t : sequence of float
    purpose : str
    curious : bool
        As in `Rows`, for each point.
    """

    x: NDArray[Any]
    v: NDArray[Any]
    t: Sequence[float]
    purpose: Purpose = "axes"
    curious: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """H(x) v of the user's own Hessian; the value is (n,).

    Attributes
    ----------
    x, v : ndarray, shape (n,)
    purpose : str
    """

    x: Array
    v: Array
    purpose: Purpose = "axes"


Points = Rows | Displaced | Nodes | PairRange | OnLine | Product

Search = Generator[Points, Any, T]
"""What yields points, is sent their values, and returns a T."""


def asked(points: Points) -> Search[Any]:
    """Ask for these points alone; return their values."""
    return (yield points)


def spent_on(purpose: Purpose, search: Search[T]) -> Search[T]:
    """Let all that a search asks for count as evaluations for one purpose."""
    try:
        points = next(search)
        while True:  # holds no answer while the next is made
            points = search.send((yield points if points.purpose == purpose else replace(points, purpose=purpose)))
    except StopIteration as done:
        result: T = done.value
        return result
