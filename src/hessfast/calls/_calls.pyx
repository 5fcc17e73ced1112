# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""Binding of the C core, and the loop that calls a Python function.

Arguments are checked by the callers: nothing here validates more than the buffer protocol does.
"""
cimport cython
cimport numpy as cnp
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.math cimport NAN
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.string cimport memcpy

cnp.import_array()

cdef extern from "hessfast.h":
    ctypedef double hf_with_data_fn(int n, double *x, void *data) noexcept nogil
    ctypedef double hf_plain_fn(int n, double *x) noexcept nogil
    ctypedef void hf_gradient_fn(int n, double *x, double *g, void *data) noexcept nogil
    ctypedef struct hf_function:
        hf_with_data_fn *with_data
        hf_plain_fn *plain
        hf_gradient_fn *gradient
        void *data
        const int64_t *flag
        bint refill
    ctypedef struct hf_nodes:
        size_t m
        const int32_t *axis
        const double *nodes
    ctypedef struct hf_swept:
        size_t calls
        bint wrote
    void hf_axis_points(size_t n, const hf_nodes *axes, int32_t *index, double *value) noexcept nogil
    void hf_pair_points(const hf_nodes *axes, size_t first, size_t last, int32_t *index, double *value) noexcept nogil
    void hf_fill_block(size_t n, const double *x, size_t points, const int32_t *index, const double *value,
                       double *block) noexcept nogil
    hf_swept hf_sweep(const hf_function *f, size_t n, const double *x, size_t points, const int32_t *index,
                      const double *value, double *work, double *out) noexcept nogil
    hf_swept hf_sweep_pairs(const hf_function *f, size_t n, const double *x, const hf_nodes *axes, size_t first,
                            size_t last, double *work, double *out) noexcept nogil
    hf_swept hf_sweep_rows(const hf_function *f, size_t n, size_t points, const double *X, double *work,
                           double *out) noexcept nogil
    bint hf_evaluate(const hf_function *f, size_t n, double *x, double *out) noexcept nogil

cdef extern from *:
    """
    /* Whether nobody but the caller holds the array and its header is as it was made. On free-threaded builds a
     * reference count read from outside proves nothing. */
    static int hessfast_reusable(PyObject *object, npy_intp n)
    {
    #ifdef Py_GIL_DISABLED
        (void)object, (void)n;
        return 0;
    #else
        PyArrayObject *array = (PyArrayObject *)object;
        const int flags = NPY_ARRAY_CARRAY | NPY_ARRAY_OWNDATA;
        return Py_REFCNT(object) == 1 && PyArray_NDIM(array) == 1 && PyArray_DIM(array, 0) == n
            && PyArray_STRIDE(array, 0) == (npy_intp)sizeof(double) && PyArray_TYPE(array) == NPY_DOUBLE
            && PyArray_CHKFLAGS(array, flags) && PyArray_ISNOTSWAPPED(array);
    #endif
    }
    static int hessfast_raise_pending(void) { return -1; }
    """
    int hessfast_reusable(PyObject *array, cnp.npy_intp n)
    int hessfast_raise_pending() except -1
    PyObject *PyObject_Vectorcall(PyObject *callable, PyObject **args, size_t nargsf, PyObject *kwnames)
    const size_t PY_VECTORCALL_ARGUMENTS_OFFSET
    void Py_DecRef(PyObject *)
    int PyFloat_Check(PyObject *)
    double PyFloat_AS_DOUBLE(PyObject *)
    int PyErr_ExceptionMatches(PyObject *)
    void PyErr_Clear()


def axis_points(const int32_t[::1] axis, const double[:, ::1] nodes, int32_t[:, ::1] index, double[:, ::1] value):
    """Write the points at the nodes (n, m) into index and value, each (n * m, 2)."""
    cdef hf_nodes axes
    if axis.shape[0] > 0:
        axes = hf_nodes(<size_t>nodes.shape[1], &axis[0], &nodes[0, 0])
        with nogil:
            hf_axis_points(<size_t>axis.shape[0], &axes, &index[0, 0], &value[0, 0])


def pair_points(const int32_t[::1] axis, const double[:, ::1] nodes, size_t first, size_t last,
                int32_t[:, ::1] index, double[:, ::1] value):
    """Write the points of pairs first .. last-1 into index and value, each ((last - first) * m, 2)."""
    cdef hf_nodes axes
    if last > first:
        axes = hf_nodes(<size_t>nodes.shape[1], &axis[0], &nodes[0, 0])
        with nogil:
            hf_pair_points(&axes, first, last, &index[0, 0], &value[0, 0])


def fill_block(const double[::1] x, const int32_t[:, ::1] index, const double[:, ::1] value, double[:, ::1] block):
    """Write the points as the columns of block (n, points)."""
    if index.shape[0] > 0:
        with nogil:
            hf_fill_block(<size_t>x.shape[0], &x[0], <size_t>index.shape[0], &index[0, 0], &value[0, 0],
                          &block[0, 0])


cdef class NativeCall:
    """A native callback with its data pointer and its flag: what one worker calls.

    form: "with_data", "plain" or "gradient". data: an address, or an int64 array that lies there, whose first element
    the callback sets where it caught an exception. keepalive: whatever the pointers depend on.
    """
    cdef hf_function function
    cdef object keepalive
    cdef int64_t[::1] flag

    cdef size_t width(self, Py_ssize_t n) noexcept:
        return <size_t>n if self.function.gradient != NULL else 1

    def __init__(self, uintptr_t address, str form, data, bint refill, keepalive):
        if form == "with_data":
            self.function.with_data = <hf_with_data_fn *>address
        elif form == "plain":
            self.function.plain = <hf_plain_fn *>address
        else:
            self.function.gradient = <hf_gradient_fn *>address
        self.function.refill = refill
        self.keepalive = keepalive
        if isinstance(data, int):
            self.function.data = <void *><uintptr_t>data
        else:
            self.flag = data
            self.function.data = &self.flag[0]
            self.function.flag = &self.flag[0]

    def displaced(self, const double[::1] x, const int32_t[:, ::1] index, const double[:, ::1] value, size_t first,
                  size_t last, double[::1] work, double[::1] out):
        """Write f at points first .. last-1 to their places in out.

        Return how many calls were made, and whether the callback wrote into x and made the values void.
        """
        cdef size_t width = self.width(x.shape[0])
        cdef hf_swept done = hf_swept(0, False)
        if last > first:
            with nogil:
                done = hf_sweep(&self.function, <size_t>x.shape[0], &x[0], last - first, &index[first, 0],
                                &value[first, 0], &work[0], &out[first * width])
        return done.calls, done.wrote

    def pairs(self, const double[::1] x, const int32_t[::1] axis, const double[:, ::1] nodes, size_t first,
              size_t last, double[::1] work, double[::1] values):
        """As `displaced`, at the points of pairs first .. last-1, whose values are all of `values`."""
        cdef hf_nodes axes
        cdef hf_swept done = hf_swept(0, False)
        if last > first:
            axes = hf_nodes(<size_t>nodes.shape[1], &axis[0], &nodes[0, 0])
            with nogil:
                done = hf_sweep_pairs(&self.function, <size_t>x.shape[0], &x[0], &axes, first, last, &work[0],
                                      &values[0])
        return done.calls, done.wrote

    def rows(self, const double[:, ::1] X, size_t first, size_t last, double[::1] work, double[::1] out):
        """As `displaced`, at rows first .. last-1 of X; the values stand whatever the callback wrote."""
        cdef size_t width = self.width(X.shape[1])
        cdef hf_swept done = hf_swept(0, False)
        if last > first:
            with nogil:
                done = hf_sweep_rows(&self.function, <size_t>X.shape[1], last - first, &X[first, 0], &work[0],
                                     &out[first * width])
        return done.calls, done.wrote

    def at(self, double[::1] x, double[::1] out):
        """Return whether the point x itself, which the callback may write into, was done."""
        cdef bint done
        with nogil:
            done = hf_evaluate(&self.function, <size_t>x.shape[0], &x[0], &out[0])
        return done


@cython.final
cdef class PythonCall:
    """A Python function of one real vector: one reused array, written anew for each call.

    f may scribble on the array; where it kept a reference, or changed the array's header, the next call gets a fresh
    one. `begun` counts the calls begun, the one that raised included.

    convert(result) makes a float of what is not one already; wall: tuple of exception types that count as NaN.
    """
    cdef object fun, kwnames, convert, wall, array
    cdef tuple trailing
    cdef readonly Py_ssize_t begun

    def __init__(self, fun, tuple args, dict kwargs, convert, tuple wall):
        self.fun = fun
        self.trailing = (*args, *kwargs.values())
        self.kwnames = tuple(kwargs) if kwargs else None
        self.convert = convert
        self.wall = wall

    cdef double call(self, const double *x, cnp.npy_intp n, const int32_t *index, const double *value,
                     PyObject **stack, size_t positional) except? -1.0:
        cdef PyObject *result
        cdef double number
        cdef double *data
        if self.array is None or not hessfast_reusable(<PyObject *>self.array, n):
            self.array = cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE)
        data = <double *>cnp.PyArray_DATA(<cnp.ndarray>self.array)
        memcpy(data, x, <size_t>n * sizeof(double))
        if index != NULL:
            if index[0] >= 0:
                data[index[0]] = value[0]
            if index[1] >= 0:
                data[index[1]] = value[1]
        stack[1] = <PyObject *>self.array
        self.begun += 1
        result = PyObject_Vectorcall(<PyObject *>self.fun, stack + 1, positional | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                     NULL if self.kwnames is None else <PyObject *>self.kwnames)
        if result == NULL:
            if self.wall and PyErr_ExceptionMatches(<PyObject *>self.wall):
                PyErr_Clear()
                return NAN
            hessfast_raise_pending()
        if PyFloat_Check(result):
            number = PyFloat_AS_DOUBLE(result)
            Py_DecRef(result)
            return number
        converted = <object>result
        Py_DecRef(result)
        return self.convert(converted)

    def displaced(self, const double[::1] x, const int32_t[:, ::1] index, const double[:, ::1] value,
                  double[::1] out):
        """Write f at the points into out."""
        self.begun = 0
        self.each(index.shape[0], x.shape[0], &x[0], 0, &index[0, 0] if index.shape[0] else NULL,
                  &value[0, 0] if index.shape[0] else NULL, out)

    def rows(self, const double[:, ::1] X, double[::1] out):
        """Write f at the rows of X into out."""
        self.begun = 0
        self.each(X.shape[0], X.shape[1], &X[0, 0] if X.shape[0] else NULL, X.shape[1], NULL, NULL, out)

    cdef int each(self, Py_ssize_t points, Py_ssize_t n, const double *x, Py_ssize_t stride, const int32_t *index,
                  const double *value, double[::1] out) except -1:
        cdef Py_ssize_t p, count = len(self.trailing)
        cdef size_t positional = 1 + count - (0 if self.kwnames is None else len(self.kwnames))
        cdef PyObject **stack = <PyObject **>PyMem_Malloc((2 + count) * sizeof(PyObject *))
        if stack == NULL:
            raise MemoryError
        try:
            for p in range(count):
                stack[2 + p] = <PyObject *>self.trailing[p]
            for p in range(points):
                out[p] = self.call(x + p * stride, n, NULL if index == NULL else index + 2 * p,
                                   NULL if index == NULL else value + 2 * p, stack, positional)
        finally:
            PyMem_Free(stack)
        return 0
