"""Quadratic models to test with, and every way of handing over their matrix."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hessfast import TaylorModel


def quadratic(n, seed=0, definite=True):
    """A symmetric H, a gradient and a point, of moderate size."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n))
    H = A @ A.T + n * np.eye(n) if definite else A + A.T
    return rng.standard_normal(n), rng.standard_normal(n), H


def packed(H):
    return H[np.tril_indices(len(H))]


class Operator:
    """A linear operator as SciPy's aslinearoperator would take it."""

    def __init__(self, H):
        self.H, self.shape, self.dtype, self.products = H, H.shape, H.dtype, 0

    def matvec(self, v):
        self.products += 1
        return self.H @ v

    def matmat(self, V):
        self.products += V.shape[1]
        return self.H @ V


FORMS = {
    "array": lambda H: H,
    "fortran": np.asfortranarray,
    "packed": packed,
    "operator": Operator,
    "callable": lambda H: lambda v: H @ v,
}


entries = st.floats(-8.0, 8.0, allow_nan=False).map(lambda value: round(value, 3))


@st.composite
def forms(draw, batch=None):
    n = draw(st.integers(1, 6))
    lower = draw(arrays(float, (n, n), elements=entries))
    g = draw(arrays(float, (n,) if batch is None else (batch, n), elements=entries))
    return g, np.tril(lower) + np.tril(lower, -1).T


def rosenbrock(x):
    return float(100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2)


def rosenbrock_model(x, **options):
    g = np.array([-400.0 * x[0] * (x[1] - x[0] ** 2) - 2.0 * (1.0 - x[0]), 200.0 * (x[1] - x[0] ** 2)])
    H = np.array([[1200.0 * x[0] ** 2 - 400.0 * x[1] + 2.0, -400.0 * x[0]], [-400.0 * x[0], 200.0]])
    return TaylorModel(x, rosenbrock(x), g, H, **options)
