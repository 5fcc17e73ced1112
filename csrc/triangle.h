/* Where the entries of a symmetric matrix stand of which memory holds one triangle, and how they are loaded.
 *
 * What memory holds one after the other is called a line: a row of the triangle by rows, a column by columns. A line is
 * known by an address displaced so that the entry of column j (by rows) or of row j (by columns) is number j after it.
 */
#ifndef HESSFAST_TRIANGLE_H
#define HESSFAST_TRIANGLE_H

#include "compiler.h"
#include "hessfast.h"
#include "vector.h"

enum { PANEL = 8 }; /* lines that are crossed together */

/* H, with its order and its storage as constants: what is inlined on it is compiled for those alone. */
typedef struct {
    const hf_triangle *in;
    hf_order order;
    hf_storage storage;
} held;

HF_INLINE double at(hf_storage storage, const void *line, size_t j)
{
    return storage == HF_SINGLE ? ((const float *)line)[j] : ((const double *)line)[j];
}

HF_INLINE v4 load(hf_storage storage, const void *line, size_t j)
{
    return storage == HF_SINGLE ? v4_load_single((const float *)line + j) : v4_load((const double *)line + j);
}

HF_INLINE const void *address(hf_storage storage, const void *line, size_t j)
{
    return (const char *)line + j * hf_width(storage);
}

/* Entries from .. from+3 of a line that ends before entry `count`: zero from there on. */
HF_INLINE v4 load_some(hf_storage storage, size_t count, const void *line, size_t from)
{
    if (count >= from + 4) return load(storage, line, from);
    return v4_set(from < count ? at(storage, line, from) : 0.0, from + 1 < count ? at(storage, line, from + 1) : 0.0,
                  from + 2 < count ? at(storage, line, from + 2) : 0.0, 0.0);
}

/* Entries before line i, and so its displaced beginning. */
HF_INLINE size_t line_start(held H, size_t i)
{
    if (!H.in->packed) return i * H.in->ld;
    return H.order == HF_BY_COLUMNS ? i * (2 * H.in->n - i - 1) / 2 : i * (i + 1) / 2;
}

HF_INLINE const void *line(held H, size_t i) { return address(H.storage, H.in->data, line_start(H, i)); }

/* Lines first .. first+count-1, count <= PANEL; the last stands in for those beyond, and is not read in their place. */
typedef struct {
    size_t first, count;
    const void *line[PANEL];
} bundle;

HF_INLINE void find_lines(held H, size_t first, size_t count, bundle *h)
{
    const void *top = line(H, first);
    h->first = first;
    h->count = count;
    for (size_t r = 0; r < PANEL; r++) {
        const size_t down = r < count ? r : count - 1;
        h->line[r] = H.in->packed ? line(H, first + down) : address(H.storage, top, down * H.in->ld);
    }
}

/* The entry of row first + r and column first + c of the triangle, c <= r < count: h is a panel's own lines. */
HF_INLINE double near_diagonal(held H, const bundle *h, size_t r, size_t c)
{
    return H.order == HF_BY_COLUMNS ? at(H.storage, h->line[c], h->first + r) : at(H.storage, h->line[r], h->first + c);
}

#endif
