"""Roughness seen from gradients: differences of g at long steps against what short ones foretell.

A central difference D(t) = (g(x + t v) - g(x - t v)) / 2t of a smooth g is that of no step and a term that grows like
t², until t comes near the natural length. Short steps say what both are, so that one difference at a long step tells
whether g is smooth up to there. Where it is not, differences at several long steps decide as they do from values: half
of t² vᵀD(t) is the even part of f along v.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Search
from hessfast.scale import TINY
from hessfast.values.noise import NoiseModel
from hessfast.values.plateaus import roughness

Array = NDArray[np.float64]

FAR = 1.13 * 2.0**-4
"""Step looked at first, in units of the sizes of the coordinates."""

NEAR = 0.97 * 2.0**-8
"""Step at which a broken g is looked at again."""

FARTHEST = 0.28
"""The longest step that may be looked at, in the same units."""

_BENT = 2.0
"""What may follow the t² term, in units of its square over the value: for exponentials 0.3, at poles 1."""

_CLOSE = 0.25
"""Part of the value that the t² term may come to where short steps foretell what a long one shows."""

_SEEN = 0.01
"""Noise of what short steps foretell, in units of the value, up to which that is known."""

_DEVIATIONS = 6.0
"""Standard deviations of the noise that are allowed."""

_FAILS = 0.5, 2.0
"""Where g is rough a long step misses what short ones foretell by these parts of the t² term: the smooth part has none
of it. What is more is a kink, or made of pieces."""

_LEFT, _RIGHT = 0.1, 100.0
"""Parts of the value that a long step sees there. Over many natural lengths a bounded g leaves less, a wall more."""

_PIECES = 0.1
"""Part of the value that pieces of a broken g leave out, at most, where that is roughness and not a kink."""

_MUCH, _MUCH_AT_LEAST = 0.05, 0.02
"""Part of the value that the t² term at a long step must come to for a look; the latter without the t⁴ term."""

_DIVERGES = 3e-4
"""The same for the t⁴ term, where it is more than follows from the t² term."""

_KNOWN, _WELL = 0.2, 0.01
"""Part of the curvature to which a plateau must be known to speak against it, and to agree with it."""

_ALIKE = 3.0
"""Plateaus that are worse known by this factor at most are to lie within the bar of the best known."""

_MANY = 5
"""Steps in a range from which the t⁴ term is taken out as well."""

_OFF, _HEIGHT = 2.0, 3.0
"""How far a plateau may be off, times its longest step, and the noise of g, in units of the largest deviation of the
differences times their steps."""


class Sight(enum.Enum):
    """What a difference at a long step shows.

    SMOOTH: what short steps foretell, up to the terms that follow. SUSPECT: something else, and it may be roughness.
    BROKEN: somewhat more than the terms that short steps foretell: a kink, or pieces shorter than all long steps.
    SHORT: the natural length is shorter than that step, or noise hides what short steps foretell.
    """

    SMOOTH = enum.auto()
    SUSPECT = enum.auto()
    BROKEN = enum.auto()
    SHORT = enum.auto()


def look_far(value: Array, bend: Array, far: Array, spread: Array, further: Array | None = None) -> Sight:
    """Compare a difference at a long step with what short steps foretell.

    Parameters
    ----------
    value, bend : ndarray, shape (m,)
        The difference at no step, and its t² term at the long one; components in units that make them comparable.
    far : ndarray, shape (m,)
        The difference at the long step.
    spread : ndarray, shape (m,)
        Standard deviation of far - value - bend.
    further : ndarray, shape (m,), optional
        The t⁴ term, where it is known, and gave reason to look.
    """
    with np.errstate(all="ignore"):
        change, size = np.abs(bend), np.abs(value)
        terms = _BENT * np.nansum(change * np.minimum(change / np.fmax(size, change), 1.0))
        missed = np.maximum(np.abs(far - value - bend) - _DEVIATIONS * spread, 0.0).sum()
        whole, left, noise = size.sum(), np.abs(far).sum(), spread.sum()
        if whole == 0.0:
            return Sight.SUSPECT if 0.0 < left < math.inf else Sight.SHORT
        if missed <= terms and change.sum() <= _CLOSE * whole:
            if noise <= _SEEN * whole:
                return Sight.SMOOTH
            if further is None:
                return Sight.SHORT
        if not _LEFT * whole <= left <= _RIGHT * whole:
            return Sight.SHORT
        least, most = (np.maximum(change + sign * _DEVIATIONS * spread, 0.0).sum() for sign in (-1.0, 1.0))
        if further is not None:
            least, most = 0.0, most + np.abs(further).sum()
        if _FAILS[0] * least <= missed <= _FAILS[1] * most:
            return Sight.SUSPECT
        return Sight.BROKEN if _FAILS[1] * most < missed <= _PIECES * whole else Sight.SHORT


def is_broken_near(value: Array, bend: Array, near: Array, spread: Array) -> bool:
    """Whether the shortest of the long steps, too, misses what short ones foretell: no single kink is behind that."""
    with np.errstate(all="ignore"):
        missed = np.maximum(np.abs(near - value - bend) - _DEVIATIONS * spread, 0.0).sum()
        return bool(missed > _CLOSE * np.abs(bend).sum())


class Foretold(NamedTuple):
    """What short steps say of a long one: the value of no step, the t² and t⁴ terms, and the noise of their sum.

    The t⁴ term is None where it is not known.
    """

    value: float
    bend: float
    further: float | None
    spread: float


def foretell(steps: Array, differences: Array, far: float, noise: float) -> Foretold:
    """Read what differences at two or three short steps, with noise of that size in g, say of a long one.

    The third does not count where noise hides what it adds, nor where that is more than the t² term already: a kink may
    lie between.
    """
    squares = (steps / far) ** 2
    inverse = np.linalg.inv(np.vander(squares, increasing=True))
    terms, spreads = inverse @ differences, np.hypot.reduce(inverse * (noise / steps), axis=1)
    if terms.size > 2 and (abs(terms[2]) * squares[2] > abs(terms[1]) or abs(terms[2]) <= _DEVIATIONS * spreads[2]):
        return foretell(steps[:2], differences[:2], far, noise)
    further = float(terms[2]) if terms.size > 2 else None
    return Foretold(float(terms[0]), float(terms[1]), further, math.hypot(spreads[0], spreads[1], noise / far))


def asks_for_look(foretold: Foretold) -> bool:
    """Whether what short steps foretell of a long one is so much, or converges so badly, that g may be rough."""
    value, bend, further, _ = foretold
    if value == bend == 0.0:
        return True
    if not (0.0 < abs(value) < math.inf and abs(bend) < math.inf):
        return False
    first = abs(bend / value)
    if further is None:
        return first >= _MUCH_AT_LEAST
    return first >= _MUCH or abs(further / value) >= max(_DIVERGES, _BENT * first * first)


@dataclass(frozen=True, slots=True, eq=False)
class Plateau:
    """Where differences settle at long steps.

    Attributes
    ----------
    value : ndarray, shape (m,)
        The difference of no step as those see it.
    error : ndarray, shape (m,)
        How far it may be off.
    height : ndarray, shape (m,)
        Noise level of g that the roughness comes to at most, for steps in units of the displacement.
    """

    value: Array
    error: Array
    height: Array


def plateau(
    difference: Callable[[float], Search[Array]],
    v: Array,
    curvature: float,
    bar: float,
    noise: float,
    in_doubt: bool = False,
) -> Search[Plateau | None]:
    """Return the plateau of a rough g, None where g is smooth.

    Parameters
    ----------
    difference : callable
        Asks for D(t), of shape (m,), nan where there is none; t in units of a displacement of about the sizes of the
        coordinates, FARTHEST of which must lie inside the bounds.
    v : ndarray, shape (m,)
    curvature, bar : float
        vᵀHv as short steps have it, and its error bar.
    noise : float
        Of vᵀg.
    in_doubt : bool
        Whether a plateau that is well known and does not contradict is wanted too, as a bar.

    Notes
    -----
    Costs 14 gradients.
    """
    seen: dict[float, Array] = {}

    def along(D: Array) -> float:
        return float(v @ D)

    def ask(steps: Array) -> Search[tuple[Array, Array]]:
        for t in steps.tolist():
            seen[t] = yield from difference(t)
        even = np.array([0.5 * t * t * along(seen[t]) for t in steps.tolist()])
        return even, even

    model = NoiseModel(0.0, FARTHEST * noise / math.sqrt(8.0), 0.0)
    found = yield from roughness(ask, curvature, bar, model, sure=True)
    with np.errstate(all="ignore"):
        steps = np.array(sorted(t for t, D in seen.items() if math.isfinite(along(D))))
        if found is None or steps.size < 3:
            return None
        values = np.stack([seen[t] for t in steps.tolist()])
        ranges = [(first, stop) for stop in range(3, steps.size + 1) for first in range(max(stop - 3, 1))]
        fits = [_fit(steps, values, v, first, stop) for first, stop in ranges]
        best = _contradicting(fits, curvature, bar)
        if best is None and in_doubt:
            best = min(fits, key=lambda fit: fit.vague)
            known = _WELL * abs(curvature)
        elif best is not None:
            known = _KNOWN * max(abs(curvature), abs(best.curvature))
        if best is None or not best.vague <= known:
            return None
        alike = np.stack([fit.value for fit in fits if fit.vague <= _ALIKE * best.vague])
        return Plateau(best.value, best.error + np.abs(alike - best.value).max(axis=0), _HEIGHT * best.left)


class _Fit(NamedTuple):
    """The difference of no step as some of the long ones see it, and how far it may be off; vᵀ of both.

    `left`: what any of the differences deviates by in g itself.
    """

    value: Array
    error: Array
    left: Array
    curvature: float
    vague: float


def _fit(steps: Array, values: Array, v: Array, first: int, stop: int) -> _Fit:
    """Fit differences (k, m) at a range of the steps (k,) by 1, t² and, where they are enough, t⁴."""
    longest = steps[stop - 1]
    powers = np.stack([steps * (steps / longest) ** (2 * k) for k in range(2 if stop - first < _MANY else 3)], axis=1)
    weighed = values * steps[:, None]  # what roughness leaves in g is alike at all steps
    terms, *_ = np.linalg.lstsq(powers[first:stop], weighed[first:stop], rcond=None)
    left = np.abs(weighed[:stop] - powers[:stop] @ terms)
    last = np.abs(terms[-1])
    further = last if len(terms) > 2 else np.minimum(last, last * last / np.abs(terms[0]))
    error = _OFF * left[first:].max(axis=0) / longest + np.nan_to_num(further)
    return _Fit(terms[0], error, left.max(axis=0), float(v @ terms[0]), float(np.abs(v) @ error))


def _contradicting(fits: list[_Fit], curvature: float, bar: float) -> _Fit | None:
    """Return the fit that contradicts the curvature most, by more than both bars, of those that another agrees with."""
    telling = [fit for fit in fits if fit.vague + bar < abs(fit.curvature - curvature)]

    def agree(one: _Fit, other: _Fit) -> bool:
        return one is not other and abs(one.curvature - other.curvature) <= one.vague + other.vague

    agreed = [fit for fit in telling if any(agree(fit, other) for other in telling)]
    return max(agreed, key=lambda fit: abs(fit.curvature - curvature) / max(fit.vague, TINY), default=None)
