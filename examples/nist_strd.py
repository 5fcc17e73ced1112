"""NIST's 27 nonlinear-regression reference sets: observations, certified values and model functions.

The certified standard deviations are s·sqrt(diag((JᵀJ)⁻¹)), J the Jacobian of the model at the certified
parameters b̂ and s² the residual sum over its degrees of freedom. The function whose Hessian at b̂ is exactly
2JᵀJ is `Dataset.model_distance`, the squared distance of the model from itself at b̂; the Hessian of the
residual sum has the residuals' own curvature in it.

The models are written with NumPy's functions alone, so that b may be complex, long double or array-like.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

DIRECTORY = Path(__file__).resolve().parent / "data" / "nist_strd"

Model = Callable[[Any, np.ndarray], Any]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One reference set (p parameters, N observations)."""

    name: str
    level: str  # Lower, Average or Higher level of difficulty
    model: Model  # model(b, x) -> (N,)
    x: np.ndarray  # (N,) predictor, or (k, N) where the model has k of them
    y: np.ndarray  # (N,) response as the model predicts it (its logarithm for Nelson)
    starts: np.ndarray  # (2, p)
    certified: np.ndarray  # (p,)
    deviations: np.ndarray  # (p,) certified standard deviations
    rss: float  # certified residual sum of squares

    @property
    def degrees_of_freedom(self) -> int:
        """N − p. (The file of Rat43 prints 9, but its certified deviations are made with 11.)"""
        return self.y.size - self.certified.size

    def residual_sum(self, b: Any) -> Any:
        """Return Σ (y − m(b))²."""
        return np.sum((self.y - self.model(b, self.x)) ** 2)

    def model_distance(self, b: Any) -> Any:
        """Return Σ (m(b) − m(b̂))², whose Hessian at b̂ is 2JᵀJ."""
        return np.sum((self.model(b, self.x) - self.model(self.certified, self.x)) ** 2)

    def standard_deviations(self, hess: np.ndarray) -> np.ndarray:
        """Return s·sqrt(diag((H/2)⁻¹)) (p,), H the Hessian of `model_distance`; NaN where H is no use for it.

        H is scaled to a unit diagonal before it is inverted: its own condition number reaches 1e25 here.
        """
        with np.errstate(all="ignore"):
            scale = 1 / np.sqrt(np.diag(hess) / 2)
            if not np.all(np.isfinite(np.outer(scale, scale) * hess)):
                return np.full(self.certified.size, np.nan)
            inverse = np.linalg.inv(hess / 2 * np.outer(scale, scale))
            return scale * np.sqrt(np.diag(inverse) * self.rss / self.degrees_of_freedom)

    def certified_digits(self, hess: np.ndarray) -> float:
        """Return in how many digits the standard deviations agree with the certified ones, at worst."""
        wrong = np.abs(self.standard_deviations(hess) / self.deviations - 1)
        return float(-np.log10(max(np.max(wrong), 1e-11))) if np.all(np.isfinite(wrong)) else 0.0


def _gaussians(b: Any, x: np.ndarray) -> Any:
    first = b[2] * np.exp(-((x - b[3]) ** 2) / b[4] ** 2)
    second = b[5] * np.exp(-((x - b[6]) ** 2) / b[7] ** 2)
    return b[0] * np.exp(-b[1] * x) + first + second


def _three_exponentials(b: Any, x: np.ndarray) -> Any:
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


def _cubic_over_cubic(b: Any, x: np.ndarray) -> Any:
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def _chwirut(b: Any, x: np.ndarray) -> Any:
    return np.exp(-b[0] * x) / (b[1] + b[2] * x)


def _saturation(b: Any, x: np.ndarray) -> Any:
    return b[0] * (1 - np.exp(-b[1] * x))


def _enso(b: Any, x: np.ndarray) -> Any:
    def cycle(period: Any, cosine: Any, sine: Any) -> Any:
        angle = 2 * np.pi * x / period
        return cosine * np.cos(angle) + sine * np.sin(angle)

    return b[0] + cycle(12.0, b[1], b[2]) + cycle(b[3], b[4], b[5]) + cycle(b[6], b[7], b[8])


MODELS: dict[str, Model] = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": _saturation,
    "Chwirut1": _chwirut,
    "Chwirut2": _chwirut,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": _enso,
    "Eckerle4": lambda b, x: (b[0] / b[1]) * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Gauss1": _gaussians,
    "Gauss2": _gaussians,
    "Gauss3": _gaussians,
    "Hahn1": _cubic_over_cubic,
    "Kirby2": lambda b, x: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos1": _three_exponentials,
    "Lanczos2": _three_exponentials,
    "Lanczos3": _three_exponentials,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * np.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
    "Misra1a": _saturation,
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** (-2)),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** (-0.5)),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda b, x: b[0] - b[1] * x[0] * np.exp(-b[2] * x[1]),
    "Rat42": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi,
    "Thurber": _cubic_over_cubic,
}


@cache
def load(name: str) -> Dataset:
    """Read one reference set.

    Parameters
    ----------
    name : str
        One of `MODELS`.

    Returns
    -------
    Dataset
    """
    text = (DIRECTORY / f"{name}.dat").read_text(encoding="ascii")
    first, last = (int(n) for n in _find(r"Data\s+\(lines (\d+) to (\d+)\)", text))
    rows = text.splitlines()[first - 1 : last]
    columns = np.array([[float(entry) for entry in row.split()] for row in rows]).T
    parameters = np.array(
        [[float(v) for v in match] for match in re.findall(r"^\s*b\d+ =" + r"\s+(\S+)" * 4, text, re.M)]
    )
    response, *predictors = columns
    return Dataset(
        name=name,
        level=_find(r"(\w+) Level of Difficulty", text)[0],
        model=MODELS[name],
        x=predictors[0] if len(predictors) == 1 else np.array(predictors),
        y=np.log(response) if name == "Nelson" else response,
        starts=parameters[:, :2].T,
        certified=parameters[:, 2],
        deviations=parameters[:, 3],
        rss=float(_find(r"Residual Sum of Squares:\s+(\S+)", text)[0]),
    )


def _find(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"no {pattern!r} in the file")
    return match.groups()
