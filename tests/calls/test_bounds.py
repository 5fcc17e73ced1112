"""No point outside the bounds is ever evaluated, whatever is asked and whatever goes wrong."""

import warnings

import numpy as np
import pytest

from hessfast import check_hessian, curvature, gradient, hessian, hessian_diag, hvp
from hessfast.calls.functions import make_function
from hessfast.calls.lanes import make_evaluator
from hessfast.values.stencils import ORDERS


class Watched:
    """A function that looks at each of its points, and counts those outside the box."""

    def __init__(self, fun, lower, upper):
        self.fun, self.lower, self.upper = fun, lower, upper
        self.calls = self.outside = 0

    def __call__(self, x):
        columns = x.real.reshape(x.shape[0], -1)
        inside = (self.lower[:, None] <= columns) & (columns <= self.upper[:, None])
        self.calls += columns.shape[1]
        self.outside += int(np.count_nonzero(~inside.all(axis=0)))
        return self.fun(x)


def quadratic(rng, n):
    root = rng.standard_normal((n, n)) * 10.0 ** rng.uniform(-3, 3, n)[:, None]
    H = root.T @ root
    g = rng.standard_normal(n)

    def value(x):
        return 0.5 * (x * (H @ x)).sum(axis=0) + g @ x

    return value, lambda x: H @ x + (g if x.ndim == 1 else g[:, None])


def exponentials(rng, n):
    c = rng.uniform(-2, 2, n) * 10.0 ** rng.uniform(-8, 0, n)

    def slope(x):
        rates = c if x.ndim == 1 else c[:, None]
        return rates * np.exp(rates * x) + x.sum(axis=0)

    return lambda x: np.exp(c @ x) + 0.5 * x.sum(axis=0) ** 2, slope


def constant(rng, n):
    return lambda x: 0.0 * x.sum(axis=0) + 1.0, lambda x: 0.0 * x


def walled(rng, n):
    """A quadratic that is known in a sliver around the point alone: nan on both sides."""
    value, slope = quadratic(rng, n)
    at = {}

    def known(x):
        origin = at.setdefault("x", x.copy() if x.ndim == 1 else x[:, 0].copy())
        offset = np.abs(x - (origin if x.ndim == 1 else origin[:, None])).max(axis=0)
        return np.where(offset <= 10.0 ** rng.uniform(-17, -4), 1.0, np.nan)

    return lambda x: value(x) * known(x), lambda x: slope(x) * known(x)


def rough(rng, n):
    value, slope = exponentials(rng, n)
    return (
        lambda x: value(x) * (1.0 + 1e-3 * rng.standard_normal()),
        lambda x: slope(x) * (1.0 + 1e-3 * rng.standard_normal()),
    )


DRAWS = 60

FUNCTIONS = (quadratic, exponentials, constant, walled, rough)


def drawn_box(rng, n):
    """A point and a box of any width around it; bounds at the point, at none, and zeros among them."""
    x = np.where(rng.random(n) < 0.25, 0.0, rng.standard_normal(n) * 10.0 ** rng.uniform(-8, 8, n))
    scale = np.where(x == 0.0, 1.0, np.abs(x))
    width = scale * 10.0 ** rng.uniform(-12, 2, (2, n))
    gone = rng.random((2, n))
    width[gone < 0.2] = np.inf
    width[gone > 0.9] = 0.0
    return x, x - width[0], x + width[1]


def apart(x, lower, upper):
    """Move bounds that x stands on away from it, in place: complex steps need room on both sides."""
    width = np.where(x == 0.0, 1e-3, 1e-3 * np.abs(x))
    lower[lower == x] -= width[lower == x]
    upper[upper == x] += width[upper == x]
    return lower, upper


def direction(x):
    """Return a direction that takes every coordinate along, at its own size."""
    return np.where(x == 0.0, 1.0, np.abs(x)) * np.where(np.arange(x.size) % 2 == 0, 1.0, -1.0)


ROUTES = {
    "values": lambda f, g, x, bounds, order: hessian(f, x, bounds=bounds, order=order),
    "batched": lambda f, g, x, bounds, order: hessian(f, x, bounds=bounds, order=order, vectorized=True),
    "gradients": lambda f, g, x, bounds, order: hessian(None, x, jac=g, bounds=bounds, order=order),
    "batched gradients": lambda f, g, x, bounds, order: hessian(
        f, x, jac=g, bounds=bounds, order=order, vectorized=True
    ),
    "complex": lambda f, g, x, bounds, order: hessian(f, x, bounds=apart(x, *bounds), method="cs"),
    "complex gradients": lambda f, g, x, bounds, order: hessian(f, x, jac=g, bounds=apart(x, *bounds), method="cs"),
    "gradient": lambda f, g, x, bounds, order: gradient(f, x, bounds=bounds, order=order),
    "diagonal": lambda f, g, x, bounds, order: hessian_diag(f, x, bounds=bounds, order=order),
    "steps": lambda f, g, x, bounds, order: hessian(f, x, bounds=bounds, order=order, rel_step=1e-6),
    "steps of gradients": lambda f, g, x, bounds, order: hessian(
        f, x, jac=g, bounds=bounds, order=order, rel_step=1e-9
    ),
    "curvature": lambda f, g, x, bounds, order: curvature(f, x, direction(x), bounds=bounds, order=max(order, 2)),
    "curvature from gradients": lambda f, g, x, bounds, order: curvature(
        None, x, direction(x), jac=g, bounds=bounds, order=max(order, 2)
    ),
    "product": lambda f, g, x, bounds, order: hvp(None, x, direction(x), jac=g, bounds=bounds, order=order),
    "product from values": lambda f, g, x, bounds, order: hvp(f, x, direction(x), bounds=bounds, order=max(order, 2)),
    "products of columns": lambda f, g, x, bounds, order: hvp(
        None, x, np.eye(x.size), jac=g, bounds=bounds, order=order, vectorized=True
    ),
    "check": lambda f, g, x, bounds, order: check_hessian(f, x, np.eye(x.size), bounds=bounds),
}


