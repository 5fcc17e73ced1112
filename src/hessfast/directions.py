"""Curvature along a direction without the Hessian: vᵀHv with its error bar, for any number of variables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hessfast.alarms import alarm
from hessfast.algebra import vectors
from hessfast.algebra.vectors import Vector
from hessfast.arguments import checked_order, given_step, no_value, noise_given, plain, real_vector
from hessfast.arithmetic import quiet
from hessfast.calls.line import Neighbourhood
from hessfast.calls.points import OnLine, Search
from hessfast.calls.run import drive
from hessfast.gradients.balance import first_look, is_known, is_suspect, roughness, search_from, without_chance
from hessfast.gradients.line import HEADROOM, SAME, SHORT_LEVEL, Differences, SlopeCurvatures, richardson
from hessfast.lines import Floats, Lines
from hessfast.problem import Fun, Jac, surround
from hessfast.resolution import MATTERS, TENTH, seen_at
from hessfast.results import CurvatureResult, CurvatureStatus
from hessfast.scale import EPS
from hessfast.values import plateaus
from hessfast.values.line import AlongLine, Line, at_given_step, curvature_along
from hessfast.values.noise import ROUNDING, NoiseModel
from hessfast.values.policy import LINE_POLICY

__all__ = ["curvature"]

_ALIKE = 8.0
"""Ratio of the steps by which coordinates move by their own size, up to which long steps on a line say something."""

_SMALLEST_UNIT = 2.0**-400
"""Units of the line below this, or above its inverse, are brought near 1 by scaling the direction."""


@quiet
def curvature(
    fun: Fun | None,
    x0: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    jac: Jac = None,
    order: int = 4,
    rel_step: float | None = None,
    abs_step: float | None = None,
    noise: float | None = None,
    x_scale: npt.ArrayLike | None = None,
    bounds: Any = None,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    vectorized: bool = False,
    workers: int | None = None,
    on_error: Any = "raise",
) -> CurvatureResult:
    """Estimate the curvature vᵀHv of a function along a direction, without its Hessian.

    Parameters
    ----------
    fun : callable or native function
        ``fun(x, *args, **kwargs) -> float``, as in `hessian`. May be None where `jac` is callable.
    x0 : array_like, shape (n,)
        Where. A contiguous float64 or float32 array, memory maps included, is read in place.
    v : array_like, shape (n,) or (k, n)
        Direction, or one direction a row; any length: vᵀHv is quadratic in it.
    jac : callable, native function or True, optional
        Gradient, ``jac(x, *args, **kwargs) -> (n,)``, float64 or float32; True where `fun` returns (f, g).
    order : {2, 4, 6, 8}
        Order of the central difference; 1, the forward difference, with `jac` and a given step.
    rel_step, abs_step : float, optional
        Exactly this step: the cheap mode, without search. `abs_step` is t in x0 ± t v, `rel_step` is in units of the
        line's natural unit. 2**-26, 2**-17 and 2**-10 suit an accurate gradient at orders 1, 2 and 4; 2**-13 and
        2**-9 an accurate f at orders 2 and 4.
    noise : float, optional
        Standard deviation of the noise of `fun`, where it is known; it is then not measured.
    x_scale : float or array_like, shape (n,), optional
        Typical sizes of the coordinates, where |x0_i| misleads; otherwise found out where sizes have gaps.
    bounds : object with lb and ub, tuple (lb, ub), list of tuples or array of shape (n, 2), optional
        Where `fun` may be evaluated; no point outside is. Points lie on both sides of x0; where bounds leave no room
        for that along a direction, values of `fun` on one side give vᵀHv, and with `jac` it is nan.
    args : tuple, optional
    kwargs : mapping, optional
        Further arguments of `fun` and `jac`.
    vectorized : bool
        Whether `fun` and `jac` take points as columns.
    workers : int, optional
        Threads for passes over vectors of some 10⁵ coordinates and more; `fun` is called from one thread.
    on_error : "raise", exception type or tuple of them
        Exceptions of `fun` that count as a wall, like a value that is not finite.

    Returns
    -------
    CurvatureResult
        ``float(result)`` is vᵀHv; arrays for a batch.

    Raises
    ------
    ValueError, TypeError
        Naming the argument. Exceptions of `fun` come out as themselves, with a note of the point.

    Warns
    -----
    AccuracyWarning
        Where a value is not known: no step gave finite values, its bar exceeds a tenth of it and matters (see
        `CurvatureResult`, `resolved`), `fun` answers differently each time, or has another curvature at long steps than
        at short ones. Not where steps were given.

    Notes
    -----
    The points are x0 + t v, t = 2^k u with u the natural unit of the line: exp(Σ w_i² ln(typ_i / |w_i|)) / ‖v‖ with
    w = v / ‖v‖ and typ_i = |x0_i|, or 1 where that is 0. The level k is foretold by two differences and corrected, and
    the central difference is extrapolated once more than `order` says, from values twice.

    Cost of the search: some 22 evaluations of f, up to 34 where lengths or noise are unusual, or 10 of its gradient,
    and 2 to 16 more where that may be rough; with a given step 1 + `order` of f, or `order` of the gradient (2 at order
    1). The sign is certain where `status` is POSITIVE or NEGATIVE. Memory beside the arguments and what `fun`
    allocates: one vector of n numbers, three with a gradient that fills its own array.

    Examples
    --------
    >>> import numpy as np
    >>> import hessfast
    >>> x = np.linspace(-1.0, 1.0, 1000)
    >>> result = hessfast.curvature(lambda x: np.sum(np.cosh(x)), x, np.ones(1000))
    >>> bool(abs(result.value - np.cosh(x).sum()) < result.error), result.status.name, result.nfev < 28
    (True, 'POSITIVE', True)
    >>> cheap = hessfast.curvature(None, x, np.ones(1000), jac=np.sinh, order=2, rel_step=2.0**-17)
    >>> round(float(cheap), 6), cheap.njev
    (1175.569465, 2)
    """
    order = checked_order(order)
    given = given_step(rel_step, abs_step)
    if order == 1 and (jac is None or jac is False or given[0] is None):
        raise ValueError("order: 1 is the forward difference of gradients at a given step; it needs jac and a step")
    noise = noise_given(noise)
    lines, around = surround(
        fun,
        x0,
        jac=jac,
        args=args,
        kwargs=kwargs,
        vectorized=vectorized,
        workers=workers,
        x_scale=x_scale,
        bounds=bounds,
        on_error=on_error,
    )
    rows = plain("v", v)
    n = lines.x.size
    if rows.ndim != 2:
        found = [drive(_along(lines, real_vector(rows, "v", n), order, given, noise), around)]
    else:
        if rows.shape[1] != n or len(rows) == 0:
            raise ValueError(f"v: shape {(n,)} or (k, {n}) expected, got {rows.shape}")
        found = drive(_each(lines, rows, order, given, noise), around)
    result = _result(around, found, single=rows.ndim != 2)
    if not result.success:
        _warn(found, lines.within is not None, lines.gradient)
    return result


@dataclass(frozen=True, slots=True)
class _Along:
    """What was found along one direction."""

    value: float
    error: float
    step: float
    resolved: bool = True
    random: bool = False
    rough: bool = False

    @property
    def status(self) -> CurvatureStatus:
        if not math.isfinite(self.value) or self.error == math.inf:
            return CurvatureStatus.NOT_FINITE
        if math.isnan(self.error):
            return CurvatureStatus.UNVERIFIED
        if self.random:
            return CurvatureStatus.RANDOM
        if self.rough:
            return CurvatureStatus.ROUGH
        if abs(self.value) <= self.error:
            return CurvatureStatus.UNRESOLVED
        return CurvatureStatus.POSITIVE if self.value > 0.0 else CurvatureStatus.NEGATIVE


def _each(
    lines: Lines, rows: npt.NDArray[Any], order: int, given: tuple[float | None, bool], noise: float | None
) -> Search[list[_Along]]:
    """Look along each of the rows; f(x) is asked for once."""
    f0 = None if lines.gradient else (yield from lines.here())
    found = []
    for row in rows:
        found.append((yield from _along(lines, real_vector(row, "v", lines.x.size), order, given, noise, f0)))
    return found


def _along(
    lines: Lines,
    v: Vector,
    order: int,
    given: tuple[float | None, bool],
    noise: float | None,
    f0: float | None = None,
) -> Search[_Along]:
    """Look along v."""
    unit = yield from lines.unit(v)
    if unit == 0.0:
        return _Along(0.0, 0.0, 0.0)
    step, relative = given
    if not _SMALLEST_UNIT < unit < 1.0 / _SMALLEST_UNIT:  # its square would leave the range of numbers
        return (yield from _along_scaled(lines, v, math.frexp(unit)[1] - HEADROOM, order, given, noise, f0))
    if step is not None:
        unit = step * unit if relative else step
        if not 0.0 < unit < math.inf:
            raise ValueError(
                f"{'rel_step' if relative else 'abs_step'}: leaves the range of float64 along this direction"
            )
        reach = unit if order == 1 else 2.0 ** (order // 2 - 1) * unit
        if min(lines.room(v)) < reach:
            raise ValueError(f"{'rel_step' if relative else 'abs_step'}: points at x0 ± {reach:.3g} v leave the bounds")
    if order == 1:
        return _Along((yield from _forward(lines, v, unit)), math.nan, unit)
    if lines.gradient:
        differences = SlopeCurvatures(lines, v, unit)
        if step is not None:
            value, error = yield from _at_given_step(differences, order // 2, noise)
            return _Along(value, error, unit)
        return (yield from _from_gradients(differences, order))
    f0 = float((yield from lines.here()) if f0 is None else f0)
    if not math.isfinite(f0):
        raise no_value(f0)
    line = Line(lines.x, v, unit, *lines.reaches(v), *lines.room(v))
    if step is not None:
        value, error = yield from at_given_step(line, f0, order, unit, noise)
        return _Along(value, error, unit)
    return (yield from _from_values(lines, line, f0, order, noise))


def _from_gradients(differences: SlopeCurvatures, order: int) -> Search[_Along]:
    """Search the step; say whether the value is known, and whether chance had a part in it."""
    look, balance = yield from first_look(differences)
    found = yield from search_from(differences, order, look, balance)
    if is_suspect(differences, look.noise, found.value):
        spread = yield from differences.spread()
        if spread > SAME * differences.floor:
            found = yield from without_chance(differences, order // 2, look, found, spread)
    value, error, unit = found.value, found.error, differences.unit
    resolved = is_known(error, abs(value), TENTH, found.turned)
    if not resolved and math.isfinite(error):
        bend = max(abs(differences.D.get(found.level + offset, 0.0)) for offset in range(order // 2 + 1))
        seen_within = max(abs(d) * differences.step(level) ** 2 for level, d in differences.D.items() if level <= 0)
        resolved = _matters_little(error, unit, max(abs(differences.slope()) * unit, bend * unit**2, seen_within))
    off, vague = yield from roughness(differences, look, found)
    return _with_roughness(value, error, differences.step(found.level), resolved, found.random, off, vague)


def _from_values(lines: Lines, line: Line, f0: float, order: int, noise: float | None) -> Search[_Along]:
    """Do the same from values: steps that are too short for an f smooth over the unit may be in its ripples."""
    model = None if noise is None else NoiseModel(f0, noise, ROUNDING)
    found = yield from curvature_along(line, f0, order + 2, model)
    value, error = found.value, found.error
    resolved = is_known(error, abs(value), TENTH, 0.0)
    if not resolved and math.isfinite(error):
        resolved = _matters_little(error, line.unit, max(found.change, seen_at(4) * abs(f0)))
    off = vague = 0.0
    if noise is None and not found.random and found.rung <= SHORT_LEVEL:
        seen = yield from _roughness(lines, line, found)
        if seen is not None:
            off, vague = abs(seen.curvature - value), seen.change
    return _with_roughness(value, error, found.step, resolved, found.random, off, vague)


def _matters_little(error: float, unit: float, change: float) -> bool:
    """Whether an error is nothing against the change of f over the unit of the line."""
    return error * unit * unit <= MATTERS * change


def _with_roughness(
    value: float, error: float, step: float, resolved: bool, random: bool, off: float, vague: float
) -> _Along:
    """Let the bar cover both curvatures where long steps show another one, so far off and so vague."""
    if off + vague > 0.0:
        bar = off + vague + error
        return _Along(value, bar, step, bar <= TENTH * abs(value), rough=off + vague > TENTH * abs(value))
    return _Along(value, error, step, resolved, random)


def _roughness(lines: Lines, line: Line, found: AlongLine) -> Search[plateaus.Roughness | None]:
    """Look at steps within which each coordinate moves by less than its size, where the bounds have room for them."""
    least, largest = lines.lengths(line.v)
    unit = min(line.unit, least)
    if largest > _ALIKE * least or min(line.up, line.down) < 0.25 * unit:
        return None

    def ask(steps: Floats) -> Search[tuple[Floats, Floats]]:
        t = [sign * step * unit for sign in (1.0, -1.0) for step in steps.tolist()]
        values = np.array((yield OnLine(line.x, line.v, t, "calibration", curious=True)))
        return values[: steps.size], values[steps.size :]

    seen = yield from plateaus.roughness(ask, found.value * unit * unit, found.error * unit * unit, found.noise)
    return seen and plateaus.Roughness(seen.height, seen.curvature / (unit * unit), seen.change / (unit * unit))


def _along_scaled(
    lines: Lines,
    v: Vector,
    exponent: int,
    order: int,
    given: tuple[float | None, bool],
    noise: float | None,
    f0: float | None,
) -> Search[_Along]:
    """Look along v 2^exponent instead; what vᵀHv itself cannot be in float64 comes out as inf or 0."""
    step, relative = given
    if step is not None and not relative:
        given = float(np.ldexp(step, -exponent)), False
    scaled: Vector = np.ldexp(v.astype(np.float64), exponent)
    found = yield from _along(lines, scaled, order, given, noise, f0)
    value, error = (float(number) for number in np.ldexp([found.value, found.error], -2 * exponent))
    return replace(found, value=value, error=error, step=float(np.ldexp(found.step, exponent)))


def _forward(lines: Lines, v: Vector, t: float) -> Search[float]:
    gradients = yield OnLine(lines.x, v, (t, 0.0))
    here, there = gradients.pop(), gradients.pop()
    return vectors.dot_difference(v, there, here, lines.threads) / t


def _at_given_step(differences: Differences[float], q: int, noise: float | None) -> Search[tuple[float, float]]:
    """Extrapolate over q levels from 0; the change from q - 1 levels bounds the truncation error, no change is nan."""
    yield from differences.see(range(q))
    value = differences.combine(0, richardson(q))
    if q == 1:
        return value, math.nan
    change = value - differences.combine(0, richardson(q - 1))
    level = noise if noise is not None else LINE_POLICY.rounding_bar * differences.floor
    return value, abs(change) + 3.0 * differences.condition(0, q, level) + 4.0 * EPS * abs(value)


def _result(around: Neighbourhood, found: list[_Along], single: bool) -> CurvatureResult:
    gradient = around.evaluator.gradient
    nfev, njev = (0, around.evaluator.nfev) if gradient else (around.evaluator.nfev, 0)
    if single:
        one = found[0]
        return CurvatureResult(one.value, one.error, one.step, nfev, njev, one.status, one.resolved)
    value, error, step = np.array([(one.value, one.error, one.step) for one in found]).T.copy()
    status = np.empty(len(found), dtype=object)
    status[:] = [one.status for one in found]
    return CurvatureResult(value, error, step, nfev, njev, status, np.array([one.resolved for one in found]))


def _warn(found: list[_Along], bounded: bool, gradient: bool) -> None:
    """Say what is not known, and what to do."""
    status = [one.status for one in found]
    lost, random, rough = (
        status.count(kind) for kind in (CurvatureStatus.NOT_FINITE, CurvatureStatus.RANDOM, CurvatureStatus.ROUGH)
    )
    unknown = [one for one in found if not one.resolved and one.status is not CurvatureStatus.NOT_FINITE]
    parts = []
    where = "x0 may stand on a bound: points lie on both sides of it" if bounded else "`bounds=` says where it may be"
    smooth = "`abs_step=`, longer than the ripples," if gradient else "`noise=`, the height of the roughness,"
    for count, kind, advice in (
        (lost, CurvatureStatus.NOT_FINITE, where),
        (random, CurvatureStatus.RANDOM, "fix its random numbers, or give their size by `noise=`"),
        (rough, CurvatureStatus.ROUGH, f"{smooth} asks for the smooth one"),
    ):
        if count:
            parts.append(f"{kind.message} in {count} of {len(found)} directions; {advice}")
    if unknown:
        worst = max(unknown, key=lambda one: one.error / max(abs(one.value), one.error * 1e-9))
        which = f"{worst.value:.3g} ± {worst.error:.2g}"
        one_alone = f"the value {which} is not known"
        said = one_alone if len(found) == 1 else f"{len(unknown)} of {len(found)} are not known, the worst {which}"
        parts.append(
            f"{said}; fixed random numbers, tighter tolerances{'' if gradient else ' or `jac=`'} give more digits, "
            "`x_scale=` helps where |x0| misleads, `noise=` where f is rough; nothing does on a kink"
        )
    alarm("curvature", "; ".join(parts))
