"""What can be called, and how: a user's object becomes a Function of one of three kinds.

The kind is found from the object. A native function is an address with one of three signatures; a batched function
takes points as columns; a Python function takes one point.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hessfast.arguments import unmasked
from hessfast.calls import njit
from hessfast.calls.foreign import NativeFunction, read_native


@dataclass(frozen=True, slots=True)
class PythonFunction:
    """A Python callable of one point; `part` selects an element of what it returns."""

    call: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    part: int | None = None


@dataclass(frozen=True, slots=True)
class BatchedFunction:
    """A Python callable of points as columns, (n, m) -> (m,); for gradients -> (n, m)."""

    call: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    part: int | None = None


Function = NativeFunction | PythonFunction | BatchedFunction


def make_function(
    obj: object,
    *,
    name: str,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    vectorized: bool = False,
    gradient: bool = False,
    part: int | None = None,
) -> Function:
    """Find how a user's object is called.

    Parameters
    ----------
    obj : object
        A callable or a native function.
    name : str
        The argument that it came in, for messages.
    args, kwargs
        Further arguments of the user's function.
    vectorized : bool
        Whether the callable takes points as columns.
    gradient : bool
        Whether gradients are meant.
    part : int, optional
        Which element of the returned tuple is meant.
    """
    if vectorized:
        return BatchedFunction(_callable(obj, name), args, kwargs or {}, part)
    if njit.is_dispatcher(obj):
        return _from_dispatcher(obj, args, kwargs or {}, gradient, part)
    if type(obj) is int:
        raise TypeError(f"{name}: must be callable, got the number {obj}; `native` makes a function of an address")
    found = read_native(obj, None)
    if found is None:
        return PythonFunction(_callable(obj, name), args, kwargs or {}, part)
    if args or kwargs:
        raise TypeError(f"args, kwargs: {name} is a native function and takes its data through a pointer")
    if part is not None:
        raise TypeError("jac: True needs a Python function that returns (f, g); fun is native")
    if (found.form == "gradient") != gradient:
        raise TypeError(
            f"{name}: a native {'gradient' if gradient else 'function'} has the signature "
            f"{'void (int, double *, double *, void *)' if gradient else 'double (int, double *[, void *])'}"
        )
    return found


def _callable(obj: object, name: str) -> Callable[..., Any]:
    if not callable(obj):
        raise TypeError(f"{name}: must be callable or a native function, got {type(obj).__name__}")
    return obj


def _from_dispatcher(
    dispatcher: Any, args: tuple[Any, ...], kwargs: dict[str, Any], gradient: bool, part: int | None
) -> NativeFunction:
    args = njit.positional(dispatcher, args, kwargs)
    callback = njit.callback(dispatcher, args, gradient=gradient, part=part)
    return NativeFunction(
        address=callback.address,
        form="gradient" if gradient else "with_data",
        refill=not callback.readonly,
        keepalive=callback.library,
        dispatcher=dispatcher,
        args=args,
        part=part,
        callback=callback,
    )


def real_number(result: Any) -> float:
    """Return what fun returned as a float, where it is one real number or an array of one; say what it is instead."""
    result = unmasked(result)
    shape = getattr(result, "shape", ())
    if shape != ():
        if math.prod(shape) != 1:
            raise ValueError(f"fun: must return one real number, returned an array of shape {tuple(shape)}")
        result = np.asarray(result).reshape(())[()]
    if isinstance(result, (complex, np.complexfloating)) or getattr(result, "dtype", None) in _COMPLEX:
        raise TypeError(f"fun: must return one real number, returned a complex one: {result!r}")
    if isinstance(result, (str, bytes)) or not hasattr(type(result), "__float__"):
        if isinstance(result, (int, np.integer)):
            return float(result)
        raise TypeError(f"fun: must return one real number, returned {type(result).__name__}: {result!r}")
    try:
        return float(result)
    except OverflowError:  # an integer beyond them
        return math.inf if result > 0 else -math.inf


_COMPLEX = (np.dtype(np.complex64), np.dtype(np.complex128), np.dtype(np.clongdouble))
