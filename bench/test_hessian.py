"""Hessians of Rosenbrock's function: every lane against what users would write or install instead.

Each bench compares its answer with the exact Hessian before it times. `extra_info` holds evaluations and the time
above the bare cost of f. Read ratios within one run; OPENBLAS_NUM_THREADS=1.
"""

import numpy as np
import pytest
from numba import njit

import hessfast

SIZES = [10, 100]


@njit
def rosenbrock(x):
    total = 0.0
    for i in range(x.size - 1):
        total += 100.0 * (x[i + 1] - x[i] * x[i]) ** 2 + (1.0 - x[i]) ** 2
    return total


def rosenbrock_numpy(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2, axis=0)


def rosenbrock_exact(x):
    H = np.diag(-400.0 * x[:-1], 1)
    H += H.T
    i = np.arange(x.size - 1)
    H[i, i] += 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
    H[i + 1, i + 1] += 200.0
    return H


@njit
def numba_loop(f, x, h):
    """The central formula with shared axis values, as a careful user writes it for numba."""
    n = x.size
    y = x.copy()
    up, down, H = np.empty(n), np.empty(n), np.empty((n, n))
    f0 = f(y)
    for i in range(n):
        y[i] = x[i] + h
        up[i] = f(y)
        y[i] = x[i] - h
        down[i] = f(y)
        y[i] = x[i]
        H[i, i] = (up[i] - 2.0 * f0 + down[i]) / h**2
        for j in range(i):
            y[i], y[j] = x[i] + h, x[j] + h
            both_up = f(y)
            y[i], y[j] = x[i] - h, x[j] - h
            both_down = f(y)
            y[i], y[j] = x[i], x[j]
            mixed = both_up - up[i] - up[j] + 2.0 * f0 + both_down - down[i] - down[j]
            H[i, j] = H[j, i] = 0.5 * mixed / h**2
    return H


def numpy_loop(f, x, h):
    """The four-point formula, as a textbook has it."""
    n = x.size
    H = np.empty((n, n))
    E = h * np.eye(n)
    for i in range(n):
        for j in range(i + 1):
            a, b = E[i], E[j]
            H[i, j] = H[j, i] = (f(x + a + b) - f(x + a - b) - f(x - a + b) + f(x - a - b)) / (4.0 * h * h)
    return H


def numdifftools_hessian(f, x):
    return pytest.importorskip("numdifftools").Hessian(f)(x)


def statsmodels_hessian(f, x):
    return pytest.importorskip("statsmodels.tools.numdiff").approx_hess3(x, f)


STEP = 2.0**-13
WAYS = {
    "native": lambda x: hessfast.hessian(rosenbrock, x, order=2, abs_step=STEP),
    "native, order 4": lambda x: hessfast.hessian(rosenbrock, x),
    "batched": lambda x: hessfast.hessian(rosenbrock_numpy, x, order=2, abs_step=STEP, vectorized=True),
    "python": lambda x: hessfast.hessian(rosenbrock_numpy, x, order=2, abs_step=STEP),
    "numba loop": lambda x: numba_loop(rosenbrock, x, STEP),
    "numpy loop": lambda x: numpy_loop(rosenbrock_numpy, x, STEP),
    "statsmodels": lambda x: statsmodels_hessian(rosenbrock_numpy, x),
    "numdifftools": lambda x: numdifftools_hessian(rosenbrock_numpy, x),
}


@pytest.mark.quick
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("way", WAYS)
def test_hessian(benchmark, way, n):
    if way == "numdifftools" and n > 10:
        pytest.skip("30 n² evaluations: minutes at this size")
    x = np.linspace(0.5, 1.5, n)
    H = WAYS[way](x)
    exact = rosenbrock_exact(x)
    assert np.max(np.abs(H - exact)) <= 1e-4 * np.max(np.abs(exact))
    benchmark.group = f"Hessian of Rosenbrock, n = {n}"
    benchmark.pedantic(WAYS[way], (x,), rounds=5 if n > 10 else 20, warmup_rounds=1)
