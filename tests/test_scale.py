"""Sizes of coordinates: small ones that are meant, zeros among others, and what f says of both."""

import warnings

import numpy as np
import pytest

from hessfast import AccuracyWarning, hessian
from hessfast.calls.run import drive
from hessfast.scale import EPS, ORDINARY, clusters, farthest, find_sizes, unit_of


def found(x, change, **how):
    """Run the search with changes that are at hand."""

    def known(d):
        yield from ()
        return change(d)

    return drive(find_sizes(x, known, **how), None)


def sizes_of(f, x, rounding=0.5 * EPS):
    """Find the sizes for f at x; return them with the number of evaluations."""
    x = np.array(x, dtype=float)
    f0, calls = f(x), []

    def change(d):
        calls.append(d)
        value = f(x + d)
        return value - f0, rounding * max(abs(value), abs(f0))

    with np.errstate(all="ignore"):
        return found(x, change), len(calls)


def sizes_of_gradient(g, x):
    x = np.array(x, dtype=float)
    g0 = g(x)

    def change(d):
        there = g(x + d)
        return float(d @ (there - g0)), float(EPS * np.abs(d) @ np.maximum(np.abs(there), np.abs(g0)))

    with np.errstate(all="ignore"):
        return found(x, change, power=2)


def test_ordinary_points_cost_nothing():
    def unasked(d):
        raise AssertionError(d)

    for x in ([1.0, -300.0], [0.0, 2.0], [1e10, 1e8], [1e-3, 0.0, 5.0], [0.0, 0.0]):
        assert found(np.array(x), unasked) == ORDINARY


def test_clusters_are_parted_by_fourteen_octaves():
    assert clusters(np.array([1.0, 3e-3])) == ([(3e-3, 1.0)], False)
    assert clusters(np.array([1.0, 1e-8, 2e-8, 0.0])) == ([(1e-8, 2e-8), (1.0, 1.0)], True)
    assert clusters(np.array([1e-9])) == ([(1e-9, 1e-9), (1.0, 1.0)], False)


