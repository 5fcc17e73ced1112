"""The user's problem, checked once and named: what every public function starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessfast.arguments import (
    Box,
    box,
    coordinates,
    exceptions,
    flag,
    further,
    labels,
    point,
    real_vector,
    refuse_infinite,
    typical_sizes,
)
from hessfast.calls.foreign import NativeFunction
from hessfast.calls.functions import make_function
from hessfast.calls.lanes import make_evaluator
from hessfast.calls.line import Neighbourhood
from hessfast.calls.team import Team
from hessfast.lines import Lines
from hessfast.workers import thread_count

Fun = Callable[..., Any] | NativeFunction
Jac = Callable[..., Any] | NativeFunction | bool | None
Order = int | Literal["auto"]


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
    x_scale : ndarray, shape (n,), or None
        Typical sizes of the coordinates, where the caller knows them.
    labels : tuple or None
        Names of the differentiated coordinates, where x0 has any.
    """

    x: NDArray[np.float64]
    axes: NDArray[np.int32]
    fun: Team | None
    jac: Team | None
    x_scale: NDArray[np.float64] | None = None
    labels: tuple[Any, ...] | None = None

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

    @property
    def own_sizes(self) -> NDArray[np.float64] | None:
        """Sizes of the coordinates that are differentiated, where the caller knows them."""
        return None if self.x_scale is None else self.x_scale[self.axes]


def bind(
    fun: Fun | None,
    x0: ArrayLike,
    *,
    jac: Jac = None,
    x_scale: ArrayLike | None = None,
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
    axes = coordinates(mask, x.size)
    scale = typical_sizes(x_scale, x.size)
    args, kwargs = further(args, kwargs)
    named: dict[str, Any] = {"args": args, "kwargs": kwargs, "vectorized": flag(vectorized, "vectorized")}
    if workers is not None:
        workers = thread_count(workers)
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
    return Problem(x, axes, functions[0], functions[1], scale, labels(x0, axes, x.size))


def surround(
    fun: Fun | None,
    x0: ArrayLike,
    *,
    jac: Jac,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None,
    vectorized: bool,
    workers: int | None,
    x_scale: ArrayLike | None = None,
    bounds: Any = None,
    on_error: Any = "raise",
) -> tuple[Lines, Neighbourhood]:
    """Check the arguments that the matrix-free functions share; bind the gradient where there is one, else f.

    x0 is neither copied nor converted where it is a contiguous float64 or float32 array.

    Returns
    -------
    Lines, Neighbourhood
        The lines through x0, and what evaluates points on them.
    """
    x = real_vector(x0, "x0")
    threads = thread_count(workers)
    gradient = jac is not None and jac is not False
    obj, name = (jac, "jac") if gradient and jac is not True else (fun, "fun")
    if obj is None:
        raise TypeError("fun: None needs a callable jac")
    positional, named = further(args, kwargs)
    function = make_function(
        obj,
        name=name,
        args=positional,
        kwargs=named,
        vectorized=flag(vectorized, "vectorized"),
        gradient=gradient,
        part=1 if jac is True else None,
    )
    wall = exceptions(on_error)
    # The evaluator reads its own x for displaced points alone, of which there are none here.
    evaluator = make_evaluator(function, cast("NDArray[np.float64]", x), wall=wall, gradient=gradient)
    within = None
    if bounds is not None:
        refuse_infinite(x, "x0")
        within = box(bounds, x.astype(np.float64))
        evaluator.confine(within.lower, within.upper)
    around = Neighbourhood(evaluator, threads)
    return Lines(x, gradient, threads, typical_sizes(x_scale, x.size), within, around.scratch), around
