"""Where users stand: states drawn by group and seed, and the judgement of what a route answers there.

`draw(group, seed)` gives one state, `judge(route, state)` the verdict on one route there; `bench/states.py` counts.
"""

from problems.states import (  # noqa: F401  (each registers its states)
    atoms,
    chance,
    edges,
    optima,
    origin,
    peaks,
    proportions,
    rough,
)
from problems.states.routes import GROUPS, ROUTES, judge, routes_of
from problems.states.state import State, draw

__all__ = ["GROUPS", "ROUTES", "State", "draw", "judge", "routes_of"]
