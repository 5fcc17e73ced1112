/* hessfast: the C core's contract.
 *
 * Conventions. C11. size_t counts; matrices are row-major with a leading dimension ld >= the row length. Argument
 * order: sizes, inputs with their ld, workspace, outputs. Nothing here allocates, prints or keeps state. A status is
 * returned where something can fail. The order of every sum is explicit and part of the contract: the same input gives
 * the same bits whatever the SIMD level and the number of threads.
 */
#ifndef HESSFAST_H
#define HESSFAST_H

#include <stddef.h>
#include <stdint.h>

/* ---- Points: x with at most two coordinates displaced ------------------------------------------------------------
 *
 * Point p is x with x[index[2p]] = value[2p] and x[index[2p+1]] = value[2p+1]; index -1 displaces nothing.
 */

/* The points of pairs first .. last-1 of the strict lower triangle, pair number i(i-1)/2 + j for (i, j), i > j.
 * A pair has m points, one a node, node fastest: x_i and x_j at nodes[i*m + k] and nodes[j*m + k].
 *   nodes  (n, m)  displaced coordinate of each axis at each node
 *   index  (last-first, m, 2), value (last-first, m, 2)  out */
void hf_pair_points(size_t m, const double *nodes, size_t first, size_t last, int32_t *index, double *value);

/* ---- Sweep: native callbacks --------------------------------------------------------------------------------------
 *
 * One of the three function pointers is set. `flag`, where given, is raised by a callback that caught an exception;
 * the sweep stops at that point. */
typedef struct {
    double (*with_data)(int n, double *x, void *data);
    double (*plain)(int n, double *x);
    void (*gradient)(int n, double *x, double *g, void *data);
    void *data;
    const volatile int64_t *flag;
} hf_function;

/* Evaluate f at `points` points; return how many were done (fewer only where the flag was raised).
 *   x (n), work (2n), out (points) */
size_t hf_sweep(const hf_function *f, size_t n, const double *x, size_t points, const int32_t *index,
                const double *value, double *work, double *out);

/* The same for a gradient callback: out (points, n). */
size_t hf_sweep_gradient(const hf_function *f, size_t n, const double *x, size_t points, const int32_t *index,
                         const double *value, double *work, double *out);

#endif
