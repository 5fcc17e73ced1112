import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hessfast import StepStatus, TaylorModel, optimal_step

EPS = np.finfo(float).eps


def quadratic(n, seed=0, definite=True):
    """A symmetric H, a gradient and a point, of moderate size."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    H = A @ A.T + n * np.eye(n) if definite else A + A.T
    return rng.standard_normal(n), rng.standard_normal(n), H


def packed(H):
    return H[np.tril_indices(len(H))]


class Operator:
    """A linear operator as SciPy's aslinearoperator would take it."""

    def __init__(self, H):
        self.H, self.shape, self.dtype, self.products = H, H.shape, H.dtype, 0

    def matvec(self, v):
        self.products += 1
        return self.H @ v

    def matmat(self, V):
        self.products += V.shape[1]
        return self.H @ V


FORMS = {
    "array": lambda H: H,
    "fortran": np.asfortranarray,
    "packed": packed,
    "operator": Operator,
    "callable": lambda H: lambda v: H @ v,
}

entries = st.floats(-8.0, 8.0, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def forms(draw, batch=None):
    n = draw(st.integers(1, 6))
    lower = draw(arrays(float, (n, n), elements=entries))
    g = draw(arrays(float, (n,) if batch is None else (batch, n), elements=entries))
    return g, np.tril(lower) + np.tril(lower, -1).T


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


@pytest.mark.parametrize("size", [1e-160, 1e160])
@pytest.mark.parametrize("form", FORMS)
def test_gradient_of_extreme_size(size, form):
    x, g, H = quadratic(5)
    expected = (g @ g) / (g @ H @ g)
    assert float(optimal_step(size * g, FORMS[form](H))) == pytest.approx(expected, rel=1e-13)
    model = TaylorModel(x, 0.0, size * g, FORMS[form](H))
    assert float(model.step()) == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(model.cauchy_step(), -expected * size * g, rtol=1e-13)
    np.testing.assert_allclose(model.newton_step(), -size * np.linalg.solve(H, g), rtol=1e-8)


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


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_matrix_gives_the_same_model(form):
    x, g, H = quadratic(7)
    dense, other = TaylorModel(x, 1.5, g, H), TaylorModel(x, 1.5, g, FORMS[form](H))
    X = np.random.default_rng(1).standard_normal((7, 5))
    np.testing.assert_allclose(other.model(X), dense.model(X), rtol=1e-13)
    assert other.model(X[:, 2]) == pytest.approx(dense.model(X)[2], rel=1e-13)
    assert float(other.step()) == pytest.approx((g @ g) / (g @ H @ g), rel=1e-13)
    np.testing.assert_allclose(other.newton_step(), -np.linalg.solve(H, g), rtol=1e-8)


def test_memmap(tmp_path):
    x, g, H = quadratic(9)
    stored = np.lib.format.open_memmap(tmp_path / "H.npy", mode="w+", shape=(45,), dtype=np.float64)
    stored[:] = packed(H)
    model = TaylorModel(x, 0.0, g, stored)
    assert float(model.step()) == pytest.approx((g @ g) / (g @ H @ g), rel=1e-13)


def test_sparse_matrix():
    sparse = pytest.importorskip("scipy.sparse")
    x, g, H = quadratic(9)
    model = TaylorModel(x, 0.0, g, sparse.csr_array(H))
    assert float(model.step()) == pytest.approx((g @ g) / (g @ H @ g), rel=1e-13)


def test_linear_operator_of_scipy():
    linalg = pytest.importorskip("scipy.sparse.linalg")
    x, g, H = quadratic(9)
    model = TaylorModel(x, 0.0, g, linalg.aslinearoperator(H))
    np.testing.assert_allclose(model.newton_step(), -np.linalg.solve(H, g), rtol=1e-8)


def test_operator_is_asked_once_for_the_step():
    x, g, H = quadratic(9)
    operator = Operator(H)
    model = TaylorModel(x, 0.0, g, operator)
    assert operator.products == 0
    model.step()
    model.along(np.linspace(0.0, 1.0, 7))
    model.cauchy_step()
    assert operator.products == 1


@given(forms(), st.floats(-3.0, 3.0), st.floats(0.0, 10.0))
def test_terms_sum_to_the_model(problem, f0, step_length):
    g, H = problem
    x = np.linspace(-1.0, 1.0, len(g))
    model = TaylorModel(x, f0, g, H)
    terms = model.terms(step_length)
    assert sum(terms) == model.along(step_length)
    assert terms.direction <= 0.0
    size = abs(f0) + step_length * (g @ g) + step_length**2 * (np.abs(g) @ np.abs(H) @ np.abs(g))
    # x - step_length g is rounded before the model sees it: slope times eps |x| more.
    assert abs(model.model(x - step_length * g) - model.along(step_length)) <= 1e-12 * (1.0 + size)


@given(forms())
@settings(max_examples=60)
def test_cauchy_step_is_the_minimum_along_the_gradient(problem):
    g, H = problem
    result = optimal_step(g, H, max_step=1e6)
    assume(result.status is StepStatus.DESCENT and float(result) < 1e3)
    model = TaylorModel(np.zeros(len(g)), 0.0, g, H)
    lowest = model.model(model.cauchy_step())
    assert lowest == pytest.approx(-result.predicted_decrease, rel=1e-6, abs=1e-9)
    along = model.along(np.linspace(0.0, 2.5, 101) * float(result))
    assert (along >= lowest - 1e-9 * (1.0 + abs(lowest))).all()


def test_model_is_level_again_at_uphill_beyond():
    x, g, H = quadratic(6)
    model = TaylorModel(x, 2.0, g, H)
    assert model.along(model.step().uphill_beyond) == pytest.approx(2.0, rel=1e-12)


def test_shapes_follow_the_step_lengths():
    x, g, H = quadratic(4)
    model = TaylorModel(x, 2.0, g, H)
    lengths = np.linspace(0.0, 1.0, 6).reshape(2, 3)
    assert model.along(lengths).shape == (2, 3)
    assert all(term.shape == (2, 3) for term in model.terms(lengths))
    assert isinstance(model.along(0.5), float)
    assert isinstance(model.model(x), float)


def test_newton_step_is_the_minimum_of_the_model():
    x, g, H = quadratic(8)
    model = TaylorModel(x, 0.0, g, H)
    s = model.newton_step()
    np.testing.assert_allclose(H @ s, -g, rtol=1e-11)
    near = x[:, None] + s[:, None] + 1e-3 * np.random.default_rng(2).standard_normal((8, 50))
    assert (model.model(near) > model.model(x + s)).all()


def test_newton_step_on_badly_scaled_variables():
    x, g, H = quadratic(6)
    unit = np.logspace(-9, 9, 6)
    model = TaylorModel(x, 0.0, g / unit, H / unit / unit[:, None])
    np.testing.assert_allclose(model.newton_step(), -unit * np.linalg.solve(H, g), rtol=1e-11)


@pytest.mark.parametrize("form", FORMS)
def test_newton_step_without_a_minimum(form):
    model = TaylorModel([0.0, 0.0], 0.0, [1.0, 0.3], FORMS[form](np.array([[1.0, 2.0], [2.0, 1.0]])))
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        model.newton_step()


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


@pytest.mark.parametrize("g_error", [6.0, [3.0, 4.1]])
def test_gradient_below_its_own_error_is_flat(g_error):
    g = np.array([3.0, 4.0])
    assert optimal_step(g, np.eye(2), g_error=g_error).status is StepStatus.FLAT
    assert TaylorModel([0.0, 0.0], 0.0, g, np.eye(2), g_error=g_error).step().status is StepStatus.FLAT
    assert optimal_step(g, np.eye(2), g_error=np.multiply(0.5, g_error)).status is StepStatus.DESCENT


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


def test_cauchy_step_within_a_radius():
    model = TaylorModel([0.0, 0.0], 0.0, [3.0, 4.0], np.eye(2))
    np.testing.assert_allclose(model.cauchy_step(), [-3.0, -4.0])
    np.testing.assert_allclose(model.cauchy_step(radius=1.0), [-0.6, -0.8])
    np.testing.assert_allclose(model.cauchy_step(radius=9.0), [-3.0, -4.0])


def test_cauchy_step_on_negative_curvature_needs_a_radius():
    model = TaylorModel([0.0, 0.0], 0.0, [3.0, 4.0], -np.eye(2))
    with pytest.raises(np.linalg.LinAlgError, match="without bound"):
        model.cauchy_step()
    np.testing.assert_allclose(model.cauchy_step(radius=10.0), [-6.0, -8.0])


def test_cauchy_step_on_flat_ground_stays():
    model = TaylorModel([1.0, 2.0], 0.0, [0.0, 0.0], np.eye(2))
    np.testing.assert_array_equal(model.cauchy_step(), [0.0, 0.0])
    np.testing.assert_array_equal(model.cauchy_step(radius=1.0), [0.0, 0.0])


def test_error_of_the_model_reaches_its_step():
    model = TaylorModel([0.0, 0.0], 0.0, [1.0, 1.0], 2.0 * np.eye(2), error=1.0)
    assert model.curvature_error == 1.0
    assert model.step().interval == (2.0 / 5.0, 2.0 / 3.0)


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


def test_model_refuses_an_asymmetric_matrix():
    H = np.eye(300)
    H[257, 3] = 1e-3
    with pytest.raises(ValueError, match=r"H\[257, 3\] = 0.001 and H\[3, 257\] = 0"):
        TaylorModel(np.zeros(300), 0.0, np.ones(300), H)


def test_model_accepts_what_differences_of_gradients_leave():
    _, g, H = quadratic(5)
    noise = 1.0 + 1e-9 * np.random.default_rng(3).standard_normal((5, 5))
    TaylorModel(np.zeros(5), 0.0, g, H * noise)
    # rounding in rows that are zero in truth
    H[:, 0] = H[0, :] = 0.0
    H[0, 3] = 1e-17
    TaylorModel(np.zeros(5), 0.0, g, H)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([[1.0]], 0.0, [[1.0]], [[1.0]]), "x0 must have shape"),
        (([1.0, 2.0], 0.0, [1.0], np.eye(2)), "g must have the shape of x0"),
        (([1.0], [0.0], [1.0], np.eye(1)), "f0 must be a number"),
        (([1.0], np.inf, [1.0], np.eye(1)), "f0 must be finite"),
        (([1.0], 0.0, [1.0], [[np.nan]]), "H must be finite"),
    ],
)
def test_model_of_bad_input(arguments, match):
    with pytest.raises(ValueError, match=match):
        TaylorModel(*arguments)


