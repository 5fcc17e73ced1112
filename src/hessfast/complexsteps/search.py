"""Derivatives from complex points: steps into the imaginary direction do not cancel.

From a complex gradient, column i of H is Im g(x + i h e_i) / h with h = 2^-664: no truncation, no cancellation, n
gradients. From a complex f (Lai & Crassidis 2008), with r = 1 + i along a real vector a,

    f(x + r a) + f(x - r a) = 2 f - T_4 / 3 + i (2 a'Ha - T_6 / 45) + O(a^8),   T_k the k-th derivative along a,

so that the imaginary part gives a'Ha with an error of order 4 and the rounding of f' alone; the real part tells T_4.
The diagonal takes a = h_i e_i and 2 h_i e_i, extrapolated. A pair takes a = h_i e_i + h_j e_j less the values on its
axes, as in `hessfast.values.stencils`: then neither f' nor the pure derivatives are left in it. n^2 + 3n evaluations
in all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hessfast.arguments import not_analytic
from hessfast.calls.points import Rows, Search
from hessfast.complexsteps.analytic import IMAGINARY, Array, Axes, Complex, check_analytic
from hessfast.complexsteps.policy import ORDER, POLICY, Policy
from hessfast.gradients.levels import Climb, Errors
from hessfast.gradients.norms import equilibrate
from hessfast.scale import EPS, TINY, higher, unit_of

_BLOCK_BYTES = 1 << 20
"""Memory of the points asked for at once."""


@dataclass(frozen=True, slots=True, eq=False)
class ComplexHessian:
    """A Hessian from complex points.

    Attributes
    ----------
    hess, truncation_error, condition_error : ndarray, shape (m, m)
    jac, jac_error : ndarray, shape (m,)
    step, sizes : ndarray, shape (m,)
        h_i, the imaginary step for a complex gradient; natural size of each coordinate.
    noise : float
        Noise level of what was differenced.
    """

    hess: Array
    truncation_error: Array
    condition_error: Array
    jac: Array
    jac_error: Array
    step: Array
    noise: float
    sizes: Array


def room_inside(x: Array, lower: Array, upper: Array) -> Array:
    """Return how far each coordinate can go to both sides; two eps less, so that rounding leads nowhere outside."""
    limit = float(np.finfo(np.float64).max) / 4
    return np.asarray((1 - 2 * EPS) * np.minimum(np.minimum(x - lower, upper - x), limit))


def from_gradient(
    x: Array, axes: Axes, room: Array, policy: Policy = POLICY, /, x_scale: Array | None = None
) -> Search[ComplexHessian]:
    """Return the Hessian from n complex gradients, and one more for its error bar."""
    g0, size = yield from check_analytic(x, "jac", axes, room, x_scale)
    g0 = g0[axes]
    G = np.empty((axes.size, axes.size))
    rows = max(1, _BLOCK_BYTES // (16 * x.size))
    for first in range(0, axes.size, rows):
        some = axes[first : first + rows]
        points = np.tile(x.astype(np.complex128), (some.size, 1))
        points[np.arange(some.size), some] += 1j * IMAGINARY
        G[first : first + rows] = (yield Rows(points, "pairs")).imag[:, axes] / IMAGINARY
    # Sums whose terms cancel leave asymmetry; the rounding of x, through third derivatives, may not. One more
    # gradient tells both: H v at a point a few roundings away, v a combination of natural sizes.
    random = np.random.default_rng(20110317)
    signs = random.choice((-1.0, 1.0), (2, axes.size))
    v = signs[1] * size * random.uniform(0.5, 1.0, axes.size)
    point = x.astype(np.complex128)
    # Uneven, for signs alone may cancel; so far that lengths between points, rounded themselves, change too.
    nearby = policy.nearby * EPS * np.abs(point[axes].real) * random.uniform(1.0, 3.0, axes.size)
    point[axes] += np.where(nearby < room, signs[0] * nearby, 0.0) + 1j * IMAGINARY * v
    product = (yield Rows(point[None, :], "calibration"))[0].imag[axes] / IMAGINARY
    missed = size / policy.nearby * np.abs(product - v @ G)
    change = size * (np.abs(v) @ np.abs(G))
    asymmetry = np.abs(G - G.T)
    s = equilibrate(G)
    relative = max(float(np.median(s[:, None] * asymmetry * s)), 2 * _middle(missed / change), EPS)
    # No entry can be known less than the largest change of g over the sizes of all coordinates.
    condition = np.fmin(1 / np.multiply.outer(s, s), np.fmax(np.max(change), 0.0) / np.multiply.outer(size, size))
    condition = relative * condition + 2 * asymmetry + 4 * EPS * np.abs(G)
    # What the rounding of the sums explains is in `relative`.
    beyond = np.fmax(np.nan_to_num(missed, posinf=0.0) - 4 * EPS * change, 0.0)
    rows = np.sqrt(16 * beyond) / size
    condition += np.multiply.outer(rows, rows)
    # x itself is only known to its rounding, which moves g by as much.
    jac_error = 4 * EPS * (np.abs(g0) + np.abs(G) @ np.abs(x[axes]))
    step = np.full(axes.size, IMAGINARY)
    zero = np.zeros_like(G)
    return ComplexHessian(0.5 * (G + G.T), zero, condition, g0, jac_error, step, EPS, size)


def _middle(a: Array) -> float:
    """Median of the finite elements, 0 without any."""
    finite = a[np.isfinite(a)]
    return float(np.median(finite)) if finite.size else 0.0


def start_search(
    x: Array, axes: Axes, room: Array, policy: Policy = POLICY, /, x_scale: Array | None = None
) -> Search[ComplexSearch]:
    """Return the search of an f that is made sure to be analytic."""
    tight = (room < policy.shortest * np.abs(x[axes])) | (room <= 0)
    if tight.any():
        i = axes[np.argmax(tight)]
        raise ValueError(f'bounds: method "cs" needs room on both sides of x0[{i}] = {x[i]!r}')
    f0, size = yield from check_analytic(x, "fun", axes, room, x_scale)
    return ComplexSearch(x, axes, room, float(f0), size, policy)


class ComplexSearch:
    """The Hessian of a complex f: one level of steps h_i = 2^k u_i found for each axis, all axes side by side.

    Parameters
    ----------
    x : ndarray, shape (n,)
    axes : ndarray of int32, shape (m,)
    room, size : ndarray, shape (m,)
        How far each coordinate can go to both sides, and its natural size.
    f0 : float
        f(x).
    policy : Policy
    """

    def __init__(self, x: Array, axes: Axes, room: Array, f0: float, size: Array, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.x, self.axes, self.m = x, axes, axes.size
        self.room, self.f0, self.size = room, f0, size
        self.unit = np.minimum(unit_of(size), np.exp2(np.floor(np.log2(room))))
        fits = np.floor(np.log2(room) - np.log2(self.unit)) - 1
        self.ceiling = np.minimum(fits, -1.0).astype(np.intp)
        self.beyond = np.clip(fits - self.ceiling, 0, higher(size, self.unit, policy.farther)).astype(np.intp)
        # Values at +-(1 + i) 2^k u_i e_i by (axis, k).
        self.seen: dict[tuple[int, int], Complex] = {}
        self.spread = np.zeros(self.m)
        self.shows = np.zeros(self.m, dtype=np.bool_)

    def run(self, step: Array | None = None) -> Search[ComplexHessian]:
        """Search the steps, or take those given, and return the Hessian with its bars."""
        if step is not None:
            self.unit = step
            outside = 2 * step > self.room
            if outside.any():
                i = int(np.argmax(outside))
                raise ValueError(f"rel_step, abs_step: {step[i]} leaves the bounds at x0[{self.axes[i]}]")
            return (yield from self._at_levels(np.zeros(self.m, dtype=np.intp)))
        level = yield from self._search()
        found = yield from self._at_levels(level)
        refuted = [] if self.shows.all() else (yield from self._refuted(found.hess))
        if refuted:
            level[refuted] = yield from self._search_below(refuted, level)
            level = yield from self._verified(level)
            found = yield from self._at_levels(level)
        return found

    def _at_levels(self, level: NDArray[np.intp]) -> Search[ComplexHessian]:
        yield from self._sample([(i, int(level[i]) + up) for i in range(self.m) for up in (0, 1)])
        return (yield from self._assemble(self.unit * np.exp2(level), level))

    # ---- axes

    def _point(self, axis: int, a: float) -> complex:
        """Displaced coordinate x + (1 + i) a, for the a that rounding leaves in the real part."""
        x = float(self.x[self.axes[axis]])
        moved = x + a
        return complex(moved, moved - x)

    def _sample(self, requests: list[tuple[int, int]]) -> Search[None]:
        """Ask for both sides of the axes and levels that were not seen."""
        fresh = [key for key in dict.fromkeys(requests) if key not in self.seen]
        rows = max(1, _BLOCK_BYTES // (32 * self.x.size))
        for first in range(0, len(fresh), rows):
            some = fresh[first : first + rows]
            points = np.tile(self.x.astype(np.complex128), (2 * len(some), 1))
            for row, (i, k) in enumerate(some):
                h = float(self.unit[i]) * 2.0**k
                points[2 * row, self.axes[i]] = self._point(i, h)
                points[2 * row + 1, self.axes[i]] = self._point(i, -h)
            values = (yield Rows(points)).reshape(-1, 2)
            self.seen.update(zip(some, values, strict=True))

    def _taken(self, i: int, k: int) -> tuple[float, float]:
        h = float(self.unit[i]) * 2.0**k
        return self._point(i, h).imag, -self._point(i, -h).imag

    def _curvature(self, i: int, k: int) -> float:
        """H_ii at one level: Im f(+-) = +-g a + H a^2, where rounding may have left the two a unequal."""
        (ahead, behind), (a, b) = self.seen[i, k].imag, self._taken(i, k)
        return float((ahead / a + behind / b) / (a + b))

    def _slope(self, i: int, k: int) -> float:
        """g_i and its truncation h^2 T_3 / 3 at one level."""
        (ahead, behind), (a, b) = self.seen[i, k].imag, self._taken(i, k)
        return float((ahead - behind) / (a + b))

    def _bend(self, i: int, k: int) -> float:
        """|T_4| / 3, the real part beyond 2 f."""
        return abs(float(self.seen[i, k].real.sum()) - 2 * self.f0)

    def _magnitude(self, i: int, k: int) -> float:
        """What the rounding of both parts of f is measured by."""
        return max(abs(self.f0), float(np.abs(self.seen[i, k]).max()))

    def _floor(self, i: int, k: int) -> float:
        """Noise of H_ii times h if the imaginary parts are right to rounding."""
        a, b = self._taken(i, k)
        return float(EPS * np.abs(self.seen[i, k].imag).sum() / (a + b))

    def _errors(self, i: int, k: int) -> Errors:
        near, far = self._curvature(i, k), self._curvature(i, k + 1)
        size = np.fmax(abs(near), TINY)
        N = np.fmin(np.fmax(self.spread[i] / (self.unit[i] * 2.0**k) / size, EPS / 4), 1 / TINY)
        T = np.fmin(np.fmax(abs(near - far) / 15 / size, 0.0), 1 / TINY)
        hidden, finite = bool(self.policy.hidden * N > T), bool(np.isfinite(near + far))
        return Errors(float(N), float(self.policy.mixed * T), hidden, finite, float(size))

    def _search(self) -> Search[NDArray[np.intp]]:
        """Choose a level for each axis."""
        start = round(np.log2(EPS) / (ORDER + 1))
        level = yield from self._verified(np.minimum(start, self.ceiling))
        first = level.copy()
        best, seen = yield from self._climb(range(self.m), level, self.ceiling, self.policy.leap)
        self.shows = seen
        # Where no level shows a curvature above its noise, the pairs are best served by an ordinary step.
        return np.where(seen, best, np.minimum(level, first))

    def _climb(
        self, axes: Iterable[int], level: NDArray[np.intp], ceiling: NDArray[np.intp], leap: int
    ) -> Search[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
        """Move the level of each axis to where its errors balance; return the best one, and whether curvature shows."""
        policy, beyond = self.policy, self.beyond.tolist()
        climbs = {
            i: Climb(
                ORDER,
                int(level[i]),
                int(ceiling[i]),
                beyond=beyond[i],
                leap=leap,
                moves=policy.moves,
                attainable=policy.attainable,
            )
            for i in axes
        }
        active = climbs
        while active:
            yield from self._sample([(i, climb.level + up) for i, climb in active.items() for up in (0, 1)])
            active = {i: climb for i, climb in active.items() if climb.advance(self._errors(i, climb.level))}
        best, seen = level.copy(), np.zeros(self.m, dtype=np.bool_)
        for i, climb in climbs.items():
            level[i] = climb.level
            if climb.best is not None:
                best[i], seen[i] = climb.best, climb.relative < policy.shows
        return best, seen

    # ---- one more look

    def _refuted(self, H: Array) -> Search[list[int]]:
        """Return the axes along which f curves otherwise at steps far shorter than all others.

        Beyond its natural length f may be flat: its curvature then vanishes at every step in sight. One line of short
        steps in all coordinates tells, and each axis is asked where it contradicts. Noise contradicts too, but not
        alike at twice the step.
        """
        x = self.x
        short = 2.0**self.policy.glance * unit_of(np.maximum(np.abs(x[self.axes]), self.size))
        signs = np.random.default_rng(20080305).choice((-1.0, 1.0), self.m)
        told = 0.0
        for longer in (1.0, 2.0):
            d = np.zeros(x.size)
            d[self.axes] = longer * np.minimum(short, self.room / 2) * signs
            d = (x + d) - x
            ends = yield Rows(np.array([x + (1 + 1j) * d, x - (1 + 1j) * d]), "calibration")
            d = d[self.axes] / longer
            curved, known = float(ends.imag.sum()) / 2 / longer**2, float(d @ H @ d)
            noise = 20 * EPS * float(np.abs(ends.imag).sum()) / longer**2
            if not abs(curved - known) > noise + self.policy.refuted * float(np.abs(d) @ np.abs(H) @ np.abs(d)):
                return []
            if longer > 1 and not abs(curved - told) < self.policy.alike * abs(curved - known):
                return []
            told = curved
        levels = self._glances()
        yield from self._sample([(i, k + up) for i, k in enumerate(levels) for up in (0, 1)])
        near, far = (np.array([self._curvature(i, k + up) for i, k in enumerate(levels)]) for up in (0, 1))
        missed = np.abs(near - np.diag(H))
        clear = (missed > self.policy.refuted * np.abs(near)) & (np.abs(near - far) < self.policy.alike * missed)
        return [int(i) for i in np.flatnonzero(clear)]

    def _glances(self) -> list[int]:
        """Level of a glance at each axis."""
        size = np.maximum(np.abs(self.x[self.axes]), self.size)
        return [int(k) for k in self.policy.glance + np.round(np.log2(size) - np.log2(self.unit))]

    def _search_below(self, axes: list[int], level: NDArray[np.intp]) -> Search[NDArray[np.intp]]:
        """Search these axes anew from the glance up, in small leaps."""
        ceiling, below = self.ceiling.copy(), level.copy()
        ceiling[axes] = level[axes] - 2
        below[axes] = np.minimum(np.array(self._glances())[axes], ceiling[axes])
        best, _ = yield from self._climb(axes, below, ceiling, self.policy.small_leap)
        return best[axes]

    def _verified(self, level: NDArray[np.intp]) -> Search[NDArray[np.intp]]:
        """Measure the noise of the curvatures six and eight levels below, where it is 64 and 256 times as large.

        What both have in common against the value above is no noise: the step is beyond the natural length of f, and
        the search begins below. A noise far smaller than that of other axes, in units of rounding or scaled by the
        curvature, is two lucky draws, and raised.
        """
        lows = self.policy.verify
        for _ in range(4):
            yield from self._sample([(i, int(k) + up) for i, k in enumerate(level) for up in (0, 1, *lows)])
            floor, scale, below = np.zeros(self.m), np.ones(self.m), []
            for i, k in enumerate(level.tolist()):
                value = (16 * self._curvature(i, k) - self._curvature(i, k + 1)) / 15
                missed = np.array([self._curvature(i, k + low) - value for low in lows])
                self.spread[i] = np.sqrt(np.mean((missed * self.unit[i] * np.exp2(k + np.array(lows))) ** 2))
                floor[i] = self._floor(i, k + lows[0])
                scale[i] = np.sqrt(abs(value)) if value != 0 else np.nan
                common = abs(missed[1] - missed[0]) < self.policy.common * abs(missed[0])
                if not np.isfinite(value) or (common and self.spread[i] > self.policy.disproved * floor[i]):
                    below.append(i)
            usual = max(_middle(self.spread / floor), 1.0) * floor
            scaled = _middle(self.spread / scale) * scale
            self.spread = np.fmax(np.fmax(self.spread, usual), np.fmax(0.5 * scaled, 0.0))
            if not below:
                break
            level = level.copy()
            level[below] -= self.policy.down
        return level

    # ---- pairs

    def _assemble(self, step: Array, level: NDArray[np.intp]) -> Search[ComplexHessian]:
        m, k = self.m, level.tolist()
        H, T, N = np.zeros((m, m)), np.zeros((m, m)), np.zeros((m, m))
        self._refuse_growth(k)
        near = np.array([self._curvature(i, k[i]) for i in range(m)])
        far = np.array([self._curvature(i, k[i] + 1) for i in range(m)])
        spread = np.array([max(self.spread[i], self._floor(i, k[i])) for i in range(m)])
        drift = np.abs(near - far) / 15
        sixth = self._sixth(step, drift, k)
        np.fill_diagonal(H, (16 * near - far) / 15)
        # The next term, of order 8, follows the first as 4 drift^2 / H between the exponential and 1/(1 - x).
        np.fill_diagonal(T, drift * np.minimum(1.0, 4 * drift / np.maximum(np.abs(near), TINY)))
        np.fill_diagonal(N, spread / step)
        turned = yield from self._pairs(H, T, N, k, 2 * spread * step, sixth, step)
        unsettled = np.sqrt(EPS * turned)
        condition = self.policy.condition_bar * N + 4 * EPS * np.abs(H)
        condition += np.tril(np.multiply.outer(unsettled, unsettled))
        for matrix in (H, T, condition):
            matrix += np.tril(matrix, -1).T
        jac, jac_error = self._gradient(k, spread, sixth)
        jac_error += 4 * EPS * (np.abs(H) @ np.abs(self.x[self.axes]))
        noise = float(np.median(spread * step))
        sizes = np.maximum(self.size, step)
        return ComplexHessian(H, self.policy.truncation_bar * T, condition, jac, jac_error, step, noise, sizes)

    def _refuse_growth(self, level: list[int]) -> None:
        """Refuse a real part that grows like h^2, as that of |z|^2 does: in an analytic f it grows like h^4."""
        for i, k in enumerate(level):
            deep = self.policy.verify[0]
            if (i, k + deep) in self.seen:
                low, near, far = [self._bend(i, k + up) for up in (deep, 0, 1)]
                if far > 1e5 * EPS * self._magnitude(i, k + 1) and far > 1e3 * low and far < 8 * near:
                    raise not_analytic("fun", f"has a real part that grows like h^2 beside x0[{self.axes[i]}]")

    def _sixth(self, step: Array, drift: Array, level: list[int]) -> Array:
        """Return h^6 T_6 / (h^4 T_4) of each axis, from drift = h^4 T_6 / 90 and the bend (2 h)^4 T_4 / 3 at 2 h."""
        bend = np.array([self._bend(i, k + 1) for i, k in enumerate(level)])
        seen = bend > 64 * EPS * np.array([self._magnitude(i, k + 1) for i, k in enumerate(level)])
        square = (step / self.size) ** 2  # where neither shows they are as far apart as elsewhere, step for step
        if not seen.any():
            return np.asarray(np.maximum(16 * square, 2.0**-16))
        found: Array = np.nan_to_num(480 * drift * step**2 / np.maximum(bend, TINY))
        usual = np.median(found[seen])
        return np.asarray(np.where(seen, found, np.maximum(usual, np.median(found[seen] / square[seen]) * square)))

    def _pairs(
        self, H: Array, T: Array, N: Array, level: list[int], sigma: Array, sixth: Array, step: Array
    ) -> Search[Array]:
        """Fill the strict lower triangles; return by how much each diagonal entry turns with x.

        With psi = f(x + r a) - f(x + r a_i) - f(x + r a_j) + f(x): Im (psi+ + psi-) = 4 h_i h_j H_ij - M_6 / 45 and
        Re (psi+ + psi-) = -M_4 / 3, M_k the mixed part of T_k. M_6 is taken as M_4 T_6 / T_4 (2^6 - 2) / (2^4 - 2).
        """
        ends = np.array([self.seen[i, k] for i, k in enumerate(level)])
        taken = np.array([self._taken(i, k) for i, k in enumerate(level)])
        rows, columns = np.tril_indices(self.m, -1)
        x = self.x.astype(np.complex128)
        place, unsettled = self.x[self.axes], np.zeros(self.m)
        size = max(1, _BLOCK_BYTES // (32 * self.x.size))
        for first in range(0, rows.size, size):
            i, j = rows[first : first + size], columns[first : first + size]
            points = np.tile(x, (2 * i.size, 1))
            for side, sign in enumerate((1.0, -1.0)):
                for axis in (i, j):
                    points[np.arange(side, 2 * i.size, 2), self.axes[axis]] += sign * taken[axis, side] * (1 + 1j)
            values = (yield Rows(points, "pairs")).reshape(-1, 2)
            psi = values - ends[i] - ends[j] + self.f0
            product = taken[i] * taken[j]
            # Im (psi+ - psi-) / 2 is d3 f / dx_i dx_i dx_j h_i h_i h_j and its mirror image: how H_ii turns with x_j.
            turned = np.abs(np.diff(psi.imag, axis=1)[:, 0]) / 2
            for one, two in ((i, j), (j, i)):
                np.add.at(unsettled, one, turned / (step[one] ** 2 * step[two]) * np.abs(place[two]))
            H[i, j] = (psi.imag / product).sum(axis=1) / 4
            area = product.sum(axis=1) / 2
            T[i, j] = np.abs(psi.real.sum(axis=1)) * np.maximum(sixth[i], sixth[j]) * (62 / 14 / 60) / area
            own = EPS * np.abs(values.imag).sum(axis=1)
            # Measured: the noise of the four values of a pair is 0.6 of what their axes would say.
            N[i, j] = 0.6 * np.hypot(np.hypot(sigma[i], sigma[j]), own) / (4 * area)
        return np.nan_to_num(unsettled, posinf=0.0)

    def _gradient(self, level: list[int], spread: Array, sixth: Array) -> tuple[Array, Array]:
        """Extrapolate Im (f(x + r a) - f(x - r a)) / 2h = g + h^2 T_3 / 3 - h^4 T_5 / 30 from h and 2 h."""
        near, far = (np.array([self._slope(i, k + up) for i, k in enumerate(level)]) for up in (0, 1))
        jac = (4 * near - far) / 3
        # The h^4 term is 2/15 of the h^2 term |near - far| times h^2 T_5 / T_3, for which T_6 / T_4 stands.
        truncation = np.abs(near - far) * np.minimum(1.0, sixth)
        condition = 2 * spread + EPS * np.abs(jac)
        return jac, self.policy.condition_bar * condition + self.policy.truncation_bar * truncation
