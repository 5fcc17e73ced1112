"""Curvature of black-box functions: Hessians, quadratic forms, second-order Taylor models."""

__version__ = "0.1.0"
