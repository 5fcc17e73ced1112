/* Differences of f to entries of H, tile by tile; the two triangles made equal at the end. */
#include "hessfast.h"
#include "pairs.h"

void hf_assemble_pairs(size_t m, const double *weights, const hf_axis_values *axes, size_t first, size_t last,
                       const double *values, double *H, size_t ldh)
{
    for (hf_pair pair = hf_pair_at(first); first < last; first++, pair = hf_pair_after(pair), values += m) {
        double sum = 0.0;
        for (size_t k = 0; k < m; k++) sum += weights[k] * hf_pair_quotient(axes, m, pair, k, values[k]);
        H[pair.i * ldh + pair.j] = sum;
    }
}

/* An empty sum: 0.0 would turn a first term of -0.0 into 0.0. */
static const double NO_TERM = -0.0;

/* A level of the symmetric family is the divided difference 2 (s_+ - s_-) / (a_+ - a_-) of the slopes s = (f - f0) / a:
 * with steps that rounding made unequal the gradient still cancels exactly, where (f_+ - 2 f0 + f_-) / h^2 would keep
 * g (a_+ + a_-) / h^2. */
static void along_symmetric(const hf_axis_formula *formula, double f0, const double *f, const double *a,
                            double *slope, double *curvature)
{
    *slope = *curvature = NO_TERM;
    for (size_t k = 0; k < formula->m; k += 2) {
        const double apart = a[k] - a[k + 1];
        const double bend = 2.0 * ((f[k] - f0) / a[k] - (f[k + 1] - f0) / a[k + 1]) / apart;
        *slope += formula->slope_weights[k / 2] * ((f[k] - f[k + 1]) / apart);
        *curvature += formula->curvature_weights[k / 2] * bend;
    }
}

static void along_one_side(const hf_axis_formula *formula, double f0, const double *f, const double *a, double *slope,
                           double *curvature)
{
    double bend = NO_TERM;
    *slope = NO_TERM;
    for (size_t k = 0; k < formula->m; k++) {
        const double s = (f[k] - f0) / a[k];
        *slope += formula->slope_weights[k] * s;
        bend += formula->curvature_weights[k] * s;
    }
    *curvature = 2.0 * bend / a[0];
}

void hf_assemble_axes(const hf_axis_formula *formula, double f0, size_t n, const double *values, const double *steps,
                      double *slope, double *curvature)
{
    for (size_t i = 0; i < n; i++, values += formula->m, steps += formula->m)
        (formula->family == HF_ONE_SIDED ? along_one_side : along_symmetric)(formula, f0, values, steps, slope + i,
                                                                             curvature + i);
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
