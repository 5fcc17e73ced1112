/* Sums over blocks. */
#include "hessfast.h"

/* The pairwise tree: neighbours are added, then neighbours of those, until one is left. */
hf_sums hf_sum_blocks(size_t count, hf_sums *block)
{
    for (size_t step = 1; step < count; step *= 2)
        for (size_t b = 0; b + step < count; b += 2 * step) {
            block[b].value += block[b + step].value;
            block[b].size += block[b + step].size;
        }
    return count ? block[0] : (hf_sums){0.0, 0.0};
}

/* The same tree over unevaluated sums high + low. */
hf_twofold hf_sum_twofold(size_t count, hf_twofold *block)
{
    for (size_t step = 1; step < count; step *= 2)
        for (size_t b = 0; b + step < count; b += 2 * step) block[b] = hf_add_twofold(block[b], block[b + step]);
    return count ? block[0] : (hf_twofold){0.0, 0.0};
}
