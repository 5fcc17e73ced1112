from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import reference_vectors as reference

from hessfast.algebra import _vectors, vectors

LENGTHS = [1, 2, 15, 16, 17, 1023, 1024, 1025, 5 * 1024 + 77]
STORAGE = [np.float64, np.float32]


def draw(n, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(n).astype(dtype)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("dtype", STORAGE)
def test_slow_twin_has_the_same_bits(n, dtype):
    x, v, a = draw(n, dtype), draw(n, seed=1), draw(n, dtype, seed=2)
    b = (a * (1 + 1e-6)).astype(dtype)
    out = np.empty(n)
    vectors.line_point(x, v, 0.3, out)
    assert np.array_equal(out, reference.line_point(x, v, 0.3))
    assert vectors.dot(x, v) == reference.dot(x, v)
    assert vectors.dot_square(x, v) == reference.dot_square(x, v)
    assert vectors.dot_difference(v, a, b) == reference.dot_difference(v, a, b)


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_bit(threads):
    n = 64 * 1024 * threads + 12345
    x, v = draw(n, np.float32), draw(n, seed=1)
    one, other = np.empty(n), np.empty(n)
    vectors.line_point(x, v, 0.3, one)
    vectors.line_point(x, v, 0.3, other, threads)
    assert np.array_equal(one, other)
    assert vectors.dot(x, v) == vectors.dot(x, v, threads)
    assert vectors.dot_square(x, v) == vectors.dot_square(x, v, threads)
    assert vectors.dot_difference(v, x, v) == vectors.dot_difference(v, x, v, threads)
    assert vectors.line_unit(x, v) == vectors.line_unit(x, v, threads)


def test_a_million_terms_round_like_a_few():
    x = draw(10**6)
    exact = math.fsum(x * x)
    assert abs(vectors.dot(x, x) - exact) <= 4 * np.spacing(exact)


def test_difference_keeps_digits_that_two_dots_lose():
    v, g = draw(10**5), 1e8 * draw(10**5, seed=1)
    change = 1e-6 * draw(10**5, seed=2)
    near = g + change
    exact = math.fsum(v * (near - g))
    assert abs(vectors.dot_difference(v, near, g) - exact) <= 1e-13 * math.fsum(abs(v * (near - g)))


def test_memmap_is_read_in_place(tmp_path):
    x = draw(5000)
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", dtype=np.float64, mode="r")
    assert np.shares_memory(vectors.as_vector(mapped), mapped)
    assert vectors.dot(mapped, x) == vectors.dot(x, x)


@pytest.mark.parametrize("dtype", STORAGE)
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_unit_is_the_formula_up_to_rounding_to_a_power_of_two(dtype, scale):
    rng = np.random.default_rng(5)
    x, v = np.exp(rng.normal(0, 4, 3000)).astype(dtype), (scale * rng.standard_normal(3000)).astype(dtype)
    x[::7] = 0
    v[::5] = 0
    assert abs(math.log2(vectors.line_unit(x, v)) - reference.line_unit(x, v)) <= 0.5 + 0.09


@pytest.mark.parametrize("size", [1e-200, 1e-160, 1e160, 1e300])
def test_unit_of_a_direction_whose_square_leaves_the_range(size):
    x, v = draw(100), draw(100, seed=1)
    assert math.log2(vectors.line_unit(x, size * v)) == pytest.approx(
        math.log2(vectors.line_unit(x, v)) - math.log2(size), abs=1.01
    )


def test_unit_never_below_the_spacing_of_x():
    x = np.array([1e20, 1.0])
    assert vectors.line_unit(x, np.array([0.0, 1.0])) >= 2.0**-53 * 1e20


@pytest.mark.parametrize(("direction", "unit"), [(0.0, 0.0), (np.nan, np.nan), (np.inf, np.nan)])
def test_unit_of_what_is_no_direction(direction, unit):
    assert vectors.line_unit(np.ones(4), np.full(4, direction)) == pytest.approx(unit, nan_ok=True)


def test_other_storage_is_refused_by_the_kernel_and_converted_before():
    with pytest.raises(TypeError, match="int64"):
        _vectors.dot(np.arange(3), np.ones(3), np.empty(1), 0, 1)
    with pytest.raises(ValueError, match="contiguous"):
        _vectors.dot(np.ones(6)[::2], np.ones(3), np.empty(1), 0, 1)
    assert vectors.dot(vectors.as_vector([1, 2, 3]), vectors.as_vector(np.ones(6)[::2])) == 6.0


FORKED = """
import os, signal
import numpy as np
from hessfast.algebra.vectors import dot
x = np.ones(200_000)
assert dot(x, x, 2) == x.size
child = os.fork()
if child == 0:
    signal.alarm(20)
    os._exit(0 if dot(x, x, 2) == x.size else 1)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_threads_are_made_anew_in_a_forked_child():
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], timeout=60).returncode == 0
