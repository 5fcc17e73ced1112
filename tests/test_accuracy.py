"""How right hessian() is at its defaults, on problems whose Hessians are known: errors, costs, bars, bounds.

Errors are of the whole matrix: Frobenius norm, in natural lengths (Problem.scaled_error).
"""

import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pytest
from nist_strd import MODELS, load
from problems import Problem, draw, problems
from problems.outcome import Counted, Outcome, measure, oracle, summarise

from hessfast import gradient, hessian
from hessfast.values.stencils import ORDERS

SMOOTH = tuple(p for p in problems() if p.noise == 0 and p.kind not in ("offset", "model_distance"))


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


@cache
def best_step(name: str) -> float:
    return oracle(draw(name), 4)


def outcomes(among: Iterable[Problem], order: int | str) -> list[Outcome]:
    return [outcome(p.name, order) for p in among]


# Aimed at: 3e-8, 3e-7 at order 2; 4e-11, 3e-10, 2e-9 at order 4; 2e-12, 1e-10 at order 6; worst 1e-6 from order 4 on.
# On this set the best common step of each problem, found by knowing the answer, itself leaves p95 7e-10 and worst 5e-9
# at order 4, 8e-11 and 7e-10 at order 6: functions whose rounding is large against their curvature (ripple,
# trigonometric, fast waves). The worst at order 2 is Brown's function, 1e12 in size with a curvature of 2.
@pytest.mark.parametrize(
    ("order", "median", "p95", "worst"),
    [(2, 3e-8, 4e-7, 3e-2), (4, 4e-11, 4e-9, 8e-8), (6, 6e-12, 1e-9, 1e-7), (8, 3e-12, 1e-9, 5e-7)],
)
def test_smooth_function(order: int, median: float, p95: float, worst: float) -> None:
    s = summarise(outcomes(SMOOTH, order))
    assert s.failed == 0
    assert s.median <= median
    assert s.p95 <= p95
    assert s.worst <= worst


# Aimed at: 1.4, 2.5, 3.5; reached 1.41, 2.47, 3.43.
@pytest.mark.parametrize(("order", "most"), [(2, 1.45), (4, 2.5), (6, 3.5)])
def test_evaluations_at_forty_variables(order: int, most: float) -> None:
    costs = [o.evaluations for o in outcomes(SMOOTH, order) if o.problem.n == 40]
    assert len(costs) >= 15
    assert np.median(costs) <= most


# Aimed at: 32 at n = 2, 100 at n = 5.
@pytest.mark.parametrize(("name", "most"), [("log_sum_exp_2", 52), ("rosenbrock_2", 52), ("log_sum_exp_5", 130)])
def test_evaluations_of_few_variables(name: str, most: int) -> None:
    assert outcome(name, 4).calls <= most


@pytest.mark.parametrize("order", [4, 6, 8])
def test_no_entry_is_lost(order: int) -> None:
    assert [o.problem.name for o in outcomes(SMOOTH, order) if o.lost] == []


# Aimed at: 1e-7, 5e-5, 2e-2, and 1.3 times the best common step.
@pytest.mark.parametrize(
    ("level", "median", "ratio"), [("1e-12", 2e-7, 1.3), ("1e-08", 5e-5, 1.3), ("1e-04", 1e-1, 2.5)]
)
@pytest.mark.parametrize("order", [4, "auto"])
def test_noisy_function(level: str, median: float, ratio: float, order: int | str) -> None:
    noisy = [p for p in problems("noise") if p.name.startswith("noisy") and p.name.endswith(level) and p.n <= 12]
    assert np.median([outcome(p.name, order).error for p in noisy]) <= median
    # Of the polynomials of degree 4 the best common step is as long as one likes: no bound on it is a bound here.
    curved = [p for p in noisy if not p.name.startswith(("noisy_rosenbrock", "noisy_quartic"))]
    assert len(curved) == 3
    assert np.median([outcome(p.name, order).error / best_step(p.name) for p in curved]) <= ratio


