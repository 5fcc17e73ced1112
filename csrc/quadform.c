/* The quadratic form gᵀHg of a symmetric H from one of its triangles.
 *
 *     gᵀHg = 2 Σ_{j<i} g_i H_ij g_j + Σ_i H_ii g_i²
 *
 * Reading one triangle halves the memory traffic, which is the cost from n ~ 256 on: n²/2 entries, one multiplication
 * and one addition each. Rounding error: at most (n/8 + 24) eps |g|ᵀ|H||g|, in practice a small
 * part of it.
 *
 * The order of the sum. The column sums of a tile (triangle.h) times g_j are added to the four lanes of its panel, left
 * to right; on the diagonal, entries with j >= i count as zero. A panel's value is twice the sum of its lanes plus its
 * share of Σ H_ii g_i². In a last panel of fewer than eight rows the triangle on the diagonal is summed row by row.
 * Panels are added within blocks of HF_BLOCK rows, blocks by hf_sum_blocks. No product is contracted into a fused
 * multiply-add. So the bits depend on H and g only: not on the width of the registers, nor on which thread did which
 * block, nor on which triangle of a symmetric H memory holds, packed or not.
 *
 * With `sized` the same pass sums |g|ᵀ|H||g|, which bounds the rounding error.
 *
 * This file is compiled once for each SIMD level.
 */
#include "simd.h"
#include "triangle.h"

enum {
    STRIP = 2048,          /* columns crossed together by columns: long enough to stream, their lanes fit the stack */
    BATCH = 1 << 17,       /* bytes of a stack fetched together: they stay in the second-level cache */
    STREAM_FROM = 1 << 24, /* bytes of a stack beyond what the last-level cache will keep for us */
    STREAM_ORDER = 16      /* smaller matrices leave few lines out */
};

/* ---- Memory holds the triangle by rows: entries 0 .. i of row i ------------------------------------------------- */

HF_INLINE hf_sums panel_by_rows(int single, int sized, fetch_mode fetch, size_t rows, const hf_triangle *H,
                                const double *g, size_t i)
{
    const void *h[PANEL];
    v4 gi[PANEL];
    lanes sum = {v4_all(0.0), v4_all(0.0)};
    find_rows(single, rows, H, i, h);
    for (size_t r = 0; r < PANEL; r++) gi[r] = v4_all(r < rows ? g[i + r] : 0.0);
    if (rows < PANEL) {
        for (size_t j = 0; j < i; j += 4) add_tile_by_rows(single, sized, rows, h, gi, g, j, &sum);
        return close_short(single, sized, 0, rows, h, g, i, sum);
    }
    const size_t next = to_next_panel(H, i);
    for (size_t j = 0; j < i; j += 8) {
        fetch_ahead(single, H, h, j, i, 0, next, fetch);
        add_tile_by_rows(single, sized, PANEL, h, gi, g, j, &sum);
        add_tile_by_rows(single, sized, PANEL, h, gi, g, j + 4, &sum);
    }
    add_corner_by_rows(single, sized, h, gi, g, i, 0, &sum);
    add_corner_by_rows(single, sized, h, gi, g, i + 4, 4, &sum);
    return close_full(single, sized, h, g, i, sum);
}

HF_INLINE hf_sums block_by_rows(int single, int sized, fetch_mode fetch, const hf_triangle *H, const double *g,
                                size_t i)
{
    const size_t end = i + HF_BLOCK < H->n ? i + HF_BLOCK : H->n;
    hf_sums block = {0.0, 0.0};
    for (; i < end; i += PANEL) {
        add_sums(sized, &block, i + PANEL <= end ? panel_by_rows(single, sized, fetch, PANEL, H, g, i)
                                                 : panel_by_rows(single, sized, fetch, end - i, H, g, i));
    }
    return block;
}

/* ---- Memory holds the triangle by columns: entries j .. n-1 of row j are column j ------------------------------- */

/* Panels of rows start .. end-1, end - start <= STRIP: eight columns at a time are crossed from the diagonal down. */
HF_INLINE void strip_by_columns(int single, int sized, const hf_triangle *H, const double *g, size_t start, size_t end,
                                hf_sums *block)
{
    v4 value[STRIP / PANEL], size[STRIP / PANEL];
    const size_t full = end - (end - start) % PANEL;
    const fetch_mode fetch = fetch_mode_of(single, H);
    for (size_t p = 0; p * PANEL < end - start; p++) value[p] = size[p] = v4_all(0.0);
    for (size_t j = 0; j < full; j += PANEL) {
        const void *h[PANEL];
        size_t i = j < start ? start : j, p = (i - start) / PANEL;
        const size_t next = to_next_panel(H, j), next_start = j + PANEL < start ? start : j + PANEL;
        find_rows(single, PANEL, H, j, h);
        if (i == j) add_pair_by_columns(single, sized, PANEL, h, g, i, j, 1, &value[p], &size[p]), i += PANEL, p++;
        for (; i < full; i += PANEL, p++) {
            fetch_ahead(single, H, h, i, full, next_start, next, fetch);
            add_pair_by_columns(single, sized, PANEL, h, g, i, j, 0, &value[p], &size[p]);
        }
        if (i < end) add_pair_by_columns(single, sized, end - i, h, g, i, j, 0, &value[p], &size[p]);
    }
    for (size_t i = start, p = 0; i < end; i += PANEL, p++) {
        const lanes sum = {value[p], size[p]};
        const void *h[PANEL];
        hf_sums *to = block + (i - start) / HF_BLOCK;
        if ((i - start) % HF_BLOCK == 0) *to = (hf_sums){0.0, 0.0};
        find_rows(single, i < full ? PANEL : end - i, H, i, h);
        add_sums(sized, to, i < full ? close_full(single, sized, h, g, i, sum)
                                     : close_short(single, sized, 1, end - i, h, g, i, sum));
    }
}

