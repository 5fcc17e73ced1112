# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""Binding of the quadratic-form kernels; the SIMD level is chosen here, once, at import.

`form` takes what the public function was given and answers None where that is not plain arrays of fitting shapes; the
other functions trust their arguments.
"""
import os

cimport numpy as np
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.math cimport isfinite
from libc.stddef cimport ptrdiff_t, size_t


cdef extern from "hessfast.h":
    enum: HF_BLOCK
    enum: HF_VECTORS
    ctypedef enum hf_storage:
        HF_DOUBLE
        HF_SINGLE
    ctypedef enum hf_order:
        HF_BY_ROWS
        HF_BY_COLUMNS
    ctypedef struct hf_triangle:
        const void *data
        size_t n
        size_t ld
        hf_order order
        bint packed
        hf_storage storage
    ctypedef struct hf_sums:
        double value
        double size
    ctypedef struct hf_twofold:
        double high
        double low
    ctypedef void hf_quadform_fn(const hf_triangle *H, const double *g, size_t first, size_t last,
                                 hf_sums *block) noexcept nogil
    ctypedef void hf_quadform_stack_fn(const hf_triangle *H, size_t count, ptrdiff_t stride, const double *G,
                                       double *out) noexcept nogil
    ctypedef void hf_quadform_vectors_fn(const hf_triangle *H, size_t k, const double *G, size_t first, size_t last,
                                         size_t blocks_ld, hf_sums *block) noexcept nogil
    ctypedef void hf_quadform_compensated_fn(const hf_triangle *H, const double *g, size_t first, size_t last,
                                             hf_twofold *block) noexcept nogil
    ctypedef void hf_symmetrize_fn(size_t first, size_t last, double *G, size_t ld) noexcept nogil
    ctypedef double hf_read_fn(size_t n, const double *x) noexcept nogil
    ctypedef struct hf_kernels:
        hf_quadform_fn *quadform
        hf_quadform_fn *quadform_sized
        hf_quadform_stack_fn *quadform_stack
        hf_quadform_vectors_fn *quadform_vectors
        hf_quadform_compensated_fn *quadform_compensated
        hf_symmetrize_fn *symmetrize
        hf_read_fn *read
    ctypedef enum hf_simd_status:
        HF_SIMD_OK
        HF_SIMD_UNKNOWN
        HF_SIMD_UNSUPPORTED
    hf_simd_status hf_choose_simd(const char *level, hf_kernels *kernels, const char **name) noexcept nogil
    const char *hf_simd_name(size_t l) noexcept nogil
    const char *hf_compiler() noexcept nogil
    const char *hf_compiler_options() noexcept nogil
    size_t hf_width(hf_storage storage) noexcept nogil
    size_t hf_blocks(size_t n) noexcept nogil
    hf_sums hf_sum_blocks(size_t count, hf_sums *block) noexcept nogil
    hf_twofold hf_sum_twofold(size_t count, hf_twofold *block) noexcept nogil


np.import_array()

cdef hf_kernels kernels
cdef enum:
    STACK_BLOCKS = 64       # n <= 8192 needs no allocation
    RELEASE_FROM = 1 << 18  # multiplications; below, the sum is done before another thread could use the GIL
    ALONE_TO = 16           # orders up to which the vectors of one H are as well taken one by one

BLOCK = HF_BLOCK
VECTORS = HF_VECTORS


cpdef bint better_by_blas(Py_ssize_t k, Py_ssize_t n) noexcept:
    """Whether BLAS's matrix product, on half of H, overtakes k vectors one after the other: as measured."""
    return k >= 16 and n >= 512 and k * n >= 12_000


cpdef bint several_of_large(Py_ssize_t k, Py_ssize_t n) noexcept:
    """Whether |g|'|H||g| of k vectors is better bounded by one pass over H than summed in a pass for each."""
    return k >= 16 and n >= 512


