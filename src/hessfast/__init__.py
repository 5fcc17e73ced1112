"""Curvature of black-box functions: Hessians, quadratic forms, second-order Taylor models."""

from hessfast.algebra.quadratic import quadratic_form
from hessfast.along_axes import gradient, hessian_diag
from hessfast.calls.foreign import native
from hessfast.check import HessianCheck, WrongEntry, check_hessian, estimate_noise
from hessfast.config import show_config
from hessfast.dense import hessian
from hessfast.directions import curvature
from hessfast.models.descent import minimize_taylor
from hessfast.models.step_length import optimal_step
from hessfast.models.taylor import TaylorModel
from hessfast.operators import HessianOperator, hvp
from hessfast.results import (
    AccuracyWarning,
    AxisDerivatives,
    CurvatureResult,
    CurvatureStatus,
    EvaluationCounts,
    HessianResult,
    HessianStatus,
    HvpResult,
    StandardErrors,
    StepResult,
    StepStatus,
    TaylorTerms,
)

__all__ = [
    "AccuracyWarning",
    "AxisDerivatives",
    "CurvatureResult",
    "CurvatureStatus",
    "EvaluationCounts",
    "HessianCheck",
    "HessianOperator",
    "HessianResult",
    "HessianStatus",
    "HvpResult",
    "StandardErrors",
    "StepResult",
    "StepStatus",
    "TaylorModel",
    "TaylorTerms",
    "WrongEntry",
    "check_hessian",
    "curvature",
    "estimate_noise",
    "gradient",
    "hessian",
    "hessian_diag",
    "hvp",
    "minimize_taylor",
    "native",
    "optimal_step",
    "quadratic_form",
    "show_config",
]

__version__ = "0.1.0"


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
