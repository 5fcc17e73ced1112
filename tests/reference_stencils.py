"""Slow twins of the kernels of the axes (csrc/points.c, csrc/assemble.c): the formulas in NumPy."""

import numpy as np


def axis_nodes(x, axis, step, t):
    """Return nodes x_i + t h_i, the steps really taken, and whether those of each axis are of use."""
    origin = x[axis][:, None]
    with np.errstate(over="ignore"):
        nodes = origin + np.multiply.outer(step, t)
    steps = nodes - origin
    return nodes, steps, np.isfinite(nodes).all(axis=1) & (steps != 0.0).all(axis=1)


def derivatives(stencil, f0, values, steps):
    """Return first and second derivatives along each axis."""
    slopes = (values - f0) / steps
    if stencil.one_sided:
        curvature = 2.0 * _weighted(slopes, stencil.diagonal_weights) / steps[:, 0]
        return _weighted(slopes, stencil.gradient_weights), curvature
    apart = steps[:, ::2] - steps[:, 1::2]
    bends = 2.0 * (slopes[:, ::2] - slopes[:, 1::2]) / apart
    levels = (values[:, ::2] - values[:, 1::2]) / apart
    return _weighted(levels, stencil.gradient_weights), _weighted(bends, stencil.diagonal_weights)


def _weighted(columns, weights):
    """Sum columns by weights, left to right: BLAS would choose its own order of summation."""
    total = columns[:, 0] * weights[0]
    for k in range(1, len(weights)):
        total += columns[:, k] * weights[k]
    return total
