"""Functions that are smooth only from afar: solvers, fixed paths, tables, ripples, jumps, short numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from problems import jets
from problems.states.optima import stand
from problems.states.state import Chooser, Floats, State, member
from problems.states.terms import Terms, separate


def fitted(
    fun: Callable[[Any], Any], x0: Floats, widths: Floats, degree: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return gradient and Hessian of the polynomial that fits fun over x0 ± widths, n = 1 or 2."""
    n = x0.size
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i) if n == 2 or j == 0]
    u = rng.uniform(-1, 1, (6 * len(powers), n)) if n == 2 else np.cos(np.pi * (np.arange(60) + 0.5) / 60)[:, None]
    values = np.array([fun(x0 + widths * one) for one in u])
    basis = np.stack([u[:, 0] ** i * (u[:, -1] ** j if n == 2 else 1.0) for i, j in powers], axis=1)
    found = dict(zip(powers, np.linalg.lstsq(basis, values, rcond=None)[0], strict=True))
    if n == 1:
        return np.array([found[1, 0]]) / widths, np.array([[2 * found[2, 0]]]) / widths**2
    H = np.array([[2 * found[2, 0], found[1, 1]], [found[1, 1], 2 * found[0, 2]]])
    return np.array([found[1, 0], found[0, 1]]) / widths, H / np.outer(widths, widths)


def from_afar(
    fun: Callable[[Any], Any], x0: Floats, lengths: Floats, grad: Floats, hess: Floats, choose: Chooser, **fields: Any
) -> State:
    """Return a state whose truth lies between the smooth model's and what a wide fit of fun itself shows."""
    wide, H_wide = fitted(fun, x0, 0.3 * lengths, 6, choose.rng)
    _, H_other = fitted(fun, x0, 0.2 * lengths, 4, choose.rng)
    return State(
        fun=fun,
        jac=None,
        x0=x0,
        grad=(grad + wide) / 2,
        hess=(hess + H_wide) / 2,
        lengths=lengths,
        slack=np.abs(hess - H_wide) / 2 + np.abs(H_wide - H_other),
        slope_slack=np.abs(grad - wide),
        smooth=False,
        **fields,
    )


class Kept:
    """A slow function that remembers its values."""

    def __init__(self, fun: Callable[[Any], float]) -> None:
        self.fun, self.values = fun, dict[bytes, float]()

    def __call__(self, x: Any) -> float:
        key = np.asarray(x).tobytes()
        if key not in self.values:
            self.values[key] = self.fun(x)
        return self.values[key]


def bogacki_shampine(
    slope: Callable[[float], float], y: float, span: float, rtol: float, h: float
) -> tuple[float, float]:
    """Return y after `span` by an adaptive pair of orders 3 and 2, and the step it would take next."""
    t, k1 = 0.0, slope(y)
    while t < span:
        last = t + h >= span
        step = span - t if last else h
        k2 = slope(y + step / 2 * k1)
        k3 = slope(y + 3 * step / 4 * k2)
        new = y + step * (2 * k1 + 3 * k2 + 4 * k3) / 9
        k4 = slope(new)
        error = step * abs(-5 * k1 + 6 * k2 + 8 * k3 - 9 * k4) / 72 / (rtol * max(abs(y), abs(new)) + 1e-3 * rtol)
        factor = 0.9 * max(error, 1e-10) ** (-1 / 3)
        if error < 1:
            t, y, k1 = (span if last else t + step), new, k4
            if not last or error > 0.5:
                h = step * min(10.0, factor)
        else:
            h = step * max(0.2, factor)
    return y, h


