import os
import subprocess
import sys
import threading
from fractions import Fraction

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hessfast import quadratic_form
from hessfast.algebra import quadratic
from hessfast.algebra.quadratic import form_and_bound

EPS = np.finfo(float).eps
EVERY_REMAINDER = [*range(42), 63, 64, 65, 127, 128, 129, 136, 140, 257]


def symmetric(n, seed=0):
    rng = np.random.default_rng([n, seed])
    H = rng.standard_normal((n, n))
    return H + H.T, rng.standard_normal(n)


def one_triangle(H, lower):
    """H with NaN in the triangle that must not be read."""
    n = len(H)
    other = np.triu_indices(n, 1) if lower else np.tril_indices(n, -1)
    H = H.copy()
    H[other] = np.nan
    return H


@pytest.mark.parametrize("n", EVERY_REMAINDER)
def test_order_of_sums_is_the_contract(n):
    H, g = symmetric(n)
    assert quadratic_form(H, g) == reference.quadratic_form(H, g)


@pytest.mark.parametrize("n", [1, 2, 5, 8, 13, 40, 129])
def test_rounding_bound_against_exact(n):
    H, g = symmetric(n)
    error = abs(Fraction(quadratic_form(H, g)) - reference.quadratic_form_exact(H, g))
    assert error <= (n / 8 + 24) * EPS * (abs(g) @ abs(H) @ abs(g))


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 20).flatmap(
        lambda n: st.tuples(
            arrays(float, (n, n), elements=st.integers(-9, 9).map(float)),
            arrays(float, n, elements=st.integers(-9, 9).map(float)),
        )
    )
)
def test_exact_on_small_integers(case):
    H, g = case
    H = np.tril(H) + np.tril(H, -1).T
    assert quadratic_form(H, g) == g @ H @ g
    assert quadratic_form(-H, g) == -quadratic_form(H, g)
    assert quadratic_form(H, 2 * g) == 4 * quadratic_form(H, g)


@pytest.mark.parametrize("n", EVERY_REMAINDER)
def test_same_bits_from_either_triangle_in_either_order(n):
    H, g = symmetric(n)
    value = quadratic_form(H, g)
    for lower in (True, False):
        half = one_triangle(H, lower)
        assert quadratic_form(half, g, lower=lower) == value
        assert quadratic_form(np.asfortranarray(half), g, lower=lower) == value


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("n", [4100, 4224])
def test_same_bits_for_any_number_of_threads(n, lower):
    H, g = symmetric(n)
    value, summed = quadratic_form(H, g), quadratic_form(H, g, compensated=True)
    G = np.stack([g, 2 * g, -g])
    for workers in (1, 2, 3, 4):
        assert quadratic_form(H, g, lower=lower, workers=workers) == value
        assert quadratic_form(H, g, lower=lower, workers=workers, compensated=True) == summed
        assert quadratic_form(H, G, lower=lower, workers=workers).tolist() == [value, 4 * value, value]


def test_error_in_a_helping_thread_comes_out():
    both = threading.Barrier(2)

    def task(first, last):
        both.wait(10)
        if threading.current_thread() is not threading.main_thread():
            raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        quadratic._run([(0, 1), (1, 2)], task, 2, quadratic.THREADED_FROM)


