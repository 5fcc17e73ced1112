"""gᵀHg: ours against the plain NumPy form and BLAS's symmetric product.

Run with one BLAS thread (OPENBLAS_NUM_THREADS=1); read the ratios within one run.
"""

import numpy as np
import pytest
from scipy.linalg.blas import dsymv

from hessfast import quadratic_form
from hessfast.algebra import _quadform

SIZES = [1, 8, 64, 256, 1024, 4096, 8192]
FORMS = {
    "numpy": lambda H, g: g @ H @ g,
    "dsymv": lambda H, g: g @ dsymv(1.0, H.T, g, lower=0),
    "hessfast": quadratic_form,
}


@pytest.fixture(scope="module", params=SIZES)
def case(request):
    n = request.param
    rng = np.random.default_rng(n)
    H = rng.standard_normal((n, n))
    H += H.T
    return H, rng.standard_normal(n)


@pytest.mark.quick
@pytest.mark.parametrize("form", FORMS)
def test_quadratic_form(benchmark, case, form):
    H, g = case
    n = len(g)
    benchmark.group = f"g'Hg, n = {n}"
    assert abs(FORMS[form](H, g) - g @ H @ g) <= 1e-13 * (n + 1) * (abs(g) @ abs(H) @ abs(g))
    benchmark.extra_info["bytes"] = 4 * n * (n + 1)
    benchmark(FORMS[form], H, g)


STACKED = {
    "einsum": lambda H, G: np.einsum("bi,bij,bj->b", G, H, G),
    "matmul": lambda H, G: (G[:, None, :] @ H @ G[:, :, None])[:, 0, 0],
    "hessfast": quadratic_form,
}


@pytest.mark.quick
@pytest.mark.parametrize("n", [4, 64])
@pytest.mark.parametrize("form", STACKED)
def test_stack(benchmark, form, n):
    rng = np.random.default_rng(n)
    H = rng.standard_normal((1000, n, n))
    H += H.transpose(0, 2, 1)
    G = rng.standard_normal((1000, n))
    benchmark.group = f"1000 matrices, n = {n}"
    np.testing.assert_allclose(STACKED[form](H, G), STACKED["einsum"](H, G), atol=1e-12 * n * n)
    benchmark(STACKED[form], H, G)


TOGETHER = {"numpy": lambda H, G: ((G @ H) * G).sum(1), "hessfast": quadratic_form}


@pytest.mark.quick
@pytest.mark.parametrize("k", [8, 256])
@pytest.mark.parametrize("form", TOGETHER)
def test_vectors(benchmark, form, k):
    rng = np.random.default_rng(k)
    H = rng.standard_normal((2048, 2048))
    H += H.T
    G = rng.standard_normal((k, 2048))
    benchmark.group = f"{k} vectors, n = 2048"
    np.testing.assert_allclose(TOGETHER[form](H, G), TOGETHER["numpy"](H, G), atol=1e-7)
    benchmark.pedantic(TOGETHER[form], (H, G), rounds=10, warmup_rounds=1)


def averaged_in_place(G):
    _quadform.symmetrize(G, 0, len(G))
    return G


AVERAGED = {"numpy": lambda G: (G + G.T) / 2, "hessfast": averaged_in_place}


@pytest.mark.quick
@pytest.mark.parametrize("n", [1000, 1024])
@pytest.mark.parametrize("form", AVERAGED)
def test_symmetrize(benchmark, form, n):
    G = np.random.default_rng(n).standard_normal((n, n))
    benchmark.group = f"(G + G.T) / 2, n = {n}"
    np.testing.assert_array_equal(AVERAGED[form](G.copy()), (G + G.T) / 2)
    benchmark(AVERAGED[form], G)
