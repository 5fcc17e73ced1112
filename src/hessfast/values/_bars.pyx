# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""Binding of the error parts of pair entries: views in, the GIL released, one call, no logic."""
import numpy as np

from libc.stddef cimport size_t


cdef extern from "hessfast.h":
    ctypedef struct hf_pair_formula:
        size_t m
        const double *weights
        const double *coefficients
        double product
        double noise
    ctypedef struct hf_noise:
        double f0, level, growth, relative
    void hf_pair_parts(const hf_pair_formula *formula, size_t count, const double *s, const double *rate,
                       const double *noise, double *value, double *truncation, double *condition) noexcept nogil
    void hf_assemble_parts(const hf_pair_formula *formula, const hf_noise *noise, const double *axis_values,
                           const double *inverse_steps, const double *rate, size_t first, size_t last,
                           const double *values, double *H, double *truncation, double *condition,
                           size_t ld) noexcept nogil


cdef class PairFormula:
    """One stencil's formula: weights (m,) of H_ij, coefficients (m, m) of c_2 .., |t_1 .. t_m|, noise factor."""
    cdef hf_pair_formula formula
    cdef const double[::1] weights
    cdef const double[:, ::1] coefficients

    def __init__(self, const double[::1] weights, const double[:, ::1] coefficients, double product, double noise):
        self.weights = weights
        self.coefficients = coefficients
        self.formula.m = <size_t>weights.shape[0]
        self.formula.weights = &weights[0]
        self.formula.coefficients = &coefficients[0, 0]
        self.formula.product = product
        self.formula.noise = noise

    def parts(self, const double[:, ::1] s, const double[::1] rate, const double[::1] noise):
        """Return value, truncation error and condition error of pairs from s (count, m)."""
        cdef size_t count = <size_t>s.shape[0]
        parts = np.empty((3, s.shape[0]))
        cdef double[:, ::1] out = parts
        if count > 0:
            with nogil:
                hf_pair_parts(&self.formula, count, &s[0, 0], &rate[0], &noise[0], &out[0, 0], &out[1, 0], &out[2, 0])
        return parts[0], parts[1], parts[2]

    def assemble(self, noise, const double[:, ::1] axis_values, const double[:, ::1] inverse_steps,
                 const double[::1] rate, size_t first, size_t last, const double[::1] values, double[:, ::1] H,
                 double[:, ::1] truncation, double[:, ::1] condition):
        """Write pairs first .. last-1 into the strict lower triangles; noise is (f0, level, growth, relative)."""
        cdef hf_noise model
        model.f0, model.level, model.growth, model.relative = noise
        if last > first:
            with nogil:
                hf_assemble_parts(&self.formula, &model, &axis_values[0, 0], &inverse_steps[0, 0], &rate[0], first,
                                  last, &values[0], &H[0, 0], &truncation[0, 0], &condition[0, 0],
                                  <size_t>H.shape[1])