def test_threads_that_cannot_be_started_are_not_needed(monkeypatch):
    def refuse(task, args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(quadratic, "start_new_thread", refuse)
    monkeypatch.setattr(quadratic, "THREADED_FROM", 0)
    H, g = symmetric(600)
    assert quadratic_form(H, g, workers=2) == quadratic_form(H, g)


def test_more_workers_than_work():
    H, g = symmetric(300)
    assert quadratic_form(H, g, workers=10**12) == quadratic_form(H, g)
    assert quadratic_form(H[None], g[None], workers=10**12) == quadratic_form(H, g)
    assert quadratic_form(np.empty((0, 2, 2)), np.empty((0, 2)), workers=10**12).size == 0


def packed(H, lower):
    indices = np.tril_indices(len(H)) if lower else np.triu_indices(len(H))
    return H[indices]


@pytest.mark.parametrize("n", EVERY_REMAINDER)
def test_packed_has_the_bits_of_full(n):
    H, g = symmetric(n)
    for dtype in (float, np.float32):
        for lower in (True, False):
            full = np.asarray(H, dtype)
            assert quadratic_form(packed(full, lower), g, lower=lower) == quadratic_form(full, g)


@pytest.mark.parametrize("n", EVERY_REMAINDER)
def test_single_precision_has_the_bits_of_its_double(n):
    H, g = symmetric(n)
    single = H.astype(np.float32)
    value = quadratic_form(single.astype(float), g)
    for lower in (True, False):
        assert quadratic_form(single, g, lower=lower) == value
        assert quadratic_form(np.asfortranarray(single), g, lower=lower) == value
    assert quadratic_form(single, g.astype(np.float32)) == quadratic_form(single, g.astype(np.float32).astype(float))


@pytest.mark.parametrize("shape", ["full", "packed"])
def test_memmap_is_read_in_place(tmp_path, shape):
    H, g = symmetric(300)
    stored = H if shape == "full" else packed(H, True)
    mapped = np.memmap(tmp_path / "H", float, "w+", shape=stored.shape)
    mapped[:] = stored
    assert quadratic_form(np.memmap(tmp_path / "H", float, "r", shape=stored.shape), g) == quadratic_form(H, g)


@pytest.mark.parametrize("k", [0, 1, 2, 7, 8, 9, 15])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 8, 17, 24, 129, 530])
def test_vectors_have_the_bits_of_one_after_the_other(n, k):
    H, _ = symmetric(n)
    G = np.random.default_rng(k).standard_normal((k, n))
    expected = [quadratic_form(H, g) for g in G]
    for matrix in (H, np.asfortranarray(H), packed(H, True)):
        assert quadratic_form(matrix, G).tolist() == expected
    assert quadratic_form(H, G, lower=False).tolist() == expected
    assert quadratic_form(H, np.asfortranarray(G)).tolist() == expected


@pytest.mark.parametrize("product", ["triangular", "halves", "halves without scipy"])
@pytest.mark.parametrize("storage", [float, np.float32])
def test_many_vectors_through_blas(storage, product, monkeypatch):
    monkeypatch.setattr(quadratic, "TRIANGULAR_FROM", 2**60 if product == "halves" else 0)
    if product == "halves without scipy":
        monkeypatch.setitem(sys.modules, "scipy.linalg.blas", None)
    H, _ = symmetric(600)
    H = H.astype(storage)
    G = np.random.default_rng(1).standard_normal((40, 600))
    size = np.einsum("ki,ij,kj->k", abs(G), abs(H.astype(float)), abs(G), optimize=True)
    expected = np.array([quadratic_form(H, g) for g in G])
    for lower in (True, False):
        half = one_triangle(H, lower)
        for matrix in (half, np.asfortranarray(half), np.pad(half, 3, constant_values=np.nan)[3:-3, 3:-3]):
            values = quadratic_form(matrix, G, lower=lower)
            assert (abs(values - expected) <= 600 * EPS * size).all()


def test_inf_among_many_vectors_is_inf(monkeypatch):
    monkeypatch.setattr(quadratic, "TRIANGULAR_FROM", 0)
    H, _ = symmetric(600)
    H[7, 7] = np.inf
    with np.errstate(all="raise"):  # the caller's choice for NumPy is not ours
        assert (quadratic_form(H, np.ones((21, 600))) == np.inf).all()


@pytest.mark.parametrize("b", [0, 1, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 8, 11, 16, 33, 129])
def test_stack_has_the_bits_of_one_after_the_other(n, b):
    rng = np.random.default_rng([n, b])
    H = rng.standard_normal((b, n, n))
    H = H + H.transpose(0, 2, 1)
    G = rng.standard_normal((b, n))
    expected = [quadratic_form(h, g) for h, g in zip(H, G, strict=True)]
    assert quadratic_form(H, G).tolist() == expected
    assert quadratic_form(H, G, lower=False).tolist() == expected
    assert quadratic_form(H.transpose(0, 2, 1), G).tolist() == expected
    assert quadratic_form(H[::-1], G[::-1]).tolist() == expected[::-1]
    assert quadratic_form(np.asfortranarray(H), G).tolist() == expected
    assert quadratic_form(np.repeat(H, 2, axis=0)[::2], G).tolist() == expected
    single = H.astype(np.float32)
    assert quadratic_form(single, G).tolist() == [quadratic_form(h, g) for h, g in zip(single, G, strict=True)]


