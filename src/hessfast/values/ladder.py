# cython: annotation_typing=False
"""Dyadic ladder of one axis: the step at which truncation and condition error of its second derivative balance.

Rung k is the step h = 2^k u, u the power of two nearest to the coordinate's size. Halving and doubling keep every
value of f useful on the rungs beside, and x + h exact wherever x and h allow it. A search is a generator: it yields the
displacements at which it wants f, finds them in `Axis.values` when it runs on, and reads top to bottom.

This module is compiled as it stands, with the types that ladder.pxd names.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hessfast.calls.points import Nodes, Search
from hessfast.scale import EPS
from hessfast.values.noise import ROUNDING, NoiseModel
from hessfast.values.policy import POLICY, Policy
from hessfast.values.stencils import stencil

Array = NDArray[np.float64]
Request = Generator[list[float], None, None]
Visit = Generator[list[float], None, "Rung | None"]

STAIR = 1.0 / math.sqrt(12.0)
"""Standard deviation of a rounding error, in units of the step of a staircase. One that swallows a change of D h²/2 has
steps of D h² at least."""

LOWEST = -48
"""No rung below this is tried: h would come near an ulp of x."""


@dataclass(frozen=True, slots=True)
class Formula:
    """Second and first derivative along one axis from nodes x + t h, for scalars.

    Attributes
    ----------
    order : int
        p: the truncation error falls like h^p.
    nodes : tuple of int
        t, one-sided nodes positive (the step has the sign).
    terms : tuple of (int, float, float)
        Each node t with the weights of the divided difference (f(x + t h) - f(x)) / (t h) in the second derivative
        (times h) and in the first. The former sum to zero, so that the gradient cancels to rounding.
    curvature_noise, slope_noise : float
        Standard deviation of h² D and of h G for white noise of unit level in f, f(x) included.
    product : float
        Leading error of h² D / 2 in units of the coefficient of t^(p+2) in f(x + t h).
    first, last, reach : int
        The outer nodes, and the larger of their sizes.
    """

    order: int
    nodes: tuple[int, ...]
    terms: tuple[tuple[int, float, float], ...]
    curvature_noise: float
    slope_noise: float
    product: float
    first: int
    last: int
    reach: int


@cache
def formula(order: int, is_one_sided: bool) -> Formula:
    """Return the scalar form of a stencil's axis formulas."""
    of = stencil(order, is_one_sided)
    t = np.array(of.axis_nodes, dtype=np.float64)
    product = float(np.prod(np.abs(t)))
    if of.one_sided:
        slope, curvature = of.gradient_weights, 2.0 * of.diagonal_weights
        product *= float(np.sum(1.0 / t))  # slope at 0 of (t - t_1) .. (t - t_m+1)
    else:
        slope = 0.5 * np.repeat(of.gradient_weights, 2)
        curvature = np.repeat(of.diagonal_weights, 2) / t

    def noise(weights: NDArray[np.float64]) -> float:
        each = weights / t
        return math.sqrt(float(each @ each) + float(each.sum()) ** 2)

    nodes = of.axis_nodes
    terms = tuple(zip(nodes, curvature.tolist(), slope.tolist(), strict=True))
    first, last = min(nodes), max(nodes)
    return Formula(order, nodes, terms, noise(curvature), noise(slope), product, first, last, max(-first, last))


