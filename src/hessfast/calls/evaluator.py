"""What all lanes share: points, their count, the box they keep to, and the note on what f raised.

An Evaluator binds one function to one x and evaluates points in one of two forms: x with at most two coordinates
displaced (`displaced`), or any point (`dense`). It counts every call truly, in `nfev`. Where it is confined to a box,
no point outside reaches f, whoever asks for it: its value is nan, a wall.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hessfast.arguments import unmasked
from hessfast.arithmetic import callers_state
from hessfast.calls import _calls

TILE_POINTS = 8_192  # where f is very cheap: 32 bytes a point stay in the L2 cache


_ROWS_CHECKED = 1 << 16  # coordinates at once: the answers take no memory to speak of beside a long vector


class Confines:
    """The box that no point leaves.

    Parameters
    ----------
    lower, upper : ndarray, shape (n,)
        Bounds, infinite where there are none.
    """

    def __init__(self, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> None:
        self.lower, self.upper = lower, upper

    def hold(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each displaced point, shape (points, 2), lies inside, where x itself does."""
        inside = ((self.lower[index] <= value) & (value <= self.upper[index])) | (index < 0)
        return np.asarray(inside.all(axis=1))

    def hold_nodes(self, axes: NDArray[np.int32], nodes: NDArray[np.float64]) -> bool:
        """Whether all nodes (m, k) of the axes (m,) lie inside."""
        lower, upper = self.lower[axes, None], self.upper[axes, None]
        return bool(((lower <= nodes) & (nodes <= upper)).all())

    def hold_rows(self, X: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each row of X, shape (points, n), lies inside."""
        inside = np.ones(len(X), dtype=np.bool_)
        for first in range(0, self.lower.size, _ROWS_CHECKED):
            part = slice(first, first + _ROWS_CHECKED)
            columns = X[:, part]
            inside &= ((self.lower[part] <= columns) & (columns <= self.upper[part])).all(axis=1)
        return inside


class _Calls:
    """Context in which an evaluator calls f so many times: the caller's floating-point state, and a clock."""

    __slots__ = ("_evaluator", "_points", "_start", "_state")

    def __init__(self, evaluator: Evaluator, points: int) -> None:
        self._evaluator, self._points = evaluator, points

    def __enter__(self) -> None:
        self._start = time.perf_counter()
        self._state = self._evaluator.state()
        self._state.__enter__()

    def __exit__(self, kind: Any, error: Any, where: Any) -> None:
        self._state.__exit__(kind, error, where)
        if kind is None:
            self._evaluator.seconds = (time.perf_counter() - self._start) / max(1, self._points)


class Evaluator(ABC):
    """One function at one x.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The point from which others are displaced.
    gradient : bool
        Whether the function gives its gradient: values are then (points, n), otherwise (points,).
    nfev : int
        Calls so far (for gradients: of the gradient); a batched call counts once a column.
    seconds : float
        Time of one evaluation as last measured.
    tile_points : int
        Points of a tile at most.
    stop : bool
        Set from another thread, ends a native run at its next slice; the values are then void.
    """

    lane = ""
    tile_points = TILE_POINTS
    function: Any
    state: Callable[[], AbstractContextManager[None]] = callers_state

    def __init__(self, x: NDArray[np.float64], wall: tuple[type[BaseException], ...], gradient: bool) -> None:
        self.x = x
        self.n = x.size
        self.wall = wall
        self.gradient = gradient
        self._confines: Confines | None = None
        self._x_inside = True
        self.nfev = 0
        self.seconds = 0.0
        self.stop = False
        self._index = np.empty((0, 2), dtype=np.int32)
        self._value = np.empty((0, 2))
        self._nodes_inside: NDArray[np.float64] | None = None

    def confine(self, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> None:
        """Let no point outside lower and upper, shape (n,), reach f; where x lies outside, no point beside it does."""
        self.confines = Confines(lower, upper)

    @property
    def confines(self) -> Confines | None:
        """The box that no point leaves, None where there is none."""
        return self._confines

    @confines.setter
    def confines(self, box: Confines | None) -> None:
        self._confines = box
        self._x_inside = box is None or bool(box.hold_rows(self.x[None, :])[0])
        self._nodes_inside = None

    def move(self, x: NDArray[np.float64]) -> None:
        """Displace points from another x from now on."""
        self.x = x
        self.confines = self._confines

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one value."""
        return (self.n,) if self.gradient else ()

    def displaced(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate x with x[index[p, 0]] = value[p, 0] and x[index[p, 1]] = value[p, 1]; index -1 displaces nothing.

        Parameters
        ----------
        index, value : ndarray, shape (points, 2)

        Returns
        -------
        ndarray, shape (points,) or (points, n)
        """
        if self.confines is not None:
            inside = self.confines.hold(index, value) & self._x_inside
            if not inside.all():
                values = self._nowhere(inside.size)
                if inside.any():
                    with _Calls(self, int(np.count_nonzero(inside))):
                        values[inside] = self._displaced(index[inside], value[inside])
                return values
        with _Calls(self, len(index)):
            return self._displaced(index, value)

    def dense(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate the rows of X, shape (points, n)."""
        X = np.ascontiguousarray(X)
        if self.confines is not None:
            inside = self.confines.hold_rows(X)
            if not inside.all():
                values = self._nowhere(inside.size)
                if inside.any():
                    with _Calls(self, int(np.count_nonzero(inside))):
                        values[inside] = self._dense(X[inside])
                return values
        with _Calls(self, len(X)):
            return self._dense(X)

    def _nowhere(self, points: int) -> NDArray[np.float64]:
        """Return the values of points outside."""
        values = self._empty(points)
        values[...] = np.nan
        return values

    def points_within(self, seconds: float) -> int:
        """How many points make a tile of so many seconds, by the last measurement; at most what the caches hold."""
        return min(self.tile_points, int(seconds / max(self.seconds, 1e-9)))

    def buffers(self, points: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Return (index, value) for that many points, in memory reused from call to call."""
        if len(self._index) < points:
            self._index = np.empty((points, 2), dtype=np.int32)
            self._value = np.empty((points, 2))
        return self._index[:points], self._value[:points]

    def at(self, point: NDArray[np.float64]) -> Any:
        """Evaluate one point in the caller's own array, without copies: for vectors that fill the memory.

        Returns
        -------
        float or ndarray, shape (n,)
            A gradient may be float32 and may be f's own array, to be kept only where nobody else holds it. f may
            write into `point`, and may keep it.
        """
        if self.confines is not None and not self.confines.hold_rows(point[None, :])[0]:
            return np.full(self.shape, np.nan)[()]
        with _Calls(self, 1):
            return self._at_point(point)

    def pairs(self, axes: NDArray[np.int32], nodes: NDArray[np.float64], first: int, last: int) -> NDArray[np.float64]:
        """Evaluate the points of pairs first .. last-1 of the strict lower triangle, in row order.

        Parameters
        ----------
        axes : ndarray, shape (n,)
            Coordinate that each axis is.
        nodes : ndarray, shape (n, m)
            Displaced coordinate of each axis at each node.

        Returns
        -------
        ndarray, shape ((last - first) * m,)
            Node fastest.
        """
        index, value = self.buffers((last - first) * nodes.shape[1])
        _calls.pair_points(axes, nodes, first, last, index, value)
        if not self.holds_nodes(axes, nodes):
            return self.displaced(index, value)
        with _Calls(self, len(index)):
            return self._displaced(index, value)

    def holds_nodes(self, axes: NDArray[np.int32], nodes: NDArray[np.float64]) -> bool:
        """Whether the points of all pairs lie inside; the nodes are the same for all tiles of a sweep."""
        if self.confines is None or nodes is self._nodes_inside:
            return True
        if self._x_inside and self.confines.hold_nodes(axes, nodes):
            self._nodes_inside = nodes
            return True
        return False

    def fork(self) -> Evaluator:
        """Return an evaluator of the same function for one more worker, its count at zero."""
        make: Callable[..., Evaluator] = type(self)
        made = make(self.function, self.x, self.wall, self.gradient)
        made.confines, made.seconds = self.confines, self.seconds
        return made

    @abstractmethod
    def _displaced(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.float64]: ...

    @abstractmethod
    def _dense(self, X: NDArray[np.float64]) -> NDArray[np.float64]: ...

    @abstractmethod
    def _at_point(self, point: NDArray[np.float64]) -> Any: ...

    def _empty(self, points: int) -> NDArray[np.float64]:
        return np.empty((points, *self.shape))

    def _point(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.float64]:
        point = self.x.copy()
        for coordinate, displaced in zip(index, value, strict=True):
            if coordinate >= 0:
                point[coordinate] = displaced
        return point


def note(error: BaseException, ordinal: int, point: NDArray[Any], more: str = "") -> None:
    """Say in a note where f raised; an exception that takes none, or a point that cannot be printed, goes without."""
    with suppress(Exception):
        coordinates = np.array2string(point, threshold=12, edgeitems=4, max_line_width=100_000)
        error.add_note(f"hessfast: raised at evaluation {ordinal}, x = {coordinates}")
        if more:
            error.add_note(f"hessfast: {more}")


def element(result: Any, part: int | None) -> Any:
    """Return the value or the gradient of what returns both."""
    if part is None:
        return result
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(f"jac: True means that fun returns (f, g); it returned {type(result).__name__}")
    return result[part]


def real_gradient(result: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return a gradient as it is where it is float64 or float32; of one variable a number will do."""
    single = getattr(result, "dtype", None) == np.float32
    if shape == (1,) and np.shape(result) == ():
        result = np.asarray(result).reshape(shape)
    return real_answer(result, shape, "jac", "must return the gradient", np.float32 if single else np.float64)


def real_answer(
    result: Any, shape: tuple[int, ...], name: str, promise: str, dtype: type[np.floating[Any]] = np.float64
) -> NDArray[Any]:
    """Return what a function returned as an array of real numbers, refused where its shape is not what was promised."""
    array = np.asarray(unmasked(result))
    if array.shape != shape:
        raise ValueError(f"{name}: {promise}; shape {shape} expected, got {array.shape}")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: {promise}; real numbers expected, got dtype {array.dtype}")
    return array.astype(dtype, copy=False)
