"""How the package says that numbers are not known to be right."""

from __future__ import annotations

import sys
import warnings

__all__ = ["AccuracyWarning", "alarm"]


class AccuracyWarning(RuntimeWarning):
    """Numbers were returned that are not known to be right; the text says which, and what to do."""


def alarm(where: str, message: str) -> None:
    """
    Raise an `AccuracyWarning` that points at the line which called into this package.

    Parameters
    ----------
    where : str
        Public function that speaks.
    message : str
        What is not known, and what to do.
    """
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).startswith("hessfast."):
        level, frame = level + 1, frame.f_back
    warnings.warn(f"{where}: {message}", AccuracyWarning, stacklevel=level)
