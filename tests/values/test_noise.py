"""Noise level of f: rounding, added noise, quantised functions, and what is no noise at all."""

import numpy as np
import pytest

from hessfast import estimate_noise, hessian
from hessfast.scale import EPS
from hessfast.values.noise import ROUNDING, NoiseModel
from hessfast.values.tables import difference_table

X = np.array([1.3, -0.7, 2.1, 0.4])


def smooth(x):
    return float(np.exp(0.3 * x).sum() + np.sin(x).prod())


def test_difference_table_of_white_noise():
    rng = np.random.default_rng(5)
    tables = [difference_table(1.0 + 1e-3 * rng.standard_normal(7)) for _ in range(400)]
    levels = np.array([level for level, _ in tables])
    assert 0.8e-3 < np.median(levels) < 1.25e-3
    assert np.mean((levels > 0.3e-3) & (levels < 3e-3)) > 0.97
    assert np.mean([resolved for _, resolved in tables]) > 0.8


def test_difference_table_drops_what_is_smooth():
    t = np.arange(7.0)
    rng = np.random.default_rng(6)
    level, resolved = difference_table(5.0 + t - 0.1 * t**2 + 1e-9 * rng.standard_normal(7))
    assert resolved
    assert 2e-10 < level < 4e-9


@pytest.mark.parametrize("size", [1e-12, 1e-8, 1e-4])
@pytest.mark.parametrize("seed", range(5))
def test_added_noise_is_found(size, seed):
    rng = np.random.default_rng(seed)
    level = estimate_noise(lambda x: smooth(x) + size * rng.standard_normal(), X)
    assert 0.25 * size < level < 3.0 * size


def test_rounding_level():
    level = estimate_noise(smooth, X)
    assert ROUNDING * smooth(X) <= level <= 8 * EPS * smooth(X)


def test_single_precision_inside():
    def f(x):
        y = x.astype(np.float32)
        return float(np.exp(np.float32(0.3) * y).sum(dtype=np.float32))

    quantum = np.spacing(np.float32(f(X)))
    assert 0.1 * quantum < estimate_noise(f, X) < 4.0 * quantum


def test_rounded_output():
    level = estimate_noise(lambda x: round(smooth(x), 5), X)
    assert 3e-7 < level < 2e-5  # a rounding error has the standard deviation 2.9e-6


def test_large_offset():
    level = estimate_noise(lambda x: 1e10 + smooth(x), X)
    assert 0.1 * np.spacing(1e10) < level < 2.0 * np.spacing(1e10)


def test_constant_function_has_the_noise_of_its_rounding():
    assert estimate_noise(lambda x: 5.0, X) == ROUNDING * 5.0
    assert estimate_noise(lambda x: 0.0, X) == 0.0


def test_noise_repeats_and_depends_on_the_direction_only():
    assert estimate_noise(smooth, X) == estimate_noise(smooth, X)
    assert estimate_noise(smooth, X, rng=1) == estimate_noise(smooth, X, rng=np.random.default_rng(1))


def test_noise_costs_seven_evaluations_where_f_is_ordinary():
    calls = []
    estimate_noise(lambda x: calls.append(1) or smooth(x), X)
    assert len(calls) == 7


def test_model_grows_like_the_square_root_of_a_residual_sum():
    model = NoiseModel(f0=0.0, level=0.0, relative=0.0, growth=1e-10)
    assert model.at(4.0) == pytest.approx(2.0 * model.at(1.0))
    np.testing.assert_allclose(model.at_all(np.array([[1.0, -9.0], [4.0, 2.0]])), [model.at(-9.0), model.at(4.0)])


def test_noise_given_is_taken_at_its_word():
    rng = np.random.default_rng(2)
    result = hessian(lambda x: smooth(x) + 1e-6 * rng.standard_normal(), X, noise=1e-6, full_output=True)
    assert result.noise == 1e-6
    assert result.evaluations.noise == 1  # f(x) is asked once more: is it the same?


@pytest.mark.parametrize(("noise", "error"), [(-1.0, ValueError), (np.nan, ValueError), ("much", TypeError)])
def test_bad_noise_is_named(noise, error):
    with pytest.raises(error, match="noise"):
        hessian(smooth, X, noise=noise)


def test_zero_residual_sum_has_its_noise_measured_where_it_has_values():
    rng = np.random.default_rng(8)
    A = rng.standard_normal((30, 4))
    target = np.exp(A @ X * 0.2)

    def f(x):
        return float(((np.exp(A @ x * 0.2) - target) ** 2).sum())

    J = 0.2 * target[:, None] * A
    result = hessian(f, X, full_output=True)
    error = np.abs(result.hess - 2 * J.T @ J)
    assert f(X) == 0.0
    assert error.max() <= 1e-10 * np.abs(result.hess).max()
    assert np.mean(error <= result.hess_error) >= 0.9
    assert result.evaluations.noise == 13  # f(x) once more, and a table
