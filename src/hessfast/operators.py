"""Hessian-vector products without the Hessian, and the operator that they make, as SciPy's solvers take it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast, overload

import numpy as np
import numpy.typing as npt

from hessfast.alarms import alarm
from hessfast.algebra import vectors
from hessfast.algebra.vectors import Vector
from hessfast.arguments import box, checked_order, flag, given_step, no_value, plain, real_vector
from hessfast.arithmetic import quiet
from hessfast.calls.lanes import make_evaluator
from hessfast.calls.line import Neighbourhood
from hessfast.calls.points import OnLine, Rows, Search, asked
from hessfast.calls.run import drive, walled
from hessfast.calls.team import Team
from hessfast.gradients.balance import change, first_look, is_known, is_suspect, roughness, search_from, without_chance
from hessfast.gradients.line import ASTRAY, HEADROOM, SAME, TURNED, Products, astray, richardson
from hessfast.problem import Fun, Jac, surround
from hessfast.resolution import MATTERS, TENTH
from hessfast.results import HessianStatus, HvpResult
from hessfast.scale import EPS, ORDINARY
from hessfast.values.noise import ROUNDING
from hessfast.values.products import CrossProducts, start_products

__all__ = ["HessianOperator", "hvp"]

Floats = npt.NDArray[np.float64]

_FORWARD_LEVEL = -26
"""Level of the forward difference: h near sqrt(eps) of the line's unit, without search."""

_STRONGER = 2.0
"""A product this much longer than all before it, in units of its line, has its truncation error looked at."""

_UNBALANCED = 8.0
"""Truncation over condition error from which a shorter step pays for itself."""

_BLOCK_NUMBERS = 2**20
"""Numbers in the points that are evaluated in one batch of columns."""

_GLANCE = 8
"""Levels below its own at which the first product at each x is looked at, at most."""

_LARGE_EXPONENT = 400
"""Binary exponent of the unit of a line from which its direction is scaled: squares would leave the range."""

_AMISS = 1e-3
"""Relative difference between two levels from which the kept one is not trusted."""

_CHECKED = 8.0
"""Condition errors by which they must differ beside that."""

_ADVICE = {
    HessianStatus.NOT_FINITE: "{name} is not finite near x, or x stands on a bound: points lie on both sides of it",
    HessianStatus.RANDOM: "fix the random numbers of {name}",
    HessianStatus.ROUGH: "`abs_step=`, a step longer than the ripples of {name}, asks for the smooth one",
    HessianStatus.UNRESOLVED: (
        "`x_scale=` helps where |x| misleads; nothing does where x lies on a kink, or {name} has too few digits"
    ),
}


@overload
def hvp(
    fun: Fun | None,
    x0: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    jac: Jac = ...,
    order: int = ...,
    rel_step: float | None = ...,
    abs_step: float | None = ...,
    x_scale: npt.ArrayLike | None = ...,
    bounds: Any = ...,
    args: tuple[Any, ...] = ...,
    kwargs: Mapping[str, Any] | None = ...,
    vectorized: bool = ...,
    workers: int | None = ...,
    on_error: Any = ...,
    full_output: Literal[False] = ...,
) -> Floats: ...


@overload
def hvp(
    fun: Fun | None,
    x0: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    jac: Jac = ...,
    order: int = ...,
    rel_step: float | None = ...,
    abs_step: float | None = ...,
    x_scale: npt.ArrayLike | None = ...,
    bounds: Any = ...,
    args: tuple[Any, ...] = ...,
    kwargs: Mapping[str, Any] | None = ...,
    vectorized: bool = ...,
    workers: int | None = ...,
    on_error: Any = ...,
    full_output: Literal[True],
) -> HvpResult: ...


