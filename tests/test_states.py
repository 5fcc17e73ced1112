"""Right where users stand, or loud: a few drawn states of each group through every route."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from problems.states import EXACT, GROUPS, State, draw, judge
from problems.states.routes import Answer, weigh

DRAWS = 5


SHORT = {
    ("roughness", "gradient"): "a ripple whose slope agrees by accident over the two steps looked at first",
    ("chance", "diagonal"): "noise hides a length far below x",
    ("near zero", "values 1"): "what pairs of order 1 leave out may not show in anything seen",
}
"""Where a route falls short at these seeds, and how; each is to be taken out as it is mended."""


def _cases() -> list[ParameterSet]:
    return [
        pytest.param(
            group,
            route,
            marks=pytest.mark.xfail(reason=SHORT[group, route], strict=True) if (group, route) in SHORT else (),
            id=f"{group}-{route}",
        )
        for group, routes in GROUPS.items()
        for route in routes
    ]


@cache
def states(group: str) -> tuple[State, ...]:
    return tuple(draw(group, seed) for seed in range(DRAWS))


@pytest.mark.parametrize(("group", "route"), _cases())
def test_right_or_loud(group: str, route: str) -> None:
    verdicts = {s.seed: verdict for s in states(group) for verdict in [judge(route, s)] if verdict is not None}
    assert verdicts or route.startswith("cs")
    assert not {seed: v.raised for seed, v in verdicts.items() if v.raised}
    assert not {seed: v for seed, v in verdicts.items() if v.silent}
    if group in EXACT:
        assert not {seed: v for seed, v in verdicts.items() if v.wrong}
        assert not {seed: v for seed, v in verdicts.items() if v.false_alarm}


@pytest.mark.parametrize("group", [group for group in GROUPS if group not in ("chance", "roughness")])
def test_exact_derivatives_fit_the_gradient(group: str) -> None:
    for s in states(group):
        assert s.jac is not None
        wide = s.x0.astype(np.longdouble)
        steps = 1e-5 * s.reach
        columns = [
            (s.jac(wide + h * unit) - s.jac(wide - h * unit)) / (2 * h)
            for h, unit in zip(steps, np.eye(s.n), strict=True)
        ]
        np.testing.assert_array_less(np.abs(np.array(columns, dtype=np.float64) - s.hess) / s.scales, 1e-6)
        assert np.all(np.abs(s.jac(s.x0) - s.grad) <= 1e-10 * (np.abs(s.grad) + s.scale * s.lengths))


@pytest.mark.parametrize("route", ["jac 2", "jac 4"])
def test_a_cliff_beyond_the_steps_is_no_alarm(route: str) -> None:
    assert not {s.seed for s in states("cliffs") for v in [judge(route, s)] if v is not None and v.false_alarm}


def test_same_seed_same_state() -> None:
    for group in GROUPS:
        one, again, other = draw(group, 3), draw(group, 3), draw(group, 4)
        np.testing.assert_array_equal(one.hess, again.hess)
        assert one.fun(one.x0) == again.fun(again.x0)
        assert one.n != other.n or not np.array_equal(one.x0, other.x0)


def test_random_state_begins_anew() -> None:
    s = draw("chance", 0)
    first = [s.fun(s.x0) for _ in range(3)]
    s.restart()
    assert first == [s.fun(s.x0) for _ in range(3)]


@pytest.mark.parametrize(
    ("value", "bar", "loud", "silent", "false_alarm"),
    [
        (1.0 + 1e-9, 1e-8, False, False, False),
        (1.0 + 1e-9, 1e-8, True, False, True),
        (1.0 + 1e-9, 1e-10, False, True, False),  # ten bars off
        (1.01, 0.1, False, True, False),  # inside its bar, but wrong
        (1.01, 0.1, True, False, False),
        (np.nan, 0.0, False, True, False),
        (1.0 + 1e-9, np.nan, False, True, False),
        (1.0 + 1e-9, np.nan, True, False, False),
    ],
)
def test_verdict(value: float, bar: float, loud: bool, silent: bool, false_alarm: bool) -> None:
    verdict = weigh([Answer(value, 1.0, 1.0, 1e-3, bar, loud=loud, alarm=loud)], evaluations=1, by_bars=False)
    assert (verdict.silent, verdict.false_alarm) == (silent, false_alarm)


def test_rough_states_are_judged_by_bars() -> None:
    answer = Answer(1.01, 1.0, 1.0, 1e-3, 0.1)
    assert not weigh([answer], evaluations=1, by_bars=True).silent
    assert weigh([replace(answer, bar=0.001)], evaluations=1, by_bars=True).silent
    assert not weigh([replace(answer, bar=0.001, loud=True)], evaluations=1, by_bars=True).silent


def test_one_loud_answer_does_not_speak_for_another() -> None:
    wrong = Answer(1.01, 1.0, 1.0, 1e-3)
    assert not weigh([replace(wrong, loud=True)], evaluations=1, by_bars=False).silent
    assert weigh([replace(wrong, loud=True), wrong], evaluations=1, by_bars=False).silent


def test_single_bar_is_one_on_the_norm() -> None:
    answer = Answer(np.array([1.0, 1.0 + 3e-6, 4e-6]), np.array([1.0, 1.0, 0.0]), np.ones(3), 1e-3, 6e-6)
    verdict = weigh([answer], evaluations=1, by_bars=False)
    assert (verdict.outside, verdict.inside, verdict.barred) == (False, 1, 1)
    assert weigh([replace(answer, bar=1e-6)], evaluations=1, by_bars=False).outside


def test_makers_are_quiet() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for group in GROUPS:
            for seed in range(100, 106):
                s = draw(group, seed)
                assert s.hess.shape == (s.n, s.n)
                assert np.all(np.isfinite(s.hess))
