/* The quadratic forms of several vectors g of one H, each as quadform.c would form it: the same bits.
 *
 * A piece of H small enough for the first-level cache is used by every vector before the next one is fetched, so H
 * comes from memory once for HF_VECTORS vectors.
 *
 * This file is compiled once for each SIMD level.
 */
#include "simd.h"
#include "triangle.h"

enum {
    CHUNK = 128, /* columns of a panel that the vectors take in turn: 8 KiB */
    STRIP = 256, /* columns crossed together by columns: 16 KiB for the eight rows of a pass */
};

HF_INLINE void panel_by_rows(int single, size_t rows, const hf_triangle *H, size_t k, const double *G, size_t i,
                             size_t blocks_ld, hf_sums *block)
{
    const void *h[PANEL];
    lanes sum[HF_VECTORS];
    find_rows(single, rows, H, i, h);
    for (size_t v = 0; v < k; v++) sum[v].value = v4_all(0.0);
    for (size_t from = 0; from < i || from == 0; from += CHUNK) {
        const size_t to = from + CHUNK < i ? from + CHUNK : i;
        for (size_t v = 0; v < k; v++) {
            const double *g = G + v * H->n;
            lanes running = sum[v];
            v4 gi[PANEL];
            for (size_t r = 0; r < PANEL; r++) gi[r] = v4_all(r < rows ? g[i + r] : 0.0);
            for (size_t j = from; j < to; j += 4) add_tile_by_rows(single, 0, rows, h, gi, g, j, &running);
            if (to == i && rows == PANEL) {
                add_corner_by_rows(single, 0, h, gi, g, i, 0, &running);
                add_corner_by_rows(single, 0, h, gi, g, i + 4, 4, &running);
            }
            sum[v] = running;
        }
    }
    for (size_t v = 0; v < k; v++)
        add_sums(0, block + v * blocks_ld, rows == PANEL ? close_full(single, 0, h, G + v * H->n, i, sum[v])
                                                         : close_short(single, 0, 0, rows, h, G + v * H->n, i, sum[v]));
}

HF_INLINE void block_by_rows(int single, const hf_triangle *H, size_t k, const double *G, size_t i, size_t blocks_ld,
                             hf_sums *block)
{
    const size_t end = i + HF_BLOCK < H->n ? i + HF_BLOCK : H->n;
    for (size_t v = 0; v < k; v++) block[v * blocks_ld].value = 0.0;
    for (; i + PANEL <= end; i += PANEL) panel_by_rows(single, PANEL, H, k, G, i, blocks_ld, block);
    if (i < end) panel_by_rows(single, end - i, H, k, G, i, blocks_ld, block);
}

HF_INLINE void strip_by_columns(int single, const hf_triangle *H, size_t k, const double *G, size_t start, size_t end,
                                size_t blocks_ld, hf_sums *block)
{
    v4 value[HF_VECTORS][STRIP / PANEL], none;
    const size_t full = end - (end - start) % PANEL;
    for (size_t v = 0; v < k; v++)
        for (size_t p = 0; p * PANEL < end - start; p++) value[v][p] = v4_all(0.0);
    for (size_t j = 0; j < full; j += PANEL) {
        const void *h[PANEL];
        find_rows(single, PANEL, H, j, h);
        for (size_t v = 0; v < k; v++) {
            const double *g = G + v * H->n;
            size_t i = j < start ? start : j;
            v4 *p = &value[v][(i - start) / PANEL];
            if (i == j) add_pair_by_columns(single, 0, PANEL, h, g, i, j, 1, p++, &none), i += PANEL;
            for (; i < full; i += PANEL) add_pair_by_columns(single, 0, PANEL, h, g, i, j, 0, p++, &none);
            if (i < end) add_pair_by_columns(single, 0, end - i, h, g, i, j, 0, p, &none);
        }
    }
    for (size_t i = start; i < end; i += PANEL) {
        const void *h[PANEL];
        find_rows(single, i < full ? PANEL : end - i, H, i, h);
        for (size_t v = 0; v < k; v++) {
            const double *g = G + v * H->n;
            const lanes sum = {value[v][(i - start) / PANEL], v4_all(0.0)};
            hf_sums *to = block + v * blocks_ld + (i - start) / HF_BLOCK;
            if ((i - start) % HF_BLOCK == 0) to->value = 0.0;
            add_sums(0, to, i < full ? close_full(single, 0, h, g, i, sum)
                                     : close_short(single, 0, 1, end - i, h, g, i, sum));
        }
    }
}

HF_INLINE void blocks(int single, const hf_triangle *H, size_t k, const double *G, size_t first, size_t last,
                      size_t blocks_ld, hf_sums *block)
{
    const size_t end = last * HF_BLOCK < H->n ? last * HF_BLOCK : H->n;
    if (H->upper)
        for (size_t i = first * HF_BLOCK; i < end; i += STRIP, block += STRIP / HF_BLOCK)
            strip_by_columns(single, H, k, G, i, i + STRIP < end ? i + STRIP : end, blocks_ld, block);
    else
        for (size_t i = first * HF_BLOCK; i < end; i += HF_BLOCK)
            block_by_rows(single, H, k, G, i, blocks_ld, block++);
}

void HF_SIMD(hf_quadform_vectors)(const hf_triangle *H, size_t k, const double *G, size_t first, size_t last,
                                  size_t blocks_ld, hf_sums *block)
{
    if (H->single)
        blocks(1, H, k, G, first, last, blocks_ld, block);
    else
        blocks(0, H, k, G, first, last, blocks_ld, block);
}
