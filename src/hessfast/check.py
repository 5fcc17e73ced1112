"""Check of a Hessian coded by hand, and the noise level of f."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hessfast.arguments import box, further, point, real_array
from hessfast.arithmetic import quiet
from hessfast.calls.hessians import called
from hessfast.calls.points import Rows, asked
from hessfast.calls.run import drive, value_at
from hessfast.dense import hessian
from hessfast.listing import Listed
from hessfast.problem import Fun, Jac, bind
from hessfast.resolution import hessian_scale, natural_sizes, places
from hessfast.results import HessianResult
from hessfast.values import tables
from hessfast.values.axes import make_axes

Array = NDArray[np.float64]

SUSPECT = 8.0
"""Error bars by which an entry must differ from what was measured to be measured again."""

CONFIRMED = 4.0
"""How much farther than the two measurements from each other it must then be from both."""

WORTH = 2.0**-30
"""Part of an entry, of sqrt|H_ii H_jj|, or of what changes f as much as anything known does over the sizes of the
coordinates, below which a difference is rounding: ours, or of who computed the entry."""

ROUNDED = 2.0**-44
"""The same for the difference between the two halves of a matrix, which one rounding each may leave unlike."""

STANDS_OUT = 20.0
"""Noise levels beyond which a remainder of the quadratic model is one."""

SHORTEST = 2
"""Steps at which the remainder is taken for noise: it grows by 16 a step, and by 4 where the matrix is wrong."""

SHORTER = 0.75
"""Steps of the second measurement in units of the first."""


@dataclass(frozen=True, slots=True)
class WrongEntry:
    """An entry of the given Hessian that is not the second derivative of f."""

    row: int
    column: int
    given: float
    found: float
    error: float
    """Error bar of `found`."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HessianCheck(Listed):
    """
    What a check of a Hessian found.

    Attributes
    ----------
    wrong : tuple of WrongEntry
        Entries of the lower triangle that are wrong, the worst first; empty where nothing speaks against any.
    unresolved : int
        Entries of the lower triangle of which little can be said: their error bar exceeds the given entry and a
        thousandth of sqrt|H_ii H_jj|, or f was not finite.
    asymmetry : float
        Largest |hess - hess.T|, 0.0 where rounding explains it.
    steps, remainders : ndarray, shape (k,)
        The slope test: at x0 ± t v, for one random v, the mean of f less f(x0) less t² vᵀHv / 2, at steps t = `steps`.
    slope : float
        Power of t by which the remainders grow where they stand out of the noise: 4 for a right Hessian (3 at least), 2
        for a wrong one; nan where they do not stand out.
    nfev, njev : int
        Evaluations of f and of its gradient.
    result : HessianResult
        The Hessian that was measured.
    """

    wrong: tuple[WrongEntry, ...]
    unresolved: int
    asymmetry: float
    steps: Array
    remainders: Array
    slope: float
    nfev: int
    njev: int
    result: HessianResult

    @property
    def success(self) -> bool:
        """Whether nothing speaks against the Hessian."""
        return not self.wrong and self.asymmetry == 0.0

    def __bool__(self) -> bool:
        return self.success

    @property
    def message(self) -> str:
        """The finding in one sentence, with the worst entry."""
        if self.wrong:
            worst = self.wrong[0]
            count = "1 entry is" if len(self.wrong) == 1 else f"{len(self.wrong)} entries are"
            where = places([(worst.row, worst.column)], self.result.labels)
            return (
                f"{count} wrong; the worst, {where}, is {worst.given:.6g} "
                f"and should be {worst.found:.6g} ± {worst.error:.1g}"
            )
        if self.asymmetry:
            return f"the Hessian is not symmetric: its halves differ by {self.asymmetry:.3g}"
        vague = f"; {self.unresolved} entries could not be judged" if self.unresolved else ""
        return f"nothing speaks against the Hessian{vague}"


