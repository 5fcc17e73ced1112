/* The quadratic form gᵀHg of a symmetric H from one of its triangles.
 *
 *     gᵀHg = Σ_I ( 2 Σ_{i∈I, j<i} g_i H_ij g_j + Σ_{i∈I} H_ii g_i² ),   I = panels of eight rows.
 *
 * Reading one triangle halves the memory traffic, which is the cost from n ~ 256 on: n²/2 entries, one multiplication
 * and one addition each. Rounding error: |error| <= (n/4 + 48) eps |g|ᵀ|H||g| in the worst case, in practice about
 * the square root of that factor.
 *
 * The order of the sum. A panel is crossed in tiles of 8 rows by 4 columns. A tile gives four column sums Σ_i g_i H_ij
 * by the tree ((0+4)+(1+5)) + ((2+6)+(3+7)) of its rows; times g_j they are added to the panel's four lanes, left to
 * right. The triangle on the diagonal is summed row by row. Panels are added within blocks of HF_BLOCK rows, blocks by
 * hf_sum_blocks. No product is contracted into a fused multiply-add. So the bits depend on H and g only: not on the
 * width of the registers, nor on which thread did which block, nor on whether memory holds the triangle by rows or by
 * columns: in the second case the eight entries of a tile's column are contiguous, and shuffles reach the same tree.
 *
 * This file is compiled once for each SIMD level.
 */
#include "hessfast.h"
#include "simd.h"
#include "vector.h"

enum {
    PANEL = 8,    /* rows of a panel */
    STRIP = 2048, /* columns crossed together by columns: wide enough to stream, its lanes small enough for the stack */
};

HF_INLINE const double *row(const hf_triangle *H, size_t i) { return (const double *)H->data + i * H->ld; }

/* H_ij of the triangle that is read, i >= j. */
HF_INLINE double entry(const hf_triangle *H, size_t i, size_t j) { return H->upper ? row(H, j)[i] : row(H, i)[j]; }

HF_INLINE v4 tree(v4 p0, v4 p1, v4 p2, v4 p3, v4 p4, v4 p5, v4 p6, v4 p7)
{
    return v4_add(v4_add(v4_add(p0, p4), v4_add(p1, p5)), v4_add(v4_add(p2, p6), v4_add(p3, p7)));
}

/* The value of the panel of `rows` rows from row i: its lanes, and its triangle on the diagonal. */
HF_INLINE double close_panel(size_t rows, const hf_triangle *H, const double *g, size_t i, v4 lanes)
{
    double below = 0.0, diagonal = 0.0;
    for (size_t a = 0; a < rows; a++) {
        double sum = 0.0;
        for (size_t b = 0; b < a; b++) sum += entry(H, i + a, i + b) * g[i + b];
        below += sum * g[i + a];
        diagonal += entry(H, i + a, i + a) * g[i + a] * g[i + a];
    }
    return 2.0 * (v4_sum(lanes) + below) + diagonal;
}

/* ---- Memory holds the triangle by rows: entries 0 .. i of row i ------------------------------------------------- */

HF_INLINE v4 product(size_t r, size_t rows, v4 gi, const double *h) /* a row beyond the panel's last adds zero */
{
    return r < rows ? v4_mul(gi, v4_load(h)) : v4_all(0.0);
}

HF_INLINE double panel_by_rows(size_t rows, const hf_triangle *H, const double *g, size_t i)
{
    const size_t last = i + rows - 1;
#define ROW(r) (i + r < last ? i + r : last)
    const double *h0 = row(H, i), *h1 = row(H, ROW(1)), *h2 = row(H, ROW(2)), *h3 = row(H, ROW(3));
    const double *h4 = row(H, ROW(4)), *h5 = row(H, ROW(5)), *h6 = row(H, ROW(6)), *h7 = row(H, ROW(7));
    const v4 g0 = v4_all(g[i]), g1 = v4_all(g[ROW(1)]), g2 = v4_all(g[ROW(2)]), g3 = v4_all(g[ROW(3)]);
    const v4 g4 = v4_all(g[ROW(4)]), g5 = v4_all(g[ROW(5)]), g6 = v4_all(g[ROW(6)]), g7 = v4_all(g[ROW(7)]);
#undef ROW
    v4 lanes = v4_all(0.0);
    for (size_t j = 0; j < i; j += 4) {
        v4 column = tree(product(0, rows, g0, h0 + j), product(1, rows, g1, h1 + j), product(2, rows, g2, h2 + j),
                         product(3, rows, g3, h3 + j), product(4, rows, g4, h4 + j), product(5, rows, g5, h5 + j),
                         product(6, rows, g6, h6 + j), product(7, rows, g7, h7 + j));
        lanes = v4_add(lanes, v4_mul(column, v4_load(g + j)));
    }
    return close_panel(rows, H, g, i, lanes);
}

