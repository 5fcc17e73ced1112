/* Pair points: every pair once, whatever the cuts between tiles; displaced coordinates from the right axis. */
#include "check.h"
#include "hessfast.h"

enum { N = 7, M = 4, PAIRS = N * (N - 1) / 2 };

static void fill_nodes(double *nodes)
{
    for (size_t q = 0; q < N * M; q++) nodes[q] = 100.0 + (double)q;
}

static void every_pair_once(size_t tile)
{
    double nodes[N * M], value[PAIRS * M * 2];
    int32_t index[PAIRS * M * 2];
    int seen[N][N] = {{0}};
    fill_nodes(nodes);
    for (size_t first = 0; first < PAIRS; first += tile) {
        size_t last = first + tile < PAIRS ? first + tile : PAIRS;
        hf_pair_points(M, NULL, nodes, first, last, index, value);
        for (size_t p = 0; p < last - first; p++) {
            size_t i = (size_t)index[p * M * 2], j = (size_t)index[p * M * 2 + 1];
            CHECK(i < N && j < i && first + p == i * (i - 1) / 2 + j);
            seen[i][j]++;
            for (size_t k = 0; k < M; k++) {
                CHECK(index[(p * M + k) * 2] == (int32_t)i && index[(p * M + k) * 2 + 1] == (int32_t)j);
                CHECK(value[(p * M + k) * 2] == nodes[i * M + k]);
                CHECK(value[(p * M + k) * 2 + 1] == nodes[j * M + k]);
            }
        }
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < i; j++) CHECK(seen[i][j] == 1);
}

int main(void)
{
    for (size_t tile = 1; tile <= PAIRS; tile++) every_pair_once(tile);
    hf_pair_points(M, NULL, NULL, 3, 3, NULL, NULL);
    return 0;
}
