/* The end of a panel: its lanes become one number, with the share of the diagonal. */
#ifndef HESSFAST_CLOSING_H
#define HESSFAST_CLOSING_H

#include "tiles.h"

/* A panel of eight rows, all below the diagonal in its lanes: Σ H_ii g_i² by the tree of a tile's rows. */
HF_INLINE hf_sums close_full(const pass *p, const bundle *h, lanes sofar)
{
    const size_t i = h->first;
    double on[PANEL];
    for (size_t r = 0; r < PANEL; r++) on[r] = at(p->H.storage, address(p->H.storage, h->line[r], i), r);
    const v4 g_top = v4_load(p->g + i), g_bottom = v4_load(p->g + i + 4);
    const v4 top = v4_mul(v4_mul(v4_set(on[0], on[1], on[2], on[3]), g_top), g_top);
    const v4 bottom = v4_mul(v4_mul(v4_set(on[4], on[5], on[6], on[7]), g_bottom), g_bottom);
    hf_sums sum = {v4_sum(v4_add(top, bottom)) + 2.0 * v4_sum(sofar.value), 0.0};
    if (p->wanted == VALUE_AND_SIZE)
        sum.size = v4_sum(v4_add(v4_abs(top), v4_abs(bottom))) + 2.0 * v4_sum(sofar.size);
    return sum;
}

/* A panel of fewer rows, whose lanes hold what is left of the triangle on the diagonal: that is summed row by row. */
HF_INLINE hf_sums close_short(const pass *p, const bundle *h, lanes sofar)
{
    const double *g = p->g + h->first;
    hf_sums below = {0.0, 0.0}, diagonal = {0.0, 0.0};
    for (size_t r = 0; r < h->count; r++) {
        hf_sums row = {0.0, 0.0};
        for (size_t c = 0; c < r; c++) {
            const double term = near_diagonal(p->H, h, r, c) * g[c];
            add_sums(p->wanted, &row, (hf_sums){term, fabs(term)});
        }
        const double on = near_diagonal(p->H, h, r, r) * g[r] * g[r];
        add_sums(p->wanted, &below, (hf_sums){row.value * g[r], row.size * fabs(g[r])});
        add_sums(p->wanted, &diagonal, (hf_sums){on, fabs(on)});
    }
    below.value = 2.0 * (v4_sum(sofar.value) + below.value) + diagonal.value;
    if (p->wanted == VALUE_AND_SIZE) below.size = 2.0 * (v4_sum(sofar.size) + below.size) + diagonal.size;
    return below;
}

#endif
