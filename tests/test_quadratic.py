import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hessfast import quadratic_form

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
    assert error <= (n / 4 + 48) * EPS * (abs(g) @ abs(H) @ abs(g))


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
@pytest.mark.parametrize("n", [2900, 4100])
def test_same_bits_for_any_number_of_threads(n, lower):
    H, g = symmetric(n)
    value = quadratic_form(H, g)
    assert [quadratic_form(H, g, lower=lower, workers=workers) for workers in (1, 2, 3, 4)] == [value] * 4


LEVEL_SCRIPT = """
import numpy as np
from hessfast import quadratic_form
for n in (*range(1, 40), 129, 600):
    rng = np.random.default_rng(n)
    H, g = rng.standard_normal((n, n)), rng.standard_normal(n)
    print(quadratic_form(H, g).hex(), quadratic_form(H, g, lower=False).hex())
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
    assert len(best.stdout.splitlines()) == 41


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
        (np.ones((3, 2)), np.ones(2), ValueError, r"H must be a square matrix, got shape \(3, 2\)"),
        (np.ones(3), np.ones(3), ValueError, "H must be a square matrix"),
        (np.ones((3, 3)), np.ones(4), ValueError, r"g must have shape \(3,\)"),
        (np.ones((3, 3)), np.ones((3, 1)), ValueError, r"g must have shape \(3,\)"),
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
    with pytest.raises(error, match="workers must be"):
        quadratic_form(np.eye(2), np.ones(2), workers=workers)