@member("roughness", 2)
def growth(choose: Chooser) -> State:
    """A fit of logistic growth, integrated with loose tolerances by a solver that chooses its own steps."""
    n = choose.one_of(1, 2)
    rate, capacity, y0 = choose.between(0.3, 3), choose.between(1, 30), 0.3
    times = np.linspace(0.6, 6, 6) / rate
    rtol = choose.between(1e-5, 1e-2)
    x0 = np.array([rate, capacity])[:n]

    def exact(x: Any) -> Any:
        K = x[1] if n == 2 else capacity
        return K / (1 + (K / y0 - 1) * np.exp(-x[0] * times))

    data = exact(x0) * (1 + 0.03 * choose.rng.standard_normal(times.size))

    def smooth(x: Any) -> Any:
        r = exact(x) - data
        return (r * r).sum()

    def fun(x: Any) -> float:
        r, K = float(x[0]), float(x[1]) if n == 2 else capacity
        y, t, h, total = y0, 0.0, 0.05 / r, 0.0
        for end, seen in zip(times.tolist(), data.tolist(), strict=True):
            y, h = bogacki_shampine(lambda y: r * y * (1 - y / K), y, end - t, rtol, h)
            total, t = total + (y - seen) ** 2, end
        return total

    grad, hess = jets.derivatives(smooth, x0)
    return from_afar(Kept(fun), x0, x0 * 0.6, grad, hess, choose, noise=rtol, kind=f"own steps {rtol:.0e}")


@member("roughness", 0.12)
def decay(choose: Chooser) -> State:
    """A fit of a decay chain by SciPy's solvers with loose tolerances."""
    from scipy.integrate import solve_ivp

    rate, method, rtol = choose.between(0.3, 3), choose.one_of("BDF", "RK23", "LSODA"), choose.one_of(1e-3, 1e-4)
    times = np.linspace(0.3, 3, 5) / rate
    x0 = np.array([rate])
    data = np.exp(-rate * times) * (1 + 0.03 * choose.rng.standard_normal(5))

    def smooth(x: Any) -> Any:
        r = np.exp(-x[0] * times) - data
        return (r * r).sum()

    def fun(x: Any) -> float:
        rate = float(x[0])
        y = solve_ivp(
            lambda t, y: -rate * y, (0, times[-1]), [1.0], method=method, t_eval=times, rtol=rtol, atol=1e-6
        ).y[0]
        return float(((y - data) ** 2).sum())

    grad, hess = jets.derivatives(smooth, x0)
    return from_afar(Kept(fun), x0, x0, grad, hess, choose, noise=rtol, kind=f"{method} {rtol:.0e}")


@member("roughness")
def fixed_paths(choose: Chooser) -> State:
    """Σ mean max(x − z, 0) − p x over fixed normal z: its curvature is the density of z, seen from afar."""
    from scipy.special import ndtr, ndtri

    n, paths = choose.one_of(1, 2), int(choose.between(300, 20000))
    z = np.sort(choose.rng.standard_normal((n, paths)), axis=1)
    sums = np.concatenate([np.zeros((n, 1)), np.cumsum(z, axis=1)], axis=1)
    p = choose.rng.uniform(0.2, 0.8, n)
    x0 = ndtri(p) + (0.0 if choose.chance(0.5) else 0.3 * choose.rng.standard_normal(n))

    def fun(x: Any) -> float:
        total = 0.0
        for i in range(n):
            k = int(np.searchsorted(z[i], x[i]))
            total += (k * x[i] - sums[i, k]) / paths - p[i] * x[i]
        return float(total)

    hess = np.diag(np.exp(-(x0**2) / 2) / np.sqrt(2 * np.pi))
    return from_afar(fun, x0, np.ones(n), ndtr(x0) - p, hess, choose, noise=1 / paths, kind=f"{paths} paths")


def smooth_sum(choose: Chooser) -> tuple[Terms, Floats]:
    """Return a sum of curves of length 1 and a point."""
    n = int(choose.rng.integers(1, 4))
    centre = choose.rng.uniform(0.5, 5, n) * choose.signs(n)
    names = [choose.one_of("log_cosh", "cosine", "well", "student", "quartic", "cosh", "hypot") for _ in range(n)]
    f = Terms(choose.one_of(0.0, 1.0, 10.0), centre, separate(names, np.ones(n), np.ones(n)))
    x0 = stand(choose, centre, np.ones(n))
    return f, x0


