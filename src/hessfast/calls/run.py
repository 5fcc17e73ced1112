"""One driver for every search: it has points evaluated, counts by what they are for, and sends the values back."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

import numpy as np

from hessfast.arguments import no_value
from hessfast.calls.lanes import make_evaluator
from hessfast.calls.points import Points, Product, Purpose, Rows, Search, T, asked
from hessfast.calls.team import Team


class Source(Protocol):
    """What evaluates points: a Team, a line, an evaluator of complex points or the user's own Hessian.

    Attributes
    ----------
    spent : Counter
        Evaluations so far by purpose.
    """

    spent: Counter[Purpose]

    @property
    def nfev(self) -> int:
        """Calls of f so far."""
        ...

    def answer(self, points: Points) -> Any:
        """Return f at the points."""
        ...


def drive(search: Search[T], fun: Source | None, jac: Source | None = None, hess: Source | None = None) -> T:
    """Run a search: all that calls f in its name is here.

    Whatever f raises comes out as itself, and ends the search. The search's own arithmetic runs quietly, what f does
    under the state that its caller has set.

    Parameters
    ----------
    search : generator
    fun : Source
        What evaluates the points.
    jac : Source, optional
        What evaluates those that are asked of the gradient, where a search asks for both.
    hess : Source, optional
        What gives the products with the user's own Hessian.
    """
    with np.errstate(all="ignore"):
        try:
            values = None
            while True:
                try:
                    points = search.send(values)
                except StopIteration as done:
                    result: T = done.value
                    return result
                if isinstance(points, Product):
                    source = hess
                else:
                    source = jac if isinstance(points, Rows) and points.of == "jac" else fun
                assert source is not None
                values = None  # frees the last answer before the next is made
                before = source.nfev
                values = source.answer(points)
                source.spent[points.purpose] += source.nfev - before
        finally:
            search.close()


def value_at(team: Team) -> float:
    """Return f(x0), the first evaluation of every run.

    Raises
    ------
    ValueError
        f(x0) is not finite: there is nothing to difference.
    """
    f0 = float(drive(asked(Rows(team.x[None, :], "origin")), team)[0])
    if not np.isfinite(f0):
        raise no_value(f0) from walled(team)
    return f0


def walled(team: Team) -> BaseException | None:
    """Return the exception behind the wall at x0, None where there is none: what f says there is worth another call."""
    at = team.evaluator
    try:
        make_evaluator(at.function, at.x, gradient=at.gradient).dense(at.x[None, :])
    except at.wall as error:
        return error
    return None
