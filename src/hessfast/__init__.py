"""Curvature of black-box functions: Hessians, quadratic forms, second-order Taylor models."""

from hessfast.results import StepResult, StepStatus, TaylorTerms
from hessfast.taylor import TaylorModel, optimal_step

__all__ = ["StepResult", "StepStatus", "TaylorModel", "TaylorTerms", "optimal_step"]

__version__ = "0.1.0"
