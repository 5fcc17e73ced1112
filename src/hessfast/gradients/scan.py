"""One level for all coordinates, found along one random direction that displaces each by its own unit.

Where short steps foretell what g is at a long one along it, the level is verified, and g is smooth; where they do not,
g may be rough, and is looked at over steps of about the coordinates' own sizes (`hessfast.gradients.ripples`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from hessfast.calls.points import Search
from hessfast.gradients.columns import Array, family
from hessfast.gradients.judgement import Judgement, direction_errors
from hessfast.gradients.levels import Climb
from hessfast.gradients.noise import Place
from hessfast.gradients.ray import Ray, again, failing
from hessfast.gradients.ripples import FAR, FARTHEST, NEAR, Sight, is_broken_near, look_far, plateau
from hessfast.scale import TINY

DIGITS = -49
"""Octaves of a number, but for the last ones."""


class Scan:
    """What the direction tells; `run` sets the level at which columns begin, and may raise the noise.

    Attributes
    ----------
    bend : float
        Relative h^2 term at its best level.
    along : tuple of ndarray, shape (m,)
        The direction, and its h^2 term in each component of g.
    turning : ndarray, shape (m,)
        That term with its noise.
    course : ndarray, shape (m,)
        Truncation error as the other levels have it (`Ray.course`).
    doubted : bool or None
        Whether g at a long step made it look rough; None where that was not looked at.
    """

    def __init__(self, place: Place) -> None:
        m = place.gradient.size
        self.place = place
        self.bend = 0.0
        self.along = np.zeros(m), np.zeros(m)
        self.turning = np.zeros(m)
        self.course = np.zeros(m)
        self.doubted: bool | None = None
        self._displacement = np.zeros(m)

    def run(self) -> Search[None]:
        """Find a level along one random direction, and verify it."""
        place = self.place
        policy, x, both = place.policy, place.gradient.x, place.order > 1
        room = np.minimum(place.below, place.above) if both else np.maximum(place.below, place.above)
        room = room / (2.0 if place.order <= 2 else 1.0)  # the level above the highest is looked at too
        fitting = np.exp2(np.floor(np.log2(np.maximum(room, TINY))))
        size = np.where(fitting >= place.unit * 2.0**-6, np.minimum(place.unit, fitting), 0.0)
        sign = place.chance.choice((-1.0, 1.0), x.size)
        if not both:
            sign = np.where(place.above >= place.below, 1.0, -1.0)
        d = sign * size
        if not d.any():
            return
        climb = Climb(place.order, place.start, place.cap, DIGITS, leap=policy.leap, moves=policy.moves)
        ray = Ray(1.0, family(place.order, both), climb, policy=policy)
        yield from self._climb(ray, d)
        for _ in range(2 if both else 0):
            if (yield from self._follows(ray, d)) or ray.best is None:
                break
            yield from self._sample(ray, d, ray.unseen(ray.best - policy.verify))
            wrong = failing(ray, self._judge(ray), place.noise)
            if np.mean(wrong) <= policy.odd:
                break
            yield from self._sample(ray, d, ray.unseen(ray.best - policy.verify - policy.deeper))
            ray, place.noise = again(ray, wrong, place.noise)
            yield from self._climb(ray, d)
        if ray.best is not None:
            place.start = ray.best
            j = self._judge(ray)
            shows = np.abs(j.value) > policy.visible * j.condition
            if shows.any():
                self.bend = float(np.median(j.drift[shows] / np.abs(j.value[shows])))
            self.along, self.turning = (d, np.maximum(j.drift - 2 * j.condition, 0.0)), j.drift + j.condition
            self.course = ray.course(place.noise)

    def _follows(self, ray: Ray, d: Array) -> Search[bool]:
        """Whether g at a long step is what short ones foretell; that verifies them as well as still shorter ones do."""
        best = min(ray.seen) if ray.best is None else ray.best
        if self.doubted is not None or self.place.noise_given or 8.0 * 2.0**best > FAR or best + 1 not in ray.seen:
            return False
        weight = np.abs(d)
        k, close = best, self.place.policy.short_of_length * (weight @ np.abs(ray.seen[best][0]))
        if ray.best is None and close > 0.0:
            return False
        for level in sorted(ray.seen):  # the longest steps that are short say most of the t² term
            if level > k and level + 1 in ray.seen:
                three = [ray.seen[number][0] for number in (k, level, level + 1)]
                if weight @ np.abs(three[2] - three[1]) <= close >= weight @ np.abs(three[1] - three[0]):
                    k = level
        h = 2.0**k
        ratio = (FAR / h) ** 2
        bend = (ray.seen[k + 1][0] - ray.seen[k][0]) * (ratio / 3.0)
        value, spread = weight * (ray.seen[k][0] - bend / ratio), weight * (self.place.noise / h * ratio)
        bend *= weight
        sight = look_far(value, bend, weight * (yield from self._difference(d, FAR)), spread)
        self.doubted, self._displacement = sight is Sight.SUSPECT, d
        if sight is Sight.BROKEN:
            less = (NEAR / FAR) ** 2
            near, here = weight * (yield from self._difference(d, NEAR)), weight * self.place.noise / NEAR
            self.doubted = is_broken_near(value, less * bend, near, less * spread + here)
        return sight is Sight.SMOOTH and best >= self.place.start - 4

    def _difference(self, d: Array, t: float) -> Search[Array]:
        """Central difference at a long step; nan where there is none."""
        x = self.place.gradient.x
        g = yield from self.place.gradient.probe(np.array([x + t * d, x - t * d]))
        return np.asarray((g[0] - g[1]) / (2 * t))

    def _climb(self, ray: Ray, d: Array) -> Search[None]:
        going = True
        while going:
            yield from self._sample(ray, d, ray.missing(ray.climb.level))
            going = ray.climb.advance(direction_errors(self._judge(ray, ray.climb.level), self.place.policy))

    def _sample(self, ray: Ray, d: Array, levels: Sequence[int]) -> Search[None]:
        if not levels:
            return
        offsets = (1.0, -1.0) if ray.nodes.symmetric else tuple(range(1, max(self.place.order, 2) + 1))
        h = [2.0**k for k in levels]
        g = yield from self.place.gradient.dense(
            np.array([self.place.gradient.x + t * s * d for s in h for t in offsets])
        )
        g = g.reshape(len(h), len(offsets), -1)
        for row, (k, s) in enumerate(zip(levels, h, strict=True)):
            if ray.nodes.symmetric:
                ray.seen[k] = [(g[row, 0] - g[row, 1]) / (2 * s)]
            else:
                ray.seen[k] = [(at - self.place.g0) / (t * s) for at, t in zip(g[row], offsets, strict=True)]

    def _judge(self, ray: Ray, level: int | None = None) -> Judgement:
        k = ray.best if level is None else level
        assert k is not None
        weight = 1 / np.maximum(np.abs(ray.seen[k][0]), TINY)
        return ray.judge(k, self.place.noise, weight)

    def roughness(self, hess: Array, truncation: Array, condition: Array, step: Array) -> Search[Array | None]:
        """Look at g over steps of about the coordinates' own sizes; return its noise level if that shows roughness.

        The Hessian comes with both parts of its bar (m, m) and its steps (m,).
        """
        if not (self.doubted or (yield from self._stands_still(hess, step))):
            return None
        d = self._displacement
        size = np.abs(d)
        bar = float(size @ truncation @ size + size @ condition @ size)
        noise = float(np.sqrt(size**2 @ self.place.noise**2))
        seen = yield from plateau(partial(self._difference, d), d, float(d @ hess @ d), bar, noise)
        return None if seen is None else seen.height

    def _stands_still(self, hess: Array, step: Array) -> Search[bool]:
        """Whether g, which does not notice some coordinates at their steps, does over longer ones."""
        place = self.place
        room = FARTHEST * place.unit <= np.minimum(place.below, place.above)
        flat = room & (np.abs(step) < FAR * place.unit) & ~hess.any(axis=0)
        if place.noise_given or not flat.any() or (self.doubted is not None and not hess.any()):
            return False  # where nothing moved at all the scan has looked already
        self._displacement = np.where(flat, place.signs * place.unit, 0.0)
        moved = 2 * FAR * np.abs((yield from self._difference(self._displacement, FAR)))
        return bool((moved > place.policy.clear * place.noise).any())
