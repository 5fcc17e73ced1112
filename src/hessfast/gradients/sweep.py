"""All columns at the common level, and which of them could do much better at another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Search
from hessfast.gradients.columns import Array, Family, blocks, differences, extrapolate, family
from hessfast.gradients.judgement import falling, first_term, follow
from hessfast.gradients.levels import Errors
from hessfast.gradients.matrix import Matrix
from hessfast.gradients.norms import norm, quotient, rows_of
from hessfast.scale import EPS, TINY


def sweep(matrix: Matrix) -> Search[None]:
    """Ask for all columns at the common level and estimate their truncation errors."""
    place = matrix.place
    m = place.gradient.size
    drift = np.zeros((m, m))
    for both in (True, False):
        nodes = family(place.order, both)
        chosen = np.flatnonzero(matrix.symmetric == both)
        for run in blocks(chosen.size, place.order, m):
            which = chosen[run]
            found = yield from differences(place.gradient, which, matrix.step[which], nodes, place.g0)
            _keep(matrix, which, found.D, found.bend, nodes, drift)
            if both:
                matrix.unsettled[which] = matrix.turned(found.bend, matrix.step[which])
                matrix.bends[which] = np.abs(found.bend[np.arange(which.size), which])
    matrix.rescale()
    _settle(matrix, drift)


def _keep(matrix: Matrix, which: NDArray[np.intp], D: list[Array], bend: Array, nodes: Family, drift: Array) -> None:
    """Keep the columns, their last corrections and their h^2 terms, until the scale of the entries is known."""
    place, policy = matrix.place, matrix.place.policy
    matrix.value[which] = value = extrapolate(D, nodes.weights)
    if len(D) == 1:
        drift[which] = matrix.truncation[which] = bend
    else:
        drift[which] = first_term(D, nodes)
        if nodes.symmetric and len(D) > 2:  # a kink that the last node crosses, as in a judgement
            rough = policy.clear * norm(nodes.noise / np.abs(matrix.step[which])[:, None] * place.noise)
            crossed = norm(D[-2] - D[-1]) > policy.kink ** (len(D) - 2) * norm(D[0] - D[1]) + rough
            drift[which[crossed]] = np.abs(value[crossed])
        matrix.truncation[which] = np.abs(value - extrapolate(D[:-1], nodes.shorter.weights))


def _settle(matrix: Matrix, drift: Array) -> None:
    """Turn last corrections into truncation errors.

    With one node on each side there is no correction. c_1 h, the bend, stands for it: c_2 h^2 / H ~ 2/3 (c_1 h/H)^2
    as for the exponential; where the bend vanishes, as at a point of symmetry, the direction's h^2 term, in all and
    of each component of g.
    """
    place, scan, policy = matrix.place, matrix.scan, matrix.place.policy
    d, along = scan.along
    sizes = [np.abs(d[run]) @ np.abs(matrix.value[run]) for run in rows_of(place.gradient.size)]
    allotted = quotient(along, np.sum(sizes, axis=0))
    allotted = np.where(along > 0, np.minimum(allotted, 1.0), 0.0)
    if place.order == 1:  # columns say nothing of their second derivatives: the direction does, of all together
        turned = EPS * 2.0 ** (1 - place.start) * float(np.abs(place.gradient.x) @ scan.turning)
        matrix.unsettled = np.sqrt(np.nan_to_num(turned, posinf=0.0)) / place.unit
    for i in range(place.gradient.size):
        nodes = family(place.order, bool(matrix.symmetric[i]))
        whole = norm(matrix.value[i] * matrix.scale)
        ratio = float(quotient(norm(drift[i] * matrix.scale), whole))
        size = np.abs(matrix.value[i])
        if len(nodes.nodes) > 1:
            above = np.fmax(matrix.truncation[i] - 2 * matrix.condition(slice(i, i + 1))[0], 0.0)
            last, bend = norm(above * matrix.scale), matrix.bends[i] * matrix.scale[i]
            rate = falling(nodes, ratio, quotient(last, whole), quotient(bend, whole), policy)
            matrix.truncation[i] *= follow(nodes, ratio, policy)
            matrix.rate[i] = rate
            continue
        at_least = np.maximum(scan.bend / place.gradient.size, np.maximum(allotted, allotted[i]))
        if nodes.symmetric:
            ratio = min(ratio, 1.0)
            at_least = np.maximum(policy.bent * ratio**2, at_least)
            matrix.truncation[i] = np.maximum(policy.bent * ratio * drift[i], at_least * size)
        else:
            matrix.truncation[i] = np.maximum(scan.bend, at_least) * size


def doubtful(matrix: Matrix) -> dict[int, float]:
    """Return the coordinates whose column could be much better at another level, and how far that may be."""
    place, policy = matrix.place, matrix.place.policy
    moves: dict[int, float] = {}
    size, condition, truncation = matrix.relative_errors()
    finite = np.isfinite(matrix.value).all(axis=1)
    for i in range(place.gradient.size):
        if i in matrix.searched:
            continue
        N, T = float(condition[i]), float(truncation[i])
        errors = Errors(N, T, hidden=T < N, finite=bool(finite[i]), size=float(np.fmax(size[i], TINY)))
        matrix.errors[i], matrix.relative[i] = errors.absolute, errors.total
        if not errors.finite:
            moves[i] = -2.0
            continue
        move = errors.move(place.order, policy.moves)
        if errors.truncation < errors.condition or errors.condition > 0.1:
            top = matrix.ceiling[i] + matrix.beyond[i]
            if errors.condition > policy.moves.short * place.attainable and matrix.level[i] < top:
                moves[i] = max(move, 3.0)
        elif errors.gain(place.order) > policy.worth:
            moves[i] = move
    return moves
