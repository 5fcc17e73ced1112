"""From columns to a symmetric matrix with bars: what both columns of a pair say of an entry, and of its error."""

from __future__ import annotations

import math

import numpy as np

from hessfast.gradients.columns import Array, family
from hessfast.gradients.judgement import follows
from hessfast.gradients.matrix import Matrix
from hessfast.gradients.norms import quotient, rows_of, squares_of
from hessfast.scale import EPS
from hessfast.values.noise import ROUNDING


def blur(matrix: Matrix) -> None:
    """Raise the noise of components next to zero to what the rounding of their arguments leaves in them.

    Where they change by far more than themselves over the steps, as at a minimum, the table of their noise has
    seen that of nothing.
    """
    place, policy = matrix.place, matrix.place.policy
    if place.noise_given:
        return
    x, h = np.abs(place.gradient.x)[:, None], np.abs(matrix.step)[:, None]
    moved, rounding = np.zeros((2, place.gradient.size))
    for rows in rows_of(place.gradient.size):
        size = np.abs(matrix.value[rows])
        moved = np.fmax(moved, np.max(size * h[rows], axis=0))
        rounding = np.fmax(rounding, ROUNDING * np.max(size * x[rows], axis=0))
    nothing = (np.abs(place.g0) < policy.next_to_zero * moved) & (place.noise < policy.of_nothing * rounding)
    place.noise = np.where(nothing, rounding, place.noise)


def _expected(matrix: Matrix, seen: Array) -> tuple[Array, Array, Array]:
    """Return what else lets expect of truncation errors, in units of the entries.

    By column, from the rate at which its terms fall; by component, from the direction that was scanned, at its best
    level; and by column what the latter falls to at shorter steps. Corrections that vanish (`seen`, of the columns)
    by more than chance leaves are those of a polynomial, which has no more terms.
    """
    place, scan, policy = matrix.place, matrix.scan, matrix.place.policy
    sizes = np.sum(
        [np.abs(scan.along[0][run]) @ np.abs(matrix.value[run]) for run in rows_of(place.gradient.size)], axis=0
    )
    both, one = (follows(family(place.order, symmetric), matrix.rate) for symmetric in (True, False))
    of_columns = np.fmin(np.where(matrix.symmetric, both, one), policy.luck * seen)
    shorter = np.where(matrix.level <= place.start, np.exp2(place.order * (matrix.level - float(place.start))), 0.0)
    return of_columns, quotient(policy.course * scan.course, sizes), shorter


def _excess(matrix: Matrix) -> float:
    """Asymmetry of the pairs whose truncation errors do not hide it, over what the noise level explains."""
    place = matrix.place
    m = place.gradient.size
    found, count = np.empty(m * (m - 1) // 2), 0
    for rows, other in squares_of(m):
        T = matrix.truncation[rows, other] + matrix.truncation[other, rows].T
        C = np.hypot(matrix.condition(rows, other), matrix.condition(other, rows).T)
        below = (np.arange(rows.start, rows.stop)[:, None] > np.arange(other.start, other.stop)) & (T < 0.1 * C)
        spread = (np.abs(matrix.value[rows, other] - matrix.value[other, rows].T) / C)[below]
        found[count : count + spread.size] = spread
        count += spread.size
    return float(np.median(found[:count], overwrite_input=True)) / 0.6745 if count >= 3 else 1.0


def bars(matrix: Matrix) -> tuple[Array, Array, Array]:
    """Symmetrise in place; the bar is the asymmetry and the better of the two columns' own errors.

    H_ij is the mean of both columns; that of the better one alone where the other's error is far larger, and only
    what that does not explain of the asymmetry then counts. Where the asymmetry exceeds what the noise level
    explains, over all pairs, the noise level is raised to it.
    """
    place, policy = matrix.place, matrix.place.policy
    m = place.gradient.size
    G, T = matrix.value, matrix.truncation
    condition = np.empty((m, m))
    # An entry's own estimate may vanish by chance: that of its column stands behind it.
    size, _, truncation = matrix.relative_errors()
    usual = np.nan_to_num(size * truncation / math.sqrt(m), posinf=np.inf)
    of_columns, of_components, shorter = _expected(matrix, truncation)
    excess = min(max(_excess(matrix), 1.0), policy.most_excess)
    for rows in rows_of(place.gradient.size):
        condition[rows] = matrix.condition(rows)
    condition *= excess
    for a, b in squares_of(m):
        C, D = condition[a, b], condition[b, a].T
        own = C + np.maximum(T[a, b], usual[a, None] / matrix.scale[b])
        other = D + np.maximum(T[b, a].T, usual[b] / matrix.scale[a, None])
        asymmetry = np.abs(G[a, b] - G[b, a].T)
        least = np.minimum(own, other)
        useless = np.maximum(own, other) > policy.useless * least
        better = np.where(useless, other < own, C + T[a, b] > D + T[b, a].T)
        H = np.where(useless, np.where(better, G[b, a].T, G[a, b]), 0.5 * (G[a, b] + G[b, a].T))
        missed = np.maximum(matrix.missed[a, None], matrix.missed[b])
        left_out = np.where(better, T[b, a].T, T[a, b])
        expected, mirrored = (
            np.fmax(of_columns[i, None], np.fmin(shorter[i, None] * of_components[j], 1.0)) for i, j in ((a, b), (b, a))
        )
        left_out = np.fmax(left_out, np.where(better, mirrored.T, expected) * np.abs(H))
        if place.order <= 2:  # where symmetry hides terms it hides the asymmetry too
            common = np.fmin(usual[a, None] / matrix.scale[b], usual[b] / matrix.scale[a, None])
            left_out = np.fmax(left_out, common / 2)
        if a == b:  # no asymmetry tells
            np.fill_diagonal(left_out, np.fmax(np.diag(left_out), usual[a] / matrix.scale[a]))
        explained = np.where(useless, policy.condition_bar * np.maximum(own, other), 0.0)
        bar = policy.truncation_bar * np.maximum(left_out, missed * np.abs(H))
        bar += np.fmax(asymmetry - explained, 0.0) if useless.any() else asymmetry
        error = policy.condition_bar * np.where(better, D, C) + 4 * EPS * np.abs(H)
        error += np.multiply.outer(matrix.unsettled[a], matrix.unsettled[b])
        for whole, part in ((G, H), (T, bar), (condition, error)):
            whole[a, b] = part
            whole[b, a] = part.T
    return G, T, condition
