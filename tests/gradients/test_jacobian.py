"""Hessians from gradients: formulas, the search, its error bars, edges and walls."""

import tracemalloc
import warnings
from functools import cache

import numpy as np
import pytest
from by_hand import Formula, sent
from problems import problems

from hessfast import AccuracyWarning, hessian
from hessfast.calls.run import drive
from hessfast.gradients.columns import Gradient, differences, extrapolate, family
from hessfast.gradients.noise import Place, noise_level
from hessfast.gradients.norms import equilibrate
from hessfast.gradients.search import GradientSearch
from hessfast.results import HessianStatus
from hessfast.values.stencils import ORDERS

BADLY_SCALED = ("scales", "origin", "huge_x", "frequency")


class Counted:
    """A gradient that counts its calls and remembers where they were."""

    def __init__(self, gradient):
        self.gradient, self.calls, self.points = gradient, 0, []

    def __call__(self, x):
        self.calls += 1
        self.points.append(x.copy())
        return self.gradient(x)


def wavy(x):
    """Gradient of sum cos(A x) with a fixed A: all derivatives of all orders are there."""
    A = np.cos(np.outer(np.arange(9), np.arange(1, x.size + 1)) ** 2)
    return -A.T @ np.sin(A @ x)


def wavy_hessian(x):
    A = np.cos(np.outer(np.arange(9), np.arange(1, x.size + 1)) ** 2)
    return -A.T @ (np.cos(A @ x)[:, None] * A)


# ---- formulas


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("order", ORDERS[1:])
def test_columns_are_exact_on_polynomials_of_their_order(order, symmetric):
    # g_j = x_0^k for k <= order: its derivative comes out exactly but for rounding.
    x = np.array([0.75])
    for power in range(order + 1):
        gradient, nodes = Gradient(x, np.zeros(1, dtype=np.int32)), family(order, symmetric)
        asking = differences(gradient, np.zeros(1, dtype=np.intp), np.array([0.0625]), nodes, x**power)
        found = drive(asking, Formula(lambda z, power=power: z**power, x))
        assert extrapolate(found.D, nodes.weights)[0, 0] == pytest.approx(power * 0.75 ** (power - 1), rel=1e-13)


