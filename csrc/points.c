/* Points of the pair stencils, written tile by tile so that a sweep of n^2 points needs memory for one tile only. */
#include <math.h>

#include "hessfast.h"

/* Row i of pair p in the strict lower triangle: the largest i with i(i-1)/2 <= p. The square root may be one off for
 * p > 2^52, hence the two corrections. */
static size_t row_of_pair(size_t p)
{
    size_t i = (size_t)((1.0 + sqrt(1.0 + 8.0 * (double)p)) / 2.0);
    while (i * (i - 1) / 2 > p) i--;
    while (i * (i + 1) / 2 <= p) i++;
    return i;
}

void hf_pair_points(size_t m, const double *nodes, size_t first, size_t last, int32_t *index, double *value)
{
    if (first >= last) return;
    size_t i = row_of_pair(first);
    size_t j = first - i * (i - 1) / 2;
    for (size_t p = first; p < last; p++) {
        const double *node_i = nodes + i * m, *node_j = nodes + j * m;
        for (size_t k = 0; k < m; k++) {
            *index++ = (int32_t)i;
            *index++ = (int32_t)j;
            *value++ = node_i[k];
            *value++ = node_j[k];
        }
        if (++j == i) { i++; j = 0; }
    }
}
