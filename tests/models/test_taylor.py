import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from models import FORMS, Operator, forms, packed, quadratic, rosenbrock, rosenbrock_model

from hessfast import HessianOperator, StepStatus, TaylorModel, hessian, optimal_step


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
    assert (terms.position + terms.direction) + terms.curvature == model.along(step_length)
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


@pytest.mark.parametrize("g_error", [6.0, [3.0, 4.1]])
def test_gradient_below_its_own_error_is_flat(g_error):
    g = np.array([3.0, 4.0])
    assert optimal_step(g, np.eye(2), g_error=g_error).status is StepStatus.FLAT
    assert TaylorModel([0.0, 0.0], 0.0, g, np.eye(2), g_error=g_error).step().status is StepStatus.FLAT
    assert optimal_step(g, np.eye(2), g_error=np.multiply(0.5, g_error)).status is StepStatus.DESCENT


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


def test_model_refuses_an_asymmetric_matrix():
    H = np.eye(300)
    H[257, 3] = 1e-3
    with pytest.raises(ValueError, match=r"H\[257, 3\] = 0.001 and H\[3, 257\] = 0"):
        TaylorModel(np.zeros(300), 0.0, np.ones(300), H)


def test_model_accepts_entries_whose_sum_overflows():
    model = TaylorModel([0.0, 0.0], 0.0, [1e-9, 1e-9], np.full((2, 2), 1e308))
    assert model.step().status is StepStatus.DESCENT


def test_model_accepts_what_differences_of_gradients_leave():
    _, g, H = quadratic(5)
    noise = 1.0 + 1e-9 * np.random.default_rng(3).standard_normal((5, 5))
    assert np.isfinite(TaylorModel(np.zeros(5), 0.0, g, H * noise).curvature_error)
    # rounding in rows that are zero in truth
    H[:, 0] = H[0, :] = 0.0
    H[0, 3] = 1e-17
    assert np.isfinite(TaylorModel(np.zeros(5), 0.0, g, H).curvature_error)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([[1.0]], 0.0, [[1.0]], [[1.0]]), "x0 must have shape"),
        (([1.0, 2.0], 0.0, [1.0], np.eye(2)), "g must have the shape of x0"),
        (([1.0], [0.0], [1.0], np.eye(1)), "f0 must be a number"),
        (([1.0], np.inf, [1.0], np.eye(1)), "f0 must be finite"),
        (([1.0], 0.0, [1.0], [[np.nan]]), "H must be finite"),
        (([1.0, 1.0], 0.0, [1.0, 1.0], [[1.0, np.nan], [0.0, 1.0]]), "H must be finite"),
        (([1.0, 1.0], 0.0, [1.0, 1.0], [[1.0, np.inf], [np.inf, 1.0]]), "H must be finite"),
        (([1.0, 1.0], 0.0, [1.0, 1.0], [[1.0, -np.inf], [np.inf, 1.0]]), "H must be finite"),
    ],
)
def test_model_of_bad_input(arguments, match):
    with pytest.raises(ValueError, match=match):
        TaylorModel(*arguments)


def test_point_of_the_wrong_shape():
    x, g, H = quadratic(3)
    with pytest.raises(ValueError, match="x must have shape"):
        TaylorModel(x, 0.0, g, H).model(np.zeros(4))


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


def chain(x):
    """Logarithm of a sum of exponentials of neighbours, with its gradient: no polynomial, H is dense."""
    z = x[1:] - 0.5 * x[:-1]
    weight = np.exp(z)
    total = weight.sum()
    g = np.zeros(x.size)
    g[1:] += weight / total
    g[:-1] -= 0.5 * weight / total
    return float(np.log(total) + 0.05 * x @ x), g + 0.1 * x


def test_fit_without_a_matrix():
    x = np.random.default_rng(5).standard_normal(30)
    with_matrix = TaylorModel.fit(chain, x, jac=True, dense=True)
    without = TaylorModel.fit(chain, x, jac=True, dense=False)
    assert isinstance(without.H, HessianOperator)
    np.testing.assert_array_equal(without.g, with_matrix.g)
    assert without.f0 == with_matrix.f0 == chain(x)[0]
    step, reference = without.step(), with_matrix.step()
    assert step.status is StepStatus.DESCENT
    assert step.interval[0] <= reference.interval[1]
    assert reference.interval[0] <= step.interval[1]
    assert float(step) == pytest.approx(float(reference), rel=1e-9)
    X = x[:, None] + np.random.default_rng(6).standard_normal((30, 3))
    np.testing.assert_allclose(without.model(X), with_matrix.model(X), rtol=1e-8)
    np.testing.assert_allclose(without.newton_step(), with_matrix.newton_step(), rtol=1e-6, atol=1e-8)


def test_fit_without_a_matrix_takes_two_functions():
    x = np.random.default_rng(5).standard_normal(30)
    one = TaylorModel.fit(chain, x, jac=True, dense=False)
    two = TaylorModel.fit(lambda x, a: a * chain(x)[0], x, jac=lambda x, a: a * chain(x)[1], dense=False, args=(2.0,))
    assert two.f0 == 2.0 * one.f0
    assert float(two.step()) == pytest.approx(0.5 * float(one.step()), rel=1e-9)