@pytest.mark.parametrize("n", [32, 40])
def test_large_stack_is_fetched_whole(n):
    rng = np.random.default_rng(n)
    H = rng.standard_normal((3000, n, n))
    G = rng.standard_normal((3000, n))
    values = quadratic_form(H, G)
    assert all(values[m] == quadratic_form(H[m], G[m]) for m in (0, 1, 100, 1234, 2998, 2999))
    assert (quadratic_form(H, G, workers=3) == values).all()


def ill_conditioned(n, condition, rng):
    """H and g with gᵀHg cancelling down to 1/condition of |g|ᵀ|H||g|."""
    H = rng.standard_normal((n, n)) * 2.0 ** rng.integers(-8, 8, (n, n))
    g = rng.standard_normal(n)
    H = np.tril(H) + np.tril(H, -1).T
    i = n - 1
    for _ in range(4):
        H[i, i] -= float(reference.quadratic_form_exact(H, g) / Fraction(g[i]) ** 2)
    H[i, i] += (abs(g) @ abs(H) @ abs(g)) / condition / g[i] ** 2
    return H, g


@pytest.mark.parametrize("condition", [1e3, 1e8, 1e12, 1e15])
@pytest.mark.parametrize("n", [2, 3, 7, 8, 9, 24, 31, 64])
def test_compensated_is_exact_to_an_ulp(n, condition):
    H, g = ill_conditioned(n, condition, np.random.default_rng([n, int(np.log10(condition))]))
    exact = reference.quadratic_form_exact(H, g)
    values = {
        quadratic_form(matrix, g, compensated=True, lower=lower, workers=2)
        for matrix in (H, np.asfortranarray(H))
        for lower in (True, False)
    }
    values |= {quadratic_form(packed(H, True), g, compensated=True)}
    assert len(values) == 1
    value = values.pop()
    assert abs(Fraction(value) - exact) <= Fraction(np.spacing(abs(float(exact))))
    if condition >= 1e12:
        assert abs(Fraction(quadratic_form(H, g)) - exact) > abs(exact) / 10**6


def test_compensated_everywhere():
    H, g = symmetric(20)
    single = H.astype(np.float32)
    assert quadratic_form(single, g, compensated=True) == quadratic_form(single.astype(float), g, compensated=True)
    G = np.random.default_rng(0).standard_normal((3, 20))
    expected = [quadratic_form(H, row, compensated=True) for row in G]
    assert quadratic_form(H, G, compensated=True).tolist() == expected
    assert quadratic_form(np.stack([H] * 3), G, compensated=True).tolist() == expected
    assert quadratic_form(np.empty((0, 0)), np.empty(0), compensated=True) == 0.0


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_compensated_passes_on_what_is_not_finite(value):
    H = np.ones((12, 12))
    H[9, 2] = value
    g = np.ones(12)
    np.testing.assert_equal(quadratic_form(H, g, compensated=True), quadratic_form(H, g))


@pytest.mark.parametrize("k", [None, 1, 5])
@pytest.mark.parametrize("n", [0, 1, 3, 8, 20, 150])
def test_form_and_bound(n, k):
    H, g = symmetric(n)
    H[1:2, :1] = 1e6
    G = g if k is None else np.random.default_rng(k).standard_normal((k, n))
    value, bound = form_and_bound(H, G)
    assert value.shape == bound.shape == G.shape[:-1]
    for row, mine, its in zip(np.atleast_2d(G), np.atleast_1d(value), np.atleast_1d(bound), strict=True):
        full = np.tril(H) + np.tril(H, -1).T
        assert mine == quadratic_form(H, row)
        assert its == pytest.approx((n / 8 + 24) * EPS * (abs(row) @ abs(full) @ abs(row)), rel=1e-12)
        for other in (np.asfortranarray(full), packed(full, True)):
            assert form_and_bound(other, row)[1] == its
        if n <= 20:
            assert abs(Fraction(float(mine)) - reference.quadratic_form_exact(H, row)) <= Fraction(float(its))


