"""One search by levels: at which of the dyadic steps the two errors of an expensive difference balance.

At each level h = 2^k u what is sought has a condition error N, noise over h, and a truncation error T, read from the
term in h that the extrapolation removed. Both relative to its size; they balance at

    h* = h (N / (p T))^(1/(p+1)),   p the order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hessfast.gradients.norms import MOST


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of a column relative to its size; `hidden`: its drift is only noise; `finite`: it is one at all."""

    condition: float
    truncation: float
    hidden: bool
    finite: bool = True
    size: float = 1.0

    @property
    def total(self) -> float:
        """Their sum, infinite where the column is not finite."""
        return self.condition + self.truncation if self.finite else np.inf

    @property
    def absolute(self) -> float:
        """The same in units of the column: a column that is zero in truth has no relative error."""
        return self.total * self.size if self.finite else np.inf

    def move(self, order: int) -> float:
        """Levels from here to the balance; up by a guess where the truncation error cannot be seen."""
        if self.hidden and self.condition > 0.1:
            return 12.0
        levels = (_log2(self.condition) - _log2(order * self.truncation)) / (order + 1)
        return float(np.clip(max(levels, 2.0) if self.hidden else levels, -12.0, 12.0))

    def gain(self, order: int) -> float:
        """Error here over the error at the balance."""
        if not (self.truncation > 0 and self.condition > 0):
            return np.inf
        h = 2.0 ** ((_log2(self.condition) - _log2(order * self.truncation)) / (order + 1))
        return float(self.total / (self.condition / h + self.truncation * h**order))


def _log2(a: float) -> float:
    """Logarithm of a, within the range of float64."""
    return float(np.log2(np.fmin(np.fmax(a, 1 / MOST), MOST)))
