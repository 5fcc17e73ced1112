"""What decides in the searches from values: the constants and switches that a bench may change, in one place.

A `Policy` is handed to the search, so that a bench can put another in its place: `bench/ablation.py` switches the rules
off one by one and prints what each is worth. Standard deviations are those of the noise as it is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from hessfast.resolution import from_order_on
from hessfast.scale import EPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How steps are searched, noise is measured and bars are made; all lengths in rungs, of a factor 2 each."""

    phases: tuple[str, ...] = (
        "glance",
        "pilots",
        "others",
        "leave",
        "stairs",
        "verify",
        "unalias",
        "pool",
        "below",
        "stairs",
        "away",
    )
    """What the axis phase does, in turn: the functions of `hessfast.values.search.PHASES`."""

    # ---- noise

    spacings: tuple[float, ...] = (2.0**-41, 2.0**-27, 2.0**-20, 2.0**-13, 2.0**-6)
    """Spacings of a difference table, relative to each coordinate: the next where half of the first differences vanish.
    One spacing alone knows nothing of f in float32, or on a large offset."""

    coarse: float = 32.0 * EPS
    """Share of |f| up to which steps of f are those of float64, after some roundings."""

    swamped: float = 16.0
    """|f - f(x)| over |f(x)| from which the noise at x says nothing about the noise there."""

    little: float = 0.1
    """Noise measured away from x is believed only below this share of the change of f."""

    outgrown: float = 3.0
    """If f changes by more than this factor of |f(x)| over the chosen steps, the noise is measured once more there."""

    farther: float = 64.0
    """Times the change at the first look away from which f has changed so much that the noise is looked at again."""

    proportional: float = 0.5
    """Share of the ratio of two values of f that the ratio of their noises must be where noise follows the value."""

    beyond_growth: float = 3.0
    """Noise over that which grows like the square root of the change, above which it follows the value of f instead."""

    pooled_from: int = 4
    """Axes whose residuals together are worth as much as the difference table, with its six degrees of freedom."""

    evident: float = 3.0
    """Standard deviations of the pooled residuals beyond which all axes choose again in the noise that they show."""

    raised: float = 3.0
    """Times that a staircase along an axis must exceed the noise as it is known, to be believed."""

    # ---- what a rung shows

    visible: float = 3.0
    """Standard deviations above which a difference is not noise."""

    doubtful: float = 5.0
    """Truncation below this many standard deviations may still be noise: two evaluations go on the next rung."""

    beyond_doubt: float = 10.0
    """Standard deviations beyond which truncation shows beyond doubt, even as the largest over many axes."""

    invisible: float = 100.0
    """A derivative below this many of its condition errors is not yet seen."""

    roundings: float = 16.0
    """Change of a derivative, in units of eps of it, that is its own rounding."""

    doubts_zeros: bool = True
    """Whether the rungs beside one bound its truncation, which may vanish by accident."""

    jump_alike: float = 0.1
    """Share of the jump of a slope by which it may differ from rung to rung to be that of a kink."""

    refuted: float = 6.0
    """Errors of a shorter step by which a longer one must differ to be refuted."""

    sure: float = 1e-3
    """Relative error up to which a rung is sure of itself."""

    rounding_level: float = 64.0
    """Noise in units of eps times the size of f up to which it counts as rounding."""

    # ---- where an axis may go

    pair_weight: float = 2.0
    """Weight of an axis's truncation error for each pair of orders: 2 at order 2, 4 at order 4. Along the diagonal of a
    pair's box f moves by both steps at once."""

    longest_leap: int = 6
    """Rungs skipped at most in one move down."""

    few_digits: float = 1e-9
    """If noise leaves more than this relative condition error, steps longer than |x| are worth trying."""

    beyond: tuple[int, int] = (7, 3)
    """Rungs beyond the size of a coordinate that its steps may go: the first for second derivatives at order 4 and up,
    of an f of noise `smooth` at most that is seen to bend along the axis; else the second. Noise far from x is a guess,
    slopes vanish at every minimum, and at orders 1 and 2 an axis along which f is quadratic shows nothing of the
    truncation of its pairs."""

    smooth: float = 1e-13
    """Relative noise of f up to which nodes may lie the first of these beyond |x|."""

    cramped: float = 1e-6
    """Relative condition error above which steps allowed by |x| are judged too short: longer or one-sided ones are
    then tried."""

    full_precision: float = 4.0 * EPS
    """Relative condition error down to which a longer step is of no use."""

    narrow: int = 3
    """Rungs that bounds may push a symmetric formula below its default before the one-sided one is better."""

    turns_aside: bool = True
    """Whether one-sided formulas are tried where a symmetric one has no room, or meets a wall."""

    # ---- all axes together

    pilots: int = 5
    """Axes searched first where there are at least twice as many; the others start near where these end."""

    likely: int = 4
    """Truncation that shows to `visible` standard deviations counts where one axis in so many has some."""

    leashed: bool = True
    """Whether axes that show no truncation stop at steps that change f as much as those of the others do.

    A pair sees truncation that neither axis does: f(a, b) = a g(b) has none along a, but a long step in a multiplies
    b's truncation error in the pair."""

    slight: float = 2.0**-6
    """If noise leaves it few digits, an axis with |x_i| << 1 may lengthen its step until f changes by this share of
    |f(x)|: up to there cancellation costs no digits."""

    patience: int = 2
    """Rounds of small rises after which an axis without truncation goes up to |x| at once: most likely f is a
    polynomial there."""

    # ---- checks below the rungs chosen

    verify_depth: int = 6
    """Rungs below the chosen one where its second derivative is checked."""

    few: int = 6
    """Of fewer axes only those are verified whose truncation has not been seen to grow as it should."""

    disproved: float = 20.0
    """Noise levels by which the check must fail before the rung is given up."""

    restart: int = 5
    """Rungs below a disproved one where its axis is searched again."""

    incredible: float = 1000.0
    """A residual this many noise levels high, and at least `all_of_it` of the largest change seen along the axis, is
    taken for aliasing by steps of many periods, not for noise."""

    all_of_it: float = 0.01
    """That share of the change."""

    fallen: float = 0.03
    """Share of an aliased residual below which the second difference is that of one period."""

    descents: int = 4
    """Descents from aliased steps at most: one may end early, where a second difference happens to be small."""

    # ---- pairs one by one

    shows: float = 20.0
    """A pair is refined where its truncation error exceeds this many condition errors."""

    better: float = 3.0
    """Condition errors by which the value must change for smaller steps to be called better."""

    turns: int = 4
    """Rounds of refinement at most."""

    halvings: int = 6
    """Halvings of the steps in one round at most."""

    # ---- lines

    line_weight: float = 0.1
    """Weight of truncation against condition error along a line, whose value is extrapolated to the next order."""

    early: float = 0.5
    """Rungs below the foretold balance at which a line settles: a step too short costs less than one too long."""

    clear: float = 8.0
    """Standard deviations by which second differences far apart must differ to tell a length of f between them."""

    random: float = 6.0
    """Noise levels by which two answers at one point must differ to be called random."""

    answers: float = 64.0
    """Roundings of f by which two answers at x must differ for its nodes to be asked again."""

    rounding_bar: float = 16.0
    """Noise levels in the bar where a step was given: the noise is then not measured but taken as rounding."""

    # ---- bars

    factors: Mapping[int, tuple[float, float]] = field(
        default_factory=lambda: MappingProxyType({1: (3.5, 5.0), 2: (3.5, 3.0), 4: (2.3, 1.8)})
    )
    """From an order on, for pairs: condition errors (standard deviations) and estimated truncation errors in an error
    bar. Below order 4 the pair has too few coefficients to estimate its truncation from."""

    axis_factors: tuple[float, float] = (4.0, 3.0)
    """The same for derivatives along the axes."""

    rounding_factor: float = 4.0
    """Roundings of the result itself, eps each."""

    longest_length: float = 4.0
    """Natural length, in units of |x|, of an axis that shows no truncation at steps near |x|."""

    long_step: tuple[float, float] = (1.0 / 4.0, 1.0 / 16.0)
    """In units of the size of a coordinate: a step above which no truncation seen along it promises none in its pairs.
    The second at orders up to `poor`."""

    poor: int = 1
    """Highest order at which a pair has too few coefficients to tell how they fall: what is small may be so by
    symmetry."""

    unseen: float = 6.0
    """Truncation errors that pairs may not show, in an error bar."""

    faint: float = 0.1
    """Share of the noise of f up to which what its rounded coordinates leave in it is not looked at, pair by pair."""

    def weight_at(self, order: int) -> float:
        """Return the weight of truncation against condition error for pairs."""
        return self.pair_weight ** (order // 2)

    def factors_at(self, order: int) -> tuple[float, float]:
        """Return the factors of a pair's error parts in its bar."""
        return from_order_on(self.factors, order)


POLICY = Policy()
"""The policy of every public function."""

LINE_POLICY = Policy(
    phases=(
        "noise",
        "again",
        "settle",
        "climb",
        "stairs",
        "verify",
        "unalias",
        "climb",
        "pool",
        "below",
        "stairs",
        "climb",
        "away",
    ),
    full_precision=1e-12,
    patience=64,
)
"""The policy along lines: a line is not worth the evaluations that go on the last digits of an axis of many, and its
length is known from the start; it never goes far at once."""