/* ---- Blocks ------------------------------------------------------------------------------------------------------ */

HF_INLINE void blocks(int single, int sized, const hf_triangle *H, const double *g, size_t first, size_t last,
                      hf_sums *block)
{
    const size_t end = last * HF_BLOCK < H->n ? last * HF_BLOCK : H->n;
    if (H->upper)
        for (size_t i = first * HF_BLOCK; i < end; i += STRIP, block += STRIP / HF_BLOCK)
            strip_by_columns(single, sized, H, g, i, i + STRIP < end ? i + STRIP : end, block);
    else
        for (size_t i = first * HF_BLOCK; i < end; i += HF_BLOCK)
            *block++ = block_by_rows(single, sized, fetch_mode_of(single, H), H, g, i);
}

static void blocks_of_double(const hf_triangle *H, const double *g, size_t first, size_t last, hf_sums *block)
{
    blocks(0, 0, H, g, first, last, block);
}

static void blocks_of_single(const hf_triangle *H, const double *g, size_t first, size_t last, hf_sums *block)
{
    blocks(1, 0, H, g, first, last, block);
}

void HF_SIMD(hf_quadform)(const hf_triangle *H, const double *g, size_t first, size_t last, hf_sums *block)
{
    (H->single ? blocks_of_single : blocks_of_double)(H, g, first, last, block);
}

void HF_SIMD(hf_quadform_sized)(const hf_triangle *H, const double *g, size_t first, size_t last, hf_sums *block)
{
    if (H->single)
        blocks(1, 1, H, g, first, last, block);
    else
        blocks(0, 1, H, g, first, last, block);
}

/* ---- Stacks ------------------------------------------------------------------------------------------------------ */

HF_INLINE double form_below_panel(int single, const hf_triangle *H, const double *g)
{
    const lanes none = {v4_all(0.0), v4_all(0.0)};
    const void *h[PANEL];
    find_rows(single, H->n, H, 0, h);
    return close_short(single, 0, H->upper, H->n, h, g, 0, none).value;
}

HF_INLINE double form_of_block(int single, const hf_triangle *H, const double *g)
{
    hf_sums block;
    if (H->upper)
        (single ? blocks_of_single : blocks_of_double)(H, g, 0, 1, &block);
    else
        block = block_by_rows(single, 0, FETCH_NOTHING, H, g, 0);
    return block.value;
}

HF_INLINE void stack(int single, int below_panel, size_t n, hf_triangle H, size_t count, ptrdiff_t stride,
                     const double *G, double *out)
{
    H.n = n;
    for (size_t m = 0; m < count; m++, G += n) {
        out[m] = below_panel ? form_below_panel(single, &H, G) : form_of_block(single, &H, G);
        H.data = (const char *)H.data + stride * (ptrdiff_t)(single ? sizeof(float) : sizeof(double));
    }
}

/* With a constant order the smallest matrices become straight lines of code. */
HF_INLINE void stack_below_panel(int single, const hf_triangle *H, size_t count, ptrdiff_t stride, const double *G,
                                 double *out)
{
    switch (H->n) {
    case 1: stack(single, 1, 1, *H, count, stride, G, out); break;
    case 2: stack(single, 1, 2, *H, count, stride, G, out); break;
    case 3: stack(single, 1, 3, *H, count, stride, G, out); break;
    case 4: stack(single, 1, 4, *H, count, stride, G, out); break;
    default: stack(single, 1, H->n, *H, count, stride, G, out);
    }
}

/* Functions of their own, so that the smallest matrices do not pay for the others' room on the stack. */
static void stack_of_double(const hf_triangle *H, size_t count, ptrdiff_t stride, const double *G, double *out)
{
    stack(0, 0, H->n, *H, count, stride, G, out);
}

static void stack_of_single(const hf_triangle *H, size_t count, ptrdiff_t stride, const double *G, double *out)
{
    stack(1, 0, H->n, *H, count, stride, G, out);
}

/* The triangles of small matrices leave lines out here and there, and the processor foresees only unbroken streams: from
 * memory a stack is therefore fetched whole, one number a line, before a batch of it is summed. */
static void fetch_stack(const void *data, size_t bytes)
{
    for (size_t b = 0; b < bytes; b += 64) (void)((const volatile char *)data)[b];
}

void HF_SIMD(hf_quadform_stack)(const hf_triangle *H, size_t count, ptrdiff_t stride, const double *G, double *out)
{
    const size_t n = H->n, width = H->single ? sizeof(float) : sizeof(double), size = n * n * width;
    const int stream = n >= STREAM_ORDER && count * size >= STREAM_FROM && stride == (ptrdiff_t)(n * n);
    const size_t batch = stream && size < BATCH ? BATCH / size : count;
    hf_triangle from = *H;
    for (size_t m = 0; m < count; m += batch) {
        const size_t some = count - m < batch ? count - m : batch;
        if (stream) fetch_stack(from.data, some * size);
        if (n < PANEL && H->single)
            stack_below_panel(1, &from, some, stride, G + m * n, out + m);
        else if (n < PANEL)
            stack_below_panel(0, &from, some, stride, G + m * n, out + m);
        else
            (H->single ? stack_of_single : stack_of_double)(&from, some, stride, G + m * n, out + m);
        from.data = (const char *)from.data + (ptrdiff_t)(some * width) * stride;
    }
}
