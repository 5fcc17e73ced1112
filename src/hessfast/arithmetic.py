"""Floating-point states: our arithmetic runs quietly; the user's functions run under the state that their caller set.

Values that overflow, vanish or are undefined are data here: what became of them is said by statuses and error bars, and
`np.errstate(all="raise")` around a call of ours is meant for the caller's own arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

import numpy as np

__all__ = ["callers_state", "quiet"]

F = TypeVar("F", bound=Callable[..., Any])

# What the caller of the public function that is running had set; None while the user's own code runs.
_CALLERS: ContextVar[dict[str, Any] | None] = ContextVar("hessfast callers", default=None)


def quiet(public: F) -> F:
    """Let a public function do its own arithmetic without warnings and exceptions, whatever its caller has set."""

    @wraps(public)
    def silent(*args: Any, **kwargs: Any) -> Any:
        if _CALLERS.get() is not None:  # called by another public function
            return public(*args, **kwargs)
        token = _CALLERS.set(dict(np.geterr()))
        try:
            with np.errstate(all="ignore"):
                return public(*args, **kwargs)
        finally:
            _CALLERS.reset(token)

    return silent  # type: ignore[return-value]


class callers_state:  # noqa: N801
    """Context in which the user's functions are called: the floating-point state of whoever called us.

    Parameters
    ----------
    **but
        What is to differ from it.
    """

    __slots__ = ("_but", "_state", "_token")

    def __init__(self, **but: Any) -> None:
        self._but = but

    def __enter__(self) -> None:
        state = _CALLERS.get()
        self._state = None
        if state is not None:
            self._token = _CALLERS.set(None)
            self._state = np.errstate(**(state | self._but))
            self._state.__enter__()

    def __exit__(self, *error: object) -> None:
        if self._state is not None:
            self._state.__exit__(None, None, None)
            _CALLERS.reset(self._token)
