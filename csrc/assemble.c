/* Differences of f to entries of H, tile by tile; the two triangles made equal at the end. */
#include "hessfast.h"
#include "pairs.h"

void hf_assemble_pairs(size_t m, const double *weights, double f0, const double *axis_values,
                       const double *inverse_steps, size_t first, size_t last, const double *values, double *H,
                       size_t ldh)
{
    for (hf_pair pair = hf_pair_at(first); first < last; first++, pair = hf_pair_after(pair), values += m) {
        const double *f_i = axis_values + pair.i * m, *f_j = axis_values + pair.j * m;
        const double *r_i = inverse_steps + pair.i * m, *r_j = inverse_steps + pair.j * m;
        double sum = 0.0;
        for (size_t k = 0; k < m; k++) {
            const double psi = (values[k] - f_i[k]) - (f_j[k] - f0);
            sum += weights[k] * (psi * r_i[k] * r_j[k]);
        }
        H[pair.i * ldh + pair.j] = sum;
    }
}

/* By square tiles: row-wise alone, the writes would walk down columns and miss the cache on each. */
void hf_mirror_lower(size_t n, double *H, size_t ldh)
{
    enum { TILE = 32 };
    for (size_t top = 0; top < n; top += TILE)
        for (size_t left = 0; left <= top; left += TILE)
            for (size_t i = top; i < top + TILE && i < n; i++)
                for (size_t j = left; j < left + TILE && j < i; j++) H[j * ldh + i] = H[i * ldh + j];
}