@pytest.mark.parametrize("order", ORDERS)
def test_halving_the_step_divides_the_truncation_error_by_two_to_the_order(order):
    x = np.array([0.3, -0.4, 0.9])
    step = 0.25 if order > 2 else 2.0**-6
    errors = [
        np.linalg.norm(hessian(None, x, jac=wavy, order=order, abs_step=h) - wavy_hessian(x)) for h in (step, step / 2)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


@pytest.mark.parametrize(("order", "symmetric"), [(1, False), (2, True), (4, True), (4, False), (8, True)])
def test_the_noise_factor_is_the_scatter_of_a_column(order, symmetric):
    nodes, h = family(order, symmetric), 0.5
    rng = np.random.default_rng(3)
    gradient, columns = Gradient(np.zeros(1), np.zeros(1, dtype=np.int32)), []
    for _ in range(4000):
        asking = differences(gradient, np.zeros(1, dtype=np.intp), np.array([h]), nodes, rng.standard_normal(1))
        _, found = sent(asking, rng.standard_normal((order, 1)))
        columns.append(extrapolate(found.D, nodes.weights)[0, 0])
    assert np.std(columns) == pytest.approx(nodes.noise / h, rel=0.05)


def test_steps_that_rounding_makes_unequal_keep_nothing_of_the_even_part():
    # At x = 1 - 2^-53 the point above is rounded coarser than the one below: unequal steps, and a huge even part.
    x = np.array([np.nextafter(1.0, 0.0)])
    even = 1e10
    H = hessian(None, x, jac=lambda z: 3.0 * (z - x) + even * (z - x) ** 2, order=2, abs_step=1e-9)
    assert H[0, 0] == pytest.approx(3.0, rel=1e-6)


def test_a_column_of_values_made_by_hand():
    # The derivative along the second of three coordinates, by central differences at h and 2 h, of two that are kept.
    gradient, nodes = Gradient(np.array([1.0, 2.0, 3.0]), np.array([0, 1], dtype=np.int32)), family(4, True)
    which, step = np.array([1]), np.array([0.5])
    g = [[1.0, 4.0, 9.0], [-1.0, -4.0, 9.0], [3.0, 4.0, 9.0], [-3.0, -4.0, 9.0]]
    (points,), found = sent(differences(gradient, which, step, nodes, np.zeros(2)), g)
    assert points.index.tolist() == [[1, -1]] * 4
    assert points.value[:, 0].tolist() == [2.5, 1.5, 3.0, 1.0]
    assert [d.tolist() for d in found.D] == [[[2.0, 8.0]], [[3.0, 4.0]]]
    assert extrapolate(found.D, nodes.weights)[0] == pytest.approx([(4 * 2 - 3) / 3, (4 * 8 - 4) / 3], rel=1e-15)


# ---- the noise of g, the scale of the entries


def test_noise_level_is_the_scatter_about_a_smooth_line():
    offsets = np.array([0.0, 1.0, 4.0, 9.0, 15.0, 20.0, 26.0])
    rng = np.random.default_rng(0)
    smooth = 5.0 + 3e-9 * offsets + 1e-12 * offsets**2
    found = [noise_level(offsets, (smooth + 1e-13 * rng.standard_normal(7))[:, None])[0] for _ in range(400)]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(1e-13, rel=0.08)


def test_values_on_a_grid_that_lie_on_a_line_by_chance():
    offsets = np.array([0.0, 1.0, 4.0, 9.0, 15.0, 20.0, 26.0])
    grid = 2.0**-40
    table = np.stack([2013 * grid * offsets, *np.random.default_rng(0).standard_normal((2, 7))], axis=1)
    assert noise_level(offsets, table)[0] >= 0.25 * grid
    assert noise_level(offsets, np.outer(offsets, [3.0, 5.0, 2.0])).max() < 1e-12  # an exact g


def test_noise_level_of_a_noiseless_table_is_zero():
    assert noise_level(np.arange(7.0), np.zeros((7, 3))).tolist() == [0.0, 0.0, 0.0]


def test_equilibrated_rows_have_a_largest_entry_of_one():
    rng = np.random.default_rng(2)
    s = 10.0 ** rng.uniform(-8, 8, 7)
    H = rng.standard_normal((7, 7))
    G = (H + H.T) * np.outer(s, s)
    found = equilibrate(G)
    assert np.abs(found[:, None] * G * found).max(axis=1) == pytest.approx(np.ones(7), rel=1e-2)
    G[3, 2] *= 1e9  # one column spoiled: its mirror image still says how large the entry is
    assert equilibrate(G) == pytest.approx(found, rel=1e-2)


# ---- accuracy on the problem set


@cache
def outcomes(order):
    """(problem, scaled error, gradients beyond order * n, share of entries inside their bars) of the noise-free set."""
    rows = []
    for p in problems():
        if p.noise or p.n > 60:
            continue
        jac = Counted(p.grad_fun)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)  # at the minimum of x^4 nothing is known
            result = hessian(None, p.x0, jac=jac, order=order, bounds=p.bounds, full_output=True)
        assert result.njev == jac.calls == sum(result.evaluations)
        if p.bounds is not None:
            points = np.array(jac.points)
            assert ((points >= p.bounds[0]) & (points <= p.bounds[1])).all(), p.name
        hess, bar = result.hess, result.hess_error
        error = np.abs(hess - p.hess)
        wrong = error > 0
        over = np.median(bar[wrong] / error[wrong]) if wrong.any() else np.nan
        rows.append((p, p.scaled_error(hess), jac.calls - order * p.n, np.mean(error <= bar), over, p.lost(hess)))
    return rows


@pytest.mark.parametrize(
    ("order", "median", "tail", "gradients"),
    [(2, 3e-11, 2e-9, 25), (4, 5e-13, 3e-11, 20), (6, 1e-13, 4e-12, 25), (8, 5e-14, 3e-12, 29)],
)
def test_errors_and_gradients_spent(order, median, tail, gradients):
    # At order 4 the best common step of each problem reaches 2e-13, with gradients carried through jets.
    errors = np.array([row[1] for row in outcomes(order)])
    assert np.median(errors) <= median
    assert np.quantile(errors, 0.95) <= tail
    assert np.median([row[2] for row in outcomes(order)]) <= gradients


