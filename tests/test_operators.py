"""Products and the operator: accuracy, counts, SciPy's solvers, batches, moves."""

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der, rosen_hess
from scipy.sparse.linalg import LinearOperator, aslinearoperator, cg, eigsh, minres

from hessfast import AccuracyWarning, HessianOperator, HessianStatus, curvature, hvp


class Problem:
    """Softmax regression on drawn data, convex with a ridge; H from its closed form."""

    def __init__(self, features=6, classes=4, seed=0):
        rng = np.random.default_rng(seed)
        self.A = rng.standard_normal((60, features))
        self.y = np.eye(classes)[rng.integers(classes, size=60)]
        self.shape = features, classes
        self.x = 0.3 * rng.standard_normal(features * classes)
        self.n = self.x.size
        self.rng = rng

    def probabilities(self, x):
        z = self.A @ x.reshape(self.shape)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def fun(self, x):
        return -np.sum(self.y * np.log(self.probabilities(x))) + 0.05 * x @ x

    def jac(self, x):
        return (self.A.T @ (self.probabilities(x) - self.y)).ravel() + 0.1 * x

    def jac_columns(self, X):
        return np.stack([self.jac(x) for x in X.T], axis=1)

    def hess(self, x):
        P = self.probabilities(x)
        middle = np.einsum("mc,cd->mcd", P, np.eye(P.shape[1])) - np.einsum("mc,md->mcd", P, P)
        H = np.einsum("mf,mcd,mg->fcgd", self.A, middle, self.A)
        return H.reshape(self.n, self.n) + 0.1 * np.eye(self.n)


@pytest.fixture
def problem():
    return Problem()


