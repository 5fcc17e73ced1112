from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("scipy")
from scipy.optimize import OptimizeWarning, minimize, rosen, rosen_der, rosen_hess, rosen_hess_prod

from hessfast import StepStatus, gradient, minimize_taylor

VARIANTS = ("abb", "cauchy", "cauchy-bb", "relaxed")


def quadratic(n=12, condition=50.0, seed=0):
    """A convex quadratic with known spectrum, least at `centre`."""
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    H = (Q * np.geomspace(1.0, condition, n)) @ Q.T
    centre = rng.standard_normal(n)
    return lambda x: 0.5 * (x - centre) @ H @ (x - centre), lambda x: H @ (x - centre), H, centre


def descend(fun, x0, jac, callback=None, hessp=None, **options):
    return minimize(fun, x0, jac=jac, method=minimize_taylor, callback=callback, hessp=hessp, options=options)


class Counted:
    def __init__(self, function):
        self.function, self.count = function, 0

    def __call__(self, *arguments):
        self.count += 1
        return self.function(*arguments)


@pytest.mark.parametrize("variant", VARIANTS)
def test_quadratic_to_its_minimum(variant):
    fun, jac, _, centre = quadratic()
    result = descend(fun, np.zeros(12), jac, variant=variant, gtol=1e-8)
    assert result.success
    np.testing.assert_allclose(result.x, centre, atol=1e-8)
    assert result.certificates == {status.value: 0 for status in StepStatus} | {"descent": result.nit}
    assert "certificates: " in repr(result)


@pytest.mark.parametrize("variant", VARIANTS)
def test_rosenbrock(variant):
    result = descend(rosen, [-1.2, 1.0], rosen_der, variant=variant, maxiter=20000)
    assert result.success
    np.testing.assert_allclose(result.x, [1.0, 1.0], atol=1e-4)


def test_cauchy_steps_on_a_quadratic_are_the_textbook_ones():
    fun, jac, H, _ = quadratic()
    path = [np.zeros(12)]
    descend(fun, path[0], jac, callback=lambda x: path.append(x), variant="cauchy", maxiter=5)
    for x, following in pairwise(path):
        g = jac(x)
        np.testing.assert_allclose(following, x - (g @ g) / (g @ H @ g) * g, atol=1e-6)


def test_cauchy_bb_takes_each_length_twice():
    fun, jac, H, _ = quadratic()
    path = [np.zeros(12)]
    descend(fun, path[0], jac, callback=lambda x: path.append(x), variant="cauchy-bb", maxiter=2)
    g = jac(path[0])
    t = (g @ g) / (g @ H @ g)
    np.testing.assert_allclose(path[2], path[0] - 2.0 * t * g + t * t * (H @ g), atol=1e-5)


def test_abb_starts_with_the_minimiser_then_uses_that_of_the_step_before():
    fun, jac, H, _ = quadratic(condition=1.5)
    path = [np.zeros(12)]
    descend(fun, path[0], jac, callback=lambda x: path.append(x), maxiter=2, gtol=0.0)
    g = jac(path[0])
    t = (g @ g) / (g @ H @ g)
    np.testing.assert_allclose(path[1], path[0] - t * g, atol=1e-6)
    # The spectrum is narrow: BB2 is never much shorter than BB1, which is the length of the step before.
    np.testing.assert_allclose(path[2], path[1] - t * jac(path[1]), atol=1e-6)


def test_relaxed_lengths_lie_below_the_minimiser():
    fun, jac, H, _ = quadratic()
    path = [np.zeros(12)]
    descend(fun, path[0], jac, callback=lambda x: path.append(x), variant="relaxed", maxiter=20)
    parts = []
    for x, following in pairwise(path):
        g = jac(x)
        parts.append(np.linalg.norm(following - x) / np.linalg.norm(g) / ((g @ g) / (g @ H @ g)))
    assert min(parts) >= 0.7 - 1e-6
    assert max(parts) <= 1.0 + 1e-6
    assert max(parts) - min(parts) > 0.1


