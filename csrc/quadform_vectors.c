/* The quadratic forms of several vectors g of one H, each as quadform.c would form it: the same bits.
 *
 * A piece of H small enough for the first-level cache is used by every vector before the next one is fetched, so H
 * comes from memory once for HF_VECTORS vectors.
 *
 * This file is compiled once for each SIMD level.
 */
#include "closing.h"
#include "simd.h"
#include "tiles.h"

enum {
    CHUNK = 128, /* columns of a panel that the vectors take in turn: 8 KiB */
    STRIP = 256, /* rows crossed together by columns: 16 KiB for the eight columns of a pass */
};

/* One pass over H for k vectors. */
typedef struct {
    held H;
    size_t k;
    const double *G;
    size_t blocks_ld;
} common_pass;

/* What of it is vector v's. */
HF_INLINE pass of_vector(const common_pass *all, size_t v)
{
    return (pass){all->H, all->G + v * all->H.in->n, VALUE, FETCH_NOTHING};
}

HF_INLINE void panel_by_rows(const common_pass *all, size_t i, size_t rows, hf_sums *block)
{
    bundle h;
    find_lines(all->H, i, rows, &h);
    v4 value[HF_VECTORS];
    for (size_t v = 0; v < all->k; v++) value[v] = v4_all(0.0);
    for (size_t from = 0; from < i || from == 0; from += CHUNK) {
        const size_t to = from + CHUNK < i ? from + CHUNK : i;
        for (size_t v = 0; v < all->k; v++) {
            const pass p = of_vector(all, v);
            const panel_g gi = spread(p.g, &h);
            lanes sum = {value[v], v4_all(0.0)};
            for (size_t j = from; j < to; j += 4) sum = tile_by_rows(&p, &h, &gi, j, sum);
            if (to == i && rows == PANEL) {
                sum = corner_by_rows(&p, &h, &gi, 0, sum);
                sum = corner_by_rows(&p, &h, &gi, 4, sum);
            }
            value[v] = sum.value;
        }
    }
    for (size_t v = 0; v < all->k; v++) {
        const pass p = of_vector(all, v);
        const lanes sum = {value[v], v4_all(0.0)};
        add_sums(VALUE, block + v * all->blocks_ld, rows == PANEL ? close_full(&p, &h, sum) : close_short(&p, &h, sum));
    }
}

HF_INLINE void block_by_rows(const common_pass *all, size_t i, hf_sums *block)
{
    const size_t end = i + HF_BLOCK < all->H.in->n ? i + HF_BLOCK : all->H.in->n;
    for (size_t v = 0; v < all->k; v++) block[v * all->blocks_ld] = (hf_sums){0.0, 0.0};
    for (; i + PANEL <= end; i += PANEL) panel_by_rows(all, i, PANEL, block);
    if (i < end) panel_by_rows(all, i, end - i, block);
}

HF_INLINE void add_pair(const pass *p, const bundle *columns, place where, size_t i, size_t rows, v4 *value)
{
    *value = pair_by_columns(p, columns, where, i, rows, (lanes){*value, v4_all(0.0)}).value;
}

HF_INLINE void strip_by_columns(const common_pass *all, size_t start, size_t end, hf_sums *block)
{
    v4 value[HF_VECTORS][STRIP / PANEL];
    const size_t full = end - (end - start) % PANEL;
    for (size_t v = 0; v < all->k; v++)
        for (size_t q = 0; q * PANEL < end - start; q++) value[v][q] = v4_all(0.0);
    for (size_t j = 0; j < full; j += PANEL) {
        bundle h;
        find_lines(all->H, j, PANEL, &h);
        for (size_t v = 0; v < all->k; v++) {
            const pass p = of_vector(all, v);
            size_t i = j < start ? start : j;
            v4 *to = &value[v][(i - start) / PANEL];
            if (i == j) add_pair(&p, &h, ON_DIAGONAL, i, PANEL, to++), i += PANEL;
            for (; i < full; i += PANEL) add_pair(&p, &h, OFF_DIAGONAL, i, PANEL, to++);
            if (i < end) add_pair(&p, &h, OFF_DIAGONAL, i, end - i, to);
        }
    }
    for (size_t i = start; i < end; i += PANEL) {
        bundle h;
        find_lines(all->H, i, i < full ? PANEL : end - i, &h);
        for (size_t v = 0; v < all->k; v++) {
            const pass p = of_vector(all, v);
            const lanes sum = {value[v][(i - start) / PANEL], v4_all(0.0)};
            hf_sums *to = block + v * all->blocks_ld + (i - start) / HF_BLOCK;
            if ((i - start) % HF_BLOCK == 0) *to = (hf_sums){0.0, 0.0};
            add_sums(VALUE, to, i < full ? close_full(&p, &h, sum) : close_short(&p, &h, sum));
        }
    }
}

HF_INLINE void blocks(hf_storage storage, const hf_triangle *H, size_t k, const double *G, size_t first, size_t last,
                      size_t blocks_ld, hf_sums *block)
{
    const size_t end = last * HF_BLOCK < H->n ? last * HF_BLOCK : H->n;
    const common_pass by_rows = {{H, HF_BY_ROWS, storage}, k, G, blocks_ld};
    const common_pass by_columns = {{H, HF_BY_COLUMNS, storage}, k, G, blocks_ld};
    if (H->order == HF_BY_COLUMNS)
        for (size_t i = first * HF_BLOCK; i < end; i += STRIP, block += STRIP / HF_BLOCK)
            strip_by_columns(&by_columns, i, i + STRIP < end ? i + STRIP : end, block);
    else
        for (size_t i = first * HF_BLOCK; i < end; i += HF_BLOCK) block_by_rows(&by_rows, i, block++);
}

void HF_SIMD(hf_quadform_vectors)(const hf_triangle *H, size_t k, const double *G, size_t first, size_t last,
                                  size_t blocks_ld, hf_sums *block)
{
    if (H->storage == HF_SINGLE)
        blocks(HF_SINGLE, H, k, G, first, last, blocks_ld, block);
    else
        blocks(HF_DOUBLE, H, k, G, first, last, blocks_ld, block);
}
