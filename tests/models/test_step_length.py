import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from models import Operator, forms, quadratic

from hessfast import StepStatus, optimal_step
from hessfast.results import CurvatureResult, CurvatureStatus

EPS = np.finfo(float).eps


def exact_form(H, g):
    """gᵀg and gᵀHg without rounding."""
    g, H = [Fraction(v) for v in g], [[Fraction(v) for v in row] for row in H]
    gHg = sum(a * sum(h * b for h, b in zip(row, g, strict=True)) for a, row in zip(g, H, strict=True))
    return sum(a * a for a in g), gHg


@given(forms())
def test_certificate_says_what_exact_arithmetic_says(problem):
    g, H = problem
    gg, gHg = exact_form(H, g)
    result = optimal_step(g, H, max_step=1e6)
    if gg == 0:
        assert result.status is StepStatus.FLAT
        assert float(result) == 0.0
    elif result.status is StepStatus.UNRESOLVED:
        bound = (len(g) + 2) * EPS * (np.abs(g) @ np.abs(H) @ np.abs(g))
        assert abs(gHg) <= 2 * bound
        assert float(result) == 1e6
    elif gHg > 0:
        assert result.status is StepStatus.DESCENT
        low, high = result.interval
        assert low <= min(gg / gHg, 10**6) <= high
        assert low <= float(result) <= high
    else:
        assert result.status is StepStatus.NEGATIVE_CURVATURE
        assert float(result) == 1e6


@given(forms(), st.integers(-531, 531))
def test_gradients_of_extreme_size_scale_exactly(problem, exponent):
    g, H = problem
    assume(np.abs(g).max() > 0.1)
    plain, scaled = (optimal_step(v, H, max_step=1e6) for v in (g, np.ldexp(g, exponent)))
    assert scaled.status is plain.status
    assert float(scaled) == pytest.approx(float(plain), rel=1e-13)
    assert scaled.interval == pytest.approx(plain.interval, rel=1e-9)


def test_curvature_beyond_float64_still_gives_the_step():
    result = optimal_step([1e160, 0.0], np.diag([4.0, 1.0]))
    assert float(result) == 0.25
    assert result.curvature == np.inf
    assert result.predicted_decrease == np.inf


@given(forms(batch=5))
def test_batch_is_the_steps_one_by_one(problem):
    G, H = problem
    batch = optimal_step(G, H, max_step=1e6)
    for i, g in enumerate(G):
        single = optimal_step(g, H, max_step=1e6)
        assert batch.status[i] is single.status
        for name in ("step_length", "interval", "curvature", "predicted_decrease", "uphill_beyond"):
            np.testing.assert_allclose(getattr(batch, name)[i], getattr(single, name), rtol=1e-9, atol=1e-9)


def test_lower_triangle_alone_counts():
    _, g, H = quadratic(700)
    lower = np.tril(H) + np.triu(np.full(H.shape, np.nan), 1)
    full, half = optimal_step(g, H), optimal_step(g, lower)
    assert float(half) == float(full)
    assert half.interval == full.interval
    bound = 702 * EPS * (np.abs(g) @ np.abs(H) @ np.abs(g))
    low, high = full.interval
    assert high - low == pytest.approx(2.0 * float(full) * bound / full.curvature, rel=1e-2)


def test_stack_of_matrices():
    problems = [quadratic(4, seed, definite=seed % 2 == 0) for seed in range(6)]
    G, H = np.array([p[1] for p in problems]), np.array([p[2] for p in problems])
    batch = optimal_step(G, H)
    for i in range(6):
        assert batch.step_length[i] == pytest.approx(float(optimal_step(G[i], H[i])))


def test_negative_curvature():
    result = optimal_step([1.0, 0.0], np.diag([-2.0, 1.0]))
    assert result.status is StepStatus.NEGATIVE_CURVATURE
    assert float(result) == np.inf
    assert result.interval == (np.inf, np.inf)
    assert result.uphill_beyond == np.inf
    assert result.curvature == -2.0


def test_negative_curvature_to_a_longest_step():
    result = optimal_step([1.0, 0.0], np.diag([-2.0, 1.0]), max_step=3.0)
    assert float(result) == 3.0
    assert result.predicted_decrease == 3.0 + 9.0


def test_no_curvature_at_all_falls_without_bound():
    result = optimal_step([1.0, 2.0], np.zeros((2, 2)))
    assert result.status is StepStatus.NEGATIVE_CURVATURE
    assert float(result) == np.inf
    assert result.predicted_decrease == np.inf


def test_flat():
    result = optimal_step([0.0, 0.0], np.eye(2))
    assert (result.status, float(result), result.interval) == (StepStatus.FLAT, 0.0, (0.0, 0.0))
    assert result.predicted_decrease == 0.0


def test_gradient_error_for_each_row():
    result = optimal_step([[3.0, 4.0], [0.3, 0.4]], np.eye(2), g_error=[0.6, 0.1])
    assert [status.name for status in result.status] == ["DESCENT", "FLAT"]


