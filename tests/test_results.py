import dataclasses
import pickle

import numpy as np
import pytest
from labelled import Labelled

from hessfast import (
    AccuracyWarning,
    HessianResult,
    HessianStatus,
    HvpResult,
    StepStatus,
    TaylorTerms,
    check_hessian,
    curvature,
    gradient,
    hessian,
    hessian_diag,
    optimal_step,
)


def test_float_of_one_step():
    result = optimal_step([3.0, 4.0], np.diag([2.0, 2.0]))
    assert float(result) == 0.5
    assert isinstance(result.step_length, float)
    assert isinstance(result.interval, tuple)


def test_float_of_a_batch_is_refused():
    result = optimal_step(np.ones((3, 2)), np.eye(2))
    with pytest.raises(TypeError, match="batch of 3"):
        float(result)


def test_result_is_frozen():
    result = optimal_step([1.0], [[2.0]])
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.step_length = 1.0


def test_gauge_marks_start_minimum_and_level():
    result = optimal_step([3.0, 4.0], np.diag([2.0, 2.0]))
    np.testing.assert_array_equal(result.gauge([0.0, 0.5, 1.0, 1.5]), [-1.0, 0.0, 1.0, 2.0])
    assert result.gauge(0.5) == 0.0


def test_gauge_reads_the_minimum_of_the_model_not_the_clipped_step():
    result = optimal_step([3.0, 4.0], np.diag([2.0, 2.0]), max_step=0.1)
    assert float(result) == 0.1
    assert result.gauge(0.5) == 0.0
    assert result.uphill_beyond == 1.0


def test_gauge_without_a_minimum():
    falling = optimal_step([1.0, 0.0], np.diag([-1.0, 1.0]))
    assert falling.gauge(1e300) == -1.0
    flat = optimal_step([0.0, 0.0], np.eye(2))
    assert flat.gauge(7.0) == 0.0
    unresolved = optimal_step([1.0], gHg=1e-9, error=1e-8, max_step=1.0)
    assert np.isnan(unresolved.gauge(1.0))


def test_gauge_of_a_batch():
    result = optimal_step([[1.0, 0.0], [0.0, 1.0]], np.diag([1.0, 4.0]))
    np.testing.assert_array_equal(result.gauge(0.5), [-0.5, 1.0])


@pytest.mark.parametrize("status", StepStatus)
def test_every_status_has_its_sentence(status):
    assert status.message.count(":") == 1


def test_message_counts_the_statuses_of_a_batch():
    result = optimal_step([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], np.diag([1.0, -1.0]))
    assert result.message == "1 descent, 1 flat, 1 negative curvature"


def test_terms_are_named():
    terms = TaylorTerms(1.0, -2.0, 0.5)
    assert (terms.position, terms.direction, terms.curvature) == (1.0, -2.0, 0.5)


def a_result(hess, hess_error=None):
    hess = np.asarray(hess, dtype=np.float64)
    zeros = np.zeros(len(hess))
    return HessianResult(
        x=zeros,
        index=np.arange(len(hess), dtype=np.int32),
        fun=0.0,
        jac=zeros,
        hess=hess,
        step=zeros + 1e-3,
        nfev=1,
        njev=0,
        lane="python",
        status=HessianStatus.COMPLETE,
        missing=0,
        hess_error=hess_error,
    )


def test_standard_errors_invert_the_hessian_at_any_scaling():
    H = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])
    scale = np.array([1e-120, 1.0, 1e120])
    value, error = a_result(H * np.outer(scale, scale)).standard_errors("chi2")
    np.testing.assert_allclose(value * scale, np.sqrt(2.0 * np.diag(np.linalg.inv(H))), rtol=1e-14)
    assert np.isnan(error).all()


def test_standard_errors_carry_the_bars_of_the_hessian():
    H = np.array([[4.0, 1.0], [1.0, 3.0]])
    E = 1e-4 * np.array([[1.0, 0.5], [0.5, 2.0]])
    value, error = a_result(H, E).standard_errors()
    for signs in ([1, 1, 1], [1, -1, 1], [-1, 1, -1], [1, 1, -1], [-1, -1, -1]):
        moved = H + E * np.array([[signs[0], signs[1]], [signs[1], signs[2]]])
        change = np.abs(np.sqrt(np.diag(np.linalg.inv(moved))) - value)
        assert (change <= 1.001 * error).all()
    assert (error <= 1e-3 * value).all()


def test_standard_errors_away_from_a_minimum():
    with pytest.raises(np.linalg.LinAlgError, match=r"not positive definite.*eigenvalue -1 .*along x\[0\], x\[1\]"):
        a_result([[1.0, 2.0], [2.0, 1.0]]).standard_errors()
    with pytest.raises(np.linalg.LinAlgError, match=r"not positive definite.*eigenvalue -1 .*along x\[1\]"):
        a_result([[1.0, 0.0], [0.0, -3.0]]).standard_errors()


