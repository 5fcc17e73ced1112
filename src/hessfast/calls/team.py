"""Tiles onto threads.

A Team is an evaluator with its workers: it answers the evaluator's own questions, splitting points among the workers,
and runs a sweep tile by tile. Results do not depend on the number of workers: each value has its own place.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hessfast.arithmetic import aside
from hessfast.calls import _calls
from hessfast.calls.evaluator import Evaluator
from hessfast.calls.line import Neighbourhood
from hessfast.calls.native_lane import NativeEvaluator
from hessfast.calls.points import Displaced, Nodes, OnLine, PairRange, Points, Purpose, Rows
from hessfast.workers import thread_count

if TYPE_CHECKING:  # imported where threads are asked for: a tenth of the library's own import time
    from concurrent.futures import Future, ThreadPoolExecutor

_TILE_SECONDS = 1e-3  # measured: 0.985 of the ideal speed-up at 1 ms tiles, 0.976 at 0.1 ms
_LONE_TILE_SECONDS = 4e-3  # with one worker there is no load to balance: up to the interval between looks at signals
_SPLIT_SECONDS = 2e-4  # less work than this is not worth waking a thread


class Team:
    """An evaluator and the threads that share its work.

    Parameters
    ----------
    evaluator : Evaluator
        What is evaluated; used by the calling thread where there is one worker.
    workers : int, optional
        Threads for a native function, of which four a core are used at most; None means the calling thread alone.

    Raises
    ------
    TypeError
        Workers asked for a function that holds the GIL.
    """

    def __init__(self, evaluator: Evaluator, workers: int | None = None) -> None:
        if workers is not None and not isinstance(evaluator, NativeEvaluator):
            raise TypeError(f"workers: threads need a native function; this one is in the {evaluator.lane} lane")
        self.evaluator = evaluator
        self.x, self.n, self.gradient, self.lane = (
            evaluator.x,
            evaluator.n,
            evaluator.gradient,
            evaluator.lane,
        )
        self.spent: Counter[Purpose] = Counter()
        self._on_lines = Neighbourhood(evaluator)
        self._others: list[Evaluator] = []
        self._count = thread_count(workers)
        self._pool: ThreadPoolExecutor | None = None
        if self._count > 1:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self._count, "hessfast")

    def __enter__(self) -> Team:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def confine(self, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> None:
        """Let no point outside lower and upper, shape (n,), reach f."""
        for worker in (self.evaluator, *self._others):
            worker.confine(lower, upper)

    @property
    def nfev(self) -> int:
        """Calls so far, by all workers."""
        return self.evaluator.nfev + sum(other.nfev for other in self._others)

    def answer(self, points: Points) -> Any:
        """Return f at the points; what it raises where it is asked out of curiosity is no failure, its value is nan."""
        if isinstance(points, PairRange):
            return self._sweep(points)
        if isinstance(points, Rows):
            at = self._for(len(points.X))
            if not points.curious:
                return at.dense(points.X)
            with aside():
                try:
                    return at.dense(points.X)
                except Exception:
                    return self._one_by_one(points.X)
        if isinstance(points, Nodes):
            index, value = self.evaluator.buffers(points.nodes.size)
            _calls.axis_points(points.axes, points.nodes, index, value)
            if points.x is not None:
                self._move(points.x)
            try:
                return self._for(len(index)).displaced(index, value).reshape(points.nodes.shape)
            finally:
                if points.x is not None:
                    self._move(self.x)
        if isinstance(points, Displaced):
            return self._for(len(points.index)).displaced(points.index, points.value)
        if isinstance(points, OnLine):
            return self._on_lines.answer(points)
        raise TypeError(f"points: {type(points).__name__} are not for a team")

    def _for(self, points: int) -> Evaluator | Team:
        """Return who evaluates so many points: the lone evaluator, or the team of them."""
        return self.evaluator if self._is_alone(points) else self

    def _sweep(self, pairs: PairRange) -> None:
        """Evaluate a range of pairs tile by tile."""
        seconds = _LONE_TILE_SECONDS if self._pool is None else _TILE_SECONDS
        tiles = _Tiles(pairs.first, pairs.last, pairs.nodes.shape[1], seconds)
        if self._pool is None:
            while tile := tiles.take(self.evaluator):
                pairs.take(*tile, self.evaluator.pairs(pairs.axes, pairs.nodes, *tile))
            return
        stop = threading.Event()

        def pull(worker: Evaluator) -> None:
            while not stop.is_set() and (tile := tiles.take(worker)):
                pairs.take(*tile, worker.pairs(pairs.axes, pairs.nodes, *tile))

        self._finish([self._pool.submit(pull, worker) for worker in self._workers()], stop)

    def displaced(self, index: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate points with at most two coordinates displaced, as `Evaluator.displaced`, by all workers."""
        return self._shared(len(index), lambda worker, part: worker.displaced(index[part], value[part]))

    def _move(self, x: NDArray[np.float64]) -> None:
        for worker in (self.evaluator, *self._others):
            worker.move(x)

    def dense(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate the rows of X, as `Evaluator.dense`, by all workers."""
        return self._shared(len(X), lambda worker, part: worker.dense(X[part]))

    def _one_by_one(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate the rows of X one by one: what f raises far from x is no failure, its value is nan."""
        values = np.full((len(X), *self.evaluator.shape), np.nan)
        for row, point in enumerate(X):
            with suppress(Exception):
                values[row] = self.evaluator.dense(point[None, :])[0]
        return values

    def _workers(self) -> list[Evaluator]:
        """The evaluators of all workers; the others are made late, when the first has learnt what f does to x."""
        while len(self._others) < self._count - 1:
            self._others.append(self.evaluator.fork())
        return [self.evaluator, *self._others]

    def _is_alone(self, points: int) -> bool:
        """Whether the calling thread evaluates so many points faster than several would."""
        return self._pool is None or points * self.evaluator.seconds < _SPLIT_SECONDS or points < 2

    def _shared(self, points: int, run: Callable[[Evaluator, slice], NDArray[np.float64]]) -> NDArray[np.float64]:
        assert self._pool is not None
        workers = self._workers()
        cuts = [points * k // len(workers) for k in range(len(workers) + 1)]
        parts = [slice(first, last) for first, last in pairwise(cuts)]
        futures = [self._pool.submit(run, worker, part) for worker, part in zip(workers, parts, strict=True)]
        self._finish(futures, threading.Event())
        return np.concatenate([future.result() for future in futures])

    def _finish(self, futures: list[Future[Any]], stop: threading.Event) -> None:
        """Wait for all; whatever ends the wait early (Ctrl-C, an exception in f) stops the others first."""
        from concurrent.futures import wait

        try:
            wait(futures, return_when="FIRST_EXCEPTION")
        finally:
            stop.set()
            for worker in self._workers():
                worker.stop = True
            wait(futures)
            for worker in self._workers():
                worker.stop = False
        for future in futures:
            future.result()


class _Tiles:
    """The ranges that cut first .. last, handed out to whoever asks next.

    Each is sized by what an evaluation cost the asking worker last: the cost known before a sweep may come from a
    handful of points and be mostly the price of asking for them.
    """

    def __init__(self, first: int, last: int, points_each: int, seconds: float) -> None:
        self._next = first
        self._last = last
        self._points_each = points_each
        self._seconds = seconds
        self._lock = threading.Lock()

    def take(self, worker: Evaluator) -> tuple[int, int] | None:
        """Return (first, last) of the next tile, None where all are taken."""
        items = max(1, worker.points_within(self._seconds) // self._points_each)
        with self._lock:
            first = self._next
            self._next = last = min(self._last, first + items)
        return (first, last) if first < last else None
