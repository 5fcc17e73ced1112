import dataclasses

import numpy as np
import pytest

from hessfast import HessianResult, HessianStatus, StepStatus, TaylorTerms, hessian, optimal_step


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


def test_standard_errors_below_their_bars_are_not_passed_off():
    x = np.linspace(-1.0, 1.0, 20)
    y = (x > 0.0) * 1.0

    def separated(b):
        s = b[0] + b[1] * x
        return np.sum(np.logaddexp(0.0, s) - y * s)

    result = hessian(separated, [0.0, 1000.0], full_output=True)
    with pytest.warns(RuntimeWarning, match="standard errors are not determined"):
        value, error = result.standard_errors()
    assert (error >= value).any()


def test_message_counts_what_is_vague():
    rng = np.random.default_rng(0)
    assert hessian(lambda x: x @ x, [1.0, 2.0], full_output=True).message == "every entry was determined"
    noisy = hessian(lambda x: np.sin(3.0 * x).sum() + 1e-2 * rng.standard_normal(), [1.0, 2.0], full_output=True)
    assert "of 4 to fewer than three digits" in noisy.message
    given = hessian(lambda x: x @ x, [1.0, 2.0], abs_step=1e-3, full_output=True)
    assert given.message == "steps were given: nothing is known of the errors"