class Axis:
    """One coordinate: where it may go, and the values of f seen along it.

    Attributes
    ----------
    index : int
        Number of the coordinate.
    x, size, unit, lower, upper : float
        Coordinate, its size, the power of two nearest to that (the unit of the ladder), bounds.
    noise : NoiseModel
        Noise of f along the axis.
    stair : float
        Least noise along this axis, 0.0 where none has shown.
    farthest : float
        Size up to which steps longer than its own are tried where noise leaves few digits.
    rounded : float
        Of which points along it are rounded: |x|.
    policy : Policy
        How it is searched.
    values : dict
        f by displacement as asked for (x + displacement is then rounded).
    ladder : Ladder or None
        The ladder whose best rung is the axis's step.
    """

    def __init__(
        self,
        index: int,
        x: float,
        size: float,
        unit: float,
        lower: float,
        upper: float,
        noise: NoiseModel,
        policy: Policy = POLICY,
    ) -> None:
        self.index, self.x, self.size, self.unit = index, x, size, unit
        self.lower, self.upper, self.noise, self.policy = lower, upper, noise, policy
        self.values: dict[float, float] = {}
        self.ladder: Ladder | None = None
        self.stair = 0.0
        self.farthest = 1.0
        self.rounded = abs(x)

    def anew(self, noise: NoiseModel) -> Axis:
        """Return the same axis with what was seen along it, to be searched again in another noise.

        It does not go farther than half the size of the coordinate: that far the noise has been looked at.
        """
        lower, upper = max(self.lower, self.x - 0.5 * self.size), min(self.upper, self.x + 0.5 * self.size)
        axis = Axis(self.index, self.x, self.size, self.unit, lower, upper, noise, self.policy)
        axis.values = dict(self.values)
        axis.farthest, axis.rounded = self.farthest, self.rounded
        return axis

    def know(self, noise: NoiseModel) -> None:
        """Take another noise for that of f; along this axis it is at least that of its own staircase."""
        self.noise = noise if noise.level >= self.stair else replace(noise, level=self.stair)
        if self.ladder is not None:
            self.ladder.reassess()

    def inside(self, displacement: float) -> bool:
        """Whether the rounded point lies in the box."""
        return self.lower <= self.x + displacement <= self.upper

    def second_difference(self, h: float) -> float:
        """Second divided difference of the known values at ±h."""
        up, down = (self.x + h) - self.x, (self.x - h) - self.x
        f0 = self.noise.f0
        return 2.0 * ((self.values[h] - f0) / up - (self.values[-h] - f0) / down) / (up - down)

    def noise_at(self, value: float, slope: float) -> float:
        """Return the noise of f where it has a value, and so much more slope along the axis than at x.

        No f is known better than its arguments, to slope * x eps/4. That is part of the noise as it was measured at x,
        but for where f(x) is a square of residuals next to nothing.
        """
        known: float = self.noise.at(value)
        if abs(value - self.noise.f0) <= self.policy.swamped * abs(self.noise.f0):
            return known
        return max(known, ROUNDING * abs(self.rounded * slope))

    def variation(self) -> float:
        """Return the largest change of f from f(x) that was seen."""
        f0 = self.noise.f0
        return max((abs(value - f0) for value in self.values.values() if math.isfinite(value)), default=0.0)

    def inward(self) -> int:
        """Return the side with more room."""
        return 1 if self.upper - self.x >= self.x - self.lower else -1

    def unknown(self, displacements: list[float]) -> list[float]:
        """Return those displacements whose values are not known."""
        return [d for d in displacements if d not in self.values]

    def ask(self, displacements: list[float]) -> Request:
        """Yield those displacements whose values are not known."""
        if missing := self.unknown(displacements):
            yield missing


class Rung:
    """What one rung says.

    A rung is of use when the one above it, which tells its truncation, is known too; its errors are set then.

    Attributes
    ----------
    k : int
        Its number.
    step : float
        Signed step.
    curvature, slope, value : float
        Second derivative, first derivative, and the one of them that the steps are for.
    largest : float
        Largest value of f in them.
    moved : bool
        Whether any of its values differs from f(x).
    above, below : Rung or None
        The neighbours, where they are known.
    condition : float
        Condition part of the error of the value: what the noise of f leaves in it.
    truncation : float
        Truncation part: the change to the rung above, extrapolated.
    error : float
        Total error.
    doubt : float
        What a check has shown the error to be at least.
    jump : float
        Jump of the slope at x, where f has a kink there.
    """

    def __init__(
        self, k: int, step: float, curvature: float, slope: float, value: float, largest: float, moved: bool
    ) -> None:
        self.k, self.step, self.value, self.largest, self.moved = k, step, value, largest, moved
        self.curvature, self.slope = curvature, slope
        self.above: Rung | None = None
        self.below: Rung | None = None
        self.condition = self.truncation = self.error = math.nan
        self.doubt = self.jump = 0.0


