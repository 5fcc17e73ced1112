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
    real,
    rough,
    statistics,
)
from problems.states.routes import EXACT, GROUPS, OPTIONAL, ROUTES, judge
from problems.states.state import State, draw

__all__ = ["EXACT", "GROUPS", "OPTIONAL", "ROUTES", "State", "draw", "judge"]
