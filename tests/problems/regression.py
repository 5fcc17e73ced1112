"""NIST's 27 regression sets: residual sums, and distances of the model from itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from nist_strd import MODELS, Dataset, load

from problems.jets import Jet
from problems.problem import Draw, Problem, family, problem


def _point(draw: Draw, data: Dataset) -> np.ndarray:
    return draw.near(data.certified, data.deviations, spread=0.5)


def _lengths(data: Dataset, b: np.ndarray) -> np.ndarray:
    """1/‖column of J‖: the change of one parameter that moves the model by 1 in the Euclidean norm."""
    jacobian = data.model(Jet.variable(b, order=1), data.x).grad
    return 1 / np.linalg.norm(jacobian, axis=0)


@family("regression", *MODELS)
def residual_sum(draw: Draw, name: str) -> Problem:
    data = load(name)
    b = _point(draw, data)
    return problem(data.residual_sum, b, _lengths(data, b))


@family("model_distance", *MODELS)
def model_distance(draw: Draw, name: str) -> Problem:
    """Σ (m(b) − m(b̂))² at b̂: f = 0, ∇f = 0, H = 2JᵀJ."""
    data = load(name)
    center = _point(draw, data)
    prediction = data.model(center, data.x)

    def fun(b: Any) -> Any:
        return np.sum((data.model(b, data.x) - prediction) ** 2)

    def exact(b: Any) -> Any:  # the prediction in b's own arithmetic, so that the residuals are exactly zero
        return np.sum((data.model(b, data.x) - data.model(0 * b + center, data.x)) ** 2)

    return problem(fun, center, _lengths(data, center), smooth=exact)
