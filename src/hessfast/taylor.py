"""The second-order Taylor model along -g, and the step length that minimises it, with a certificate."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hessfast.hessian import hessian
from hessfast.results import StepResult, StepStatus, TaylorTerms
from hessfast.symmetric import as_symmetric

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

    from hessfast.problem import Fun, Jac

__all__ = ["TaylorModel", "optimal_step"]

Floats = npt.NDArray[np.float64]


def optimal_step(
    g: npt.ArrayLike,
    H: object = None,
    *,
    gHg: npt.ArrayLike | None = None,
    error: npt.ArrayLike | None = None,
    g_error: npt.ArrayLike | None = None,
    max_step: float | None = None,
) -> StepResult:
    """
    Find the step length that minimises the second-order model along -g, and say how certain it is.

    Parameters
    ----------
    g : array_like, shape (n,) or (k, n)
        Gradient, or one gradient a row.
    H : optional
        Symmetric matrix: array (n, n), of which the lower triangle counts, stack (k, n, n), packed lower
        triangle, memmap, operator with `matvec` or `matmat`, or callable v -> Hv. Either `H` or `gHg`.
    gHg : float or array_like, shape (k,), optional
        The curvature gᵀHg itself, found elsewhere.
    error : float or array_like, shape (k,), optional
        Absolute error bar of gᵀHg. Default: the rounding bound of its sum with `H`, 0 with `gHg`.
    g_error : float or array_like, shape (n,) or (k, n), optional
        Error bar of g: of its norm, or of each component. Default 0.
    max_step : float, optional
        Longest step length to return.

    Returns
    -------
    StepResult
        ``float(result)`` is the step length. Its status:

        DESCENT
            gᵀHg > 0: the step length gᵀg / gᵀHg is the model's minimiser along -g.
        FLAT
            g = 0, or |g| at or below `g_error`: 0.0.
        NEGATIVE_CURVATURE
            gᵀHg <= 0: the model falls without bound: inf, or `max_step`.
        UNRESOLVED
            |gᵀHg| below its error bar: `max_step`, or nan with a RuntimeWarning.

    Raises
    ------
    ValueError
        For NaN or inf in g, H or gHg, and for shapes that disagree.

    Notes
    -----
    f(x0 - s g) is modelled by f0 - s gᵀg + s² gᵀHg / 2, least at s = gᵀg / gᵀHg where gᵀHg > 0, and level
    with f0 again at twice that. g is scaled by a power of two first, so that gradients of 1e±160 neither
    overflow nor vanish. With an error bar e of D = gᵀHg the interval is [gᵀg / (D + e), gᵀg / (D - e)].

    Examples
    --------
    >>> import numpy as np
    >>> step = optimal_step([1.0, 2.0], np.diag([1.0, 4.0]))
    >>> float(step), step.status.name
    (0.29411764705882354, 'DESCENT')
    >>> optimal_step([1.0, 2.0], np.diag([1.0, -4.0])).step_length
    inf
    """
    g = _real(g, "g")
    if g.ndim not in (1, 2) or g.shape[-1] == 0:
        raise ValueError(f"g must have shape (n,) or (k, n), but it has {g.shape}")
    if (H is None) == (gHg is None):
        raise ValueError("give either H or gHg")
    single = g.ndim == 1
    G, exponent = _scale(np.atleast_2d(g))
    k, n = G.shape
    if H is not None:
        D, bar = as_symmetric(H, n, batch=None if single else k).quadratic_form(G)
        if not np.isfinite(D).all():
            raise ValueError("H must be finite and gᵀHg within float64, but gᵀHg came out as NaN or inf")
    else:
        given = _real(gHg, "gHg")
        if given.shape not in ((), (k,)):
            raise ValueError(f"gHg must have shape ({k},) to go with g, but it has {given.shape}")
        D, bar = _ldexp(np.broadcast_to(given, k), -2 * exponent), np.zeros(k)
    if error is not None:
        bar = _ldexp(np.broadcast_to(_bar(error, "error"), k), -2 * exponent)
    gg = _square(G)
    flat = _flat(gg, exponent, g_error, g)
    return _certify(gg, D, bar, exponent, flat, _positive(max_step, "max_step"), single)


def _certify(
    gg: Floats, D: Floats, bar: Floats, exponent: npt.NDArray[np.int64], flat: npt.NDArray[np.bool_],
    max_step: float | None, single: bool,
) -> StepResult:  # fmt: skip
    """Judge k directions from gg = ĝᵀĝ and D = ĝᵀHĝ ± bar, where g = 2^exponent ĝ."""
    unresolved = ~flat & (np.abs(D) < bar)
    negative = ~flat & ~unresolved & (D <= 0.0)
    with np.errstate(over="ignore", divide="ignore", under="ignore", invalid="ignore"):
        minimiser = np.where(flat, 0.0, np.where(unresolved, np.nan, np.where(negative, np.inf, gg / D)))
        lower = np.where(D + bar > 0.0, gg / (D + bar), np.inf)
        upper = np.where(D - bar > 0.0, gg / (D - bar), np.inf)
        interval = np.where(flat[:, None], 0.0, np.stack([lower, upper], axis=1))
        step = minimiser
        if max_step is not None:
            step = np.fmin(step, max_step)
            interval = np.minimum(interval, max_step)
        correction = np.where(D == 0.0, 0.0, 0.5 * step * D)
        decrease = np.where(flat, 0.0, _ldexp(step * (gg - correction), 2 * exponent))
    status = np.full(len(gg), StepStatus.DESCENT, dtype=object)
    status[flat], status[unresolved], status[negative] = (
        StepStatus.FLAT, StepStatus.UNRESOLVED, StepStatus.NEGATIVE_CURVATURE,
    )  # fmt: skip
    if max_step is None and unresolved.any():
        warnings.warn(
            f"gᵀHg is below its own error bar in {int(unresolved.sum())} of {len(gg)} directions: no step "
            "length there; give max_step, or a smaller error",
            RuntimeWarning,
            stacklevel=3,
        )
    columns = step, _ldexp(D, 2 * exponent), decrease, 2.0 * minimiser
    if single:
        length, curvature, decreased, uphill = (float(column[0]) for column in columns)
        ends = float(interval[0, 0]), float(interval[0, 1])
        return StepResult(length, status[0], ends, curvature, decreased, uphill)
    return StepResult(step, status, interval, columns[1], decrease, columns[3])


class TaylorModel:
    """
    The second-order model f(x0 + s) ≈ f0 + gᵀs + sᵀHs / 2.

    Parameters
    ----------
    x0 : array_like, shape (n,)
        Where the model is made.
    f0 : float
        f(x0).
    g : array_like, shape (n,)
        Gradient at x0.
    H
        Hessian at x0: symmetric array (n, n), checked once; packed lower triangle; memmap; operator with
        `matvec` or `matmat`; sparse matrix; or callable v -> Hv.
    error : float, optional
        Absolute error bar of gᵀHg. Default: the rounding bound of its sum.
    g_error : float or array_like, shape (n,), optional
        Error bar of g: of its norm, or of each component. Default 0.

    Attributes
    ----------
    x0, f0, g, H
        As given, the first three as float64.

    Raises
    ------
    ValueError
        For shapes that disagree, NaN or inf, and an H that is not symmetric.

    Examples
    --------
    >>> import numpy as np
    >>> model = TaylorModel([0.0, 0.0], 3.0, [1.0, 2.0], np.diag([1.0, 4.0]))
    >>> model.terms(0.25)
    TaylorTerms(position=3.0, direction=-1.25, curvature=0.53125)
    >>> model.along(0.25)
    2.28125
    >>> model.model(np.array([-1.0, -0.5]))
    2.0
    >>> model.newton_step()
    array([-1. , -0.5])
    """

    __slots__ = (
        *("x0", "f0", "g", "H"),
        *("_matrix", "_scaled", "_exponent", "_square", "_curvature", "_error", "_g_error"),
    )

    def __init__(
        self,
        x0: npt.ArrayLike,
        f0: float,
        g: npt.ArrayLike,
        H: object,
        *,
        error: float | None = None,
        g_error: npt.ArrayLike | None = None,
    ) -> None:
        self.x0 = _real(x0, "x0")
        self.g = _real(g, "g")
        if self.x0.ndim != 1 or self.x0.size == 0:
            raise ValueError(f"x0 must have shape (n,), but it has {self.x0.shape}")
        if self.g.shape != self.x0.shape:
            raise ValueError(f"g must have the shape of x0, {self.x0.shape}, but it has {self.g.shape}")
        value = _real(f0, "f0")
        if value.ndim:
            raise ValueError(f"f0 must be a number, but it has shape {value.shape}")
        self.f0 = float(value)
        self.H = H
        self._matrix = as_symmetric(H, self.g.size, check=True)
        self._scaled, self._exponent = _scale(self.g[None])
        self._square = _square(self._scaled)
        self._curvature: tuple[Floats, Floats] | None = None
        self._error = None if error is None else _bar(error, "error")
        self._g_error = None if g_error is None else _bar(g_error, "g_error")

    @classmethod
    def fit(cls, fun: Fun, x0: npt.ArrayLike, *, jac: Jac = None, **options: Any) -> TaylorModel:
        """
        Make the model of a function from its values, or from its gradient: f0, g and H from one sweep.

        Parameters
        ----------
        fun : callable
            f(x) -> float, or (f, g) with ``jac=True``.
        x0 : array_like, shape (n,)
            Where.
        jac : callable or True, optional
            The gradient.
        **options
            As `hessian` takes them. With `mask` the model is one of the chosen coordinates.

        Returns
        -------
        TaylorModel
            With the error bars that the sweep found: |g|ᵀE|g| for gᵀHg, E those of H.

        Examples
        --------
        >>> model = TaylorModel.fit(lambda x: x[0] ** 2 + 4.0 * x[1] ** 2, [1.0, 1.0])
        >>> round(float(model.step()), 9)
        0.130769231
        """
        if fun is None:
            raise ValueError("fun must be a function: a gradient alone does not give f0")
        r = hessian(fun, x0, jac=jac, full_output=True, **options)
        g = np.abs(r.jac)
        error = None if r.hess_error is None else float(g @ r.hess_error @ g)
        return cls(r.x[r.index], r.fun, r.jac, r.hess, error=error, g_error=r.jac_error)

    def __repr__(self) -> str:
        norm = float(_norm(self._square, self._exponent)[0])
        return f"TaylorModel(n={self.g.size}, f0={self.f0:.6g}, |g|={norm:.6g})"

    def _form(self) -> tuple[Floats, Floats]:
        """Return gᵀHg and its bar for the scaled g, each (1,), found once."""
        if self._curvature is None:
            value, bar = self._matrix.quadratic_form(self._scaled)
            if not np.isfinite(value).all():
                raise ValueError("H must be finite and gᵀHg within float64, but gᵀHg came out as NaN or inf")
            if self._error is not None:
                bar = _ldexp(np.broadcast_to(self._error, 1), -2 * self._exponent)
            self._curvature = value, bar
        return self._curvature

    @property
    def curvature_error(self) -> float:
        """Error bar of gᵀHg."""
        return float(_ldexp(self._form()[1], 2 * self._exponent)[0])

    def model(self, x: npt.ArrayLike) -> Any:
        """
        Evaluate the model.

        Parameters
        ----------
        x : array_like, shape (n,) or (n, m)
            One point, or one point a column.

        Returns
        -------
        float or ndarray, shape (m,)
        """
        x = np.asarray(x, dtype=np.float64)
        if x.ndim not in (1, 2) or len(x) != self.g.size:
            n = self.g.size
            raise ValueError(f"x must have shape ({n},) or ({n}, m), but it has {x.shape}")
        s = x - (self.x0 if x.ndim == 1 else self.x0[:, None])
        value = self.f0 + self.g @ s + 0.5 * (s * self._matrix.product(s)).sum(axis=0)
        return value if value.ndim else float(value)

    def terms(self, step_length: npt.ArrayLike) -> TaylorTerms:
        """
        Return the terms of the model at x0 - step_length g; they sum to `along(step_length)`.

        Parameters
        ----------
        step_length : array_like
            One step length, or any shape of them.

        Returns
        -------
        TaylorTerms
            position f0, direction -step_length gᵀg, curvature step_length² gᵀHg / 2, shaped as `step_length`.
        """
        given = np.asarray(step_length, dtype=np.float64)
        D, _ = self._form()
        scaled = _ldexp(given, self._exponent[0])
        with np.errstate(over="ignore", under="ignore"):
            direction = -_ldexp(scaled * self._square[0], self._exponent[0])
            curvature = 0.5 * (scaled * D[0]) * scaled
        if given.ndim:
            return TaylorTerms(np.full(given.shape, self.f0), direction, curvature)
        return TaylorTerms(self.f0, float(direction), float(curvature))

    def along(self, step_length: npt.ArrayLike) -> Any:
        """Evaluate the model at x0 - step_length g: f0 - step_length gᵀg + step_length² gᵀHg / 2."""
        position, direction, curvature = self.terms(step_length)
        return position + direction + curvature

    def step(self, *, max_step: float | None = None) -> StepResult:
        """Find the step length that minimises the model along -g: see `optimal_step`."""
        D, bar = self._form()
        flat = _flat(self._square, self._exponent, self._g_error, self.g)
        return _certify(self._square, D, bar, self._exponent, flat, _positive(max_step, "max_step"), True)

    def cauchy_step(self, radius: float | None = None) -> Floats:
        """
        Return the Cauchy step: the model's minimiser along -g, within a trust region.

        Parameters
        ----------
        radius : float, optional
            Longest step, |s| <= radius. Needed where the model has no certain minimum along -g: the step then
            goes to the radius.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        numpy.linalg.LinAlgError
            Without a radius where the curvature along -g is not positive, or not resolved.
        """
        limit = _positive(radius, "radius")
        norm = float(_norm(self._square, self._exponent)[0])
        if limit is not None and norm > 0.0:
            with np.errstate(over="ignore"):
                limit = float(np.divide(limit, norm))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            result = self.step(max_step=limit)
        if not math.isfinite(float(result)):
            assert isinstance(result.status, StepStatus)
            raise np.linalg.LinAlgError(f"no Cauchy step without a radius: {result.status.message}")
        return -float(result) * self.g

    def newton_step(self) -> Floats:
        """
        Return the Newton step -H⁻¹g: the model's minimiser.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        numpy.linalg.LinAlgError
            Where H is not positive definite: the model has no minimiser.

        Notes
        -----
        Arrays and packed triangles are solved by LAPACK after scaling to a unit diagonal; operators and
        callables by conjugate gradients to a relative residual of 1e-10, which meet negative curvature only
        within the space that g and its products span.
        """
        return -_ldexp(self._matrix.solve(self._scaled[0]), self._exponent[0])

    def plot(self, fun: Callable[[Floats], float] | None = None, ax: Axes | None = None) -> Axes:
        """
        Draw the model along -g: step length, uphill region, error band, and the true f.

        Parameters
        ----------
        fun : callable, optional
            f(x) -> float: the truth to draw beside the model, about 160 evaluations.
        ax : matplotlib.axes.Axes, optional
            Where to draw. Default: a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        from hessfast.picture import draw

        return draw(self, fun, ax)


