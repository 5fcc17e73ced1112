/* Tiles of a symmetric matrix of which memory holds one triangle.
 *
 * The lower triangle is cut into panels of eight rows, a panel into tiles of 8 rows by 4 columns, the last of them on
 * the diagonal. A tile's entries times its rows' g are summed over the rows by one tree,
 *
 *     column_j = ((0+4)+(1+5)) + ((2+6)+(3+7)),   (r) = g_{i+r} H_{i+r, j},
 *
 * in four lanes, one a column. Where memory holds the triangle by rows (H->upper = 0), row r is a vector over the four
 * columns. Where it holds it by columns, the eight entries of a column are contiguous, and shuffles reach the same
 * tree: the same bits.
 */
#ifndef HESSFAST_TRIANGLE_H
#define HESSFAST_TRIANGLE_H

#include "hessfast.h"
#include "vector.h"

enum {
    PANEL = 8, /* rows of a panel */
    AHEAD = 16,          /* columns between the tile at work and the one being fetched: 2 lines in each of 8 rows */
    FAR_AHEAD = 192,     /* the same where the triangle comes from memory, into the second-level cache */
    FAR_FROM = 1 << 24   /* bytes of such a triangle: most of a last-level cache */
};

/* `single`, `rows` and `sized` are constants where these functions are inlined. */

HF_INLINE size_t row_start(const hf_triangle *H, size_t i) /* displaced so that entry (i, j) of memory is at + j */
{
    if (!H->packed) return i * H->ld;
    return H->upper ? i * (2 * H->n - i - 1) / 2 : i * (i + 1) / 2;
}

HF_INLINE const void *row(int single, const hf_triangle *H, size_t i)
{
    return (const char *)H->data + row_start(H, i) * (single ? sizeof(float) : sizeof(double));
}

HF_INLINE double at(int single, const void *h, size_t j)
{
    return single ? ((const float *)h)[j] : ((const double *)h)[j];
}

HF_INLINE v4 load(int single, const void *h, size_t j)
{
    return single ? v4_load_single((const float *)h + j) : v4_load((const double *)h + j);
}

HF_INLINE const void *address(int single, const void *h, size_t j)
{
    return (const char *)h + j * (single ? sizeof(float) : sizeof(double));
}

/* Entries from .. from+3 of h, zero from `rows` on. */
HF_INLINE v4 load_some(int single, size_t rows, const void *h, size_t from)
{
    if (rows >= from + 4) return load(single, h, from);
    return v4_set(from < rows ? at(single, h, from) : 0.0, from + 1 < rows ? at(single, h, from + 1) : 0.0,
                  from + 2 < rows ? at(single, h, from + 2) : 0.0, 0.0);
}

/* The rows of memory i .. i+rows-1; the last stands in for those beyond, and is not read in their place. */
HF_INLINE void find_rows(int single, size_t rows, const hf_triangle *H, size_t i, const void *h[PANEL])
{
    const void *first = row(single, H, i);
    for (size_t r = 0; r < PANEL; r++) {
        const size_t down = r < rows ? r : rows - 1;
        h[r] = H->packed ? row(single, H, i + down) : address(single, first, down * H->ld);
    }
}

/* What to ask for before it is read: the lines next in turn, and where memory is far, those to come as well. */
typedef enum { FETCH_NOTHING, FETCH_NEAR, FETCH_FAR } fetch_mode;

HF_INLINE fetch_mode fetch_mode_of(int single, const hf_triangle *H)
{
    return H->n * H->n / 2 * (single ? sizeof(float) : sizeof(double)) < FAR_FROM ? FETCH_NEAR : FETCH_FAR;
}

/* Ask for what eight rows of memory hold AHEAD of j. They are crossed up to `end`, the next eight from `start`, which is
 * not where the streams were going: their first entries are asked for while these end. `next` is how far down they are.
 *
 * The processor's own prefetchers stop at every 4 KiB: where memory is far, 24 lines ahead of us saves a tenth of the
 * time at n = 4096; in cache the same would cost a tenth. */
