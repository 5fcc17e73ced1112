"""Which derivatives are known: their error bars against what they matter for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NAMED",
    "Natural",
    "Worst",
    "all_known",
    "entries",
    "hessian_scale",
    "natural_sizes",
    "places",
    "resolved_along",
    "resolved_rows",
    "row_blocks",
    "sum_rows",
    "unknown_entries",
]

Array = NDArray[np.float64]

T = TypeVar("T")

TENTH = 0.1
"""Bar of a derivative that is known, in units of itself or of its natural scale."""

MATTERS = 1e-3
"""Part of the change of f over the coordinates' own sizes that what is not known may come to."""

_SEEN = {1: 2.0**-12, 2: 2.0**-18, 4: 2.0**-26}
"""From an order on: change of f, in units of |f|, that is taken for known where nothing else is.
Low orders leave coordinates that f ignores at steps as short as the others want."""

ASIDE = 2.0**-16
"""The same in units of the largest change that comes with any coordinate: a molecule is stiff along its bonds, and
what is less by this beside them, as across its plane, is none."""

SPECK = 2.0**-14
"""|x_i| in units of the largest, up to which it says nothing of the size of the coordinate."""

NAMED = 3
"""Entries that a message names."""

_BLOCK = 1 << 15
"""Entries of a matrix looked at together."""


def seen_at(order: int) -> float:
    """Return the change of f, in units of |f|, that is taken for known where nothing else is."""
    return from_order_on(_SEEN, order)


def from_order_on(table: Mapping[int, T], order: int) -> T:
    """Return the row of a table by order that holds at this one: each holds up to the next."""
    return table[max(least for least in table if least <= order)]


class Worst(NamedTuple):
    """An entry that is not known."""

    place: tuple[int, ...]
    value: float
    error: float


@dataclass(frozen=True, slots=True, eq=False)
class Natural:
    """Scales of the second derivatives, of shape (m,).

    An entry is resolved where its bar B_ij is at most 0.1 |H_ij|, 0.1 `own`_i `own`_j or 1e-3 `size`_i `size`_j.

    Attributes
    ----------
    own : ndarray
        sqrt|H_ii|, as far as it is known.
    size : ndarray
        sqrt(V_i) / u_i: V_i is the largest change of f that is known to come with a move of coordinate i by its size
        u_i, V_i = max(|g_i| u_i, max_j |H_ij| u_i u_j, 2⁻²⁶ |f|, 2⁻¹⁶ max_j V_j).
    """

    own: Array
    size: Array

    def excess(self, hess: Array, bars: Array, rows: slice) -> Array:
        """Return, for those rows of both, bars in units of what they may be; nan where bars are."""
        allowed = TENTH * np.abs(hess)
        np.fmax(allowed, np.multiply.outer(TENTH * self.own[rows], self.own), out=allowed)
        np.fmax(allowed, np.multiply.outer(MATTERS * self.size[rows], self.size), out=allowed)
        return np.divide(bars, allowed, out=np.where(bars == 0.0, 0.0, np.inf), where=allowed > 0.0)


def natural_sizes(x: Array, index: NDArray[np.int32], step: Array, sizes: Array | None) -> Array:
    """Return the sizes u of the differentiated coordinates: `sizes` where known, else |x_i|, or 1 next to zero.

    A coordinate that was moved by more is larger.
    """
    with np.errstate(all="ignore"):
        size = np.abs(x)
        u = np.where(size <= SPECK * size.max(), 1.0, size)[index]
        if sizes is not None:
            u = np.where(np.isfinite(sizes) & (sizes > 0.0), sizes, u)
        return np.asarray(np.fmax(u, np.abs(step)))