def test_fit_at_a_given_step_leaves_the_curvature_without_a_bar():
    x = np.random.default_rng(5).standard_normal(30)
    model = TaylorModel.fit(chain, x, jac=True, dense=False, order=2, rel_step=2.0**-17)
    assert model.curvature_error == 0.0
    assert float(model.step()) == pytest.approx(float(TaylorModel.fit(chain, x, jac=True).step()), rel=1e-7)


def test_fit_of_many_variables_says_that_it_forms_no_matrix(monkeypatch):
    monkeypatch.setattr("hessfast.models.taylor.DENSE_BYTES", 8 * 29**2)
    x = np.random.default_rng(5).standard_normal(30)
    with pytest.warns(UserWarning, match="kept as an operator"):
        model = TaylorModel.fit(chain, x, jac=True)
    assert isinstance(model.H, HessianOperator)
    assert TaylorModel.fit(chain, x, jac=True, dense=True).H.shape == (30, 30)
    assert TaylorModel.fit(lambda x: chain(x)[0], x).H.shape == (30, 30)


def test_fit_without_a_matrix_needs_the_gradient():
    with pytest.raises(ValueError, match="dense=False needs jac"):
        TaylorModel.fit(rosenbrock, [1.0, 2.0], dense=False)


def test_columns_of_a_callable_that_returns_one_array():
    x, g, H = quadratic(4)
    shared = np.empty(4)
    model = TaylorModel(x, 1.0, g, lambda v: np.dot(H, v, out=shared))
    X = np.random.default_rng(0).standard_normal((4, 3))
    np.testing.assert_allclose(model.model(X), TaylorModel(x, 1.0, g, H).model(X), rtol=1e-13)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_matrix_object_is_an_array():
    assert TaylorModel([0, 0], 0.0, [0, 0], np.matrix([[2.0, 1.0], [1.0, 3.0]])).model([1, 2]) == 9.0


def test_hessian_in_single_precision_with_its_rounding():
    J = np.random.default_rng(0).standard_normal((80, 5)).astype(np.float32)
    H = (J * np.float32(0.7)).T @ J
    H[1, 0] = np.nextafter(H[0, 1], np.float32(np.inf))
    assert TaylorModel(np.zeros(5), 0.0, np.ones(5), H).step().status is StepStatus.DESCENT


@pytest.mark.parametrize("where", ["packed", "sparse", "callable"])
def test_hessian_that_is_not_finite(where):
    sparse = pytest.importorskip("scipy.sparse")
    bad = np.array([[1.0, np.nan], [np.nan, 1.0]])
    H = {"packed": bad[np.tril_indices(2)], "sparse": sparse.csr_array(bad), "callable": lambda v: bad @ v}[where]
    with pytest.raises(ValueError, match=r"H must .*finite"):
        TaylorModel([0, 0], 1.0, [1, -1], H).model([1, 1])


def test_sparse_hessian_that_is_not_symmetric():
    sparse = pytest.importorskip("scipy.sparse")
    x, g, H = quadratic(6)
    off = H.copy()
    off[4, 2] *= 1.0 + 1e-12
    assert TaylorModel(x, 0.0, g, sparse.csr_array(off)).model(x + g) == pytest.approx(
        TaylorModel(x, 0.0, g, H).model(x + g), rel=1e-9
    )
    off[4, 2] += 0.25
    for kind in (sparse.csr_array, sparse.csc_matrix, sparse.coo_matrix):
        with pytest.raises(ValueError, match=r"H\[\d, \d\] and H\[\d, \d\] differ by 0\.25"):
            TaylorModel(x, 0.0, g, kind(off))


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1.0, 1e300])
@pytest.mark.parametrize("curvature", [1.0, 0.0, -1.0])
def test_cauchy_step_ends_at_a_short_radius(size, curvature):
    model = TaylorModel([0, 0], 0.0, [3 * size, 4 * size], curvature * np.eye(2))
    radius = size * 1e-3
    np.testing.assert_allclose(model.cauchy_step(radius), [-0.6 * radius, -0.8 * radius], rtol=1e-10)


def test_along_a_line_without_curvature():
    assert TaylorModel([0.0], 1.0, [2.0], [[0.0]]).along(np.inf) == -np.inf


def test_complex_points_are_refused():
    model = TaylorModel([0.0], 1.0, [2.0], [[1.0]])
    with pytest.raises(TypeError, match="x must be real"):
        model.model([1j])
    with pytest.raises(TypeError, match="step_length must be real"):
        model.terms(1j)


@pytest.mark.parametrize("spread", [1e-6, 1e-2])
def test_interval_of_a_rounded_function_holds_the_step_of_the_true_one(spread):
    rng = np.random.default_rng(0)
    for _ in range(10):
        x = 1.0 + spread * rng.standard_normal(2)
        result = hessian(lambda x: round(float(rosenbrock(x)), 6), x, full_output=True)
        step = TaylorModel.from_result(result).step()
        truth = rosenbrock_model(x)
        g, H = truth.g, truth.H
        low, high = step.interval
        assert step.status is not StepStatus.DESCENT or low <= (g @ g) / (g @ H @ g) <= high


def test_model_of_a_result_is_the_fitted_one():
    x = np.array([0.8, 1.2])
    fitted = TaylorModel.fit(rosenbrock, x)
    made = TaylorModel.from_result(hessian(rosenbrock, x, full_output=True))
    assert made.step().interval == fitted.step().interval
    assert made.curvature_error == fitted.curvature_error
