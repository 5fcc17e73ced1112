/* The quadratic form: one triangle read, nothing beyond it touched, the same bits from every build of the kernel. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "hessfast.h"

void hf_quadform_plain(const hf_triangle *H, const double *g, size_t first, size_t last, double *block);

typedef void (*kernel)(const hf_triangle *, const double *, size_t, size_t, double *);

static double next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 4503599627370496.0 - 1.0;
}

/* A symmetric (n, ld) matrix whose unread triangle is NaN; exactly as long as a matrix of n rows must be. */
static double *triangle(size_t n, size_t ld, int upper)
{
    double *H = malloc((n ? (n - 1) * ld + n : 1) * sizeof *H);
    uint64_t state = n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double value = next(&state);
            H[j * ld + i] = upper ? value : NAN;
            H[i * ld + j] = upper && i != j ? NAN : value;
        }
    return H;
}

static double sum_in(kernel f, const hf_triangle *H, const double *g, size_t step)
{
    double block[8];
    size_t count = hf_blocks(H->n);
    for (size_t b = 0; b < count; b += step) f(H, g, b, b + step < count ? b + step : count, block + b);
    return hf_sum_blocks(count, block);
}

static void same_bits(size_t n, size_t ld, const hf_kernels *level, size_t levels)
{
    double *g = malloc((n ? n : 1) * sizeof *g), value[2], plain = 0.0, size = 0.0;
    uint64_t state = 7;
    for (size_t i = 0; i < n; i++) g[i] = next(&state);
    for (int upper = 0; upper < 2; upper++) {
        double *entries = triangle(n, ld, upper);
        hf_triangle H = {entries, n, ld, upper};
        value[upper] = sum_in(hf_quadform_plain, &H, g, 1);
        for (size_t l = 0; l < levels; l++)
            for (size_t step = 1; step <= 8; step *= 2) {
                double other = sum_in(level[l].quadform, &H, g, step);
                CHECK(memcmp(&other, &value[upper], sizeof other) == 0);
            }
        if (!upper)
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j <= i; j++) {
                    double term = g[i] * entries[i * ld + j] * g[j] * (i == j ? 1.0 : 2.0);
                    plain += term;
                    size += fabs(term);
                }
        free(entries);
    }
    CHECK(memcmp(&value[0], &value[1], sizeof *value) == 0);
    CHECK(fabs(value[0] - plain) <= 1e-13 * size);
    free(g);
}

int main(void)
{
    hf_kernels level[2];
    const char *name;
    size_t levels = 0;
    CHECK(hf_choose_simd("baseline", &level[levels++], &name) == HF_SIMD_OK && strcmp(name, "baseline") == 0);
    if (hf_choose_simd("x86-64-v3", &level[levels], &name) == HF_SIMD_OK) levels++;
    CHECK(hf_choose_simd("x86-64-v9", &level[0], &name) == HF_SIMD_UNKNOWN);
    CHECK(hf_choose_simd(NULL, &level[0], &name) == HF_SIMD_OK);
    for (size_t n = 0; n <= 41; n++) same_bits(n, n, level, levels);
    for (size_t n = 125; n <= 140; n++) same_bits(n, n + 3, level, levels);
    same_bits(515, 515, level, levels);
    same_bits(1023, 1024, level, levels);
    return 0;
}
