"""Dyadic ladder of one axis: the step at which truncation and condition error of its second derivative balance.

A rung k is the step h = 2^k u, u the power of two nearest to the coordinate's size. Halving and doubling keep every
value of f useful on the rungs beside, and x + h exact wherever x and h allow it. A search is a generator: it yields the
displacements at which it wants f, finds them in `Axis.values` when it runs on, and reads top to bottom.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hessfast.noise import EPS, NoiseModel
from hessfast.stencils import stencil

Request = Generator[list[float], None, None]

INVISIBLE = 100.0
"""A derivative below this many of its condition errors is not yet seen."""

VISIBLE = 3.0
"""Standard deviations above which a difference is not noise."""

DOUBTFUL = 5.0
"""Standard deviations up to which a look from the rung above is worth its two evaluations."""

BEYOND_DOUBT = 10.0
"""Standard deviations beyond which truncation shows beyond doubt, over all rungs of many axes."""

FEW_DIGITS = 1e-9
"""Relative condition error above which steps longer than |x| are worth trying."""

SMOOTH = 1e-13
"""Relative noise of f up to which nodes may lie seven octaves beyond |x|, else three: noise far from x is a guess.

Three as well for slopes, which vanish at every minimum, and at orders 1 and 2, where an axis along which f is quadratic
shows nothing of the truncation of its pairs.
"""

CRAMPED = 1e-6
"""Relative condition error above which steps next to zero are too short: worth a look far beyond, or to one side."""

LONGEST_LEAP = 6
"""Rungs skipped at most in one move."""

LOWEST = -48
"""No rung below this is tried: h would come near an ulp of x."""

VANISHING = 2.0**-400
"""|x_i| below which it counts as zero: h² would leave the range of float64."""


@dataclass(frozen=True, slots=True)
class Formula:
    """Second and first derivative along one axis from nodes x + t h, for scalars.

    Attributes
    ----------
    order : int
        p: the truncation error falls like h^p.
    nodes : tuple of int
        t, one-sided nodes positive (the step has the sign).
    curvature, slope : tuple of float
        Weights of the divided differences (f(x + t h) - f(x)) / (t h): those of the second derivative (times h), of
        the first. The first sum to zero, so that the gradient cancels to rounding.
    curvature_noise, slope_noise : float
        Standard deviation of h² D and of h G for white noise of unit level in f, f(x) included.
    product : float
        Leading error of h² D / 2 in units of the coefficient of t^(p+2) in f(x + t h).
    """

    order: int
    nodes: tuple[int, ...]
    curvature: tuple[float, ...]
    slope: tuple[float, ...]
    curvature_noise: float
    slope_noise: float
    product: float


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

    return Formula(
        order, of.axis_nodes, tuple(curvature.tolist()), tuple(slope.tolist()), noise(curvature), noise(slope), product
    )


@dataclass(slots=True)
class Axis:
    """One coordinate: where it may go, and the values of f seen along it.

    Attributes
    ----------
    index : int
        Number of the coordinate.
    x, unit, lower, upper : float
        Coordinate, unit of the ladder, bounds.
    noise : NoiseModel
        Noise of f.
    values : dict
        f by displacement as asked for (x + displacement is then rounded).
    ladder : Ladder or None
        The ladder whose best rung is the axis's step.
    """

    index: int
    x: float
    unit: float
    lower: float
    upper: float
    noise: NoiseModel
    values: dict[float, float] = field(default_factory=dict)
    ladder: Ladder | None = None

    def inside(self, displacement: float) -> bool:
        """Whether the rounded point lies in the box."""
        return self.lower <= self.x + displacement <= self.upper

    def second_difference(self, h: float) -> float:
        """Second divided difference of the known values at ±h."""
        up, down = (self.x + h) - self.x, (self.x - h) - self.x
        f0 = self.noise.f0
        return 2.0 * ((self.values[h] - f0) / up - (self.values[-h] - f0) / down) / (up - down)

    def variation(self) -> float:
        """Return the largest change of f from f(x) that was seen."""
        f0 = self.noise.f0
        return max((abs(value - f0) for value in self.values.values() if math.isfinite(value)), default=0.0)

    def inward(self) -> int:
        """Return the side with more room."""
        return 1 if self.upper - self.x >= self.x - self.lower else -1

    def ask(self, displacements: list[float]) -> Request:
        """Yield those displacements whose values are not known."""
        missing = [d for d in displacements if d not in self.values]
        if missing:
            yield missing


@dataclass(frozen=True, slots=True)
class Rung:
    """What one rung says: second derivative and slope, and the largest value of f in them."""

    step: float
    curvature: float
    slope: float
    largest: float


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
        self.derivative = derivative
        self.rungs: dict[int, Rung | None] = {}
        self.doubt: dict[int, float] = {}
        self.power = formula.order + (1 if side and derivative == 1 else 0)
        self.gain = 2.0**self.power - 1.0
        self._reach = min(formula.nodes), max(formula.nodes)
        reach = max(map(abs, formula.nodes)) * axis.unit
        size = abs(axis.x) if abs(axis.x) >= VANISHING else 1.0
        self._ranked: tuple[NoiseModel, int] | None = None
        self._noise = axis.noise
        self._conditions: dict[int, float] = {}
        self._truncations: dict[int, float] = {}
        self._best: int | None = None
        self._top: int | None = None
        self._caps = (math.floor(math.log2(size / reach)), math.floor(math.log2(max(size, 1.0) / reach)))

    def step(self, k: int) -> float:
        """Signed step of rung k."""
        h = math.ldexp(self.axis.unit, k)
        return -h if self.side < 0 else h

    def fits(self, k: int) -> bool:
        """Whether the nodes of rung k lie in the box and do not vanish against x."""
        h, (first, last) = self.step(k), self._reach  # rounding is monotonic: the outer nodes decide
        axis = self.axis
        return axis.inside(first * h) and axis.inside(last * h) and axis.x + h != axis.x != axis.x - h

    def see(self, k: int) -> Request:
        """Ask for the values of rung k that are not known."""
        if k not in self.rungs:
            self.rungs[k] = None
            if self.fits(k):
                h = self.step(k)
                yield from self.axis.ask([t * h for t in self.formula.nodes])
                self.rungs[k] = self._evaluate(h)
                self._ranked = None

    def _evaluate(self, h: float) -> Rung | None:
        """Apply the formula to the known values; None where one of them is not finite."""
        axis, formula = self.axis, self.formula
        x, f0, values = axis.x, axis.noise.f0, axis.values
        curvature = slope = 0.0
        largest = f0
        for t, c, s in zip(formula.nodes, formula.curvature, formula.slope, strict=True):
            value = values[t * h]
            difference = (value - f0) / ((x + t * h) - x)
            curvature += c * difference
            slope += s * difference
            if abs(value) > abs(largest):
                largest = value
        if not (math.isfinite(curvature) and math.isfinite(slope)):
            return None
        return Rung(h, curvature / h, slope, largest)

    def forget_above(self, k: int) -> None:
        """Take the rungs above k for never seen."""
        self.rungs = {rung: seen for rung, seen in self.rungs.items() if rung <= k}
        self._ranked = None

    def visit(self, k: int) -> Request:
        """Ask for rung k and the one above, which tells its truncation."""
        yield from self.see(k + 1)
        if self.rungs[k + 1] is not None:
            yield from self.see(k)

    def seen(self, k: int) -> bool:
        """Whether rung k has been visited and is of use."""
        return self.rungs.get(k) is not None and self.rungs.get(k + 1) is not None

    def __getitem__(self, k: int) -> Rung:
        rung = self.rungs[k]
        assert rung is not None
        return rung

    def value(self, k: int) -> float:
        """Return the derivative by rung k."""
        return self[k].slope if self.derivative == 1 else self[k].curvature

    def condition(self, k: int) -> float:
        """Condition part of the error of rung k: what the noise of f leaves in its derivative."""
        if self._noise is not self.axis.noise:
            self._noise, self._conditions = self.axis.noise, {}
        if (known := self._conditions.get(k)) is None:
            self._conditions[k] = known = self.condition_of(k, self.derivative)
        return known

    def condition_of(self, k: int, derivative: int) -> float:
        """Condition part of the error of either derivative."""
        rung = self[k]
        factor = self.formula.slope_noise if derivative == 1 else self.formula.curvature_noise
        return factor * self.axis.noise.at(rung.largest) / abs(rung.step) ** derivative

    def truncation(self, k: int) -> float:
        """Truncation part of the error of rung k: its change to the rung above, extrapolated."""
        if (known := self._truncations.get(k)) is None:
            self._truncations[k] = known = self.truncation_of(k, self.derivative)
        return known

    def truncation_of(self, k: int, derivative: int) -> float:
        """Truncation part of the error of either derivative; one-sided slopes are an order better."""
        here, above = self[k], self[k + 1]
        if derivative == 2:
            return abs(here.curvature - above.curvature) / (2.0**self.formula.order - 1.0)
        return abs(here.slope - above.slope) / (2.0 ** (self.formula.order + (1 if self.side else 0)) - 1.0)

    def hidden(self, k: int, deviations: float = VISIBLE) -> bool:
        """Whether the truncation of rung k is lost in the noise, as known to so many standard deviations."""
        return self.truncation(k) <= deviations * self.condition(k) / self.gain

    def truncation_at_least(self, k: int) -> float:
        """Truncation of rung k, not fooled by an accidental zero of its leading term.

        The leading term grows by 2^p a rung, the next one by 2^(p+2): rungs above and below bound it.
        """
        worst = self.truncation(k)
        if self.seen(k + 1) and not self.hidden(k + 1):
            worst = max(worst, self.truncation(k + 1) / (4.0 * (self.gain + 1.0)))
        if self.seen(k - 1) and not self.hidden(k - 1):
            worst = max(worst, self.truncation(k - 1) * (self.gain + 1.0) / 4.0)
        return worst

    def error(self, k: int) -> float:
        """Total error of rung k: condition part and weighted truncation part, or what a check has shown."""
        return max(self.condition(k) + self.weight * self.truncation_at_least(k), self.doubt.get(k, 0.0))

    def least(self) -> float:
        """Return the least error of any rung; inf where none is of use."""
        k = self.best()
        return math.inf if k is None else self.error(k)

    def fitting(self, k: int, lowest: int) -> int | None:
        """Return the highest rung from k down to lowest that lies in the box with the one above; None without one."""
        while k >= lowest and not self.fits(k + 1):
            k -= 1
        return k if k >= lowest else None

    def best(self) -> int | None:
        """Return the rung of least error; None where none is of use."""
        self._rank()
        return self._best

    def settle(self, k: int) -> Request:
        """Visit rung k, go down from walls and from visible truncation, and stay at the rung of least error.

        Truncation T grows like h^p, condition N falls like h^-d for the d-th derivative: the rung below is better
        where T (1 - 2^-p) > (2^d - 1) N.
        """
        yield from self.visit(k)
        while not self.seen(k) and k > LOWEST:
            k -= 2
            yield from self.visit(k)
        visited = {k}
        while self.seen(k) and (leap := self._too_long(k)) and k - leap not in visited and k - leap >= LOWEST:
            k -= leap
            visited.add(k)
            yield from self.visit(k)

    def _too_long(self, k: int) -> int:
        """Rungs by which k lies above the balance, as N ~ h^-d and T ~ h^p say."""
        truncation, condition = self.weight * self.truncation(k), self.condition(k)
        if truncation <= (2.0**self.derivative - 1.0) * condition or self.hidden(k):
            return 0
        excess = truncation / condition if condition > EPS * truncation else 1.0 / EPS
        leap = math.log2(excess * self.power / self.derivative) / (self.power + self.derivative)
        return max(1, min(LONGEST_LEAP, round(leap)))

    def rise(self, rungs: int) -> Request:
        """Go up by so many rungs from the highest one seen, half as many where a wall is met, and settle."""
        k = self.top()
        while rungs > 0 and not self.fits(k + rungs + 1):
            rungs -= 1
        while rungs > 0:
            yield from self.visit(k + rungs)
            if self.seen(k + rungs):
                yield from self.settle(k + rungs)
                return
            rungs //= 2

    def top(self) -> int:
        """Return the highest rung of use; there is one."""
        self._rank()
        assert self._top is not None
        return self._top

    def _rank(self) -> None:
        """Rank the rungs anew where one was added or doubted, or the noise is better known."""
        noise, doubts = self.axis.noise, len(self.doubt)
        if self._ranked is None or self._ranked[0] is not noise or self._ranked[1] != doubts:
            useful = [k for k in self.rungs if self.seen(k)]
            self._best = min(useful, key=self.error, default=None)
            self._top = max(useful, default=None)
            self._ranked = noise, doubts

    def cap(self, k: int) -> int:
        """Return the highest rung to try, seen from rung k: nodes within |x|, or farther while D has few digits yet."""
        if self.condition(k) <= FEW_DIGITS * abs(self.value(k)):
            return self._caps[0]
        noise = self.axis.noise
        trusted = self.derivative == 2 and self.formula.order >= 4 and noise.level <= SMOOTH * abs(noise.f0)
        return self._caps[1] + (7 if trusted and self._bends(k) else 3)

    def _bends(self, k: int) -> bool:
        """Whether f is seen to curve along the axis: else what its pairs see on a longer step cannot be guessed."""
        rung = self[k]
        return abs(rung.curvature) * rung.step * rung.step > INVISIBLE * self.axis.noise.level

    def head_room(self) -> int:
        """Rungs by which a coordinate of size 1 lies above this one, whose |x| says little where it is less."""
        return max(0, -round(math.log2(self.axis.unit)))

    def far(self) -> int:
        """Return the rung whose nodes lie within |x|."""
        return self._caps[0]

    def confined(self) -> bool:
        """Whether the box, or a wall, holds a symmetric ladder at steps too short to see its derivative well."""
        if self.side or self.best() is None:
            return False
        k = self.top()
        held = not self.fits(k + 2) or self.rungs.get(k + 2, 0) is None
        return held and self.hidden(k) and self.condition(k) > CRAMPED * abs(self.value(k))

    def has_few_digits(self) -> bool:
        """Whether noise leaves few digits of the derivative by the highest rung."""
        k = self.top()
        return self.condition(k) > CRAMPED * abs(self.value(k))

    def shows(self, deviations: float) -> bool:
        """Whether the truncation of the highest rung stands out of its noise by so many standard deviations."""
        k = self.top()
        return self.truncation(k) > deviations * self.condition(k) / self.gain

    def may_rise(self) -> int:
        """Rungs to go up: 0 where truncation shows, h is at the cap or D at full precision; 4 at most.

        T is known to N / (2^p - 1) only. While the derivative itself is noise, the way up is estimated from that.
        """
        if self.best() is None:
            return 0
        k = self.top()
        condition = self.condition(k)
        value = abs(self.value(k))
        cap = self.cap(k)
        if k >= cap or condition <= 4.0 * EPS * value or not self.hidden(k, DOUBTFUL) or not self.fits(k + 2):
            return 0
        if self.rungs.get(k + 2, 0) is None:
            return 0
        wanted = INVISIBLE * condition
        if value > wanted:
            return 1
        visible = 10.0 * wanted  # never divided by the value, which may vanish against it
        far = 4 if visible >= value * 16.0**self.derivative else math.ceil(math.log2(visible / value) / self.derivative)
        return max(1, min(4, far, cap - k))

    def regular(self) -> bool:
        """Whether two neighbouring rungs, the best one of them, show truncation that grows like h^p."""
        k = self.best()
        if k is None:
            return False
        low = k if self.seen(k + 1) else k - 1
        if not self.seen(low) or self.hidden(low + 1, BEYOND_DOUBT):
            return False
        expected, doubt = self.truncation(low + 1) / (self.gain + 1.0), VISIBLE * self.condition(low) / self.gain
        return 0.25 * expected - doubt <= self.truncation(low) <= 4.0 * expected + doubt

    def change(self) -> tuple[float, float, int]:
        """Size of the quadratic term, and of all of f's change, over one step of the best rung; that rung."""
        k = self.best()
        assert k is not None
        rung = self[k]
        quadratic = abs(rung.curvature) * rung.step * rung.step
        return quadratic, abs(rung.slope * rung.step) + 0.5 * quadratic, k