@pytest.mark.parametrize("order", ORDERS[1:])
def test_badly_scaled_problems(order):
    worst = max((row[1], row[0].name) for row in outcomes(order) if row[0].kind in BADLY_SCALED)
    assert worst[0] <= 1e-8, worst


@pytest.mark.parametrize("order", ORDERS[1:])
def test_no_entry_is_lost(order):
    assert [row[0].name for row in outcomes(order) if row[5] or not row[1] <= 1e-6] == []


@pytest.mark.parametrize("order", ORDERS[1:])
def test_bars_cover_the_errors(order):
    sizes = np.array([row[0].n ** 2 for row in outcomes(order)])
    inside = np.array([row[3] for row in outcomes(order)])
    assert np.average(inside, weights=sizes) >= 0.99
    assert inside.mean() >= 0.99
    assert np.nanmedian([row[4] for row in outcomes(order)]) <= 11


# ---- the search without a function


def test_evaluations_are_counted_by_what_they_are_for():
    H = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 4.0]])
    x = np.array([0.4, -1.2, 2.5])
    source = Formula(lambda z: H @ z, x)
    found = drive(GradientSearch(Place(Gradient(x, np.arange(3, dtype=np.int32)), 4)).run(), source)
    np.testing.assert_allclose(found.hess, H, atol=1e-12)
    assert (source.spent["noise"], source.spent["pairs"], source.spent["calibration"]) == (7, 4 * 3, 2)
    assert source.nfev == sum(source.spent.values()) == len(source.points)


def test_the_noise_is_that_of_the_first_table():
    x, table = np.array([0.7, 1.1]), np.full((7, 2), [3.0, -5.0])
    table[:, 0] += 1e-9 * np.array([0.0, 1.0, -1.0, 1.0, 1.0, -1.0, 0.5])
    table[:, 1] += 1e-6 * np.array([0.0, 1.0, 4.0, 9.0, 15.0, 20.0, 26.0])
    search = GradientSearch(Place(Gradient(x, np.arange(2, dtype=np.int32)), 4))
    asked, _ = sent(search.run(), table, table[:1])
    assert [points.purpose for points in asked[:2]] == ["noise", "noise"]  # so much noise is asked about once more
    assert asked[0].X[0].tolist() == asked[1].X[0].tolist() == x.tolist()
    assert asked[2].purpose == "axes"
    assert 3e-10 < search.place.noise[0] < 3e-9
    assert search.place.noise[1] < 1e-14


def test_a_gradient_that_is_nowhere_else_finite_ends_the_search():
    x = np.array([0.7, 1.1])
    source = Formula(lambda z: np.array([1.0, 2.0]) if (z == x).all() else np.full(2, np.nan), x)
    found = drive(GradientSearch(Place(Gradient(x, np.arange(2, dtype=np.int32)), 4)).run(), source)
    assert np.isnan(found.hess).all()
    assert found.walled.tolist() == [0, 1]


# ---- what a result means


@pytest.mark.parametrize("order", ORDERS)
def test_the_steps_found_repeat_the_result_bit_for_bit(order):
    x = np.array([0.3, -40.0, 5e-4, 0.0])
    first = hessian(None, x, jac=wavy, order=order, full_output=True)
    again = hessian(None, x, jac=wavy, order=order, abs_step=first.step, full_output=True)
    assert np.array_equal(first.hess, again.hess)
    assert again.njev == 1 + order * x.size


def test_the_same_call_gives_the_same_bits():
    x = np.linspace(0.1, 2.0, 6)
    assert np.array_equal(hessian(None, x, jac=wavy), hessian(None, x, jac=wavy))


def test_mask_leaves_the_other_coordinates_where_they_are():
    x = np.array([0.3, 0.7, -0.2, 1.1])
    jac = Counted(wavy)
    H = hessian(None, x, jac=jac, mask=[True, False, True, False])
    assert (np.array(jac.points)[:, [1, 3]] == x[[1, 3]]).all()
    np.testing.assert_allclose(H, wavy_hessian(x)[np.ix_([0, 2], [0, 2])], atol=1e-11)


