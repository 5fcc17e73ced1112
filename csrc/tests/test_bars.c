/* Error parts of pairs: values are the plain assembly's bits, the truncation estimate holds on a geometric series. */
#include <math.h>

#include "check.h"
#include "hessfast.h"

enum { N = 5, M = 2, PAIRS = N * (N - 1) / 2 };

static const double weights[M] = {0.5, 0.5}, coefficients[M * M] = {0.5, 0.5, 0.5, -0.5};
static const hf_pair_formula formula = {M, weights, coefficients, 1.0, 2.0};

static void same_bits_as_plain_assembly(size_t tile)
{
    const hf_noise noise = {.level = 1e-3};
    double axis_values[N * M], inverse[N * M], rate[N], values[PAIRS * M];
    const hf_axis_values axes = {3.0, axis_values, inverse};
    double plain[N * N] = {0}, H[N * N] = {0}, truncation[N * N] = {0}, condition[N * N] = {0};
    for (size_t q = 0; q < N * M; q++) {
        axis_values[q] = 3.0 + sin((double)q);
        inverse[q] = (q % 2 ? -1.0 : 1.0) / (0.1 + 0.01 * (double)(q / 2));
    }
    for (size_t i = 0; i < N; i++) rate[i] = 0.01;
    for (size_t q = 0; q < PAIRS * M; q++) values[q] = 3.0 + cos((double)(q * q));
    hf_assemble_pairs(M, weights, &axes, 0, PAIRS, values, plain, N);
    for (size_t first = 0; first < PAIRS; first += tile) {
        size_t last = first + tile < PAIRS ? first + tile : PAIRS;
        hf_assemble_parts(&formula, &noise, &axes, rate, first, last, values + first * M,
                          (hf_parts){H, truncation, condition}, N);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < i; j++) {
            CHECK(H[i * N + j] == plain[i * N + j]);
            CHECK(condition[i * N + j] == 2.0 * (1e-3 * fabs(inverse[i * M] * inverse[j * M])));
            CHECK(truncation[i * N + j] > 0.0);
        }
}

/* c_2, c_3, c_4 = 1, r, r^2: the formula of order 2 leaves out c_4. */
static void geometric_series(void)
{
    const double r = 0.125, s[M] = {1.0 + r + r * r, 1.0 - r + r * r}, none = 0.0, known = 0.25;
    double value, truncation, condition;
    hf_pair_parts(&formula, 1, s, &none, &none, (hf_parts){&value, &truncation, &condition});
    CHECK(value == 1.0 + r * r && condition == 0.0);
    CHECK(truncation > 0.9 * r * r && truncation < 1.1 * r * r);
    hf_pair_parts(&formula, 1, s, &known, &none, (hf_parts){&value, &truncation, &condition});
    CHECK(truncation > 3.9 * r * r && truncation < 4.1 * r * r);
}

static void not_finite_stays_so(void)
{
    const double s[M] = {NAN, 1.0}, none = 0.0;
    double value, truncation, condition;
    hf_pair_parts(&formula, 1, s, &none, &none, (hf_parts){&value, &truncation, &condition});
    CHECK(isnan(value));
    hf_pair_parts(&formula, 0, NULL, NULL, NULL, (hf_parts){NULL, NULL, NULL});
}

int main(void)
{
    for (size_t tile = 1; tile <= PAIRS; tile++) same_bits_as_plain_assembly(tile);
    geometric_series();
    not_finite_stays_so();
    return 0;
}
