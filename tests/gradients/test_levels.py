"""The search by levels on errors made by hand: condition N 2^-k, truncation T 2^(pk)."""

import math

import pytest

from hessfast.complexsteps.policy import MOVES as AT_COMPLEX_POINTS
from hessfast.gradients.levels import MOVES, Climb, Errors
from hessfast.gradients.policy import LINE_MOVES


def climbed(climb, condition, truncation, *, hidden_below=0.8, broken_from=math.inf):
    """Run a search on an error law; return the levels it asked for."""
    visited, going = [], True
    while going:
        visited.append(climb.level)
        N, T = condition * 2.0**-climb.level, truncation * 2.0 ** (climb.order * climb.level)
        finite = climb.level < broken_from
        going = climb.advance(Errors(N, T, hidden_below * N > T, finite) if finite else Errors(1.0, 1.0, False, False))
    return visited


@pytest.mark.parametrize("moves", [MOVES, AT_COMPLEX_POINTS], ids=["columns", "complex points"])
@pytest.mark.parametrize("order", [2, 4, 6])
@pytest.mark.parametrize("start", [-30, -12, -5])
def test_the_best_level_is_within_a_level_and_a_quarter_of_the_balance(order, start, moves):
    climb = Climb(order, start, 0, moves=moves, attainable=1e-16 ** (order / (order + 1)))
    visited = climbed(climb, 1e-16, 1.0)
    balance = math.log2(1e-16 / order) / (order + 1)
    assert balance - 1.75 <= climb.best <= balance + 1.1
    assert len(visited) <= 6


def test_a_level_that_is_not_finite_becomes_a_wall():
    climb = Climb(4, -2, 0)
    visited = climbed(climb, 1e-6, 1e-12, broken_from=-3)
    assert climb.walled
    assert visited[0] == -2
    assert climb.best < -3
    assert climb.wall == -3
    assert max(visited[1:]) < -2


def test_a_search_that_finds_a_wall_everywhere_ends_without_a_level():
    climb = Climb(4, -2, 0)
    visited = climbed(climb, 1e-6, 1e-12, broken_from=-math.inf)
    assert climb.best is None
    assert climb.walled
    assert len(visited) == len(set(visited)) <= MOVES.most


def test_what_shows_no_truncation_goes_up_to_its_ceiling():
    climb = Climb(4, -12, -1, attainable=1e-13)
    climbed(climb, 1e-10, 0.0)
    assert climb.best == -1


def test_where_noise_is_rounding_a_hidden_truncation_error_ends_the_search_at_what_is_attainable():
    climb = Climb(4, -12, 20, moves=AT_COMPLEX_POINTS, attainable=1e-13)
    climbed(climb, 1e-15, 0.0)
    assert 1e-15 * 2.0**-climb.best < 2e-13
    assert climb.best < 20


def test_above_its_ceiling_a_search_goes_only_as_long_as_nothing_is_seen():
    seen, unseen = (Climb(4, -8, -1, beyond=9, attainable=1e-13) for _ in range(2))
    climbed(seen, 1e-15, 0.0)
    climbed(unseen, 1e3, 0.0)
    assert seen.best == -1
    assert -1 < unseen.best <= -1 + 9


def test_a_search_anew_knows_of_walls_alone():
    climb = Climb(4, -2, 0, beyond=3, attainable=1e-13)
    climbed(climb, 1e-6, 1e-12, broken_from=-3)
    again = climb.again(-9, -4)
    assert (again.level, again.ceiling, again.walled, again.best, again.beyond) == (-9, -4, True, None, 0)
    assert not again.tried


def test_a_line_goes_half_the_way_from_its_best_level_to_a_wall():
    climb = Climb(6, -12, 0, moves=LINE_MOVES, attainable=3e-8)
    climb.best = -12
    climb.refuse(-8)
    assert climb.go(Errors(1e-3, 1e-9, False))  # up by five, were it not for the wall at four
    assert climb.level == -10
    assert climb.ceiling == 0


def test_a_line_near_its_balance_ends():
    climb = Climb(6, -8, 0, moves=LINE_MOVES, attainable=3e-8)
    climb.best = -8
    assert not climb.go(Errors(1e-12, 1e-14, False))
    assert not climb.turn_to(-8)
