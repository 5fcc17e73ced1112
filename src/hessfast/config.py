"""What this build of hessfast is, and what the machine under it can do."""

from __future__ import annotations

import platform
import time
from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Thread
from typing import Any, Literal, overload

import numpy as np

from hessfast.algebra import _quadform
from hessfast.workers import cores

__all__ = ["read_bandwidth", "show_config"]

# Beyond any cache; each pass takes some tens of milliseconds.
_BANDWIDTH_BYTES = 256 << 20
_BANDWIDTH_PASSES = 5


@overload
def show_config(mode: Literal["stdout"] = "stdout", *, bandwidth: bool = False) -> None: ...
@overload
def show_config(mode: Literal["dicts"], *, bandwidth: bool = False) -> dict[str, Any]: ...
def show_config(mode: Literal["stdout", "dicts"] = "stdout", *, bandwidth: bool = False) -> dict[str, Any] | None:
    """
    Say the version, the compiler, the SIMD level in use and the cores of this machine.

    Parameters
    ----------
    mode : {"stdout", "dicts"}, default "stdout"
        Print, or return a dict.
    bandwidth : bool, default False
        Measure how fast one thread, and one a core, read memory: about a second, 256 MiB a thread.

    Returns
    -------
    dict or None
        Keys ``version``, ``python``, ``numpy``, ``compiler``, ``options``, ``simd_levels`` (built, best first),
        ``simd`` (in use; the environment variable HESSFAST_SIMD forces one), ``cores`` (that this process may use),
        and with `bandwidth` ``read_bandwidth``, bytes a second by number of threads.

    Examples
    --------
    >>> show_config("dicts")["simd"] in show_config("dicts")["simd_levels"]
    True
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode must be 'stdout' or 'dicts', got {mode!r}")
    from importlib.metadata import version  # slow to import

    available = cores()
    facts: dict[str, Any] = {
        "version": version("hessfast"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "compiler": _quadform.COMPILER,
        "options": _quadform.COMPILER_OPTIONS,
        "simd_levels": _quadform.SIMD_LEVELS,
        "simd": _quadform.SIMD_LEVEL,
        "cores": available,
    }
    if bandwidth:
        facts["read_bandwidth"] = {threads: read_bandwidth(threads) for threads in sorted({1, available})}
    if mode == "dicts":
        return facts
    for name, fact in facts.items():
        print(f"{name.replace('_', ' '):15} {_in_words(fact)}")
    return None


def read_bandwidth(threads: int = 1, size: int = _BANDWIDTH_BYTES, passes: int = _BANDWIDTH_PASSES) -> float:
    """
    Measure how fast memory is read.

    Parameters
    ----------
    threads : int, default 1
        Threads that read at the same time, each its own array.
    size : int
        Bytes of each array.
    passes : int
        Times that it is read; the fastest counts.

    Returns
    -------
    float
        Bytes a second, all threads together.
    """
    arrays = [np.ones(size // 8) for _ in range(threads)]
    together = Barrier(threads + 1)

    def work(array: Any) -> None:
        with suppress(BrokenBarrierError):  # the measurement was interrupted
            for _ in range(passes):
                together.wait()
                _quadform.read(array)
                together.wait()

    workers = [Thread(target=work, args=(array,), daemon=True) for array in arrays]
    fastest = np.inf
    try:
        for worker in workers:
            worker.start()
        for _ in range(passes):
            together.wait()
            start = time.perf_counter()
            together.wait()
            fastest = min(fastest, time.perf_counter() - start)
    finally:
        together.abort()
    return threads * (size // 8) * 8 / fastest


def _in_words(fact: Any) -> str:
    if isinstance(fact, dict):
        return ", ".join(f"{rate / 1e9:.1f} GB/s by {threads} threads" for threads, rate in fact.items())
    return ", ".join(fact) if isinstance(fact, tuple) else str(fact)
