"""Values that searches are sent without any f behind them: made by hand, or by a formula at the points they ask for."""

from collections import Counter

import numpy as np

from hessfast.calls.points import Displaced, Rows


def rows(x, points):
    """Return the points of a request, (p, n)."""
    if isinstance(points, Rows):
        return points.X
    assert isinstance(points, Displaced)
    X = np.tile(x, (len(points.index), 1))
    for point, coordinates, values in zip(X, points.index, points.value, strict=True):
        moved = coordinates >= 0
        point[coordinates[moved]] = values[moved]
    return X


class Formula:
    """A source for `drive`: a formula at one point at a time; it keeps the points that it was asked for."""

    def __init__(self, formula, x):
        self.formula, self.x = formula, np.asarray(x, dtype=float)
        self.nfev, self.spent, self.points = 0, Counter(), []

    def answer(self, points):
        X = rows(self.x, points)
        self.nfev += len(X)
        self.points += list(X)
        return np.array([self.formula(x) for x in X])


def sent(search, *answers):
    """Send a search these answers in turn; return what it asked for, and its result, None where it asks for more."""
    with np.errstate(all="ignore"):
        asked = [next(search)]
        for answer in answers:
            try:
                asked.append(search.send(np.asarray(answer)))
            except StopIteration as done:
                return asked, done.value
        search.close()
    return asked, None
