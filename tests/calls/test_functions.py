"""What is accepted as a function, and what is refused before it is called."""

import ctypes

import numpy as np
import pytest
from callbacks import X0, address, capsule, library
from numba import cfunc, types

from hessfast import hessian, native
from hessfast.calls.foreign import _normal, data_address
from hessfast.calls.functions import real_number

COORDINATES = ctypes.POINTER(ctypes.c_double)


@pytest.mark.parametrize(
    "spelling",
    [
        "double (int, double *, void *)",
        "double(int,double*,void*)",
        "double (int n, double *x, void *data)",
        "double (int, const double *, void *) noexcept nogil",
        "double (int  n,double* restrict x,void* user_data)",
    ],
)
def test_spellings_of_one_signature(spelling):
    assert _normal(spelling) == "double(int,double*,void*)"


@pytest.mark.parametrize(
    "signature",
    ["float (int, float *)", "double (double, double *)", "double (int, double *, double *)", "void (int)", "double"],
)
def test_wrong_signature_is_refused_before_a_call(signature):
    with pytest.raises(TypeError, match="signature"):
        native(address(library().lse), signature=signature)
    with pytest.raises(TypeError, match="signature"):
        hessian(capsule(library().lse, signature), X0)


def test_number_in_place_of_a_function_is_named():
    with pytest.raises(TypeError, match="fun: must be callable, got the number 3"):
        hessian(3, X0)
    with pytest.raises(TypeError, match="jac: must be callable, got the number 5"):
        hessian(None, X0, jac=5)


def test_ctypes_function_without_types_is_refused():
    untyped = ctypes.CDLL(None).abs
    with pytest.raises(TypeError, match="signature"):
        hessian(untyped, X0)


def test_ctypes_function_with_wrong_types_is_refused():
    wrong = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int, COORDINATES)(address(library().lse))
    with pytest.raises(TypeError, match="c_float"):
        hessian(wrong, X0)


def test_numba_cfunc_with_wrong_types_is_refused():
    @cfunc(types.float64(types.float64))
    def square(x):
        return x * x

    with pytest.raises(TypeError, match="signature"):
        hessian(square, X0)


def test_pointers_that_call_python_are_refused():
    def f(n, x):
        return 1.0

    for kind in (ctypes.CFUNCTYPE, ctypes.PYFUNCTYPE):
        wrapped = kind(ctypes.c_double, ctypes.c_int, COORDINATES)(f)
        with pytest.raises(TypeError, match="Python function"):
            hessian(wrapped, X0)
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    with pytest.raises(TypeError, match="Python function"):
        hessian(ffi.callback("double(int, double *)", f), X0)


def test_low_level_callable_of_python_is_refused():
    scipy = pytest.importorskip("scipy")
    wrapped = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int, COORDINATES)(lambda n, x: 1.0)
    with pytest.raises(TypeError, match="Python function"):
        hessian(scipy.LowLevelCallable(wrapped), X0)


def test_low_level_callable_carries_its_data():
    scipy = pytest.importorskip("scipy")
    scale = ctypes.c_double(2.0)
    wrapped = scipy.LowLevelCallable(library().scaled, ctypes.cast(ctypes.pointer(scale), ctypes.c_void_p))
    np.testing.assert_allclose(hessian(wrapped, X0, abs_step=1e-2), 2 * hessian(library().lse, X0, abs_step=1e-2))


def test_signature_that_contradicts_the_declared_one():
    with pytest.raises(ValueError, match="declares"):
        native(library().lse, signature="double (int, double *)")


def test_function_where_a_gradient_is_meant_and_the_other_way_round():
    with pytest.raises(TypeError, match="jac: a native gradient"):
        hessian(None, X0, jac=library().lse)
    with pytest.raises(TypeError, match="fun: a native function"):
        hessian(library().lse_gradient, X0)


def test_native_function_takes_no_args():
    with pytest.raises(TypeError, match="args"):
        hessian(library().lse, X0, args=(1.0,))


def test_native_refuses_what_is_not_native():
    with pytest.raises(TypeError, match="no native function"):
        native("lse")
    with pytest.raises(TypeError, match="needs no wrapper"):
        native(np.sum)
    with pytest.raises(TypeError, match="signature"):
        native(1234)


def test_data_without_an_address():
    with pytest.raises(TypeError, match="data"):
        hessian(native(library().lse, data="text"), X0)
    buffer = np.zeros(3)
    assert data_address(buffer) == (buffer.ctypes.data, buffer)
    assert data_address(None)[0] == 0
    assert data_address(64)[0] == 64


def test_real_number_says_what_came_instead():
    assert real_number(np.array(2)) == real_number(np.array([2.0])) == real_number(np.array([[2]])) == 2.0
    assert real_number(10**400) == np.inf
    assert np.isnan(real_number(np.ma.masked))
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        real_number(np.array([2.0, 2.0]))
    with pytest.raises(TypeError, match="complex"):
        real_number(np.array([2.0j]))
