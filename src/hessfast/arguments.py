"""What callers hand over as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["plain", "require_finite", "unmasked"]


def plain(name: str, value: Any) -> NDArray[Any]:
    """
    Return value as a plain array, itself where it is one.

    Raises
    ------
    TypeError
        A masked array: what its gaps hold is not meant.
    ValueError
        Rows of different lengths.
    """
    rows = value if isinstance(value, (list, tuple)) else ()
    if isinstance(value, np.ma.MaskedArray) or any(isinstance(row, np.ma.MaskedArray) for row in rows):
        raise TypeError(f"{name} is a masked array; give it with its gaps filled")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None


def unmasked(value: Any) -> Any:
    """Return what a function returned, nan in the gaps of a masked array: there is no value there."""
    if not isinstance(value, np.ma.MaskedArray):
        return value
    kind = value.dtype if value.dtype.kind in "fc" else np.float64
    return np.ma.filled(value.astype(kind), np.nan)


def require_finite(name: str, values: Any) -> None:
    """Raise ValueError where a number is nan or inf."""
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, but it holds NaN or inf")
