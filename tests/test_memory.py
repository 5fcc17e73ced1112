"""Memory: what the docs say of its peak, and none that grows from call to call."""

import gc
import sys
import tracemalloc
import warnings
from contextlib import suppress

import numpy as np
import pytest
from numba import njit

from hessfast import curvature, hessian, hvp, resolution
from hessfast.calls import batched_lane
from hessfast.gradients import columns
from hessfast.values import layout, sweep


def peak(run, n, known=lambda: 0):
    """Peak in bytes at n coordinates, above what is known to be there."""
    x = np.random.default_rng(n).uniform(0.5, 1.5, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        gc.collect()
        tracemalloc.start()
        try:
            run(x)
            return tracemalloc.get_traced_memory()[1] - known()
        finally:
            tracemalloc.stop()


def bytes_an_entry(run, n=80):
    """Peak in units of n²; what is constant, and what grows like n, cancels."""
    peak(run, 8)
    return (peak(run, 3 * n) - 2 * peak(run, 2 * n) + peak(run, n)) / (2 * n * n)


def at_half_the_bounds(x):
    return np.where(np.arange(x.size) % 2 == 0, x, -np.inf), np.inf


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a fixed size, which the docs call tiles, small beside matrices that are quickly made."""
    for module in (layout, sweep):
        monkeypatch.setattr(module, "BLOCK", 1 << 11)
    monkeypatch.setattr(sweep, "PAIRS", 1 << 7)
    monkeypatch.setattr(resolution, "_BLOCK", 1 << 11)
    monkeypatch.setattr(columns, "_BLOCK_BYTES", 1 << 14)
    monkeypatch.setattr(batched_lane, "_BLOCK_BYTES", 1 << 16)


def value(x):
    return np.exp(x / 3.0).sum(axis=0) + 0.1 * x.sum(axis=0) ** 2


def slope(x):
    return np.exp(x / 3.0) / 3.0 + 0.2 * x.sum(axis=0)


COLUMNS = {"vectorized": True}
STEPS = {
    "values": lambda x: hessian(value, x, **COLUMNS, abs_step=1e-2),
    "values at bounds": lambda x: hessian(value, x, **COLUMNS, abs_step=1e-2, bounds=(x, np.inf)),
    "values at half the bounds": lambda x: hessian(value, x, **COLUMNS, abs_step=1e-2, bounds=at_half_the_bounds(x)),
    "gradients": lambda x: hessian(None, x, jac=slope, **COLUMNS, abs_step=1e-2),
    "gradients of order 8": lambda x: hessian(None, x, jac=slope, **COLUMNS, abs_step=1e-2, order=8),
}
BARS = {
    "values": lambda x: hessian(value, x, **COLUMNS, full_output=True),
    "values of order 2": lambda x: hessian(value, x, **COLUMNS, order=2, full_output=True),
    "values at half the bounds": lambda x: hessian(value, x, **COLUMNS, bounds=at_half_the_bounds(x), full_output=True),
}


@pytest.mark.parametrize("route", STEPS)
def test_eight_bytes_an_entry_with_steps(route, small_blocks):
    assert bytes_an_entry(STEPS[route]) < 1.5 * 8


@pytest.mark.parametrize("order", [2, 4])
def test_five_matrices_from_gradients_with_bars(order, small_blocks):
    def run(x):
        hessian(None, x, jac=slope, **COLUMNS, order=order, full_output=True)

    assert bytes_an_entry(run) < 1.2 * 8 * 5


@pytest.mark.parametrize("route", BARS)
def test_four_matrices_with_bars(route, small_blocks, monkeypatch):
    """The searches of the axes, done before, grow like n."""
    search, known = sweep.run, [0]

    def watched(*args, **kwargs):
        yield from search(*args, **kwargs)
        gc.collect()
        tracemalloc.reset_peak()
        known[0] = tracemalloc.get_traced_memory()[0]

    monkeypatch.setattr(sweep, "run", watched)
    n, run = 240, BARS[route]
    peak(run, 8)
    entry = peak(run, n, known=lambda: known[0]) / (n * n)
    assert entry < 1.2 * 8 * 4


X, V = np.array([1.0, 2.0]), np.array([1.0, -1.0])


class FarError(Exception):
    pass


def far_value(x, y):
    if np.any(x[0].real > 1.0005):
        raise FarError
    return y[0] * (x * x).sum(axis=0)


def far_slope(x, y):
    if x[0] > 1.0005:
        raise FarError
    return 2.0 * y[0] * x


@njit
def near_compiled(x, y):
    return y[0] * (x * x).sum()


@njit
def far_compiled(x, y):
    if x[0] > 1.0005:
        raise ValueError("far")
    return y[0] * (x * x).sum()


@njit
def far_compiled_slope(x, y):
    if x[0] > 1.0005:
        raise ValueError("far")
    return 2.0 * y[0] * x


CALLS = {
    "python": lambda y: hessian(lambda x: y[0] * (x @ x), X),
    "python raising": lambda y: hessian(far_value, X, args=(y,)),
    "python walled": lambda y: hessian(far_value, X, args=(y,), on_error=FarError),
    "batched raising": lambda y: hessian(far_value, X, args=(y,), vectorized=True),
    "batched walled": lambda y: hessian(far_value, X, args=(y,), vectorized=True, on_error=FarError),
    "compiled": lambda y: hessian(near_compiled, X, args=(y,)),
    "compiled in two threads": lambda y: hessian(near_compiled, X, args=(y,), workers=2),
    "compiled raising": lambda y: hessian(far_compiled, X, args=(y,)),
    "compiled walled": lambda y: hessian(far_compiled, X, args=(y,), on_error=ValueError),
    "compiled walled in two threads": lambda y: hessian(far_compiled, X, args=(y,), on_error=ValueError, workers=2),
    "compiled gradients raising": lambda y: hessian(None, X, jac=far_compiled_slope, args=(y,)),
    "compiled gradients walled": lambda y: hessian(None, X, jac=far_compiled_slope, args=(y,), on_error=ValueError),
    "gradients raising": lambda y: hessian(None, X, jac=far_slope, args=(y,)),
    "gradients walled": lambda y: hessian(None, X, jac=far_slope, args=(y,), on_error=FarError),
    "complex raising": lambda y: hessian(far_value, X + 1.0, args=(y,), method="cs"),
    "curvature raising": lambda y: curvature(far_value, X, V, args=(y,)),
    "products raising": lambda y: hvp(None, X, V, jac=far_slope, args=(y,)),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("route", CALLS)
def test_flat_over_many_calls(route):
    """Arguments of 0.4 MB each, which would come to 24 MB."""

    def calls(count):
        for _ in range(count):
            with warnings.catch_warnings(), suppress(FarError, ValueError):
                warnings.simplefilter("ignore", RuntimeWarning)
                CALLS[route](np.ones(50_000))
        gc.collect()
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * 4096

    before = calls(12)
    assert calls(60) - before < 15 * 400_000