def rough(
    f: Terms, x0: Floats, fun: Any, jac: Any = None, noise: float = 0.0, slack: Any = 0.0, kind: str = ""
) -> State:
    return State(
        fun=fun,
        jac=jac,
        x0=x0,
        grad=f.jac(x0),
        hess=f.hess(x0),
        lengths=np.ones(x0.size),
        noise=noise + f.rounding(x0),
        slack=slack,
        smooth=False,
        kind=kind,
    )


@member("roughness")
def table(choose: Chooser) -> State:
    """Each term looked up in a table, straight lines between its entries."""
    f, x0 = smooth_sum(choose)
    spacing = choose.between(1e-4, 0.05)
    grid = np.arange(-6, 6, spacing) + choose.rng.uniform(0, spacing)
    tables = [(i, phi(grid)) for (phi, _, _), _, A in f.blocks for i in np.flatnonzero(A.any(axis=0))]

    def fun(x: Any) -> float:
        away = x - f.centre
        return f.constant + sum(float(np.interp(away[i], grid, entries)) for i, entries in tables)

    return rough(
        f, x0, fun, noise=spacing**2 / 8, slack=0.3 * spacing**2 * np.eye(x0.size), kind=f"table {spacing:.0e}"
    )


@member("roughness")
def egg_box(choose: Chooser) -> State:
    """A ripple A Σ sin(2π x/p) on top, as grids leave in energies."""
    f, x0 = smooth_sum(choose)
    period = choose.between(0.005, 0.12)
    wave = 2 * np.pi / period
    height = choose.between(1e-3, 1) / wave**2  # the ripple's own curvature: 1e-3 … 1
    return rough(
        f,
        x0,
        lambda x: f(x) + height * np.sin(wave * x).sum(),
        lambda x: f.jac(x) + height * wave * np.cos(wave * x),
        noise=height,
        kind=f"{height:.0e} every {period:.0e}",
    )


@member("roughness")
def jumps(choose: Chooser) -> State:
    """A saw tooth, or cells of constant height, of 1e-9 … 1e-5 every 1e-4 … 1e-2."""
    f, x0 = smooth_sum(choose)
    height, period, saw = choose.between(1e-9, 1e-5), choose.between(1e-4, 1e-2), choose.chance(0.5)

    def fun(x: Any) -> float:
        u = x / period
        cell = np.floor(u)
        return float(f(x) + height * (u - cell if saw else np.sin(12.9898 * cell)).sum())

    return rough(f, x0, fun, noise=height, kind=f"{height:.0e} every {period:.0e}")


@member("roughness")
def short_numbers(choose: Chooser) -> State:
    """float32 inside, values rounded to so many places, or printed to so many digits."""
    f, x0 = smooth_sum(choose)
    way = choose.one_of("float32", "places", "digits")
    places = int(choose.rng.integers(4, 9))

    def narrow(x: Any) -> Any:
        away = x.astype(np.float32) - f.centre.astype(np.float32)
        return f.constant + sum(
            (a.astype(np.float32) * phi(A.astype(np.float32) @ away)).sum() for (phi, _, _), a, A in f.blocks
        )

    def fun(x: Any) -> float:
        if way == "float32":
            return float(np.float32(narrow(x)))
        return float(round(float(f(x)), places)) if way == "places" else float(f"{float(f(x)):.{places}g}")

    noise = {"float32": 6e-8, "places": 10.0**-places, "digits": 10.0 ** (1 - places)}[way] * (1 + abs(float(f(x0))))
    jac = (lambda x: f.jac(x).astype(np.float32).astype(np.float64)) if way == "float32" else None
    return rough(f, x0, fun, jac, noise=noise, kind=f"{way} {places if way != 'float32' else ''}")
