"""Vectors, symmetric matrices and quadratic forms: sums of fixed order, and the pool of threads of their kernels."""