def _rungs_within(distance: float, unit: float, formula: Formula) -> int:
    """Return the highest rung whose nodes lie within a distance; their reach itself may overflow."""
    return math.floor(math.log2(distance / unit / formula.reach))


class Ladder:
    """Rungs of one axis for one formula, each evaluated at most once.

    Parameters
    ----------
    axis : Axis
    derivative : {1, 2}
        Which derivative the steps are for.
    formula : Formula
    side : int
        0 for the symmetric formula, else the direction (±1) of the one-sided one.
    weight : float
        Weight of truncation against condition error: pairs have more of the former than the axis shows.
    """

    def __init__(self, axis: Axis, derivative: int, formula: Formula, side: int, weight: float) -> None:
        self.axis, self.formula, self.side, self.weight = axis, formula, side, weight
        self.policy = axis.policy
        self.derivative = derivative
        self.rungs: dict[int, Rung | None] = {}
        self.power = formula.order + (1 if side and derivative == 1 else 0)
        self.gain = 2.0**self.power - 1.0
        self._unit = -axis.unit if side < 0 else axis.unit
        self._ranked = True
        self._best: Rung | None = None
        self._top: Rung | None = None
        size = axis.size
        farthest = max(size, axis.farthest)
        self._caps = _rungs_within(size, axis.unit, formula), _rungs_within(farthest, axis.unit, formula)

    def step(self, k: int) -> float:
        """Signed step of rung k."""
        return math.ldexp(self._unit, k)

    def fits(self, k: int) -> bool:
        """Whether the nodes of rung k lie in the box and do not vanish against x."""
        h, axis, formula = self.step(k), self.axis, self.formula  # rounding is monotonic: the outer nodes decide
        x = axis.x
        return axis.inside(formula.first * h) and axis.inside(formula.last * h) and x + h != x != x - h

    def visit(self, k: int) -> Visit:
        """Ask for rung k and the one above; return rung k where it is of use."""
        for number in (k + 1, k):
            if number not in self.rungs:
                self.rungs[number] = None
                if self.fits(number):
                    h = self.step(number)
                    if missing := self.axis.unknown([t * h for t in self.formula.nodes]):
                        yield missing
                    self._add(number, h)
            rung = self.rungs[number]
            if rung is None:
                return None
        return rung

    def _add(self, k: int, h: float) -> None:
        """Apply the formula to the known values; leave the rung out where one of them is not finite."""
        axis = self.axis
        x, f0, values = axis.x, axis.noise.f0, axis.values
        curvature = slope = 0.0
        largest = f0
        moved = False
        for t, c, s in self.formula.terms:
            displacement = t * h
            value = values[displacement]
            difference = (value - f0) / ((x + displacement) - x)
            curvature += c * difference
            slope += s * difference
            moved = moved or value != f0
            if abs(value) > abs(largest):
                largest = value
        if not (math.isfinite(curvature) and math.isfinite(slope)):
            return
        curvature /= h
        rung = Rung(k, h, curvature, slope, slope if self.derivative == 1 else curvature, largest, moved)
        self.rungs[k] = rung
        self._ranked = False
        for lower, upper in ((rung, self.rungs.get(k + 1)), (self.rungs.get(k - 1), rung)):
            if lower is not None and upper is not None:
                lower.above, upper.below = upper, lower
                lower.condition = self.condition_of(lower, self.derivative)
                lower.truncation = self.truncation_of(lower, self.derivative)

    def forget_above(self, k: int) -> None:
        """Take the rungs above k for never seen."""
        self.rungs = {number: rung for number, rung in self.rungs.items() if number <= k}
        if (rung := self.rungs.get(k)) is not None:
            rung.above = None
        self._ranked = False

    def reassess(self) -> None:
        """Let the noise of the axis, which is better known now, tell the condition errors."""
        for rung in self.rungs.values():
            if rung is not None and rung.above is not None:
                rung.condition = self.condition_of(rung, self.derivative)
        self._ranked = False

    def disprove(self, rung: Rung, error: float) -> None:
        """Take the error of a rung, as a check has shown, for at least so large."""
        rung.doubt = error
        self._ranked = False

    def condition_of(self, rung: Rung, derivative: int) -> float:
        """Condition part of the error of either derivative."""
        factor = self.formula.slope_noise if derivative == 1 else self.formula.curvature_noise
        h = abs(rung.step)
        error: float = factor * self.axis.noise_at(rung.largest, rung.curvature * h) / h
        return error if derivative == 1 else error / h

    def truncation_of(self, rung: Rung, derivative: int) -> float:
        """Truncation part of the error of either derivative; one-sided slopes are an order better.

        Symmetric slopes see the odd part of f alone, which may vanish: the step must not pass the natural length that
        the even part shows either. Its change counts in units of its noise, as that of the slope does.
        """
        above, formula = rung.above, self.formula
        assert above is not None
        gain = 2.0**formula.order - 1.0
        even = abs(rung.curvature - above.curvature)
        if derivative == 2:
            return even / gain
        odd = abs(rung.slope - above.slope)
        if self.side:
            return odd / (2.0 * gain + 1.0)
        return max(odd, even * abs(rung.step) * formula.slope_noise / formula.curvature_noise) / gain

    def hidden(self, rung: Rung, deviations: float) -> bool:
        """Whether the truncation of a rung is lost in noise, as known to so many standard deviations, or rounding."""
        rounding = self.policy.roundings * EPS * abs(rung.value)
        return rung.truncation <= max(deviations * rung.condition / self.gain, rounding)

    def truncation_at_least(self, rung: Rung) -> float:
        """Truncation of a rung, not fooled by an accidental zero of its leading term.

        The leading term grows by 2^p a rung, the next one by 2^(p+2): rungs above and below bound it.
        """
        worst, above, below = rung.truncation, rung.above, rung.below
        visible = self.policy.visible
        if not self.policy.doubts_zeros:
            return worst
        if above is not None and above.above is not None and not self.hidden(above, visible):
            worst = max(worst, above.truncation / (4.0 * (self.gain + 1.0)))
        if below is not None and not self.hidden(below, visible):
            worst = max(worst, below.truncation * (self.gain + 1.0) / 4.0)
        return worst

    def best(self) -> Rung | None:
        """Return the rung of least error; None where none is of use."""
        if not self._ranked:
            self._rank()
        return self._best

    def top(self) -> Rung:
        """Return the highest rung of use; there is one."""
        if not self._ranked:
            self._rank()
        assert self._top is not None
        return self._top

    def _rank(self) -> None:
        """Rank the rungs by condition part and weighted truncation part, or what a check has shown.

        Where f moves on some rung, those on which it stands still see nothing of it: a difference of equal values is
        no measurement. Where truncation was seen to grow as it should, longer steps have no less of it: f may repeat
        itself on them. Next to an edge of its domain f may have a length far below all steps, where longer ones agree
        with each other ever better: there a shorter rung refutes one that differs by many times its error.
        """
        self._ranked = True
        self._best = self._top = None
        self._find_kink()
        short: Rung | None = None
        grown = 0.0
        for k in sorted(self.rungs):
            rung = self.rungs[k]
            if rung is None or rung.above is None:
                continue
            truncation = max(self.truncation_at_least(rung), grown)
            rung.error = max(rung.condition + self.weight * truncation, rung.doubt)
            if self.side:
                if short is not None:
                    rung.error = max(rung.error, abs(rung.value - short.value) - self.policy.refuted * short.error)
                if rung.moved and (short is None or rung.error < short.error):
                    short = rung
            elif self._grows(rung):
                grown = max(grown, rung.above.truncation)
            if rung.jump > 0.0:
                rung.error = max(rung.error, rung.jump if self.derivative == 1 else rung.jump / abs(rung.step))
            if self._best is None or (not rung.moved, rung.error) < (not self._best.moved, self._best.error):
                self._best = rung
            self._top = rung

    def _find_kink(self) -> None:
        """Tell each rung the jump of the slope at x."""
        jump = 0.0
        for k in sorted(self.rungs, reverse=True):
            rung = self.rungs[k]
            if rung is not None:
                rung.jump = jump = self._over_kink(rung, jump)

    def _over_kink(self, rung: Rung, known: float) -> float:
        """Return the jump of the slope at x, 0.0 where none shows: there it is the second difference times h, anywhere.

        Where noise hides the second difference, it is what is `known` from the next longer step.
        """
        jump, above = rung.curvature * rung.step, rung.above
        if self.side:
            return 0.0
        if above is None or abs(rung.curvature) < self.policy.invisible * self.condition_of(rung, 2):
            return known
        alike = self.policy.jump_alike * abs(jump)
        if abs(above.curvature * above.step - jump) > alike:
            return 0.0
        nearest: Rung | None = None
        for other in self.rungs.values():
            if other is None or other is rung or other is above:
                continue
            if nearest is None or abs(other.k - rung.k) < abs(nearest.k - rung.k):
                nearest = other
        if nearest is None or abs(nearest.curvature * nearest.step - jump) > alike:
            return 0.0
        return abs(jump)

    def stair(self) -> float:
        """Return the noise that f has at least, since it stands still on steps over which its curvature moves it."""
        best = self.best()
        if best is None or self.derivative == 1:
            return 0.0
        still = [rung.k for rung in self.rungs.values() if rung is not None and not rung.moved and rung.k < best.k]
        if not still:
            return 0.0
        reach = self.formula.reach * self.step(max(still))
        return STAIR * abs(best.curvature) * reach * reach

    def rounding(self) -> float:
        """Return the noise by which the best rung contradicts one above it that was sure of itself; 0.0 without.

        Where one term of f vanishes by rounding and another does not, f moves smoothly on steps on which the former
        stands still, and no table sees its steps. They are rounding only where they are that small against the change
        of f over its natural length, D L² with T = D (h/L)^p; else f has two lengths, of which the shorter one counts.
        """
        best = self.best()
        if best is None:
            return 0.0
        known = [rung for _, rung in sorted(self.rungs.items()) if rung is not None and rung.k >= best.k]
        for rung in known[1:]:
            if rung.above is None:
                continue
            error, curvature = self._error_of_curvature(rung), abs(rung.curvature)
            apart = abs(rung.curvature - best.curvature)
            if error > self.policy.sure * curvature or apart <= self.policy.refuted * (
                error + self._error_of_curvature(best)
            ):
                continue
            below = [abs(low.curvature - rung.curvature) * low.step**2 for low in known if low.k < rung.k]
            level: float = max(below) / self.formula.curvature_noise
            bend = max(self.truncation_of(rung, 2) / curvature, EPS)
            change = curvature * rung.step**2 * bend ** (-2.0 / self.formula.order)
            if level <= self.policy.rounding_level * EPS * change:
                return level
        return 0.0

    def _error_of_curvature(self, rung: Rung) -> float:
        return self.condition_of(rung, 2) + self.weight * self.truncation_of(rung, 2)

    def least(self) -> float:
        """Return the least error of any rung; inf where none is of use."""
        rung = self.best()
        return math.inf if rung is None else rung.error

    def fitting(self, k: int, lowest: int) -> int | None:
        """Return the highest rung from k down to lowest that lies in the box with the one above; None without one."""
        while k >= lowest and not self.fits(k + 1):
            k -= 1
        return k if k >= lowest else None

    def settle(self, k: int) -> Request:
        """Visit rung k, go down from walls and from visible truncation, and stay at the rung of least error.

        Truncation T grows like h^p, condition N falls like h^-d for the d-th derivative: the rung below is better
        where T (1 - 2^-p) > (2^d - 1) N.
        """
        rung = yield from self.visit(k)
        while rung is None and k > LOWEST:
            k -= 2
            rung = yield from self.visit(k)
        visited = {k}
        while rung is not None and (leap := self._too_long(rung)) and k - leap not in visited and k - leap >= LOWEST:
            k -= leap
            visited.add(k)
            rung = yield from self.visit(k)

    def _too_long(self, rung: Rung) -> int:
        """Rungs by which one lies above the balance, as N ~ h^-d and T ~ h^p say."""
        truncation, condition = self.weight * rung.truncation, rung.condition
        if truncation <= (2.0**self.derivative - 1.0) * condition or self.hidden(rung, self.policy.visible):
            return 0
        excess = truncation / condition if condition > EPS * truncation else 1.0 / EPS
        leap = math.log2(excess * self.power / self.derivative) / (self.power + self.derivative)
        return max(1, min(self.policy.longest_leap, round(leap)))

    def rise(self, rungs: int) -> Request:
        """Go up by so many rungs from the highest one seen, half as many where a wall is met, and settle."""
        k = self.top().k
        while rungs > 0 and not self.fits(k + rungs + 1):
            rungs -= 1
        while rungs > 0:
            if (yield from self.visit(k + rungs)) is not None:
                yield from self.settle(k + rungs)
                return
            rungs //= 2

    def _cap(self, rung: Rung) -> int:
        """Return the highest rung to try, seen from one: nodes within |x|, or farther while D has few digits yet."""
        if rung.condition <= self.policy.few_digits * abs(rung.value):
            return self._caps[0]
        noise = self.axis.noise
        trusted = self.derivative == 2 and self.formula.order >= 4 and noise.level <= self.policy.smooth * abs(noise.f0)
        far, near = self.policy.beyond
        return self._caps[1] + (far if trusted and self._bends(rung) else near)

    def _bends(self, rung: Rung) -> bool:
        """Whether f is seen to curve along the axis: else what its pairs see on a longer step cannot be guessed."""
        return abs(rung.curvature) * rung.step * rung.step > self.policy.invisible * self.axis.noise.level

    def head_room(self) -> int:
        """Rungs by which larger coordinates lie above this one, whose |x| says little where it is less."""
        return max(0, round(math.log2(self.axis.farthest / self.axis.unit)))

    def far(self) -> int:
        """Return the rung whose nodes lie within |x|."""
        return self._caps[0]

    def _held(self, k: int) -> bool:
        """Whether the box, or a wall, lies below the rung k."""
        return not self.fits(k) or (k in self.rungs and self.rungs[k] is None)

    def confined(self) -> bool:
        """Whether the box, or a wall, holds a symmetric ladder at steps too short to see its derivative well."""
        if self.side or self.best() is None:
            return False
        rung = self.top()
        return self._held(rung.k + 2) and self.hidden(rung, self.policy.visible) and self.has_few_digits()

    def has_few_digits(self) -> bool:
        """Whether noise leaves few digits of the derivative by the highest rung."""
        rung = self.top()
        return rung.condition > self.policy.cramped * abs(rung.value)

    def shows(self, deviations: float) -> bool:
        """Whether the truncation of the highest rung stands out of its noise by so many standard deviations."""
        return not self.hidden(self.top(), deviations)

    def may_rise(self) -> int:
        """Rungs to go up: 0 where truncation shows, h is at the cap or D at full precision; 4 at most.

        T is known to N / (2^p - 1) only. While the derivative itself is noise, the way up is estimated from that.
        """
        if self.best() is None:
            return 0
        rung = self.top()
        policy = self.policy
        k, condition, value, cap = rung.k, rung.condition, abs(rung.value), self._cap(rung)
        if k >= cap or condition <= policy.full_precision * value:
            return 0
        if not self.hidden(rung, policy.doubtful) or self._held(k + 2):
            return 0
        wanted = policy.invisible * condition
        if value > wanted:
            return 1
        visible = 10.0 * wanted  # never divided by the value, which may vanish against it
        far = 4 if visible >= value * 16.0**self.derivative else math.ceil(math.log2(visible / value) / self.derivative)
        within = self._caps[0] - k  # what lies beyond |x| is asked only once its steps up to |x| have been seen
        return max(1, min(4, far, within if within > 0 else cap - k))

    def regular(self) -> bool:
        """Whether two neighbouring rungs, the best one of them, show truncation that grows like h^p."""
        rung = self.best()
        if rung is None or rung.above is None:
            return False
        low = rung if rung.above.above is not None else rung.below
        return low is not None and self._grows(low)

    def _grows(self, low: Rung) -> bool:
        """Whether truncation shows on the rung above one, and is as much less on the one below it as h^p says."""
        if low.above is None or low.above.above is None or self.hidden(low.above, self.policy.beyond_doubt):
            return False
        expected, doubt = low.above.truncation / (self.gain + 1.0), self.policy.visible * low.condition / self.gain
        return 0.25 * expected - doubt <= low.truncation <= 4.0 * expected + doubt

    def bend(self) -> float:
        """Return one over the natural length that truncation shows on longer steps; 0.0 where none shows.

        T is D (h/L)^p, or D (h/L)^(p+1) where the leading term vanishes by symmetry: where T falls faster towards the
        best rung than h^p.
        """
        best = self.best()
        if best is None:
            return 0.0
        order, most = self.formula.order, 0.0
        seen = 4.0 * max(self.truncation_of(best, 2), self.policy.visible * self.condition_of(best, 2))
        for rung in self.rungs.values():
            if rung is None or rung.above is None or rung.k < best.k or self.hidden(rung, self.policy.beyond_doubt):
                continue
            truncation, curvature = self.truncation_of(rung, 2), abs(rung.curvature)
            power = order if math.ldexp(truncation, (best.k - rung.k) * order) <= seen else order + 1
            share = truncation / curvature if truncation < curvature else 1.0
            most = max(most, share ** (1.0 / power) / abs(rung.step))
        return most

    def change(self) -> tuple[float, float, int]:
        """Size of the quadratic term, and of all of f's change, over one step of the best rung; its number."""
        rung = self.best()
        assert rung is not None
        quadratic = abs(rung.curvature) * rung.step * rung.step
        return quadratic, abs(rung.slope * rung.step) + 0.5 * quadratic, rung.k


