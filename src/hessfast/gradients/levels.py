"""One search by levels: at which of the dyadic steps the two errors of an expensive difference balance.

At each level h = 2^k u what is sought has a condition error N, noise over h, and a truncation error T, read from the
term in h that the extrapolation removed. Both relative to its size; they balance at

    h* = h (N / (p T))^(1/(p+1)),   p the order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hessfast.gradients.norms import MOST


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePolicy:
    """The numbers that decide where a search goes next: levels, unless they say otherwise."""

    balanced: tuple[float, float] = (-0.6, 1.25)
    """Moves that are not worth it. Above the balance the error grows like h^p, below it like 1/h."""

    upwards: float = 0.4
    """What is added to a move before it is rounded down: half a level too high is already too much."""

    farthest: float = 12.0
    """A move at most; up by so much where nothing is seen but noise."""

    unseen: float = 0.1
    """Relative condition error above which a truncation error that is hidden in it tells nothing."""

    hidden: float = 2.0
    """Up at least by so much where the truncation error is hidden in the condition error."""

    short: float = 50.0
    """Times that the condition error must exceed what a balanced level attains, to be worth longer steps."""

    in_doubt: float = 3.0
    """Where it does, and truncation may be noise: up to what attains it, by so much at most."""

    enough: float = 0.0
    """Times that it may exceed that where the truncation error is hidden, for the search to end there."""

    doubtful: float = 4.0
    """Condition errors up to which the truncation error may be noise."""

    blind: float = 1.0
    """Relative condition error from which nothing was seen: that is no miss, and above the ceiling leaps grow."""

    off_walls: tuple[float, float] = (-2.0, -6.0)
    """Away from a level that is not finite, at first and from the fourth level on."""

    alike: bool = False
    """Whether a level is balanced where both errors are alike, and not where their sum is least: p times apart."""

    misses: int = 2
    """Levels tried for nothing before a search ends."""

    most: int = 16
    """Levels tried at most."""


MOVES = MovePolicy()


@dataclass(frozen=True, slots=True)
class Errors:
    """Both errors of what is sought relative to its size, as one level has them.

    Attributes
    ----------
    condition, truncation : float
    hidden : bool
        What is seen of the truncation error is only noise.
    finite : bool
        There is a value at all.
    size : float
    """

    condition: float
    truncation: float
    hidden: bool
    finite: bool = True
    size: float = 1.0

    @property
    def total(self) -> float:
        """Their sum, infinite where there is none."""
        return self.condition + self.truncation if self.finite else np.inf

    @property
    def absolute(self) -> float:
        """The same in units of what is sought: what is zero in truth has no relative error."""
        return self.total * self.size if self.finite else np.inf

    def move(self, order: int, moves: MovePolicy = MOVES) -> float:
        """Levels from here to the balance; up by a guess where the truncation error cannot be seen."""
        if self.hidden and self.condition > moves.unseen:
            return moves.farthest
        levels = self._balance(order, 1 if moves.alike else order)
        return float(np.clip(max(levels, moves.hidden) if self.hidden else levels, -moves.farthest, moves.farthest))

    def gain(self, order: int) -> float:
        """Error here over the error at the balance."""
        if not (self.truncation > 0 and self.condition > 0):
            return np.inf
        h = 2.0 ** self._balance(order, order)
        return float(self.total / (self.condition / h + self.truncation * h**order))

    def _balance(self, order: int, apart: int) -> float:
        return (_log2(self.condition) - _log2(apart * self.truncation)) / (order + 1)


def _log2(a: float) -> float:
    """Logarithm of a, within the range of float64."""
    return float(np.log2(np.fmin(np.fmax(a, 1 / MOST), MOST)))


@dataclass(slots=True, eq=False)
class Climb:
    """Where the search by levels of one thing stands.

    Attributes
    ----------
    order : int
        p, of the truncation error.
    level, ceiling : int
        Present level, and the highest one allowed.
    lowest : int
        Level below which points round back to x.
    beyond : int
        Levels that it may go above its ceiling while nothing is seen.
    leap : int
        Levels that it goes up at once, at most.
    moves : MovePolicy
    attainable : float
        Relative error of a balanced level, in an ordinary function; infinite where that is not asked for.
    tried : set of int
    best : int or None
        Level of the least error so far.
    error, relative : float
        That error, and its share of what is sought.
    misses : int
        Levels that were no better than those before.
    walled : bool
        Whether a level was not finite.
    wall : float
        Lowest level known to be of no use.
    """

    order: int
    level: int
    ceiling: int
    lowest: int = -2000
    beyond: int = 0
    leap: int = 12
    moves: MovePolicy = MOVES
    attainable: float = np.inf
    tried: set[int] = field(default_factory=set)
    best: int | None = None
    error: float = np.inf
    relative: float = np.inf
    misses: int = 0
    walled: bool = False
    wall: float = np.inf

    def again(self, level: int, ceiling: int) -> Climb:
        """Return a search anew from that level, which knows of walls alone."""
        return Climb(
            self.order, level, ceiling, self.lowest, 0, self.leap, self.moves, self.attainable, walled=self.walled
        )

    def advance(self, errors: Errors) -> bool:
        """Take the errors of the present level and go to the next one; False where the search ends."""
        if errors.finite and errors.absolute < self.error:
            self.error, self.relative, self.best = errors.absolute, errors.total, self.level
        elif errors.finite and errors.condition < self.moves.blind:
            self.misses += 1
        return self.go(errors)

    def go(self, errors: Errors) -> bool:
        """Go to where these errors of the present level lead; False where they lead nowhere else.

        Where the condition error is far above what is attainable, a truncation error no larger may be noise, and up is
        tried, above the ceiling too. What shows nothing yet is no miss.
        """
        moves = self.moves
        is_short = errors.finite and errors.condition > moves.short * self.attainable
        self.tried.add(self.level)
        if not errors.finite:
            self.refuse(self.level)
            move = moves.off_walls[len(self.tried) > 3]
        else:
            if self.misses > moves.misses or (errors.hidden and errors.condition < moves.enough * self.attainable):
                return False
            move = errors.move(self.order, moves)
            if is_short and errors.truncation < moves.doubtful * errors.condition:
                move = max(move, min(moves.in_doubt, _log2(errors.condition / self.attainable)))
            if moves.balanced[0] <= move <= moves.balanced[1]:
                return self.turn_to(self._off_wall(self.level))
        if errors.finite and errors.condition >= moves.blind and self.level >= self.ceiling:  # far from any size
            move, self.leap = float(self.leap), 2 * self.leap
        wanted = self.level + min(int(np.floor(move + moves.upwards)), self.leap)
        wanted = min(wanted, self.ceiling + (self.beyond if is_short else 0))
        while wanted in self.tried and self.best is None:
            wanted -= 1
        return self.turn_to(self._off_wall(max(wanted, min(self.lowest, self.ceiling))))

    def refuse(self, level: int) -> None:
        """Know a level, and all above it, for useless."""
        self.walled = True
        self.wall = min(self.wall, level)

    def _off_wall(self, level: int) -> int:
        """Return the level, or half the way from the best one to a wall that keeps it from going there."""
        if self.best is None or self.wall <= self.best:
            return level
        is_back = level in self.tried and self.wall == max(self.tried)
        return int(self.best + self.wall) // 2 if level >= self.wall or is_back else level

    def turn_to(self, level: int) -> bool:
        """Go to a level; False where it was seen, or there is none."""
        self.level = level
        is_new = level not in self.tried and level >= min(self.lowest, self.ceiling)
        return is_new and len(self.tried) < self.moves.most