HF_INLINE void fetch_ahead(int single, const hf_triangle *H, const void *const h[PANEL], size_t j, size_t end,
                           size_t start, size_t next, fetch_mode fetch)
{
    if (fetch == FETCH_NOTHING) return;
    const size_t drift = !H->packed ? 0 : H->upper ? (size_t)0 - PANEL : PANEL; /* rows change their length */
    const size_t ahead = j + AHEAD < end ? j + AHEAD : next + start + (j + AHEAD - end);
    for (size_t r = 0; r < PANEL; r++) HF_PREFETCH(address(single, h[r], ahead + r * drift));
    if (fetch == FETCH_NEAR) return;
    const size_t further = j + FAR_AHEAD < end ? j + FAR_AHEAD : next + start + (j + FAR_AHEAD - end);
    for (size_t r = 0; r < PANEL; r++) HF_PREFETCH_FAR(address(single, h[r], further + r * drift));
}

HF_INLINE size_t to_next_panel(const hf_triangle *H, size_t i) { return row_start(H, i + PANEL) - row_start(H, i); }

/* The sum over the rows of a tile held by rows: p[r] is row r. */
HF_INLINE v4 sum_rows(const v4 p[PANEL])
{
    return v4_add(v4_add(v4_add(p[0], p[4]), v4_add(p[1], p[5])), v4_add(v4_add(p[2], p[6]), v4_add(p[3], p[7])));
}

/* The same of a tile held by columns: top[c] is rows 0-3 of column c, bottom[c] rows 4-7. */
HF_INLINE v4 sum_columns(const v4 top[4], const v4 bottom[4])
{
    v4 half[4];
    for (size_t c = 0; c < 4; c++) half[c] = v4_add(top[c], bottom[c]);
    return v4_add_halves(v4_add_neighbours(half[0], half[1]), v4_add_neighbours(half[2], half[3]));
}

typedef struct { v4 value, size; } lanes;

HF_INLINE void add_sums(int sized, hf_sums *to, hf_sums more)
{
    to->value += more.value;
    if (sized) to->size += more.size;
}

HF_INLINE void add_column(int sized, lanes *to, v4 column, v4 size, v4 g)
{
    to->value = v4_add(to->value, v4_mul(column, g));
    if (sized) to->size = v4_add(to->size, v4_mul(size, v4_abs(g)));
}

/* ---- The triangle on the diagonal -------------------------------------------------------------------------------- */

/* Close a panel of eight rows, its lanes full: Σ H_ii g_i² by the tree of a tile's rows. */
HF_INLINE hf_sums close_full(int single, int sized, const void *const h[PANEL], const double *g, size_t i, lanes sofar)
{
    double on[PANEL];
    for (size_t r = 0; r < PANEL; r++) on[r] = at(single, address(single, h[r], i), r);
    const v4 g_top = v4_load(g + i), g_bottom = v4_load(g + i + 4);
    const v4 top = v4_mul(v4_mul(v4_set(on[0], on[1], on[2], on[3]), g_top), g_top);
    const v4 bottom = v4_mul(v4_mul(v4_set(on[4], on[5], on[6], on[7]), g_bottom), g_bottom);
    hf_sums sum = {v4_sum(v4_add(top, bottom)) + 2.0 * v4_sum(sofar.value), 0.0};
    if (sized) sum.size = v4_sum(v4_add(v4_abs(top), v4_abs(bottom))) + 2.0 * v4_sum(sofar.size);
    return sum;
}

