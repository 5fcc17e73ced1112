"""The problem set itself: exact derivatives against differences in 80 digits, certified values, flags."""

import mpmath
import numpy as np
import pytest
from nist_strd import MODELS, load
from problems import KINDS, Problem, draw, names, problems
from problems.multiprecision import mixed_difference, slope

EVERY = [pytest.param(p, id=p.name) for p in problems()]
DISTINCT = [pytest.param(p, id=p.name) for p in problems() if not p.name.startswith("noisy_")]


def _directions(p: Problem) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return every pair of axes up to n = 3; beyond, three pairs of axes and one of dense directions."""
    axes = np.diag(p.lengths)
    if p.n <= 3:
        return [(axes[i], axes[j]) for i in range(p.n) for j in range(i + 1)]
    rng = np.random.default_rng(5)
    dense = p.lengths * rng.standard_normal((2, p.n))
    chosen = rng.integers(p.n, size=(3, 2))
    return [*((axes[i], axes[j]) for i, j in chosen), (dense[0], dense[1])]


@pytest.mark.parametrize("p", DISTINCT)
def test_exact_derivatives_against_eighty_digits(p: Problem) -> None:
    H = p.hess
    size = np.sqrt(np.abs(np.diag(H)))
    bound = np.maximum(np.abs(H), 1e-3 * np.outer(size, size))
    with mpmath.workdps(80):
        for u, v in _directions(p):
            error = abs(mixed_difference(p.smooth, p.x0, u, v) - mpmath.mpf(float(u @ H @ v)))
            assert error <= 1e-14 * (np.abs(u) @ bound @ np.abs(v)) + 1e-17
        u = p.lengths * np.random.default_rng(6).standard_normal(p.n)
        error = abs(slope(p.smooth, p.x0, u) - mpmath.mpf(float(u @ p.grad)))
        cancelled = np.abs(p.grad) + 1e-3 * np.abs(H) @ np.abs(p.x0)  # terms of ∇f that cancel at a minimum
        assert error <= 1e-14 * (np.abs(u) @ cancelled) + 1e-17


@pytest.mark.parametrize("p", EVERY)
def test_hessian_is_symmetric_and_finite(p: Problem) -> None:
    assert np.all(np.isfinite(p.hess))
    assert np.all(np.isfinite(p.grad))
    weights = np.outer(p.lengths, p.lengths)
    assert np.max(weights * np.abs(p.hess - p.hess.T)) <= 1e-16 * np.max(weights * np.abs(p.hess))
    assert p.scaled_error(p.hess) == 0
    assert p.lost(p.hess) == 0


@pytest.mark.parametrize("p", EVERY)
def test_fun_returns_a_float_and_repeats(p: Problem) -> None:
    value = p.fun(p.x0.copy())
    assert np.shape(value) == ()
    assert np.isrealobj(value)
    assert value == p.fun(p.x0.copy())
    assert abs(value - p.smooth(p.x0)) <= 10 * p.noise * abs(value)


@pytest.mark.parametrize("p", EVERY)
def test_gradient_function_is_exact_at_x0(p: Problem) -> None:
    g = p.grad_fun(p.x0)
    wide = p.grad_fun(p.x0.astype(np.longdouble))
    condition = np.max(np.abs(p.hess) @ np.abs(p.x0) + np.abs(p.grad) + abs(float(p.fun(p.x0))) / p.lengths)
    assert np.max(np.abs(wide - p.grad)) <= 1e-15 * (np.max(np.abs(p.grad)) + 1e-3 * condition)
    assert np.max(np.abs(g - p.grad)) <= 1e-12 * condition


@pytest.mark.parametrize("p", [q for q in EVERY if q.values[0].analytic])
def test_analytic_fun_takes_a_complex_step(p: Problem) -> None:
    u = p.lengths * np.random.default_rng(7).standard_normal(p.n)
    value = p.fun(p.x0 + 1e-200j * u)
    bound = 1e-9 * (np.abs(u) @ np.abs(p.grad)) + 1e-10
    assert np.imag(value) / 1e-200 == pytest.approx(u @ p.grad, abs=bound)


@pytest.mark.parametrize("p", [q for q in EVERY if q.values[0].vectorized])
def test_vectorized_twin_agrees(p: Problem) -> None:
    X = p.x0[:, None] + 0.1 * p.lengths[:, None] * np.random.default_rng(8).standard_normal((p.n, 7))
    assert p.vectorized is not None
    assert p.vectorized(X) == pytest.approx([p.fun(x) for x in X.T.copy()], rel=1e-13)


@pytest.mark.parametrize("p", [q for q in EVERY if q.values[0].bounds])
def test_bounds_hold_x0_and_outside_raises(p: Problem) -> None:
    assert p.bounds is not None
    assert np.all((p.bounds[0] <= p.x0) & (p.x0 <= p.bounds[1]))
    for bound, outward in zip(p.bounds, (-np.inf, np.inf), strict=True):
        for i in np.flatnonzero(np.isfinite(bound)):
            x = p.x0.copy()
            x[i] = np.nextafter(bound[i], outward)
            with pytest.raises(FloatingPointError, match="outside"):
                p.fun(x)


@pytest.mark.parametrize("name", list(MODELS))
def test_nist_model_reproduces_certified_values(name: str) -> None:
    data = load(name)
    if name != "Lanczos1":  # its residual sum 1.4e-25 is below the rounding of eleven-digit parameters
        assert data.residual_sum(data.certified) == pytest.approx(data.rss, rel=2e-10)
    H = draw(f"model_distance_{name}").hess
    assert data.standard_deviations(H) == pytest.approx(data.deviations, rel=1e-6)


def test_redrawn_problem_is_another_point() -> None:
    for name in names():
        p = draw(name, 3)
        assert p.kind in KINDS
        assert np.all(np.isfinite(p.hess))
        assert np.isfinite(p.fun(p.x0))


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind"):
        problems("sparse")


def test_every_kind_has_problems_and_sizes_reach_sixty() -> None:
    assert {p.kind for p in problems()} == set(KINDS)
    assert max(p.n for p in problems()) == 60
    assert sum(p.n == 40 for p in problems()) >= 15