@quiet
def hvp(
    fun: Fun | None,
    x0: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    jac: Jac = None,
    order: int = 4,
    rel_step: float | None = None,
    abs_step: float | None = None,
    x_scale: npt.ArrayLike | None = None,
    bounds: Any = None,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    vectorized: bool = False,
    workers: int | None = None,
    on_error: Any = "raise",
    full_output: bool = False,
) -> Floats | HvpResult:
    """Multiply the Hessian with vectors, without the Hessian.

    Parameters
    ----------
    fun : callable, native function or None
        The function, as in `hessian`; not called where `jac` is callable.
    x0 : array_like, shape (n,)
        Where; copied, a float32 array in its own storage.
    v : array_like, shape (n,) or (n, k)
        One vector, or vectors as columns.
    jac : callable, native function or True, optional
        Gradient, ``jac(x, *args, **kwargs) -> (n,)``; True where `fun` returns (f, g).
    order : {1, 2, 4, 6, 8}
        Order of the difference; 1 needs `jac`.
    rel_step, abs_step : float, optional
        With `jac`: the step of the cheap mode of `curvature`.
    x_scale, bounds, args, kwargs, vectorized, workers, on_error
        As in `curvature`.
    full_output : bool
        Return the products with their error bars and a status.

    Returns
    -------
    ndarray, shape (n,) or (n, k); or HvpResult

    Warns
    -----
    AccuracyWarning
        Where a product is not known: its bar exceeds a tenth of it, and what is not known could change the gradient,
        over the natural unit of the line, by a thousandth of itself; where points were not finite, or answers random.

    Notes
    -----
    The step is found along the first column, in about 12 gradients at order 4, and kept for the others, which cost
    `order` gradients each and a look of one or two more. Without `jac` a product costs `order` evaluations of `fun` a
    coordinate and some 20 along v, and the first one 10 to 20 a coordinate more for the steps of all of them.
    `HessianOperator` keeps the steps for later products too.

    Examples
    --------
    >>> import numpy as np
    >>> import hessfast
    >>> x = np.array([0.5, 1.0, 2.0])
    >>> np.round(hessfast.hvp(None, x, [1.0, 0.0, 1.0], jac=np.exp), 10)
    array([1.64872127, 0.        , 7.3890561 ])
    """
    operator = HessianOperator(
        fun,
        x0,
        jac=jac,
        order=order,
        rel_step=rel_step,
        abs_step=abs_step,
        x_scale=x_scale,
        bounds=bounds,
        args=args,
        kwargs=kwargs,
        vectorized=vectorized,
        workers=workers,
        on_error=on_error,
    )
    full_output = flag(full_output, "full_output")
    operator._name, operator._always = "hvp", True
    V = plain("v", v)
    search = operator._columns(V) if V.ndim == 2 else operator._single(V)
    product = drive(search, operator._source())
    if not full_output:
        return product
    bars, steps = np.array(operator._bars).reshape(-1, 2).T
    single = V.ndim != 2
    return HvpResult(
        product,
        float(bars[0]) if single else bars,
        float(steps[0]) if single else steps,
        operator.nfev,
        operator.njev,
        operator.status,
    )


