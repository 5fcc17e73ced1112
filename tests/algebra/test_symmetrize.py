import numpy as np
import pytest

from hessfast.algebra import _quadform


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8, 63, 64, 65, 100, 128, 256, 1024])
def test_mean_of_every_pair(n):
    G = np.random.default_rng(n).standard_normal((n, n))
    expected = 0.5 * (G + G.T)
    in_parts = G.copy()
    _quadform.symmetrize(G, 0, n)
    np.testing.assert_array_equal(G, expected)
    for first in range(0, n, 50):
        _quadform.symmetrize(in_parts, first, min(first + 50, n))
    np.testing.assert_array_equal(in_parts, expected)


def test_nan_stays_in_its_pair():
    G = np.zeros((70, 70))
    G[66, 3] = np.nan
    _quadform.symmetrize(G, 0, 70)
    assert np.argwhere(np.isnan(G)).tolist() == [[3, 66], [66, 3]]
