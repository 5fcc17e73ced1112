/* The pairwise tree by which partial sums are added, whatever a sum is made of. */
#include "compiler.h"
#include "hessfast.h"

/* Add sum number `from` to sum number `to`. */
typedef void add_fn(void *sums, size_t to, size_t from);

/* Neighbours are added, then neighbours of those, until one is left: the first. */
HF_INLINE void add_by_tree(size_t count, void *sums, add_fn *add)
{
    for (size_t step = 1; step < count; step *= 2)
        for (size_t to = 0; to + step < count; to += 2 * step) add(sums, to, to + step);
}

HF_INLINE void add_block(void *sums, size_t to, size_t from)
{
    hf_sums *block = sums;
    block[to].value += block[from].value;
    block[to].size += block[from].size;
}

HF_INLINE void add_twofold(void *sums, size_t to, size_t from)
{
    hf_twofold *block = sums;
    block[to] = hf_add_twofold(block[to], block[from]);
}

HF_INLINE void add_panel(void *sums, size_t to, size_t from)
{
    double *panel = sums;
    panel[to] += panel[from];
}

hf_sums hf_sum_blocks(size_t count, hf_sums *block)
{
    add_by_tree(count, block, add_block);
    return count ? block[0] : (hf_sums){0.0, 0.0};
}

hf_twofold hf_sum_twofold(size_t count, hf_twofold *block)
{
    add_by_tree(count, block, add_twofold);
    return count ? block[0] : (hf_twofold){0.0, 0.0};
}

double hf_sum_panels(size_t count, double *panel)
{
    add_by_tree(count, panel, add_panel);
    return count ? panel[0] : 0.0;
}
