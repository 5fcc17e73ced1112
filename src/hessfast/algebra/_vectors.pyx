# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""Binding of csrc/vectors.c: arrays in, the GIL released, one call; `first .. last` are panels for threads to share."""
cimport numpy as cnp
from libc.stddef cimport size_t

cnp.import_array()


cdef extern from "hessfast.h":
    enum: HF_PANEL
    ctypedef enum hf_storage:
        HF_DOUBLE
        HF_SINGLE
    ctypedef struct hf_vector:
        const void *data
        hf_storage storage
    size_t hf_width(hf_storage storage) noexcept nogil
    double hf_sum_panels(size_t count, double *panel) noexcept nogil
    void hf_line_point(size_t n, hf_vector x, hf_vector v, double t, double *p) noexcept nogil
    void hf_dot(size_t n, hf_vector x, hf_vector y, double *sums) noexcept nogil
    void hf_dot_square(size_t n, hf_vector x, hf_vector y, double *sums) noexcept nogil
    void hf_dot_difference(size_t n, hf_vector v, hf_vector a, hf_vector b, double *sums) noexcept nogil
    void hf_line_sums(size_t n, hf_vector x, hf_vector v, double v_scale, double x_scale, double *square,
                      double *weighted, double *x_square) noexcept nogil
    void hf_octaves(size_t n, hf_vector x, unsigned char *seen) noexcept nogil


PANEL = HF_PANEL


cdef hf_vector _from_panel(cnp.ndarray x, size_t first) except *:
    """The vector from panel `first` on."""
    cdef hf_vector vector
    if not cnp.PyArray_IS_C_CONTIGUOUS(x):
        raise ValueError("a vector must be contiguous")
    vector.storage = HF_SINGLE if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT32 else HF_DOUBLE
    if vector.storage == HF_DOUBLE and cnp.PyArray_TYPE(x) != cnp.NPY_FLOAT64:
        raise TypeError(f"a vector must be float64 or float32, not {x.dtype}")
    vector.data = cnp.PyArray_BYTES(x) + first * HF_PANEL * hf_width(vector.storage)
    return vector


cdef size_t _coordinates(cnp.ndarray x, size_t first, size_t last):
    """How many coordinates panels first .. last-1 hold."""
    cdef size_t n = <size_t>cnp.PyArray_SIZE(x)
    return min(n, last * HF_PANEL) - min(n, first * HF_PANEL)


def tree_sum(double[::1] sums):
    """Add the panels of a sum; `sums` is overwritten."""
    return hf_sum_panels(<size_t>sums.shape[0], &sums[0]) if sums.shape[0] else 0.0


def line_point(cnp.ndarray x, cnp.ndarray v, double t, double[::1] out, size_t first, size_t last):
    """Write x + t v into `out`."""
    cdef size_t n = _coordinates(x, first, last)
    cdef hf_vector vx = _from_panel(x, first), vv = _from_panel(v, first)
    if n:
        with nogil:
            hf_line_point(n, vx, vv, t, &out[first * HF_PANEL])


def dot(cnp.ndarray x, cnp.ndarray y, double[::1] sums, size_t first, size_t last):
    """Write the sums of x_i y_i."""
    cdef size_t n = _coordinates(x, first, last)
    cdef hf_vector vx = _from_panel(x, first), vy = _from_panel(y, first)
    if n:
        with nogil:
            hf_dot(n, vx, vy, &sums[first])


def dot_square(cnp.ndarray x, cnp.ndarray y, double[::1] sums, size_t first, size_t last):
    """Write the sums of (x_i y_i)^2."""
    cdef size_t n = _coordinates(x, first, last)
    cdef hf_vector vx = _from_panel(x, first), vy = _from_panel(y, first)
    if n:
        with nogil:
            hf_dot_square(n, vx, vy, &sums[first])


def dot_difference(cnp.ndarray v, cnp.ndarray a, cnp.ndarray b, double[::1] sums, size_t first, size_t last):
    """Write the sums of v_i (a_i - b_i)."""
    cdef size_t n = _coordinates(v, first, last)
    cdef hf_vector vv = _from_panel(v, first), va = _from_panel(a, first), vb = _from_panel(b, first)
    if n:
        with nogil:
            hf_dot_difference(n, vv, va, vb, &sums[first])


def line_sums(cnp.ndarray x, cnp.ndarray v, double v_scale, double x_scale, double[:, ::1] sums, size_t first,
              size_t last):
    """Write the three sums that make the unit of the line, one a row."""
    cdef size_t n = _coordinates(x, first, last)
    cdef hf_vector vx = _from_panel(x, first), vv = _from_panel(v, first)
    if n:
        with nogil:
            hf_line_sums(n, vx, vv, v_scale, x_scale, &sums[0, first], &sums[1, first], &sums[2, first])


def octaves(cnp.ndarray x, unsigned char[::1] seen, size_t first, size_t last):
    """Mark the biased exponents of the coordinates."""
    cdef size_t n = _coordinates(x, first, last)
    cdef hf_vector vx = _from_panel(x, first)
    if n:
        with nogil:
            hf_octaves(n, vx, &seen[0])
