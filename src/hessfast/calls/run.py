"""The first call of every run: f(x0), which must be finite."""

from __future__ import annotations

import numpy as np

from hessfast.calls.lanes import make_evaluator
from hessfast.calls.team import Team


def value_at(team: Team) -> float:
    """Return f(x0), the first evaluation of every run.

    Raises
    ------
    ValueError
        f(x0) is not finite: there is nothing to difference.
    """
    f0 = float(team.dense(team.x[None, :])[0])
    if not np.isfinite(f0):
        raise ValueError(f"fun: is {f0} at x0; it must be finite there") from _walled(team)
    return f0


def _walled(team: Team) -> BaseException | None:
    """Return the exception behind the wall at x0, None where there is none: what f says there is worth another call."""
    at = team.evaluator
    try:
        make_evaluator(at.function, at.x, gradient=at.gradient).dense(at.x[None, :])
    except at.wall as error:
        return error
    return None