def relative_error(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize(("order", "tolerance"), [(1, 1e-6), (2, 1e-9), (4, 1e-11), (6, 1e-11)])
def test_products_at_each_order(problem, order, tolerance):
    H = problem.hess(problem.x)
    operator = HessianOperator(None, problem.x, jac=problem.jac, order=order)
    for _ in range(5):
        v = problem.rng.standard_normal(problem.n)
        assert relative_error(operator @ v, H @ v) <= tolerance
    assert operator.products == 5


def test_gradients_a_product(problem):
    V = problem.rng.standard_normal((20, problem.n))
    for order in (1, 2, 4):
        operator = HessianOperator(None, problem.x, jac=problem.jac, order=order)
        operator @ V[0]
        first = operator.njev
        assert first <= (3 if order == 1 else 16)
        for v in V[1:]:
            operator @ v
        assert operator.njev == first + 19 * order


def test_given_step_needs_no_search(problem):
    v = problem.rng.standard_normal(problem.n)
    for options in ({"rel_step": 2.0**-17}, {"abs_step": 1e-5}):
        operator = HessianOperator(None, problem.x, jac=problem.jac, **options)
        assert relative_error(operator @ v, problem.hess(problem.x) @ v) <= 1e-8
        assert operator.njev == 2


def test_same_map_whatever_came_before(problem):
    v, w = problem.rng.standard_normal((2, problem.n))
    operator = HessianOperator(None, problem.x, jac=problem.jac)
    operator @ w
    once = operator @ v
    operator @ (5.0 * w)
    assert np.array_equal(operator @ v, once)


@pytest.mark.parametrize("vectorized", [False, True])
def test_direction_of_large_curvature_shortens_the_step(vectorized):
    """Along a = (1, 1, …) the function bends within 1/n; random directions see √n times less of it."""
    n = 900

    def jac(x):
        return np.exp(0.3 * x.sum(axis=0)) * np.ones_like(x) + x

    rng = np.random.default_rng(3)
    x, v = rng.standard_normal(n) / n, rng.standard_normal(n)
    H = 0.3 * np.exp(0.3 * x.sum()) * np.ones((n, n)) + np.eye(n)
    operator = HessianOperator(None, x, jac=jac, order=4, vectorized=vectorized)
    assert relative_error(operator @ v, H @ v) <= 1e-10
    spent = operator.njev
    V = np.stack([v, np.ones(n)], axis=1)
    assert relative_error((operator @ V)[:, 1], H @ V[:, 1]) <= 1e-9
    assert operator.njev <= spent + 8 + 4 + 6
    spent = operator.njev
    operator @ np.ones(n)
    assert operator.njev == spent + 4


def test_zero_vector_costs_nothing(problem):
    operator = HessianOperator(None, problem.x, jac=problem.jac)
    assert not (operator @ np.zeros(problem.n)).any()
    assert operator.njev == 0


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("vectorized", [False, True])
def test_columns(problem, order, vectorized):
    V = problem.rng.standard_normal((problem.n, 7))
    jac = problem.jac_columns if vectorized else problem.jac
    operator = HessianOperator(None, problem.x, jac=jac, order=order, vectorized=vectorized)
    product = operator @ V
    assert product.shape == V.shape
    assert operator.products == 7
    assert relative_error(product, problem.hess(problem.x) @ V) <= {1: 1e-6, 2: 1e-9, 4: 1e-11}[order]


def test_vectorized_gradient_gets_several_columns(problem):
    widths = []

    def jac(X):
        widths.append(X.shape[1])
        return problem.jac_columns(X)

    V = problem.rng.standard_normal((problem.n, 9))
    HessianOperator(None, problem.x, jac=jac, vectorized=True, rel_step=2.0**-17) @ V
    assert widths == [16, 2] or widths == [18]


def test_hvp_takes_one_vector_or_columns(problem):
    H = problem.hess(problem.x)
    V = problem.rng.standard_normal((problem.n, 3))
    assert relative_error(hvp(None, problem.x, V[:, 0], jac=problem.jac), H @ V[:, 0]) <= 1e-11
    assert relative_error(hvp(None, problem.x, V, jac=problem.jac), H @ V) <= 1e-11
    both = hvp(lambda x: (problem.fun(x), problem.jac(x)), problem.x, V, jac=True)
    assert relative_error(both, H @ V) <= 1e-11


def test_eigsh_takes_it_as_it_is(problem):
    operator = HessianOperator(None, problem.x, jac=problem.jac)
    exact = np.linalg.eigvalsh(problem.hess(problem.x))
    largest = eigsh(operator, k=2, tol=1e-8, return_eigenvectors=False)
    assert np.sort(largest) == pytest.approx(exact[-2:], rel=1e-8)
    smallest = eigsh(operator, k=1, which="SA", tol=1e-8, return_eigenvectors=False)
    assert smallest[0] == pytest.approx(exact[0], rel=1e-7)


@pytest.mark.parametrize("solver", [cg, minres])
def test_newton_equation(problem, solver):
    operator = HessianOperator(None, problem.x, jac=problem.jac)
    g = problem.jac(problem.x)
    step, info = solver(operator, -g, rtol=1e-9)
    assert info == 0
    assert relative_error(step, np.linalg.solve(problem.hess(problem.x), -g)) <= 1e-6


def test_arithmetic_of_linear_operators(problem):
    operator = HessianOperator(None, problem.x, jac=problem.jac)
    H = problem.hess(problem.x)
    v = problem.rng.standard_normal(problem.n)
    identity = aslinearoperator(np.eye(problem.n))
    for combined, matrix in (
        (operator + identity, H + np.eye(problem.n)),
        (identity + operator, H + np.eye(problem.n)),
        (operator - identity, H - np.eye(problem.n)),
        (identity - operator, np.eye(problem.n) - H),
        (2.0 * operator, 2.0 * H),
        (operator * 3.0, 3.0 * H),
        (-operator, -H),
        (aslinearoperator(operator).T, H),
    ):
        assert isinstance(combined, LinearOperator)
        assert relative_error(combined @ v, matrix @ v) <= 1e-9


@pytest.mark.parametrize(("order", "gradients"), [(1, 1.0), (2, 2.0)])
def test_trust_ncg_converges(order, gradients):
    problem = Problem(features=12, classes=5)
    operator = HessianOperator(None, problem.x, jac=problem.jac, order=order)
    own = []

    def jac(x):
        own.append(1)
        return operator.gradient(x)

    found = minimize(problem.fun, problem.x, jac=jac, hessp=operator.hessp, method="trust-ncg", options={"gtol": 1e-7})
    assert np.linalg.norm(problem.jac(found.x)) <= 1e-7
    spent = operator.njev - len(own)
    search = 0 if order == 1 else 12
    looks = gradients * found.nit  # the first product at each x
    assert spent <= gradients * operator.products + looks + search


def test_minimize_moves_the_operator():
    operator = HessianOperator(None, np.zeros(5), jac=rosen_der)
    x = np.array([1.3, 0.7, 0.8, 1.9, 1.2])
    p = np.ones(5)
    assert operator.hessp(x, p) == pytest.approx(rosen_hess(x) @ p, rel=1e-8)
    assert np.array_equal(operator.x, x)
    found = minimize(rosen, x, jac=rosen_der, hessp=operator.hessp, method="trust-krylov", options={"gtol": 1e-8})
    assert found.x == pytest.approx(np.ones(5), abs=1e-7)


def test_moved_operator_keeps_its_own_x(problem):
    x = problem.x.copy()
    operator = HessianOperator(None, np.zeros(problem.n), jac=problem.jac, order=1)
    v = problem.rng.standard_normal(problem.n)
    expected = operator.hessp(x, v)
    moved = x.copy()
    operator.hessp(moved, v)
    moved *= 2.0
    assert np.array_equal(operator @ v, expected)
    operator = HessianOperator(None, moved, jac=problem.jac, order=1)
    first = operator.hessp(moved, v)
    moved *= 0.5
    assert np.array_equal(operator.hessp(moved, v), expected)
    assert first != pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("order", "tolerance"), [(2, 1e-5), (4, 1e-8), (6, 1e-8)])
