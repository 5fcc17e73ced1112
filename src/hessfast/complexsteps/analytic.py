"""Whether a function is analytic as far as complex steps need it: looks at complex points against real ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hessfast.arguments import not_analytic
from hessfast.calls.points import Rows, Search
from hessfast.scale import EPS, ORDINARY, TINY, Sizes, find_sizes, unit_of

Array = NDArray[np.float64]
Axes = NDArray[np.int32]
Complex = NDArray[np.complex128]

IMAGINARY = 2.0**-664  # ~ 1e-200: its square vanishes against anything, and dividing by it is exact


def check_analytic(
    x: Array, name: str, axes: Axes, room: Array, x_scale: Array | None = None
) -> Search[tuple[Array, Array]]:
    """Return f(x), or g(x), after making sure that it is analytic along a random direction v, and the sizes of x.

    Parameters
    ----------
    x : ndarray, shape (n,)
    name : str
        Of the function, as refusals call it.
    axes : ndarray of int32, shape (m,)
    room : ndarray, shape (m,)
        How far each coordinate can go to both sides.
    x_scale : ndarray, shape (m,), optional

    Raises
    ------
    ValueError
        Naming the test that failed: f casts, raises or returns real numbers at a complex point; its real part beside
        the real axis is not the one on it; the imaginary part is not the derivative.

    Notes
    -----
    5 evaluations: f(x), f(x + i h v), f(x - s v), f(x + s v), f(x + 2 s v). The last three are made anew, shorter,
    while the differences of second and third order do not agree. Coordinates to which their `room` inside the bounds
    leaves no such step stay where they are. Where sizes have a gap f is asked for them, and the second once more.
    """
    signs = np.random.default_rng(20080304).choice((-1.0, 1.0), axes.size)
    size = ORDINARY.of(x[axes]) if x_scale is None else x_scale
    v = direction(x.size, axes, room, signs, size)
    centre = np.asarray((yield Rows(x[None, :], "origin"))[0])
    if not np.isfinite(centre).all():
        raise ValueError(f"{name}: is not finite at x0")
    beside = yield from _beside(x, v)
    if not np.isfinite(beside).all():
        raise not_analytic(name, "is not finite beside the real axis")
    if np.any(np.abs(beside.real - centre) > (yield from _real_part_tolerance(x, v, centre, beside))):
        raise not_analytic(name, "has another real part beside the real axis than on it")
    if x_scale is None:
        found = yield from _sizes(x, axes, room, centre)
        if found is not ORDINARY:
            size = found.of(x[axes])
            v = direction(x.size, axes, room, signs, size)
            beside = yield from _beside(x, v)
    if not (yield from _is_derivative(x, v, centre, beside.imag / IMAGINARY)):
        raise not_analytic(name, "has an imaginary part beside the real axis that is not its derivative")
    return centre, size


def direction(n: int, axes: Axes, room: Array, signs: Array, size: Array) -> Array:
    """Return a direction with the unit of each coordinate that has room for it, and the signs given."""
    unit = unit_of(size)
    v = np.zeros(n)
    v[axes] = np.where(room > 2.0**-9 * unit, signs * unit, 0.0)
    return v


def _beside(x: Array, v: Array) -> Search[Complex]:
    """Ask beside the real axis."""
    return np.asarray((yield Rows((x + 1j * IMAGINARY * v)[None, :], "calibration"))[0])


def _sizes(x: Array, axes: Axes, room: Array, centre: Array) -> Search[Sizes]:
    """Find the sizes of coordinates next to zero, from d'Hd along lines of complex points, or of gradients."""

    def change(d: Array) -> Search[tuple[float, float]]:
        moved = np.zeros(x.size)
        moved[axes] = np.clip(d, -room, room)
        if centre.ndim:
            g = (yield Rows((x + moved)[None, :], "calibration", curious=True))[0]
            return float(moved @ (g - centre)), float(EPS * np.abs(moved) @ np.maximum(np.abs(g), np.abs(centre)))
        ends = yield Rows(np.array([x + (1 + 1j) * moved, x - (1 + 1j) * moved]), "calibration", curious=True)
        # What is nothing even against the rounding of the rounding of f is nothing by which f notices a coordinate.
        return float(ends.imag.sum() / 2), float(EPS * np.abs(ends.imag).sum() + EPS**2 * abs(float(centre)) + TINY)

    return find_sizes(x[axes], change, power=2)


def _is_derivative(x: Array, v: Array, centre: Array, derivative: Array) -> Search[bool]:
    """Whether real differences along v contradict the derivative.

    They do where they differ from it by more than from each other: in order (the second from the third), and in a step
    four times as long, which their own noise does not survive. Where no step makes them agree they say nothing, nor
    where f changes by far more than it could by a wrong derivative, as next to a minimum. Terms of f that round to
    nothing at x are as large as f was seen to be at longer steps.
    """
    largest = np.abs(centre)
    for exponent in (-12, -19, -26, -33):
        s = 2.0**exponent
        behind, ahead, further = yield Rows(x + s * np.array([[-1.0], [1.0], [2.0]]) * v, "calibration")
        second = (ahead - behind) / (2 * s)
        third = (6 * ahead - 3 * centre - 2 * behind - further) / (6 * s)
        largest = np.fmax(largest, np.fmax(np.abs(ahead), np.abs(behind)))
        doubt = np.abs(second - third) + 64 * EPS * largest / s
        if not (np.any(third != 0.0) and np.all(doubt <= 1e-3 * np.max(np.abs(third)))):
            continue
        apart = np.abs(derivative - second)
        doubt += 1e-3 * np.maximum(np.abs(ahead - centre), np.abs(behind - centre)) / s
        if np.all(apart <= 3 * doubt):
            return True
        behind, ahead = yield Rows(x + 4 * s * np.array([[-1.0], [1.0]]) * v, "calibration")
        agree = np.abs((ahead - behind) / (8 * s) - second) < 0.1 * apart
        return not np.any(agree & (apart > 3 * doubt))
    return True


def _real_part_tolerance(x: Array, v: Array, centre: Array, beside: Complex) -> Search[Array]:
    """Return 64 eps |f|; where that is too little, what f changes over 2^-40 v, or the rounding of its terms.

    Complex elementary functions round otherwise than real ones: at a zero of f, a sum of small residuals or of terms
    that vanish there, that is not small against f itself. Those are as large as f may be at x + v, as its change over
    2^-12 v tells.
    """
    tolerance = 64 * EPS * np.abs(centre)
    if np.any(np.abs(beside.real - centre) > tolerance):
        t = np.array([[-(2.0**-40)], [2.0**-40], [-(2.0**-12)], [2.0**-12]])
        moved = yield Rows(x + t * v, "calibration")
        change = np.max(np.abs(moved - centre).reshape(2, 2, *np.shape(centre)), axis=1)
        tolerance = tolerance + np.fmax(4 * change[0], 2.0**24 * EPS * change[1])
    return np.asarray(tolerance)
