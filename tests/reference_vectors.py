"""Slow twins of csrc/vectors.c, in NumPy: the same panels, lanes and trees, hence the same bits."""

from __future__ import annotations

import math

import numpy as np

PANEL, LANES = 1024, 16


def panel_sum(terms):
    """Sum at most PANEL terms: lane i mod 16, then the lanes by a tree."""
    rows = np.zeros((-(-terms.size // LANES), LANES))
    rows.reshape(-1)[: terms.size] = terms
    lanes = np.zeros(LANES)
    for row in rows:
        lanes = lanes + row
    four = (lanes[0:4] + lanes[8:12]) + (lanes[4:8] + lanes[12:16])
    return (four[0] + four[2]) + (four[1] + four[3])


def tree_sum(sums):
    """Split at the largest power of two below the length."""
    if len(sums) == 1:
        return sums[0]
    cut = 1 << ((len(sums) - 1).bit_length() - 1)
    return tree_sum(sums[:cut]) + tree_sum(sums[cut:])


def total(terms):
    return tree_sum([panel_sum(terms[at : at + PANEL]) for at in range(0, terms.size, PANEL)])


def dot(x, y):
    return total(x.astype(np.float64) * y.astype(np.float64))


def dot_square(x, y):
    return total((x.astype(np.float64) * y.astype(np.float64)) ** 2)


def dot_difference(v, a, b):
    return total(v.astype(np.float64) * (a.astype(np.float64) - b.astype(np.float64)))


def line_point(x, v, t):
    return x.astype(np.float64) + t * v.astype(np.float64)


def line_unit(x, v):
    """The formula itself, logarithms exact, not rounded to a power of two."""
    x, v = x.astype(np.longdouble), v.astype(np.longdouble)
    norm = np.sqrt(np.sum((v / np.abs(v).max()) ** 2)) * np.abs(v).max()
    typical = np.where(x == 0, np.longdouble(1), np.abs(x))[v != 0]
    w = v[v != 0] / norm
    log2_unit = float(np.sum(w**2 * np.log2(typical / np.abs(w))) - np.log2(norm))
    size = np.sqrt(np.sum((x / typical.max()) ** 2)) * typical.max()
    floor = -math.inf if size == 0 else float(np.log2(size)) - 52 - float(np.log2(norm))
    return max(log2_unit, floor)
