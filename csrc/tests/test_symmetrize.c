/* Symmetrising in place: the mean of each pair, in every build, tile and remainder; nothing between rows is touched. */
#include <string.h>

#include "check.h"
#include "hessfast.h"

extern const hf_kernels hf_kernels_plain;

static double entry(size_t i, size_t j) { return (double)((i * 7919 + j * 104729) % 1000003); }

static void means(hf_symmetrize_fn *symmetrize, size_t n, size_t ld, size_t cut)
{
    double *G = malloc(((n ? (n - 1) * ld + n : 0) + 1) * sizeof *G);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < (i + 1 < n ? ld : n); j++) G[i * ld + j] = entry(i, j);
    for (size_t first = 0; first < n; first += cut) symmetrize(first, first + cut < n ? first + cut : n, G, ld);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) CHECK(G[i * ld + j] == 0.5 * (entry(i, j) + entry(j, i)));
        for (size_t j = n; j < ld && i + 1 < n; j++) CHECK(G[i * ld + j] == entry(i, j));
    }
    free(G);
}

int main(void)
{
    const char *name;
    hf_kernels kernels;
    hf_symmetrize_fn *build[3] = {hf_kernels_plain.symmetrize};
    size_t builds = 1;
    CHECK(hf_choose_simd("baseline", &kernels, &name) == HF_SIMD_OK);
    build[builds++] = kernels.symmetrize;
    if (hf_choose_simd("x86-64-v3", &kernels, &name) == HF_SIMD_OK) build[builds++] = kernels.symmetrize;
    for (size_t b = 0; b < builds; b++) {
        for (size_t n = 0; n <= 70; n++) means(build[b], n, n, n + 1);
        for (size_t n = 120; n <= 140; n++) means(build[b], n, n + 5, 37);
        for (size_t n = 90; n <= 128; n++) means(build[b], n, 128, 50);
        means(build[b], 256, 256, 256);
        means(build[b], 250, 384, 64);
    }
    return 0;
}