@pytest.mark.parametrize("route", ROUTES)
def test_drawn_boxes_hold(route):
    rng = np.random.default_rng(sum(map(ord, route)))
    calls = refused = 0
    for draw in range(DRAWS):
        n = int(rng.integers(1, 5))
        x, lower, upper = drawn_box(rng, n)
        f, g = (Watched(fun, lower, upper) for fun in FUNCTIONS[draw % len(FUNCTIONS)](rng, n))
        order = int(rng.choice(ORDERS))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                ROUTES[route](f, g, x, (lower, upper), order)
            except (ValueError, ArithmeticError):
                refused += 1
        assert f.outside == g.outside == 0
        calls += f.calls + g.calls
    assert refused < DRAWS
    assert calls > DRAWS


@pytest.mark.parametrize("lane", ["python", "batched", "native"])
@pytest.mark.parametrize("kind", ["value", "gradient"])
def test_points_outside_are_walls_and_not_counted(lane, kind):
    if lane == "native":
        from numba import njit

        value = njit(lambda x: x.sum())
        slope = njit(lambda x: 2.0 * x)
    else:
        value, slope = (lambda x: x.sum(axis=0)), (lambda x: 2.0 * x)
    x = np.array([1.0, 2.0, 3.0])
    lower, upper = np.array([0.5, 2.0, -np.inf]), np.array([1.5, 4.0, 3.0])
    function = make_function(
        slope if kind == "gradient" else value, name="fun", gradient=kind == "gradient", vectorized=lane == "batched"
    )
    evaluator = make_evaluator(function, x, gradient=kind == "gradient")
    evaluator.confine(lower, upper)
    just_below = np.nextafter(2.0, 0.0)
    index = np.array([[0, -1], [0, 1], [1, -1], [2, 0], [-1, -1]], dtype=np.int32)
    displaced = np.array([[1.5, np.nan], [1.5, just_below], [just_below, 0.0], [-1e300, 0.5], [0.0, 0.0]])
    for worker in (evaluator, evaluator.fork()):
        before = worker.nfev
        values = worker.displaced(index, displaced)
        assert np.isnan(values).reshape(5, -1).all(axis=1).tolist() == [False, True, True, False, False]
        assert worker.nfev - before == 3
        rows = np.array([x, [1.0, 2.0, 3.5], [0.4, 2.0, 3.0], [np.nan, 2.0, 3.0]])
        values = worker.dense(rows)
        assert np.isnan(values).reshape(4, -1).any(axis=1).tolist() == [False, True, True, True]
        assert worker.nfev - before == 4
        assert np.isnan(worker.at(rows[1].copy())).all()
        assert np.isfinite(worker.at(rows[0].copy())).all()
        assert worker.nfev - before == 5


@pytest.mark.parametrize("lane", ["python", "batched", "native"])
def test_pairs_of_nodes_outside_are_walls(lane):
    if lane == "native":
        from numba import njit

        value = njit(lambda x: x.sum())
    else:

        def value(x):
            return x.sum(axis=0)

    x = np.array([1.0, 2.0, 3.0])
    evaluator = make_evaluator(make_function(value, name="fun", vectorized=lane == "batched"), x)
    evaluator.confine(np.array([0.0, 0.0, 0.0]), np.array([4.0, 2.5, 4.0]))
    axes = np.arange(3, dtype=np.int32)
    for beyond in (2.25, 2.75):
        nodes = np.array([[0.5, 1.5], [2.25, beyond], [2.0, 3.5]])
        values = evaluator.pairs(axes, nodes, 0, 3).reshape(3, 2)
        assert np.isnan(values).tolist() == [[False, beyond > 2.5], [False, False], [False, beyond > 2.5]]
        assert evaluator.pairs(axes, nodes, 1, 2)[1] == 1.5 + 2.0 + 3.5


@pytest.mark.parametrize("lane", ["python", "batched"])
def test_nothing_is_evaluated_beside_a_point_outside(lane):
    x = np.array([1.0, 2.0])
    evaluator = make_evaluator(make_function(lambda x: x.sum(axis=0), name="fun", vectorized=lane == "batched"), x)
    evaluator.confine(np.array([0.0, 2.5]), np.array([3.0, 4.0]))
    index, value = np.array([[0, -1], [-1, -1]], dtype=np.int32), np.array([[1.5, 0.0], [0.0, 0.0]])
    for worker in (evaluator, evaluator.fork()):
        assert np.isnan(worker.displaced(index, value)).all()
        assert np.isnan(worker.pairs(np.arange(2, dtype=np.int32), np.array([[1.5], [3.0]]), 0, 1)).all()
        assert worker.dense(np.array([[1.0, 3.0]])) == [4.0]
        assert worker.nfev == 1