def test_products_from_values_alone(problem, order, tolerance):
    n, calls = problem.n, []

    def fun(x):
        calls.append(1)
        return problem.fun(x)

    operator = HessianOperator(fun, problem.x, order=order)
    H = problem.hess(problem.x)
    v, w = problem.rng.standard_normal((2, n))
    assert relative_error(operator @ v, H @ v) <= tolerance
    assert operator.nfev == len(calls)
    first = operator.nfev
    assert first <= 25 * n + order * n
    assert relative_error(operator @ w, H @ w) <= tolerance
    assert operator.nfev == len(calls) <= first + order * (n + 1) + 24  # those along v
    assert operator.njev == 0
    x = problem.x + 0.1
    assert relative_error(operator.hessp(x, v), problem.hess(x) @ v) <= tolerance
    assert operator.nfev == len(calls)


def test_values_alone_batched_and_as_columns(problem):
    H = problem.hess(problem.x)
    V = problem.rng.standard_normal((problem.n, 2))
    V[:, 1] = 0.0

    def columns(X):
        return np.array([problem.fun(x) for x in X.T])

    product = hvp(columns, problem.x, V, vectorized=True)
    assert relative_error(product, H @ V) <= 1e-8
    assert not product[:, 1].any()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"jac": None, "order": 1}, ValueError, "order: 1 is the forward difference of gradients"),
        ({"jac": None, "rel_step": 1e-3}, ValueError, "rel_step, abs_step: without jac"),
        ({"order": 3}, ValueError, "order: must be one of"),
        ({"rel_step": 0.0}, ValueError, "rel_step: must be finite and positive"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        HessianOperator(rosen, np.ones(3), **({"jac": rosen_der} | arguments))


def test_bad_vectors_are_named():
    operator = HessianOperator(None, np.ones(3), jac=rosen_der)
    with pytest.raises(ValueError, match=r"v: shape \(3,\) expected"):
        operator @ np.ones(4)
    with pytest.raises(ValueError, match=r"V: shape \(3, k\) expected"):
        operator.matmat(np.ones((4, 2)))
    with pytest.raises(ValueError, match="v: must be finite"):
        operator @ np.array([1.0, np.nan, 0.0])


@pytest.mark.parametrize("order", [1, 2, 4])
def test_product_that_is_not_finite_warns(order):
    operator = HessianOperator(None, np.ones(3), jac=lambda x: x * np.nan, order=order)
    with pytest.warns(RuntimeWarning, match="product is not finite; jac"):
        assert np.isnan(operator @ np.ones(3)).all()


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("room", [0.0, 1e-9, 1e-3])
def test_column_whose_kept_step_meets_a_wall(order, room):
    """Where shorter steps have room it is known all the same; the other columns are known in any case."""
    x = np.array([30.0, 1.0, 1.0])
    bounds = np.array([[-np.inf, np.inf], [1.0 - room, 1.0 + 1e-2], [0.0, np.inf]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        result = hvp(None, x, np.eye(3), jac=np.cos, order=order, bounds=bounds, full_output=True)
        moved = HessianOperator(None, [30.0, 1.001, 1.0], jac=np.cos, order=max(order, 2), bounds=bounds)
        moved @ np.eye(3)[0]
        moved.move(x)
        again = moved @ np.eye(3)[1]
    exact = np.diag(-np.sin(x))
    for column in (0, 2):
        np.testing.assert_allclose(result.value[:, column], exact[:, column], atol=1e-5)
    assert result.status is HessianStatus.NOT_FINITE or not np.isnan(result.value).any()
    if room == 1e-3:
        np.testing.assert_allclose(result.value[:, 1], exact[:, 1], atol=1e-5)
        np.testing.assert_allclose(again, exact[:, 1], atol=1e-5)
    if room == 0.0:
        assert np.isnan(again).all()


def test_gradient_of_an_operator_without_one():
    with pytest.raises(TypeError, match="made without jac"):
        HessianOperator(rosen, np.ones(3)).gradient(np.ones(3))


def test_repr_counts():
    operator = HessianOperator(None, np.ones(3), jac=rosen_der, rel_step=1e-5)
    operator @ np.ones(3)
    assert repr(operator) == "<3x3 HessianOperator, order 2, 1 products in 2 gradients>"


@pytest.mark.parametrize("keeps", [False, True])
def test_memory_in_vectors(keeps):
    """What is allocated beside x0 and v, the gradients that jac hands over and the product included."""
    n = 100_000
    x, v, own = np.linspace(-1, 1, n), np.linspace(1, 2, n), np.empty(n)

    def jac(x):
        return np.sinh(x, out=own if keeps else None)

    def peak(call):
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / (8 * n)

    assert peak(lambda: hvp(None, x, v, jac=jac)) <= 6.1
    for order, vectors in ((1, 4.1), (2, 5.1), (4, 6.1)):
        operator = HessianOperator(None, x, jac=jac, order=order)
        assert peak(lambda operator=operator: operator @ v) <= 6.1
        moved = x + 1e-3
        assert peak(lambda operator=operator, moved=moved: operator.hessp(moved, v)) <= vectors


def test_single_precision_storage():
    n = 1000
    x, v = np.linspace(-1, 1, n, dtype=np.float32), np.linspace(1, 2, n, dtype=np.float32)
    product = hvp(None, x, v, jac=lambda x: np.sinh(x).astype(np.float32))
    assert product.dtype == np.float64
    assert relative_error(product, np.cosh(x) * v) <= 1e-4


# ---- rounding of points and of x


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("seed", range(12))
def test_directions_that_move_some_coordinates_by_few_roundings(seed, order):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    length = 10.0 ** rng.uniform(-6, 2, n)
    x = rng.uniform(0.5, 2, n) * np.fmax(length, 10.0 ** rng.uniform(-2, 1, n))
    rows = np.eye(n) + 0.1 * rng.standard_normal((n, n))
    centre = x - 0.3 * length * rng.standard_normal(n)

    def jac(z):
        return rows.T @ np.tanh(rows @ ((z - centre) / length)) / length

    v = length * rng.standard_normal(n)
    bend = 1 / np.cosh(rows @ ((x - centre) / length)) ** 2
    exact = rows.T @ (bend * (rows @ (v / length))) / length
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        result = hvp(None, x, v, jac=jac, order=order, full_output=True)
    assert np.linalg.norm(result.value - exact) <= 3 * result.error


def test_components_left_by_rounding_cost_nothing():
    x = np.array([1.0, 2.0, 3.0])
    H = np.array([[2.0, 1.0, 0.5], [1.0, 3.0, 1.0], [0.5, 1.0, 4.0]])
    clean = hvp(None, x, [1.0, 0.0, 0.0], jac=lambda z: H @ np.sin(z), full_output=True)
    left = hvp(None, x, [1.0, 1e-17, -1e-19], jac=lambda z: H @ np.sin(z), full_output=True)
    assert left.success
    assert left.error <= 100 * clean.error


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("seed", range(6))
def test_a_direction_that_nothing_holds(seed, order):
    rng = np.random.default_rng(seed)
    place = rng.uniform(1, 2, 2)
    rest = np.hypot(*place)

    def jac(z):
        r = np.sqrt(z @ z)
        return 30 * (1 - np.exp(rest - r)) * z / r

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x, v = np.array([*place, 0.0]), np.array([0.0, 0.0, 1.0])
        product = hvp(None, x, v, jac=jac, order=order, full_output=True)
        bent = curvature(None, x, v, jac=jac)
    assert np.linalg.norm(product.value) <= 3 * product.error + 4e-16 * 30
    assert abs(bent.value) <= bent.error + 4e-16 * 30
    assert bent.error < 1e-10


def test_a_coordinate_that_rounding_alone_notices():
    # Weights of the first layer change nothing while those of the second are next to zero.
    x = np.array([0.7, 1.2, 1e-300, 1e-17])

    def jac(z):
        a, b = np.tanh(z[0]), np.tanh(z[1])
        miss = z[2] * a + z[3] * b - 0.4
        return miss * np.array([z[2] * (1 - a * a), z[3] * (1 - b * b), a, b])

    a, b = np.tanh(x[:2])
    for order, accuracy in ((1, 5e-3), (2, 1e-5)):  # order 1 takes the step that the sizes say, unseen
        product = HessianOperator(None, x, jac=jac, order=order) @ np.array([0.0, 0.0, 1.0, -1.0])
        np.testing.assert_allclose(product[2:], (a - b) * np.array([a, b]), rtol=accuracy)


def test_an_operator_keeps_no_bars_of_products_past():
    operator = HessianOperator(None, np.linspace(0.5, 1.5, 6), jac=np.sinh)
    random = np.random.default_rng(3)
    for k in range(40):
        operator.matvec(np.ldexp(random.standard_normal(6), random.choice([0, 900, -900])))
        assert len(operator._bars) <= 1, k
