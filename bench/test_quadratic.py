"""gᵀHg: ours against the plain NumPy form and BLAS's symmetric product.

Run with one BLAS thread (OPENBLAS_NUM_THREADS=1); read the ratios within one run.
"""

import numpy as np
import pytest
from scipy.linalg.blas import dsymv

from hessfast import quadratic_form

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
