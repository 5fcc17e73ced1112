"""Curvature of black-box functions: Hessians, quadratic forms, second-order Taylor models."""

from hessfast.functions import native
from hessfast.hessian import hessian
from hessfast.quadratic import quadratic_form
from hessfast.results import HessianResult, HessianStatus, StepResult, StepStatus, TaylorTerms
from hessfast.taylor import TaylorModel, optimal_step

__all__ = [
    "HessianResult",
    "HessianStatus",
    "StepResult",
    "StepStatus",
    "TaylorModel",
    "TaylorTerms",
    "hessian",
    "native",
    "optimal_step",
    "quadratic_form",
]

__version__ = "0.1.0"
