/* Sums over tiles of a triangle.
 *
 * The lower triangle is cut into panels of eight rows, a panel into tiles of 8 rows by 4 columns, the last of them on
 * the diagonal. A tile's entries times its rows' g are summed over the rows by one tree,
 *
 *     column_j = ((0+4)+(1+5)) + ((2+6)+(3+7)),   (r) = g_{i+r} H_{i+r, j},
 *
 * in four lanes, one a column. By rows, line r of the panel is a vector over the four columns. By columns, the eight
 * entries of a column are contiguous, and shuffles reach the same tree: the same bits.
 */
#ifndef HESSFAST_TILES_H
#define HESSFAST_TILES_H

#include "compiler.h"
#include "fetch.h"
#include "triangle.h"
#include "vector.h"

typedef enum { VALUE, VALUE_AND_SIZE } wanted_sums;

/* What one pass over H needs; `wanted` is a constant too where the functions below are inlined. */
typedef struct {
    held H;
    const double *g;
    wanted_sums wanted;
    fetch_mode fetch;
} pass;

HF_INLINE void add_sums(wanted_sums wanted, hf_sums *to, hf_sums more)
{
    to->value += more.value;
    if (wanted == VALUE_AND_SIZE) to->size += more.size;
}

/* The running sums of a panel: lane l is that of columns l, l + 4, l + 8 ... */
typedef struct { v4 value, size; } lanes;

HF_INLINE lanes no_lanes(void) { return (lanes){v4_all(0.0), v4_all(0.0)}; }

/* With the column sums of a tile, and those of its sizes, times their g. */
HF_INLINE lanes add_columns(wanted_sums wanted, lanes sofar, v4 value, v4 size, v4 g)
{
    sofar.value = v4_add(sofar.value, v4_mul(value, g));
    if (wanted == VALUE_AND_SIZE) sofar.size = v4_add(sofar.size, v4_mul(size, v4_abs(g)));
    return sofar;
}

/* ---- By rows ----------------------------------------------------------------------------------------------------- */

/* The g of a panel's rows, each in all lanes; zero for rows that it lacks. */
typedef struct { v4 row[PANEL]; } panel_g;

HF_INLINE panel_g spread(const double *g, const bundle *rows)
{
    panel_g each;
    for (size_t r = 0; r < PANEL; r++) each.row[r] = v4_all(r < rows->count ? g[rows->first + r] : 0.0);
    return each;
}

/* The sum over the rows of a tile held by rows: p[r] is row r. */
HF_INLINE v4 sum_rows(const v4 p[PANEL])
{
    return v4_add(v4_add(v4_add(p[0], p[4]), v4_add(p[1], p[5])), v4_add(v4_add(p[2], p[6]), v4_add(p[3], p[7])));
}

HF_INLINE lanes add_rows(const pass *p, const v4 term[PANEL], v4 g, lanes sofar)
{
    v4 size[PANEL];
    for (size_t r = 0; r < PANEL; r++) size[r] = v4_abs(term[r]);
    return add_columns(p->wanted, sofar, sum_rows(term), sum_rows(size), g);
}

/* The tile of columns j .. j+3. */
HF_INLINE lanes tile_by_rows(const pass *p, const bundle *rows, const panel_g *gi, size_t j, lanes sofar)
{
    v4 term[PANEL];
    for (size_t r = 0; r < PANEL; r++)
        term[r] = r < rows->count ? v4_mul(gi->row[r], load(p->H.storage, rows->line[r], j)) : v4_all(0.0);
    return add_rows(p, term, v4_load(p->g + j), sofar);
}

/* One of the two tiles on the diagonal of a full panel, below the diagonal: the one that begins at the panel's own
 * column `from`, 0 or 4. */
HF_INLINE lanes corner_by_rows(const pass *p, const bundle *rows, const panel_g *gi, int from, lanes sofar)
{
    const size_t j = rows->first + (size_t)from;
    v4 term[PANEL];
    for (int r = 0; r < PANEL; r++)
        term[r] = r > from ? v4_below(v4_mul(gi->row[r], load(p->H.storage, rows->line[r], j)), r - from) : v4_all(0.0);
    return add_rows(p, term, v4_below(v4_load(p->g + j), PANEL - 1 - from), sofar); /* the last column is empty */
}

/* ---- By columns -------------------------------------------------------------------------------------------------- */

typedef enum { OFF_DIAGONAL, ON_DIAGONAL } place;

/* The same sum of a tile held by columns: top[c] is rows 0-3 of column c, bottom[c] rows 4-7. */
HF_INLINE v4 sum_columns(const v4 top[4], const v4 bottom[4])
{
    v4 half[4];
    for (size_t c = 0; c < 4; c++) half[c] = v4_add(top[c], bottom[c]);
    return v4_add_halves(v4_add_neighbours(half[0], half[1]), v4_add_neighbours(half[2], half[3]));
}

/* The tile of rows i .. i+rows-1 and of four of eight columns, the first of which is number `from` of them, 0 or 4. On
 * the diagonal, where i is the first of the columns, that part of it which is below. */
HF_INLINE lanes tile_by_columns(const pass *p, const bundle *columns, int from, place where, size_t i, size_t rows,
                                lanes sofar)
{
    const v4 g_top = load_some(HF_DOUBLE, rows, p->g + i, 0), g_bottom = load_some(HF_DOUBLE, rows, p->g + i, 4);
    v4 top[4], bottom[4], gj = v4_load(p->g + columns->first + from);
    for (int c = 0; c < 4; c++) {
        const void *column = address(p->H.storage, columns->line[from + c], i);
        top[c] = v4_mul(g_top, load_some(p->H.storage, rows, column, 0));
        bottom[c] = v4_mul(g_bottom, load_some(p->H.storage, rows, column, 4));
        if (where == ON_DIAGONAL)
            top[c] = v4_above(top[c], from + c), bottom[c] = v4_above(bottom[c], from + c - 4);
    }
    if (where == ON_DIAGONAL) gj = v4_below(gj, PANEL - 1 - from);
    const v4 value = sum_columns(top, bottom);
    for (size_t c = 0; c < 4; c++) top[c] = v4_abs(top[c]), bottom[c] = v4_abs(bottom[c]);
    return add_columns(p->wanted, sofar, value, sum_columns(top, bottom), gj);
}

/* Both tiles of the eight columns. */
HF_INLINE lanes pair_by_columns(const pass *p, const bundle *columns, place where, size_t i, size_t rows, lanes sofar)
{
    sofar = tile_by_columns(p, columns, 0, where, i, rows, sofar);
    return tile_by_columns(p, columns, 4, where, i, rows, sofar);
}

#endif
