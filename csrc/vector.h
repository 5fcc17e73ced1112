/* v4: four doubles that are added and multiplied lane by lane.
 *
 * Three forms. One vector of 32 bytes where the machine has such registers (AVX); two of 16 bytes elsewhere (SSE2,
 * NEON: a 32-byte type would be passed through memory there); four plain doubles for compilers without vector types, or
 * with HF_PLAIN defined. All round each lane alike, so the bits do not depend on which one was compiled.
 */
#ifndef HESSFAST_VECTOR_H
#define HESSFAST_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

#ifdef __clang__
#define HF_SHUFFLE(bits, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define HF_SHUFFLE(bits, a, b, ...) __builtin_shuffle(a, b, (bits){__VA_ARGS__})
#endif

#if defined(__AVX__) && defined(__GNUC__) && !defined(HF_PLAIN)

#include <immintrin.h>

typedef double v4 __attribute__((vector_size(32)));
typedef double v4_at_8 __attribute__((vector_size(32), aligned(8), may_alias));
typedef int64_t v4_bits __attribute__((vector_size(32)));

HF_INLINE v4 v4_load(const double *p) { return *(const v4_at_8 *)p; }
HF_INLINE v4 v4_load_single(const float *p) { return (v4)_mm256_cvtps_pd(_mm_loadu_ps(p)); } /* gcc 12 halves a cast */
HF_INLINE void v4_store(double *p, v4 a) { *(v4_at_8 *)p = a; }
HF_INLINE v4 v4_set(double a, double b, double c, double d) { return (v4){a, b, c, d}; }
HF_INLINE double v4_lane(v4 a, size_t lane) { return a[lane]; }
HF_INLINE v4 v4_add(v4 a, v4 b) { return a + b; }
HF_INLINE v4 v4_sub(v4 a, v4 b) { return a - b; }
HF_INLINE v4 v4_mul(v4 a, v4 b) { return a * b; }

HF_INLINE v4 v4_keep(v4 a, v4_bits mask) { return (v4)((v4_bits)a & mask); }
HF_INLINE v4 v4_abs(v4 a) { return v4_keep(a, (v4_bits){INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX}); }
HF_INLINE v4 v4_below(v4 a, int lane) { return v4_keep(a, (v4_bits){0, 1, 2, 3} < lane); }
HF_INLINE v4 v4_above(v4 a, int lane) { return v4_keep(a, (v4_bits){0, 1, 2, 3} > lane); }

HF_INLINE v4 v4_evens(v4 a, v4 b) { return HF_SHUFFLE(v4_bits, a, b, 0, 4, 2, 6); }
HF_INLINE v4 v4_odds(v4 a, v4 b) { return HF_SHUFFLE(v4_bits, a, b, 1, 5, 3, 7); }
HF_INLINE v4 v4_low_halves(v4 a, v4 b) { return HF_SHUFFLE(v4_bits, a, b, 0, 1, 4, 5); }
HF_INLINE v4 v4_high_halves(v4 a, v4 b) { return HF_SHUFFLE(v4_bits, a, b, 2, 3, 6, 7); }

#elif defined(__GNUC__) && !defined(HF_PLAIN)

typedef double v2 __attribute__((vector_size(16)));
typedef double v2_at_8 __attribute__((vector_size(16), aligned(8), may_alias));
typedef int64_t v2_bits __attribute__((vector_size(16)));
typedef struct { v2 low, high; } v4;

HF_INLINE v4 v4_load(const double *p) { return (v4){*(const v2_at_8 *)p, *(const v2_at_8 *)(p + 2)}; }
HF_INLINE v4 v4_load_single(const float *p) { return (v4){(v2){p[0], p[1]}, (v2){p[2], p[3]}}; }
HF_INLINE void v4_store(double *p, v4 a) { *(v2_at_8 *)p = a.low, *(v2_at_8 *)(p + 2) = a.high; }
HF_INLINE v4 v4_set(double a, double b, double c, double d) { return (v4){(v2){a, b}, (v2){c, d}}; }
HF_INLINE double v4_lane(v4 a, size_t lane) { return lane < 2 ? a.low[lane] : a.high[lane - 2]; }
HF_INLINE v4 v4_add(v4 a, v4 b) { return (v4){a.low + b.low, a.high + b.high}; }
HF_INLINE v4 v4_sub(v4 a, v4 b) { return (v4){a.low - b.low, a.high - b.high}; }
HF_INLINE v4 v4_mul(v4 a, v4 b) { return (v4){a.low * b.low, a.high * b.high}; }

HF_INLINE v2 v2_keep(v2 a, v2_bits mask) { return (v2)((v2_bits)a & mask); }
HF_INLINE v2_bits v2_bits_below(int lane) { return (v2_bits){-(0 < lane), -(1 < lane)}; }
HF_INLINE v2_bits v2_bits_above(int lane) { return (v2_bits){-(0 > lane), -(1 > lane)}; }

HF_INLINE v4 v4_abs(v4 a)
{
    const v2_bits mask = {INT64_MAX, INT64_MAX};
    return (v4){v2_keep(a.low, mask), v2_keep(a.high, mask)};
}

