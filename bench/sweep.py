"""Print how much the lanes add to f: ratios of interleaved runs, medians with quartiles.

    OPENBLAS_NUM_THREADS=1 python bench/sweep.py

The native lane against a numba double loop (same f object, step and evaluations; answers compared first), against the
bare cost of f, which numba may inline, and against f called as the callback that it must be here; two threads against
one; the Python lane against bare calls. Single-threaded runs are timed by the thread's own processor time, so that
other programs on the machine do not count.
"""

import ctypes
import statistics
import subprocess
import sys
import time

import numpy as np
from numba import carray, cfunc, njit, types
from test_hessian import numba_loop, rosenbrock

import hessfast
from hessfast.calls.functions import PythonFunction
from hessfast.calls.lanes import make_evaluator


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


@njit
def bare_callback(callback, n, x, data, evaluations):
    """The cost of f as machine code that is called, as the sweep calls it, and not inlined into the loop."""
    total = 0.0
    for _ in range(evaluations):
        total += callback(n, x, data)
    return total


def as_callback(f, x):
    """Return callback, n, x, data: what the sweep calls for a numba function."""
    compiled = hessfast.calls.njit.callback(f, (), gradient=False)
    block = hessfast.calls.njit.block(compiled, ())
    form = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    return (form(compiled.address), x.size, x.ctypes.data, block.address), (compiled, block)


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

    call, _alive = as_callback(f, x)
    assert bare_callback(*call, 1) == f(x)
    runs = [ours, lambda: bare(f, x, result.nfev), lambda: bare_callback(*call, result.nfev)]
    if order == 2:
        rival = numba_loop(f, x, step)
        assert np.max(np.abs(rival - result.hess)) <= 1e-6 * np.max(np.abs(rival))
        runs.append(lambda: numba_loop(f, x, step))
    for run in runs:
        run()
    times = interleaved(rounds, time.thread_time, *runs)
    cost = statistics.median(times[1]) / result.nfev * 1e9
    print(f"{name}, n = {n}, order {order}, f of {cost:.0f} ns: over nfev x bare f {ratio(times[0], times[1])}")
    print(f"    over nfev calls of it as a callback {ratio(times[0], times[2])}")
    if order == 2:
        print(f"    over the numba loop {ratio(times[0], times[3])}")
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


def searched(f, n, rounds, calls):
    """A whole default run, search for steps included, over nfev calls of f."""
    x = np.linspace(0.5, 1.5, n)
    result = hessfast.hessian(f, x, full_output=True)
    times = interleaved(rounds, time.thread_time, lambda: hessfast.hessian(f, x), lambda: calls(f, x, result.nfev))
    cost = statistics.median(times[1]) / result.nfev * 1e9
    print(f"searched steps, n = {n}, f of {cost:.0f} ns: over nfev x f {ratio(*times)}; {result.evaluations}")


def python_calls(f, x, evaluations):
    for _ in range(evaluations):
        f(x)


def rosenbrock_python(x):
    d = x[1:] - x[:-1] * x[:-1]
    e = 1.0 - x[:-1]
    return float(100.0 * (d @ d) + e @ e)


def import_time(rounds=15):
    """Processor time that importing hessfast adds to importing numpy: the main thread's, in fresh processes in turn."""

    def run(what):
        code = f"import time; start = time.thread_time(); {what}; print(time.thread_time() - start)"
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    added = [run("import numpy, hessfast") - run("import numpy") for _ in range(rounds)]
    print(f"import hessfast adds {statistics.median(added) * 1e3:.0f} ms to import numpy")


def dispatch():
    """A whole small call: a numba function as it is, and the same as a cfunc."""
    x = np.array([0.5, 1.0])

    @cfunc(types.float64(types.intc, types.CPointer(types.float64), types.voidptr))
    def callback(n, x, data):
        return rosenbrock(carray(x, n))

    runs = [lambda f=f: hessfast.hessian(f, x, order=2, abs_step=0.01) for f in (rosenbrock, callback)]
    as_njit, as_cfunc = (statistics.median(times) * 1e6 for times in interleaved(300, time.thread_time, *runs))
    print(f"one call at n = 2: njit {as_njit:.0f} µs, cfunc {as_cfunc:.0f} µs")


def main():
    import_time()
    dispatch()
    searched(rosenbrock_python, 200, 3, python_calls)
    searched(rosenbrock, 1000, 3, bare)
    searched(rosenbrock_vectorised, 1000, 5, bare)
    for f, name in ((rosenbrock, "Rosenbrock"), (rosenbrock_vectorised, "Rosenbrock vectorised")):
        for n, order, rounds in ((100, 2, 60), (100, 4, 60), (1000, 2, 7), (1000, 4, 5)):
            native(f, name, n, order, rounds)
    for n in (10, 100, 1000):
        python_lane(n)


if __name__ == "__main__":
    main()