def advance(axes: Iterable[Axis], requests: Iterable[Request]) -> Search[None]:
    """Run the requests of many axes side by side, one batch of points a round."""
    live = list(zip(axes, requests, strict=True))
    while live:
        waiting, askers, coordinates, nodes, asked = [], [], [], [], []
        for axis, request in live:
            displacements = next(request, None)
            if displacements is not None:
                waiting.append((axis, request))
                askers += [axis] * len(displacements)
                coordinates += [axis.index] * len(displacements)
                nodes += [axis.x + d for d in displacements]
                asked += displacements
        if asked:
            values = yield Nodes(np.array(coordinates, dtype=np.int32), np.array(nodes)[:, None])
            for axis, displacement, found in zip(askers, asked, values[:, 0].tolist(), strict=True):
                axis.values[displacement] = found
        live = waiting


def values_along(axes: Sequence[Axis], displacements: Array) -> Search[Array]:
    """Return f at displacements (rows, m), one axis a row; evaluated where not known, nan outside the box."""
    rows = displacements.tolist()
    asks = [axis.ask([d for d in row if axis.inside(d)]) for axis, row in zip(axes, rows, strict=True)]
    yield from advance(axes, asks)
    known = [[axis.values.get(d, math.nan) for d in row] for axis, row in zip(axes, rows, strict=True)]
    return np.array(known).reshape(displacements.shape)
