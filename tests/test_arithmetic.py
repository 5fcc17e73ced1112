"""Floating-point states: ours is nobody's business, and the caller's holds in f."""

import warnings
from contextlib import suppress

import numpy as np
import pytest
from test_exceptions import ROUTES, slope, value

from hessfast import arithmetic, hessian, optimal_step, quadratic_form
from hessfast.arithmetic import aside, callers_state, quiet


class Asking:
    """A function that remembers under which states it was called."""

    def __init__(self, fun):
        self.fun = fun
        self.states = set()

    def __call__(self, x):
        self.states.add(tuple(np.geterr().values()))
        return self.fun(x)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("state", ["raise", "ignore"])
def test_f_runs_under_the_state_of_the_caller(route, state):
    f, g = Asking(value), Asking(slope)
    with np.errstate(all=state), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        ROUTES[route](f, g)
        assert set(np.geterr().values()) == {state}
    states = {(divide, over, invalid) for divide, over, _, invalid in f.states | g.states}
    # Far from x, where it is asked out of curiosity, what overflows is no matter of the caller's.
    assert {(state,) * 3} <= states <= {(state,) * 3, ("ignore",) * 3}
    # Complex steps are so short that they vanish in f: that is our choice, as it is to look far from x.
    ours = {"ignore"} if "complex" in route or "gradients" in route else set()
    assert {state for _, _, state, _ in f.states | g.states} <= {state} | ours


def test_state_within_f_is_that_of_f():
    """A function that itself takes a Hessian sets the state of that one's function."""
    inner = Asking(value)

    def outer(x):
        with np.errstate(all="warn", over="print"):
            return float(np.trace(hessian(inner, x, abs_step=1e-2)))

    with np.errstate(all="raise"):
        hessian(outer, np.array([0.1, 0.2, 0.3]), abs_step=1e-2)
    assert inner.states == {("warn", "print", "warn", "warn")}


@pytest.mark.parametrize("route", ["values", "gradients", "complex", "curvature from gradients"])
def test_state_within_f_is_that_of_f_far_from_x_too(route):
    inner = Asking(value)

    def asking(fun):
        def outer(x):
            with np.errstate(all="warn", over="print"):
                hessian(inner, [0.1, 0.2, 0.3], abs_step=1e-2)
            return fun(x)

        return outer

    ROUTES[route](asking(value), asking(slope))
    assert inner.states == {("warn", "print", "warn", "warn")}


class Interrupted:
    """A context variable whose first change is the last thing done before Ctrl-C is answered."""

    def __init__(self, variable):
        self.variable, self.get, self.reset = variable, variable.get, variable.reset
        self.changes = 0

    def set(self, state):
        token = self.variable.set(state)
        self.changes += 1
        if self.changes == 1:
            raise KeyboardInterrupt
        return token


@pytest.mark.parametrize(("name", "changed"), [("_CALLERS", quiet(lambda: None)), ("_ASIDE", aside().__enter__)])
def test_interrupt_as_a_state_changes_leaves_none_behind(monkeypatch, name, changed):
    variable = getattr(arithmetic, name)
    before = variable.get()
    with monkeypatch.context() as patch:
        patch.setattr(arithmetic, name, Interrupted(variable))
        with pytest.raises(KeyboardInterrupt):
            changed()
    assert variable.get() == before


def test_state_is_put_back_where_f_raises():
    @quiet
    def public():
        with callers_state():
            assert np.geterr()["over"] == "raise"
            raise ValueError("from f")

    with np.errstate(over="raise", under="warn"):
        before = np.geterr()
        with pytest.raises(ValueError, match="from f"):
            public()
        assert np.geterr() == before


NAMES = ("fun", "jac", "bounds", "step", "x0", "H ", "g ", "hess")
SCALES = [1e-320, 1e-200, 1e-160, 1e-20, 1e20, 1e160, 1e200, 1e300]


def drawn_points(rng):
    for _ in range(12):
        yield np.array([0.0, 1.0, -1.0]) + rng.choice(SCALES, 3) * rng.choice([-1.0, 0.0, 1.0, 1.0], 3)


@pytest.mark.parametrize("kind", ["quadratic", "linear", "ratio", "scaled"])
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_but_named_refusals_at_drawn_sizes(route, kind):
    rng = np.random.default_rng(11)
    for x in drawn_points(rng):
        size = np.abs(x).max()
        c = {"quadratic": 1.0, "linear": 1.0, "ratio": 1.0 / size, "scaled": 1.0 / size**0.5}[kind]

        @np.errstate(all="ignore")
        def f(x, c=c):
            return c * (c * x).sum(axis=0) if kind == "linear" else ((c * x) ** 2).sum(axis=0) + 0.1 * c * x[0]

        @np.errstate(all="ignore")
        def g(x, c=c):
            if kind == "linear":
                return c * c + 0.0 * x
            first = np.zeros_like(x)
            first[0] = 0.1 * c
            return 2.0 * c * (c * x) + first

        with np.errstate(all="raise"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            refused = ""
            try:
                _at(route, f, g, x)
            except (ValueError, TypeError) as error:
                refused = str(error)
            assert not refused or any(name in refused for name in NAMES), refused


def _at(route, f, g, x):
    import test_exceptions as routes

    before = routes.X, routes.V
    routes.X, routes.V = x, np.abs(x) + 1e-3
    try:
        ROUTES[route](f, g)
    finally:
        routes.X, routes.V = before


@pytest.mark.parametrize("size", SCALES)
def test_algebra_of_any_size(size):
    rng = np.random.default_rng(3)
    with np.errstate(all="ignore"):
        H = np.diag([1.0, 2.0, 3.0]) * size
        gradients = [rng.standard_normal((2, 3)) * scale for scale in SCALES]
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for scale, pair in zip(SCALES, gradients, strict=True):
            for G in (pair[0], pair):
                plain = quadratic_form(H, G)
                careful = quadratic_form(H, G, compensated=True, check_symmetric=True)
                with np.errstate(all="ignore"):
                    np.testing.assert_allclose(plain, careful, rtol=1e-14)
                with suppress(ValueError):  # gᵀHg beyond float64 is refused
                    optimal_step(G, H, g_error=1e-3 * scale, max_step=1.0)
                optimal_step(G, gHg=size if G.ndim == 1 else [size, size], error=1e-3 * size)