@pytest.mark.parametrize("order", [*ORDERS, "auto"])
@pytest.mark.parametrize("name", [p.name for p in problems("domain") if p.bounds])
def test_nothing_is_evaluated_outside_bounds(name: str, order: int | str) -> None:
    assert outcome(name, order).failure == ""  # f raises outside


@pytest.mark.parametrize("name", [p.name for p in problems("domain") if p.name.startswith(("on_bound", "near_bound"))])
def test_entries_at_a_bound(name: str) -> None:
    o = outcome(name, 4)
    size = np.maximum(np.abs(o.problem.hess), 1e-3 * np.max(np.abs(o.problem.hess)))
    assert np.max(np.abs(o.hess - o.problem.hess) / size) <= 1e-5


# Aimed at: 99 % inside, median over-estimate 10.
@pytest.mark.parametrize(
    ("order", "coverage", "overestimate"), [(2, 0.985, 11), (4, 0.995, 10), (6, 0.995, 10), (8, 0.995, 10)]
)
def test_error_bars_of_smooth_functions(order: int, coverage: float, overestimate: float) -> None:
    s = summarise(outcomes(SMOOTH, order))
    assert s.coverage >= coverage
    assert s.overestimate <= overestimate


# Aimed at: 99 %; reached: 99.1 and 99.0.
@pytest.mark.parametrize(("order", "coverage"), [(4, 0.98), (6, 0.98)])
def test_error_bars_of_noisy_functions(order: int, coverage: float) -> None:
    s = summarise(outcomes(problems("noise"), order))
    assert s.coverage >= coverage
    assert s.overestimate <= 15


@pytest.mark.parametrize("name", ["log_sum_exp_5", "wood", "bell_6", "ripple_6", "residual_sum_MGH09", "nelson_gamma"])
def test_error_bars_cover_every_drawing_of_a_problem(name: str) -> None:
    inside = np.concatenate([outcome(name, 4, seed).inside for seed in range(20)])
    assert inside.mean() >= 0.95


def test_step_vanishes_against_x() -> None:
    o = outcome("residual_sum_Bennett5", 4, 5)  # b1 = -2500 on a ridge: the search descends to the spacing of floats
    assert o.failure == ""
    assert o.error <= 1e-9


def test_standard_deviations_that_nist_certifies() -> None:
    digits = {name: load(name).certified_digits(outcome(f"model_distance_{name}", 4).hess) for name in MODELS}
    assert min(digits.values()) >= 4, digits


# Aimed at: 99 % covered; reached 96.8, 97.7, 98.1.
@pytest.mark.parametrize(
    ("order", "median", "p95", "coverage"), [(2, 2e-11, 1e-9, 0.95), (4, 2e-13, 2e-11, 0.97), (6, 5e-14, 5e-12, 0.97)]
)
def test_gradient_from_values(order: int, median: float, p95: float, coverage: float) -> None:
    errors, inside = [], []
    for p in SMOOTH:
        fun = Counted(p.fun)
        with warnings.catch_warnings(), np.errstate(all="ignore"):  # f beyond its natural domain
            warnings.simplefilter("ignore")
            r = gradient(fun, p.x0, order=order, bounds=p.bounds, full_output=True)
        assert r.nfev == fun.calls
        errors.append(p.slope_error(r.value))
        inside.append(np.abs(r.value - p.grad) <= r.error + np.finfo(np.float64).eps * np.abs(p.grad))
    assert np.median(errors) <= median
    assert np.quantile(errors, 0.95) <= p95
    assert np.concatenate(inside).mean() >= coverage


@pytest.mark.parametrize("name", ["constant_5", "zero_4", "linear_6", "quartic_minimum"])
def test_flat_function_has_no_curvature(name: str) -> None:
    o = outcome(name, 4)
    assert o.error <= 1e-10
    assert np.all(np.abs(o.hess) <= 1e-9)
