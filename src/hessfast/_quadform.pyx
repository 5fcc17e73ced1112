# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""Binding of the quadratic-form kernels; the SIMD level is chosen here, once, at import."""
import os

cimport numpy as np
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stddef cimport size_t


cdef extern from "hessfast.h":
    enum: HF_BLOCK
    ctypedef struct hf_triangle:
        const void *data
        size_t n
        size_t ld
        int upper
    ctypedef struct hf_kernels:
        void (*quadform)(const hf_triangle *H, const double *g, size_t first, size_t last,
                         double *block) noexcept nogil
    ctypedef enum hf_simd_status:
        HF_SIMD_OK
        HF_SIMD_UNKNOWN
        HF_SIMD_UNSUPPORTED
    hf_simd_status hf_choose_simd(const char *level, hf_kernels *kernels, const char **name) noexcept nogil
    size_t hf_blocks(size_t n) noexcept nogil
    double hf_sum_blocks(size_t count, double *values) noexcept nogil


np.import_array()

cdef hf_kernels kernels
cdef enum:
    STACK_BLOCKS = 64     # n <= 8192 needs no allocation
    RELEASE_FROM = 512    # below, the sum is done before another thread could use the GIL

BLOCK = HF_BLOCK


cdef str choose_simd(str request):
    cdef const char *name = NULL
    cdef hf_simd_status status = hf_choose_simd(request.encode(), &kernels, &name)
    if status == HF_SIMD_UNKNOWN:
        raise RuntimeError(f"HESSFAST_SIMD={request!r}: this build has no such level; "
                           "it may be 'baseline' or, on x86-64, 'x86-64-v3'")
    if status == HF_SIMD_UNSUPPORTED:
        raise RuntimeError(f"HESSFAST_SIMD={request!r}: this processor lacks that level's instructions")
    return name.decode()


SIMD_LEVEL = choose_simd(os.environ.get("HESSFAST_SIMD", ""))


cdef bint describe(np.ndarray H, bint lower, hf_triangle *triangle) noexcept:
    """Fill triangle from a float64 matrix with contiguous rows or columns; False where it is none."""
    cdef np.npy_intp n = np.PyArray_DIM(H, 0)
    cdef np.npy_intp down = np.PyArray_STRIDE(H, 0), across = np.PyArray_STRIDE(H, 1)
    if np.PyArray_TYPE(H) != np.NPY_DOUBLE or not np.PyArray_ISBEHAVED_RO(H) or np.PyArray_DIM(H, 1) != n:
        return False
    if n <= 1:
        down = across = sizeof(double)
    triangle.data = np.PyArray_DATA(H)
    triangle.n = <size_t>n
    if across == sizeof(double) and down >= n * across and down % across == 0:
        triangle.ld = <size_t>(down // across)
        triangle.upper = not lower
        return True
    if down == sizeof(double) and across >= n * down and across % down == 0:
        triangle.ld = <size_t>(across // down)
        triangle.upper = lower
        return True
    return False


cdef bint is_vector(np.ndarray g, np.npy_intp n) noexcept:
    return (np.PyArray_NDIM(g) == 1 and np.PyArray_DIM(g, 0) == n and np.PyArray_TYPE(g) == np.NPY_DOUBLE
            and np.PyArray_ISBEHAVED_RO(g) and (n <= 1 or np.PyArray_STRIDE(g, 0) == sizeof(double)))


def one(H, g, bint lower):
    """g'Hg where both are plain float64 arrays of matching shapes; None where the caller must look closer."""
    cdef hf_triangle triangle
    cdef double stack[STACK_BLOCKS]
    cdef double *block = stack
    cdef double *vector
    cdef double value
    cdef size_t count
    if not (np.PyArray_CheckExact(H) and np.PyArray_CheckExact(g)) or np.PyArray_NDIM(H) != 2:
        return None
    if not describe(H, lower, &triangle) or not is_vector(g, <np.npy_intp>triangle.n):
        return None
    vector = <double *>np.PyArray_DATA(g)
    count = hf_blocks(triangle.n)
    if triangle.n < RELEASE_FROM:
        kernels.quadform(&triangle, vector, 0, count, block)
        return hf_sum_blocks(count, block)
    if count > STACK_BLOCKS:
        block = <double *>PyMem_Malloc(count * sizeof(double))
        if block == NULL:
            raise MemoryError()
    with nogil:
        kernels.quadform(&triangle, vector, 0, count, block)
        value = hf_sum_blocks(count, block)
    if block != stack:
        PyMem_Free(block)
    return value


def blocks(H, const double[::1] g, bint lower, size_t first, size_t last, double[::1] values):
    """Write the values of blocks first .. last-1 into their places in values; for threads."""
    cdef hf_triangle triangle
    describe(H, lower, &triangle)
    with nogil:
        kernels.quadform(&triangle, &g[0], first, last, &values[first])


def sum_blocks(double[::1] values):
    """Sum by the fixed tree; overwrites values."""
    return hf_sum_blocks(<size_t>values.shape[0], &values[0]) if values.shape[0] else 0.0