class HessianOperator:
    """The Hessian at x0 as a linear operator, from differences of gradients, or of values where there is no gradient.

    `scipy.sparse.linalg` takes it as it is (eigsh, cg, minres, LinearOperator arithmetic); `hessp` and `gradient` serve
    `scipy.optimize.minimize`.

    Parameters
    ----------
    fun : callable, native function or None
        The function, as in `hessian`; not called where `jac` is callable.
    x0 : array_like, shape (n,)
        Where; copied, a float32 array in its own storage.
    jac : callable, native function or True, optional
        Gradient, ``jac(x, *args, **kwargs) -> (n,)``; True where `fun` returns (f, g).
    order : {1, 2, 4, 6, 8}
        Gradients a product, or evaluations of `fun` a product and coordinate. 1 is the cheap mode: forward differences
        from the gradient at x, without search.
    rel_step, abs_step, x_scale, bounds, args, kwargs, vectorized, workers, on_error
        As in `hvp`. `vectorized` gradients are called with several columns where the operator multiplies a matrix.

    Attributes
    ----------
    shape, dtype, ndim
        (n, n), float64, 2.
    x : ndarray, shape (n,)
        Where the Hessian is.
    nfev, njev, products : int
        Evaluations of f and of its gradient, and products, so far.
    status, success : HessianStatus, bool
        What was seen at x: COMPLETE unless a product there was looked at and is not known; whether it is COMPLETE, or
        UNVERIFIED.

    Warns
    -----
    AccuracyWarning
        At most once at each x, where the first product there is not known.

    Notes
    -----
    The first product searches the step, in about 10 gradients at order 2. Its level, the step in units of the line, is
    kept for later directions and when x moves. Directions of large curvature, as Lanczos finds them, have shorter
    natural lengths than random ones: a product twice as long as all before it is looked at with two more gradients, and
    the step shortened where its truncation error shows. The first product at each x is looked at as well, with two more
    gradients, one at order 1, so that a kink is noticed. Relative errors are then some 1e-10 at order 2, and 1e-7 at
    order 1, for gradients accurate to rounding. Memory beside the arguments: at most six vectors of n numbers, the
    product and the gradients that `jac` returns among them.

    Examples
    --------
    >>> import numpy as np
    >>> import hessfast
    >>> from scipy.sparse.linalg import eigsh
    >>> x = np.linspace(0.0, 1.0, 50)
    >>> hessian = hessfast.HessianOperator(None, x, jac=np.exp)
    >>> largest = eigsh(hessian, k=1, return_eigenvectors=False)
    >>> bool(abs(largest[0] - np.e) < 1e-8)
    True
    """

    ndim = 2
    dtype = np.dtype(np.float64)
    __array_ufunc__ = None  # so that an array on the left leaves the operation to us

    @quiet
    def __init__(
        self,
        fun: Fun | None,
        x0: npt.ArrayLike,
        *,
        jac: Jac = None,
        order: int = 2,
        rel_step: float | None = None,
        abs_step: float | None = None,
        x_scale: npt.ArrayLike | None = None,
        bounds: Any = None,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        vectorized: bool = False,
        workers: int | None = None,
        on_error: Any = "raise",
    ) -> None:
        order = checked_order(order)
        from_values = jac is None or jac is False
        if from_values and order == 1:
            raise ValueError("order: 1 is the forward difference of gradients; it needs jac")
        if from_values and (rel_step is not None or abs_step is not None):
            raise ValueError("rel_step, abs_step: without jac each coordinate has a step of its own, by search")
        self._step, self._relative = given_step(rel_step, abs_step)
        self._order = order
        self._lines, self._around = surround(
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
        # An own copy: an optimizer that moves its x in place shall not move the Hessian unnoticed.
        self._lines.x = self._lines.x.copy()
        self._batched = bool(vectorized) and not from_values
        self._workers = workers
        self._from_values = from_values
        self._team: Team | None = None  # around x, where there is no gradient
        self._crosses: CrossProducts | None = None
        self._nfev = 0
        self._level: int | None = _FORWARD_LEVEL if order == 1 else None
        self._noise = self._strongest = 0.0
        self._g0: Vector | None = None
        self._latest: tuple[Vector, Vector] | None = None
        self._name = "HessianOperator"
        self._always = False  # every product is looked at, and its bar is kept
        self._bars: list[tuple[float, float]] = []
        self._looked_at = self._central = False
        self._status = HessianStatus.COMPLETE if self._step is None else HessianStatus.UNVERIFIED
        self.products = 0

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n)."""
        return self._lines.x.size, self._lines.x.size

    @property
    def x(self) -> Vector:
        """Where the Hessian is."""
        return self._lines.x

    @property
    def njev(self) -> int:
        """Gradients so far."""
        return 0 if self._from_values else self._around.nfev

    @property
    def nfev(self) -> int:
        """Evaluations of f so far; 0 where there is a gradient."""
        return self._nfev + (0 if self._team is None else self._team.nfev)

    @property
    def status(self) -> HessianStatus:
        """What was seen at x."""
        return self._status

    @property
    def success(self) -> bool:
        """Whether the status is COMPLETE, or UNVERIFIED."""
        return self._status.success

    @quiet
    def matvec(self, v: npt.ArrayLike) -> Floats:
        """Return H v; v of shape (n,) or (n, 1)."""
        search = self._single(plain("v", v))
        return drive(search, self._source())

    def _single(self, array: npt.NDArray[Any]) -> Search[Floats]:
        """Return what asks for one product; refuse what is no vector."""
        column = array.ndim == 2 and array.shape[1] == 1
        return self._matvec(real_vector(array[:, 0] if column else array, "v", self.shape[0]), column)

    def _matvec(self, v: Vector, column: bool = False) -> Search[Floats]:
        if not self._always:
            self._bars.clear()
        product = yield from self._product(v)
        if not math.isfinite(vectors.norm(product)):
            self._lost(HessianStatus.NOT_FINITE, "a product is not finite")
        return product[:, None] if column else product

    def _source(self) -> Neighbourhood | Team:
        """Return what evaluates points around x."""
        if not self._from_values:
            return self._around
        if self._team is None:
            self._team = self._bind(self._lines.x.astype(np.float64))
        return self._team

    rmatvec = matvec

    def _lost(self, status: HessianStatus, what: str) -> None:
        """Say, once at each x, that a product is not known."""
        if self._status in (HessianStatus.COMPLETE, HessianStatus.UNVERIFIED):
            self._status = status
            advice = _ADVICE[status].format(name="fun" if self._from_values else "jac")
            alarm(self._name, f"{what}; {advice}")

    def _judge(
        self,
        v: Vector,
        size: float,
        bar: float,
        unit: float,
        gradient: float,
        random: bool,
        step: float,
        rough: bool = False,
        turned: float = 0.0,
    ) -> None:
        """Take note of the bar of a product, and say where it is not known."""
        self._bars.append((bar, step))
        if random:
            self._lost(HessianStatus.RANDOM, "answers at one point differ by more than their noise")
        elif rough:
            self._lost(
                HessianStatus.ROUGH, f"long steps see another product than short ones, by up to {bar:.2g} of {size:.3g}"
            )
        elif math.isfinite(bar) and not (is_known(bar, size, TENTH, turned) or bar * unit <= MATTERS * gradient):
            self._lost(HessianStatus.UNRESOLVED, f"a product of length {size:.3g} has an error bar of {bar:.2g}")

    @quiet
    def matmat(self, V: npt.ArrayLike) -> Floats:
        """Return H V, V of shape (n, k)."""
        search = self._columns(plain("V", V))
        return drive(search, self._source())

    def _columns(self, V: npt.NDArray[Any]) -> Search[Floats]:
        """Return what asks for the products of columns; refuse what has none."""
        n = self.shape[0]
        if V.ndim != 2 or V.shape[0] != n:
            raise ValueError(f"V: shape ({n}, k) expected, got {V.shape}")
        return self._matmat(V)

    def _matmat(self, V: npt.NDArray[Any]) -> Search[Floats]:
        n, k = V.shape
        product = np.empty(V.shape)
        done = 0
        if not self._looked_at and self._step is None and k and self._batched:
            product[:, 0] = yield from self._matvec(real_vector(V[:, 0], "v"))
            done = 1
        together = self._batched and not self._always and not self._central
        width = max(1, _BLOCK_NUMBERS // (n * self._order)) if together else 1
        while done < k:
            if width == 1:
                product[:, done] = yield from self._matvec(real_vector(V[:, done], "v"))
            else:
                product[:, done : done + width] = yield from self._block(V[:, done : done + width])
            done += width
        return product

    rmatmat = matmat

    def __matmul__(self, v: npt.ArrayLike) -> Floats:
        return self.matmat(v) if plain("v", v).ndim == 2 else self.matvec(v)

    def __call__(self, v: npt.ArrayLike) -> Floats:
        return self @ v

    @quiet
    def hessp(self, x: npt.ArrayLike, p: npt.ArrayLike) -> Floats:
        """Return H(x) p: the `hessp` argument of `scipy.optimize.minimize`."""
        self.move(x)
        return self.matvec(p)

    @quiet
    def gradient(self, x: npt.ArrayLike) -> Vector:
        """Return the gradient at x: the `jac` argument of `minimize`; a product at order 1 then costs one gradient."""
        if self._from_values:
            raise TypeError("gradient: the operator was made without jac")
        x = real_vector(x, "x", self.shape[0])
        g: Vector = drive(asked(OnLine(x, x, (0.0,), "origin")), self._around).pop()
        if self._order == 1:
            self._latest = x.copy(), g.copy()
        return g

    @quiet
    def move(self, x: npt.ArrayLike) -> None:
        """Take the Hessian at x from now on; the level of the step stays."""
        x = real_vector(x, "x", self.shape[0])
        stays = np.array_equal(x, self._lines.x)
        if stays and self._g0 is not None:
            return
        if self._latest is not None and np.array_equal(x, self._latest[0]):
            self._lines.x, self._g0 = self._latest
        elif not stays:
            self._lines.x, self._g0 = x.copy(), None
            self._nfev, self._team, self._crosses = self.nfev, None, None
        if not stays:
            if not self.success and self._order > 1:
                self._level = None  # what was found where nothing is known is of no use elsewhere
            self._looked_at = self._central = False
            self._status = HessianStatus.COMPLETE if self._step is None else HessianStatus.UNVERIFIED

    @property
    def _q(self) -> int:
        """Levels of a central difference of that order."""
        return max(1, self._order // 2)

    def _line(self, unit: float) -> tuple[float, int]:
        """Unit and level of the smallest step on a line of that natural unit."""
        if self._step is not None:
            return (unit * self._step if self._relative else self._step), 0
        return unit, self._level if self._level is not None else 0

    def _product(self, v: Vector) -> Search[Floats]:
        if self._from_values:
            natural = vectors.line_unit(ORDINARY.of(self._lines.x.astype(np.float64)), v)
        else:
            natural = yield from self._lines.unit(v)
        exponent = math.frexp(natural)[1]
        if abs(exponent) > _LARGE_EXPONENT and self._step is None:
            exponent -= HEADROOM
            v = np.ldexp(v.astype(np.float64), exponent)
            known = len(self._bars)
            product = yield from self._product(v)
            for place in range(known, len(self._bars)):
                bar, step = self._bars[place]
                self._bars[place] = float(np.ldexp(bar, -exponent)), float(np.ldexp(step, exponent))
            return np.asarray(np.ldexp(product, -exponent))
        self.products += 1
        if self._from_values:
            return (yield from self._from_crosses(v))
        if natural == 0.0:
            self._bars.append((0.0, 0.0))
            return np.zeros(v.size)
        unit, level = self._line(natural)
        if self._step is not None and min(self._lines.room(v)) < 2.0 ** (self._q - 1) * unit:
            raise ValueError(f"{'rel_step' if self._relative else 'abs_step'}: points leave the bounds")
        if self._order == 1 and not self._central:
            return (yield from self._forward(v, unit, level))
        differences = Products(self._lines, v, unit)
        if self._step is None and self._level is None:
            return (yield from self._searched(differences))
        differences.floor = self._noise
        yield from differences.see(range(level, level + self._q))
        product = differences.D[level] if self._q == 1 else differences.combine(level, richardson(self._q))
        if self._step is not None:
            self._bars.append((math.nan, unit))
            return product
        size = differences.size(product)
        if (self._always or not self._looked_at) and (yield from self._amiss(differences, level, product, size)):
            differences.D.clear()
            return (yield from self._searched(differences))
        strength = unit * size
        if strength > _STRONGER * self._strongest:
            self._strongest = strength
            if (yield from self._shortened(differences, level, size)):
                differences.D.clear()
                return (yield from self._product_again(differences))
        return product

    def _from_crosses(self, v: Vector) -> Search[Floats]:
        if self._crosses is None:
            assert self._team is not None
            x, within = self._team.x, self._lines.within
            f0 = float((yield from self._lines.here()))
            if not math.isfinite(f0):
                raise no_value(f0) from walled(self._team)
            within = box(None, x) if within is None else within
            self._crosses = yield from start_products(x, f0, self._order, within, self._lines.x_scale)
        found = yield from self._crosses.product(v)
        self._judge(v, vectors.norm(found.value), found.error, 1.0, found.scale, found.random, found.step)
        return found.value

    def _bind(self, x: Floats) -> Team:
        evaluator = make_evaluator(self._around.evaluator.function, x, wall=self._around.evaluator.wall)
        evaluator.confines = self._around.evaluator.confines
        return Team(evaluator, self._workers if evaluator.lane == "native" else None)

    def _searched(self, differences: Products) -> Search[Floats]:
        """Search the level along this line, the first at x or one for which the level kept is not good."""
        order = max(2, self._order)
        look, balance = yield from first_look(differences)
        found = yield from search_from(differences, order, look, balance)
        spread = (yield from differences.spread()) if is_suspect(differences, look.noise, found.value) else 0.0
        if spread > SAME * differences.floor:
            found = yield from without_chance(differences, order // 2, look, found, spread)
        # The value found is of the next order, at longer steps than a product of this order wants.
        self._level = found.level if balance is None else min(found.level, balance.level(order))
        self._noise = look.noise
        size = differences.size(found.value)
        self._strongest = differences.unit * size
        self._looked_at = True
        gradient = differences.floor / differences.rounding
        step = differences.step(found.level)
        off, vague = yield from roughness(differences, look, found)
        rough = off + vague > TENTH * size
        bar = found.error + off + vague  # it covers both curvatures
        self._judge(differences.v, size, bar, differences.unit, gradient, found.random, step, rough, found.turned)
        return found.value

    def _amiss(self, differences: Products, level: int, product: Floats, size: float) -> Search[bool]:
        """Look at a product by two more gradients, at a step so short that it still has some digits.

        A kink or a wall within the longer steps shows, as far as it lies beyond the short one.
        """
        self._looked_at = True
        if not math.isfinite(size):  # a wall within these steps may leave room for shorter ones
            return True
        unseen = differences.condition(level, self._q, self._noise)
        digits = math.log2(max(0.1 * _AMISS * size / unseen, 1.0)) if 0.0 < unseen < math.inf else _GLANCE
        below = level - max(1, min(_GLANCE, int(digits)))
        yield from differences.see((below,))
        apart = differences.distance(differences.D.pop(below), product)
        bound = _CHECKED * (differences.condition(level, self._q, self._noise) + unseen * 2.0 ** (level - below))
        rounded = differences.turned() + differences.astray(product, level)
        self._bars.append((apart + bound + rounded, differences.step(level)))
        if apart <= max(_AMISS * size, bound):
            return False
        self._bars.pop()
        return True

    def _shortened(self, differences: Products, level: int, size: float) -> Search[bool]:
        """Go down where the next level shows more truncation error than noise; return whether that was so."""
        yield from differences.see((level + self._q,))
        truncation = change(differences, level, self._q)
        condition = max(differences.condition(level, self._q, self._noise), EPS * size)
        if not truncation > _UNBALANCED * condition:
            return False
        fall = math.log2(truncation / condition) / (2 * self._q + 1) if math.isfinite(truncation) else 8.0
        self._level = level - max(1, round(fall))
        return True

    def _product_again(self, differences: Products) -> Search[Floats]:
        level = self._level
        assert level is not None
        yield from differences.see(range(level, level + self._q))
        product: Floats = differences.combine(level, richardson(self._q))
        return product

    def _forward(self, v: Vector, unit: float, level: int) -> Search[Floats]:
        t = math.ldexp(unit, level)
        if self._g0 is None:
            self._g0 = yield from self._lines.here()
        product = yield from self._quotient(v, t)
        if self._step is not None:
            self._bars.append((math.nan, t))
            return product
        if self._always or not self._looked_at:
            self._looked_at = True
            size = vectors.norm(product)
            if size * t <= ROUNDING * vectors.norm(self._g0):  # where nothing moved, nothing was measured
                return (yield from self._searched(Products(self._lines, v, unit)))
            bent = yield from self._quotient(v, -0.5 * t)  # at -t an odd gradient would say the same again
            apart = vectors.norm(np.subtract(bent, product, out=bent))
            # What is left is T(v, v) over 3 t / 4.
            rounded = TURNED * abs(vectors.dot(self._lines.x, bent)) / (0.75 * t * vectors.norm(v))
            rounded += ASTRAY * astray(self._lines.x, v, t, product, sides=(1.0,))
            rounding = max(ROUNDING * vectors.norm(self._g0), 0.5 * EPS * unit * size)
            if not apart <= _AMISS * size and not apart * unit <= MATTERS * vectors.norm(self._g0):
                self._central = True
                return (yield from self._searched(Products(self._lines, v, unit)))
            few = 1.0 + _CHECKED / v.size  # one difference of few components says little of their noise
            self._bars.append((_CHECKED * few * (apart + rounding / t) + rounded, t))
        return product

    def _quotient(self, v: Vector, t: float) -> Search[Floats]:
        g: Any = (yield OnLine(self._lines.x, v, (t,))).pop()
        product: Floats = g if g.dtype == np.float64 else np.empty(g.size)
        np.subtract(g, cast(Vector, self._g0), out=product, dtype=np.float64)
        product *= 1.0 / t
        return product

    def _block(self, V: npt.NDArray[Any]) -> Search[Floats]:
        """Multiply several columns through one batch of points."""
        columns = [real_vector(column, "V") for column in V.T]
        self.products += len(columns)
        lines = []
        for v in columns:
            lines.append(self._line((yield from self._lines.unit(v)) or 1.0))
        steps = np.array([math.ldexp(unit, level) for unit, level in lines])
        if self._order == 1:
            nodes, weights = [1.0], [1.0]
            if self._g0 is None:
                self._g0 = yield from self._lines.here()
        else:
            nodes = [sign * 2.0**offset for offset in range(self._q) for sign in (1.0, -1.0)]
            weights = [0.5 * w / node for w, node in zip(np.repeat(richardson(self._q), 2), nodes, strict=True)]
        x = self._lines.x
        points = np.stack([x + (node * h) * v for v, h in zip(columns, steps, strict=True) for node in nodes])
        gradients = (yield Rows(points)).reshape(len(columns), len(nodes), -1)
        if self._g0 is not None:
            gradients -= self._g0
        product: Floats = np.einsum("w,kwn->nk", weights, gradients)
        product /= steps
        if self._order > 1 and self._step is None:
            strength = np.linalg.norm(product, axis=0) * [unit for unit, _ in lines]
            for k in np.flatnonzero(strength > _STRONGER * self._strongest):
                self.products -= 1
                product[:, k] = yield from self._product(columns[k])
        return product

    def __add__(self, other: object) -> Any:
        return _linear(self) + _linear(other)

    def __radd__(self, other: object) -> Any:
        return _linear(other) + _linear(self)

    def __sub__(self, other: object) -> Any:
        return _linear(self) - _linear(other)

    def __rsub__(self, other: object) -> Any:
        return _linear(other) - _linear(self)

    def __neg__(self) -> Any:
        return -_linear(self)

    def __mul__(self, scalar: float) -> Any:
        return _linear(self) * scalar

    __rmul__ = __mul__

    def __repr__(self) -> str:
        n = self.shape[0]
        return f"<{n}x{n} HessianOperator, order {self._order}, {self.products} products in {self.njev} gradients>"


def _linear(operator: object) -> Any:
    """Return SciPy's LinearOperator of it: arithmetic needs SciPy."""
    from scipy.sparse.linalg import aslinearoperator

    return aslinearoperator(operator)
