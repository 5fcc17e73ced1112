# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""Binding of the C core: views in, the GIL released, one call, no logic."""
from libc.stddef cimport size_t
from libc.stdint cimport int32_t


cdef extern from "hessfast.h":
    void hf_pair_points(size_t m, const double *nodes, size_t first, size_t last,
                        int32_t *index, double *value) noexcept nogil


def pair_points(const double[:, ::1] nodes, size_t first, size_t last, int32_t[:, ::1] index, double[:, ::1] value):
    """Write the points of pairs first .. last-1 into index and value, each ((last - first) * m, 2)."""
    cdef size_t m = <size_t>nodes.shape[1]
    if last > first:
        with nogil:
            hf_pair_points(m, &nodes[0, 0], first, last, &index[0, 0], &value[0, 0])