def _real(value: Any, name: str) -> Floats:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be real, but its dtype is {array.dtype}")
    array = array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but it holds NaN or inf")
    return array


def _bar(value: Any, name: str) -> Floats:
    bar = np.asarray(value, dtype=np.float64)
    if not (bar >= 0.0).all():
        raise ValueError(f"{name} must be an error bar >= 0")
    return bar


def _positive(value: float | None, name: str) -> float | None:
    if value is not None and not value > 0.0:
        raise ValueError(f"{name} must be positive, but it is {value}")
    return value


def _scale(G: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """
    Split each row as 2^exponent ĝ so that ĝᵀĝ is safe.

    Squares of up to 2^±256 are, so that only rows beyond are scaled (and copied), exactly.
    """
    largest = np.maximum(G.max(axis=1), -G.min(axis=1))
    exponent = np.frexp(largest)[1].astype(np.int64)
    exponent[(largest == 0.0) | (np.abs(exponent) <= 256)] = 0
    return (np.ldexp(G, -exponent[:, None]) if exponent.any() else G), exponent


def _ldexp(value: Floats, exponent: Any) -> Floats:
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(value, exponent))


def _square(G: Floats) -> Floats:
    """Return gᵀg for each row, summed pairwise."""
    return np.asarray((G * G).sum(axis=1))


def _norm(gg: Floats, exponent: npt.NDArray[np.int64]) -> Floats:
    return _ldexp(np.sqrt(gg), exponent)


def _flat(
    gg: Floats, exponent: npt.NDArray[np.int64], g_error: npt.ArrayLike | None, g: Floats
) -> npt.NDArray[np.bool_]:
    """Say where |g| is zero, or at most its bar: a scalar is that bar, an array holds one a component."""
    if g_error is None:
        return np.asarray(gg == 0.0)
    bar = _bar(g_error, "g_error")
    if bar.ndim and (bar.shape[-1] != g.shape[-1] or bar.ndim > g.ndim):
        raise ValueError(f"g_error must be a scalar or of the shape of g, {g.shape}, but it has {bar.shape}")
    if bar.ndim:
        bar = np.linalg.norm(np.atleast_2d(bar), axis=1)
    return np.asarray(_norm(gg, exponent) <= bar)
