"""Every constant of the search at complex points that decides something, in one place.

A `Policy` is handed to the search, so that a bench can put another in its place. A level is a step of 2^level units of
a coordinate, a unit the power of two nearest to its size; errors are relative to a second derivative.
"""

from __future__ import annotations

from dataclasses import dataclass

from hessfast.gradients.levels import MovePolicy
from hessfast.scale import EPS

ORDER = 4
"""Of the truncation error at one level, in h."""


MOVES = MovePolicy(short=2.0, enough=2.0, in_doubt=6.0, doubtful=4.8)
"""Noise is rounding here: an axis goes up to what is attainable, and no further. Truncation is in doubt where it is
hidden: 4.8 is `Policy.hidden` times `Policy.mixed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How the level of each axis is found and verified, and how bars are made."""

    # ---- what a level shows

    mixed: float = 16.0
    """Truncation error of a pair over that of a diagonal entry: up to (2^6 - 2) / 2 where all couple."""

    hidden: float = 0.3
    """If the truncation error is less than this share of the condition error it is noise."""

    shows: float = 0.3
    """Relative error up to which a second derivative was seen."""

    # ---- where an axis may go

    attainable: float = EPS ** (ORDER / (ORDER + 1))
    """Relative error of a balanced level, in an ordinary function."""

    moves: MovePolicy = MOVES
    """How a search goes from level to level."""

    leap: int = 12
    """Levels that a search goes up at once, at most."""

    small_leap: int = 4
    """The same for a search that starts from short steps."""

    farther: int = 7
    """Octaves by which a size must be less than those it is tried up to, to have a higher ceiling."""

    shortest: float = 2.0**-30
    """Share of |x_i| below which the bounds leave no room for a search."""

    # ---- checks

    verify: tuple[int, int] = (-6, -8)
    """Levels from the chosen one, down, at which an axis is verified and its noise measured."""

    down: int = 6
    """Levels to go down where a step is beyond the natural length."""

    common: float = 0.25
    """If what both levels miss differs by less than this share of it, it is no noise,"""

    disproved: float = 1e3
    """where it also exceeds that of right imaginary parts by this."""

    glance: int = -38
    """Level at which f is looked at once more: short enough to see where all other steps are too long."""

    refuted: float = 1e-2
    """Share by which curvatures must differ there to refute a level."""

    alike: float = 0.1
    """Share of that difference by which it may differ at twice the step: noise would more."""

    nearby: float = 16.0
    """Roundings of x over which the Hessian is looked at once more."""

    # ---- bars

    condition_bar: float = 4.5
    """Condition errors in an error bar."""

    truncation_bar: float = 4.0
    """Truncation errors in an error bar."""


POLICY = Policy()
"""The policy of every public function."""
