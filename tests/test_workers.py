"""How many threads may be asked for, and how many are started."""

import threading

import numpy as np
import pytest
from numba import njit

from hessfast import hessian, quadratic_form
from hessfast.workers import THREADS_A_CORE, cores, thread_count


@njit
def value(x):
    return (x * x * x).sum()


def test_a_hundred_thousand_workers():
    x = np.linspace(1.0, 2.0, 40)
    before = threading.active_count()
    np.testing.assert_array_equal(hessian(value, x, workers=100_000), hessian(value, x))
    assert threading.active_count() == before
    assert thread_count(100_000) == THREADS_A_CORE * cores()
    H = np.eye(300)
    assert quadratic_form(H, np.ones(300), workers=10**30) == 300.0


@pytest.mark.parametrize(("workers", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_nonsense_is_named(workers, error):
    for call in (
        lambda: hessian(value, [1.0, 2.0], workers=workers),
        lambda: quadratic_form(np.eye(2), np.ones(2), workers=workers),
        lambda: thread_count(workers),
    ):
        with pytest.raises(error, match=r"^workers: must be"):
            call()