def test_point_of_the_wrong_shape():
    x, g, H = quadratic(3)
    with pytest.raises(ValueError, match="x must have shape"):
        TaylorModel(x, 0.0, g, H).model(np.zeros(4))


def test_product_of_the_wrong_shape():
    with pytest.raises(ValueError, match="must map"):
        optimal_step([1.0, 2.0], lambda v: 1.0)


def test_operator_of_the_wrong_shape():
    with pytest.raises(ValueError, match="H must have shape"):
        optimal_step([1.0, 2.0, 3.0], Operator(np.eye(2)))


def rosenbrock(x):
    return float(100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2)


def rosenbrock_model(x, **options):
    g = np.array([-400.0 * x[0] * (x[1] - x[0] ** 2) - 2.0 * (1.0 - x[0]), 200.0 * (x[1] - x[0] ** 2)])
    H = np.array([[1200.0 * x[0] ** 2 - 400.0 * x[1] + 2.0, -400.0 * x[0]], [-400.0 * x[0], 200.0]])
    return TaylorModel(x, rosenbrock(x), g, H, **options)


def test_plot_marks_the_step_and_the_uphill_region():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    model = rosenbrock_model(np.array([-1.2, 1.0]), error=1e6)
    ax = model.plot(rosenbrock)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["Taylor model", "f"]
    truth = next(line for line in ax.lines if line.get_label() == "f")
    x, y = truth.get_data()
    i = int(np.argmin(np.abs(x)))
    assert y[i] == pytest.approx(rosenbrock(model.x0 - x[i] * model.g))
    assert any(f"{float(model.step()):.4g}" in text.get_text() for text in ax.texts)
    plt.close(ax.figure)