static void blocks_by_rows(const hf_triangle *H, const double *g, size_t first, size_t last, double *block)
{
    for (size_t b = first; b < last; b++) {
        size_t i = b * HF_BLOCK, end = i + HF_BLOCK < H->n ? i + HF_BLOCK : H->n;
        double sum = 0.0;
        for (; i + PANEL <= end; i += PANEL) sum += panel_by_rows(PANEL, H, g, i);
        if (i < end) sum += panel_by_rows(end - i, H, g, i);
        block[b - first] = sum;
    }
}

/* ---- Memory holds the triangle by columns: entries j .. n-1 of row j are column j ------------------------------- */

HF_INLINE v4 load_part(size_t rows, size_t from, const double *h) /* entries from .. from+3, zero beyond the panel */
{
    return v4_set(from < rows ? h[from] : 0.0, from + 1 < rows ? h[from + 1] : 0.0,
                  from + 2 < rows ? h[from + 2] : 0.0, from + 3 < rows ? h[from + 3] : 0.0);
}

HF_INLINE v4 load_half(size_t rows, size_t from, const double *h)
{
    return rows == PANEL ? v4_load(h + from) : load_part(rows, from, h);
}

/* Add the tile of columns j .. j+3 and rows i .. i+rows-1 to the panel's lanes. */
HF_INLINE v4 add_tile(size_t rows, const double *const h[4], const double *g, size_t i, size_t j, v4 lanes)
{
    const v4 top = load_half(rows, 0, g + i), bottom = load_half(rows, 4, g + i);
    v4 p[4];
    for (size_t c = 0; c < 4; c++)
        p[c] = v4_add(v4_mul(top, load_half(rows, 0, h[c] + i)), v4_mul(bottom, load_half(rows, 4, h[c] + i)));
    v4 column = v4_add_halves(v4_add_neighbours(p[0], p[1]), v4_add_neighbours(p[2], p[3]));
    return v4_add(lanes, v4_mul(column, v4_load(g + j)));
}

/* Panels of rows start .. end-1, end - start <= STRIP. */
static void strip_by_columns(const hf_triangle *H, const double *g, size_t start, size_t end, double *block)
{
    v4 lanes[STRIP / PANEL];
    const size_t full = end - (end - start) % PANEL;
    for (size_t p = 0; p * PANEL < end - start; p++) lanes[p] = v4_all(0.0);
    for (size_t j = 0; j + PANEL < end; j += PANEL) {
        const double *left[4] = {row(H, j), row(H, j + 1), row(H, j + 2), row(H, j + 3)};
        const double *right[4] = {row(H, j + 4), row(H, j + 5), row(H, j + 6), row(H, j + 7)};
        size_t i = j + PANEL > start ? j + PANEL : start;
        v4 *panel = lanes + (i - start) / PANEL;
        for (; i < full; i += PANEL, panel++)
            *panel = add_tile(PANEL, right, g, i, j + 4, add_tile(PANEL, left, g, i, j, *panel));
        if (i < end) *panel = add_tile(end - i, right, g, i, j + 4, add_tile(end - i, left, g, i, j, *panel));
    }
    for (size_t from = start; from < end; from += HF_BLOCK) {
        size_t i = from, to = from + HF_BLOCK < end ? from + HF_BLOCK : end;
        double sum = 0.0;
        for (; i + PANEL <= to; i += PANEL) sum += close_panel(PANEL, H, g, i, lanes[(i - start) / PANEL]);
        if (i < to) sum += close_panel(to - i, H, g, i, lanes[(i - start) / PANEL]);
        *block++ = sum;
    }
}

static void blocks_by_columns(const hf_triangle *H, const double *g, size_t first, size_t last, double *block)
{
    const size_t stop = last * HF_BLOCK < H->n ? last * HF_BLOCK : H->n;
    for (size_t start = first * HF_BLOCK; start < stop; start += STRIP, block += STRIP / HF_BLOCK)
        strip_by_columns(H, g, start, start + STRIP < stop ? start + STRIP : stop, block);
}

void HF_SIMD(hf_quadform)(const hf_triangle *H, const double *g, size_t first, size_t last, double *block)
{
    if (H->upper)
        blocks_by_columns(H, g, first, last, block);
    else
        blocks_by_rows(H, g, first, last, block);
}
