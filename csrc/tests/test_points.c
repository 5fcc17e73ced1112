/* Pair points: every pair once, whatever the cuts between tiles; displaced coordinates from the right axis. Axes: nodes
 * and points of each, and the first whose step is of no use. */
#include <math.h>

#include "check.h"
#include "hessfast.h"

enum { N = 7, M = 4, PAIRS = N * (N - 1) / 2 };

static const int32_t backwards[N] = {6, 5, 4, 3, 2, 1, 0};

static void fill_nodes(double *nodes)
{
    for (size_t q = 0; q < N * M; q++) nodes[q] = 100.0 + (double)q;
}

static void every_pair_once(size_t tile)
{
    double nodes[N * M], value[PAIRS * M * 2];
    int32_t index[PAIRS * M * 2];
    int seen[N][N] = {{0}};
    const hf_nodes all = {M, backwards, nodes};
    fill_nodes(nodes);
    for (size_t first = 0; first < PAIRS; first += tile) {
        size_t last = first + tile < PAIRS ? first + tile : PAIRS;
        hf_pair_points(&all, first, last, index, value);
        for (size_t p = 0; p < last - first; p++) {
            size_t i = N - 1 - (size_t)index[p * M * 2], j = N - 1 - (size_t)index[p * M * 2 + 1];
            CHECK(i < N && j < i && first + p == i * (i - 1) / 2 + j);
            seen[i][j]++;
            for (size_t k = 0; k < M; k++) {
                CHECK(index[(p * M + k) * 2] == backwards[i] && index[(p * M + k) * 2 + 1] == backwards[j]);
                CHECK(value[(p * M + k) * 2] == nodes[i * M + k]);
                CHECK(value[(p * M + k) * 2 + 1] == nodes[j * M + k]);
            }
        }
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < i; j++) CHECK(seen[i][j] == 1);
}

static void axes(void)
{
    static const double x[3] = {1.0, -2.0, 4.0}, t[2] = {1.0, -1.0}, step[2] = {0.5, 0.25};
    static const int32_t axis[2] = {2, 0};
    double nodes[4], steps[4], value[8];
    int32_t index[8];
    CHECK(hf_axis_nodes(2, x, axis, step, 2, t, nodes, steps) == 2);
    CHECK(nodes[0] == 4.5 && nodes[1] == 3.5 && nodes[2] == 1.25 && nodes[3] == 0.75);
    CHECK(steps[0] == 0.5 && steps[1] == -0.5 && steps[2] == 0.25 && steps[3] == -0.25);
    hf_axis_points(2, &(hf_nodes){2, axis, nodes}, index, value);
    for (size_t p = 0; p < 4; p++)
        CHECK(index[2 * p] == axis[p / 2] && index[2 * p + 1] == -1 && value[2 * p] == nodes[p]);
}

static void steps_of_no_use(void)
{
    static const double x[3] = {1.0, 1.0, 1.0}, t[1] = {1.0};
    static const int32_t axis[3] = {0, 1, 2};
    const double vanish[3] = {1.0, 1e-30, 1e-30}, overflow[3] = {1.0, 1.0, (double)INFINITY};
    double nodes[3], steps[3];
    CHECK(hf_axis_nodes(3, x, axis, vanish, 1, t, nodes, steps) == 1);
    CHECK(hf_axis_nodes(3, x, axis, overflow, 1, t, nodes, steps) == 2);
    CHECK(hf_axis_nodes(0, x, axis, vanish, 1, t, nodes, steps) == 0);
}

int main(void)
{
    axes();
    steps_of_no_use();
    for (size_t tile = 1; tile <= PAIRS; tile++) every_pair_once(tile);
    hf_pair_points(&(hf_nodes){.m = M}, 3, 3, NULL, NULL);
    return 0;
}