def test_data_that_do_not_identify_a_parameter():
    x = np.linspace(-1.0, 1.0, 20)
    y = (x > 0.0) * 1.0

    def separated(b):
        s = b[0] + b[1] * x
        return np.sum(np.logaddexp(0.0, s) - y * s)

    result = hessian(separated, [0.0, 1000.0], full_output=True)
    with pytest.raises(np.linalg.LinAlgError, match=r"undetermined at this accuracy: eigenvalue .* ± .*x\[0\], x\[1\]"):
        result.standard_errors()


def test_direction_that_f_ignores_is_undetermined_and_named():
    names = Labelled([1.0, 2.0, 3.0], ["rate", "offset", "share"])
    result = hessian(lambda b: b[0] ** 2 + (b[1] + b[2] - 4.0) ** 2, names, full_output=True)
    with pytest.raises(np.linalg.LinAlgError, match=r"undetermined.*along (offset, share|share, offset);"):
        result.standard_errors()


def test_saddle_within_its_bars_is_undetermined_not_indefinite():
    with pytest.raises(np.linalg.LinAlgError, match="undetermined"):
        a_result([[1.0, 1.001], [1.001, 1.0]], np.full((2, 2), 0.01)).standard_errors()
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        a_result([[1.0, 1.1], [1.1, 1.0]], np.full((2, 2), 0.01)).standard_errors()


def test_standard_errors_below_their_bars_are_not_passed_off():
    H = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 2.0]])
    with pytest.warns(AccuracyWarning, match=r"2 of 3 standard errors .* x\[1\] is 2.3 ± 0.44"):
        value, error = a_result(H, np.full((3, 3), 0.02)).standard_errors()
    assert (error > 0.1 * value).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"objective": "likelihood"}, ValueError, "objective.*nll.*chi2.*rss"),
        ({"objective": 2.0}, ValueError, "objective"),
        ({"objective": "rss"}, ValueError, "observations.*number"),
        ({"objective": "rss", "observations": 2}, ValueError, "observations: more than the 2 parameters"),
        ({"objective": "rss", "observations": 2.5}, TypeError, "observations.*integer"),
        ({"objective": "rss", "observations": "10"}, TypeError, "observations"),
        ({"objective": "nll", "observations": 10}, ValueError, "observations"),
        ({"objective": "chi2", "observations": 10}, ValueError, "observations"),
    ],
)
def test_objective_is_checked_by_name(arguments, error, named):
    with pytest.raises(error, match=named):
        a_result(np.eye(2)).standard_errors(**arguments)


def test_residual_sum_needs_a_value_that_is_one():
    result = hessian(None, [1.0, 2.0], jac=lambda x: 2.0 * x, full_output=True)
    with pytest.raises(ValueError, match="give fun beside jac"):
        result.standard_errors("rss", 10)
    result = hessian(lambda x: x @ x - 20.0, [1.0, 2.0], full_output=True)
    with pytest.raises(ValueError, match="sum of squares, but"):
        result.standard_errors("rss", 10)


def fitted_line(seed, count=40):
    """Data, and the least squares fit of intercept and slope with its standard errors in closed form."""
    rng = np.random.default_rng(seed)
    A = np.column_stack([np.ones(count), rng.uniform(0.0, 10.0, count)])
    y = A @ [2.0, -0.3] + 0.4 * rng.standard_normal(count)
    b, rss, _, _ = np.linalg.lstsq(A, y, rcond=None)
    return A, y, b, np.sqrt(rss[0] / (count - 2) * np.diag(np.linalg.inv(A.T @ A)))


@pytest.mark.parametrize("seed", range(5))
def test_objectives_agree_on_a_line(seed):
    A, y, b, exact = fitted_line(seed)
    variance = np.sum((y - A @ b) ** 2) / (len(y) - 2)
    for objective, observations, unit in (
        ("rss", len(y), 1.0),
        ("chi2", None, variance),
        ("nll", None, 2.0 * variance),
    ):
        result = hessian(lambda b, unit=unit: np.sum((y - A @ b) ** 2) / unit, b, full_output=True)
        value, error = result.standard_errors(objective, observations)
        np.testing.assert_allclose(value, exact, rtol=1e-6)
        assert (error < 1e-4 * value).all()


@pytest.mark.parametrize("away", [0.3, 2.0, 40.0])
def test_point_that_is_not_stationary_is_said_with_its_distance(away):
    A, y, b, exact = fitted_line(3)
    direction = np.array([1.0, 0.0])
    C = np.linalg.inv(A.T @ A) * np.sum((y - A @ b) ** 2) / (len(y) - 2)
    moved = b + away * direction / np.sqrt(direction @ np.linalg.solve(C, direction))
    variance = np.sum((y - A @ b) ** 2) / (len(y) - 2)
    result = hessian(lambda b: np.sum((y - A @ b) ** 2) / (2.0 * variance), moved, full_output=True)
    with pytest.warns(
        AccuracyWarning, match=rf"not stationary: .* {away:.2g} standard errors away.*minimise"
    ) as caught:
        value, _ = result.standard_errors()
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_allclose(value, exact, rtol=1e-6)


