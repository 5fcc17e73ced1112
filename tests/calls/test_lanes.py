"""Every lane: the same numbers, true counts, and no harm from an f that misbehaves."""

import ctypes

import numpy as np
import pytest
from callbacks import (
    X0,
    N,
    address,
    capsule,
    exact_hessian,
    gradient,
    gradient_columns,
    library,
    log_sum_exp,
    log_sum_exp_columns,
)
from numba import carray, cfunc, njit, types

from hessfast import hessian, native
from hessfast.values.stencils import ORDERS

CALLBACK = types.float64(types.intc, types.CPointer(types.float64), types.voidptr)


class Counted:
    """A function that counts its calls; batched ones by the column."""

    def __init__(self, fun):
        self.fun = fun
        self.calls = 0

    def __call__(self, x, *args):
        self.calls += 1 if x.ndim == 1 else x.shape[1]
        return self.fun(x, *args)


def lanes():
    lib = library()
    signature = "double (int, double *, void *)"
    return {
        "python": (log_sum_exp, {}),
        "batched": (log_sum_exp_columns, {"vectorized": True}),
        "ctypes": (lib.lse, {}),
        "ctypes without data": (lib.lse_plain, {}),
        "capsule": (capsule(lib.lse, signature), {}),
        "address": (native(address(lib.lse), signature=signature), {}),
        "two threads": (lib.lse, {"workers": 2}),
        "gradient": (None, {"jac": gradient}),
        "gradient batched": (None, {"jac": gradient_columns, "vectorized": True}),
        "gradient native": (None, {"jac": lib.lse_gradient}),
        "gradient two threads": (None, {"jac": lib.lse_gradient, "workers": 2}),
        "value and gradient": (lambda x: (log_sum_exp(x), gradient(x)), {"jac": True}),
    }


LANES = list(lanes())


@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("order", ORDERS)
def test_halving_the_step_divides_the_error_by_two_to_the_order(lane, order):
    fun, options = lanes()[lane]
    exact = exact_hessian(X0)
    diagonal = np.eye(N, dtype=bool)
    errors = []
    for step in {1: (2e-3, 1e-3), 2: (0.02, 0.01), 4: (0.05, 0.025), 6: (0.06, 0.03), 8: (0.06, 0.03)}[order]:
        error = hessian(fun, X0, order=order, abs_step=step, **options) - exact
        errors.append([np.linalg.norm(error[diagonal]), np.linalg.norm(error[~diagonal])])
    ratios = np.divide(*errors) / 2.0**order
    assert np.all(np.abs(ratios - 1.0) <= 0.2), ratios


@pytest.mark.parametrize("lane", LANES)
def test_best_step_of_order_4_reaches_eight_digits(lane):
    fun, options = lanes()[lane]
    exact = exact_hessian(X0)
    scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact)))
    errors = [
        np.max(np.abs(hessian(fun, X0, order=4, abs_step=step, **options) - exact) / scale)
        for step in (1e-2, 3e-3, 1e-3)
    ]
    assert min(errors) <= 1e-8


def test_native_forms_of_one_f_give_the_same_bits():
    lib = library()
    signature = "double (int, double *, void *)"
    first = hessian(lib.lse, X0, abs_step=1e-2)
    for fun in (lib.lse_plain, capsule(lib.lse, signature), native(address(lib.lse), signature=signature)):
        np.testing.assert_array_equal(hessian(fun, X0, abs_step=1e-2), first)
    for workers in (1, 2, 3):
        np.testing.assert_array_equal(hessian(lib.lse, X0, abs_step=1e-2, workers=workers), first)


def test_numba_forms_of_one_f_give_the_same_bits():
    @njit
    def f(x):
        total = 0.0
        for i in range(x.size):
            total += np.sqrt(2.0 + x[i]) * x[i - 1]
        return total

    @cfunc(CALLBACK)
    def callback(n, x, data):
        return f(carray(x, n))

    scipy = pytest.importorskip("scipy")
    first = hessian(f, X0, abs_step=1e-2)
    for fun in (callback, callback.ctypes, scipy.LowLevelCallable(callback.ctypes)):
        np.testing.assert_array_equal(hessian(fun, X0, abs_step=1e-2), first)
    np.testing.assert_array_equal(hessian(f.py_func, X0, abs_step=1e-2), first)


