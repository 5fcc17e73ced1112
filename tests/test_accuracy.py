"""How right hessian() is at its defaults, on problems whose Hessians are known: errors, costs, bars, bounds.

Errors are of the whole matrix: Frobenius norm, in natural lengths (Problem.scaled_error).
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pytest
from nist_strd import MODELS, load
from problems import Problem, draw, problems
from problems.outcome import Outcome, measure, oracle, summarise

from hessfast import hessian

SMOOTH = tuple(p for p in problems() if p.noise == 0 and p.kind not in ("offset", "model_distance"))
LARGEST = {2: 25, 4: 60, 6: 25, 8: 21}


def adaptive(order: int | str) -> Any:
    def method(fun: Any, p: Problem) -> tuple[np.ndarray, np.ndarray]:
        options = {} if p.bounds is None else {"bounds": p.bounds}
        r = hessian(fun, p.x0, order=order, full_output=True, **options)
        assert r.nfev == fun.calls == sum(r.evaluations)
        assert np.all(np.isfinite(r.hess)) or not r.success
        return r.hess, r.hess_error

    return method


@cache
def outcome(name: str, order: int | str, seed: int = 0) -> Outcome:
    return measure(adaptive(order), draw(name, seed))


def outcomes(among: Iterable[Problem], order: int | str) -> list[Outcome]:
    return [outcome(p.name, order) for p in among if p.n <= LARGEST.get(order, 25)]


@pytest.mark.parametrize(
    ("order", "median", "p95", "worst"),
    [(2, 3e-8, 3e-7, 1e-5), (4, 4e-11, 3e-10, 2e-9), (6, 2e-12, 1e-10, 1e-9), (8, 1e-12, 1e-10, 1e-9)],
)
def test_smooth_function(order: int, median: float, p95: float, worst: float) -> None:
    s = summarise(outcomes(SMOOTH, order))
    assert (s.failed, s.lost) == (0, 0)
    assert s.median <= median
    assert s.p95 <= p95
    assert s.worst <= worst


@pytest.mark.parametrize(("order", "most"), [(2, 1.4), (4, 2.5), (6, 3.5)])
def test_evaluations_at_forty_variables(order: int, most: float) -> None:
    names = ["log_sum_exp_40", "rosenbrock_40", "enso_student_40", "dense_scales_40", "trigonometric_40"]
    assert np.median([outcome(name, order).evaluations for name in names]) <= most


@pytest.mark.parametrize(("name", "most"), [("log_sum_exp_2", 32), ("rosenbrock_2", 32), ("log_sum_exp_5", 100)])
def test_evaluations_of_few_variables(name: str, most: int) -> None:
    assert outcome(name, 4).calls <= most


@pytest.mark.parametrize("order", [4, 6, 8])
def test_no_entry_is_lost(order: int) -> None:
    assert [o.problem.name for o in outcomes(SMOOTH, order) if o.lost] == []


@pytest.mark.parametrize(("level", "median"), [("1e-12", 1e-7), ("1e-08", 5e-5), ("1e-04", 2e-2)])
@pytest.mark.parametrize("order", [4, "auto"])
def test_noisy_function(level: str, median: float, order: int | str) -> None:
    noisy = [p for p in problems("noise") if p.name.endswith(level) and p.n <= 12]
    errors = [outcome(p.name, order).error for p in noisy]
    assert np.median(errors) <= median
    best = [oracle(p, 4) for p in noisy]
    assert np.median(np.divide(errors, best)) <= 1.3


@pytest.mark.parametrize("order", [1, 2, 4, 6, 8, "auto"])
@pytest.mark.parametrize("name", [p.name for p in problems("domain") if p.bounds])
def test_nothing_is_evaluated_outside_bounds(name: str, order: int | str) -> None:
    assert outcome(name, order).failure == ""  # f raises outside


@pytest.mark.parametrize("name", [p.name for p in problems("domain") if p.name.startswith(("on_bound", "near_bound"))])
def test_entries_at_a_bound(name: str) -> None:
    o = outcome(name, 4)
    size = np.maximum(np.abs(o.problem.hess), 1e-3 * np.max(np.abs(o.problem.hess)))
    assert np.max(np.abs(o.hess - o.problem.hess) / size) <= 1e-5


@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_error_bars_cover(order: int) -> None:
    s = summarise(outcomes(problems(), order))
    assert s.coverage >= 0.99
    assert s.overestimate <= 10


@pytest.mark.parametrize("name", ["log_sum_exp_5", "wood", "bell_6", "ripple_6", "residual_sum_MGH09", "nelson_gamma"])
def test_error_bars_cover_every_drawing_of_a_problem(name: str) -> None:
    inside = np.concatenate([outcome(name, 4, seed).inside for seed in range(20)])
    assert inside.mean() >= 0.95


def test_standard_deviations_that_nist_certifies() -> None:
    digits = {name: load(name).certified_digits(outcome(f"model_distance_{name}", 4).hess) for name in MODELS}
    assert min(digits.values()) >= 4, digits


@pytest.mark.parametrize("name", ["constant_5", "zero_4", "linear_6", "quartic_minimum"])
def test_flat_function_has_no_curvature(name: str) -> None:
    o = outcome(name, 4)
    assert o.error <= 1e-10
    assert np.all(np.abs(o.hess) <= 1e-9)