def test_unresolved_warns_and_says_so():
    with pytest.warns(RuntimeWarning, match="1 of 1 directions"):
        result = optimal_step([1.0, 1.0], gHg=1e-9, error=1e-8)
    assert result.status is StepStatus.UNRESOLVED
    assert np.isnan(float(result))
    low, high = result.interval
    assert low == pytest.approx(2.0 / 1.1e-8)
    assert high == np.inf


def test_unresolved_with_a_longest_step_is_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = optimal_step([1.0, 1.0], gHg=-1e-9, error=1e-8, max_step=0.5)
    assert (result.status, float(result)) == (StepStatus.UNRESOLVED, 0.5)


def test_rounding_alone_leaves_the_sign_unresolved():
    # gᵀHg = 0 exactly; 0.1 + 0.2 - 0.3 in floating point is not.
    g = np.ones(3)
    H = np.diag([0.1, 0.2, -0.3])
    assert g @ H @ g != 0.0
    assert optimal_step(g, H, max_step=1.0).status is StepStatus.UNRESOLVED


def test_small_block_of_a_badly_scaled_matrix_stays_resolved():
    result = optimal_step([1e-12, 1.0], np.diag([1e20, 1.0]))
    assert result.status is StepStatus.DESCENT
    assert float(result) == pytest.approx(1.0 / (1.0 + 1e-4), rel=1e-12)


def test_interval_from_the_error_bar():
    result = optimal_step([1.0, 1.0], gHg=4.0, error=1.0)
    assert float(result) == 0.5
    assert result.interval == (2.0 / 5.0, 2.0 / 3.0)
    assert optimal_step([1.0, 1.0], gHg=4.0, error=4.0).interval == (0.25, np.inf)


def test_longest_step_clips_step_and_interval():
    result = optimal_step([1.0, 1.0], gHg=4.0, error=1.0, max_step=0.45)
    assert float(result) == 0.45
    assert result.interval == (0.4, 0.45)
    assert result.predicted_decrease == pytest.approx(0.45 * 2.0 - 0.5 * 0.45**2 * 4.0)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (([1.0, np.nan], np.eye(2)), ValueError, "g must be finite"),
        (([1.0, 1.0], [[1.0, 0.0], [np.nan, 1.0]]), ValueError, "H must be finite"),
        (([1.0, 1.0], [[np.inf, 0.0], [0.0, 1.0]]), ValueError, "H must be finite"),
        (([1.0, 1.0], np.eye(3)), ValueError, "H must have shape"),
        (([1.0, 1.0], np.eye(2)[:, :1]), ValueError, "H must have shape"),
        (([1.0, 1.0], 1j * np.eye(2)), TypeError, "H must be real"),
        ((np.array([1j, 1.0]), np.eye(2)), TypeError, "g must be real"),
        ((np.zeros((2, 2, 2)), np.eye(2)), ValueError, "g must have shape"),
        (([], np.zeros((0, 0))), ValueError, "g must have shape"),
        (([1.0],), ValueError, "either H or gHg"),
    ],
)
def test_bad_input(arguments, error, match):
    with pytest.raises(error, match=match):
        optimal_step(*arguments)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"gHg": np.nan}, "gHg must be finite"),
        ({"gHg": [1.0, 2.0]}, "gHg must be a number"),
        ({"gHg": 1.0, "error": -1.0}, "error must be"),
        ({"gHg": 1.0, "error": np.nan}, "error must be"),
        ({"gHg": 1.0, "max_step": 0.0}, "max_step must be positive"),
        ({"gHg": 1.0, "g_error": [1.0, 2.0, 3.0]}, "g_error must be"),
        ({"gHg": 1.0, "H": np.eye(2)}, "either H or gHg"),
    ],
)
def test_bad_options(options, match):
    with pytest.raises(ValueError, match=match):
        optimal_step([1.0, 1.0], **options)


def test_product_of_the_wrong_shape():
    with pytest.raises(ValueError, match="must map"):
        optimal_step([1.0, 2.0], lambda v: 1.0)


def test_operator_of_the_wrong_shape():
    with pytest.raises(ValueError, match="H must have shape"):
        optimal_step([1.0, 2.0, 3.0], Operator(np.eye(2)))


def measured(error):
    return CurvatureResult(value=4.0, error=error, step=1.0, nfev=0, njev=2, status=CurvatureStatus.POSITIVE)


def test_curvature_that_was_measured_brings_its_bar():
    assert optimal_step([1.0, 1.0], gHg=measured(1.0)).interval == (2.0 / 5.0, 2.0 / 3.0)
    assert optimal_step([1.0, 1.0], gHg=measured(1.0), error=0.0).interval == (0.5, 0.5)
    assert optimal_step([1.0, 1.0], gHg=measured(np.nan)).interval == (0.5, 0.5)
    assert optimal_step([1.0, 1.0], gHg=measured(np.inf), max_step=1.0).status is StepStatus.UNRESOLVED


def test_single_precision_gradient_is_summed_in_double():
    g = np.full(10**5, 1e-3, dtype=np.float32)
    assert float(optimal_step(g, gHg=1.0)) == pytest.approx(1e5 * float(np.float32(1e-3)) ** 2, rel=1e-14)


