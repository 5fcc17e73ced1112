"""Every constant of the searches from gradients that decides something, in one place: of columns, and of lines.

A `Policy` is handed to the search, so that a bench can put another in its place. A level is a step of 2^level units of
a coordinate, a unit the power of two nearest to its size; errors are relative to the norm of a column, and noise levels
are standard deviations of the components of g, as far as they are known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hessfast.gradients.levels import MOVES, MovePolicy
from hessfast.scale import EPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How the noise of g is measured, levels are searched, and bars are made."""

    # ---- noise

    offsets: tuple[float, ...] = (0.0, 1.0, 4.0, 9.0, 15.0, 20.0, 26.0)
    """Where a table of g has its points, in units of its spacing. At equal spacing the rounding errors of a short sum
    of products can be a smooth function of the row, and nothing of them is left in the residuals."""

    spacings: tuple[int, ...] = (-43, -36, -29, -22)
    """Spacings of a table, in octaves below the sizes of the coordinates: the next where half of the first differences
    vanish, for g is then coarser than the spacing."""

    lucky: float = 0.1
    """Share of the rounding of values on a grid below which their scatter about a parabola is chance."""

    small: float = 2.0**-14
    """If all |x_i| are less than this, zeros are not moved by more than the others before their sizes are known."""

    unlike_rounding: float = 1e-14
    """Relative noise above which it is no mere rounding: g is asked again at x, for it may be random."""

    random: float = 6.0
    """Noise levels by which answers at one point must differ to be called random, or a drift."""

    drifting: float = 5.0
    """Times that the first two answers must differ more than later ones do, to be a drift and no chance."""

    next_to_zero: float = 2.0**-4
    """Share of its change across the steps below which a component of g is next to zero: its noise may be that of
    nothing."""

    of_nothing: float = 2.0**-5
    """Share of what the rounding of its arguments leaves in a component, up to which its noise is that of nothing."""

    most_noise: float = 1e-2
    """Relative noise taken for the choice of the first level, at most."""

    automatic: float = 16.0
    """Relative noise, in eps, up to which order "auto" comes to 6; above it to 4, whose steps are shorter in noise."""

    # ---- what a level shows

    clear: float = 20.0
    """Noise levels from which a residual is no noise."""

    visible: float = 3.0
    """Condition errors above which a component along the scanned direction counts."""

    hidden: float = 0.8
    """If the h^2 term is less than this share of the condition error it is noise: its own noise is a quarter of it."""

    noisy: float = 0.03
    """Relative condition error from which a column is mostly noise."""

    hidden_in_noise: float = 4.0
    """What `hidden` is in a column that is mostly noise: there the h^2 term must stand out by more."""

    following_one_sided: float = 2.5
    """Truncation error over (last correction x relative h term) where the nodes are on one side."""

    bent: float = 2 / 3
    """c_2 h^2 / H over the square of c_1 h / H: as for the exponential."""

    kink: float = 32.0
    """Times that differences may change more from one node to the next, for each node between: smooth ones change at
    most 16 times as much, those that cross a kink more."""

    # ---- where a column may go

    moves: MovePolicy = MOVES
    """How a search goes from level to level."""

    leap: int = 12
    """Levels that a search goes up at once, at most."""

    small_leap: int = 4
    """The same for a search that starts from short steps."""

    worth: float = 20.0
    """A column leaves the common level if a balanced level promises to divide its error by this."""

    verify: int = 6
    """Levels below the chosen one at which it is verified."""

    deeper: int = 3
    """Levels below that at which a failed verification is looked into."""

    farther: int = 7
    """Octaves by which a size must be less than those it is tried up to, to have a higher ceiling."""

    beyond_a_guess: float = 10.0
    """Levels above its size that a column which is not seen may go, where that size was guessed."""

    symmetric_by: int = 2
    """Levels that a symmetric stencil may be shorter than the common level before a one-sided one is better, whose
    weights are six times as noisy."""

    odd: float = 0.25
    """Share of the components that may fail the verification of the common level: a few odd coordinates have searches
    of their own."""

    far_from_reachable: float = 1e3
    """Times the reachable error from which a column that met a wall is tried by one-sided steps, on either side."""

    short_of_length: float = 0.06
    """Part by which differences at steps of a sixth of the natural length change to those twice as long."""

    # ---- certificate

    certificate: float = 32.0
    """Steps over those of the certificate."""

    unresolved: float = 1e-2
    """Share of |d|'|G| that the table of the noise, whose points are so close to x, cannot tell from G'd."""

    # ---- bars

    condition_bar: float = 4.1
    """Condition errors in an error bar."""

    truncation_bar: float = 3.9
    """Truncation errors in an error bar."""

    useless: float = 32.0
    """Times the error of a column that its mirror image may have to be averaged with it."""

    course: float = 0.5
    """Share of the truncation error along the scanned direction that a column is expected to have."""

    luck: float = 1e3
    """Times that a correction may be less than others let expect, by chance."""

    most_excess: float = 30.0
    """Times that the asymmetry of the pairs may raise the noise level, at most."""


