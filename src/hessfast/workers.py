"""Threads: how many a caller may ask for, and how many are of use."""

from __future__ import annotations

import operator
import os
from typing import Any

__all__ = ["cores", "thread_count"]

THREADS_A_CORE = 4
"""Beyond, threads only wait for each other: so many and no more are ever started."""


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def thread_count(workers: Any) -> int:
    """
    Return how many threads to use for an argument `workers`, 1 for None.

    Raises
    ------
    TypeError, ValueError
        It is no positive integer.
    """
    if workers is None:
        return 1
    try:
        count = operator.index(workers)
    except TypeError:
        raise TypeError(f"workers: must be an integer or None, got {workers!r}") from None
    if count < 1:
        raise ValueError(f"workers: must be at least 1, got {count}")
    return min(count, THREADS_A_CORE * cores())
