"""Every check of what callers give: points, bounds, steps, orders, flags and arrays; errors name the argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike, NDArray

from hessfast.algebra import vectors
from hessfast.algebra.vectors import Vector
from hessfast.values.stencils import ORDERS

__all__ = [
    "Box",
    "box",
    "check_room",
    "checked_bar",
    "checked_length",
    "checked_order",
    "checked_real",
    "checked_vector",
    "coordinates",
    "exceptions",
    "flag",
    "further",
    "given_step",
    "given_steps",
    "labels",
    "no_value",
    "noise_given",
    "norm_bar",
    "not_analytic",
    "plain",
    "point",
    "real_array",
    "real_vector",
    "refuse_infinite",
    "require_finite",
    "typical_sizes",
    "unmasked",
]


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


def not_analytic(name: str, what: str) -> ValueError:
    """Return the refusal of a function that is not analytic, or not written for complex points."""
    return ValueError(f'method: "cs" needs {name} to be analytic and to take complex arrays, but {name} {what}')


def no_value(f0: float) -> ValueError:
    """Return the refusal of an x0 at which there is nothing to difference."""
    return ValueError(f"fun: is {f0} at x0; it must be finite there")


def require_finite(name: str, values: Any) -> None:
    """Raise ValueError where a number is nan or inf."""
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite, but it holds NaN or inf")


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """Where f may be evaluated.

    Attributes
    ----------
    lower, upper : ndarray, shape (n,)
        Bounds of every coordinate, infinite where there are none.
    is_everything : bool
        Whether no bounds were given.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    is_everything: bool