@pytest.mark.parametrize("on_the_diagonal", [None, 0.0, 1e-30])
@pytest.mark.parametrize("lower", [True, False])
def test_bound_of_many_vectors_holds_in_any_units(lower, on_the_diagonal):
    n, k = 515, 20
    H, _ = symmetric(n)
    units = 10.0 ** np.random.default_rng(3).uniform(-8, 8, n)
    G = np.random.default_rng(4).standard_normal((k, n)) / units
    H *= units * units[:, None]
    if on_the_diagonal is not None:
        H[5, 5] = on_the_diagonal
    size = np.einsum("ki,ij,kj->k", abs(G), abs(H), abs(G), optimize=True)
    value, bound = form_and_bound(one_triangle(H, lower), G, lower=lower)
    for g, mine, its, most in zip(G, value, bound, size, strict=True):
        assert abs(mine - quadratic_form(H, g, compensated=True)) <= its
        assert its >= (n + 24) * EPS * most * (1.0 - 1e-12)
    assert (bound <= 3.0 * (n + 24) * EPS * size).all()


@pytest.mark.parametrize(
    ("H", "g"), [((0, 0), (0,)), ((0, 0), (2, 0)), ((3, 3), (0, 3)), ((0, 3, 3), (0, 3)), ((0,), (0,))]
)
def test_form_and_bound_of_nothing(H, g):
    value, bound = form_and_bound(np.zeros(H), np.zeros(g))
    assert value.shape == bound.shape == g[:-1]
    assert not value.any()
    assert not bound.any()


@pytest.mark.parametrize("kind", [list, ">f8", "reversed", "repeated", "rows"])
def test_form_and_bound_of_what_must_be_copied(kind):
    H, g = symmetric(9)
    given = {
        list: (H.tolist(), g.tolist()),
        ">f8": (H.astype(">f8"), g.astype(">f8")),
        "reversed": (H[::-1, ::-1].copy()[::-1, ::-1], g[::-1].copy()[::-1]),
        "repeated": (np.repeat(H, 2, axis=1)[:, ::2], np.repeat(g, 2)[::2]),
        "rows": (list(H), g),
    }[kind]
    assert form_and_bound(*given) == form_and_bound(H, g)


def test_form_and_bound_of_a_stack():
    H = np.stack([symmetric(9, seed)[0] for seed in range(4)])
    G = np.stack([symmetric(9, seed)[1] for seed in range(4)])
    value, bound = form_and_bound(H, G)
    assert value.tolist() == quadratic_form(H, G).tolist()
    assert bound.tolist() == [form_and_bound(h, g)[1] for h, g in zip(H, G, strict=True)]


def test_out_receives_the_values():
    H, g = symmetric(6)
    G = np.stack([g, 2 * g])
    out = np.full(4, np.nan)[::2]
    assert quadratic_form(H, G, out=out) is out
    assert out.tolist() == quadratic_form(H, G).tolist()
    single = np.empty(())
    assert quadratic_form(H, g, out=single) is single
    assert float(single) == quadratic_form(H, g)


@pytest.mark.parametrize(
    ("out", "error", "said"),
    [
        (np.empty(3), ValueError, r"out must have shape \(2,\)"),
        (np.empty(2, np.float32), TypeError, "out must be a plain array of float64"),
        ([0.0, 0.0], TypeError, "out must be a plain array of float64"),
        (np.broadcast_to(0.0, 2), ValueError, "out is read-only"),
    ],
)
def test_bad_out(out, error, said):
    with pytest.raises(error, match=said):
        quadratic_form(np.eye(3), np.ones((2, 3)), out=out)