def test_the_gradient_comes_with_a_bar():
    x = np.array([0.3, 0.7, -0.2])
    exact = wavy(x)
    rng = np.random.default_rng(1)
    result = hessian(None, x, jac=lambda z: wavy(z) + 1e-6 * rng.standard_normal(3), full_output=True)
    assert (np.abs(result.jac - exact) <= result.jac_error).all()
    assert (result.jac_error < 1e-4).all()
    assert 2e-7 < result.noise < 3e-6


def test_a_value_beside_the_gradient_costs_one_evaluation():
    result = hessian(lambda x: np.cos(x).sum(), [0.4, 0.5], jac=lambda x: -np.sin(x), full_output=True)
    assert (result.nfev, result.fun) == (1, np.cos([0.4, 0.5]).sum())


# ---- noise


@pytest.mark.parametrize(("noise", "limit"), [(1e-12, 1e-7), (1e-8, 1e-4), (1e-4, 0.05)])
@pytest.mark.parametrize("order", [2, 4, 6])
def test_a_noisy_gradient(order, noise, limit):
    rng = np.random.default_rng(5)
    x = np.array([0.3, 0.7, -0.2, 1.4])
    result = hessian(
        None, x, jac=lambda z: wavy(z) * (1 + noise * rng.standard_normal(4)), order=order, full_output=True
    )
    error = np.abs(result.hess - wavy_hessian(x))
    assert np.linalg.norm(error) <= limit * np.linalg.norm(wavy_hessian(x))
    assert np.mean(error <= result.hess_error) >= 0.9


def test_a_gradient_in_single_precision():
    x = np.array([0.3, 0.7, -0.2, 1.4])
    result = hessian(None, x, jac=lambda z: wavy(z.astype(np.float32)).astype(np.float32), full_output=True)
    np.testing.assert_allclose(result.hess, wavy_hessian(x), atol=1e-3)
    assert result.noise > 1e-9


def test_noise_at_the_rungs_above_the_noise_at_x():
    # The rounding of the large angle is invisible at x, where its cosine is stationary, and nowhere else.
    x = np.array([1.2345, 0.9, 1.7])
    k = 1e6 * np.array([1.0, 1.3, 0.8])
    angle = (np.pi * round(float(k @ x) / np.pi) + np.pi / 2 - float(k @ x)) % (2 * np.pi)

    def jac(z):
        return -np.sin(k @ z + angle) * k + 2e12 * z

    exact = -np.cos(k @ x + angle) * np.outer(k, k) + 2e12 * np.eye(3)
    result = hessian(None, x, jac=jac, full_output=True)
    assert np.linalg.norm(result.hess - exact) <= 1e-6 * np.linalg.norm(exact)


# ---- degenerate functions


@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_a_constant_gradient(order):
    result = hessian(None, [0.0, 3.0], jac=lambda x: np.array([2.0, -1.0]), order=order, full_output=True)
    assert (result.hess == 0.0).all()
    assert result.njev < 120


@pytest.mark.parametrize("order", ORDERS)
def test_a_quadratic_is_right_to_rounding(order):
    rng = np.random.default_rng(4)
    A = rng.standard_normal((6, 6))
    A = A + A.T
    for x in (np.zeros(6), rng.standard_normal(6)):
        np.testing.assert_allclose(hessian(None, x, jac=lambda z: A @ z, order=order), A, atol=2e-13 * np.abs(A).max())


def test_gradient_not_finite_at_x0():
    with pytest.raises(ValueError, match="jac: is not finite at x0"):
        hessian(None, [0.0, 1.0], jac=lambda x: 1 / x if x.any() and x[0] else np.array([np.nan, 1.0]))


# ---- edges and walls


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("gap", ["on", "one ulp", 1e-12, 1e-6, 1e-3])
def test_nothing_is_evaluated_outside_bounds(order, gap):
    x = np.array([0.3, -0.7, 1.9])
    for corner in range(8):
        low = np.array([bool(corner & 1 << i) for i in range(3)])
        near = {"on": x, "one ulp": np.nextafter(x, np.where(low, -np.inf, np.inf))}.get(gap)
        if near is None:
            near = x - gap if low.all() else np.where(low, x - gap, x + gap)
        lower, upper = np.where(low, near, x - 2.0), np.where(low, x + 2.0, near)
        jac = Counted(wavy)
        result = hessian(None, x, jac=jac, order=order, bounds=(lower, upper), full_output=True)
        points = np.array(jac.points)
        assert ((points >= lower) & (points <= upper)).all()
        error = np.linalg.norm(result.hess - wavy_hessian(x)) / np.linalg.norm(wavy_hessian(x))
        assert error <= (1e-5 if order == 1 else 1e-7 if order == 2 else 1e-9)