def row_blocks(count: int, entries: int | None = None) -> Iterator[slice]:
    """Rows of a matrix in blocks of so many entries, so that what is derived from it takes little memory beside it."""
    width = max(1, (entries or _BLOCK) // max(1, count))
    return (slice(first, min(count, first + width)) for first in range(0, count, width))


def sum_rows(parts: Sequence[Array], rows: slice) -> Array:
    """Return some rows of error bars that may be held in parts."""
    total = parts[0][rows]
    for part in parts[1:]:
        total = total + part[rows]
    return total


def hessian_scale(hess: Array, bars: Sequence[Array], slope: Array, f0: float, u: Array, order: int) -> Natural:
    """Return the natural scales of a Hessian.

    Parameters
    ----------
    hess : ndarray, shape (m, m)
    bars : sequence of ndarray, shape (m, m)
        They sum to the error bars.
    slope : ndarray, shape (m,)
        How large the gradient is at least.
    f0 : float
        f(x), nan where it is not known.
    u : ndarray, shape (m,)
        Sizes of the coordinates.
    order : int
        Of the error in the step.
    """
    m = len(hess)
    own, coupling = np.zeros(m), np.zeros(m)
    with np.errstate(all="ignore"):
        for rows in row_blocks(m):
            known = np.abs(hess[rows])
            known -= sum_rows(bars, rows)
            own[rows] = np.sqrt(np.fmax(np.diagonal(known, rows.start), 0.0))
            known *= u
            coupling[rows] = np.fmax.reduce(known, axis=1, initial=0.0)
        size = np.sqrt(np.fmax(np.fmax(slope, coupling), 0.0) / u)
        aside = np.sqrt(max(ASIDE, seen_at(order))) * np.fmax.reduce(size * u, initial=0.0)
        size = np.fmax(size, np.fmax(np.sqrt(seen_at(order) * abs(f0)), aside) / u)
    return Natural(own, size)


def all_known(hess: Array, bars: Sequence[Array]) -> bool:
    """Whether every entry is known by itself, which is soon seen."""
    with np.errstate(all="ignore"):
        return all(bool((sum_rows(bars, rows) <= TENTH * np.abs(hess[rows])).all()) for rows in row_blocks(len(hess)))


def resolved_rows(hess: Array, bars: Sequence[Array], scale: Natural) -> Iterator[tuple[slice, Array]]:
    """Yield blocks of rows with the bars in units of what they may be; above 1, or nan, is not resolved."""
    with np.errstate(all="ignore"):
        for rows in row_blocks(len(hess)):
            excess = scale.excess(hess[rows], sum_rows(bars, rows), rows)
            excess[~np.isfinite(hess[rows])] = np.nan
            yield rows, excess


def unknown_entries(hess: Array, bars: Sequence[Array], scale: Natural) -> tuple[int, tuple[Worst, ...]]:
    """Return how many entries are not known, and the worst of those whose value is a number, one for each pair."""
    count = 0
    worst: list[tuple[float, Worst]] = []
    for rows, excess in resolved_rows(hess, bars, scale):
        lost = ~(excess <= 1.0)
        found = int(np.count_nonzero(lost))
        if not found:
            continue
        count += found
        i, j = np.nonzero(lost & np.isfinite(hess[rows]))
        below = i + rows.start >= j
        i, j = i[below], j[below]
        by = np.where(np.isnan(excess[i, j]), np.inf, excess[i, j])
        bar = sum_rows(bars, rows)
        for k in np.argsort(-by, kind="stable")[:NAMED]:
            place = int(i[k]) + rows.start, int(j[k])
            worst.append((-float(by[k]), Worst(place, float(hess[place]), float(bar[i[k], j[k]]))))
        worst = sorted(worst, key=lambda entry: entry[0])[:NAMED]
    return count, tuple(entry for _, entry in worst)


def resolved_along(
    value: Array, bar: Array, change: Array, f0: float, u: Array, derivative: int, order: int
) -> NDArray[np.bool_]:
    """Return which derivatives along the axes are known.

    Parameters
    ----------
    value, bar : ndarray, shape (m,)
    change : ndarray, shape (m,)
        Largest change of f that is known to come with a move of each coordinate by its size.
    f0 : float
    u : ndarray, shape (m,)
        Sizes of the coordinates.
    derivative : {1, 2}
    order : int
    """
    with np.errstate(all="ignore"):
        aside = max(ASIDE, seen_at(order)) * np.fmax.reduce(change, initial=0.0)
        least = np.fmax(seen_at(order) * abs(f0), aside)
        allowed = MATTERS * np.fmax(change, least) / u
        if derivative == 2:
            allowed /= u
        return np.asarray(np.isfinite(value) & (bar <= np.fmax(allowed, TENTH * np.abs(value))))


def places(at: Sequence[tuple[int, ...]], labels: Sequence[Any] | None) -> str:
    """Spell the places of entries, by the labels of their coordinates where there are any."""
    return ", ".join(f"[{', '.join(str(i if labels is None else labels[i]) for i in place)}]" for place in at)


def entries(worst: Sequence[Worst], labels: Sequence[Any] | None) -> str:
    """Spell entries with their bars."""
    return ", ".join(f"{places([place], labels)} = {value:.3g} ± {error:.2g}" for place, value, error in worst)
