"""The user's problem, checked once and named: what every public function starts from."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessfast.execution import Team
from hessfast.functions import NativeFunction, make_function
from hessfast.lanes import make_evaluator
from hessfast.stencils import ORDERS

Fun = Callable[..., Any] | NativeFunction
Jac = Callable[..., Any] | NativeFunction | bool | None
Order = int | Literal["auto"]


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


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A function, its gradient where there is one, and where.

    Attributes
    ----------
    x : ndarray, shape (n,)
        Own copy of x0 in float64.
    axes : ndarray of int32, shape (m,)
        Coordinates that are differentiated.
    fun, jac : Team or None
        What is evaluated; at least one of them.
    """

    x: NDArray[np.float64]
    axes: NDArray[np.int32]
    fun: Team | None
    jac: Team | None

    def __enter__(self) -> Problem:
        return self

    def __exit__(self, *error: Any) -> None:
        for team in (self.fun, self.jac):
            if team is not None:
                team.__exit__(*error)

    def confine(self, bounds: Any) -> Box:
        """Read bounds as `box` does, and let no point outside be evaluated from here on."""
        within = box(bounds, self.x)
        if not within.is_everything:
            for team in (self.fun, self.jac):
                if team is not None:
                    team.confine(within.lower, within.upper)
        return within

    @property
    def nfev(self) -> int:
        """Evaluations of f so far."""
        return 0 if self.fun is None else self.fun.nfev

    @property
    def njev(self) -> int:
        """Evaluations of the gradient so far."""
        return 0 if self.jac is None else self.jac.nfev


def bind(
    fun: Fun | None,
    x0: ArrayLike,
    *,
    jac: Jac = None,
    mask: ArrayLike | None = None,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    vectorized: bool = False,
    workers: int | None = None,
    on_error: Any = "raise",
) -> Problem:
    """Check the arguments that all public functions share.

    Raises
    ------
    TypeError, ValueError
        Naming the argument.
    """
    x = point(x0)
    if not isinstance(args, tuple):
        args = (args,)
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise TypeError(f"kwargs: must be a mapping, got {type(kwargs).__name__}")
    named: dict[str, Any] = {"args": args, "kwargs": dict(kwargs or {}), "vectorized": bool(vectorized)}
    if workers is not None:
        try:
            workers = operator.index(workers)
        except TypeError:
            raise TypeError(f"workers: must be an integer, got {workers!r}") from None
        if workers < 1:
            raise ValueError(f"workers: must be at least 1, got {workers}")
    wall = exceptions(on_error)
    functions: list[Team | None] = []
    both = jac is True
    for name, obj in (("fun", fun), ("jac", fun if both else jac)):
        if obj is None or obj is False:
            functions.append(None)
            continue
        part = (0 if name == "fun" else 1) if both else None
        function = make_function(obj, name=name, gradient=name == "jac", part=part, **named)
        evaluator = make_evaluator(function, x, wall=wall, gradient=name == "jac")
        functions.append(Team(evaluator, workers))
    if functions == [None, None]:
        raise TypeError("fun: None needs a callable jac")
    return Problem(x, coordinates(mask, x.size), *functions)


def point(x0: ArrayLike, name: str = "x0") -> NDArray[np.float64]:
    """Return a float64 copy of a 1-D, real, finite, non-empty array-like."""
    x = np.asarray(x0)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{name}: must be real numbers, got dtype {x.dtype}")
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"{name}: must be one-dimensional and not empty, got shape {x.shape}")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: must be finite, {name}[{int(np.argmin(np.isfinite(x)))}] is not")
    return x


def coordinates(mask: ArrayLike | None, n: int) -> NDArray[np.int32]:
    """Return the coordinates where mask is True; all of them without a mask."""
    if mask is None:
        return np.arange(n, dtype=np.int32)
    chosen = np.asarray(mask)
    if chosen.dtype != np.bool_:
        raise TypeError(f"mask: must be boolean, got dtype {chosen.dtype}")
    if chosen.shape != (n,):
        raise ValueError(f"mask: shape {(n,)} expected, got {chosen.shape}")
    if not chosen.any():
        raise ValueError("mask: leaves no coordinate to differentiate")
    return np.flatnonzero(chosen).astype(np.int32)


def given_steps(
    x: NDArray[np.float64], axes: NDArray[np.int32], rel_step: ArrayLike | None, abs_step: ArrayLike | None
) -> NDArray[np.float64] | None:
    """Return the absolute steps that the caller gave, shape (m,), or None."""
    if rel_step is None and abs_step is None:
        return None
    if rel_step is not None and abs_step is not None:
        raise ValueError("rel_step, abs_step: give one of them")
    name, step = ("abs_step", abs_step) if rel_step is None else ("rel_step", rel_step)
    steps = np.asarray(step)
    if steps.dtype.kind not in "fiu":
        raise TypeError(f"{name}: must be real numbers, got dtype {steps.dtype}")
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
    bounds : None, object with lb and ub, or tuple (lb, ub) of scalars, arrays of shape (n,) or None

    Raises
    ------
    TypeError, ValueError
        Bounds that could be read in two ways, or that x violates.
    """
    if bounds is None:
        infinite = np.full(x.size, np.inf)
        return Box(-infinite, infinite, True)
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        pair = bounds.lb, bounds.ub
    elif not isinstance(bounds, tuple):
        raise TypeError(
            "bounds: must have lb and ub, as scipy.optimize.Bounds has, or be a tuple (lb, ub); "
            f"got {type(bounds).__name__}"
        )
    elif len(bounds) != 2:
        raise ValueError(f"bounds: a tuple must be (lb, ub), got {len(bounds)} elements")
    elif x.size == 2 and all(isinstance(side, (list, tuple)) and len(side) == 2 for side in bounds):
        raise ValueError("bounds: two pairs read both as (lb, ub) and as one pair a coordinate; give arrays")
    else:
        pair = bounds
    sides = []
    for name, side, none in zip(("lower", "upper"), pair, (-np.inf, np.inf), strict=True):
        side = np.asarray(none if side is None else side)
        if side.dtype.kind not in "fiub":
            raise TypeError(f"bounds: the {name} one must be real numbers, got dtype {side.dtype}")
        if side.shape not in ((), (1,), (x.size,)):  # scipy.optimize.Bounds makes (1,) of a scalar
            raise ValueError(f"bounds: a scalar or shape {(x.size,)} expected, got {side.shape}")
        sides.append(np.broadcast_to(side.astype(np.float64), x.shape).copy())
    lower, upper = sides
    outside = ~((lower <= x) & (x <= upper))
    if outside.any():
        i = int(np.argmax(outside))
        raise ValueError(f"bounds: x0[{i}] = {x[i]} is not within [{lower[i]}, {upper[i]}]")
    return Box(lower, upper, False)


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
    if isinstance(noise, bool) or not isinstance(noise, (int, float, np.floating, np.integer)):
        raise TypeError(f"noise: must be a real number, got {type(noise).__name__}")
    if not (np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise: must be finite and not negative, got {noise!r}")
    return float(noise)


def checked_order(order: int | str, allowed: Sequence[int | str] = ORDERS) -> Any:
    """Return order, one of those allowed."""
    if isinstance(order, bool) or order not in allowed:
        raise ValueError(f"order: must be one of {', '.join(map(str, allowed))}, got {order!r}")
    return order if isinstance(order, str) else int(order)
