/* Quadratic forms: one triangle read, nothing beyond it touched, the same bits from every build and every layout. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "hessfast.h"

extern const hf_kernels hf_kernels_plain;

enum { BLOCKS = 9, MOST_LEVELS = 3 };

static hf_kernels level[MOST_LEVELS];
static size_t levels = 0;

static double next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 40) / 8388608.0 - 1.0; /* exact in float too */
}

/* H with NaN wherever a kernel must not look, in memory exactly as long as it must be; ld is ignored where packed. */
static hf_triangle matrix(size_t n, size_t ld, hf_order order, bool packed, hf_storage storage)
{
    const size_t length = packed ? n * (n + 1) / 2 : n ? (n - 1) * ld + n : 0;
    const bool by_rows = order == HF_BY_ROWS;
    double *lower = malloc((n * n + 1) * sizeof *lower), *doubles = malloc((length + !length) * sizeof *doubles);
    float *floats = malloc((length + !length) * sizeof *floats);
    uint64_t state = n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) lower[i * n + j] = next(&state);
    for (size_t q = 0; q < length; q++) doubles[q] = NAN;
    for (size_t line = 0, start = 0; line < n; line++) {
        const size_t first = by_rows ? 0 : line, last = by_rows ? line : n - 1;
        for (size_t e = first; e <= last; e++)
            doubles[packed ? start + e - first : line * ld + e] = by_rows ? lower[line * n + e] : lower[e * n + line];
        start += last - first + 1;
    }
    for (size_t q = 0; q < length; q++) floats[q] = (float)doubles[q];
    free(lower);
    free(storage == HF_SINGLE ? (void *)doubles : (void *)floats);
    const void *data = storage == HF_SINGLE ? (void *)floats : (void *)doubles;
    return (hf_triangle){data, n, packed ? 0 : ld, order, packed, storage};
}

static hf_sums sized(const hf_kernels *kernels, const hf_triangle *H, const double *g, size_t step)
{
    hf_sums block[BLOCKS];
    for (size_t b = 0; b < hf_blocks(H->n); b += step)
        kernels->quadform_sized(H, g, b, b + step < hf_blocks(H->n) ? b + step : hf_blocks(H->n), block + b);
    return hf_sum_blocks(hf_blocks(H->n), block);
}

static double plain(const hf_kernels *kernels, const hf_triangle *H, const double *g, size_t step)
{
    hf_sums block[BLOCKS] = {{0.0, 0.0}};
    for (size_t b = 0; b < hf_blocks(H->n); b += step)
        kernels->quadform(H, g, b, b + step < hf_blocks(H->n) ? b + step : hf_blocks(H->n), block + b);
    return hf_sum_blocks(hf_blocks(H->n), block).value;
}

static double compensated(const hf_kernels *kernels, const hf_triangle *H, const double *g, size_t step)
{
    hf_twofold block[BLOCKS];
    for (size_t b = 0; b < hf_blocks(H->n); b += step)
        kernels->quadform_compensated(H, g, b, b + step < hf_blocks(H->n) ? b + step : hf_blocks(H->n), block + b);
    const hf_twofold sum = hf_sum_twofold(hf_blocks(H->n), block);
    return sum.high + sum.low;
}

static void several_at_once(const hf_kernels *kernels, const hf_triangle *H, const double *G, double *value)
{
    hf_sums block[HF_VECTORS * BLOCKS] = {{0.0, 0.0}};
    for (size_t b = 0; b < hf_blocks(H->n); b++)
        kernels->quadform_vectors(H, HF_VECTORS, G, b, b + 1, BLOCKS, block + b);
    for (size_t v = 0; v < HF_VECTORS; v++) value[v] = hf_sum_blocks(hf_blocks(H->n), block + v * BLOCKS).value;
}

static int same(double a, double b) { return memcmp(&a, &b, sizeof a) == 0; }