def test_cffi_function_pointer():
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    pointer = ffi.cast("double(*)(int, double *, void *)", address(library().lse))
    np.testing.assert_array_equal(hessian(pointer, X0, abs_step=1e-2), hessian(library().lse, X0, abs_step=1e-2))


def test_data_pointer_and_factory():
    lib = library()
    scale = np.array([3.0])
    expected = 3.0 * exact_hessian(X0)
    made = []

    def factory():
        made.append(scale.copy())
        return made[-1]

    np.testing.assert_allclose(hessian(native(lib.scaled, data=scale), X0, abs_step=3e-3), expected, atol=1e-8)
    np.testing.assert_allclose(
        hessian(native(lib.scaled, data=factory), X0, abs_step=3e-3, workers=3), expected, atol=1e-8
    )
    assert len(made) == 3


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("lane", ["python", "batched", "gradient", "gradient batched", "value and gradient"])
def test_counts_are_true_in_python(lane, order):
    fun, options = lanes()[lane]
    fun = fun and Counted(fun)
    if callable(options.get("jac")):
        options["jac"] = Counted(options["jac"])
    result = hessian(fun, X0, order=order, abs_step=1e-2, full_output=True, **options)
    calls = sum(counted.calls for counted in (fun, options.get("jac")) if isinstance(counted, Counted))
    assert result.nfev + result.njev == calls
    if options.get("jac"):
        assert result.njev == 1 + (2 * N * order // 2 if order > 1 else N)
    else:
        assert result.nfev == 1 + 2 * N * max(1, order // 2) + order * N * (N - 1) // 2


@pytest.mark.parametrize("workers", [None, 1, 2, 3])
def test_counts_are_true_in_native_code(workers):
    lib = library()
    for fun, jac in ((lib.lse, None), (None, lib.lse_gradient), (lib.scribbling, None)):
        lib.reset()
        result = hessian(fun, X0, jac=jac, abs_step=1e-2, workers=workers, full_output=True)
        assert result.nfev + result.njev == lib.count()
        if jac is None:  # a writer is found at x0: nothing is evaluated twice
            assert result.nfev == 1 + 4 * N + 2 * N * (N - 1)


def test_native_f_that_writes_into_x_does_no_harm():
    lib = library()
    for workers in (None, 2):
        np.testing.assert_array_equal(
            hessian(lib.scribbling, X0, abs_step=1e-2, workers=workers), hessian(lib.lse, X0, abs_step=1e-2)
        )


def test_numba_f_that_writes_into_x_does_no_harm():
    @njit
    def f(x):
        value = x[0] ** 2 * x[1]
        x[1] = 100.0
        return value

    np.testing.assert_allclose(hessian(f, [3.0, 2.0]), [[4.0, 6.0], [6.0, 0.0]], atol=1e-6)


def keeper(kept, keep):
    def f(x):
        kept.append((keep(x), x.copy()))
        return log_sum_exp(x)

    return f


@pytest.mark.parametrize(
    "keep", [lambda x: x, lambda x: x[::2], memoryview, lambda x: x[::2][::2], lambda x: [x, x.T], np.ndarray.__iter__]
)
@pytest.mark.parametrize("options", [{}, {"jac": gradient}], ids=["python", "gradient"])
def test_f_that_keeps_x_keeps_what_it_saw(keep, options):
    kept = []
    fun = keeper(kept, keep)
    reference = hessian(log_sum_exp, X0, abs_step=1e-2, **options)
    np.testing.assert_array_equal(hessian(fun, X0, abs_step=1e-2, **options), reference)
    for held, seen in kept:
        if isinstance(held, list):
            held = held[0]
        if not isinstance(held, (np.ndarray, memoryview)):
            held = np.fromiter(held, float)
        held = np.asarray(held)
        np.testing.assert_array_equal(held, seen[:: round(seen.size / held.size)])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda x: x.fill(7.0),
        lambda x: x.setflags(write=False),
        lambda x: setattr(x, "shape", (3, 4)),
        lambda x: setattr(x, "dtype", np.int64),
        lambda x: setattr(x, "dtype", ">f8"),
        lambda x: x.resize(5, refcheck=False),
        lambda x: x.sort(),
    ],
    ids=["fill", "read-only", "shape", "dtype", "byte order", "resize", "sort"],
)
def test_f_that_spoils_x_does_no_harm(spoil):
    def f(x):
        value = log_sum_exp(x)
        spoil(x)
        return value

    def columns(X):
        values = log_sum_exp_columns(X)
        X.fill(7.0)
        X.setflags(write=False)
        return values

    np.testing.assert_array_equal(hessian(f, X0, abs_step=1e-2), hessian(log_sum_exp, X0, abs_step=1e-2))
    np.testing.assert_array_equal(
        hessian(columns, X0, abs_step=1e-2, vectorized=True),
        hessian(log_sum_exp_columns, X0, abs_step=1e-2, vectorized=True),
    )


