/* The quadratic form gᵀHg of a symmetric H from one of its triangles.
 *
 *     gᵀHg = 2 Σ_{j<i} g_i H_ij g_j + Σ_i H_ii g_i²
 *
 * Reading one triangle halves the memory traffic, which is the cost from n ~ 256 on: n²/2 entries, one multiplication
 * and one addition each. Rounding error: at most (n/8 + 24) eps |g|ᵀ|H||g|, in practice a small part of it.
 *
 * The order of the sum. The column sums of a tile (tiles.h) times g_j are added to the four lanes of its panel, left
 * to right; on the diagonal, entries with j >= i count as zero. A panel's value is twice the sum of its lanes plus its
 * share of Σ H_ii g_i². In a last panel of fewer than eight rows the triangle on the diagonal is summed row by row.
 * Panels are added within blocks of HF_BLOCK rows, blocks by hf_sum_blocks. No product is contracted into a fused
 * multiply-add. So the bits depend on H and g only: not on the width of the registers, nor on which thread did which
 * block, nor on whether memory holds the triangle by rows or by columns, packed or not.
 *
 * The same pass can sum the sizes, |g|ᵀ|H||g|, which bound the rounding error.
 *
 * This file is compiled once for each SIMD level.
 */
#include "closing.h"
#include "simd.h"
#include "tiles.h"

enum {
    STRIP = 2048,          /* rows crossed together by columns: long enough to stream, their lanes fit the stack */
    BATCH = 1 << 17,       /* bytes of a stack fetched together: they stay in the second-level cache */
    STREAM_FROM = 1 << 24, /* bytes of a stack beyond what the last-level cache will keep for us */
    STREAM_ORDER = 16      /* smaller matrices leave few cache lines out */
};

/* ---- By rows ----------------------------------------------------------------------------------------------------- */

HF_INLINE hf_sums panel_by_rows(const pass *p, size_t i, size_t rows)
{
    bundle h;
    find_lines(p->H, i, rows, &h);
    const panel_g gi = spread(p->g, &h);
    lanes sum = no_lanes();
    if (rows < PANEL) {
        for (size_t j = 0; j < i; j += 4) sum = tile_by_rows(p, &h, &gi, j, sum);
        return close_short(p, &h, sum);
    }
    const crossing way = cross(p->H, i, i, 0);
    for (size_t j = 0; j < i; j += 8) {
        fetch_ahead(p->fetch, p->H, &h, j, way);
        sum = tile_by_rows(p, &h, &gi, j, sum);
        sum = tile_by_rows(p, &h, &gi, j + 4, sum);
    }
    sum = corner_by_rows(p, &h, &gi, 0, sum);
    sum = corner_by_rows(p, &h, &gi, 4, sum);
    return close_full(p, &h, sum);
}

HF_INLINE hf_sums block_by_rows(const pass *p, size_t i)
{
    const size_t end = i + HF_BLOCK < p->H.in->n ? i + HF_BLOCK : p->H.in->n;
    hf_sums block = {0.0, 0.0};
    for (; i < end; i += PANEL)
        add_sums(p->wanted, &block, i + PANEL <= end ? panel_by_rows(p, i, PANEL) : panel_by_rows(p, i, end - i));
    return block;
}

/* ---- By columns -------------------------------------------------------------------------------------------------- */

HF_INLINE void add_pair(const pass *p, const bundle *columns, place where, size_t i, size_t rows, v4 *value, v4 *size)
{
    const bool sized = p->wanted == VALUE_AND_SIZE;
    const lanes sum = pair_by_columns(p, columns, where, i, rows, (lanes){*value, sized ? *size : v4_all(0.0)});
    *value = sum.value;
    if (sized) *size = sum.size;
}

