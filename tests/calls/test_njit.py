"""Numba functions: compiled once, no stale arguments, no leaks."""

import gc
import sys
import weakref

import numpy as np
import pytest
from numba import njit
from numba.core import event

from hessfast import hessian
from hessfast.calls.njit import _CALLBACKS


def quadratic():
    @njit
    def f(x, y, scale):
        return scale * ((x - y) ** 2).sum()

    return f


def test_second_call_compiles_nothing():
    f = quadratic()
    y = np.zeros(3)
    hessian(f, [1.0, 2.0, 3.0], args=(y, 2.0))
    with event.install_recorder("numba:compile") as recorder:
        hessian(f, [1.0, 2.0, 3.0], args=(y, 3.0))
        hessian(f, np.ones(5), args=(np.ones(5), 4.0), workers=2)
    assert recorder.buffer == []


def test_arguments_are_read_anew_by_each_call():
    f = quadratic()
    y = np.zeros(2)
    first = hessian(f, [1.0, 2.0], args=(y, 2.0), full_output=True)
    y[:] = 1.0
    second = hessian(f, [1.0, 2.0], args=(y, 3.0), full_output=True)
    np.testing.assert_allclose(first.jac, [4.0, 8.0], rtol=1e-6)
    np.testing.assert_allclose(second.jac, [0.0, 6.0], atol=1e-6)


def test_arguments_are_released():
    f = quadratic()
    y = np.zeros(2)
    hessian(f, [1.0, 2.0], args=(y, 2.0))
    gc.collect()
    before = sys.getrefcount(y)
    for _ in range(3):
        hessian(f, [1.0, 2.0], args=(y, 2.0), workers=2)
    gc.collect()
    assert sys.getrefcount(y) == before


def test_cache_dies_with_the_function():
    f = quadratic()
    hessian(f, [1.0, 2.0], args=(np.zeros(2), 2.0))
    assert f in _CALLBACKS
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None


def test_value_and_gradient_in_one_compiled_function():
    @njit
    def f(x):
        return (x**3).sum(), 3.0 * x**2

    result = hessian(f, [1.0, 2.0], jac=True, full_output=True)
    np.testing.assert_allclose(result.hess, np.diag([6.0, 12.0]), atol=1e-8)
    assert result.fun == 9.0


def test_not_compilable_is_said():
    @njit
    def f(x):
        return x[0] + undefined_name  # noqa: F821

    with pytest.raises(TypeError, match="fun: numba cannot compile f"):
        hessian(f, [1.0, 2.0])


def test_wrong_kind_of_result_is_said():
    @njit
    def f(x):
        return x * 1j

    with pytest.raises(TypeError, match="one real number"):
        hessian(f, [1.0, 2.0])


def test_gradient_of_the_wrong_length_is_said():
    @njit
    def g(x):
        return x[1:]

    with pytest.raises(ValueError, match=r"jac.*shape"):
        hessian(None, [1.0, 2.0, 3.0], jac=g)


def test_arguments_numba_does_not_know():
    f = quadratic()
    with pytest.raises(TypeError, match="args"):
        hessian(f, [1.0, 2.0], args=(object(), 2.0))


def test_explicit_writable_signature_still_runs():
    @njit("float64(float64[::1])")
    def f(x):
        return x[0] * x[1]

    np.testing.assert_allclose(hessian(f, [1.0, 2.0]), [[0.0, 1.0], [1.0, 0.0]], atol=1e-8)


def test_too_few_args_are_named():
    @njit
    def f(x, scale):
        return scale * x[0] ** 2

    with pytest.raises(TypeError, match=r"args: f\(x, \*args\): missing a required argument: 'scale'"):
        hessian(f, np.ones(2))


def test_the_reason_numba_gives_stands_alone():
    @njit
    def f(x):
        return x.nothing

    with pytest.raises(TypeError, match="Unknown attribute 'nothing'") as caught:
        hessian(f, np.ones(2))
    assert "hessfast" not in str(caught.value)
    assert "pipeline" not in str(caught.value)