def test_relaxed_path_repeats():
    fun, jac, _, _ = quadratic()
    first, second = (descend(fun, np.zeros(12), jac, variant="relaxed") for _ in range(2))
    np.testing.assert_array_equal(first.x, second.x)
    other = descend(fun, np.zeros(12), jac, variant="relaxed", rng=1)
    assert not np.array_equal(first.x, other.x)


@pytest.mark.parametrize(("variant", "memory"), [("abb", 10), ("cauchy-bb", 10), ("cauchy", 1), ("relaxed", 1)])
def test_safeguard_holds_in_every_step(variant, memory):
    values = [rosen(np.array([-1.2, 1.0, -0.5, 2.0]))]
    descend(
        rosen,
        [-1.2, 1.0, -0.5, 2.0],
        rosen_der,
        callback=lambda x: values.append(rosen(x)),
        variant=variant,
        maxiter=300,
    )
    for i in range(1, len(values)):
        assert values[i] <= max(values[max(0, i - memory) : i])
    if memory > 1:
        assert any(values[i] > values[i - 1] for i in range(1, len(values)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_negative_curvature_at_the_start_is_left_behind(variant):
    def double_well(x):
        return 0.25 * x[0] ** 4 - 0.5 * x[0] ** 2 + 0.5 * x[1] ** 2

    result = descend(double_well, [1e-3, 0.0], lambda x: np.array([x[0] ** 3 - x[0], x[1]]), variant=variant)
    assert result.success
    assert abs(result.x[0]) == pytest.approx(1.0, abs=1e-5)
    assert result.certificates["negative curvature"] >= 1
    assert result.fun == pytest.approx(-0.25)


@pytest.mark.parametrize(
    ("fun", "jac", "status"),
    [
        (lambda x: -x @ x, lambda x: -2.0 * x, StepStatus.NEGATIVE_CURVATURE),
        (lambda x: 3.0 * x[0] - x[1], lambda x: np.array([3.0, -1.0]), StepStatus.UNRESOLVED),
    ],
    ids=["concave", "linear"],
)
def test_function_without_a_minimum(fun, jac, status):
    result = descend(fun, [1.0, 2.0], jac)
    assert (result.status, result.success) == (3, False)
    assert "falls without bound" in result.message
    assert status.message in result.message or result.nit == 0
    assert result.certificate is status


def test_longest_step_is_respected():
    steps = []
    last = [np.array([1.0, 2.0])]

    def watch(x):
        steps.append(np.linalg.norm(x - last[0]) / np.linalg.norm(2.0 * last[0]))
        last[0] = x

    result = descend(lambda x: -x @ x, [1.0, 2.0], lambda x: -2.0 * x, callback=watch, max_step=0.5, maxiter=4)
    assert result.status == 1
    np.testing.assert_allclose(steps, 0.5)


def test_wall_of_nan_is_stepped_back_from():
    def barrier(x):
        return float(x[0] - np.log(x[0])) if x[0] > 0.0 else np.nan

    result = descend(barrier, [1e-3], lambda x: 1.0 - 1.0 / x)
    assert result.success
    assert result.x[0] == pytest.approx(1.0, abs=1e-5)


def test_counts_are_exact():
    fun, jac = Counted(rosen), Counted(rosen_der)
    for variant in VARIANTS:
        fun.count = jac.count = 0
        result = descend(fun, [-1.2, 1.0], jac, variant=variant, maxiter=50)
        assert (result.nfev, result.njev, result.nhev) == (fun.count, jac.count, 0)


def test_abb_spends_one_gradient_a_step():
    fun, jac, _, _ = quadratic()
    result = descend(fun, np.zeros(12), jac)
    assert result.njev == result.nit + 2


@pytest.mark.parametrize("given", ["hess", "hessp"])
def test_curvature_from_a_given_hessian_costs_no_gradient(given):
    exact = {"hess": rosen_hess, "hessp": rosen_hess_prod}[given]
    options = {"variant": "cauchy", "maxiter": 30}
    result = minimize(rosen, [-1.2, 1.0], jac=rosen_der, method=minimize_taylor, options=options, **{given: exact})
    assert (result.njev, result.nhev) == (result.nit + 1, result.nit)
    differenced = descend(rosen, [-1.2, 1.0], rosen_der, **options)
    assert result.fun == pytest.approx(differenced.fun, rel=1e-3)


def test_arguments_reach_the_function():
    result = minimize(
        lambda x, a: (x[0] - a) ** 2,
        [0.0],
        args=(3.0,),
        jac=lambda x, a: np.array([2.0 * (x[0] - a)]),
        method=minimize_taylor,
    )
    assert result.x[0] == pytest.approx(3.0)


def test_function_that_returns_its_gradient_too():
    result = minimize(lambda x: (rosen(x), rosen_der(x)), [-1.2, 1.0], jac=True, method=minimize_taylor)
    assert result.success


def test_callback_of_both_kinds_stops_the_descent():
    fun, jac, _, _ = quadratic()
    seen = []

    def by_position(x):
        seen.append(x)
        if len(seen) == 3:
            raise StopIteration

    def by_name(intermediate_result):
        assert intermediate_result.fun == fun(intermediate_result.x)
        raise StopIteration

    result = descend(fun, np.zeros(12), jac, callback=by_position)
    assert (result.status, result.nit) == (99, 3)
    assert descend(fun, np.zeros(12), jac, callback=by_name).nit == 1


def test_start_at_the_minimum():
    fun, jac, _, centre = quadratic()
    result = descend(fun, centre, jac)
    assert (result.success, result.nit, result.certificate) == (True, 0, StepStatus.FLAT)


def test_iterations_exhausted_names_the_certificate():
    result = descend(rosen, [-1.2, 1.0], rosen_der, maxiter=3)
    assert (result.status, result.success, result.nit) == (1, False, 3)
    assert StepStatus.DESCENT.message in result.message


def test_wrong_gradient_is_reported():
    fun, jac, _, _ = quadratic()
    result = descend(fun, np.zeros(12), lambda x: -jac(x))
    assert (result.status, result.success) == (2, False)


def test_value_or_gradient_not_finite():
    assert descend(lambda x: np.nan, [1.0], lambda x: x).status == 4
    late = Counted(lambda x: x if late.count < 4 else np.array([np.nan]))
    assert descend(lambda x: 0.5 * x @ x, [1.0], late, variant="cauchy", max_step=0.1).status == 4


def test_bad_input():
    fun, jac, _, _ = quadratic()
    with pytest.raises(ValueError, match="variant must be one of"):
        descend(fun, np.zeros(12), jac, variant="newton")
    with pytest.raises(ValueError, match="neither bounds nor constraints"):
        minimize(fun, np.zeros(12), jac=jac, method=minimize_taylor, bounds=[(0.0, 1.0)] * 12)
    with pytest.raises(ValueError, match=r"jac: .* shape \(12,\) expected"):
        descend(fun, np.zeros(12), lambda x: np.zeros(3))
    with pytest.raises(ValueError, match="x0: must be finite"):
        descend(fun, [np.nan], jac)
    with pytest.warns(OptimizeWarning, match="unknown options: gain"):
        descend(fun, np.zeros(12), jac, gain=2.0)


def test_result_is_printed_on_request(capsys):
    result = descend(rosen, [-1.2, 1.0], rosen_der, disp=True)
    printed = capsys.readouterr().out
    assert printed.startswith(result.message)
    assert f"{result.nfev} values" in printed
    descend(rosen, [-1.2, 1.0], rosen_der)
    assert capsys.readouterr().out == ""


def test_gradient_from_values_where_there_is_no_other():
    with pytest.raises(ValueError, match=r"jac=lambda x: hessfast\.gradient"):
        descend(rosen, [-1.2, 1.0], None)
    result = descend(rosen, [-1.2, 1.0], lambda x: gradient(rosen, x))
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"gtol": np.nan}, ValueError, "gtol"),
        ({"gtol": -1.0}, ValueError, "gtol"),
        ({"gtol": [1.0, 2.0]}, ValueError, "gtol"),
        ({"gtol": "small"}, TypeError, "gtol"),
        ({"gtol": 1j}, TypeError, "gtol"),
        ({"tol": np.nan}, ValueError, "tol"),
        ({"maxiter": 2.5}, TypeError, "maxiter"),
        ({"maxiter": -1}, ValueError, "maxiter"),
        ({"memory": 0}, ValueError, "memory"),
        ({"memory": "all"}, TypeError, "memory"),
        ({"max_step": np.nan}, ValueError, "max_step"),
        ({"max_step": 0.0}, ValueError, "max_step"),
        ({"max_step": "long"}, TypeError, "max_step"),
        ({"rng": "dice"}, TypeError, "rng"),
        ({"rng": -1}, ValueError, "rng"),
        ({"variant": ["abb"]}, ValueError, "variant"),
        ({"hess": "2-point"}, TypeError, "hess"),
        ({"hess": np.eye(2)}, TypeError, "hess"),
        ({"hessp": 1.0}, TypeError, "hessp"),
        ({"callback": 1}, TypeError, "callback"),
        ({"hess": lambda x: np.eye(3)}, ValueError, "hess"),
        ({"hess": lambda x: 1j * np.eye(2), "variant": "cauchy"}, TypeError, "hess"),
        ({"hessp": lambda x, v: v[:1], "variant": "cauchy"}, ValueError, "hessp"),
        ({"jac": lambda x: 2j * x}, TypeError, "jac"),
        ({"jac": lambda x: [x, x]}, ValueError, "jac"),
        ({"fun": None}, TypeError, "fun"),
        ({"fun": lambda x: 1j}, TypeError, "fun"),
        ({"fun": lambda x: np.ones(2)}, ValueError, "fun"),
        ({"x0": [1.0 + 2.0j, 1.0]}, TypeError, "x0"),
        ({"x0": [np.nan, 1.0]}, ValueError, "x0"),
        ({"x0": [[1.0, 1.0]]}, ValueError, "x0"),
        ({"x0": ["a", "b"]}, TypeError, "x0"),
    ],
)
def test_bad_arguments_are_named(options, error, named):
    arguments = {"fun": lambda x: x @ x, "x0": [1.0, 2.0], "jac": lambda x: 2.0 * x} | options
    with pytest.raises(error, match=f"^{named}"):
        minimize_taylor(arguments.pop("fun"), arguments.pop("x0"), **arguments)