@pytest.mark.parametrize("order", ORDERS)
def test_the_steps_found_at_an_edge_repeat_the_result(order):
    x = np.array([0.3, -0.7, 1.9])
    bounds = (np.array([0.3, -5.0, 1.0]), np.array([5.0, -0.7, 1.9 + 1e-12]))
    first = hessian(None, x, jac=wavy, order=order, bounds=bounds, full_output=True)
    again = hessian(None, x, jac=wavy, order=order, bounds=bounds, abs_step=first.step, full_output=True)
    assert first.one_sided.all()
    assert (first.step > 0).tolist() == [True, False, False]
    assert np.array_equal(first.hess, again.hess)
    assert again.njev == 1 + order * 3


def test_a_given_step_that_leaves_the_bounds():
    with pytest.raises(ValueError, match=r"step: .* leaves the bounds at x0\[1\]"):
        hessian(None, [0.0, 1.0], jac=lambda x: x, bounds=(-1.0, 1.1), abs_step=0.3)


def test_a_wall_on_one_side_is_met_from_the_other():
    def jac(x):
        return 2.5 * np.abs(x) ** 1.5 * np.where(x >= 0, 1.0, np.nan) + x.sum()

    result = hessian(None, [0.0, 1.0, 2.0], jac=jac, full_output=True)
    exact = np.ones((3, 3)) + np.diag(3.75 * np.sqrt([0.0, 1.0, 2.0]))
    assert result.one_sided.tolist() == [True, False, False]
    np.testing.assert_allclose(result.hess, exact, atol=5e-3)
    np.testing.assert_allclose(result.hess[1:, 1:], exact[1:, 1:], atol=1e-9)


def test_a_wall_close_by_shortens_the_step_of_its_axis_alone():
    def jac(x):
        return np.where(x > 0, 1 / x, np.nan) + 2 * x.sum()

    x = np.array([1.0, 1.0, 1.0])
    x[0] = 1e-9
    result = hessian(None, x, jac=jac, full_output=True)
    exact = np.full((3, 3), 2.0) - np.diag(x**-2.0)
    assert result.success
    np.testing.assert_allclose(result.hess, exact, rtol=1e-9)
    assert result.step[0] < 1e-9
    assert (result.step[1:] > 1e-6).all()


def test_a_column_that_is_finite_nowhere_is_nan_with_a_status():
    x = np.array([1.0, 2.0])

    def jac(z):
        return np.full(2, np.nan) if z[0] != 1.0 else np.array([3.0, z[1] ** 2])

    with pytest.warns(RuntimeWarning, match="NaN"):
        result = hessian(None, x, jac=jac, full_output=True)
    assert not result.success
    assert np.isnan(result.hess[0]).all()
    assert result.hess[1, 1] == pytest.approx(4.0, rel=1e-9)


# ---- sizes of coordinates


@pytest.mark.parametrize("order", [1, 2, 4, 6])
@pytest.mark.parametrize("tiny", [1e-6, 1e-12, 1e-18, 1e-100, 1e-300, 5e-324, 0.0])
def test_a_coordinate_next_to_zero(tiny, order):
    x = np.array([tiny, 0.5])
    limit = 1e-6 if order == 1 else 1e-9
    np.testing.assert_allclose(hessian(None, x, jac=np.sinh, order=order), np.diag(np.cosh(x)), atol=limit)
    H = np.array([[1.0, 1.0], [1.0, 2.0]])
    np.testing.assert_allclose(hessian(None, x, jac=lambda z: H @ z, order=order), H, atol=limit)