def test_batched_f_that_keeps_its_blocks_keeps_what_it_saw():
    kept = []

    def columns(X):
        kept.append((X[0], X[0].copy()))
        return log_sum_exp_columns(X)

    hessian(columns, X0, abs_step=1e-2, vectorized=True)
    assert len(kept) > 1
    for held, seen in kept:
        np.testing.assert_array_equal(held, seen)


def test_args_and_kwargs_reach_every_lane():
    def f(x, a, *, b=0.0):
        return a * (x**2).sum() + b * x[0] * x[1]

    def columns(X, a, *, b=0.0):
        return a * (X**2).sum(axis=0) + b * X[0] * X[1]

    @njit
    def compiled(x, a, b=0.0):
        return a * (x**2).sum() + b[0] * x[0] * x[1]

    expected = [[6.0, 5.0], [5.0, 6.0]]
    for fun, options in ((f, {}), (columns, {"vectorized": True})):
        H = hessian(fun, [1.0, 2.0], args=(3.0,), kwargs={"b": 5.0}, **options)
        np.testing.assert_allclose(H, expected, atol=1e-7)
    H = hessian(compiled, [1.0, 2.0], args=(3.0,), kwargs={"b": np.array([5.0])}, workers=2)
    np.testing.assert_allclose(H, expected, atol=1e-7)


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_columns(X):
    return np.sum(100.0 * (X[1:] - X[:-1] ** 2) ** 2 + (1.0 - X[:-1]) ** 2, axis=0)


def rosenbrock_gradient(x):
    g = np.zeros_like(x)
    g[:-1] = -400.0 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2.0 * (1.0 - x[:-1])
    g[1:] += 200.0 * (x[1:] - x[:-1] ** 2)
    return g


def rosenbrock_hessian(x):
    H = np.zeros((x.size, x.size))
    i = np.arange(x.size - 1)
    H[i, i] += 1200.0 * x[:-1] ** 2 - 400.0 * x[1:] + 2.0
    H[i + 1, i + 1] += 200.0
    H[i, i + 1] = H[i + 1, i] = -400.0 * x[:-1]
    return H


def test_rosenbrock_of_60_variables_through_every_lane():
    x = np.linspace(0.5, 1.5, 60)
    exact = rosenbrock_hessian(x)
    scale = np.sqrt(np.abs(np.outer(np.diag(exact), np.diag(exact))))
    compiled = njit(rosenbrock)
    for fun, options in (
        (rosenbrock, {}),
        (rosenbrock_columns, {"vectorized": True}),
        (compiled, {}),
        (compiled, {"workers": 2}),
        (None, {"jac": rosenbrock_gradient}),
        (None, {"jac": njit(rosenbrock_gradient)}),
    ):
        assert np.max(np.abs(hessian(fun, x, **options) - exact) / scale) <= 1e-7


def test_ctypes_address_zero_is_refused():
    with pytest.raises(ValueError, match="address is 0"):
        native(0, signature="double (int, double *)")


def test_c_double_pointer_data():
    value = ctypes.c_double(2.0)
    fun = native(library().scaled, data=ctypes.pointer(value))
    np.testing.assert_allclose(hessian(fun, X0, abs_step=3e-3), 2.0 * exact_hessian(X0), atol=1e-8)
