"""The second-order Taylor model of a function, and what it says along -g."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hessfast.algebra.symmetric import as_symmetric
from hessfast.arguments import checked_bar, checked_length, checked_real, checked_vector, norm_bar, plain
from hessfast.arithmetic import quiet
from hessfast.calls.points import Rows, asked
from hessfast.calls.run import drive, value_at
from hessfast.dense import hessian
from hessfast.directions import curvature
from hessfast.models.step_length import ScaledGradient, certify
from hessfast.operators import HessianOperator
from hessfast.problem import Fun, Jac, bind
from hessfast.results import HessianResult, StepResult, StepStatus, TaylorTerms

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes

__all__ = ["TaylorModel"]

Floats = npt.NDArray[np.float64]

# Beyond this size a Hessian is not formed unless asked for.
DENSE_BYTES = 2**30


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
        As given, arrays not copied: to change one afterwards spoils the model.

    Raises
    ------
    ValueError
        For shapes that disagree, NaN or inf, and an H that is not symmetric.

    Examples
    --------
    >>> import numpy as np
    >>> from hessfast import TaylorModel
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
        *("_matrix", "_gradient", "_curvature", "_error", "_g_error"),
    )

    @quiet
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
        self.x0 = checked_real(x0, "x0")
        self.g = checked_real(g, "g")
        if self.x0.ndim != 1 or self.x0.size == 0:
            raise ValueError(f"x0 must have shape (n,), but it has {self.x0.shape}")
        if self.g.shape != self.x0.shape:
            raise ValueError(f"g must have the shape of x0, {self.x0.shape}, but it has {self.g.shape}")
        value = checked_real(f0, "f0")
        if value.ndim:
            raise ValueError(f"f0 must be a number, but it has shape {value.shape}")
        self.f0 = float(value)
        self.H = H
        self._matrix = as_symmetric(H, self.g.size, check=True)
        self._gradient = ScaledGradient.of(self.g)
        self._curvature: tuple[float, float] | None = None
        self._error = None if error is None else float(checked_bar(error, "error", ()))
        self._g_error = None if g_error is None else norm_bar(g_error, self.g.shape)

    @classmethod
    @quiet
    def fit(
        cls, fun: Fun, x0: npt.ArrayLike, *, jac: Jac = None, dense: bool | None = None, **options: Any
    ) -> TaylorModel:
        """
        Make the model of a function from its values, or from its gradient.

        Parameters
        ----------
        fun : callable
            f(x) -> float, or (f, g) with ``jac=True``.
        x0 : array_like, shape (n,)
            Where.
        jac : callable or True, optional
            The gradient.
        dense : bool, optional
            True: f0, g and H from one sweep. False: H is never formed; `H` is a `HessianOperator` and gᵀHg comes
            from `curvature`; needs `jac`. Default: dense unless there is a gradient and H would pass 1 GiB, which
            a warning then says.
        **options
            As `hessian` takes them, with `mask` a model of the chosen coordinates; without H `order`, `rel_step`,
            `abs_step`, `x_scale`, `bounds`, `args`, `kwargs`, `vectorized`, `workers` and `on_error`.

        Returns
        -------
        TaylorModel
            With the error bars that were found, as `from_result` takes them over; without H the bar of `curvature`.

        Examples
        --------
        >>> import numpy as np
        >>> from hessfast import TaylorModel
        >>> model = TaylorModel.fit(lambda x: x[0] ** 2 + 4.0 * x[1] ** 2, [1.0, 1.0])
        >>> round(float(model.step()), 9)
        0.130769231
        >>> model = TaylorModel.fit(lambda x: np.sum(np.exp(x)), np.zeros(1000), jac=np.exp, dense=False)
        >>> round(float(model.step()), 9)
        1.0
        """
        if fun is None:
            raise ValueError("fun must be a function: a gradient alone does not give f0")
        nbytes = 8 * plain("x0", x0).size ** 2
        if dense is None:
            dense = not jac or nbytes <= DENSE_BYTES
            if not dense:
                warnings.warn(
                    f"H would take {nbytes / 2**30:.3g} GiB and is kept as an operator; dense= says which you want",
                    stacklevel=2,
                )
        if not dense:
            return cls._matrix_free(fun, x0, jac, options)
        return cls.from_result(hessian(fun, x0, jac=jac, full_output=True, **options))

    @classmethod
    @quiet
    def from_result(cls, result: HessianResult) -> TaylorModel:
        """
        Make the model from what ``hessian(fun, x0, full_output=True)`` returned, error bars included.

        Parameters
        ----------
        result : HessianResult

        Returns
        -------
        TaylorModel
            Of the coordinates ``result.index``.

        Notes
        -----
        With bars E of H and e of g, gᵀHg is off by at most (|g| + e)ᵀE(|g| + e) + 2 |Hg|ᵀe + eᵀ|H|e.

        Examples
        --------
        >>> from hessfast import TaylorModel, hessian
        >>> result = hessian(lambda x: x[0] ** 2 + 4.0 * x[1] ** 2, [1.0, 1.0], full_output=True)
        >>> round(float(TaylorModel.from_result(result).step()), 9)
        0.130769231
        """
        error, e = None, result.jac_error
        if result.hess_error is not None:
            reach = np.abs(result.jac) if e is None else np.abs(result.jac) + e
            error = float(reach @ result.hess_error @ reach)
            if e is not None:
                error += float(2.0 * np.abs(result.hess @ result.jac) @ e + e @ np.abs(result.hess) @ e)
        return cls(result.x[result.index], result.fun, result.jac, result.hess, error=error, g_error=e)

    @classmethod
    def _matrix_free(cls, fun: Fun, x0: npt.ArrayLike, jac: Jac, options: dict[str, Any]) -> TaylorModel:
        if not jac:
            raise ValueError("dense=False needs jac: products with H are differences of gradients")
        names = ("args", "kwargs", "vectorized", "workers", "on_error")
        bound = {name: options[name] for name in names if name in options}
        with bind(fun, x0, jac=jac, **bound) as problem:
            problem.confine(options.get("bounds"))
            assert problem.fun is not None
            assert problem.jac is not None
            f0, g = value_at(problem.fun), drive(asked(Rows(problem.x[None])), problem.jac)[0]
        # Its copy of x0 and its points are vectors of length n too.
        del problem
        x = checked_vector(x0, "x0")
        model = cls(x, f0, g, HessianOperator(fun, x, jac=jac, **options))
        found = curvature(fun, x, g, jac=jac, **options)
        D, bar = float(found), float(np.nan_to_num(found.error, posinf=np.inf))
        model._curvature = model._gradient.scaled(D), model._gradient.scaled(bar)
        return model

    def __repr__(self) -> str:
        return f"TaylorModel(n={self.g.size}, f0={self.f0:.6g}, |g|={self._gradient.norm:.6g})"

    def _form(self) -> tuple[float, float]:
        """Return gᵀHg and its bar for the scaled g, found once."""
        if self._curvature is None:
            D, bar = self._gradient.curvature(self._matrix)
            self._curvature = D, bar if self._error is None else self._gradient.scaled(self._error)
        return self._curvature

    @property
    @quiet
    def curvature_error(self) -> float:
        """Error bar of gᵀHg."""
        return self._gradient.unscaled(self._form()[1])

    @quiet
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
        x = checked_real(x, "x", finite=False)
        if x.ndim not in (1, 2) or len(x) != self.g.size:
            n = self.g.size
            raise ValueError(f"x must have shape ({n},) or ({n}, m), but it has {x.shape}")
        s: Floats = np.subtract(x, self.x0 if x.ndim == 1 else self.x0[:, None], dtype=np.float64)
        value = self.f0 + self.g @ s + 0.5 * (s * self._matrix.product(s)).sum(axis=0)
        return value if value.ndim else float(value)

    def __call__(self, x: npt.ArrayLike) -> Any:
        """Evaluate the model, as `model` does."""
        return self.model(x)

    @quiet
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
        given = checked_real(step_length, "step_length", finite=False).astype(np.float64)
        D, _ = self._form()
        exponent = self._gradient.exponent
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.ldexp(given, exponent)
            direction = -np.ldexp(scaled * self._gradient.square, exponent)
            curvature = 0.5 * (scaled * D) * scaled if D else np.zeros(given.shape)
        if given.ndim:
            return TaylorTerms(np.full(given.shape, self.f0), direction, curvature)
        return TaylorTerms(self.f0, float(direction), float(curvature))

    @quiet
    def along(self, step_length: npt.ArrayLike) -> Any:
        """Evaluate the model at x0 - step_length g: f0 - step_length gᵀg + step_length² gᵀHg / 2."""
        position, direction, curvature = self.terms(step_length)
        return position + direction + curvature

    @quiet
    def step(self, *, max_step: float | None = None) -> StepResult:
        """Find the step length that minimises the model along -g: see `optimal_step`."""
        D, bar = self._form()
        return certify(self._gradient, D, bar, self._g_error, checked_length(max_step, "max_step"))

    @quiet
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
        limit = checked_length(radius, "radius")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            result = self.step()
        certain = math.isfinite(float(result))
        if limit is None and not certain:
            assert isinstance(result.status, StepStatus)
            raise np.linalg.LinAlgError(f"no Cauchy step without a radius: {result.status.message}")
        if limit is None or (certain and float(result) * self._gradient.norm <= limit):
            return np.multiply(-float(result), self.g, dtype=np.float64)
        return np.multiply(-limit / math.sqrt(self._gradient.square), self._gradient.vector, dtype=np.float64)

    @quiet
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
        return -np.ldexp(
            self._matrix.solve(np.asarray(self._gradient.vector, dtype=np.float64)), self._gradient.exponent
        )

    @quiet
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
        from hessfast.models.picture import draw

        return draw(self, fun, ax)
