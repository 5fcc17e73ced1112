"""What f raises comes out as itself, from every route and every evaluation, and says where f stood where it can."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pytest

from hessfast import (
    HessianOperator,
    TaylorModel,
    check_hessian,
    curvature,
    estimate_noise,
    gradient,
    hessian,
    hessian_diag,
    hvp,
    minimize_taylor,
)

X = np.array([0.3, -0.7, 1.1])
V = np.array([1.0, 2.0, -0.5])


class NotesRefusedError(Exception):
    def add_note(self, note):
        raise RuntimeError("no notes here")


@dataclass(frozen=True)
class FrozenError(Exception):
    place: int = 0


class SealedError(Exception):
    def __setattr__(self, name, value):
        raise AttributeError(name)


KINDS = [StopIteration, GeneratorExit, KeyboardInterrupt, NotesRefusedError, FrozenError, SealedError, ValueError]
TAKES_NOTES = (StopIteration, GeneratorExit, KeyboardInterrupt, ValueError)


def value(x):
    return np.exp(x[0] * x[1]) + (x * x).sum(axis=0) + np.cos(x[2] * x[0])


def slope(x):
    grown = np.exp(x[0] * x[1])
    turned = np.sin(x[2] * x[0])
    return np.stack([x[1] * grown + 2.0 * x[0] - x[2] * turned, x[0] * grown + 2.0 * x[1], 2.0 * x[2] - x[0] * turned])


class Raising:
    """A function that raises at its evaluation number `last`; a batched one counts columns."""

    def __init__(self, fun, kind, last):
        self.fun, self.kind, self.last = fun, kind, last
        self.calls = 0

    def __call__(self, x):
        self.calls += 1 if x.ndim == 1 else x.shape[1]
        if self.calls > self.last:
            raise self.kind()
        return self.fun(x)


ROUTES = {
    "values": lambda f, g: hessian(f, X),
    "batched": lambda f, g: hessian(f, X, vectorized=True),
    "gradients": lambda f, g: hessian(None, X, jac=g),
    "batched gradients": lambda f, g: hessian(None, X, jac=g, vectorized=True),
    "complex": lambda f, g: hessian(f, X, method="cs"),
    "complex batched": lambda f, g: hessian(f, X, method="cs", vectorized=True),
    "complex gradients": lambda f, g: hessian(None, X, jac=g, method="cs"),
    "steps": lambda f, g: hessian(f, X, abs_step=1e-3),
    "gradient": lambda f, g: gradient(f, X),
    "diagonal": lambda f, g: hessian_diag(f, X),
    "noise": lambda f, g: estimate_noise(f, X),
    "check": lambda f, g: check_hessian(f, X, np.eye(3)),
    "curvature": lambda f, g: curvature(f, X, V),
    "curvature from gradients": lambda f, g: curvature(None, X, V, jac=g),
    "product": lambda f, g: hvp(None, X, V, jac=g),
    "product from values": lambda f, g: hvp(f, X, V),
    "operator of columns": lambda f, g: HessianOperator(None, X, jac=g, vectorized=True) @ np.eye(3),
    "model": lambda f, g: TaylorModel.fit(f, X),
    "model without matrix": lambda f, g: TaylorModel.fit(f, X, jac=g, dense=False).step(),
    "descent": lambda f, g: minimize_taylor(f, X, jac=g),
}


@pytest.mark.parametrize("route", ROUTES)
def test_any_exception_at_any_evaluation(route):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        counted = Raising(value, ValueError, np.inf), Raising(slope, ValueError, np.inf)
        ROUTES[route](*counted)
        rng = np.random.default_rng(5)
        for raised_by in (0, 1):
            total = counted[raised_by].calls
            for last in rng.permutation(total)[:21].tolist():
                kind = KINDS[int(rng.integers(len(KINDS)))]
                functions = [value, slope]
                functions[raised_by] = Raising(functions[raised_by], kind, last)
                with pytest.raises(kind) as caught:
                    ROUTES[route](*functions)
                assert type(caught.value) is kind
                if kind in TAKES_NOTES:
                    assert any("raised at evaluation" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("last", [0, 2])
def test_any_exception_of_the_users_own_hessian(kind, last):
    for name in ("hess", "hessp"):
        raising = Raising(lambda x: np.diag(1.0 + x * x), kind, last)
        given = raising if name == "hess" else lambda x, v, H=raising: H(x) @ v
        with pytest.raises(kind) as caught:
            minimize_taylor(value, X, jac=slope, variant="cauchy", **{name: given})
        assert type(caught.value) is kind
        if kind in TAKES_NOTES:
            assert any(f"raised at evaluation {last}," in note for note in caught.value.__notes__)


@pytest.mark.parametrize("kind", [ValueError, StopIteration, FrozenError, NotesRefusedError])
def test_any_exception_as_a_wall(kind):
    def walled(x):
        if x[0] > 0.3 + 1e-4:
            raise kind()
        return value(x)

    H = hessian(walled, X, on_error=kind)
    np.testing.assert_allclose(H, hessian(value, X), atol=1e-5)


def test_point_that_cannot_be_printed():
    def failing(x):
        raise ValueError("from f")

    def unprintable(number):
        raise RuntimeError("from the formatter")

    with np.printoptions(formatter={"float": unprintable}), pytest.raises(ValueError, match="from f"):
        hessian(failing, X)


CURIOUS = {
    "jac": lambda f, g, x: hessian(None, x, jac=g),
    "jac order 1": lambda f, g, x: hessian(None, x, jac=g, order=1),
    "hvp": lambda f, g, x: np.diag(hvp(None, x, np.abs(x), jac=g) / np.abs(x)),
    "curvature of f": lambda f, g, x: curvature(f, x, np.abs(x)).value,
    "curvature of jac": lambda f, g, x: curvature(None, x, np.abs(x), jac=g).value,
    "operator": lambda f, g, x: np.diag(HessianOperator(None, x, jac=g).matvec(np.abs(x)) / np.abs(x)),
}


@pytest.mark.parametrize("route", CURIOUS)
@pytest.mark.parametrize("x", [(1e-9,), (1e-9, 1.0), (1.0, 1e-12, 2.0), (1e-6, 1e-12, 1.0, 3.0)])
def test_what_is_raised_where_only_the_sizes_are_asked_for(route, x):
    """Python's own functions raise outside their domain, where NumPy's return nan."""
    x = np.array(x)

    def f(z):
        if np.any(np.abs(z - x) > 0.4 * x):
            raise AssertionError("far away")
        return float(np.sum(z * np.log(z) - z))

    def g(z):
        if np.any(np.abs(z - x) > 0.4 * x):
            raise AssertionError("far away")
        return np.array([math.log(t) for t in z])

    found = CURIOUS[route](f, g, x)
    expected = float(np.sum(x)) if np.ndim(found) == 0 else np.diag(1.0 / x)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-9)
