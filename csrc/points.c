/* Points of the stencils, written tile by tile so that a sweep of n^2 points needs memory for one tile only. */
#include <math.h>

#include "hessfast.h"
#include "pairs.h"

void hf_pair_points(const hf_nodes *axes, size_t first, size_t last, int32_t *index, double *value)
{
    for (hf_pair pair = hf_pair_at(first); first < last; first++, pair = hf_pair_after(pair))
        for (size_t k = 0; k < axes->m; k++) {
            *index++ = axes->axis[pair.i];
            *index++ = axes->axis[pair.j];
            *value++ = axes->nodes[pair.i * axes->m + k];
            *value++ = axes->nodes[pair.j * axes->m + k];
        }
}

size_t hf_axis_nodes(size_t n, const double *x, const int32_t *axis, const double *step, size_t m, const double *t,
                     double *nodes, double *steps)
{
    size_t first_bad = n;
    for (size_t i = n; i-- > 0;) {
        const double origin = x[axis[i]];
        for (size_t k = 0; k < m; k++) {
            const double node = origin + step[i] * t[k], taken = node - origin;
            if (!isfinite(node) || taken == 0.0) first_bad = i;
            nodes[i * m + k] = node;
            steps[i * m + k] = taken;
        }
    }
    return first_bad;
}

void hf_axis_points(size_t n, const hf_nodes *axes, int32_t *index, double *value)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < axes->m; k++) {
            *index++ = axes->axis[i];
            *index++ = -1;
            *value++ = axes->nodes[i * axes->m + k];
            *value++ = 0.0;
        }
}

void hf_fill_block(size_t n, const double *x, size_t points, const int32_t *index, const double *value,
                   double *block)
{
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < points; p++) block[i * points + p] = x[i];
    for (size_t p = 0; p < points; p++)
        for (size_t d = 2 * p; d < 2 * p + 2; d++)
            if (index[d] >= 0) block[(size_t)index[d] * points + p] = value[d];
}