HF_INLINE v4 v4_below(v4 a, int lane)
{
    return (v4){v2_keep(a.low, v2_bits_below(lane)), v2_keep(a.high, v2_bits_below(lane - 2))};
}

HF_INLINE v4 v4_above(v4 a, int lane)
{
    return (v4){v2_keep(a.low, v2_bits_above(lane)), v2_keep(a.high, v2_bits_above(lane - 2))};
}

HF_INLINE v2 v2_firsts(v2 a, v2 b) { return HF_SHUFFLE(v2_bits, a, b, 0, 2); }
HF_INLINE v2 v2_seconds(v2 a, v2 b) { return HF_SHUFFLE(v2_bits, a, b, 1, 3); }

HF_INLINE v4 v4_evens(v4 a, v4 b) { return (v4){v2_firsts(a.low, b.low), v2_firsts(a.high, b.high)}; }
HF_INLINE v4 v4_odds(v4 a, v4 b) { return (v4){v2_seconds(a.low, b.low), v2_seconds(a.high, b.high)}; }
HF_INLINE v4 v4_low_halves(v4 a, v4 b) { return (v4){a.low, b.low}; }
HF_INLINE v4 v4_high_halves(v4 a, v4 b) { return (v4){a.high, b.high}; }

#else

typedef struct { double lane[4]; } v4;

HF_INLINE v4 v4_set(double a, double b, double c, double d) { v4 v = {{a, b, c, d}}; return v; }
HF_INLINE v4 v4_load(const double *p) { return v4_set(p[0], p[1], p[2], p[3]); }
HF_INLINE v4 v4_load_single(const float *p) { return v4_set(p[0], p[1], p[2], p[3]); }
HF_INLINE double v4_lane(v4 a, size_t lane) { return a.lane[lane]; }

HF_INLINE void v4_store(double *p, v4 a)
{
    for (size_t l = 0; l < 4; l++) p[l] = a.lane[l];
}

HF_INLINE v4 v4_add(v4 a, v4 b)
{
    return v4_set(a.lane[0] + b.lane[0], a.lane[1] + b.lane[1], a.lane[2] + b.lane[2], a.lane[3] + b.lane[3]);
}

HF_INLINE v4 v4_sub(v4 a, v4 b)
{
    return v4_set(a.lane[0] - b.lane[0], a.lane[1] - b.lane[1], a.lane[2] - b.lane[2], a.lane[3] - b.lane[3]);
}

HF_INLINE v4 v4_mul(v4 a, v4 b)
{
    return v4_set(a.lane[0] * b.lane[0], a.lane[1] * b.lane[1], a.lane[2] * b.lane[2], a.lane[3] * b.lane[3]);
}

HF_INLINE v4 v4_abs(v4 a)
{
    return v4_set(fabs(a.lane[0]), fabs(a.lane[1]), fabs(a.lane[2]), fabs(a.lane[3]));
}

HF_INLINE v4 v4_below(v4 a, int lane)
{
    for (int l = 0; l < 4; l++) a.lane[l] = l < lane ? a.lane[l] : 0.0;
    return a;
}

HF_INLINE v4 v4_above(v4 a, int lane)
{
    for (int l = 0; l < 4; l++) a.lane[l] = l > lane ? a.lane[l] : 0.0;
    return a;
}

HF_INLINE v4 v4_evens(v4 a, v4 b) { return v4_set(a.lane[0], b.lane[0], a.lane[2], b.lane[2]); }
HF_INLINE v4 v4_odds(v4 a, v4 b) { return v4_set(a.lane[1], b.lane[1], a.lane[3], b.lane[3]); }
HF_INLINE v4 v4_low_halves(v4 a, v4 b) { return v4_set(a.lane[0], a.lane[1], b.lane[0], b.lane[1]); }
HF_INLINE v4 v4_high_halves(v4 a, v4 b) { return v4_set(a.lane[2], a.lane[3], b.lane[2], b.lane[3]); }

#endif

/* What the names above say:
 *     v4_below(a, l), v4_above(a, l)   a with zero in every lane but those below, above l
 *     v4_evens(a, b), v4_odds(a, b)    a0 b0 a2 b2, a1 b1 a3 b3
 *     v4_low_halves(a, b), high        a0 a1 b0 b1, a2 a3 b2 b3 */

HF_INLINE v4 v4_all(double a) { return v4_set(a, a, a, a); }

/* (a0 + a1, b0 + b1, a2 + a3, b2 + b3) */
HF_INLINE v4 v4_add_neighbours(v4 a, v4 b) { return v4_add(v4_evens(a, b), v4_odds(a, b)); }

/* (a0 + a2, a1 + a3, b0 + b2, b1 + b3) */
HF_INLINE v4 v4_add_halves(v4 a, v4 b) { return v4_add(v4_low_halves(a, b), v4_high_halves(a, b)); }

/* (a0 + a1) + (a2 + a3) */
HF_INLINE double v4_sum(v4 a) { return (v4_lane(a, 0) + v4_lane(a, 1)) + (v4_lane(a, 2) + v4_lane(a, 3)); }

#endif
