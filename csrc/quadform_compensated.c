/* gᵀHg as if summed in twice the working precision: dot2 of Ogita, Rump and Oishi (2005), over the tiles of tiles.h.
 *
 * Every number on the way is twofold, an unevaluated high + low: products by TwoProduct, sums by TwoSum, what they
 * leave is added in double. The result is good to about
 *
 *     eps/2 |gᵀHg| + n eps² |g|ᵀ|H||g|:   one ulp for condition numbers up to about 1e15.
 *
 * TwoProduct is a fused multiply-add where the level has one, else Dekker's with Veltkamp's splitting: both give the
 * error exactly, hence the same bits, as long as no product falls below 2^-969 or factor exceeds 2^995.
 *
 * About ten operations an entry instead of two: hidden behind memory from n ~ 2000 on at x86-64-v3.
 *
 * This file is compiled once for each SIMD level.
 */
#include "fetch.h"
#include "simd.h"
#include "triangle.h"

enum { STRIP = 1024 }; /* rows crossed together by columns; their lanes stand on the stack */

typedef struct { v4 high, low; } twofold;

#if defined(__FMA__) && !defined(HF_PLAIN)

HF_INLINE v4 product_error(v4 a, v4 b, v4 product) { return (v4)_mm256_fmsub_pd((__m256d)a, (__m256d)b, (__m256d)product); }

/* a + b on the multipliers, which idle while the adders are the bottleneck. */
HF_INLINE v4 plus(v4 a, v4 b) { return (v4)_mm256_fmadd_pd((__m256d)a, _mm256_set1_pd(1.0), (__m256d)b); }
HF_INLINE v4 minus(v4 a, v4 b) { return (v4)_mm256_fnmadd_pd((__m256d)b, _mm256_set1_pd(1.0), (__m256d)a); }

#else

HF_INLINE v4 plus(v4 a, v4 b) { return v4_add(a, b); }
HF_INLINE v4 minus(v4 a, v4 b) { return v4_sub(a, b); }

#if defined(__aarch64__)

HF_INLINE v4 product_error(v4 a, v4 b, v4 product)
{
    double e[4];
    for (size_t l = 0; l < 4; l++) e[l] = fma(v4_lane(a, l), v4_lane(b, l), -v4_lane(product, l));
    return v4_load(e);
}

#else

HF_INLINE v4 head(v4 a) /* the upper 26 bits of each lane */
{
    const v4 c = v4_mul(a, v4_all(134217729.0)); /* 2^27 + 1 */
    return v4_sub(c, v4_sub(c, a));
}

HF_INLINE v4 product_error(v4 a, v4 b, v4 product)
{
    const v4 a1 = head(a), a2 = v4_sub(a, a1), b1 = head(b), b2 = v4_sub(b, b1);
    const v4 left = v4_sub(v4_sub(v4_sub(product, v4_mul(a1, b1)), v4_mul(a2, b1)), v4_mul(a1, b2));
    return v4_sub(v4_mul(a2, b2), left);
}

#endif
#endif

HF_INLINE twofold zero(void) { return (twofold){v4_all(0.0), v4_all(0.0)}; }

HF_INLINE twofold multiply(v4 a, v4 b) /* TwoProduct */
{
    const v4 product = v4_mul(a, b);
    return (twofold){product, product_error(a, b, product)};
}

HF_INLINE twofold add(twofold a, twofold b) /* as hf_add_twofold */
{
    const v4 sum = v4_add(a.high, b.high), of_b = v4_sub(sum, a.high);
    const v4 left = v4_add(v4_sub(a.high, v4_sub(sum, of_b)), minus(b.high, of_b));
    return (twofold){sum, plus(plus(a.low, b.low), left)};
}

HF_INLINE twofold scale(twofold a, v4 g)
{
    twofold product = multiply(a.high, g);
    product.low = v4_add(product.low, v4_mul(a.low, g));
    return product;
}

HF_INLINE twofold add_neighbours(twofold a, twofold b)
{
    return add((twofold){v4_evens(a.high, b.high), v4_evens(a.low, b.low)},
               (twofold){v4_odds(a.high, b.high), v4_odds(a.low, b.low)});
}