POLICY = Policy()
"""How every public function searches columns."""

_LEAP = 5
"""Levels by which the search of a line moves at a loss."""

LINE_MOVES = MovePolicy(
    balanced=(-1.5, 1.5),
    alike=True,
    upwards=0.5,
    short=2.0**_LEAP,
    in_doubt=_LEAP,
    doubtful=1.0,
    blind=math.inf,
    off_walls=(-_LEAP, -_LEAP),
    most=7,
)
"""How a line goes from level to level: it begins near the balance that its first look has foretold, and each move costs
gradients at several levels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePolicy:
    """How the level of a line is foretold, corrected and confirmed; its level 0 is the unit of the line."""

    # ---- the first look

    shifts: int = 3
    """Times that it may go down."""

    clear: float = 8.0
    """Noise levels by which the values at the wide and the deep level must differ to disprove the wide one."""

    bent: float = 30.0
    """If the even part exceeds this many times the noise read from the odd part, it is the third derivative of f, and
    the level must go down."""

    invisible: float = 30.0
    """A difference below this many condition errors tells nothing of the curvature. (100, as along axes, leaves twice
    as many random gradients outside their bars.)"""

    rise: int = 6
    """Levels by which it goes up where a curvature is invisible."""

    highest: int = 20
    """Highest level ever visited."""

    lowest: int = -45
    """Lowest level ever visited."""

    same_jump: float = 0.1
    """Relative difference between the changes of a gradient over two steps, up to which they are the same jump."""

    early: float = 2.0
    """Levels below the predicted balance: a step too short costs 2 a level, one too long 4^(q + 1)."""

    # ---- corrections

    moves: MovePolicy = LINE_MOVES
    """How it goes from level to level."""

    few_digits: float = 1e-6
    """Relative condition error above which a truncation error lost in it is taken for none."""

    least: float = 2.0**-19
    """Share of the condition error that the truncation error is, at least: no less is seen."""

    convergence: float = 0.005
    """error(2q + 2) = change(q) * max(4 change(q) / change(q - 1), this), change(q) being that from order 2q to
    2q + 2; at most change(q)."""

    enough: float = 64.0 * EPS
    """Relative error at which nothing is left to gain."""

    rounds: int = 2
    """Values after which the best one is good enough, if it has"""

    some_digits: float = 1e-6
    """a relative error of no more than this."""

    confirm: int = 3
    """Levels down from the shorter of two values that contradict each other, where a third one is to confirm it."""

    as_noise: float = 0.25
    """Growth of contradictions, in units of that of the condition error, from which noise is behind them."""

    # ---- chance, and roughness

    suspect: float = 1e-12
    """Noise, in units of the gradient and its change over a unit of the line, from which chance is looked for."""

    random: float = POLICY.random
    """Noise levels by which two answers at one point must differ to be called random."""

    longest_random: int = -1
    """Level above which noise that is random says nothing any more: it grows with the distance, as random curvatures
    do."""

    short_of_length: float = 0.03
    """Part of a difference by which it changes from step to step, at most, where these are short."""

    # ---- bars

    condition_bar: float = 6.0
    """Condition errors in an error bar: of one number, where columns have many that tell their noise."""

    truncation_bar: float = 5.0
    """Truncation errors in an error bar."""


LINE = LinePolicy()
"""How every public function searches lines."""