@pytest.mark.parametrize("model", [TaylorModel([1.0], 0.0, [1.0], [[-1.0]]), TaylorModel([0.0], 0.0, [0.0], [[0.0]])])
def test_plot_without_a_minimum(model):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert model.plot(ax=ax) is ax
    assert model.step().message == ax.get_title(loc="left")
    plt.close(ax.figure)


def test_fit_from_values():
    x = np.array([-1.2, 1.0])
    model, exact = TaylorModel.fit(rosenbrock, x), rosenbrock_model(x)
    assert model.f0 == exact.f0
    np.testing.assert_allclose(model.g, exact.g, rtol=1e-6)
    np.testing.assert_allclose(model.H, exact.H, rtol=1e-6)
    assert float(model.step()) == pytest.approx(float(exact.step()), rel=1e-6)


def test_fit_from_the_gradient():
    x = np.array([-1.2, 1.0])
    exact = rosenbrock_model(x)
    for fun, jac in (
        (rosenbrock, lambda x: rosenbrock_model(x).g),
        (lambda x: (rosenbrock(x), rosenbrock_model(x).g), True),
    ):
        model = TaylorModel.fit(fun, x, jac=jac)
        assert model.f0 == exact.f0
        np.testing.assert_array_equal(model.g, exact.g)
        np.testing.assert_allclose(model.H, exact.H, rtol=1e-8)


def test_fit_of_chosen_coordinates():
    x = np.array([-1.2, 1.0])
    model = TaylorModel.fit(rosenbrock, x, mask=[False, True])
    assert model.g.shape == (1,)
    np.testing.assert_allclose(model.H, [[200.0]], rtol=1e-6)


def test_fit_needs_the_function_itself():
    with pytest.raises(ValueError, match="fun must be a function"):
        TaylorModel.fit(None, [1.0], jac=lambda x: x)
