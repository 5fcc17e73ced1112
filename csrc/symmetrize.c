/* G becomes (G + Gᵀ)/2 in place, tile by tile: a tile below the diagonal is averaged with its mirror, four by four
 * entries transposed in registers.
 *
 * Where rows are a multiple of 1 KiB apart, those of a tile compete for a few sets of the cache. Both tiles are then
 * copied out, whole lines at a time, averaged there and copied back.
 *
 * Every entry is read and written once: 16 bytes.
 *
 * This file is compiled once for each SIMD level.
 */
#include <string.h>

#include "compiler.h"
#include "simd.h"
#include "vector.h"

enum {
    TILE = 64,
    SIDE = 4,       /* rows of a square that is transposed in registers */
    COPY = 32,      /* rows of a tile that is copied out: two of them fill half the first-level cache */
    CONFLICT = 128, /* entries between rows that compete */
};

typedef struct { v4 r0, r1, r2, r3; } square;

HF_INLINE square load_square(const double *p, size_t ld)
{
    return (square){v4_load(p), v4_load(p + ld), v4_load(p + 2 * ld), v4_load(p + 3 * ld)};
}

HF_INLINE void store_square(double *p, size_t ld, square s)
{
    v4_store(p, s.r0);
    v4_store(p + ld, s.r1);
    v4_store(p + 2 * ld, s.r2);
    v4_store(p + 3 * ld, s.r3);
}

HF_INLINE square transpose(square s)
{
    const v4 even01 = v4_evens(s.r0, s.r1), odd01 = v4_odds(s.r0, s.r1);
    const v4 even23 = v4_evens(s.r2, s.r3), odd23 = v4_odds(s.r2, s.r3);
    return (square){v4_low_halves(even01, even23), v4_low_halves(odd01, odd23), v4_high_halves(even01, even23),
                    v4_high_halves(odd01, odd23)};
}

HF_INLINE v4 mean(v4 a, v4 b) { return v4_mul(v4_all(0.5), v4_add(a, b)); }

/* Average rows x columns at a with the mirror, columns x rows, at b. */
static void average_tile(size_t rows, size_t columns, double *a, size_t lda, double *b, size_t ldb)
{
    size_t i = 0;
    for (; i + SIDE <= rows; i += SIDE) {
        size_t j = 0;
        for (; j + SIDE <= columns; j += SIDE) {
            const square s = load_square(a + i * lda + j, lda), t = transpose(load_square(b + j * ldb + i, ldb));
            const square both = {mean(s.r0, t.r0), mean(s.r1, t.r1), mean(s.r2, t.r2), mean(s.r3, t.r3)};
            store_square(a + i * lda + j, lda, both);
            store_square(b + j * ldb + i, ldb, transpose(both));
        }
        for (size_t r = i; r < i + SIDE; r++)
            for (size_t c = j; c < columns; c++)
                a[r * lda + c] = b[c * ldb + r] = 0.5 * (a[r * lda + c] + b[c * ldb + r]);
    }
    for (; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            a[i * lda + j] = b[j * ldb + i] = 0.5 * (a[i * lda + j] + b[j * ldb + i]);
}

HF_INLINE void copy(size_t rows, size_t columns, const double *from, size_t ld_from, double *to, size_t ld_to)
{
    for (size_t r = 0; r < rows; r++) memcpy(to + r * ld_to, from + r * ld_from, columns * sizeof *to);
}

/* The same through copies; rows, columns <= COPY. */
static void average_copies(size_t rows, size_t columns, double *a, double *b, size_t ld)
{
    double below[COPY * COPY], above[COPY * COPY];
    copy(rows, columns, a, ld, below, COPY);
    copy(columns, rows, b, ld, above, COPY);
    average_tile(rows, columns, below, COPY, above, COPY);
    copy(rows, columns, below, COPY, a, ld);
    copy(columns, rows, above, COPY, b, ld);
}

/* The tile on the diagonal. */
static void average_corner(size_t rows, double *a, size_t ld)
{
    for (size_t i = SIDE; i < rows; i += SIDE)
        average_tile(i + SIDE < rows ? SIDE : rows - i, i, a + i * ld, ld, a + i, ld);
    for (size_t from = 0; from < rows; from += SIDE)
        for (size_t i = from; i < from + SIDE && i < rows; i++)
            for (size_t j = from; j < i; j++) a[i * ld + j] = a[j * ld + i] = 0.5 * (a[i * ld + j] + a[j * ld + i]);
}

void HF_SIMD(hf_symmetrize)(size_t first, size_t last, double *G, size_t ld)
{
    const size_t tile = ld % CONFLICT ? TILE : COPY;
    for (size_t top = first; top < last; top += tile) {
        const size_t rows = top + tile < last ? tile : last - top;
        for (size_t left = 0; left < top; left += tile) {
            const size_t columns = left + tile < top ? tile : top - left;
            double *a = G + top * ld + left, *b = G + left * ld + top;
            if (tile == COPY)
                average_copies(rows, columns, a, b, ld);
            else
                average_tile(rows, columns, a, ld, b, ld);
        }
        average_corner(rows, G + top * ld + top, ld);
    }
}