HF_INLINE twofold add_halves(twofold a, twofold b)
{
    return add((twofold){v4_low_halves(a.high, b.high), v4_low_halves(a.low, b.low)},
               (twofold){v4_high_halves(a.high, b.high), v4_high_halves(a.low, b.low)});
}

/* ---- Tiles, as in tiles.h ---------------------------------------------------------------------------------------- */

/* Rows r and r + 4 of a tile. */
HF_INLINE twofold two_rows(hf_storage storage, const bundle *h, const v4 gi[PANEL], size_t j, size_t r)
{
    const twofold upper = r < h->count ? multiply(gi[r], load(storage, h->line[r], j)) : zero();
    const twofold lower = r + 4 < h->count ? multiply(gi[r + 4], load(storage, h->line[r + 4], j)) : zero();
    return add(upper, lower);
}

/* The tree branch by branch: of its numbers few live at once, for the sake of sixteen registers. */
HF_INLINE twofold tile_by_rows(hf_storage storage, const bundle *h, const v4 gi[PANEL], const double *g, size_t j,
                               twofold sofar)
{
    twofold top = two_rows(storage, h, gi, j, 0);
    top = add(top, two_rows(storage, h, gi, j, 1));
    twofold bottom = two_rows(storage, h, gi, j, 2);
    bottom = add(bottom, two_rows(storage, h, gi, j, 3));
    return add(sofar, scale(add(top, bottom), v4_load(g + j)));
}

/* The tile of rows i .. i+rows-1 and of four of eight columns, the first of which is number `from` of them, 0 or 4. */
HF_INLINE twofold tile_by_columns(hf_storage storage, const bundle *columns, size_t from, const double *g, size_t i,
                                  size_t rows, twofold sofar)
{
    const v4 g_top = load_some(HF_DOUBLE, rows, g + i, 0), g_bottom = load_some(HF_DOUBLE, rows, g + i, 4);
    twofold half[4];
    for (size_t c = 0; c < 4; c++) {
        const void *column = address(storage, columns->line[from + c], i);
        half[c] = add(multiply(g_top, load_some(storage, rows, column, 0)),
                      multiply(g_bottom, load_some(storage, rows, column, 4)));
    }
    const twofold column = add_halves(add_neighbours(half[0], half[1]), add_neighbours(half[2], half[3]));
    return add(sofar, scale(column, v4_load(g + columns->first + from)));
}

HF_INLINE twofold pair_by_columns(hf_storage storage, const bundle *columns, const double *g, size_t i, size_t rows,
                                  twofold sofar)
{
    sofar = tile_by_columns(storage, columns, 0, g, i, rows, sofar);
    return tile_by_columns(storage, columns, 4, g, i, rows, sofar);
}

/* ---- Panels ------------------------------------------------------------------------------------------------------ */

/* Twice the lanes with the strict triangle on the diagonal, plus the diagonal: both from a copy padded with zeros. */
static hf_twofold close_panel(hf_order order, hf_storage storage, const bundle *h, const double *g, twofold sum)
{
    const held H = {NULL, order, storage};
    double triangle[PANEL][PANEL] = {{0.0}}, diagonal[PANEL] = {0.0}, gi[PANEL] = {0.0};
    bundle copied = {.first = 0, .count = PANEL};
    v4 each[PANEL];
    for (size_t r = 0; r < h->count; r++) {
        gi[r] = g[h->first + r];
        diagonal[r] = near_diagonal(H, h, r, r);
        for (size_t c = 0; c < r; c++) triangle[r][c] = near_diagonal(H, h, r, c);
    }
    for (size_t r = 0; r < PANEL; r++) copied.line[r] = triangle[r], each[r] = v4_all(gi[r]);
    for (size_t j = 0; j < PANEL; j += 4) sum = tile_by_rows(HF_DOUBLE, &copied, each, gi, j, sum);
    sum = (twofold){v4_add(sum.high, sum.high), v4_add(sum.low, sum.low)};
    const v4 top = v4_load(gi), bottom = v4_load(gi + 4);
    sum = add(sum, add(scale(multiply(v4_load(diagonal), top), top),
                       scale(multiply(v4_load(diagonal + 4), bottom), bottom)));
    const twofold pairs = add_neighbours(sum, sum), all = add_halves(pairs, pairs);
    return (hf_twofold){v4_lane(all.high, 0), v4_lane(all.low, 0)};
}

