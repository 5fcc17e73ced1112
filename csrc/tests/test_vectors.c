/* Sums over panels: every length around a panel's and a lane's, the same bits for any cut into threads, for float32
 * storage and for wider registers, and an error far below that of a plain loop. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "hessfast.h"

enum { N = 5 * HF_PANEL + 77, PANELS = N / HF_PANEL + 1 };

static double x[N], v[N], a[N], b[N], p[N];
static float v_single[N];
static const hf_vector vx = {x, HF_DOUBLE}, vv = {v, HF_DOUBLE}, va = {a, HF_DOUBLE}, vb = {b, HF_DOUBLE},
                       vs = {v_single, HF_SINGLE};

static double draw(uint64_t *state)   /* in (-1, 1), 53 bits */
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(int64_t)(*state >> 11 << 11) * 0x1p-63;
}

static void fill(void)
{
    uint64_t state = 1;
    for (size_t i = 0; i < N; i++) {
        x[i] = draw(&state);
        v_single[i] = (float)draw(&state);
        v[i] = v_single[i];
        a[i] = draw(&state);
        b[i] = a[i] + 1e-6 * draw(&state);
    }
}

static size_t panels_of(size_t n) { return (n + HF_PANEL - 1) / HF_PANEL; }

static double dot(size_t n, hf_vector left, hf_vector right)
{
    double sums[PANELS];
    hf_dot(n, left, right, sums);
    return hf_sum_panels(panels_of(n), sums);
}

static double dot_square(size_t n, hf_vector left, hf_vector right)
{
    double sums[PANELS];
    hf_dot_square(n, left, right, sums);
    return hf_sum_panels(panels_of(n), sums);
}

static double dot_difference(size_t n, hf_vector weight)
{
    double sums[PANELS];
    hf_dot_difference(n, weight, va, vb, sums);
    return hf_sum_panels(panels_of(n), sums);
}

static void close_to_long_double(size_t n)
{
    long double sum = 0, size = 0, squares = 0, change = 0, change_size = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (long double)x[i] * v[i];
        size += fabsl((long double)x[i] * v[i]);
        squares += (long double)x[i] * v[i] * x[i] * v[i];
        change += v[i] * ((long double)a[i] - b[i]);
        change_size += fabsl(v[i] * ((long double)a[i] - b[i]));
    }
    CHECK(fabsl(dot(n, vx, vv) - sum) <= 70 * 0x1p-53L * size);
    CHECK(fabsl(dot_square(n, vx, vv) - squares) <= 72 * 0x1p-53L * squares);
    CHECK(fabsl(dot_difference(n, vv) - change) <= 71 * 0x1p-53L * change_size);
}

static void cut_between_threads(size_t n, size_t cut)   /* cut in panels */
{
    double whole[PANELS], parts[PANELS];
    size_t at = cut * HF_PANEL;
    if (at > n) return;
    hf_vector x_rest = {x + at, HF_DOUBLE}, v_rest = {v_single + at, HF_SINGLE};
    hf_dot(n, vx, vs, whole);
    hf_dot(at, vx, vs, parts);
    hf_dot(n - at, x_rest, v_rest, parts + cut);
    CHECK(memcmp(whole, parts, panels_of(n) * sizeof *whole) == 0);
}

static void single_storage(size_t n)
{
    CHECK(dot(n, vx, vs) == dot(n, vx, vv));
    CHECK(dot_square(n, vx, vs) == dot_square(n, vx, vv));
    CHECK(dot_difference(n, vs) == dot_difference(n, vv));
    hf_line_point(n, vx, vs, 0x1p-9, p);
    for (size_t i = 0; i < n; i++) CHECK(p[i] == x[i] + 0x1p-9 * v[i]);
}

