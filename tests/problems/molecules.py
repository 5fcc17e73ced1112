"""Clusters of atoms: Lennard-Jones and Morse energies near a compact arrangement."""

from __future__ import annotations

from typing import Any

import numpy as np

from problems.problem import Draw, Problem, family, problem

EQUILIBRIUM = 2 ** (1 / 6)  # distance of two Lennard-Jones atoms at rest


def _arrangement(draw: Draw, atoms: int, spread: float) -> np.ndarray:
    """Return (3 atoms,) coordinates: the innermost sites of a face-centred lattice, displaced at random."""
    grid = np.stack(np.meshgrid(*3 * [np.arange(-3, 4)], indexing="ij"), axis=-1).reshape(-1, 3)
    sites = grid[grid.sum(axis=1) % 2 == 0].astype(np.float64)
    nearest = sites[np.argsort(np.linalg.norm(sites - [0.1, 0.2, 0.3], axis=1), kind="stable")[:atoms]]
    return (nearest * EQUILIBRIUM / np.sqrt(2) + spread * draw.rng.standard_normal((atoms, 3))).ravel()


def _square_distances(x: Any, atoms: int) -> Any:
    position = x.reshape(-1, 3)
    i, j = np.triu_indices(atoms, 1)
    return np.sum((position[i] - position[j]) ** 2, axis=1)


@family("molecule", 3, 7, 13, 20)
def lennard_jones(draw: Draw, atoms: int) -> Problem:
    def fun(x: Any) -> Any:
        inverse_sixth = 1 / _square_distances(x, atoms) ** 3
        return 4 * np.sum(inverse_sixth**2 - inverse_sixth)

    return problem(fun, _arrangement(draw, atoms, 0.03), 0.1)


@family("molecule", 4)
def morse(draw: Draw, atoms: int) -> Problem:
    def fun(x: Any) -> Any:
        bond = 1 - np.exp(-6 * (np.sqrt(_square_distances(x, atoms)) - EQUILIBRIUM))
        return np.sum(bond**2)

    return problem(fun, _arrangement(draw, atoms, 0.05), 0.1)
