"""Molecules and small clusters in a plane: their third coordinates are zero, or almost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from problems import jets
from problems.states.state import EPS, Chooser, Floats, State, member

BOHR = 1.8897261254578281

Potential = tuple[Callable[[Any], Any], Callable[[Any], Any]]  # of the distance: V, V'


def lennard_jones(depth: float, rest: float) -> Potential:
    def energy(r: Any) -> Any:
        s = (rest / r) ** 6
        return depth * (s**2 - 2 * s)

    def slope(r: Any) -> Any:
        s = (rest / r) ** 6
        return -12 * depth * (s**2 - s) / r

    return energy, slope


def morse(depth: float, rest: float, steepness: float) -> Potential:
    def energy(r: Any) -> Any:
        return depth * (1 - np.exp(-steepness * (r - rest))) ** 2

    def slope(r: Any) -> Any:
        e = np.exp(-steepness * (r - rest))
        return 2 * depth * steepness * (1 - e) * e

    return energy, slope


def spring(stiffness: float, rest: float) -> Potential:
    return lambda r: stiffness / 2 * (r - rest) ** 2, lambda r: stiffness * (r - rest)


class Molecule:
    """energy · Σ V(|r_i − r_j| / length), a potential for each group of pairs."""

    def __init__(self, pairs: list[tuple[list[tuple[int, int]], Potential]], length: float, energy: float) -> None:
        self.pairs = [(*np.array(where).T, potential) for where, potential in pairs]
        self.length, self.energy = length, energy

    def __call__(self, x: Any) -> Any:
        position = (x / self.length).reshape(-1, 3)
        total = 0.0
        for i, j, (energy, _) in self.pairs:
            between = position[i] - position[j]
            total = total + energy(np.sqrt((between * between).sum(axis=1))).sum()
        return self.energy * total

    def jac(self, x: Any) -> Any:
        position = (x / self.length).reshape(-1, 3)
        g = np.zeros_like(position)
        for i, j, (_, slope) in self.pairs:
            between = position[i] - position[j]
            r = np.sqrt((between * between).sum(axis=1))
            force = (slope(r) / r)[:, None] * between
            np.add.at(g, i, force)
            np.add.at(g, j, -force)
        return g.ravel() * (self.energy / self.length)


def three_atoms(choose: Chooser) -> tuple[Floats, list[Any]]:
    """Return positions (3, 3) in Å and the bonds of water, or of a molecule like it."""
    rest, angle = choose.rng.uniform(0.9, 1.6), np.deg2rad(choose.rng.uniform(95, 130))
    apart = 2 * rest * np.sin(angle / 2)
    position = np.array([[0, 0, 0], [rest * np.sin(angle / 2), rest * np.cos(angle / 2), 0], [0, 0, 0.0]])
    position[2] = position[1] * [-1, 1, 1]
    bond = morse(choose.rng.uniform(3, 6), rest, choose.rng.uniform(1.5, 2.5))
    return position, [([(0, 1), (0, 2)], bond), ([(1, 2)], spring(choose.rng.uniform(2, 6), apart))]


def flat_cluster(choose: Chooser) -> tuple[Floats, list[Any]]:
    """Return positions (3 … 4, 3) of Lennard-Jones atoms in a plane."""
    rest = choose.rng.uniform(1, 4)
    position = rest * np.array([[0, 0, 0], [1, 0, 0], [0.5, np.sqrt(0.75), 0], [1.5, np.sqrt(0.75), 0]])
    position = position[: choose.one_of(3, 4)]
    i, j = np.triu_indices(len(position), 1)
    return position, [
        (list(zip(i.tolist(), j.tolist(), strict=True)), lennard_jones(choose.rng.uniform(0.01, 1), rest))
    ]


@member("molecules")
def planar(choose: Chooser) -> State:
    """At rest or stretched, in ångström, bohr or metres; zeros exact, or as a rotation leaves them."""
    position, pairs = choose.one_of(three_atoms, three_atoms, flat_cluster)(choose)
    size = float(np.abs(position).max())
    planar = position[:, :2]
    planar += choose.one_of(0.0, 0.02, 0.05) * size * choose.rng.standard_normal(planar.shape)
    if choose.chance(0.5):
        planar -= planar.mean(axis=0)
    left = choose.one_of(0.0, 1e-15, 1e-17, 1e-20, 1e-16)
    if choose.chance(0.5):
        position[:, 2] = left * choose.rng.standard_normal(len(position)) * (choose.rng.random(len(position)) < 0.8)
    else:
        position[position == 0] = left
    unit, energy = {"Å": (1.0, 1.0), "bohr": (BOHR, 0.0367493), "m": (1e-10, 1.602e-19)}[
        choose.one_of("Å", "bohr", "m")
    ]
    f = Molecule(pairs, unit, energy)
    x0 = position[:, choose.rng.permutation(3)].ravel() * unit
    grad, hess = jets.derivatives(f, x0)
    terms = Molecule(
        [(np.stack([i, j], axis=1).tolist(), (lambda r, V=V[0]: np.abs(V(r)), V[1])) for i, j, V in f.pairs],
        unit,
        energy,
    )
    return State(
        fun=f,
        jac=f.jac,
        x0=x0,
        grad=grad,
        hess=hess,
        lengths=np.full(x0.size, 0.2 * size * unit),
        noise=EPS * max(float(terms(x0)), 0.01 * energy),
        least=1e-2,  # at rest nothing holds the atoms in their plane
        analytic=True,
        kind=f"{'at rest' if np.abs(grad).max() * size * unit < 1e-6 * energy else 'stretched'} {unit:.2g} {left:.0e}",
    )
