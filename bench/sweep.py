"""Print how much the lanes add to f: ratios of interleaved runs, medians with quartiles.

    OPENBLAS_NUM_THREADS=1 python bench/sweep.py

The native lane against a numba double loop (same f object, step and evaluations; answers compared first) and against
the bare cost of f; two threads against one; the Python lane against bare calls. Single-threaded runs are timed by the
thread's own processor time, so that other programs on the machine do not count.
"""

import statistics
import time

import numpy as np
from numba import njit
from test_hessian import numba_loop, rosenbrock

import hessfast
from hessfast.functions import PythonFunction
from hessfast.lanes import make_evaluator


@njit(fastmath=True)
def rosenbrock_vectorised(x):
    total = 0.0
    for i in range(x.size - 1):
        total += 100.0 * (x[i + 1] - x[i] * x[i]) ** 2 + (1.0 - x[i]) ** 2
    return total


@njit
def bare(f, x, evaluations):
    """The cost of f alone; the sum keeps the calls from being dropped."""
    total = 0.0
    for _ in range(evaluations):
        total += f(x)
    return total


def interleaved(rounds, clock, *runs):
    """Time the runs in turn; return one list of times for each."""
    times = [[] for _ in runs]
    for _ in range(rounds):
        for run, kept in zip(runs, times, strict=True):
            start = clock()
            run()
            kept.append(clock() - start)
    return times


def ratio(ours, theirs):
    quotients = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    low, _, high = statistics.quantiles(quotients, n=4)
    return f"{statistics.median(quotients):6.3f} ({low:.3f} .. {high:.3f})"


def native(f, name, n, order, rounds):
    x = np.linspace(0.5, 1.5, n)
    step = 2.0**-13 if order == 2 else 2.0**-9
    result = hessfast.hessian(f, x, order=order, abs_step=step, full_output=True)

    def ours(workers=None):
        hessfast.hessian(f, x, order=order, abs_step=step, workers=workers)

    runs = [ours, lambda: bare(f, x, result.nfev)]
    if order == 2:
        rival = numba_loop(f, x, step)
        assert np.max(np.abs(rival - result.hess)) <= 1e-6 * np.max(np.abs(rival))
        runs.append(lambda: numba_loop(f, x, step))
    for run in runs:
        run()
    times = interleaved(rounds, time.thread_time, *runs)
    cost = statistics.median(times[1]) / result.nfev * 1e9
    print(f"{name}, n = {n}, order {order}, f of {cost:.0f} ns: over nfev x bare f {ratio(times[0], times[1])}")
    if order == 2:
        print(f"    over the numba loop {ratio(times[0], times[2])}")
    if n >= 1000:
        two, one = interleaved(rounds, time.perf_counter, lambda: ours(2), ours)
        print(f"    two threads over one {ratio(two, one)}")


def python_lane(n, rounds=40, evaluations=20_000):
    x = np.ones(n)
    index = np.zeros((evaluations, 2), dtype=np.int32)
    value = np.ones((evaluations, 2))

    def f(x):
        return 1.0

    evaluator = make_evaluator(PythonFunction(f), x)

    def calls():
        for _ in range(evaluations):
            f(x)

    def empty():
        for _ in range(evaluations):
            pass

    lane, bare_calls, loop = interleaved(
        rounds, time.thread_time, lambda: evaluator.displaced(index, value), calls, empty
    )
    median = [statistics.median(times) / evaluations * 1e9 for times in (lane, bare_calls, loop)]
    print(f"Python lane, n = {n}: {median[0]:.0f} ns an evaluation, a bare call {median[1] - median[2]:.0f} ns")


def main():
    for f, name in ((rosenbrock, "Rosenbrock"), (rosenbrock_vectorised, "Rosenbrock vectorised")):
        for n, order, rounds in ((100, 2, 60), (100, 4, 60), (1000, 2, 7), (1000, 4, 5)):
            native(f, name, n, order, rounds)
    for n in (10, 100, 1000):
        python_lane(n)


if __name__ == "__main__":
    main()