def test_out_is_untouched_where_the_input_is_refused():
    out = np.full(2, 7.0)
    with pytest.raises(ValueError, match="H must be symmetric"):
        quadratic_form([[1.0, 2.0], [3.0, 4.0]], np.ones((2, 2)), out=out, check_symmetric=True)
    assert out.tolist() == [7.0, 7.0]


def test_check_symmetric_says_the_largest_asymmetry():
    H, g = symmetric(600)
    assert quadratic_form(H, g, check_symmetric=True) == quadratic_form(H, g)
    H[5, 3] += 0.25
    H[400, 550] += 0.5
    with pytest.raises(ValueError, match=r"H\[550, 400\] = .* and H\[400, 550\] = .* differ by 0\.5"):
        quadratic_form(H, g, check_symmetric=True)
    with pytest.raises(ValueError, match=r"H\[1\] must be symmetric.* differ by 0\.5"):
        quadratic_form(np.stack([np.eye(600), H]), np.stack([g, g]), check_symmetric=True)


def test_check_symmetric_forgives_rounding():
    H, g = symmetric(50)
    A = H @ H
    B = A.copy()
    B[np.tril_indices(50, -1)] *= 1 + 1e-12
    assert quadratic_form(B, g, check_symmetric=True) == quadratic_form(B, g)


@pytest.mark.parametrize("storage", [np.float32, np.float16])
def test_check_symmetric_forgives_the_rounding_of_the_storage(storage):
    J = np.random.default_rng(0).standard_normal((80, 50)).astype(storage)
    H = ((J * storage(0.7)).T @ J).astype(storage)
    assert (H != H.T).any()
    quadratic_form(H, np.ones(50), check_symmetric=True)
    H[3, 2] += storage(16.0)
    with pytest.raises(ValueError, match=r"H\[3, 2\] = .* differ by"):
        quadratic_form(H, np.ones(50), check_symmetric=True)


@pytest.mark.parametrize(
    ("H", "said"),
    [
        ([[0.0, 1.7e308], [-1.7e308, 0.0]], "must be symmetric"),
        ([[0.0, np.nan], [0.0, 0.0]], "must be finite"),
        ([[0.0, 0.0], [np.inf, 0.0]], "must be finite"),
    ],
)
def test_check_symmetric_tells_huge_from_infinite(H, said):
    with pytest.raises(ValueError, match=f"H {said}"):
        quadratic_form(H, [1.0, 1.0], check_symmetric=True)


LEVEL_SCRIPT = """
import numpy as np
from hessfast import quadratic_form
from hessfast.algebra import quadratic
from hessfast.algebra.quadratic import form_and_bound
for n in (*range(1, 40), 129, 600):
    rng = np.random.default_rng(n)
    H, g = rng.standard_normal((n, n)), rng.standard_normal(n)
    for matrix in (H, H.astype(np.float32), H[np.tril_indices(n)]):
        for lower in (True, False):
            print(quadratic_form(matrix, g, lower=lower).hex(), form_and_bound(matrix, g, lower=lower)[1].tolist())
            print(quadratic_form(matrix, g, lower=lower, compensated=True).hex())
            print(quadratic_form(matrix, np.stack([g, -g, 2 * g]), lower=lower).tolist())
            print(quadratic_form(np.stack([H, 2 * H]), np.stack([g, g]), lower=lower).tolist())
"""


def run_with_level(level, script=LEVEL_SCRIPT):
    return subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"HESSFAST_SIMD": level},
        capture_output=True,
        text=True,
        check=False,
    )


def test_same_bits_for_every_simd_level():
    baseline, best = run_with_level("baseline"), run_with_level("")
    assert baseline.returncode == best.returncode == 0
    assert baseline.stdout == best.stdout
    assert len(best.stdout.splitlines()) == 41 * 24


def test_unknown_simd_level_is_refused_by_name():
    run = run_with_level("sse9")
    assert run.returncode != 0
    assert "HESSFAST_SIMD='sse9'" in run.stderr