def further(args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the further arguments of f: a tuple, of one where args is none, and a dictionary."""
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs: must be a mapping, got {type(kwargs).__name__}")
    named = dict(kwargs or {})
    if not all(isinstance(name, str) for name in named):
        raise TypeError("kwargs: its keys must be names of arguments")
    return (args if isinstance(args, tuple) else (args,)), named


def flag(value: Any, name: str) -> bool:
    """Return a truth value."""
    if not isinstance(value, (bool, int, np.bool_, np.integer)):
        raise TypeError(f"{name}: must be True or False, got {type(value).__name__}")
    return bool(value)


def point(x0: ArrayLike, name: str = "x0") -> NDArray[np.float64]:
    """Return a float64 copy, 1-D, of a real number or a real, finite, non-empty 1-D array-like."""
    x = real_array(x0, name, "fiub")
    if x.ndim == 0:
        x = x[None]
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"{name}: must be a number, or one-dimensional and not empty, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: must be finite, {name}[{int(np.argmin(np.isfinite(x)))}] is not")
    return x


def real_array(value: Any, name: str, kinds: str = "fiu") -> NDArray[np.float64]:
    """Return a float64 copy of a real array-like; what is too large for float64 becomes infinite."""
    array = plain(name, value)
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name}: must be real numbers, got dtype {array.dtype}")
    return array.astype(np.float64)


def labels(x0: Any, axes: NDArray[np.int32], n: int) -> tuple[Any, ...] | None:
    """Return the labels of the differentiated coordinates of a labelled vector, None where they only count."""
    index = getattr(x0, "index", None)
    if index is None or callable(index) or not hasattr(index, "__len__") or len(index) != n:
        return None
    names = list(index)
    counting = all(isinstance(name, (int, np.integer)) and name == i for i, name in enumerate(names))
    return None if counting else tuple(names[i] for i in axes.tolist())


def coordinates(mask: ArrayLike | None, n: int) -> NDArray[np.int32]:
    """Return the coordinates where mask is True; all of them without a mask."""
    if mask is None:
        return np.arange(n, dtype=np.int32)
    chosen = plain("mask", mask)
    if chosen.dtype != np.bool_:
        raise TypeError(f"mask: must be boolean, got dtype {chosen.dtype}")
    if chosen.shape != (n,):
        raise ValueError(f"mask: shape {(n,)} expected, got {chosen.shape}")
    if not chosen.any():
        raise ValueError("mask: leaves no coordinate to differentiate")
    return np.flatnonzero(chosen).astype(np.int32)


def typical_sizes(x_scale: ArrayLike | None, n: int) -> NDArray[np.float64] | None:
    """Return the typical size of every coordinate that the caller gave, or None."""
    if x_scale is None:
        return None
    sizes = real_array(x_scale, "x_scale")
    if sizes.shape not in ((), (n,)):
        raise ValueError(f"x_scale: a scalar or shape {(n,)} expected, got {sizes.shape}")
    if not (np.isfinite(sizes) & (sizes > 0.0)).all():
        raise ValueError("x_scale: must be finite and positive")
    return np.broadcast_to(sizes, n).copy()


def given_steps(
    x: NDArray[np.float64], axes: NDArray[np.int32], rel_step: ArrayLike | None, abs_step: ArrayLike | None
) -> NDArray[np.float64] | None:
    """Return the absolute steps that the caller gave, shape (m,), or None."""
    if rel_step is None and abs_step is None:
        return None
    if rel_step is not None and abs_step is not None:
        raise ValueError("rel_step, abs_step: give one of them")
    name, step = ("abs_step", abs_step) if rel_step is None else ("rel_step", rel_step)
    steps = real_array(step, name)
    if steps.shape not in ((), (x.size,), (axes.size,)):
        raise ValueError(f"{name}: a scalar or shape {(x.size,)} expected, got {steps.shape}")
    given = steps[axes] if steps.shape == (x.size,) else steps
    steps = np.empty(axes.size)
    steps[...] = given
    if np.count_nonzero(np.isfinite(steps) & (steps != 0.0)) < steps.size:
        raise ValueError(f"{name}: must be finite and not zero")
    if abs_step is None:
        scale = np.abs(x[axes])
        steps *= np.where(scale == 0.0, 1.0, scale)
    return steps


def box(bounds: Any, x: NDArray[np.float64]) -> Box:
    """Return where f may be evaluated.

    Parameters
    ----------
    bounds : None, object with lb and ub, tuple (lb, ub), list of n tuples (lower, upper), or array of shape (n, 2)

    Raises
    ------
    TypeError, ValueError
        Bounds that could be read in two ways, or that x violates.
    """
    if bounds is None:
        infinite = np.full(x.size, np.inf)
        return Box(-infinite, infinite, True)
    lower, upper = (
        _side(side, name, none, x.size)
        for name, side, none in zip(("lower", "upper"), _two_sides(bounds, x.size), (-np.inf, np.inf), strict=True)
    )
    outside = ~((lower <= x) & (x <= upper))
    if outside.any():
        i = int(np.argmax(outside))
        raise ValueError(f"bounds: x0[{i}] = {x[i]} is not within [{lower[i]}, {upper[i]}]")
    return Box(lower, upper, False)


_TWO_READINGS = (
    "bounds: read both as (lb, ub) and as one pair a coordinate; give scipy.optimize.Bounds(lb, ub), a tuple of two "
    "arrays (lb, ub), or a list of tuples [(lower, upper), ...]"
)


def _two_sides(bounds: Any, n: int) -> tuple[Any, Any]:
    """Return the lower and the upper side of bounds in any of their forms.

    A tuple of two is (lb, ub), a list or an array holds a pair for each coordinate. With two coordinates two tuples in
    a tuple, or two lists or arrays in a list, may be meant as either.
    """
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return bounds.lb, bounds.ub
    if isinstance(bounds, (tuple, list)):
        pairs = len(bounds) == n and all(map(_is_pair, bounds))
        tuples = all(isinstance(side, tuple) for side in bounds)
        if pairs and n == 2 and tuples == isinstance(bounds, tuple):
            raise ValueError(_TWO_READINGS)
        if len(bounds) == 2 and isinstance(bounds, tuple):
            return bounds[0], bounds[1]
        if not pairs:
            raise ValueError(
                "bounds: a tuple of two is (lb, ub); all else must hold one pair (lower, upper) a coordinate, "
                f"{n} of them"
            )
        return [pair[0] for pair in bounds], [pair[1] for pair in bounds]
    if hasattr(bounds, "__array__") and not isinstance(bounds, np.generic):
        array = plain("bounds", bounds)
        if array.shape != (n, 2):
            raise ValueError(f"bounds: an array must have shape {(n, 2)}, one pair a row, got {array.shape}")
        return array[:, 0], array[:, 1]
    raise TypeError(
        "bounds: must have lb and ub, as scipy.optimize.Bounds has, be a tuple (lb, ub), or hold one pair "
        f"(lower, upper) a coordinate; got {type(bounds).__name__}"
    )


def _is_pair(side: Any) -> bool:
    return isinstance(side, (tuple, list, np.ndarray)) and plain("bounds", side).shape[:1] == (2,)


def _side(side: Any, name: str, none: float, n: int) -> NDArray[np.float64]:
    """Return one side of bounds as an array of its own, `none` in place of None."""
    name = f"bounds: the {name} side"
    array = plain(name, none if side is None else side)
    if array.dtype.kind == "O":
        array = plain(name, [none if bound is None else bound for bound in array.ravel()]).reshape(array.shape)
    array = real_array(array, name, "fiub")
    if array.shape not in ((), (1,), (n,)):  # scipy.optimize.Bounds makes (1,) of a scalar
        raise ValueError(f"{name}: a scalar or shape {(n,)} expected, got {array.shape}")
    return np.broadcast_to(array, n).copy()


def check_room(x: NDArray[np.float64], axes: NDArray[np.int32], within: Box, order: int) -> None:
    """Refuse a coordinate whose bounds leave room for no stencil.

    Raises
    ------
    ValueError
        Naming the coordinate.
    """
    if within.is_everything:
        return
    lower, upper = within.lower, within.upper
    size = np.maximum(np.abs(x), np.finfo(np.float64).tiny)
    tight = (np.maximum(upper - x, x - lower) < 64 * (order + 1) * np.finfo(np.float64).eps * size)[axes]
    if tight.any():
        i = int(axes[np.argmax(tight)])
        raise ValueError(
            f"bounds: [{lower[i]}, {upper[i]}] leaves no room for a stencil at x0[{i}] = {x[i]}; "
            "leave that coordinate out by mask"
        )


def exceptions(on_error: Any) -> tuple[type[BaseException], ...]:
    """Return the exception types that count as a wall: none for "raise"."""
    if isinstance(on_error, str) and on_error == "raise":
        return ()
    types = on_error if isinstance(on_error, tuple) else (on_error,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in types):
        raise TypeError(f'on_error: must be "raise", an exception type or a tuple of them, got {on_error!r}')
    return types


def noise_given(noise: float | None) -> float | None:
    """Return the noise level that the caller knows, or None."""
    if noise is None:
        return None
    level = real_array(noise, "noise")
    if level.ndim:
        raise TypeError(f"noise: must be one real number, got shape {level.shape}")
    if not (np.isfinite(level) and level >= 0.0):
        raise ValueError(f"noise: must be finite and not negative, got {noise!r}")
    return float(level)


def checked_order(order: int | str, allowed: Sequence[int | str] = ORDERS) -> Any:
    """Return order, one of those allowed."""
    known = isinstance(order, (str, int, float, np.number)) and not isinstance(order, bool)
    if not known or order not in allowed:
        raise ValueError(f"order: must be one of {', '.join(map(str, allowed))}, got {order!r}")
    return order if isinstance(order, str) else int(order)


def real_vector(x: npt.ArrayLike, name: str, n: int | None = None) -> Vector:
    """Return a real, non-empty 1-D array in float64 or float32, itself where it is one; it may hold nan and inf."""
    array = plain(name, x)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: must be real numbers, got dtype {array.dtype}")
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name}: must be one-dimensional and not empty, got shape {array.shape}")
    if n is not None and array.size != n:
        raise ValueError(f"{name}: shape {(n,)} expected, got {array.shape}")
    return vectors.as_vector(array)


def checked_vector(x: npt.ArrayLike, name: str, n: int | None = None) -> Vector:
    """Return such an array, refused where it is not finite."""
    vector = real_vector(x, name, n)
    refuse_infinite(vector, name)
    return vector


def refuse_infinite(x: Vector, name: str) -> None:
    """Raise where a coordinate is not finite."""
    finite = np.isfinite(x)
    if not finite.all():
        raise ValueError(f"{name}: must be finite, {name}[{int(np.argmin(finite))}] is not")


def given_step(rel_step: float | None, abs_step: float | None) -> tuple[float | None, bool]:
    """Return the step that the caller gave, or None, and whether it is relative to the unit of the line."""
    if rel_step is None and abs_step is None:
        return None, False
    if rel_step is not None and abs_step is not None:
        raise ValueError("rel_step, abs_step: give one of them")
    name, step = ("abs_step", abs_step) if rel_step is None else ("rel_step", rel_step)
    number = np.asarray(step)
    if number.dtype.kind not in "fiu" or number.ndim != 0:
        raise TypeError(f"{name}: must be a real number, got {step!r}")
    if not np.isfinite(number) or number <= 0.0:
        raise ValueError(f"{name}: must be finite and positive, got {step!r}")
    return float(number), abs_step is None


def checked_real(value: Any, name: str, *, finite: bool = True) -> Vector:
    """Return value as an array of float64, or float32 where it is one."""
    array = plain(name, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be real, but its dtype is {array.dtype}")
    if array.dtype not in (np.float64, np.float32):
        array = array.astype(np.float64)
    if finite:
        require_finite(name, array)
    return array


def checked_bar(value: Any, name: str, shape: tuple[int, ...]) -> Any:
    """Return an error bar: a number, or an array of `shape`."""
    bar = checked_real(value, name, finite=False).astype(np.float64)
    if bar.shape not in ((), shape):
        raise ValueError(f"{name} must be a number or have shape {shape}, but it has {bar.shape}")
    if not (bar >= 0.0).all():
        raise ValueError(f"{name} must be an error bar >= 0")
    return bar if bar.ndim else float(bar)


def checked_length(value: float | None, name: str) -> float | None:
    """Return a length that is positive, or None."""
    if value is None:
        return None
    number = checked_real(value, name, finite=False)
    if number.ndim:
        raise TypeError(f"{name} must be a number, but it is {value!r}")
    length = float(number)
    if not length > 0.0:
        raise ValueError(f"{name} must be positive, but it is {value}")
    return length


def norm_bar(g_error: Any, shape: tuple[int, ...]) -> Any:
    """Return the bar of |g|: a number is that bar, an array holds one for each component."""
    if np.ndim(plain("g_error", g_error)) == 1 and len(shape) == 2:
        shape = shape[1:]
    bar = checked_bar(g_error, "g_error", shape)
    if not np.ndim(bar):
        return bar
    with np.errstate(all="ignore"):
        return np.linalg.norm(bar, axis=-1)
