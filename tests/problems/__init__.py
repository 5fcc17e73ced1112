"""Functions with exact Hessians, by kind: what the accuracy of hessfast is judged on.

Put `tests` and `examples` on the path, then `from problems import problems`.
"""

from functools import cache

from problems import (  # noqa: F401  (each module registers its problems)
    degenerate,
    dense,
    domains,
    likelihoods,
    molecules,
    noise,
    regression,
    scales,
    squares,
)
from problems.problem import Problem, draw, names

KINDS = (
    "squares",
    "regression",
    "model_distance",
    "likelihood",
    "molecule",
    "dense",
    "scales",
    "origin",
    "huge_x",
    "frequency",
    "domain",
    "degenerate",
    "offset",
    "noise",
)


@cache
def problems(kind: str | None = None) -> tuple[Problem, ...]:
    """Return every problem, or those of one kind, in a fixed order."""
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, was {kind!r}")
    return tuple(draw(name) for name in names(kind))


__all__ = ["KINDS", "Problem", "draw", "names", "problems"]