@quiet
def check_hessian(
    fun: Fun | None,
    x0: ArrayLike,
    hess: Any,
    *,
    jac: Jac = None,
    x_scale: ArrayLike | None = None,
    bounds: Any = None,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    vectorized: bool = False,
    on_error: Any = "raise",
    rng: np.random.Generator | int | None = None,
) -> HessianCheck:
    """Check a Hessian against the function that it should be of.

    Parameters
    ----------
    fun, x0, jac, x_scale, bounds, args, kwargs, vectorized, on_error
        As in `hessian`.
    hess : array_like, shape (n, n), or callable
        The Hessian at x0, or ``hess(x, *args, **kwargs)`` that returns it.
    rng : Generator or int, optional
        For the direction of the slope test; fixed by default.

    Returns
    -------
    HessianCheck

    Raises
    ------
    ValueError, TypeError
        Naming the argument.

    Notes
    -----
    The Hessian is measured with error bars. An entry off by more than 8 bars is measured once more, with other steps
    and if need be at another order, and accused only where the two measurements agree with each other at least four
    times better than with it: neither a stroke of noise nor an underrated truncation error accuses a right Hessian. An
    entry off by 20 bars is found.

    Examples
    --------
    >>> import hessfast
    >>> check = hessfast.check_hessian(lambda x: x[0] ** 2 * x[1], [1.0, 2.0], [[4.1, 2.0], [2.0, 0.0]])
    >>> check.message.partition(" ±")[0]
    '1 entry is wrong; the worst, [0, 0], is 4.1 and should be 4'
    """
    args, named = further(args, kwargs)
    options: dict[str, Any] = {
        "jac": jac,
        "x_scale": x_scale,
        "bounds": bounds,
        "args": args,
        "kwargs": named,
        "vectorized": vectorized,
        "on_error": on_error,
    }
    random = _generator(rng)
    given = _matrix(hess, point(x0), args, named)
    diagonal = np.sqrt(np.abs(np.diag(given)))
    natural = np.maximum(np.abs(given), np.multiply.outer(diagonal, diagonal))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what is not known or finite is counted as unresolved
        result = hessian(fun, x0, full_output=True, **options)
        nfev, njev = result.nfev, result.njev
        suspects = np.tril(_excess(given, result) > SUSPECT)
        suspects &= ~(np.abs(given - result.hess) <= WORTH * np.fmax(natural, own_scale(result)))
        confirmed = np.zeros_like(suspects)
        for other in ({"abs_step": SHORTER * result.step}, {"order": 6}):
            if (suspects & ~confirmed).any():
                again = hessian(fun, x0, full_output=True, **options, **other)
                nfev, njev = nfev + again.nfev, njev + again.njev
                apart = np.abs(again.hess - result.hess)
                nearest = np.minimum(np.abs(given - result.hess), np.abs(given - again.hess))
                confirmed |= suspects & (nearest > CONFIRMED * apart)
    excess = _excess(given, result)
    places = sorted(np.argwhere(confirmed).tolist(), key=lambda place: -excess[place[0], place[1]])
    bars = _bars(result)
    wrong = (WrongEntry(i, j, float(given[i, j]), float(result.hess[i, j]), float(bars[i, j])) for i, j in places)
    steps, remainders, slope, spent = _slope_test(fun, given, result, options, random)
    resolved = bars <= np.maximum(np.abs(given), 1e-3 * np.multiply.outer(diagonal, diagonal))
    halves = np.abs(given - given.T)
    return HessianCheck(
        wrong=tuple(wrong),
        unresolved=int(np.count_nonzero(np.tril(~resolved))),
        asymmetry=float(np.max(halves, initial=0.0, where=halves > ROUNDED * natural)),
        steps=steps,
        remainders=remainders,
        slope=slope,
        nfev=nfev + spent,
        njev=njev,
        result=result,
    )


def _generator(rng: np.random.Generator | int | None) -> np.random.Generator:
    """Return the generator that the caller gave, or one with a fixed seed."""
    try:
        return np.random.default_rng(0 if rng is None else rng)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rng: must be a Generator or a seed, got {rng!r}") from None


