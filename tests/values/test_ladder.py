"""The compiled ladder against its own source, interpreted."""

import importlib.util
import sys
import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from problems import KINDS, problems

import hessfast
from hessfast.values import away, axes, checks, ladder, layout, one_axis, pairs, refinement, rise, search, sweep

CALLS = [hessfast.hessian, hessfast.gradient, hessfast.hessian_diag]


@pytest.fixture
def interpreted(monkeypatch):
    path = Path(search.__file__).with_name("ladder.py")
    spec = importlib.util.spec_from_file_location("interpreted_ladder", path)
    twin = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, twin)
    spec.loader.exec_module(twin)

    def use():
        for user in (away, axes, checks, layout, one_axis, pairs, refinement, rise, search, sweep):
            for name in {"Axis", "Ladder", "advance", "values_along"} & vars(user).keys():
                monkeypatch.setattr(user, name, getattr(twin, name))

    return use


def test_ladder_is_compiled():
    assert not ladder.__file__.endswith(".py")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_compiled_search_keeps_the_bits_of_the_interpreted_one(interpreted, call, kind, order):
    p = min(problems(kind), key=lambda p: p.n)
    bounds = p.bounds or (p.x0 - 1e-3 * p.lengths, None)

    def run():
        points = []

        def fun(x):
            points.append(x.copy())
            return p.fun(x)

        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", hessfast.AccuracyWarning)  # results compare, what is not known included
            result = call(fun, p.x0, order=order, bounds=bounds, full_output=True)
        return [points, *(getattr(result, field.name) for field in fields(result))]

    compiled = run()
    interpreted()
    np.testing.assert_equal(run(), compiled)