static void one_order(size_t n, size_t ld)
{
    double *G = malloc((HF_VECTORS * n + 1) * sizeof *G), exact[HF_VECTORS], value[HF_VECTORS], stacked;
    uint64_t state = 7;
    hf_sums expected = {0.0, 0.0};
    double twofold = 0.0;
    for (size_t q = 0; q < HF_VECTORS * n; q++) G[q] = next(&state);
    double *g = malloc((n ? n : 1) * sizeof *g);
    memcpy(g, G, n * sizeof *g);
    for (int layout = 0; layout < 8; layout++) {
        hf_triangle H = matrix(n, ld, layout & 1 ? HF_BY_COLUMNS : HF_BY_ROWS, layout & 2,
                               layout & 4 ? HF_SINGLE : HF_DOUBLE);
        for (size_t l = 0; l < levels; l++) {
            if (layout == 0 && l == 0) {
                expected = sized(&level[0], &H, g, 1);
                twofold = compensated(&level[0], &H, g, 1);
                for (size_t v = 0; v < HF_VECTORS; v++) exact[v] = plain(&level[0], &H, G + v * n, 1);
            }
            for (size_t step = 1; step <= 4; step *= 2) {
                const hf_sums sums = sized(&level[l], &H, g, step);
                CHECK(same(sums.value, expected.value) && same(sums.size, expected.size));
                CHECK(same(plain(&level[l], &H, g, step), expected.value));
                CHECK(same(compensated(&level[l], &H, g, step), twofold));
            }
            several_at_once(&level[l], &H, G, value);
            for (size_t v = 0; v < HF_VECTORS; v++) CHECK(same(value[v], exact[v]));
            if (n && n <= HF_BLOCK) {
                level[l].quadform_stack(&H, 1, 0, g, &stacked);
                CHECK(same(stacked, expected.value));
            }
        }
        free((void *)H.data);
    }
    CHECK(fabs(expected.value - twofold) <= ((double)n / 8 + 24) * 2.3e-16 * expected.size);
    free(G);
    free(g);
}

/* Two matrices, forwards and backwards through memory. */
static void stack_of_two(size_t n)
{
    double *H = malloc(2 * n * n * sizeof *H), *G = malloc(2 * n * sizeof *G), forth[2], back[2];
    uint64_t state = 3;
    for (size_t q = 0; q < 2 * n * n; q++) H[q] = next(&state);
    for (size_t q = 0; q < n; q++) G[q] = G[n + q] = next(&state);
    const hf_triangle first = {.data = H, .n = n, .ld = n}, second = {.data = H + n * n, .n = n, .ld = n};
    for (size_t l = 0; l < levels; l++) {
        level[l].quadform_stack(&first, 2, (ptrdiff_t)(n * n), G, forth);
        level[l].quadform_stack(&second, 2, -(ptrdiff_t)(n * n), G, back);
        CHECK(same(forth[0], back[1]) && same(forth[1], back[0]));
        CHECK(same(forth[0], plain(&level[l], &first, G, 1)));
    }
    free(H);
    free(G);
}

int main(void)
{
    const char *name;
    level[levels++] = hf_kernels_plain;
    CHECK(hf_choose_simd("baseline", &level[levels++], &name) == HF_SIMD_OK && strcmp(name, "baseline") == 0);
    if (hf_choose_simd("x86-64-v3", &level[levels], &name) == HF_SIMD_OK) levels++;
    hf_kernels kernels;
    CHECK(hf_choose_simd("x86-64-v9", &kernels, &name) == HF_SIMD_UNKNOWN);
    CHECK(hf_choose_simd(NULL, &kernels, &name) == HF_SIMD_OK);
    for (size_t n = 0; n <= 41; n++) one_order(n, n);
    for (size_t n = 125; n <= 140; n++) one_order(n, n + 3);
    one_order(515, 515);
    one_order(1023, 1024);
    for (size_t n = 1; n <= 20; n++) stack_of_two(n);
    return 0;
}