/* Panels of rows start .. end-1, end - start <= STRIP: eight columns at a time are crossed from the diagonal down. */
HF_INLINE void strip_by_columns(const pass *p, size_t start, size_t end, hf_sums *block)
{
    v4 value[STRIP / PANEL], size[STRIP / PANEL]; /* apart: of `size` nothing is left where it is not wanted */
    const size_t full = end - (end - start) % PANEL;
    for (size_t q = 0; q * PANEL < end - start; q++) value[q] = size[q] = v4_all(0.0);
    for (size_t j = 0; j < full; j += PANEL) {
        size_t i = j < start ? start : j, q = (i - start) / PANEL;
        const crossing way = cross(p->H, j, full, j + PANEL < start ? start : j + PANEL);
        bundle h;
        find_lines(p->H, j, PANEL, &h);
        if (i == j) add_pair(p, &h, ON_DIAGONAL, i, PANEL, &value[q], &size[q]), i += PANEL, q++;
        for (; i < full; i += PANEL, q++) {
            fetch_ahead(p->fetch, p->H, &h, i, way);
            add_pair(p, &h, OFF_DIAGONAL, i, PANEL, &value[q], &size[q]);
        }
        if (i < end) add_pair(p, &h, OFF_DIAGONAL, i, end - i, &value[q], &size[q]);
    }
    for (size_t i = start, q = 0; i < end; i += PANEL, q++) {
        const lanes sum = {value[q], size[q]};
        bundle h;
        find_lines(p->H, i, i < full ? PANEL : end - i, &h);
        hf_sums *to = block + (i - start) / HF_BLOCK;
        if ((i - start) % HF_BLOCK == 0) *to = (hf_sums){0.0, 0.0};
        add_sums(p->wanted, to, i < full ? close_full(p, &h, sum) : close_short(p, &h, sum));
    }
}

/* ---- Blocks ------------------------------------------------------------------------------------------------------ */

HF_INLINE void blocks(hf_storage storage, wanted_sums wanted, const hf_triangle *H, const double *g, size_t first,
                      size_t last, hf_sums *block)
{
    const size_t end = last * HF_BLOCK < H->n ? last * HF_BLOCK : H->n;
    const held rows = {H, HF_BY_ROWS, storage}, columns = {H, HF_BY_COLUMNS, storage};
    const pass by_rows = {rows, g, wanted, fetch_mode_of(rows)};
    const pass by_columns = {columns, g, wanted, fetch_mode_of(columns)};
    if (H->order == HF_BY_COLUMNS)
        for (size_t i = first * HF_BLOCK; i < end; i += STRIP, block += STRIP / HF_BLOCK)
            strip_by_columns(&by_columns, i, i + STRIP < end ? i + STRIP : end, block);
    else
        for (size_t i = first * HF_BLOCK; i < end; i += HF_BLOCK) *block++ = block_by_rows(&by_rows, i);
}

static void blocks_of_double(const hf_triangle *H, const double *g, size_t first, size_t last, hf_sums *block)
{
    blocks(HF_DOUBLE, VALUE, H, g, first, last, block);
}

static void blocks_of_single(const hf_triangle *H, const double *g, size_t first, size_t last, hf_sums *block)
{
    blocks(HF_SINGLE, VALUE, H, g, first, last, block);
}

void HF_SIMD(hf_quadform)(const hf_triangle *H, const double *g, size_t first, size_t last, hf_sums *block)
{
    (H->storage == HF_SINGLE ? blocks_of_single : blocks_of_double)(H, g, first, last, block);
}

void HF_SIMD(hf_quadform_sized)(const hf_triangle *H, const double *g, size_t first, size_t last, hf_sums *block)
{
    if (H->storage == HF_SINGLE)
        blocks(HF_SINGLE, VALUE_AND_SIZE, H, g, first, last, block);
    else
        blocks(HF_DOUBLE, VALUE_AND_SIZE, H, g, first, last, block);
}

/* ---- Stacks ------------------------------------------------------------------------------------------------------ */

/* The value of one matrix of H->n <= HF_BLOCK rows. */
typedef double form_fn(const hf_triangle *H, const double *g);

HF_INLINE double form_below_panel(const hf_triangle *H, const double *g)
{
    const pass p = {{H, H->order, H->storage}, g, VALUE, FETCH_NOTHING};
    bundle h;
    find_lines(p.H, 0, H->n, &h);
    return close_short(&p, &h, no_lanes()).value;
}

