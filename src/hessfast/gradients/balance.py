"""The level of a central difference at which its truncation and condition errors balance, with an error bar.

The search predicts and corrects:

1. A deep level shows a first value with hardly any truncation error, a wide one the h² term. Where the wide level lies
   beyond the natural length of the function, so that the two disagree, both go down.
2. The h² term against the value is (h / L)²; with the noise it predicts the level at which the truncation error of
   order 2q balances the condition error.
3. q + 1 levels there give the value, of order 2q + 2, and its error; while the two parts are far apart the level is
   corrected, by as much as their ratio says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Generic

import numpy as np

from hessfast.algebra import vectors
from hessfast.calls.points import Search
from hessfast.gradients.levels import Climb, Errors
from hessfast.gradients.line import Differences, Floats, T, extension, richardson
from hessfast.gradients.policy import LINE
from hessfast.gradients.ripples import FAR, FARTHEST, Foretold, Sight, asks_for_look, foretell, look_far, plateau
from hessfast.scale import EPS, TINY


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """What a search found.

    Attributes
    ----------
    value
        Extrapolated difference.
    error : float
        Bar on the size of its error; inf where no level was of use.
    level : int
        Smallest level in it.
    random : bool
        f or its gradient answers differently each time, by more than its noise.
    turned : float
        Part of the bar that the rounding of x itself leaves: nothing more can be known of the value.
    """

    value: T
    error: float
    level: int
    random: bool = False
    turned: float = 0.0


def is_known(error: float, size: float, tenth: float, turned: float) -> bool:
    """Whether an error bar is a tenth of the value, or what the rounding of x leaves of it."""
    return error - turned <= max(tenth * size, turned)


@dataclass(frozen=True, slots=True)
class Balance:
    """What sets the level: truncation and condition part, as seen from the first look.

    Attributes
    ----------
    length : float
        Level, in binary digits, of the natural length: the h² term is as large as the value there.
    noise : float
        Binary logarithm of condition error over value at that level; it grows like 1 / h.
    """

    length: float
    noise: float

    def level(self, order: int, top: int = 0) -> int:
        """Return the level at which an error h^order and the condition error balance, at most top."""
        return round(min(max(self.length + self.noise / (order + 1) - LINE.early, LINE.lowest), top))


def search_from(differences: Differences[T], order: int, look: Look, balance: Balance | None) -> Search[Found[T]]:
    """Find the level of a central difference of that order after a first look; return the value of order + 2 there."""
    q = order // 2
    level = look.top - q if look.blocked else look.wide
    if balance is not None:
        level = balance.level(order + 2, look.top - q)
    if level == look.wide + 1:
        level = look.wide
    elif level == look.wide - q - 1:
        level += 1
    found = yield from _corrected(differences, q, level, look)
    turned = differences.turned()
    error = found.error + turned + differences.astray(found.value, found.level)
    return replace(found, error=error, turned=turned)


@dataclass(frozen=True, slots=True)
class Look:
    """The levels of the first look, the noise seen there, the highest level that may be used, and whether by a wall.

    Where a gradient jumps at x itself, `jump` is the difference quotient of that; none of any step is known to less.
    """

    wide: int
    deep: int
    noise: float
    top: int
    blocked: bool
    jump: float = 0.0


def first_look(differences: Differences[T]) -> Search[tuple[Look, Balance | None]]:
    """Go down until the wide level lies within the natural length; None where that is not known."""
    wide, deep, size = differences.wide, differences.deep, differences.size
    for shift in range(LINE.shifts + 1):
        noise, bend = yield from differences.look(wide, deep)
        if shift == 0 and size(differences.D[wide]) == size(differences.D[deep]) == 0.0:
            noise, bend, wide, deep = yield from _nothing_moved(differences)
        gap = differences.distance(differences.D[wide], differences.D[deep])
        unseen = differences.condition(deep, 1, noise)
        clear = gap > 0.1 * size(differences.D[deep]) and gap > LINE.clear * unseen
        settled = math.isfinite(gap) and not clear and bend <= LINE.bent * noise
        jumps = _jumps(differences, wide, deep)
        if shift == LINE.shifts or (settled and not jumps):
            break
        wide, deep = wide - differences.wide_shift, deep - differences.deep_shift
    noise, deep_size = max(noise, bend), size(differences.D[deep])
    if size(differences.D[wide]) <= LINE.invisible * differences.condition(wide, 1, noise):
        beneath = yield from _beneath(differences, wide, deep)
        if beneath is not None:
            noise, bend, wide, deep = beneath
            noise, deep_size = max(noise, bend), size(differences.D[deep])
            gap = differences.distance(differences.D[wide], differences.D[deep])
    unseen = differences.condition(deep, 1, noise)
    raised, blocked = yield from _raised(differences, wide, noise)
    top = raised if blocked else 0 if raised == wide else max(0, raised + 2)
    look = Look(raised, deep, noise, top, blocked, deep_size if jumps else 0.0)
    wide = raised
    value = max(size(differences.D[wide]), deep_size - 4.0 * unseen, TINY)
    change = max(gap, 0.25 * unseen) / value
    known = 0.0 < change < math.inf and 0.0 < noise / value < math.inf and unseen < 0.1 * value
    if not known:
        return look, None
    length = wide - 0.5 * math.log2(change)
    at_length = math.log2(look.noise / value) - (math.log2(differences.unit) + length)
    return look, Balance(length, at_length)


def _jumps(differences: Differences[T], wide: int, deep: int) -> bool:
    """Whether a gradient changes by as much over a deep step as over a wide one: that is a wall, and not noise."""
    long, short = differences.step(wide), differences.step(deep)
    change = short * differences.size(differences.D[deep])
    ratio = short / long
    return 0.0 < change < math.inf and long * differences.apart(wide, deep, ratio) < LINE.same_jump * change


def _beneath(differences: Differences[T], wide: int, deep: int) -> Search[tuple[float, float, int, int] | None]:
    """Look far below levels at which a gradient shows no curvature; return that look where it is seen there.

    Around a peak that is narrow for the size of its place, gradients vanish wherever the levels above reach.
    """
    low_wide, low_deep = wide - LINE.shifts * differences.wide_shift, deep - LINE.shifts * differences.deep_shift
    if low_deep < LINE.lowest or wide < differences.wide:
        return None
    differences.narrow(wide, 1)
    above = differences.D
    noise, bend = yield from differences.look(low_wide, low_deep)
    size = min(differences.size(differences.D[low_wide]), differences.size(differences.D[low_deep]))
    if size > LINE.invisible * differences.condition(low_deep, 1, max(noise, bend)):
        return noise, bend, low_wide, low_deep
    differences.D = above
    return None


def _nothing_moved(differences: Differences[T]) -> Search[tuple[float, float, int, int]]:
    """Look at the lowest levels where f was the same at all others: the natural length may be far below these.

    The levels stay as they were where it is the same there too.
    """
    wide, deep = differences.wide, differences.deep
    low_wide, low_deep = wide - LINE.shifts * differences.wide_shift, deep - LINE.shifts * differences.deep_shift
    noise, bend = yield from differences.look(low_wide, low_deep)
    if differences.size(differences.D[low_wide]) == differences.size(differences.D[low_deep]) == 0.0:
        differences.D = dict.fromkeys((wide, deep), differences.D[low_wide])
        return noise, bend, wide, deep
    return noise, bend, low_wide, low_deep


def _raised(differences: Differences[T], wide: int, noise: float) -> Search[tuple[int, bool]]:
    """Go up from the wide level while the curvature there is invisible; return it, and whether a wall ended that.

    A wider level must not contradict what is seen below it.
    """
    rise, blocked = LINE.rise, False
    while rise and wide + rise <= LINE.highest:
        unseen = differences.condition(wide, 1, noise)
        if differences.size(differences.D[wide]) > LINE.invisible * unseen:
            break
        yield from differences.see((wide + rise,))
        above, allowed = differences.D[wide + rise], LINE.clear * unseen + differences.size(differences.D[wide])
        if differences.distance(above, differences.D[wide]) <= allowed:
            wide += rise
        else:
            blocked = True
            rise //= 2
    return wide, blocked


def _corrected(differences: Differences[T], q: int, level: int, look: Look) -> Search[Found[T]]:
    """Evaluate q + 1 levels; move while truncation and condition part are far apart; return the best seen.

    Two values that contradict each other are both wrong by as much, until a third one, at still shorter steps, agrees
    with the shorter: a kink or a wall within the longer steps is more likely than noise beyond its measure.
    """
    best: Found[T] | None = None
    refuted: tuple[Found[T], float, int] | None = None  # by a value at shorter steps, by how much, and at which level
    own = best_size = math.inf  # error of the best value, but for contradictions, and its size
    climb = Climb(
        2 * q + 2,
        level,
        look.top - q,
        LINE.lowest,
        LINE.highest - look.top,
        moves=LINE.moves,
        attainable=LINE.few_digits / LINE.moves.short,
    )
    going = True
    while going:
        level = climb.level
        differences.narrow(level, q + 1)
        yield from differences.see(range(level, level + q + 1))
        value = differences.combine(level, richardson(q + 1))
        condition, truncation, doubt = _parts(differences, q, level, look, value)
        size = differences.size(value)
        error = LINE.condition_bar * condition + LINE.truncation_bar * truncation + doubt + 4.0 * EPS * size + look.jump
        finite = math.isfinite(error)
        error = error if finite else math.inf
        doubted = not finite or doubt > LINE.condition_bar * condition + LINE.truncation_bar * truncation
        contradicted = False
        if doubted:
            climb.refuse(level)
        if best is None:
            best, own = Found(value, error, level), error
        elif (apart := differences.distance(value, best.value)) > own + error:
            contradicted = True
            climb.refuse(max(level, best.level))
            if level < best.level:
                if refuted is not None and _grows(differences, refuted[1], apart, refuted[2] - level):
                    noise = refuted[1] * 2.0 ** (refuted[2] - refuted[0].level)
                    best = replace(refuted[0], error=refuted[0].error + LINE.condition_bar * noise)
                    break
                refuted = (best, apart, level) if refuted is None else refuted
                best, own = Found(value, max(error, apart), level), error
            else:
                best = Found(best.value, max(best.error, apart), best.level)
        elif best.error > own and level < best.level:
            best = Found(best.value, own + apart, best.level)  # confirmed
        elif level > best.level and apart > own:
            climb.refuse(level)
        if error < best.error and not contradicted:
            best, own = Found(value, error, level), error
        if best.level == level:
            best_size = size
        del value
        climb.best = best.level
        climb.tried.add(level)
        some_digits = best.error < LINE.some_digits * min(size, best_size)
        if best.error > own:
            going = climb.turn_to(best.level - LINE.confirm)
        elif finite and (error <= LINE.enough * size or (len(climb.tried) >= LINE.rounds and some_digits)):
            break
        else:
            size = max(size, TINY)
            truncation = max(truncation, condition * LINE.least)
            going = climb.go(Errors(condition / size, truncation / size, hidden=False, finite=not doubted, size=size))
    assert best is not None
    return best


def _grows(differences: Differences[T], earlier: float, later: float, levels: int) -> bool:
    """Whether contradictions grow towards short steps as noise does: what is refuted is then its measure."""
    return later > LINE.as_noise * earlier * 2.0**levels


def without_chance(differences: Differences[T], q: int, look: Look, found: Found[T], spread: float) -> Search[Found[T]]:
    """Take chance into account: where `spread`, the size of the difference of two answers at one point, is not nothing.

    The levels of the value found are seen a second time: their mean is taken, and what differs is the noise there.
    """
    random = spread > LINE.random * look.noise
    levels = range(found.level, found.level + q + 1)
    missing = [level for level in levels if level not in differences.D]
    differences.narrow(found.level, q + 1)
    yield from differences.see(missing)
    seen = []
    for level in levels:
        seen.append((yield from differences.repeat(level)))
    noise = max(look.noise, spread / math.sqrt(2.0), math.hypot(*seen) / math.sqrt(len(seen)))
    value = differences.combine(found.level, richardson(q + 1))
    condition = differences.condition(found.level, q + 1, noise)
    condition *= 2.0 ** max(0, found.level - LINE.longest_random)
    error = max(found.error, LINE.condition_bar * condition + LINE.truncation_bar * change(differences, found.level, q))
    return Found(value, error if math.isfinite(error) else math.inf, found.level, random)


def is_suspect(differences: Differences[T], noise: float, value: T) -> bool:
    """Whether noise is so much larger than rounding that chance may be in it: only repetition shows that."""
    size = differences.size(value) * differences.unit
    return noise > LINE.suspect * max(differences.floor / differences.rounding, size)


def roughness(differences: Differences[T], look: Look, found: Found[T]) -> Search[tuple[float, float]]:
    """Look at g over long steps on the line where short ones give reason to.

    Returns
    -------
    off, vague : float
        How far what is found there lies from the value, and how well it is known; both 0 where g is smooth.
    """
    if not math.isfinite(found.error) or found.random:
        return 0.0, 0.0
    seen = differences.curvatures(found.level)
    if found.level not in seen:
        return 0.0, 0.0
    here = seen[found.level]
    short = [k for k in sorted(seen) if abs(seen[k] - here) <= LINE.short_of_length * abs(here)]
    length = vectors.norm(differences.v, differences.lines.threads) if isinstance(found.value, np.ndarray) else 1.0
    noise = length * look.noise

    def foretold_at(far: float) -> Foretold:
        """The longest of the steps say most, if they do not contradict."""
        for stop in range(len(short), 1, -1):
            levels = short[:1] + short[1:stop][-2:]
            steps, near = [differences.step(level) for level in levels], [seen[level] for level in levels]
            foretold = foretell(np.array(steps), np.array(near), far, noise)
            if foretold.further is not None:
                break
        return foretold

    if len(short) < 2 or not asks_for_look(foretold_at(FAR * differences.unit)):
        return 0.0, 0.0
    least, _ = differences.lines.lengths(differences.v)
    unit = min(differences.unit, least, min(differences.lines.room(differences.v)) / FARTHEST)
    foretold = foretold_at(FAR * unit)
    if 4.0 * differences.step(found.level) > FAR * unit or not asks_for_look(foretold):
        return 0.0, 0.0

    def difference(t: float) -> Search[Floats]:
        return differences.far(t * unit, found.value)

    far = yield from difference(FAR)
    value, bend, further, spread = (None if part is None else np.array([part]) for part in foretold)
    assert value is not None
    assert bend is not None
    assert spread is not None
    if look_far(value, bend, far[:1], spread, further) is not Sight.SUSPECT:
        return 0.0, 0.0
    first = np.zeros(far.size)
    first[0] = 1.0  # vᵀ of a difference is its first component
    curvature = differences.curvature(found.value)
    settled = yield from plateau(difference, first, curvature, length * found.error, noise / unit, in_doubt=True)
    if settled is None:
        return 0.0, 0.0
    return float(np.linalg.norm(settled.value[1:])), float(np.linalg.norm(settled.error[1:]))


def _parts(differences: Differences[T], q: int, level: int, look: Look, value: T) -> tuple[float, float, float]:
    """Return condition part, truncation part, and what the deep level says against the value beyond both."""
    deep, noise = look.deep, look.noise
    truncation = change(differences, level, q)
    if q > 1 and level + q <= 0:  # above that, steps are longer than x itself and no convergence is taken for granted
        earlier = change(differences, level, q - 1)
        if earlier > 0.0:
            truncation *= max(min(1.0, 4.0 * truncation / earlier), LINE.convergence)
    doubt = 0.0
    residual = differences.residual(deep, level, value) if deep < level else None
    if residual is not None:
        spread = differences.condition(deep, 1, noise) / noise if noise > 0.0 else math.inf
        if 0.0 < spread < math.inf:
            residual /= spread
            doubt = max(0.0, residual - 6.0 * noise) * spread
            noise = max(noise, min(residual, 4.0 * noise))
    return differences.condition(level, q + 1, noise), truncation, doubt


def change(differences: Differences[T], level: int, q: int) -> float:
    """Size of the extrapolation over q + 1 levels minus that over q."""
    return differences.combined_size(level, extension(q))