@pytest.mark.parametrize(
    "shape",
    [
        lambda H: H[::2, ::2],
        lambda H: H[5:25, 3:23],
        lambda H: H[::-1, ::-1],
        lambda H: np.asfortranarray(H)[:20, 4:24],
        lambda H: H.astype(">f8"),
        lambda H: H.astype(">f4"),
        lambda H: H.astype(np.longdouble),
        lambda H: H.astype(np.float32),
        lambda H: np.frombuffer(b"." + H.tobytes(), offset=1).reshape(H.shape),
        lambda H: np.broadcast_to(H[0, 0], (6, 6)),
        lambda H: (100 * H).astype(int),
        lambda H: H > 0,
        lambda H: H.tolist(),
    ],
    ids=[
        "strided",
        "slice",
        "reversed",
        "F slice",
        "swapped",
        "swapped f32",
        "longdouble",
        "f32",
        "unaligned",
        "broadcast",
        "int",
        "bool",
        "list",
    ],
)
def test_any_real_matrix(shape):
    H = shape(symmetric(40)[0])
    plain = np.array(H, dtype=float)
    g = symmetric(len(plain))[1]
    for lower in (True, False):
        expected = quadratic_form(plain, g, lower=lower)
        assert quadratic_form(H, g, lower=lower) == expected
        assert quadratic_form(H, np.repeat(g, 2)[::2], lower=lower) == expected
        assert quadratic_form(H, g.tolist(), lower=lower) == expected


def test_empty_and_singleton():
    assert quadratic_form(np.empty((0, 0)), np.empty(0)) == 0.0
    assert quadratic_form([[3.0]], [-2.0]) == 12.0


def test_read_only_input():
    H, g = symmetric(5)
    H.setflags(write=False)
    g.setflags(write=False)
    assert quadratic_form(H, g) == quadratic_form(H.copy(), g.copy())


def test_nan_and_inf_propagate():
    H, g = symmetric(20)
    H[13, 4] = np.nan
    assert np.isnan(quadratic_form(H, g))
    H[13, 4] = np.inf
    assert quadratic_form(H, g) == np.inf * np.sign(g[13] * g[4])


@pytest.mark.parametrize(
    ("H", "g", "error", "said"),
    [
        (
            np.ones((3, 2)),
            np.ones(2),
            ValueError,
            r"H must be square matrices or a packed triangle, got shape \(3, 2\)",
        ),
        (np.ones(4), np.ones(2), ValueError, "H, a packed triangle, must have"),
        (np.ones((3, 3)), np.ones(4), ValueError, r"g must have shape \(3,\)"),
        (np.ones((3, 3)), np.ones((3, 1)), ValueError, r"g must have shape \(3,\) or \(k, 3\)"),
        (np.ones((2, 3, 3)), np.ones(3), ValueError, r"g must have shape \(2, 3\)"),
        (np.ones((2, 3, 3)), np.ones((3, 3)), ValueError, r"g must have shape \(2, 3\)"),
        (np.ones(6), np.ones(2), ValueError, r"g must have shape \(3,\)"),
        (3.0, 1.0, ValueError, "H must be square matrices"),
        (np.ones((3, 3)), 1.0, ValueError, r"g must have shape \(3,\)"),
        (np.ones((3, 3), complex), np.ones(3), TypeError, "H must hold real numbers, got dtype complex128"),
        (np.ones((3, 3)), np.ones(3, complex), TypeError, "g must hold real numbers"),
        (np.ones((3, 3), object), np.ones(3), TypeError, "H must hold real numbers, got dtype object"),
        (np.ones((3, 3)), ["a"] * 3, TypeError, "g must hold real numbers"),
        ([[1.0], [1.0, 2.0]], np.ones(2), ValueError, "H is not a rectangular array"),
        (np.ma.ones((3, 3)), np.ones(3), TypeError, "H is a masked array"),
    ],
)
def test_bad_input_names_the_argument(H, g, error, said):
    with pytest.raises(error, match=said):
        quadratic_form(H, g)


@pytest.mark.parametrize(("workers", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_bad_workers(workers, error):
    with pytest.raises(error, match="workers: must be"):
        quadratic_form(np.eye(2), np.ones(2), workers=workers)
