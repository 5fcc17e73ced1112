"""One coordinate (or direction) of a gradient on its levels: what was seen there, and whether it holds far below."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hessfast.gradients.columns import Array, Family, extrapolate
from hessfast.gradients.judgement import Judgement, judge
from hessfast.gradients.levels import Climb
from hessfast.gradients.norms import norm
from hessfast.gradients.policy import POLICY, Policy
from hessfast.scale import EPS, TINY


@dataclass(slots=True, eq=False)
class Ray:
    """What was seen along one coordinate at its levels, and where its search stands.

    Attributes
    ----------
    unit : float
        Step at level 0, signed where the stencil is one-sided.
    nodes : Family
    climb : Climb
    axis : int
        The coordinate; -1 for a direction.
    seen : dict
        Divided differences by level: one for a symmetric stencil (levels share them), all nodes for a one-sided.
    bends : dict
        By level: c_1 h of the entry on the diagonal, and how much that turns with x (`Matrix.unsettled`).
    """

    unit: float
    nodes: Family
    climb: Climb
    axis: int = -1
    seen: dict[int, list[Array]] = field(default_factory=dict)
    bends: dict[int, tuple[float, float]] = field(default_factory=dict)
    policy: Policy = POLICY

    @property
    def best(self) -> int | None:
        """Level of the least error so far."""
        return self.climb.best

    def _span(self, level: int) -> range:
        """Levels whose differences a judgement takes: at least two, so that the drift is seen."""
        return range(level, level + (max(2, len(self.nodes.nodes)) if self.nodes.symmetric else 1))

    def missing(self, level: int) -> list[int]:
        """Levels still to be evaluated for a judgement at `level`."""
        return [k for k in self._span(level) if k not in self.seen]

    def unseen(self, level: int) -> list[int]:
        """The level, where it is still to be evaluated."""
        return [] if level in self.seen else [level]

    def judge(self, level: int, noise: Array, weight: Array) -> Judgement:
        """Judge a level whose differences were all seen."""
        D = [d for k in self._span(level) for d in self.seen[k]]
        with np.errstate(all="ignore"):
            bend = self.bends[level][0] * weight[self.axis] if level in self.bends else 0.0
            return judge(D, self.nodes, self.unit * 2.0**level, noise, weight, bend, self.policy)

    def course(self, noise: Array) -> Array:
        """Truncation error at the best level as all others have it: it falls like h^p from where it is larger.

        Shorter steps have less of it and more noise; those at which the column is another one altogether, as beyond a
        cliff, say nothing.
        """
        assert self.best is not None
        levels, found = len(self.nodes.nodes), np.zeros(noise.shape)
        if not self.nodes.symmetric:
            return found
        with np.errstate(all="ignore"):
            value = self._combined(self.best)
            for level in self.seen:
                if level != self.best and all(level + k in self.seen for k in range(levels)):
                    missed = np.abs(self._combined(level) - value)
                    if level > self.best:
                        if not norm(missed) <= norm(value):
                            continue
                        missed *= 2.0 ** (self.nodes.order * (self.best - level))
                    else:
                        missed -= self.policy.clear / 4 * self.nodes.noise * noise / abs(self.unit * 2.0**level)
                    found = np.fmax(found, np.nan_to_num(missed, posinf=0.0))
        return found

    def _combined(self, level: int) -> Array:
        return extrapolate([self.seen[level + k][0] for k in range(len(self.nodes.nodes))], self.nodes.weights)


def failing(ray: Ray, j: Judgement, noise: Array) -> NDArray[np.bool_]:
    """Components where D six levels below is not what the extrapolated column and its h^2 term predict.

    Noise from seven values may be low by a factor; where most components say so, up to three is given to it.
    """
    assert ray.best is not None
    verify = ray.policy.verify
    low = ray.best - verify
    with np.errstate(all="ignore"):
        expected = j.value + 4.0**-verify * (ray.seen[ray.best][0] - j.value)
        residual = np.abs(ray.seen[low][0] - expected)
        spread = noise / abs(ray.unit * 2.0**low) + EPS * np.abs(j.value)
        excess = float(np.median(residual / np.maximum(spread, TINY))) / 0.48
        return np.asarray(~(residual <= ray.policy.clear * spread * min(max(excess, 1.0), 3.0) + 2 * j.truncation))


def again(ray: Ray, wrong: NDArray[np.bool_], noise: Array) -> tuple[Ray, Array]:
    """Return the ray to search anew after a verification that failed, and the noise level, for one of two reasons.

    If the step is too long the mismatch does not grow as the verifying step shrinks: then the search restarts below it.
    If the noise was underrated it grows like 1/h: then that level is raised.
    """
    assert ray.best is not None
    low = ray.best - ray.policy.verify
    deepest = low - ray.policy.deeper
    D, deeper = ray.seen[low][0], ray.seen[deepest][0]
    level, ceiling = low, ray.best - 4
    with np.errstate(all="ignore"):
        missed = np.abs(D - ray.judge(ray.best, noise, np.ones_like(D)).value)
        grown = np.abs(deeper - D)
        noisy = wrong & (grown > 0.5 * missed) & np.isfinite(grown)
        if 2 * np.count_nonzero(noisy) > np.count_nonzero(wrong):
            seen = 1.5 * grown * abs(ray.unit * 2.0**deepest)
            noise = np.where(noisy, np.maximum(noise, seen), noise)
            level, ceiling = ray.best, ray.climb.ceiling
    return replace(ray, climb=ray.climb.again(level, ceiling)), noise
