"""Hessians of analytic functions, by complex steps."""
