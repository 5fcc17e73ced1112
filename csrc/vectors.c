/* Vectors too long for a matrix: points on the line x + t v, dot products, the natural unit of t.
 *
 * Every sum runs over panels of HF_PANEL coordinates; in a panel 16 lanes, coordinate i in lane i mod 16, then the lanes by
 * a fixed tree, then the panels by another. The rounding error is at most (64 + 4 + log2(n / HF_PANEL)) eps sum |terms|,
 * and neither threads (which take whole panels) nor the SIMD level can change a bit.
 *
 * A panel of terms is written into the first-level cache before it is summed: these kernels wait for memory, and one
 * summation then serves them all, in either storage.
 */
#include <math.h>
#include <string.h>

#include "hessfast.h"

enum { LANES = 16 };

/* Coordinates at .. at+count-1 in double: in place, or widened into room. */
static inline const double *panel_of(hf_vector x, size_t at, size_t count, double *room)
{
    if (x.storage == HF_DOUBLE) return (const double *)x.data + at;
    const float *narrow = (const float *)x.data + at;
    for (size_t i = 0; i < count; i++) room[i] = narrow[i];
    return room;
}

static inline size_t panel_length(size_t n, size_t at)
{
    return n - at < HF_PANEL ? n - at : HF_PANEL;
}

/* Sum one panel; p is padded with zeros up to a multiple of LANES. */
static double panel_sum(size_t count, double *p)
{
    size_t padded = (count + LANES - 1) / LANES * LANES;
    memset(p + count, 0, (padded - count) * sizeof *p);
#if defined(__GNUC__)
    typedef double vec __attribute__((vector_size(16), aligned(8), may_alias));
    vec lane[LANES / 2] = {{0}};
    for (size_t i = 0; i < padded; i += LANES)
        for (size_t k = 0; k < LANES / 2; k++) lane[k] += *(const vec *)(p + i + 2 * k);
    vec low = (lane[0] + lane[4]) + (lane[2] + lane[6]), high = (lane[1] + lane[5]) + (lane[3] + lane[7]);
    return (low[0] + high[0]) + (low[1] + high[1]);
#else
    double lane[LANES] = {0}, all[4];
    for (size_t i = 0; i < padded; i += LANES)
        for (size_t k = 0; k < LANES; k++) lane[k] += p[i + k];
    for (size_t k = 0; k < 4; k++) all[k] = (lane[k] + lane[k + 8]) + (lane[k + 4] + lane[k + 12]);
    return (all[0] + all[2]) + (all[1] + all[3]);
#endif
}

/* p = x + t v: each coordinate rounded once where t v_i is exact, as it is for t a power of two. */
void hf_line_point(size_t n, hf_vector x, hf_vector v, double t, double *p)
{
    double x_room[HF_PANEL], v_room[HF_PANEL];
    for (size_t at = 0; at < n; at += HF_PANEL) {
        size_t count = panel_length(n, at);
        const double *xs = panel_of(x, at, count, x_room), *vs = panel_of(v, at, count, v_room);
        for (size_t i = 0; i < count; i++) p[at + i] = xs[i] + t * vs[i];
    }
}

/* sum x_i y_i */
void hf_dot(size_t n, hf_vector x, hf_vector y, double *restrict sums)
{
    double x_room[HF_PANEL], y_room[HF_PANEL], term[HF_PANEL];
    for (size_t at = 0; at < n; at += HF_PANEL) {
        size_t count = panel_length(n, at);
        const double *xs = panel_of(x, at, count, x_room), *ys = panel_of(y, at, count, y_room);
        for (size_t i = 0; i < count; i++) term[i] = xs[i] * ys[i];
        *sums++ = panel_sum(count, term);
    }
}

/* sum v_i (a_i - b_i): for gradients a, b at two near points the difference is exact or nearly so, and the sum's rounding
 * is relative to it; v'a - v'b would carry the rounding of two sums that are larger by ||g|| / ||a - b||. */
void hf_dot_difference(size_t n, hf_vector v, hf_vector a, hf_vector b, double *restrict sums)
{
    double v_room[HF_PANEL], a_room[HF_PANEL], b_room[HF_PANEL], term[HF_PANEL];
    for (size_t at = 0; at < n; at += HF_PANEL) {
        size_t count = panel_length(n, at);
        const double *vs = panel_of(v, at, count, v_room), *as = panel_of(a, at, count, a_room);
        const double *bs = panel_of(b, at, count, b_room);
        for (size_t i = 0; i < count; i++) term[i] = vs[i] * (as[i] - bs[i]);
        *sums++ = panel_sum(count, term);
    }
}

/* sum (x_i y_i)^2 */
void hf_dot_square(size_t n, hf_vector x, hf_vector y, double *restrict sums)
{
    double x_room[HF_PANEL], y_room[HF_PANEL], term[HF_PANEL];
    for (size_t at = 0; at < n; at += HF_PANEL) {
        size_t count = panel_length(n, at);
        const double *xs = panel_of(x, at, count, x_room), *ys = panel_of(y, at, count, y_room);
        for (size_t i = 0; i < count; i++) term[i] = (xs[i] * ys[i]) * (xs[i] * ys[i]);
        *sums++ = panel_sum(count, term);
    }
}

/* The upper half of |x| as an integer: in units of 2^-20, log2|x| + 1023 up to 0.086 (its bits are the exponent followed
 * by the mantissa, and log2(1 + m) is m at both ends). Zero counts as the smallest number. */
static inline int32_t log2_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (int32_t)((bits >> 32) & 0x7fffffff);
}

/* Mark in seen (2048) the biased exponents of the x_i, 0 for zeros alone: subnormal numbers count as the smallest others. */
void hf_octaves(size_t n, hf_vector x, unsigned char *seen)
{
    double x_room[HF_PANEL];
    for (size_t at = 0; at < n; at += HF_PANEL) {
        size_t count = panel_length(n, at);
        const double *xs = panel_of(x, at, count, x_room);
        for (size_t i = 0; i < count; i++) {
            int32_t exponent = log2_bits(xs[i]) >> 20;
            seen[exponent + (exponent == 0 && xs[i] != 0.0)] = 1;
        }
    }
}

/* Sums that make the unit of the line: (s v_i)^2, (s v_i)^2 log2(typ_i / |v_i|) and (s' x_i)^2, where typ_i = |x_i| or 1. */
void hf_line_sums(size_t n, hf_vector x, hf_vector v, double v_scale, double x_scale, double *restrict square,
                  double *restrict weighted, double *restrict x_square)
{
    double x_room[HF_PANEL], v_room[HF_PANEL], term[HF_PANEL], log_term[HF_PANEL], x_term[HF_PANEL];
    for (size_t at = 0; at < n; at += HF_PANEL) {
        size_t count = panel_length(n, at);
        const double *xs = panel_of(x, at, count, x_room), *vs = panel_of(v, at, count, v_room);
        for (size_t i = 0; i < count; i++) {
            double typical = xs[i] == 0.0 ? 1.0 : xs[i], scaled = vs[i] * v_scale, of_x = xs[i] * x_scale;
            int32_t ratio = log2_bits(typical) - log2_bits(vs[i]);
            term[i] = scaled * scaled;
            log_term[i] = term[i] * ((double)ratio * 0x1p-20);
            x_term[i] = of_x * of_x;
        }
        *square++ = panel_sum(count, term);
        *weighted++ = panel_sum(count, log_term);
        *x_square++ = panel_sum(count, x_term);
    }
}