HF_INLINE double form_by_rows(const hf_triangle *H, const double *g)
{
    const pass p = {{H, HF_BY_ROWS, H->storage}, g, VALUE, FETCH_NOTHING};
    return block_by_rows(&p, 0).value;
}

HF_INLINE double form_by_columns(const hf_triangle *H, const double *g)
{
    hf_sums block;
    (H->storage == HF_SINGLE ? blocks_of_single : blocks_of_double)(H, g, 0, 1, &block);
    return block.value;
}

/* One of them after the other, each H as `first` but for its data. */
HF_INLINE void each(form_fn *form, hf_triangle first, size_t count, ptrdiff_t stride, const double *G, double *out)
{
    hf_triangle H = first;
    for (size_t m = 0; m < count; m++, G += H.n) {
        out[m] = form(&H, G);
        H.data = (const char *)H.data + stride * (ptrdiff_t)hf_width(H.storage);
    }
}

/* H with its number of rows, or its storage, as a constant. */
HF_INLINE hf_triangle of_rows(size_t n, hf_triangle H) { return H.n = n, H; }
HF_INLINE hf_triangle stored_as(hf_storage storage, hf_triangle H) { return H.storage = storage, H; }

/* With a constant number of rows the smallest matrices become straight lines of code. */
HF_INLINE void each_below_panel(hf_triangle H, size_t count, ptrdiff_t stride, const double *G, double *out)
{
    switch (H.n) {
    case 1: each(form_below_panel, of_rows(1, H), count, stride, G, out); break;
    case 2: each(form_below_panel, of_rows(2, H), count, stride, G, out); break;
    case 3: each(form_below_panel, of_rows(3, H), count, stride, G, out); break;
    case 4: each(form_below_panel, of_rows(4, H), count, stride, G, out); break;
    default: each(form_below_panel, H, count, stride, G, out);
    }
}

HF_INLINE void each_of_block(hf_triangle H, size_t count, ptrdiff_t stride, const double *G, double *out)
{
    if (H.order == HF_BY_COLUMNS)
        each(form_by_columns, H, count, stride, G, out);
    else
        each(form_by_rows, H, count, stride, G, out);
}

/* Functions of their own, so that the smallest matrices do not pay for the others' room on the stack. */
static void each_of_double(const hf_triangle *H, size_t count, ptrdiff_t stride, const double *G, double *out)
{
    each_of_block(stored_as(HF_DOUBLE, *H), count, stride, G, out);
}

static void each_of_single(const hf_triangle *H, size_t count, ptrdiff_t stride, const double *G, double *out)
{
    each_of_block(stored_as(HF_SINGLE, *H), count, stride, G, out);
}

/* The triangles of small matrices leave cache lines out here and there, and the processor foresees only unbroken
 * streams: from memory a stack is therefore fetched whole, one number a cache line, before a batch of it is summed. */
static void fetch_stack(const void *data, size_t bytes)
{
    for (size_t b = 0; b < bytes; b += 64) (void)((const volatile char *)data)[b];
}

void HF_SIMD(hf_quadform_stack)(const hf_triangle *H, size_t count, ptrdiff_t stride, const double *G, double *out)
{
    const size_t n = H->n, width = hf_width(H->storage), size = n * n * width;
    const bool stream = n >= STREAM_ORDER && count * size >= STREAM_FROM && stride == (ptrdiff_t)(n * n);
    const size_t batch = stream && size < BATCH ? BATCH / size : count;
    hf_triangle from = *H;
    for (size_t m = 0; m < count; m += batch) {
        const size_t some = count - m < batch ? count - m : batch;
        if (stream) fetch_stack(from.data, some * size);
        if (n < PANEL && H->storage == HF_SINGLE)
            each_below_panel(stored_as(HF_SINGLE, from), some, stride, G + m * n, out + m);
        else if (n < PANEL)
            each_below_panel(stored_as(HF_DOUBLE, from), some, stride, G + m * n, out + m);
        else
            (H->storage == HF_SINGLE ? each_of_single : each_of_double)(&from, some, stride, G + m * n, out + m);
        from.data = (const char *)from.data + (ptrdiff_t)(some * width) * stride;
    }
}
