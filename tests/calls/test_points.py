"""What sources answer to points: on lines, from another point, and that a gradient is handed over."""

import sys

import numpy as np
import pytest
from numba import njit

from hessfast.calls.functions import make_function
from hessfast.calls.lanes import make_evaluator
from hessfast.calls.line import Neighbourhood
from hessfast.calls.points import Nodes, OnLine, asked
from hessfast.calls.run import drive
from hessfast.calls.team import Team

rng = np.random.default_rng(20126)


def value(x):
    return float(np.cosh(x).sum() + x[0] * x[-1])


@njit
def compiled(x):
    return np.cosh(x).sum() + x[0] * x[-1]


def columns(X):
    return np.cosh(X).sum(axis=0) + X[0] * X[-1]


def evaluator(fun, x, gradient=False, wall=()):
    return make_evaluator(
        make_function(fun, vectorized=fun is columns, gradient=gradient, name="fun"), x, wall=wall, gradient=gradient
    )


@pytest.mark.parametrize("fun", [value, compiled, columns])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_both_sources_see_the_same_on_a_line(fun, n):
    x, v, t = rng.standard_normal(n), rng.standard_normal(n), rng.standard_normal(4).tolist()
    at = evaluator(fun, np.zeros(n))
    seen = [drive(asked(OnLine(x, v, t)), source) for source in (Neighbourhood(at), Team(at))]
    assert seen[0] == seen[1] == pytest.approx([value(x + step * v) for step in t], rel=1e-14)
    assert at.nfev == 8


@pytest.mark.parametrize("workers", [None, 2])
def test_nodes_from_another_point_and_back(workers):
    x, other, nodes = rng.standard_normal(5), rng.standard_normal(5), rng.standard_normal((5, 3))
    axes = np.arange(5, dtype=np.int32)
    with Team(evaluator(compiled, x), workers) as team:
        for base in (None, other, None):
            seen = drive(asked(Nodes(axes, nodes, x=base)), team)
            points = np.repeat((x if base is None else base)[None, :], 15, axis=0)
            points[np.arange(15), np.repeat(axes, 3)] = nodes.ravel()
            assert seen.ravel() == pytest.approx([value(point) for point in points], rel=1e-14)


def test_no_node_beside_a_point_outside_the_bounds_is_evaluated():
    x = np.ones(3)
    team = Team(evaluator(value, x))
    team.confine(np.zeros(3), np.full(3, 2.0))
    axes, nodes = np.arange(3, dtype=np.int32), np.ones((3, 1))
    assert np.isnan(drive(asked(Nodes(axes, nodes, x=np.full(3, 5.0))), team)).all()
    assert team.nfev == 0
    assert np.isfinite(drive(asked(Nodes(axes, nodes)), team)).all()


def test_who_takes_a_gradient_is_alone_in_holding_it():
    held = []

    def search():
        for _ in range(3):
            g = (yield OnLine(np.ones(4), np.ones(4), (0.5,))).pop()
            held.append(sys.getrefcount(g))
        lone = np.empty(4)
        held.append(sys.getrefcount(lone))

    drive(search(), Neighbourhood(evaluator(np.sinh, np.ones(4), gradient=True)))
    assert len(set(held)) == 1


def test_what_raises_far_away_is_nan_alone():
    def fun(x):
        if x[0] > 2.0:
            raise OverflowError
        return x[0]

    source = Neighbourhood(evaluator(fun, np.ones(1)))
    far = OnLine(np.ones(1), np.ones(1), (0.5, 3.0, 0.25), curious=True)
    assert drive(asked(far), source) == pytest.approx([1.5, np.nan, 1.25], nan_ok=True)
    with pytest.raises(OverflowError):
        drive(asked(OnLine(np.ones(1), np.ones(1), (0.5, 3.0))), source)