HF_INLINE hf_twofold panel_by_rows(held H, const double *g, size_t i, size_t rows)
{
    bundle h;
    find_lines(H, i, rows, &h);
    const crossing way = cross(H, i, i, 0);
    const fetch_mode fetch = fetch_mode_of(H);
    v4 gi[PANEL];
    twofold sum = zero();
    for (size_t r = 0; r < PANEL; r++) gi[r] = v4_all(r < rows ? g[i + r] : 0.0);
    for (size_t j = 0; j < i; j += 8) {
        fetch_ahead(fetch, H, &h, j, way);
        sum = tile_by_rows(H.storage, &h, gi, g, j, sum);
        sum = tile_by_rows(H.storage, &h, gi, g, j + 4, sum);
    }
    return close_panel(H.order, H.storage, &h, g, sum);
}

HF_INLINE hf_twofold block_by_rows(held H, const double *g, size_t i)
{
    const size_t end = i + HF_BLOCK < H.in->n ? i + HF_BLOCK : H.in->n;
    hf_twofold block = {0.0, 0.0};
    for (; i + PANEL <= end; i += PANEL) block = hf_add_twofold(block, panel_by_rows(H, g, i, PANEL));
    if (i < end) block = hf_add_twofold(block, panel_by_rows(H, g, i, end - i));
    return block;
}

HF_INLINE void strip_by_columns(held H, const double *g, size_t start, size_t end, hf_twofold *block)
{
    twofold panel[STRIP / PANEL];
    const size_t full = end - (end - start) % PANEL;
    for (size_t q = 0; q * PANEL < end - start; q++) panel[q] = zero();
    for (size_t j = 0; j + PANEL < end; j += PANEL) {
        bundle h;
        find_lines(H, j, PANEL, &h);
        size_t i = j + PANEL > start ? j + PANEL : start;
        twofold *to = panel + (i - start) / PANEL;
        for (; i < full; i += PANEL, to++) *to = pair_by_columns(H.storage, &h, g, i, PANEL, *to);
        if (i < end) *to = pair_by_columns(H.storage, &h, g, i, end - i, *to);
    }
    for (size_t i = start; i < end; i += PANEL) {
        bundle h;
        find_lines(H, i, i < full ? PANEL : end - i, &h);
        hf_twofold *to = block + (i - start) / HF_BLOCK;
        if ((i - start) % HF_BLOCK == 0) *to = (hf_twofold){0.0, 0.0};
        *to = hf_add_twofold(*to, close_panel(H.order, H.storage, &h, g, panel[(i - start) / PANEL]));
    }
}

HF_INLINE void blocks(hf_storage storage, const hf_triangle *H, const double *g, size_t first, size_t last,
                      hf_twofold *block)
{
    const size_t end = last * HF_BLOCK < H->n ? last * HF_BLOCK : H->n;
    const held by_rows = {H, HF_BY_ROWS, storage}, by_columns = {H, HF_BY_COLUMNS, storage};
    if (H->order == HF_BY_COLUMNS)
        for (size_t i = first * HF_BLOCK; i < end; i += STRIP, block += STRIP / HF_BLOCK)
            strip_by_columns(by_columns, g, i, i + STRIP < end ? i + STRIP : end, block);
    else
        for (size_t i = first * HF_BLOCK; i < end; i += HF_BLOCK) *block++ = block_by_rows(by_rows, g, i);
}

void HF_SIMD(hf_quadform_compensated)(const hf_triangle *H, const double *g, size_t first, size_t last,
                                      hf_twofold *block)
{
    if (H->storage == HF_SINGLE)
        blocks(HF_SINGLE, H, g, first, last, block);
    else
        blocks(HF_DOUBLE, H, g, first, last, block);
}
