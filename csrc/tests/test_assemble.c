/* Assembly: exact on a quadratic for every cut into tiles, and along its axes by either family; mirrored at every
 * remainder of the tile. */
#include "check.h"
#include "hessfast.h"

enum { N = 6, M = 2, PAIRS = N * (N - 1) / 2 };

static double entry(size_t i, size_t j) { return (double)(1 + i * j + i + j); }

/* f(x) = 1/2 x'Ax at x = 0: f along i is A_ii t^2/2; t = +-2 keeps every number a small integer. */
static void exact_on_a_quadratic(size_t tile)
{
    static const double weights[M] = {0.5, 0.5}, t[M] = {2.0, -2.0};
    double axis_values[N * M], inverse_steps[N * M], values[PAIRS * M], H[N * (N + 1)];
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < M; k++) {
            axis_values[i * M + k] = 3.0 + 2.0 * entry(i, i);
            inverse_steps[i * M + k] = 1.0 / t[k];
        }
    const hf_axis_values axes = {3.0, axis_values, inverse_steps};
    size_t p = 0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < i; j++, p++)
            for (size_t k = 0; k < M; k++)
                values[p * M + k] = 3.0 + 2.0 * entry(i, i) + 2.0 * entry(j, j) + 4.0 * entry(i, j);
    for (size_t first = 0; first < PAIRS; first += tile) {
        size_t last = first + tile < PAIRS ? first + tile : PAIRS;
        hf_assemble_pairs(M, weights, &axes, first, last, values + first * M, H, N + 1);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < i; j++) CHECK(H[i * (N + 1) + j] == entry(i, j));
}

/* f(t) = 3 + 2 t + 5 t^2: slope 2, second derivative 10. */
static void along_axes(const hf_axis_formula *formula, const double *t)
{
    const size_t m = formula->m;
    double values[6], steps[6], slope[2], curvature[2];
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < m; k++) {
            const double a = t[k] * (double)(i + 1);
            steps[i * m + k] = a;
            values[i * m + k] = 3.0 + 2.0 * a + 5.0 * a * a;
        }
    hf_assemble_axes(formula, 3.0, 2, values, steps, slope, curvature);
    for (size_t i = 0; i < 2; i++) CHECK(slope[i] == 2.0 && curvature[i] == 10.0);
}

static void mirrored(size_t n)
{
    double *H = malloc((n * n + 1) * sizeof *H);
    for (size_t q = 0; q < n * n; q++) H[q] = (double)q;
    hf_mirror_lower(n, H, n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) CHECK(H[i * n + j] == (double)(i >= j ? i * n + j : j * n + i));
    free(H);
}

int main(void)
{
    along_axes(&(hf_axis_formula){HF_SYMMETRIC, 2, (double[]){1.0}, (double[]){1.0}}, (double[]){1.0, -1.0});
    along_axes(&(hf_axis_formula){HF_ONE_SIDED, 3, (double[]){3.0, -3.0, 1.0}, (double[]){-2.5, 4.0, -1.5}},
               (double[]){1.0, 2.0, 3.0});
    for (size_t tile = 1; tile <= PAIRS; tile++) exact_on_a_quadratic(tile);
    for (size_t n = 0; n <= 70; n++) mirrored(n);
    return 0;
}