/* Close a panel of fewer rows, its lanes holding what is left of the diagonal triangle: that is summed row by row. */
HF_INLINE hf_sums close_short(int single, int sized, int upper, size_t rows, const void *const h[PANEL],
                              const double *g, size_t i, lanes sofar)
{
    hf_sums below = {0.0, 0.0}, diagonal = {0.0, 0.0};
    for (size_t r = 0; r < rows; r++) {
        hf_sums row_sum = {0.0, 0.0};
        for (size_t c = 0; c < r; c++) {
            const double term = (upper ? at(single, h[c], i + r) : at(single, h[r], i + c)) * g[i + c];
            add_sums(sized, &row_sum, (hf_sums){term, fabs(term)});
        }
        const double on = at(single, h[r], i + r) * g[i + r] * g[i + r];
        add_sums(sized, &below, (hf_sums){row_sum.value * g[i + r], row_sum.size * fabs(g[i + r])});
        add_sums(sized, &diagonal, (hf_sums){on, fabs(on)});
    }
    below.value = 2.0 * (v4_sum(sofar.value) + below.value) + diagonal.value;
    if (sized) below.size = 2.0 * (v4_sum(sofar.size) + below.size) + diagonal.size;
    return below;
}

/* ---- Memory holds the triangle by rows: entries 0 .. i of row i ------------------------------------------------- */

HF_INLINE void add_tile_by_rows(int single, int sized, size_t rows, const void *const h[PANEL], const v4 gi[PANEL],
                                const double *g, size_t j, lanes *to)
{
    v4 p[PANEL], s[PANEL];
    for (size_t r = 0; r < PANEL; r++) p[r] = r < rows ? v4_mul(gi[r], load(single, h[r], j)) : v4_all(0.0);
    for (size_t r = 0; r < PANEL; r++) s[r] = v4_abs(p[r]);
    add_column(sized, to, sum_rows(p), sum_rows(s), v4_load(g + j));
}

/* The two tiles on the diagonal of a full panel: columns j .. j+3 of which the first is the panel's column `from`. */
HF_INLINE void add_corner_by_rows(int single, int sized, const void *const h[PANEL], const v4 gi[PANEL],
                                  const double *g, size_t j, int from, lanes *to)
{
    v4 p[PANEL], s[PANEL], gj = v4_load(g + j);
    for (int r = 0; r < PANEL; r++)
        p[r] = r > from ? v4_below(v4_mul(gi[r], load(single, h[r], j)), r - from) : v4_all(0.0);
    for (size_t r = 0; r < PANEL; r++) s[r] = v4_abs(p[r]);
    add_column(sized, to, sum_rows(p), sum_rows(s), v4_below(gj, PANEL - 1 - from)); /* the last column is empty */
}

/* ---- Memory holds the triangle by columns: entries j .. n-1 of row j are column j ------------------------------- */

/* The tile of rows i .. i+rows-1 and columns j .. j+3, whose columns start at h; below the diagonal alone where the
 * panel's own column `from` is the first of them. */
HF_INLINE void add_tile_by_columns(int single, int sized, size_t rows, const void *const h[4], const double *g,
                                   size_t i, size_t j, int corner, int from, lanes *to)
{
    const v4 g_top = load_some(0, rows, g + i, 0), g_bottom = load_some(0, rows, g + i, 4);
    v4 top[4], bottom[4], gj = v4_load(g + j);
    for (int c = 0; c < 4; c++) {
        const void *column = address(single, h[c], i);
        top[c] = v4_mul(g_top, load_some(single, rows, column, 0));
        bottom[c] = v4_mul(g_bottom, load_some(single, rows, column, 4));
        if (corner) top[c] = v4_above(top[c], from + c), bottom[c] = v4_above(bottom[c], from + c - 4);
    }
    v4 column = sum_columns(top, bottom);
    for (size_t c = 0; c < 4; c++) top[c] = v4_abs(top[c]), bottom[c] = v4_abs(bottom[c]);
    add_column(sized, to, column, sum_columns(top, bottom), corner ? v4_below(gj, PANEL - 1 - from) : gj);
}

HF_INLINE void add_pair_by_columns(int single, int sized, size_t rows, const void *const h[PANEL], const double *g,
                                   size_t i, size_t j, int corner, v4 *value, v4 *size)
{
    lanes sum = {*value, sized ? *size : v4_all(0.0)};
    add_tile_by_columns(single, sized, rows, h, g, i, j, corner, 0, &sum);
    add_tile_by_columns(single, sized, rows, h + 4, g, i, j + 4, corner, 4, &sum);
    *value = sum.value;
    if (sized) *size = sum.size;
}

#endif