def test_recompiled_function_is_compiled_again():
    scale = 1.0
    space = {"np": np, "scale": scale}
    exec("def f(x): return scale * (x * x).sum()\ndef g(x): return 2.0 * scale * x", space)
    f, g = njit(space["f"]), njit(space["g"])
    for scale in (1.0, 3.0):
        space["scale"] = scale
        f.recompile()
        g.recompile()
        for _ in range(2):
            np.testing.assert_allclose(hessian(f, [1.0, 2.0], abs_step=0.5), 2.0 * scale * np.eye(2), atol=1e-12)
            np.testing.assert_allclose(hessian(None, [1.0, 2.0], jac=g, abs_step=0.5), 2.0 * scale * np.eye(2))


def raising():
    @njit
    def f(x, y, pair):
        if x[0] > 1.0:
            raise ValueError("far")
        return y[0] * (x * x).sum() + pair[1][0]

    @njit
    def g(x, y, pair):
        if x[0] > 1.0:
            raise ValueError("far")
        return 2.0 * y[0] * x

    return {"value": f, "gradient": g}


@pytest.mark.parametrize("kind", ["value", "gradient"])
def test_function_that_raises_gives_its_arguments_back(kind):
    f = raising()[kind]
    y, z = np.ones(3), np.zeros(2)
    args = y, (2.0, z)
    options = {"args": args, "on_error": ValueError} | ({"jac": f} if kind == "gradient" else {})
    fun = None if kind == "gradient" else f

    def run():
        np.testing.assert_allclose(hessian(fun, [1.0, 2.0], **options), 2.0 * np.eye(2), atol=1e-5)
        with pytest.raises(ValueError, match="far") as caught:
            hessian(fun, [1.0, 2.0], **(options | {"on_error": "raise"}))
        assert "raised at evaluation" in caught.value.__notes__[0]
        with pytest.raises(ValueError, match="at x0"):
            hessian(fun, [1.5, 2.0], **options)

    run()
    gc.collect()
    before = sys.getrefcount(y), sys.getrefcount(z)
    for _ in range(3):
        run()
    gc.collect()
    assert (sys.getrefcount(y), sys.getrefcount(z)) == before


def test_cache_dies_with_a_function_that_raised():
    f = raising()["value"]
    with pytest.raises(ValueError, match="far"):
        hessian(f, [1.5, 2.0], args=(np.ones(1), (1.0, np.ones(1))))
    assert f in _CALLBACKS
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None


def test_arrays_that_an_exception_carries_are_its_own():
    @njit
    def f(x):
        if x[0] > 1.0:
            raise ValueError("at", x)
        return x.sum()

    try:
        hessian(f, [1.0, 2.0])
    except TypeError:
        pytest.skip("this numba raises no arrays")
    except ValueError as error:
        carried = error.args[1]
        assert carried[0] > 1.0
        assert carried[1] == 2.0


def test_gradient_that_returns_its_argument():
    @njit
    def g(x):
        if x[1] > 2.0:
            raise ValueError("far")
        return x

    np.testing.assert_allclose(hessian(None, [1.0, 2.0], jac=g, on_error=ValueError), np.eye(2), atol=1e-12)


def test_raising_function_with_words_and_functions_among_its_arguments():
    @njit
    def square(x):
        return x * x

    @njit
    def f(x, word, inner, y):
        if x[0] > 1.0:
            raise ValueError("far")
        return inner(x).sum() * len(word) + y[0]

    y = np.ones(2)
    gc.collect()
    before = sys.getrefcount(y)
    for _ in range(2):
        H = hessian(f, [1.0, 2.0], args=("four", square, y), on_error=ValueError)
        np.testing.assert_allclose(H, 8.0 * np.eye(2), atol=1e-5)
    gc.collect()
    assert sys.getrefcount(y) == before