def _matrix(hess: Any, x: Array, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Array:
    if callable(hess):
        hess = called(hess, 0, x, *args, **kwargs)
    given = real_array(hess, "hess", "fiub")
    if given.shape != (x.size, x.size):
        raise ValueError(f"hess: shape {(x.size, x.size)} expected, got {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError("hess: must be finite")
    return given


def _bars(result: HessianResult) -> Array:
    assert result.hess_error is not None
    return np.where(np.isfinite(result.hess), result.hess_error, np.inf)


def own_scale(result: HessianResult) -> Array:
    """Second derivatives that change f, as coordinates move by their sizes, by as much as is known to change."""
    size = natural_sizes(result.x, result.index, result.step, result.sizes)
    scale = hessian_scale(result.hess, [_bars(result)], np.abs(result.jac), result.fun, size, result.order)
    return np.multiply.outer(scale.size, scale.size)


def _excess(given: Array, result: HessianResult) -> Array:
    """Distance of each entry from what was measured, in error bars; the given matrix's own rounding is allowed."""
    bars = _bars(result) + np.finfo(np.float64).eps * np.abs(given)
    distance = np.abs(given - np.nan_to_num(result.hess))
    return np.divide(distance, bars, out=np.where(distance > 0.0, np.inf, 0.0), where=bars > 0.0)


def _slope_test(
    fun: Fun | None, given: Array, result: HessianResult, options: dict[str, Any], random: np.random.Generator
) -> tuple[Array, Array, float, int]:
    """Remainders of the quadratic model along one random direction, in units of the steps of the axes."""
    empty = np.empty(0)
    if fun is None or not np.isfinite(result.step).all():
        return empty, empty, np.nan, 0
    steps = np.exp2(np.arange(-3.0, 6.0))
    signs = random.choice([-1.0, 1.0], result.x.size)
    v = signs * np.abs(result.step)
    part = True if options["jac"] is True else None
    with bind(
        fun, result.x, jac=part, **{k: options[k] for k in ("args", "kwargs", "vectorized", "on_error")}
    ) as problem:
        assert problem.fun is not None
        within = problem.confine(options["bounds"])
        farthest = steps[-1] * np.abs(v)
        v[(result.x - farthest < within.lower) | (result.x + farthest > within.upper)] = 0.0
        points = result.x + np.concatenate([steps, -steps])[:, None] * v
        values = drive(asked(Rows(points)), problem.fun)
        spent = problem.nfev
    up, down = values[: steps.size], values[steps.size :]
    remainders = 0.5 * ((up - result.fun) + (down - result.fun)) - 0.5 * steps**2 * float(v @ given @ v)
    noise = np.fmax(
        np.abs(remainders[:SHORTEST]).max(), _rounding_along(given, result, steps, v, np.fmax(np.abs(up), np.abs(down)))
    )
    if result.lane != "gradient":  # else it is the noise of gradients
        noise = np.fmax(noise, result.noise)
    stands_out = np.isfinite(remainders) & (np.abs(remainders) > STANDS_OUT * noise) & (remainders != 0.0)
    both = stands_out[1:] & stands_out[:-1]
    slopes = np.diff(np.log2(np.abs(np.where(stands_out, remainders, 1.0))))[both]
    return steps, remainders, float(np.median(slopes)) if slopes.size else np.nan, spent


def _rounding_along(given: Array, result: HessianResult, steps: Array, v: Array, size: Array) -> Array:
    """What rounding of f, which has that size there, and of its argument leave at x + t v."""
    eps = float(np.finfo(np.float64).eps)
    with np.errstate(all="ignore"):
        slope = np.abs(result.jac)[:, None] + np.abs(given @ v)[:, None] * steps
        argument = eps * (np.abs(result.x) @ np.nan_to_num(slope))
        return np.asarray(np.fmax(argument, eps * np.fmax(size, abs(result.fun))))


@quiet
def estimate_noise(
    fun: Fun,
    x0: ArrayLike,
    *,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    vectorized: bool = False,
    rng: np.random.Generator | int | None = None,
) -> float:
    """Estimate the noise level of a function: the standard deviation of its values about a smooth function.

    Parameters
    ----------
    fun, x0, args, kwargs, vectorized
        As in `hessian`.
    rng : Generator or int, optional
        For the direction in which f is looked at; fixed by default.

    Returns
    -------
    float
        At least half an eps of |f(x0)|: what `hessian` takes as its `noise`.

    Raises
    ------
    ValueError, TypeError
        Naming the argument.

    Notes
    -----
    ECnoise [1]_: 7 evaluations on a line, so close together that a smooth function contributes nothing to the higher
    differences; 6 more for each wider spacing where f turns out to be quantised.

    References
    ----------
    .. [1] J. J. Moré and S. M. Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011) 1292-1314.

    Examples
    --------
    >>> import numpy as np
    >>> import hessfast
    >>> rng = np.random.default_rng(0)
    >>> level = hessfast.estimate_noise(lambda x: x @ x + 1e-6 * rng.standard_normal(), [1.0, 2.0])
    >>> 2e-7 < level < 5e-6
    True
    """
    with bind(fun, x0, args=args, kwargs=kwargs, vectorized=vectorized) as problem:
        team = problem.fun
        assert team is not None
        everywhere = box(None, problem.x)
        axes = make_axes(problem.x, problem.axes, everywhere.lower, everywhere.upper)
        random = None if rng is None else _generator(rng)
        return drive(tables.measure(problem.x, value_at(team), axes, rng=random), team).level