@pytest.mark.parametrize("size", [1e-35, 1e-20, 1.0, 1e20, 1e37])
def test_batch_in_single_precision_is_what_each_gradient_gives(size):
    g = (np.array([[1.0, 0.3], [0.7, -2.0]]) * size).astype(np.float32)
    H = np.diag([1.0, 2.0])
    batch = optimal_step(g, H)
    for row, step, interval in zip(g, batch.step_length, batch.interval, strict=True):
        one = optimal_step(row, H)
        exact = float(Fraction.__truediv__(*exact_form(H, [float(v) for v in row])))
        assert step == pytest.approx(float(one), rel=4 * EPS)
        assert step == pytest.approx(exact, rel=4 * EPS)
        assert interval[0] <= exact <= interval[1]


@pytest.mark.parametrize(("g", "H"), [(1e-70, 1e-200), (1e-74, 1e-180), (1e76, 1e160), (1e-160, 1e200)])
def test_curvature_out_of_range_of_the_gradient_unscaled(g, H):
    for step in (optimal_step([g], [[H]]), optimal_step([[g]], [[H]])):
        assert np.all(np.asarray(step.status) == StepStatus.DESCENT)
        assert np.ravel(step.step_length) == pytest.approx(1.0 / H, rel=1e-13)


def test_minimum_beyond_the_range_of_numbers():
    for step in (optimal_step([1.0], [[1e-310]]), optimal_step([[1.0]], [[1e-310]])):
        assert np.all(np.asarray(step.step_length) == np.inf)
        assert np.all(np.asarray(step.predicted_decrease) == np.inf)


def test_gauge_where_the_minimum_is_infinitely_far():
    step = optimal_step([1.0], [[-1.0]])
    assert step.gauge(step.step_length) == step.gauge(0.0) == step.gauge(1e300) == -1.0


def test_masked_gradient_is_refused():
    masked = np.ma.array([1.0, 1e6], mask=[0, 1])
    with pytest.raises(TypeError, match="g is a masked array"):
        optimal_step(masked, np.eye(2))
    with pytest.raises(TypeError, match="gHg is a masked array"):
        optimal_step(np.ones((2, 2)), gHg=masked)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_matrix_objects_are_arrays():
    assert float(optimal_step([1.0, 2.0], np.matrix([[2.0, 1.0], [1.0, 3.0]]))) == 5.0 / 18.0
    with pytest.raises(ValueError, match="H must have shape"):
        optimal_step(np.matrix([1.0, -1.0, 2.0]), np.eye(2))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("error", "x", TypeError),
        ("error", 1j, TypeError),
        ("g_error", 1j, TypeError),
        ("max_step", "1 m", TypeError),
        ("max_step", [1.0, 2.0], TypeError),
        ("max_step", 0.0, ValueError),
    ],
)
def test_misused_options_are_named(name, value, error):
    with pytest.raises(error, match=name):
        optimal_step([1.0, 2.0], np.eye(2), **{name: value})


@pytest.mark.parametrize("k", [1, 3])
def test_products_may_share_an_array_and_spoil_their_argument(k):
    A = np.diag([1.0, 2.0, 3.0, 4.0])
    G = np.eye(4)[:k] + 0.1
    shared = np.empty(4)

    def product(v):
        np.dot(A, v, out=shared)
        v[:] = np.nan
        return shared

    kept = G.copy()
    np.testing.assert_allclose(optimal_step(G, product).step_length, optimal_step(G, A).step_length, rtol=1e-14)
    assert (kept == G).all()


@pytest.mark.parametrize("g_error", [0.3, [0.18, 0.24]])
def test_interval_holds_for_any_gradient_within_its_bar(g_error):
    g, D, bar = np.array([3.0, 4.0]), 2.0, 0.5
    for step in (optimal_step(g, gHg=D, error=bar, g_error=g_error),):
        assert step.interval == pytest.approx((4.7**2 / 2.5, 5.3**2 / 1.5), rel=1e-14)
    batch = optimal_step([g, 2 * g], gHg=[D, D], error=bar, g_error=0.3)
    np.testing.assert_allclose(batch.interval[0], (4.7**2 / 2.5, 5.3**2 / 1.5), rtol=1e-14)
    assert optimal_step([1.0], gHg=1.0, g_error=0.999).interval == pytest.approx((1e-6, 1.999**2), rel=1e-9)


def test_step_in_formulas_and_formats():
    step = optimal_step([1.0, 2.0], np.diag([1.0, 4.0]))
    g = np.array([1.0, 2.0])
    assert (g - step * g).tolist() == (g - float(step) * g).tolist()
    assert f"{step:.3f}" == "0.294"
    assert f"{step}" == str(step)
    batch = optimal_step([g, g], np.diag([1.0, 4.0]))
    assert np.asarray(batch).tolist() == batch.step_length.tolist()
    found = CurvatureResult(2.0, 0.1, 1.0, 3, 0, CurvatureStatus.POSITIVE)
    assert f"{found:.1f}" == "2.0"
    assert np.add(found, 1.0) == 3.0