static void line_sums(size_t n)
{
    double square[PANELS], weighted[PANELS], x_square[PANELS];
    long double size = 0, logs = 0;
    hf_line_sums(n, vx, vv, 2.0, 0.5, square, weighted, x_square);
    for (size_t i = 0; i < n; i++) {
        size += 4 * (long double)v[i] * v[i];
        logs += 4 * (long double)v[i] * v[i] * log2l(fabsl((long double)x[i] / v[i]));
    }
    double total = hf_sum_panels(panels_of(n), square);
    CHECK(fabsl(total - size) <= 70 * 0x1p-53L * size);
    CHECK(fabsl(hf_sum_panels(panels_of(n), weighted) - logs) <= 0.18L * size);
    CHECK(hf_sum_panels(panels_of(n), x_square) <= 0.25 * (double)n);
}

static void zeros_have_a_unit(void)
{
    double zero[3] = {0, 0, 0}, one[3] = {1, 0, 0}, square, weighted, x_square;
    hf_vector origin = {zero, HF_DOUBLE}, axis = {one, HF_DOUBLE};
    hf_line_sums(3, origin, axis, 1.0, 1.0, &square, &weighted, &x_square);
    CHECK(square == 1.0 && weighted == 0.0 && x_square == 0.0);
}

static void sizes_by_octaves(void)
{
    double sizes[6] = {0.0, -1.0, 1.75, 0x1p-30, 5e-324, -0x1p1023};
    unsigned char seen[2048] = {0};
    size_t marked = 0;
    hf_octaves(6, (hf_vector){sizes, HF_DOUBLE}, seen);
    for (size_t e = 0; e < 2048; e++) marked += seen[e];
    CHECK(marked == 5 && seen[0] && seen[1] && seen[1023] && seen[1023 - 30] && seen[1023 + 1023]);
}

#ifdef COMPARE_WIDE
__typeof__(hf_line_point) wide_line_point;
__typeof__(hf_dot) wide_dot;
__typeof__(hf_dot_square) wide_dot_square;
__typeof__(hf_dot_difference) wide_dot_difference;
__typeof__(hf_line_sums) wide_line_sums;
__typeof__(hf_sum_panels) wide_sum_panels;

static void same_bits_in_wide_registers(size_t n)
{
    double one[3 * PANELS], other[3 * PANELS], *q = other + PANELS, *r = q + PANELS;
    static double wide_p[N];
    size_t bytes = panels_of(n) * sizeof *one;
    hf_dot(n, vx, vs, one);
    wide_dot(n, vx, vs, other);
    CHECK(memcmp(one, other, bytes) == 0);
    CHECK(memcmp((double[]){hf_sum_panels(panels_of(n), one)}, (double[]){wide_sum_panels(panels_of(n), other)},
                 sizeof *one) == 0);
    hf_dot_square(n, vx, vs, one);
    wide_dot_square(n, vx, vs, other);
    CHECK(memcmp(one, other, bytes) == 0);
    hf_dot_difference(n, vv, va, vb, one);
    wide_dot_difference(n, vv, va, vb, other);
    CHECK(memcmp(one, other, bytes) == 0);
    hf_line_sums(n, vx, vv, 1.5, 0.7, one, one + PANELS, one + 2 * PANELS);
    wide_line_sums(n, vx, vv, 1.5, 0.7, other, q, r);
    CHECK(memcmp(one, other, bytes) == 0 && memcmp(one + PANELS, q, bytes) == 0);
    CHECK(memcmp(one + 2 * PANELS, r, bytes) == 0);
    hf_line_point(n, vx, vs, 0.3, p);
    wide_line_point(n, vx, vs, 0.3, wide_p);
    CHECK(memcmp(p, wide_p, n * sizeof *p) == 0);
}
#endif

int main(void)
{
    const size_t lengths[] = {0, 1, 2, 31, 32, 33, 63, HF_PANEL - 1, HF_PANEL, HF_PANEL + 1, 3 * HF_PANEL, N};
    fill();
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        close_to_long_double(lengths[k]);
        single_storage(lengths[k]);
        line_sums(lengths[k]);
        for (size_t cut = 0; cut < PANELS; cut++) cut_between_threads(lengths[k], cut);
#ifdef COMPARE_WIDE
        same_bits_in_wide_registers(lengths[k]);
#endif
    }
    zeros_have_a_unit();
    sizes_by_octaves();
    return 0;
}
