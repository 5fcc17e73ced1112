/* The pairs (i, j), i > j, of the strict lower triangle in row order: pair number p = i(i-1)/2 + j. */
#ifndef HESSFAST_PAIRS_H
#define HESSFAST_PAIRS_H

#include <math.h>
#include <stddef.h>

#include "hessfast.h"

typedef struct { size_t i, j; } hf_pair;

/* i is the largest with i(i-1)/2 <= p; beyond 2^52 the square root may be one off, hence the two corrections. */
static inline hf_pair hf_pair_at(size_t p)
{
    size_t i = (size_t)((1.0 + sqrt(1.0 + 8.0 * (double)p)) / 2.0);
    while (i * (i - 1) / 2 > p) i--;
    while (i * (i + 1) / 2 <= p) i++;
    return (hf_pair){i, p - i * (i - 1) / 2};
}

static inline hf_pair hf_pair_after(hf_pair pair)
{
    return pair.j + 1 < pair.i ? (hf_pair){pair.i, pair.j + 1} : (hf_pair){pair.i + 1, 0};
}

/* psi_k / (a_ik a_jk) at node k of m, psi_k = (f_ijk - f_ik) - (f_jk - f0). */
static inline double hf_pair_quotient(const hf_axis_values *axes, size_t m, hf_pair pair, size_t k, double f_ijk)
{
    const size_t i = pair.i * m + k, j = pair.j * m + k;
    const double psi = (f_ijk - axes->values[i]) - (axes->values[j] - axes->f0);
    return psi * axes->inverse_steps[i] * axes->inverse_steps[j];
}

#endif