@pytest.mark.parametrize("seed", range(30))
def test_zeros_that_an_optimiser_left_have_the_size_of_the_others(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    x = rng.uniform(0.3, 3.0, n) * rng.choice([-1.0, 1.0], n)
    small = rng.permutation(n)[: int(rng.integers(1, n))]
    x[small] = 10.0 ** -rng.uniform(6.0, 100.0, small.size)
    A = rng.standard_normal((n, n))
    H = A @ A.T + np.eye(n)

    def f(z):
        return float(0.5 * z @ H @ z + np.sum(np.cosh(0.5 * z)))

    found, calls = sizes_of(f, x)
    assert np.all(found.of(x)[small] >= 2.0**-7)
    assert calls < 30
    assert np.all(sizes_of_gradient(lambda z: H @ z + 0.5 * np.sinh(0.5 * z), x).of(x)[small] >= 2.0**-7)


@pytest.mark.parametrize("amount", [1e-6, 1e-8, 1e-10, 1e-12])
@pytest.mark.parametrize("at_rest", [True, False])
def test_small_amounts_are_meant(amount, at_rest):
    """Σ x log(x / a): its natural length is x itself, however small."""
    x = np.array([1.0, 0.4, amount])
    rest = x if at_rest else np.array([0.5, 0.7, 3.0 * amount])

    def f(z):
        return float(np.sum(z * (np.log(z / rest) - 1.0)))

    found, _ = sizes_of(f, x)
    assert amount / 2.0**8 <= found.of(x)[2] <= amount * 2.0**8
    size = sizes_of_gradient(lambda z: np.log(z / rest), x).of(x)[2]
    assert amount / 2.0**8 <= size <= amount * 2.0**8


def test_zeros_among_metres_are_no_metres():
    """Three atoms in a plane, in units of 1e-10."""
    x = 1e-10 * np.array([0.0, 0.0, 0.0, 0.96, 0.0, 0.0, -0.24, 0.93, 0.0])

    def f(z):
        r = 1e10 * z.reshape(3, 3)
        distances = [np.linalg.norm(r[i] - r[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
        return 1e-18 * sum(
            1.0 - np.exp(-((d - rest) ** 2)) for d, rest in zip(distances, (0.97, 0.95, 1.5), strict=True)
        )

    size = sizes_of(f, x)[0].of(x)[x == 0.0]
    assert np.all((size > 1e-14) & (size < 1e-9))


def test_flat_minimum_at_the_origin_is_looked_at_from_afar():
    def rastrigin(z):
        return float(np.sum(z * z - 10.0 * np.cos(2.0 * np.pi * z) + 10.0))

    size = sizes_of(rastrigin, [1e-9, -2e-9, 1e-10])[0].zero
    assert 1e-3 < size <= 1.0


def test_a_zero_whose_coupling_alone_matters_may_climb():
    """The others do nothing while it is zero, so that f notices it more than them: its size stays."""

    def f(z):
        return float(np.exp(z[0] * z[1]) + np.sin(z[1] + 2.0 * z[2]) * z[0])

    x = np.array([1e-9, 1.0, 1.0])
    assert sizes_of(f, x)[0] is ORDINARY
    assert abs(hessian(f, x)[0, 0] - 1.0) < 1e-6


def test_a_coefficient_that_is_small_beside_others_keeps_its_balance():
    """A parabola has no length; what f notices of the others tells the size of a coefficient of 1e-8."""

    def f(z):
        return float((1e8 * z[0] - 1.0) ** 2 + (z[1] - 1.0) ** 2 + (z[1] - 1.0) ** 4)

    assert sizes_of(f, [1e-8, 1.2])[0].of(np.array([1e-8]))[0] < 1e-5


def test_units_are_powers_of_two_beside_the_sizes():
    np.testing.assert_array_equal(unit_of(np.array([1.0, 3.0, 1e-8])), [1.0, 4.0, 2.0**-27])


@pytest.mark.parametrize("route", ["values", "jac", "cs"])
def test_given_sizes_are_taken_and_cost_nothing(route):
    calls = []

    def f(z):
        calls.append(z)
        return np.sum(np.cosh(z))

    x, options = (
        np.array([1e-12, 0.5]),
        {"method": "cs"} if route == "cs" else {"jac": np.sinh} if route == "jac" else {},
    )
    plain = hessian(f, x, full_output=True, **options)
    given = hessian(f, x, full_output=True, x_scale=1.0, **options)
    assert given.nfev + given.njev < plain.nfev + plain.njev
    np.testing.assert_allclose(given.hess, np.diag(np.cosh(x)), atol=1e-8)


def test_sizes_are_tried_up_to_the_middle_of_their_cluster():
    found = farthest(np.array([3e6, 1e9, 5e-9, 2e-8, 7e7]))
    assert found.tolist() == [7e7, 1e9, 1.0, 1.0, 7e7]


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e3, 1e9])
def test_molecule_in_any_unit(unit, order):
    """Coordinates of 1e-4 of the others, which an optimiser left, where 1 is far below or above all of them."""

    def energy(z):
        places = np.asarray(z).reshape(3, 2) / unit
        squares = [float(np.sum((places[i] - places[j]) ** 2)) for i, j in ((0, 1), (0, 2), (1, 2))]
        return sum(4.0 * (s**-6 - s**-3) for s in squares)

    a = 2.0 ** (1 / 6)
    triangle = np.array([[0.0, 0.0], [a, 0.0], [a / 2, a * 0.75**0.5]]) + 1e-9 * np.arange(6).reshape(3, 2)
    random = np.random.default_rng(8)
    away = triangle + np.array([1.3, 0.7])
    moved = hessian(lambda z: energy(unit * z), away.ravel(), order=8)
    natural = np.sqrt(np.diag(moved))
    for _ in range(3):
        x = (triangle + 10.0 ** random.uniform(-5, -3.5) * random.normal(size=2)).ravel()
        scaled = unit**2 * hessian(energy, unit * x, order=order)
        assert np.max(np.abs(scaled - moved) / np.outer(natural, natural)) < 1e-3


@pytest.mark.parametrize("small", [1e-6, 1e-8, 1e-9, 1e-10])
@pytest.mark.parametrize("bounds", [None, (0.0, np.inf)])
def test_edge_of_the_domain_beside_a_small_coordinate(small, bounds):
    """Longer steps agree with each other ever better, and with the shortest not at all."""
    x = np.array([small, 1.0])
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", AccuracyWarning)
        found = hessian(lambda z: np.sum(z**1.5), x, bounds=bounds, full_output=True)
    missed = np.abs(found.hess - np.diag(0.75 / np.sqrt(x)))
    assert np.all(missed <= 3.0 * found.hess_error)


@pytest.mark.parametrize("seed", range(12))
def test_size_of_a_zero_where_all_forces_end_long_before_the_unit_of_x(seed):
    """A molecule in metres: 1 away, and 2^-14 as well, gradients are the same number."""
    random = np.random.default_rng(seed)
    n = int(random.integers(2, 5))
    unit = 10.0 ** random.uniform(-11, -9)
    along = np.cumsum(random.uniform(0.9, 1.4, n))
    one, other = np.triu_indices(n, 1)
    rest = along[other] - along[one]

    def jac(z):
        X = z.reshape(n, 3) / unit
        D = X[other] - X[one]
        d = np.linalg.norm(D, axis=1)
        decay = np.exp(-1.9 * (d - rest))
        pull = (2.0 * 1.9 * (1.0 - decay) * decay / d)[:, None] * D
        g = np.zeros((n, 3))
        np.add.at(g, other, pull)
        np.add.at(g, one, -pull)
        return g.ravel() / unit

    x = unit * 1e-15 * random.normal(size=(n, 3))
    x[:, 0] = unit * along
    result = hessian(None, x.ravel(), jac=jac, full_output=True)
    assert result.success
    across = result.sizes.reshape(n, 3)[:, 1:] / unit
    assert (across < 1e3).all()


@pytest.mark.parametrize("seed", range(12))
def test_size_of_a_zero_beside_coordinates_whose_change_is_lost_in_noise(seed):
    """Springs at rest, in metres: a zero moved by 1 is noticed far more than the rounding that hides the others."""
    random = np.random.default_rng(seed)
    unit = 10.0 ** random.uniform(-11, -9)
    bend, strength = random.uniform(0.4, 1.2), 10.0 ** random.uniform(1, 3, 2)
    rest = unit * random.uniform(0.9, 1.4, 2)
    ends = rest[:, None] * np.array([[np.cos(bend), 0.0, np.sin(bend)], [np.cos(bend), 0.0, -np.sin(bend)]])

    def jac(z):
        D = z[3:].reshape(2, 3) - z[:3]
        d = np.linalg.norm(D, axis=1)
        pull = (2.0 * strength * (d - rest) / d)[:, None] * D
        return np.concatenate([-pull.sum(axis=0), pull.ravel()])

    x = np.concatenate([np.zeros(3), ends.ravel()])
    x[[1, 4, 7]] = unit * 1e-20 * random.normal(size=3)
    g0, noise = jac(x), 1e-5 * strength.max() * unit
    with np.errstate(all="ignore"):
        sizes = found(x, lambda d: (float(d @ (jac(x + d) - g0)), noise * float(np.abs(d).sum())), power=2)
    assert 0.1 * unit < sizes.of(x)[1] < 1e3 * unit


@pytest.mark.parametrize("seed", range(8))
def test_what_is_left_far_away_is_no_growth(seed):
    """Atoms in metres: over 1 their energy changes by far less than over their own distances, though like a power."""
    random = np.random.default_rng([2613, seed])
    unit = 10.0 ** random.uniform(-11, -9)
    x = np.array([0.0, unit, 0.0, -0.7 * unit])
    faint = 10.0 ** random.uniform(-60, -50)

    def change(d):
        t = float(np.linalg.norm(d))
        return (t * t if t < 100 * unit else faint * t * t), 0.0

    assert found(x, change, power=2).of(x)[0] <= 1e3 * unit
