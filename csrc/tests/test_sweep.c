/* Sweeps: the right point each time, flags stop, writers into x are found and harmless. */
#include <math.h>
#include <string.h>

#include "check.h"
#include "hessfast.h"

enum { N = 5 };
static int calls;
static int64_t flag;

/* A value from which every coordinate can be read back. */
static double weigh(int n, double *x, void *data)
{
    (void)data;
    double sum = 0.0;
    for (int i = 0; i < n; i++) sum += x[i] * (double)(1 << (4 * i));
    calls++;
    return sum;
}

static double weigh_plain(int n, double *x) { return weigh(n, x, NULL); }

static double scribble(int n, double *x, void *data)
{
    double sum = weigh(n, x, data);
    x[1] = 77.0;
    return sum;
}

static double third_fails(int n, double *x, void *data)
{
    double sum = weigh(n, x, data);
    if (calls == 3) flag = 1;
    return sum;
}

static void ramp(int n, double *x, double *g, void *data)
{
    (void)data;
    for (int i = 0; i < n; i++) g[i] = 2.0 * x[i];
    x[0] = -5.0;
}

static const double x[N] = {1, 2, 3, 4, 5};
static const int32_t index_[] = {-1, -1, 0, -1, 3, 1, 1, 3, 4, 0};
static const double value_[] = {0, 0, 9, 0, 7, 6, 8, 9, 2, 3};
enum { POINTS = 5 };

static double expected(size_t p)
{
    double point[N];
    memcpy(point, x, sizeof point);
    for (size_t d = 2 * p; d < 2 * p + 2; d++)
        if (index_[d] >= 0) point[index_[d]] = value_[d];
    calls--;
    return weigh(N, point, NULL);
}

static bool swept(hf_swept done, size_t points, bool wrote) { return done.calls == points && done.wrote == wrote; }

static void each_point_in_turn(hf_function f)
{
    double work[2 * N], out[POINTS];
    CHECK(swept(hf_sweep(&f, N, x, POINTS, index_, value_, work, out), POINTS, false));
    for (size_t p = 0; p < POINTS; p++) CHECK(out[p] == expected(p));
    CHECK(swept(hf_sweep(&f, N, x, 0, NULL, NULL, work, out), 0, false));
}

static void writer_is_found(void)
{
    double work[2 * N], out[POINTS];
    hf_function f = {.with_data = scribble};
    for (size_t points = 1; points <= POINTS; points++) {
        calls = 0;
        const hf_swept done = hf_sweep(&f, N, x, points, index_, value_, work, out);
        CHECK(swept(done, (size_t)calls, true));
    }
    CHECK(swept(hf_sweep_rows(&f, N, 1, x, work, out), 1, true));
    f.refill = true;
    each_point_in_turn(f);
}

static void flag_stops(void)
{
    double work[2 * N], out[POINTS];
    hf_function f = {.with_data = third_fails, .flag = &flag};
    calls = 0;
    flag = 0;
    CHECK(swept(hf_sweep(&f, N, x, POINTS, index_, value_, work, out), 2, false) && calls == 3);
}

static void pairs_as_listed(void)
{
    enum { M = 2, PAIRS = N * (N - 1) / 2 };
    static const int32_t axis[N] = {4, 3, 2, 1, 0};
    double nodes[N * M], value[PAIRS * M * 2], work[2 * N], listed[PAIRS * M], out[PAIRS * M];
    int32_t index[PAIRS * M * 2];
    const hf_nodes axes = {M, axis, nodes};
    hf_function f = {.with_data = weigh};
    for (size_t q = 0; q < N * M; q++) nodes[q] = 10.0 + (double)q;
    hf_pair_points(&axes, 0, PAIRS, index, value);
    CHECK(swept(hf_sweep(&f, N, x, PAIRS * M, index, value, work, listed), PAIRS * M, false));
    for (size_t first = 0; first < PAIRS; first += 3) {
        size_t last = first + 3 < PAIRS ? first + 3 : PAIRS;
        CHECK(swept(hf_sweep_pairs(&f, N, x, &axes, first, last, work, out), (last - first) * M, false));
        CHECK(memcmp(out, listed + first * M, (last - first) * M * sizeof *out) == 0);
    }
    f.with_data = scribble;
    calls = 0;
    const hf_swept done = hf_sweep_pairs(&f, N, x, &axes, 0, PAIRS, work, out);
    CHECK(swept(done, (size_t)calls, true));
    CHECK(swept(hf_sweep_pairs(&f, N, x, &axes, 3, 3, work, out), 0, false));
}

static void gradients(void)
{
    double work[2 * N], out[POINTS * N], rows[2 * N], saved[2 * N];
    hf_function f = {.gradient = ramp, .refill = true};
    CHECK(swept(hf_sweep(&f, N, x, POINTS, index_, value_, work, out), POINTS, false));
    CHECK(out[1 * N + 0] == 18 && out[2 * N + 3] == 14 && out[2 * N + 1] == 12 && out[2 * N + 0] == 2);
    for (size_t i = 0; i < 2 * N; i++) saved[i] = rows[i] = (double)i;
    CHECK(swept(hf_sweep_rows(&f, N, 2, rows, work, out), 2, true));
    CHECK(memcmp(rows, saved, sizeof rows) == 0 && out[N] == 2.0 * N);
}

static void one_point(void)
{
    double point[N] = {1, 2, 3, 4, 5}, value, gradient[N];
    hf_function f = {.with_data = third_fails, .flag = &flag}, g = {.gradient = ramp};
    calls = 1;
    flag = 0;
    CHECK(hf_evaluate(&f, N, point, &value) && value == weigh(N, point, NULL));
    calls = 2;
    CHECK(!hf_evaluate(&f, N, point, &value));
    CHECK(hf_evaluate(&g, N, point, gradient) && gradient[4] == 10 && point[0] == -5);
}

static void block_of_columns(void)
{
    double block[N * POINTS];
    hf_fill_block(N, x, POINTS, index_, value_, block);
    for (size_t p = 0; p < POINTS; p++) {
        double point[N];
        for (size_t i = 0; i < N; i++) point[i] = block[i * POINTS + p];
        calls--;
        CHECK(weigh(N, point, NULL) == expected(p));
    }
}

int main(void)
{
    each_point_in_turn((hf_function){.with_data = weigh});
    each_point_in_turn((hf_function){.plain = weigh_plain});
    writer_is_found();
    flag_stops();
    pairs_as_listed();
    gradients();
    one_point();
    block_of_columns();
    return 0;
}
