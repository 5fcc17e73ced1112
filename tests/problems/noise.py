"""Functions not smooth to rounding: pseudo-noise, quantised values, float32 inside, a large offset."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np

from problems import dense, likelihoods, molecules, squares
from problems.problem import Draw, Function, Maker, Problem, family, problem

NOISY: dict[str, tuple[Maker, int | None]] = {
    "rosenbrock": (squares.rosenbrock, 10),
    "log_sum_exp": (dense.log_sum_exp, 12),
    "quartic": (dense.quartic, 8),
    "lennard_jones": (molecules.lennard_jones, 4),
    "student": (likelihoods.enso_student, 12),
    "log_sum_exp_40": (dense.log_sum_exp, 40),
}


def pseudo_noise(x: np.ndarray) -> float:
    """Return a number of mean 0 and variance 1, uniform, that depends on the bits of x alone."""
    bits = hashlib.blake2b(np.ascontiguousarray(x).tobytes(), digest_size=8).digest()
    return float((int.from_bytes(bits, "little") / 2**64 - 0.5) * np.sqrt(12))


def _noisy(fun: Function, level: float) -> Function:
    return lambda x: fun(x) * (1 + level * pseudo_noise(x))


@family("noise", *(f"{name}_{level}" for name in NOISY for level in ("1e-12", "1e-08", "1e-04")))
def noisy(draw: Draw, member: str) -> Problem:
    name, level = member.rsplit("_", 1)
    maker, n = NOISY[name]
    smooth = maker(draw, n)
    fun = _noisy(smooth.smooth, float(level))
    return replace(smooth, fun=fun, noise=float(level), analytic=False, vectorized=None)


@family("noise", 1e-08, 1e-05)
def quantised(draw: Draw, step: float) -> Problem:
    """Values rounded to multiples of a step, as printed by another program."""
    smooth = dense.log_sum_exp(draw, 12)
    f0 = smooth.smooth(smooth.x0)
    fun = lambda x: float(np.round(smooth.smooth(x) / step) * step)  # noqa: E731
    return replace(smooth, fun=fun, noise=step / np.sqrt(12) / abs(f0), analytic=False, vectorized=None)


@family("noise", 6, 40)
def single_precision(draw: Draw, n: int) -> Problem:
    """float32 inside."""
    A = (draw.rng.standard_normal((2 * n, n)) / np.sqrt(n)).astype(np.float32)
    x0 = draw.rng.standard_normal(n)
    wide = A.astype(np.float64)

    def fun(x: np.ndarray) -> float:
        return float(np.log(np.sum(np.exp(A @ x.astype(np.float32)))))

    return problem(
        fun,
        x0,
        1.0,
        smooth=lambda x: np.log(np.sum(np.exp(wide @ x))),
        noise=float(np.finfo(np.float32).eps) / 2,
        analytic=False,
    )


@family("offset", 5, 12)
def offset(draw: Draw, n: int) -> Problem:
    """1e10 added to a function of size 1: its rounding is 1e-6."""
    smooth = dense.log_sum_exp(draw, n)

    def fun(x: Any) -> Any:
        return 1e10 + smooth.fun(x)

    return replace(smooth, fun=fun, smooth=fun, vectorized=None)
