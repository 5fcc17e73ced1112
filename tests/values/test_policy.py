"""Every rule of the search from values has a case that fails without it."""

import warnings
from dataclasses import fields

import numpy as np
import pytest
from problems import problems
from problems.states import draw, judge
from rules import RULES, policy, run

import hessfast
from hessfast.values.policy import LINE_POLICY, POLICY
from hessfast.values.search import PHASES

SEED = 4_000_000

MISSED = {
    "glance": "chance 8 values 4",
    "leave": "scenario 47",
    "stairs": "optima 5 values 2",
    "unalias": "peaks 2 values 4",
    "pool": "optima 6 values 4",
    "below": "problem 188 21 8",
    "away": "chance 8 gradient",
    "noise of a line": "line 114 0",
    "again of a line": "chance 34 curvature",
    "climb of a line": "line 63 1",
    "verify": "peaks 2 diagonal",
    "one spacing": "line 112 1",
    "coarse steps": "cliffs 2 values 4",
    "no wider than the change": "chance 2 values 2",
    "second look away": "chance 8 gradient",
    "noise that follows f": "optima 3 diagonal",
    "swamped": "real 0 diagonal",
    "few pooled": "roughness 6 values 4",
    "choose again after pooling": "optima 6 values 4",
    "rise": "scenario 22",
    "doubtful as visible": "scenario 20",
    "likely": "scenario 3",
    "leash": "problem 137 0 4",
    "slight": "scenario 35",
    "refuted": "optima 5 values 2",
    "rounding by contradiction": "optima 5 values 2",
    "leap": "kinks 8 values 2",
    "pair weight": "near zero 10 values 2",
    "few digits": "scenario 22",
    "beyond |x|": "problem 63 1 6",
    "trusted beyond |x|": "line 63 0",
    "bends": "scenario 16",
    "cramped": "scenario 35",
    "full precision": "near zero 5 values 4",
    "narrow": "cliffs 2 values 6",
    "one-sided": "scenario 22",
    "few verified alike": "chance 8 gradient",
    "refinement": "scenario 2",
    "one round of refinement": "scenario 2",
    "one halving": "scenario 2",
    "better": "problem 4 0 2",
    "longest length": "near zero 1 values 2",
    "long steps promise": "near zero 1 values 2",
    "unseen": "molecules 0 values 1",
    "blur": "peaks 0 values 2",
    "weight along lines": "line 151 1",
    "early": "line 150 0",
}
"""Rules without which a run is lost, is wrong without a word, or errs ten times as much."""

DEARER = {
    "pilots": "problem 176 0 4",
    "far jump": "problem 15 0 4",
    "clear": "line 105 0",
    "only irregular ones verified": "problem 92 0 2",
}
"""Rules that save evaluations."""

BARS = {"accidental zeros", "roundings of the derivative", "kink"}
"""Rules without which bars are too short; each has a test of its own below."""


def both(rule, key):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        kept = run(key, SEED)
        with policy(RULES[rule]):
            return kept, run(key, SEED)


def test_every_rule_has_a_case():
    assert {*MISSED, *DEARER, *BARS} == {*RULES}


@pytest.mark.parametrize("rule", MISSED)
def test_a_case_fails_without_the_rule(rule):
    kept, off = both(rule, MISSED[rule])
    assert not kept.lost
    assert not kept.silent
    assert off.lost or off.silent or off.error > 10.0 * kept.error


@pytest.mark.parametrize("rule", DEARER)
def test_a_case_costs_more_without_the_rule(rule):
    kept, off = both(rule, DEARER[rule])
    assert off.evaluations > kept.evaluations


def test_a_kink_at_x_is_no_slope():
    def f(x):
        return float(1.7 * abs(x[0] - 1.0) + np.cosh(x[1]) + x[0] * x[1])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hessfast.AccuracyWarning)
        kept = hessfast.gradient(f, [1.0, 0.7], full_output=True)
        with policy(RULES["kink"]):
            off = hessfast.gradient(f, [1.0, 0.7], full_output=True)
    assert not kept.success
    assert kept.error[0] > 1.7
    assert off.error[0] < 1.7


def test_roundings_of_a_derivative_are_no_truncation():
    s = draw("kinks", 0)
    assert not judge("values 1", s).silent
    with policy(RULES["roundings of the derivative"]):
        assert judge("values 1", s).silent


def test_truncation_that_vanishes_by_accident_is_doubted():
    p = next(p for p in problems() if p.name == "noisy_student_1e-04")

    def worst():
        found = hessfast.hessian_diag(p.fun, p.x0, full_output=True)
        return np.max(np.abs(found.value - np.diag(p.hess)) / found.error)

    assert worst() < 3.0
    with policy(RULES["accidental zeros"]):
        assert worst() > 10.0


def test_phases_are_those_of_their_policy():
    assert {*POLICY.phases} == {*PHASES}
    assert {field.name for field in fields(POLICY)} == {field.name for field in fields(LINE_POLICY)}