def test_point_as_an_optimiser_leaves_it_is_stationary_enough():
    A, y, b, exact = fitted_line(4)
    rng = np.random.default_rng(0)
    for _ in range(10):
        near = b + 0.01 * exact * rng.uniform(-1.0, 1.0, 2)
        result = hessian(lambda b: np.sum((y - A @ b) ** 2), near, full_output=True)
        np.testing.assert_allclose(result.standard_errors("rss", len(y)).value, exact, rtol=1e-3)  # and no warning


@pytest.mark.parametrize(("sign", "side", "bounds"), [(1.0, "lower", (0.0, None)), (-1.0, "upper", (None, 0.0))])
def test_parameter_on_its_bound_is_said(sign, side, bounds):
    def f(b):
        return 50.0 * (b[0] - 1.0) ** 2 + 20.0 * (sign * b[1] + 0.5) ** 2

    result = hessian(f, [1.0, 0.0], bounds=[(None, None), bounds], full_output=True)
    with pytest.warns(AccuracyWarning, match=rf"x\[1\] stands on its {side} bound") as caught:
        result.standard_errors()
    assert "stationary" not in str(caught[0].message)
    inside = hessian(lambda b: f(b) - 20.0 * sign * b[1], [1.0, 0.0], bounds=[(None, None), bounds], full_output=True)
    np.testing.assert_allclose(inside.standard_errors().value, [0.1, 40.0**-0.5], rtol=1e-6)


def test_message_counts_what_is_vague():
    rng = np.random.default_rng(0)
    assert hessian(lambda x: x @ x, [1.0, 2.0], full_output=True).message == "every entry was determined"
    noisy = hessian(lambda x: np.sin(3.0 * x).sum() + 1e-5 * rng.standard_normal(), [1.0, 2.0], full_output=True)
    assert "of 4 to fewer than three digits" in noisy.message
    given = hessian(lambda x: x @ x, [1.0, 2.0], abs_step=1e-3, full_output=True)
    assert given.message == "steps were given: nothing is known of the errors"


def test_right_zeros_are_not_vague():
    def stretched(x):
        ends = x.reshape(2, 3)
        return 5.0 * (np.linalg.norm(ends[1] - ends[0]) - 1.1) ** 2

    flat = hessian(stretched, [0.0, 0.0, 0.0, 1.1, 0.0, 0.0], full_output=True)
    assert flat.message == "every entry was determined"
    assert flat.hess_error[2, 2] > 0.0


def test_noise_of_a_gradient_is_named():
    rng = np.random.default_rng(0)
    with pytest.warns(AccuracyWarning, match="jac seems to have noise of"):
        hessian(None, [1.0, 2.0], jac=lambda x: x + 0.1 * rng.standard_normal(2))


def test_long_lists_print_their_beginning():
    checked = check_hessian(lambda x: np.cosh(x).sum(), np.ones(6), np.ones((6, 6)))
    assert "(row 1, column 0, given 1, found" in repr(checked)
    assert f"... {len(checked.wrong)} in all)" in repr(checked)


EVERY_RESULT = {
    "searched": lambda: hessian(shifted, [1.0, 2.0], full_output=True),
    "steps given": lambda: hessian(shifted, [1.0, 2.0], abs_step=0.01, full_output=True),
    "gradients": lambda: hessian(None, [1.0, 2.0], jac=np.cosh, full_output=True),
    "labelled, in bounds": lambda: hessian(shifted, Labelled([1.0, 2.0], "ab"), bounds=(0.0, None), full_output=True),
    "gradient": lambda: gradient(shifted, [1.0, 2.0], full_output=True),
    "diagonal": lambda: hessian_diag(shifted, [1.0, 2.0], abs_step=0.01, full_output=True),
    "check": lambda: check_hessian(shifted, [1.0, 2.0], np.eye(2)),
    "curvature": lambda: curvature(shifted, [1.0, 2.0], [1.0, 0.0]),
    "batch of curvatures": lambda: curvature(shifted, [1.0, 2.0], np.eye(2)),
    "step": lambda: optimal_step([1.0, 2.0], np.eye(2)),
    "batch of steps": lambda: optimal_step(np.eye(2), np.eye(2)),
    "product": lambda: HvpResult(np.ones(2), 1e-9, 0.01, 0, 4, HessianStatus.COMPLETE),
}


def shifted(x):
    return float(np.sum(np.sinh(x)))


def same(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.tobytes() == b.tobytes()
    return a == b or (a != a and b != b)


def plain(value):
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(part) for key, part in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiubU"
    return value is None or isinstance(value, (str, bool, int, float, np.number))


@pytest.mark.parametrize("name", EVERY_RESULT)
def test_result_survives_pickling_and_comes_apart_into_plain_arrays(name):
    result = EVERY_RESULT[name]()
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        again = pickle.loads(pickle.dumps(result, protocol))
        assert repr(again) == repr(result)
        assert same(again.to_dict(), result.to_dict())
    apart = result.to_dict()
    assert plain(apart), {key: type(part) for key, part in apart.items() if not plain(part)}
    assert {"message", "status" if name != "check" else "wrong"} <= apart.keys()
    assert {field.name for field in dataclasses.fields(result)} <= apart.keys()
