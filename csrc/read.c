/* Read an array once, as fast as one thread can: the yardstick for kernels that wait for memory.
 *
 * This file is compiled once for each SIMD level.
 */
#include "simd.h"
#include "vector.h"

enum { STREAMS = 8, STRIDE = 4 * STREAMS };

double HF_SIMD(hf_read)(size_t n, const double *x)
{
    v4 sum[STREAMS];
    double rest = 0.0;
    size_t i = 0;
    for (size_t s = 0; s < STREAMS; s++) sum[s] = v4_all(0.0);
    for (; i + STRIDE <= n; i += STRIDE)
        for (size_t s = 0; s < STREAMS; s++) sum[s] = v4_add(sum[s], v4_load(x + i + 4 * s));
    for (; i < n; i++) rest += x[i];
    for (size_t s = 0; s < STREAMS; s++) rest += v4_sum(sum[s]);
    return rest;
}