cdef str choose_simd(str request):
    cdef const char *name = NULL
    cdef hf_simd_status status = hf_choose_simd(request.encode(), &kernels, &name)
    if status == HF_SIMD_UNKNOWN:
        raise RuntimeError(f"HESSFAST_SIMD={request!r}: this build has no such level; "
                           "it may be 'baseline' or, on x86-64, 'x86-64-v3'")
    if status == HF_SIMD_UNSUPPORTED:
        raise RuntimeError(f"HESSFAST_SIMD={request!r}: this processor lacks that level's instructions")
    return name.decode()


cdef list simd_levels():
    cdef size_t number = 0
    names = []
    while hf_simd_name(number) != NULL:
        names.append(hf_simd_name(number).decode())
        number += 1
    return names


SIMD_LEVEL = choose_simd(os.environ.get("HESSFAST_SIMD", ""))
SIMD_LEVELS = tuple(simd_levels())
COMPILER = hf_compiler().decode()
COMPILER_OPTIONS = hf_compiler_options().decode()


cdef bint describe(np.ndarray H, np.npy_intp n, bint lower, hf_triangle *triangle) noexcept:
    """Fill triangle from a packed triangle, a matrix or a stack's first matrix, for vectors of n; False: it is none."""
    cdef int axes = np.PyArray_NDIM(H), kind = np.PyArray_TYPE(H)
    cdef np.npy_intp width = np.PyArray_ITEMSIZE(H), down, across
    if (kind != np.NPY_DOUBLE and kind != np.NPY_FLOAT) or not np.PyArray_ISBEHAVED_RO(H):
        return False
    triangle.data = np.PyArray_DATA(H)
    triangle.n = <size_t>n
    triangle.ld = 0
    triangle.packed = axes == 1
    triangle.storage = HF_SINGLE if kind == np.NPY_FLOAT else HF_DOUBLE
    triangle.order = HF_BY_ROWS if lower else HF_BY_COLUMNS
    if axes == 1:
        return np.PyArray_DIM(H, 0) == n * (n + 1) // 2 and (n <= 1 or np.PyArray_STRIDE(H, 0) == width)
    if np.PyArray_DIM(H, axes - 1) != n or np.PyArray_DIM(H, axes - 2) != n:
        return False
    down, across = np.PyArray_STRIDE(H, axes - 2), np.PyArray_STRIDE(H, axes - 1)
    if n <= 1:
        triangle.ld = 1
        return True
    if across != width:
        down, across = across, down
        triangle.order = HF_BY_COLUMNS if lower else HF_BY_ROWS
    triangle.ld = <size_t>(down // width)
    return across == width and down >= n * width and down % width == 0


cdef bint plain(np.ndarray g) noexcept:
    return np.PyArray_TYPE(g) == np.NPY_DOUBLE and np.PyArray_ISCARRAY_RO(g)


cdef double sum_of(const hf_triangle *H, const double *g, size_t count, hf_sums *block,
                   bint compensated) noexcept nogil:
    cdef hf_twofold total
    if compensated:
        kernels.quadform_compensated(H, g, 0, count, <hf_twofold *>block)
        total = hf_sum_twofold(count, <hf_twofold *>block)
        if isfinite(total.high + total.low):
            return total.high + total.low
    kernels.quadform(H, g, 0, count, block)  # twofold arithmetic makes NaN of inf: the plain sum tells them apart
    return hf_sum_blocks(count, block).value


cdef int one(const hf_triangle *H, const double *g, double *value, bint compensated=False) except -1:
    cdef hf_sums stack[STACK_BLOCKS]
    cdef hf_sums *block = stack
    cdef size_t count = hf_blocks(H.n)
    if H.n * H.n <= RELEASE_FROM:
        value[0] = sum_of(H, g, count, block, compensated)
        return 0
    if count > STACK_BLOCKS:
        block = <hf_sums *>PyMem_Malloc(count * sizeof(hf_sums))
        if block == NULL:
            raise MemoryError()
    with nogil:
        value[0] = sum_of(H, g, count, block, compensated)
    if block != stack:
        PyMem_Free(block)
    return 0


cdef int many(hf_triangle H, size_t count, np.npy_intp stride, const double *G, double *out) except -1:
    """Value of each row of G with its matrix, `stride` bytes after the one before; 0: all with the same."""
    cdef size_t width = hf_width(H.storage)
    cdef size_t m
    if H.n > HF_BLOCK or stride % <np.npy_intp>width != 0:
        for m in range(count):
            one(&H, G + m * H.n, out + m)
            H.data = <const char *>H.data + stride
    elif count * H.n * H.n <= RELEASE_FROM:
        kernels.quadform_stack(&H, count, stride // <np.npy_intp>width, G, out)
    else:
        with nogil:
            kernels.quadform_stack(&H, count, stride // <np.npy_intp>width, G, out)
    return 0


cdef int each_sized(hf_triangle H, np.npy_intp k, np.npy_intp stride, const double *G, double *sums) except -1:
    """Value and size of each row of G with its matrix, `stride` bytes after the one before; 0: all with the same."""
    cdef size_t count = hf_blocks(H.n)
    cdef np.npy_intp row
    cdef hf_sums total
    cdef hf_sums *block = <hf_sums *>PyMem_Malloc((count + 1) * sizeof(hf_sums))
    if block == NULL:
        raise MemoryError()
    with nogil:
        for row in range(k):
            kernels.quadform_sized(&H, G + row * <np.npy_intp>H.n, 0, count, block)
            total = hf_sum_blocks(count, block)
            sums[2 * row], sums[2 * row + 1] = total.value, total.size
            H.data = <const char *>H.data + stride
    PyMem_Free(block)
    return 0


cdef int together(const hf_triangle *H, size_t k, const double *G, double *out) except -1:
    """Value of each row of G (k, n) with H, HF_VECTORS at a time."""
    cdef size_t count = hf_blocks(H.n), done = 0, v, some
    cdef hf_sums *block = <hf_sums *>PyMem_Malloc(HF_VECTORS * count * sizeof(hf_sums))
    if block == NULL:
        raise MemoryError()
    with nogil:
        while done < k:
            some = k - done if k - done < HF_VECTORS else HF_VECTORS
            kernels.quadform_vectors(H, some, G + done * H.n, 0, count, count, block)
            for v in range(some):
                out[done + v] = hf_sum_blocks(count, block + v * count).value
            done += some
    PyMem_Free(block)
    return 0


cdef bint readable(H, g, bint lower, hf_triangle *triangle) except -1:
    """Fill triangle where H and g are plain arrays of fitting shapes that the kernels read as they are."""
    if not (np.PyArray_CheckExact(H) and np.PyArray_CheckExact(g) and plain(g)):
        return False
    cdef int axes = np.PyArray_NDIM(H), rows = np.PyArray_NDIM(g)
    if not 1 <= axes <= 3 or not 1 <= rows <= 2 or (axes == 3 and rows == 1):
        return False
    if axes == 3 and np.PyArray_DIM(H, 0) != np.PyArray_DIM(g, 0):
        return False
    return describe(H, np.PyArray_DIM(g, rows - 1), lower, triangle)


def form(H, g, bint lower, bint compensated=False):
    """g'Hg for plain C-ordered float64 g and a float64 or float32 H that the kernels can read, where that is best.

    None where the arguments must be looked at more closely, or BLAS is better.
    """
    cdef hf_triangle triangle
    cdef double value = 0.0
    cdef np.npy_intp k
    cdef const double *vectors
    cdef double *out
    if not readable(H, g, lower, &triangle):
        return None
    cdef int axes = np.PyArray_NDIM(H)
    vectors = <const double *>np.PyArray_DATA(g)
    if np.PyArray_NDIM(g) == 1:
        one(&triangle, vectors, &value, compensated)
        return value
    if compensated:
        return None
    k = np.PyArray_DIM(g, 0)
    if axes == 2 and better_by_blas(k, <Py_ssize_t>triangle.n):
        return None
    values = np.PyArray_EMPTY(1, &k, np.NPY_DOUBLE, 0)
    out = <double *>np.PyArray_DATA(values)
    if axes == 3:
        many(triangle, <size_t>k, np.PyArray_STRIDE(H, 0), vectors, out)
    elif triangle.n <= ALONE_TO or k == 1:
        many(triangle, <size_t>k, 0, vectors, out)
    else:
        together(&triangle, <size_t>k, vectors, out)
    return values


def form_sized(H, g, bint lower):
    """g'Hg and |g|'|H||g| of each row of g, (k, 2), in one pass over H for each.

    None where the arguments must be looked at more closely, or one pass for all is better.
    """
    cdef hf_triangle triangle
    cdef np.npy_intp shape[2]
    if not readable(H, g, lower, &triangle):
        return None
    shape[0], shape[1] = np.PyArray_DIM(g, 0) if np.PyArray_NDIM(g) == 2 else 1, 2
    if np.PyArray_NDIM(H) == 2 and several_of_large(shape[0], <Py_ssize_t>triangle.n):
        return None
    sums = np.PyArray_EMPTY(2, shape, np.NPY_DOUBLE, 0)
    each_sized(triangle, shape[0], np.PyArray_STRIDE(H, 0) if np.PyArray_NDIM(H) == 3 else 0,
               <const double *>np.PyArray_DATA(g), <double *>np.PyArray_DATA(sums))
    return sums


def blocks(np.ndarray H, const double[:, ::1] G, bint lower, size_t first, size_t last, double[:, :, ::1] block):
    """Write blocks first .. last-1 of every row of G, at most VECTORS, into block (k, blocks, 2)."""
    cdef hf_triangle triangle
    cdef size_t k = <size_t>G.shape[0], count = <size_t>block.shape[1]
    describe(H, G.shape[1], lower, &triangle)
    cdef hf_sums *to = <hf_sums *>&block[0, first, 0]
    with nogil:
        if k == 1:
            kernels.quadform(&triangle, &G[0, 0], first, last, to)
        else:
            kernels.quadform_vectors(&triangle, k, &G[0, 0], first, last, count, to)


def blocks_compensated(np.ndarray H, const double[::1] g, bint lower, size_t first, size_t last,
                       double[:, ::1] block):
    """Write blocks first .. last-1 of g'Hg, each high + low, into block (blocks, 2)."""
    cdef hf_triangle triangle
    describe(H, g.shape[0], lower, &triangle)
    with nogil:
        kernels.quadform_compensated(&triangle, &g[0], first, last, <hf_twofold *>&block[first, 0])


def sum_blocks(double[:, ::1] block):
    """The two sums by the fixed tree; overwrites block."""
    cdef hf_sums total = hf_sum_blocks(<size_t>block.shape[0], <hf_sums *>&block[0, 0])
    return total.value, total.size


def sum_twofold(double[:, ::1] block):
    """The sum of high + low by the fixed tree; overwrites block."""
    cdef hf_twofold total = hf_sum_twofold(<size_t>block.shape[0], <hf_twofold *>&block[0, 0])
    return total.high + total.low


def stack(np.ndarray H, const double[:, ::1] G, bint lower, size_t first, size_t last, double[::1] out):
    """Write the values of matrices first .. last-1 of H (b, n, n) with their rows of G into out."""
    cdef hf_triangle triangle
    describe(H, G.shape[1], lower, &triangle)
    triangle.data = <const char *>triangle.data + <np.npy_intp>first * np.PyArray_STRIDE(H, 0)
    many(triangle, last - first, np.PyArray_STRIDE(H, 0), &G[first, 0], &out[first])


def symmetrize(double[:, ::1] G, size_t first, size_t last):
    """Average rows first .. last-1 of G left of the diagonal with their mirrors, in place."""
    if last > first:
        with nogil:
            kernels.symmetrize(first, last, &G[0, 0], <size_t>G.shape[1])


def read(const double[::1] x):
    """The sum of x, as fast as one thread reads it."""
    cdef double total = 0.0
    if x.shape[0] > 0:
        with nogil:
            total = kernels.read(<size_t>x.shape[0], &x[0])
    return total
