"""Floating-point states: our arithmetic runs quietly; the user's functions run under the state that their caller set.

Values that overflow, vanish or are undefined are data here: what became of them is said by statuses and error bars, and
`np.errstate(all="raise")` around a call of ours is meant for the caller's own arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, TypeVar

import numpy as np

__all__ = ["aside", "callers_state", "quiet"]

_IGNORED = dict.fromkeys(("divide", "over", "under", "invalid"), "ignore")

F = TypeVar("F", bound=Callable[..., Any])

# What the caller of the public function that is running had set; None while the user's own code runs.
_CALLERS: ContextVar[dict[str, Any] | None] = ContextVar("hessfast callers", default=None)


# What differs from that where f is asked far from x.
_ASIDE: ContextVar[dict[str, Any]] = ContextVar("hessfast aside", default={})  # noqa: B039


@contextmanager
def aside() -> Iterator[None]:
    """Context in which f is asked far from x, out of curiosity: what overflows there is no matter of the caller's."""
    before = _ASIDE.get()
    try:  # begins before the state changes: an interrupt may come as soon as it has
        _ASIDE.set(_IGNORED)
        yield
    finally:
        _ASIDE.set(before)


def quiet(public: F) -> F:
    """Let a public function do its own arithmetic without warnings and exceptions, whatever its caller has set."""

    @wraps(public)
    def silent(*args: Any, **kwargs: Any) -> Any:
        if _CALLERS.get() is not None:  # called by another public function
            return public(*args, **kwargs)
        asked_aside = _ASIDE.get()
        try:  # begins before the states change: an interrupt may come as soon as they have
            _CALLERS.set(dict(np.geterr()))
            _ASIDE.set({})  # what f itself has us ask is not far from anywhere
            with np.errstate(all="ignore"):
                return public(*args, **kwargs)
        finally:
            _CALLERS.set(None)
            _ASIDE.set(asked_aside)

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
            self._state = np.errstate(**(state | _ASIDE.get() | self._but))
            self._state.__enter__()

    def __exit__(self, *error: object) -> None:
        if self._state is not None:
            self._state.__exit__(None, None, None)
            _CALLERS.reset(self._token)
