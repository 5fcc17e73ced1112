/* v4: four doubles that are added and multiplied lane by lane.
 *
 * With gcc and clang it is a vector type, one register under AVX and two under SSE2 or NEON; elsewhere, or with HF_PLAIN
 * defined, four plain doubles. Both forms round each lane alike, so the bits do not depend on which one was compiled.
 */
#ifndef HESSFAST_VECTOR_H
#define HESSFAST_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) && !defined(HF_PLAIN)

#define HF_INLINE static inline __attribute__((always_inline))
#define HF_PREFETCH(address) __builtin_prefetch(address)

typedef double v4 __attribute__((vector_size(32)));
typedef double v4_at_8 __attribute__((vector_size(32), aligned(8), may_alias));
typedef float f4_at_4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef int64_t v4_bits __attribute__((vector_size(32)));

HF_INLINE v4 v4_load(const double *p) { return *(const v4_at_8 *)p; }
HF_INLINE v4 v4_load_single(const float *p) { return __builtin_convertvector(*(const f4_at_4 *)p, v4); }
HF_INLINE v4 v4_all(double a) { return (v4){a, a, a, a}; }
HF_INLINE v4 v4_set(double a, double b, double c, double d) { return (v4){a, b, c, d}; }
HF_INLINE v4 v4_add(v4 a, v4 b) { return a + b; }
HF_INLINE v4 v4_sub(v4 a, v4 b) { return a - b; }
HF_INLINE v4 v4_mul(v4 a, v4 b) { return a * b; }
HF_INLINE v4 v4_abs(v4 a) { return (v4)((v4_bits)a & (v4_bits){INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX}); }
HF_INLINE double v4_lane(v4 a, size_t lane) { return a[lane]; }

/* a with zero in every lane but those below `lane`, above `lane` */
HF_INLINE v4 v4_below(v4 a, int lane) { return (v4)((v4_bits)a & ((v4_bits){0, 1, 2, 3} < lane)); }
HF_INLINE v4 v4_above(v4 a, int lane) { return (v4)((v4_bits)a & ((v4_bits){0, 1, 2, 3} > lane)); }

#ifdef __clang__
#define V4_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define V4_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (v4_bits){__VA_ARGS__})
#endif

HF_INLINE v4 v4_evens(v4 a, v4 b) { return V4_SHUFFLE(a, b, 0, 4, 2, 6); }      /* a0 b0 a2 b2 */
HF_INLINE v4 v4_odds(v4 a, v4 b) { return V4_SHUFFLE(a, b, 1, 5, 3, 7); }       /* a1 b1 a3 b3 */
HF_INLINE v4 v4_low_halves(v4 a, v4 b) { return V4_SHUFFLE(a, b, 0, 1, 4, 5); } /* a0 a1 b0 b1 */
HF_INLINE v4 v4_high_halves(v4 a, v4 b) { return V4_SHUFFLE(a, b, 2, 3, 6, 7); } /* a2 a3 b2 b3 */

#else

#define HF_INLINE static inline
#define HF_PREFETCH(address) ((void)(address))

typedef struct { double lane[4]; } v4;

HF_INLINE v4 v4_set(double a, double b, double c, double d) { v4 v = {{a, b, c, d}}; return v; }
HF_INLINE v4 v4_load(const double *p) { return v4_set(p[0], p[1], p[2], p[3]); }
HF_INLINE v4 v4_load_single(const float *p) { return v4_set(p[0], p[1], p[2], p[3]); }
HF_INLINE v4 v4_all(double a) { return v4_set(a, a, a, a); }
HF_INLINE double v4_lane(v4 a, size_t lane) { return a.lane[lane]; }

HF_INLINE v4 v4_abs(v4 a)
{
    return v4_set(fabs(a.lane[0]), fabs(a.lane[1]), fabs(a.lane[2]), fabs(a.lane[3]));
}

HF_INLINE v4 v4_below(v4 a, int lane)
{
    return v4_set(0 < lane ? a.lane[0] : 0.0, 1 < lane ? a.lane[1] : 0.0, 2 < lane ? a.lane[2] : 0.0,
                  3 < lane ? a.lane[3] : 0.0);
}

HF_INLINE v4 v4_above(v4 a, int lane)
{
    return v4_set(0 > lane ? a.lane[0] : 0.0, 1 > lane ? a.lane[1] : 0.0, 2 > lane ? a.lane[2] : 0.0,
                  3 > lane ? a.lane[3] : 0.0);
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

HF_INLINE v4 v4_evens(v4 a, v4 b) { return v4_set(a.lane[0], b.lane[0], a.lane[2], b.lane[2]); }
HF_INLINE v4 v4_odds(v4 a, v4 b) { return v4_set(a.lane[1], b.lane[1], a.lane[3], b.lane[3]); }
HF_INLINE v4 v4_low_halves(v4 a, v4 b) { return v4_set(a.lane[0], a.lane[1], b.lane[0], b.lane[1]); }
HF_INLINE v4 v4_high_halves(v4 a, v4 b) { return v4_set(a.lane[2], a.lane[3], b.lane[2], b.lane[3]); }

#endif

/* (a0 + a1, b0 + b1, a2 + a3, b2 + b3) */
HF_INLINE v4 v4_add_neighbours(v4 a, v4 b) { return v4_add(v4_evens(a, b), v4_odds(a, b)); }

/* (a0 + a2, a1 + a3, b0 + b2, b1 + b3) */
HF_INLINE v4 v4_add_halves(v4 a, v4 b) { return v4_add(v4_low_halves(a, b), v4_high_halves(a, b)); }

/* (a0 + a1) + (a2 + a3) */
HF_INLINE double v4_sum(v4 a) { return (v4_lane(a, 0) + v4_lane(a, 1)) + (v4_lane(a, 2) + v4_lane(a, 3)); }

#endif
