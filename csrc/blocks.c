/* The pairwise tree over block values: neighbours are added, then neighbours of those, until one is left. */
#include "hessfast.h"

double hf_sum_blocks(size_t count, double *values)
{
    for (size_t step = 1; step < count; step *= 2)
        for (size_t b = 0; b + step < count; b += 2 * step) values[b] += values[b + step];
    return count ? values[0] : 0.0;
}