def test_arguments_in_their_other_forms():
    for options in ({"args": 2.0}, {"constraints": []}, {"maxiter": np.int64(50)}, {"gtol": np.float32(1e-4)}):
        fun, jac = (lambda x, a=1.0: np.array([a * (x @ x)])), (lambda x, a=1.0: (2.0 * a * x).tolist())
        assert minimize_taylor(fun, [1.0, 2.0], jac=jac, **options).success


def test_gradients_of_any_size():
    for scale in (1e-300, 1e-200, 1e200):
        with np.errstate(all="ignore"):
            result = minimize_taylor(
                lambda x, s=scale: s * (x @ x), [1.0, 2.0], jac=lambda x, s=scale: 2.0 * s * x, gtol=0
            )
        assert np.isfinite(result.x).all()


@pytest.mark.parametrize("left", [1e-9, 1e-18, 1e-300])
def test_curvature_where_a_coordinate_was_left_next_to_zero(left):
    H = np.diag([4.0, 1.0])
    centre = np.array([2.0, 0.5])
    result = descend(
        lambda x: 0.5 * (x - centre) @ H @ (x - centre), [left, 0.5], lambda x: H @ (x - centre), variant="cauchy"
    )
    assert result.success
    assert result.nit == 1
    assert result.certificates["descent"] == 1