@pytest.mark.parametrize("size", [1e-4, 1e-8, 1e-17, 1e-60])
def test_all_coordinates_next_to_zero(size):
    x = size * np.array([1.0, -0.3, 2.0])
    np.testing.assert_allclose(hessian(None, x, jac=wavy), wavy_hessian(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("amount", [1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("wall", [False, True])
def test_amounts_that_are_small_and_mean_it(amount, wall):
    # sum x log x - x log a: H_ii = 1 / x_i, and at its minimum x = a the gradient vanishes.
    x = np.array([amount, 0.3, 0.7])

    def jac(z):
        if wall and not (z > 0).all():
            raise FloatingPointError
        with np.errstate(all="ignore"):
            return np.log(z / x)

    result = hessian(None, x, jac=jac, on_error=FloatingPointError, full_output=True)
    assert np.diag(result.hess) == pytest.approx(1 / x, rel=1e-8)
    assert (np.abs(result.hess - np.diag(1 / x)) <= result.hess_error).all()
    assert result.success


@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_a_narrow_peak_far_from_zero(order):
    # Every step that |x| suggests leads to where g is flat.
    width, centre = 30.0, 9e9

    def jac(z):
        t = (z - centre) / width
        return t / width * np.exp(-(t**2) / 2)

    x = np.array([centre])
    result = hessian(None, x, jac=jac, order=order, full_output=True)
    assert result.hess[0, 0] == pytest.approx(1 / width**2, rel=1e-5)
    assert abs(result.hess[0, 0] - 1 / width**2) <= result.hess_error[0, 0]
    given = hessian(None, x, jac=jac, order=order, x_scale=width, full_output=True)
    assert given.hess[0, 0] == pytest.approx(1 / width**2, rel=1e-5)
    assert given.njev < result.njev


def test_a_molecule_in_metres():
    # Four atoms on springs in a plane, lengths of 1e-10: coordinates that are exactly 0 among them.
    rest, k = 1.1e-10, 500.0
    place = 1e-10 * np.array([[0.0, 0.0, 0.0], [1.1, 0.1, 0.0], [0.9, 1.2, 0.0], [-0.2, 1.0, 0.0]])
    pairs = [(0, 1), (1, 2), (2, 3), (3, 0), (0, 2)]

    def jac(z):
        z, g = z.reshape(-1, 3), np.zeros((4, 3))
        for a, b in pairs:
            d = z[a] - z[b]
            r = np.sqrt(d @ d)
            g[a] += k * (r - rest) * d / r
            g[b] -= k * (r - rest) * d / r
        return g.ravel()

    exact = np.zeros((4, 3, 4, 3))
    for a, b in pairs:
        d = place[a] - place[b]
        r = np.sqrt(d @ d)
        block = k * (np.outer(d, d) / r**2 + (1 - rest / r) * (np.eye(3) - np.outer(d, d) / r**2))
        for i, j, sign in ((a, a, 1), (b, b, 1), (a, b, -1), (b, a, -1)):
            exact[i, :, j] += sign * block
    result = hessian(None, place.ravel(), jac=jac, full_output=True)
    np.testing.assert_allclose(result.hess, exact.reshape(12, 12), atol=1e-7 * k)
    assert result.success


def test_a_good_column_is_not_averaged_with_a_useless_one():
    # The box leaves the first coordinate a step of 1e-13: its column is noise, its mirror image is not.
    x = np.array([0.3, 0.5])
    bounds = (np.array([0.3 - 1e-13, -5.0]), np.array([0.3 + 1e-13, 5.0]))
    H = np.array([[1.0, 0.7], [0.7, 2.0]])
    with pytest.warns(AccuracyWarning, match="1 of 4 entr"):
        result = hessian(None, x, jac=lambda z: H @ z + z**3, bounds=bounds, full_output=True)
    assert result.hess[0, 1] == pytest.approx(0.7, rel=1e-9)
    assert result.hess[1, 1] == pytest.approx(2.0 + 3 * 0.25, rel=1e-9)


class Remembering:
    """A gradient that keeps its last result while x moves by less than 1e-15, as some calculators do."""

    def __init__(self, gradient):
        self.gradient, self.x = gradient, None

    def __call__(self, x):
        if self.x is None or (np.abs(x - self.x) > 1e-15).any():
            self.x, self.g = x.copy(), self.gradient(x)
        return self.g.copy()


def test_a_gradient_that_keeps_its_last_result_while_x_hardly_moves():
    rng = np.random.default_rng(8)
    for draw in range(60):
        n = int(rng.integers(1, 5))
        x = rng.uniform(0.2, 2.0, n) * rng.choice([-1.0, 1.0], n)
        x = np.where(rng.random(n) < 0.5, x * 10.0 ** rng.uniform(-20, -6, n), x)
        order = (1, 2, 4, 6)[draw % 4]
        result = hessian(None, x, jac=Remembering(wavy), order=order, full_output=True)
        exact = wavy_hessian(x)
        scale = np.sqrt(np.abs(np.outer(np.diag(exact), np.diag(exact))))
        assert (np.abs(result.hess - exact) <= np.maximum(1e-3 * scale, 1e-6)).all(), (draw, x)


def test_whatever_the_size_of_x_nothing_is_raised():
    rng = np.random.default_rng(9)
    for draw in range(200):
        n = int(rng.integers(1, 4))
        x = 10.0 ** rng.uniform(-320, 305, n) * rng.choice([-1.0, 0.0, 1.0], n)
        A = rng.standard_normal((n, n))
        curve = (np.sin, np.sinh, np.tanh, np.sign)[draw % 4]

        def jac(z, A=A, curve=curve):
            return np.nan_to_num(A.T @ np.nan_to_num(curve(A @ z), posinf=1e300), posinf=1e300)

        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)
            result = hessian(None, x, jac=jac, order=ORDERS[draw % len(ORDERS)], full_output=True)
        assert result.hess.shape == (n, n)


# ---- chance and drift


def test_a_gradient_of_fresh_minibatches():
    rng = np.random.default_rng(11)
    A = rng.standard_normal((200, 3))
    inside = total = 0
    for _ in range(40):
        x = rng.uniform(-1, 1, 3)
        y = rng.choice([-1.0, 1.0], 200)

        def jac(z, y=y):
            k = rng.integers(200, size=50)
            return (-y[k] / (1 + np.exp(y[k] * (A[k] @ z)))) @ A[k] / 50

        exact = (A.T / np.cosh(A @ x / 2) ** 2 / 4) @ A / 200
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)
            result = hessian(None, x, jac=jac, full_output=True)
        inside += np.count_nonzero(np.abs(result.hess - exact) <= result.hess_error)
        total += 9
    assert inside >= 0.95 * total


def test_repeats_that_differ_by_more_than_the_noise_declared_are_called_random():
    rng = np.random.default_rng(12)
    x = np.array([0.3, 0.7, -0.2])

    def jac(z):
        return wavy(z) + 1e-4 * rng.standard_normal(3)

    with pytest.warns(AccuracyWarning):
        assert hessian(None, x, jac=jac, noise=1e-8, full_output=True).status is HessianStatus.RANDOM


def test_a_gradient_that_drifts():
    x, calls = np.array([0.3, 0.7, -0.2]), []

    def jac(z):
        calls.append(1)
        return wavy(z) + 1e-6 * len(calls)

    with pytest.warns(AccuracyWarning):
        assert hessian(None, x, jac=jac, full_output=True).status is HessianStatus.DRIFTED


def test_a_noisy_gradient_that_repeats_itself_is_neither():
    x = np.array([0.3, 0.7, -0.2, 1.4])
    result = hessian(None, x, jac=lambda z: wavy(z.astype(np.float32)).astype(np.float32), full_output=True)
    assert result.status is HessianStatus.COMPLETE


# ---- bounds and memory


def test_no_search_leaves_a_random_box():
    rng = np.random.default_rng(13)
    for _ in range(150):
        n = int(rng.integers(1, 4))
        x = rng.standard_normal(n) * 10.0 ** rng.integers(-3, 4, n)
        x = np.where(rng.random(n) < 0.1, rng.choice([0.0, 1e-17, 1e-9], n), x)
        reach = np.where(x == 0, 1.0, np.abs(x)) * rng.choice([0.0, 1e-12, 1e-6, 1e-3, 0.1, 1.0, 5.0], (2, n))
        reach[int(rng.integers(2))] += 1e-9 * np.maximum(np.abs(x), 1.0)
        lower, upper = x - reach[0], x + reach[1]
        A = rng.standard_normal((n, n))
        for order in (1, 2, 4, 6):
            gradient, source = Gradient(x, np.arange(n, dtype=np.int32)), Formula(lambda z, A=A: A.T @ (A @ z), x)
            drive(GradientSearch(Place(gradient, order, lower=lower, upper=upper)).run(), source)
            points = np.array(source.points)
            assert ((points >= lower) & (points <= upper)).all(), (x, lower, upper, order)


@pytest.mark.parametrize(("options", "matrices"), [({"full_output": True}, 4), ({"abs_step": 1e-3}, 1)])
def test_memory_beside_the_matrices_is_a_few_blocks(options, matrices):
    n = 500
    x = np.linspace(0.5, 1.0, n)
    jac = lambda z: (1.0 + x) * np.sin(z) + 0.1 * z.sum()  # noqa: E731
    hessian(None, x[:3], jac=np.sin, **options)
    tracemalloc.start()
    hessian(None, x, jac=jac, **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= matrices * 8 * n**2 + 3e6


# ---- bars of what hides


@pytest.mark.parametrize("order", [4, 6])
@pytest.mark.parametrize("seed", range(12))
def test_a_leading_term_that_nearly_vanishes(seed, order):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    length, x, left = rng.uniform(0.01, 0.1, n), rng.uniform(1, 2, n), 1e-2 * rng.standard_normal(n)

    def jac(z):
        t = (z - x) / length
        hidden = t**3 / 6 if order == 4 else t**5 / 120
        return (np.sinh(t) - (1 - left) * hidden) / length

    result = hessian(None, x, jac=jac, order=order, full_output=True)
    error = np.abs(result.hess - np.diag(1 / length**2))
    assert (error <= 3 * result.hess_error).all()
    assert (np.diag(result.hess_error) <= 1e-7 / length**2).all()


def test_a_polynomial_has_no_further_terms():
    x = np.array([1.0, 2.0, -1.5])
    result = hessian(None, x, jac=lambda z: (z - x) + (z - x) ** 3 / 6, order=6, full_output=True)
    np.testing.assert_allclose(result.hess, np.eye(3), atol=1e-13)
    assert result.hess_error.max() < 1e-10


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("seed", range(8))
def test_zeros_beside_coordinates_of_a_molecule_in_metres(seed, order):
    rng = np.random.default_rng(seed)
    atoms = 1e-10 * rng.uniform(-1, 1, (3, 3))
    atoms[:, 2], atoms[0] = 0.0, 0.0
    pairs = [(0, 1), (0, 2), (1, 2)]
    rest = [np.linalg.norm(atoms[i] - atoms[j]) for i, j in pairs]

    def jac(x):
        place, total = x.reshape(3, 3), np.zeros((3, 3))
        for (i, j), length in zip(pairs, rest, strict=True):
            d = place[i] - place[j]
            r = np.sqrt(d @ d)
            pull = 400 * (r - length) * d / r
            total[i] += pull
            total[j] -= pull
        return total.ravel()

    exact = np.zeros((9, 9))
    for i, j in pairs:
        d = (atoms[i] - atoms[j]) / np.linalg.norm(atoms[i] - atoms[j])
        row = np.zeros((3, 3))
        row[i], row[j] = d, -d
        exact += 400 * np.outer(row, row)
    with warnings.catch_warnings():
        warnings.simplefilter("error", AccuracyWarning)
        result = hessian(None, atoms.ravel(), jac=jac, order=order, full_output=True)
    error = np.abs(result.hess - exact)
    assert error.max() <= 1e-4 * 400
    assert (error <= 3 * result.hess_error + 1e-15 * 400).all()


def test_no_step_rounds_back_to_x():
    x = np.array([1.0, 0.8, 6e-18, -5e-18])

    def jac(z):  # a small network that has not learnt anything yet: its inputs' weights matter to nothing
        a, b = np.tanh(z[0] + 0.5), np.tanh(z[1] - 0.3)
        miss = z[2] * a + z[3] * b - 0.7
        return miss * np.array([z[2] * (1 - a * a), z[3] * (1 - b * b), a, b])

    result = hessian(None, x, jac=jac, order=1, full_output=True)
    a, b = np.tanh(1.5), np.tanh(0.5)
    assert np.isfinite(result.hess).all()
    np.testing.assert_allclose(result.hess[2:, 2:], [[a * a, a * b], [a * b, b * b]], rtol=1e-5)
