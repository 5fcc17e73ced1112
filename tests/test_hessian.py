"""hessian(): what it returns, what it refuses, and what survives trouble."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from callbacks import X0, exact_hessian, gradient, library, log_sum_exp
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from hessfast import HessianStatus, hessian, hessian_diag
from hessfast import gradient as gradient_of
from hessfast.values.stencils import ORDERS


def test_plain_result_is_a_symmetric_array():
    H = hessian(log_sum_exp, X0)
    assert type(H) is np.ndarray
    assert H.dtype == np.float64
    np.testing.assert_array_equal(H, H.T)
    np.testing.assert_allclose(H, exact_hessian(X0), atol=1e-7)


@pytest.mark.parametrize("x0", [[1, 2], (1, 2), np.float32([1, 2]), np.array([1, 2], dtype=np.int8), range(1, 3)])
def test_any_real_one_dimensional_x0(x0):
    seen = []

    def f(x):
        seen.append((x.dtype, x.shape, type(x)))
        return float(x[0] ** 2 * x[1])

    np.testing.assert_allclose(hessian(f, x0), [[4.0, 2.0], [2.0, 0.0]], atol=1e-7)
    assert set(seen) == {(np.dtype(np.float64), (2,), np.ndarray)}


def test_one_variable():
    assert hessian(lambda x: x[0] ** 3, [2.0])[0, 0] == pytest.approx(12.0, rel=1e-8)


@given(st.integers(1, 6), st.integers(0, 10**6), st.sampled_from(ORDERS))
def test_quadratics_are_exact_to_rounding(n, seed, order):
    rng = np.random.default_rng(seed)
    A = rng.integers(-8, 9, (n, n)).astype(float)
    A = A + A.T
    x = rng.integers(-4, 5, n).astype(float)
    # Powers of two as steps and small integers: every value of f is exact.
    np.testing.assert_allclose(hessian(lambda x: 0.5 * x @ A @ x, x, order=order, abs_step=0.5), A, atol=1e-12)


def test_permuted_variables_permute_the_hessian():
    permutation = np.random.default_rng(3).permutation(X0.size)
    inverse = np.argsort(permutation)
    H = hessian(log_sum_exp, X0, abs_step=1e-2)
    permuted = hessian(lambda x: log_sum_exp(x[inverse]), X0[permutation], abs_step=1e-2)
    np.testing.assert_allclose(permuted, H[np.ix_(permutation, permutation)], atol=1e-9)


def test_given_steps_are_used_exactly():
    seen = []

    def f(x):
        seen.append(x.copy())
        return log_sum_exp(x)

    step = np.geomspace(1e-3, 1e-2, X0.size)
    hessian(f, X0, order=2, abs_step=step)
    displaced = np.array(seen) - X0
    for i in range(X0.size):
        used = np.unique(np.abs(displaced[:, i]))
        assert used[0] == 0.0
        np.testing.assert_allclose(used[1:], step[i], rtol=1e-12)


def test_rel_step_is_in_units_of_x_or_of_one():
    x = np.array([100.0, 0.0, -0.5])
    H = hessian(lambda x: np.cos(x).sum(), x, rel_step=2.0**-10)
    expected = hessian(lambda x: np.cos(x).sum(), x, abs_step=2.0**-10 * np.array([100.0, 1.0, 0.5]))
    np.testing.assert_array_equal(H, expected)


def test_full_output_repeats_bit_for_bit_from_its_steps():
    result = hessian(log_sum_exp, X0, abs_step=0.01, full_output=True)
    again = hessian(log_sum_exp, X0, abs_step=result.step, full_output=True)
    np.testing.assert_array_equal(again.hess, result.hess)
    assert result.success
    assert result.status is HessianStatus.UNVERIFIED
    assert result.fun == log_sum_exp(X0)
    np.testing.assert_allclose(result.jac, gradient(X0), atol=1e-7)
    np.testing.assert_array_equal(result.x, X0)


def test_mask_leaves_a_block():
    mask = np.zeros(X0.size, dtype=bool)
    mask[[1, 4, 7]] = True
    for options in ({}, {"jac": gradient}):
        result = hessian(log_sum_exp, X0, mask=mask, full_output=True, **options)
        np.testing.assert_array_equal(result.index, [1, 4, 7])
        np.testing.assert_allclose(result.hess, exact_hessian(X0)[np.ix_([1, 4, 7], [1, 4, 7])], atol=1e-7)


def test_masked_coordinates_are_never_moved():
    mask = np.arange(X0.size) % 2 == 0

    def f(x):
        np.testing.assert_array_equal(x[~mask], X0[~mask])
        return log_sum_exp(x)

    assert hessian(f, X0, mask=mask).shape == (6, 6)


def test_out_is_filled_and_returned():
    out = np.empty((X0.size, X0.size))
    assert hessian(log_sum_exp, X0, abs_step=1e-2, out=out) is out
    np.testing.assert_array_equal(out, hessian(log_sum_exp, X0, abs_step=1e-2))
    assert hessian(log_sum_exp, X0, out=out, full_output=True).hess is out


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"x0": [[1.0, 2.0]]}, ValueError, "x0"),
        ({"x0": []}, ValueError, "x0"),
        ({"x0": [1.0, np.nan]}, ValueError, r"x0\[1\]"),
        ({"x0": [1.0, np.inf]}, ValueError, "x0"),
        ({"x0": [1.0, 2j]}, TypeError, "x0"),
        ({"x0": [1.0, None]}, TypeError, "x0"),
        ({"x0": ["a", "b"]}, TypeError, "x0"),
        ({"fun": 3.0}, TypeError, "fun"),
        ({"fun": None}, TypeError, "fun"),
        ({"jac": "2-point"}, TypeError, "jac"),
        ({"order": 3}, ValueError, "order"),
        ({"order": True}, ValueError, "order"),
        ({"abs_step": 0.0}, ValueError, "abs_step"),
        ({"abs_step": [0.1, 0.1, 0.1]}, ValueError, "abs_step"),
        ({"abs_step": np.nan}, ValueError, "abs_step"),
        ({"abs_step": 1e-30}, ValueError, "vanishes"),
        ({"abs_step": 1e308}, ValueError, "overflows"),
        ({"rel_step": 1j}, TypeError, "rel_step"),
        ({"abs_step": 0.1, "rel_step": 0.1}, ValueError, "rel_step, abs_step"),
        ({"mask": [1, 0]}, TypeError, "mask"),
        ({"mask": [True]}, ValueError, "mask"),
        ({"mask": [False, False]}, ValueError, "mask"),
        ({"workers": 0}, ValueError, "workers"),
        ({"workers": 2}, TypeError, "workers"),
        ({"workers": 1.5}, TypeError, "workers.*integer"),
        ({"kwargs": [1.0]}, TypeError, "kwargs.*mapping"),
        ({"kwargs": 5}, TypeError, "kwargs.*mapping"),
        ({"kwargs": {1: 2.0}}, TypeError, "kwargs.*names"),
        ({"vectorized": "no"}, TypeError, "vectorized"),
        ({"method": np.array(["fd", "cs"])}, ValueError, "method"),
        ({"order": np.array([4])}, ValueError, "order"),
        ({"order": [4]}, ValueError, "order"),
        ({"noise": "a"}, TypeError, "noise"),
        ({"noise": [1e-3, 1e-3]}, TypeError, "noise"),
        ({"noise": -1.0}, ValueError, "noise"),
        ({"noise": 10**400}, TypeError, "noise"),
        ({"x_scale": 0.0}, ValueError, "x_scale"),
        ({"x_scale": [1.0, np.inf]}, ValueError, "x_scale"),
        ({"x_scale": [1.0, 1.0, 1.0]}, ValueError, "x_scale.*shape"),
        ({"x_scale": "jac"}, TypeError, "x_scale"),
        ({"x0": [[1.0], [1.0, 2.0]]}, ValueError, "x0"),
        ({"mask": [[True], [True, False]]}, ValueError, "mask"),
        ({"abs_step": [[0.1], [0.1, 0.2]]}, ValueError, "abs_step"),
        ({"on_error": "ignore"}, TypeError, "on_error"),
        ({"out": np.empty((3, 3))}, ValueError, "out"),
        ({"out": np.empty((2, 2), dtype=np.float32)}, TypeError, "out"),
        ({"out": np.empty((2, 4))[:, ::2]}, ValueError, "out"),
        ({"fun": lambda x: x}, ValueError, "fun.*shape"),
        ({"fun": lambda x: 1j}, TypeError, "fun.*complex"),
        ({"fun": lambda x: np.array(1j)}, TypeError, "fun.*complex"),
        ({"fun": lambda x: None}, TypeError, "fun.*NoneType"),
        ({"fun": lambda x: "1"}, TypeError, "fun.*str"),
        ({"fun": lambda x: np.nan}, ValueError, "fun.*nan"),
        ({"jac": lambda x: x[0]}, ValueError, "jac.*shape"),
        ({"jac": lambda x: x * 1j}, TypeError, "jac.*complex"),
        ({"jac": lambda x: x * np.nan}, ValueError, "jac"),
        ({"jac": True}, TypeError, "jac.*True"),
        ({"vectorized": True, "fun": lambda X: 1.0}, ValueError, r"fun: vectorized.*\(1,\)"),
    ],
)
def test_bad_input_is_named(arguments, error, named):
    call = {"fun": lambda x: float(x @ x), "x0": [1.0, 2.0]} | arguments
    with pytest.raises(error, match=named):
        hessian(call.pop("fun"), call.pop("x0"), **call)


MASKED = np.ma.array([1.0, 2.0], mask=[False, True])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("x0", {"x0": MASKED}),
        ("x_scale", {"x_scale": MASKED}),
        ("abs_step", {"abs_step": MASKED}),
        ("rel_step", {"rel_step": MASKED}),
        ("noise", {"noise": np.ma.masked}),
        ("bounds", {"bounds": (MASKED, None)}),
        ("bounds", {"bounds": np.ma.array(np.array([[0.0, 9.0], [0.0, 9.0]]))}),
        ("mask", {"mask": np.ma.array([True, False])}),
        ("out", {"out": np.ma.array(np.zeros((2, 2)))}),
    ],
)
def test_masked_arrays_are_refused(name, arguments):
    call = {"fun": lambda x: float(x @ x), "x0": [1.0, 2.0]} | arguments
    with pytest.raises(TypeError, match=name):
        hessian(call.pop("fun"), call.pop("x0"), **call)


# ---- bounds in all their forms


LB, UB = [0.0, -np.inf, 1.0], [1.0, 2.0, np.inf]


@pytest.mark.parametrize(
    "bounds",
    [
        (LB, UB),
        (np.array(LB), UB),
        (tuple(LB), tuple(UB)),
        ([0.0, None, 1.0], [1.0, 2.0, None]),
        [(0.0, 1.0), (None, 2.0), (1.0, None)],
        [[0.0, 1.0], [None, 2.0], [1.0, np.inf]],
        ((0.0, 1.0), (None, 2.0), (1.0, None)),
        np.column_stack([LB, UB]),
        np.array([[0.0, 1.0], [None, 2.0], [1.0, None]]),
        [np.array([0.0, 1.0]), (-np.inf, 2.0), [1.0, np.inf]],
    ],
    ids=str,
)
def test_bounds_in_every_form(bounds):
    result = hessian(lambda x: float(x @ x), [0.5, 1.5, 1.0], bounds=bounds, full_output=True)
    np.testing.assert_array_equal([result.lower, result.upper], [LB, UB])


@pytest.mark.parametrize(
    ("bounds", "lower", "upper"),
    [
        ([(0, 1), (2, 3)], [0, 2], [1, 3]),
        (([0, 2], [1, 3]), [0, 2], [1, 3]),
        ((np.array([0, 2]), np.array([1, 3])), [0, 2], [1, 3]),
        (np.array([[0, 1], [2, 3]]), [0, 2], [1, 3]),
        (([0, 2], (1, 3)), [0, 2], [1, 3]),
        ((0, (1, 3)), [0, 0], [1, 3]),
        ((0, 3), [0, 0], [3, 3]),
        ((None, 3), [-np.inf, -np.inf], [3, 3]),
    ],
    ids=str,
)
def test_bounds_of_two_coordinates(bounds, lower, upper):
    result = hessian(
        lambda x: float(x @ x), [0.5, 2.5] if upper[0] == 1 else [0.5, 1.5], bounds=bounds, full_output=True
    )
    np.testing.assert_array_equal([result.lower, result.upper], [lower, upper])


@pytest.mark.parametrize("bounds", [((0, 1), (0, 1)), [[0, 1], [0, 1]], [np.zeros(2), np.ones(2)], [(0, 1), [0, 1]]])
def test_bounds_that_read_both_ways_are_refused(bounds):
    with pytest.raises(ValueError, match=r"both as \(lb, ub\).*scipy.optimize.Bounds"):
        hessian(lambda x: float(x @ x), [0.5, 0.5], bounds=bounds)


@pytest.mark.parametrize(
    ("bounds", "error"),
    [
        ([(0, 9)], ValueError),
        ([0, 9], ValueError),
        ((0, 9, 9), ValueError),
        ([(0, 9)] * 4, ValueError),
        (np.zeros((2, 3)), ValueError),
        (np.zeros(3), ValueError),
        (([0, 0], 9), ValueError),
        (((0, 9), 9), ValueError),
        ([(0, 9, 9)] * 3, ValueError),
        ((["a", 0, 0], 9), TypeError),
        ((None, 1j), TypeError),
        ("box", TypeError),
        (9, TypeError),
        ({"lb": 0}, TypeError),
        ((0.0, 0.25), ValueError),
        ((np.nan, None), ValueError),
    ],
    ids=str,
)
def test_bad_bounds_are_named(bounds, error):
    with pytest.raises(error, match="bounds"):
        hessian(lambda x: float(x @ x), [0.5, 0.5, 0.5], bounds=bounds)


# ---- one variable, one value


@pytest.mark.parametrize("x0", [2.0, 2, np.float32(2), np.array(2.0), [2.0], (2,)])
@pytest.mark.parametrize("bounds", [None, (0, 5), [(0, 5)], ([0], [5]), ((0, 5),), np.array([[0, 5]])], ids=str)
def test_number_is_a_point_of_one_coordinate(x0, bounds):
    def f(x):
        assert x.shape == (1,)
        return x[0] ** 3

    result = hessian(f, x0, bounds=bounds, full_output=True)
    np.testing.assert_allclose(result.hess, [[12.0]], rtol=1e-8)
    assert result.x.shape == (1,)
    assert gradient_of(f, x0, bounds=bounds).shape == hessian_diag(f, x0, bounds=bounds).shape == (1,)


def test_gradient_of_one_variable_may_be_a_number():
    for slope in (lambda x: 3.0 * x[0] ** 2, lambda x: 3.0 * x**2):
        np.testing.assert_allclose(hessian(None, 2.0, jac=slope), [[12.0]], rtol=1e-10)
        np.testing.assert_allclose(hessian(None, 2.0, jac=slope, method="cs"), [[12.0]], rtol=1e-14)
    np.testing.assert_allclose(hessian(lambda x: (x[0] ** 3, 3.0 * x[0] ** 2), 2.0, jac=True), [[12.0]], rtol=1e-10)


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
@pytest.mark.parametrize(
    "options", [{}, {"abs_step": 0.01}, {"method": "cs"}, {"workers": None, "on_error": ValueError}]
)
def test_array_of_one_value(shape, options):
    A = np.array([[2.0, 1.0], [1.0, 4.0]])
    H = hessian(lambda x: np.reshape(0.5 * x @ A @ x, shape), [1.0, 2.0], **options)
    np.testing.assert_allclose(H, A, atol=1e-9)
    assert gradient_of(lambda x: np.reshape(0.5 * x @ A @ x, shape), [1.0, 2.0]).shape == (2,)


@pytest.mark.parametrize("value", [10**400, np.ma.array([1.0], mask=True), np.ma.masked])
def test_value_that_is_no_number_is_not_finite(value):
    with pytest.raises(ValueError, match=r"fun: is (inf|nan) at x0"):
        hessian(lambda x: value, [1.0, 2.0])


@pytest.mark.parametrize(
    "number", [np.float32(2), np.float64(2), 2, np.int64(2), np.array(2.0), np.array([[2.0]]), True]
)
def test_any_single_real_number_will_do(number):
    np.testing.assert_array_equal(hessian(lambda x: number, [1.0, 2.0]), np.zeros((2, 2)))


class OutOfDomainError(Exception):
    pass


@pytest.mark.parametrize("options", [{}, {"jac": gradient}, {"vectorized": True}], ids=["python", "jac", "batched"])
def test_exception_inside_f_comes_out_as_itself_with_its_point(options):
    calls = []

    def fails_late(x):
        calls.append(None)
        if len(calls) > 2:
            raise OutOfDomainError("too far")
        return gradient(x) if "jac" in options else x.sum(axis=0)

    if "jac" in options:
        options = {"jac": fails_late}
    out = np.full((X0.size, X0.size), 7.0)
    with pytest.raises(OutOfDomainError, match="too far") as caught:
        hessian(fails_late if "jac" not in options else None, X0, out=out, **options)
    assert "evaluation" in caught.value.__notes__[0]
    assert "x = [" in caught.value.__notes__[0]
    assert (out == 7.0).all()


@pytest.mark.parametrize("workers", [None, 2])
def test_exception_inside_a_numba_f_comes_out_as_itself(workers):
    @njit
    def f(x):
        if x[1] > 2.0:
            raise ValueError("x[1] is too large")
        return x[0] * x[1]

    with pytest.raises(ValueError, match=r"x\[1\] is too large") as caught:
        hessian(f, [1.0, 2.0], workers=workers)
    assert "x = [1." in caught.value.__notes__[0]


def test_entries_that_depend_on_nan_are_nan_and_counted():
    def f(x):
        return np.log(x[0]) + x[1] ** 2 * x[0] if x[0] > 0 else np.nan

    with pytest.warns(RuntimeWarning, match="3 entries are NaN"):
        result = hessian(f, [1e-3, 1.0], abs_step=1e-2, full_output=True)
    np.testing.assert_array_equal(np.isnan(result.hess), [[True, True], [True, False]])
    assert result.status is HessianStatus.NOT_FINITE
    assert not result.success


@pytest.mark.parametrize("workers", [None, 2])
def test_interrupt_ends_a_native_run_and_leaves_out_alone(workers):
    lib = library()
    out = np.full((X0.size, X0.size), 7.0)
    # 313 evaluations of 20 ms: some six seconds, of which the first quarter runs.
    sent = []

    def interrupt():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(1.0, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        hessian(lib.slow, X0, abs_step=1e-2, workers=workers, out=out)
    timer.join()
    lib.reset()
    assert (out == 7.0).all()
    time.sleep(0.1)
    assert lib.count() == 0, "a worker is still running"
    np.testing.assert_array_equal(
        hessian(lib.lse, X0, abs_step=1e-2, workers=workers), hessian(lib.lse, X0, abs_step=1e-2)
    )


def test_bounds_on_one_side():
    H = hessian(lambda x: -np.log(x).sum(), [1e-3, 1.0], bounds=(0.0, None))
    np.testing.assert_allclose(H, np.diag([1e6, 1.0]), rtol=1e-6, atol=1e-3)


def test_scipy_bounds_of_scalars():
    optimize = pytest.importorskip("scipy.optimize")
    H = hessian(lambda x: np.log(x).sum(), [1e-3, 1.0, 2.0], bounds=optimize.Bounds(0.0, 2.0))
    np.testing.assert_allclose(H, np.diag([-1e6, -1.0, -0.25]), rtol=1e-5, atol=1e-4)


def test_serves_scipy_minimize():
    optimize = pytest.importorskip("scipy.optimize")
    found = optimize.minimize(
        optimize.rosen,
        [1.3, 0.7, 0.8],
        method="trust-exact",
        jac=optimize.rosen_der,
        hess=lambda x: hessian(optimize.rosen, x),
    )
    np.testing.assert_allclose(found.x, 1.0, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"vectorized": True}, {"abs_step": 1e-3}])
def test_exception_at_x0_behind_a_wall_is_the_cause(options):
    def f(x):
        raise RuntimeError("no convergence")

    with pytest.raises(ValueError, match="fun: is nan at x0") as caught:
        hessian(f, [1.0, 2.0], on_error=RuntimeError, **options)
    assert str(caught.value.__cause__) == "no convergence"
