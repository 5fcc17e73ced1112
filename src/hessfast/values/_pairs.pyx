# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""Binding of nodes, of derivatives along axes and of pair entries with their error parts: one call each, no logic."""
import numpy as np

from libc.stddef cimport size_t
from libc.stdint cimport int32_t


cdef extern from "hessfast.h":
    size_t hf_axis_nodes(size_t n, const double *x, const int32_t *axis, const double *step, size_t m,
                         const double *t, double *nodes, double *steps) noexcept nogil
    ctypedef struct hf_axis_values:
        double f0
        const double *values
        const double *inverse_steps
    void hf_assemble_pairs(size_t m, const double *weights, const hf_axis_values *axes, size_t first, size_t last,
                           const double *values, double *H, size_t ldh) noexcept nogil
    ctypedef enum hf_family:
        HF_SYMMETRIC
        HF_ONE_SIDED
    ctypedef struct hf_axis_formula:
        hf_family family
        size_t m
        const double *slope_weights
        const double *curvature_weights
    void hf_assemble_axes(const hf_axis_formula *formula, double f0, size_t n, const double *values,
                          const double *steps, double *slope, double *curvature) noexcept nogil
    void hf_mirror_lower(size_t n, double *H, size_t ldh) noexcept nogil
    enum:
        HF_MAX_ORDER
    ctypedef struct hf_pair_formula:
        size_t m
        const double *weights
        const double *coefficients
        double product
        double noise
    ctypedef struct hf_noise:
        double level, growth, relative
    ctypedef struct hf_parts:
        double *value
        double *truncation
        double *condition
    void hf_pair_parts(const hf_pair_formula *formula, size_t count, const double *s, const double *rate,
                       const double *noise, hf_parts out) noexcept nogil
    void hf_assemble_parts(const hf_pair_formula *formula, const hf_noise *noise, const hf_axis_values *axes,
                           const double *rate, size_t first, size_t last, const double *values, hf_parts out,
                           size_t ld) noexcept nogil


def axis_nodes(const double[::1] x, const int32_t[::1] axis, const double[::1] step, const double[::1] t,
               double[:, ::1] nodes, double[:, ::1] steps):
    """Write nodes and steps really taken, (n, m); return the first axis with a bad one, n where there is none."""
    cdef size_t n = <size_t>axis.shape[0], first_bad = 0
    if n > 0:
        with nogil:
            first_bad = hf_axis_nodes(n, &x[0], &axis[0], &step[0], <size_t>t.shape[0], &t[0], &nodes[0, 0],
                                      &steps[0, 0])
    return first_bad


def assemble_pairs(const double[::1] weights, double f0, const double[:, ::1] axis_values,
                   const double[:, ::1] inverse_steps, size_t first, size_t last, const double[::1] values,
                   double[:, ::1] H):
    """Write pairs first .. last-1 into the strict lower triangle of H (n, n)."""
    cdef hf_axis_values axes
    if last > first:
        axes = hf_axis_values(f0, &axis_values[0, 0], &inverse_steps[0, 0])
        with nogil:
            hf_assemble_pairs(<size_t>weights.shape[0], &weights[0], &axes, first, last, &values[0], &H[0, 0],
                              <size_t>H.shape[1])


def assemble_axes(bint one_sided, const double[::1] slope_weights, const double[::1] curvature_weights, double f0,
                  const double[:, ::1] axis_values, const double[:, ::1] steps, double[::1] slope,
                  double[::1] curvature):
    """Write the derivatives along the axes (n) from f at their nodes (n, m)."""
    cdef hf_axis_formula formula
    if axis_values.shape[0] > 0:
        formula = hf_axis_formula(HF_ONE_SIDED if one_sided else HF_SYMMETRIC, <size_t>axis_values.shape[1],
                                  &slope_weights[0], &curvature_weights[0])
        with nogil:
            hf_assemble_axes(&formula, f0, <size_t>axis_values.shape[0], &axis_values[0, 0], &steps[0, 0], &slope[0],
                             &curvature[0])


def mirror_lower(double[:, ::1] H):
    """Copy the strict lower triangle of H (n, n) into the upper one."""
    if H.shape[0] > 0:
        with nogil:
            hf_mirror_lower(<size_t>H.shape[0], &H[0, 0], <size_t>H.shape[1])


cdef class PairFormula:
    """One stencil's formula: weights (m,) of H_ij, coefficients (m, m) of c_2 .., |t_1 .. t_m|, noise factor."""
    cdef hf_pair_formula formula
    cdef const double[::1] weights
    cdef const double[:, ::1] coefficients

    def __init__(self, const double[::1] weights, const double[:, ::1] coefficients, double product, double noise):
        if weights.shape[0] > HF_MAX_ORDER:
            raise ValueError(f"order: the kernels have room for {HF_MAX_ORDER} nodes a pair, got {weights.shape[0]}")
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
                hf_pair_parts(&self.formula, count, &s[0, 0], &rate[0], &noise[0],
                              hf_parts(&out[0, 0], &out[1, 0], &out[2, 0]))
        return parts[0], parts[1], parts[2]

    def assemble(self, noise, const double[:, ::1] axis_values, const double[:, ::1] inverse_steps,
                 const double[::1] rate, size_t first, size_t last, const double[::1] values, double[:, ::1] H,
                 double[:, ::1] truncation, double[:, ::1] condition):
        """Write pairs first .. last-1 into the strict lower triangles; noise is (f0, level, growth, relative)."""
        cdef hf_noise model
        cdef hf_axis_values axes
        axes.f0, model.level, model.growth, model.relative = noise
        if last > first:
            axes.values, axes.inverse_steps = &axis_values[0, 0], &inverse_steps[0, 0]
            with nogil:
                hf_assemble_parts(&self.formula, &model, &axes, &rate[0], first, last, &values[0],
                                  hf_parts(&H[0, 0], &truncation[0, 0], &condition[0, 0]), <size_t>H.shape[1])
