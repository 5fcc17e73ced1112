"""Whether the whole matrix is what g says beside it: along the table of its noise, and along a mix of the steps."""

from __future__ import annotations

import numpy as np

from hessfast.calls.points import Search
from hessfast.gradients.columns import Array
from hessfast.gradients.matrix import Matrix
from hessfast.gradients.norms import quotient
from hessfast.scale import TINY


def refuted(matrix: Matrix) -> Array:
    """Return by how much each component of g changed otherwise over the table of its noise than the columns say.

    Its points are so close to x that only the roughest contradiction shows, but that wherever the steps are: beyond
    the natural length of g, where it is flat, columns vanish at every step in sight and confirm each other.
    """
    place, policy = matrix.place, matrix.place.policy
    d, change = place.glance
    product, size, truncation, condition = matrix.products(d)
    bound = policy.clear * (5.0 * place.noise + np.sqrt(condition)) + 3 * truncation + policy.unresolved * size
    missed = np.abs(change - product)
    return np.asarray(np.where(missed > bound, missed, 0.0))


def charge(matrix: Matrix, contradicted: Array) -> None:
    """Charge contradictions that no search resolved to all that may be their cause."""
    place = matrix.place
    which = np.flatnonzero(contradicted)
    for j in which:
        missed = contradicted[j] / np.fmax(np.abs(place.glance[0]), TINY)
        matrix.truncation[:, j] = np.maximum(matrix.truncation[:, j], missed)
        matrix.truncation[j] = np.maximum(matrix.truncation[j], missed)


def certified(matrix: Matrix) -> Search[bool]:
    """Compare H v with one central difference along v, a random combination of the steps / 32.

    Its own h^2 term is that of the scanned direction, 32^2 times smaller.
    """
    place, scan, policy = matrix.place, matrix.scan, matrix.place.policy
    x = place.gradient.x
    short = np.abs(matrix.step) / policy.certificate
    v = place.chance.choice((-1.0, 1.0), x.size) * np.where(short <= np.minimum(place.below, place.above), short, 0.0)
    X = np.array([x + v, x - v])
    g = yield from place.gradient.dense(X)
    v = (X[0] - X[1]) / 2
    product, size, truncation, condition = matrix.products(v)
    residual = np.abs((g[0] - g[1]) / 2 - product)
    noise = np.sqrt(place.noise**2 / 2 + condition)
    bound = policy.clear * noise + 3 * truncation + max(scan.bend / 64, 1e-6) * size
    if place.order <= 2:  # its own h^2 term is then far smaller than that of the columns
        matrix.missed = np.where(residual > 5 * noise, np.minimum(quotient(residual, size), 1.0), 0.0)
    return not np.any(residual > bound)
