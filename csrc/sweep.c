/* Tight loops over points for native callbacks.
 *
 * Where n is small, two copies of x are used in turn, and the stores that prepare the next point are issued before f
 * runs on the present one. A vectorised f otherwise reads, with one wide load, coordinates that were stored a few
 * cycles ago by narrow stores: the load then waits for the stores to leave the store buffer (failed store forwarding),
 * which costs more than the rest of the loop for an f of some tens of nanoseconds. Where n is large the stores are long
 * gone when f reads them, and a second copy would only take room in the first-level cache.
 *
 * Coordinates are put back after each call, so a callback that writes into x would spoil later points. The last call
 * on each copy is therefore compared with the point that it was given, at the cost of two comparisons a sweep.
 */
#include <string.h>

#include "hessfast.h"
#include "pairs.h"

#if defined(__GNUC__)
#define HF_INLINE static inline __attribute__((always_inline))
#else
#define HF_INLINE static inline
#endif

static inline void displace(double *x, const int32_t *index, const double *value)
{
    if (index[0] >= 0) x[index[0]] = value[0];
    if (index[1] >= 0) x[index[1]] = value[1];
}

static inline void restore(double *x, const double *origin, const int32_t *index)
{
    if (index[0] >= 0) x[index[0]] = origin[index[0]];
    if (index[1] >= 0) x[index[1]] = origin[index[1]];
}

static inline void call(const hf_function *f, size_t n, double *x, double *out)
{
    if (f->with_data)
        *out = f->with_data((int)n, x, f->data);
    else if (f->plain)
        *out = f->plain((int)n, x);
    else
        f->gradient((int)n, x, out, f->data);
}

static inline size_t values_a_point(const hf_function *f, size_t n)
{
    return f->gradient ? n : 1;
}

static inline int raised(const hf_function *f)
{
    return f->flag && *f->flag;
}

/* Bitwise: the point held -0.0 or NaN exactly as it was displaced. */
static int holds(const double *x, size_t n, const double *origin, const int32_t *index, const double *value)
{
    for (size_t i = 0; i < n; i++) {
        const double *expected = origin + i;
        if (index[0] >= 0 && (size_t)index[0] == i) expected = value;
        if (index[1] >= 0 && (size_t)index[1] == i) expected = value + 1;
        if (memcmp(x + i, expected, sizeof *x) != 0) return 0;
    }
    return 1;
}

typedef struct { int32_t index[2]; double value[2]; } point;

/* Where the next point comes from: a list, or the pairs in their order. */
typedef struct {
    const int32_t *index;
    const double *value;
    const int32_t *axis;
    const double *nodes;
    size_t m, k;
    hf_pair pair;
} source;

static inline point listed(source *from)
{
    point next = {{from->index[0], from->index[1]}, {from->value[0], from->value[1]}};
    from->index += 2;
    from->value += 2;
    return next;
}

static inline point of_a_pair(source *from)
{
    const hf_pair pair = from->pair;
    point next = {{from->axis[pair.i], from->axis[pair.j]},
                  {from->nodes[pair.i * from->m + from->k], from->nodes[pair.j * from->m + from->k]}};
    if (++from->k == from->m) {
        from->k = 0;
        from->pair = hf_pair_after(pair);
    }
    return next;
}

enum { TWO_COPIES_UP_TO = 1000 };

/* Inlined into each kind of sweep, so that next_of is no call and in_turn no question. */
HF_INLINE size_t walk(const hf_function *f, size_t n, const double *x, size_t points, source *from,
                      point (*next_of)(source *), int in_turn, double *work, double *out, int *wrote)
{
    const size_t stride = values_a_point(f, n);
    double *now = work, *next = in_turn ? work + n : work;
    point here = next_of(from), ahead = here;
    memcpy(now, x, n * sizeof *x);
    memcpy(next, x, n * sizeof *x);
    displace(now, here.index, here.value);
    for (size_t left = points; left-- > 0; out += stride) {
        if (left > 0) {
            ahead = next_of(from);
            if (in_turn) displace(next, ahead.index, ahead.value);
        }
        call(f, n, now, out);
        if (raised(f)) return points - left - 1;
        if (!in_turn && f->refill)
            memcpy(now, x, n * sizeof *x);
        else {
            if (left < 2 && !holds(now, n, x, here.index, here.value)) {
                *wrote = 1;
                return points - left;
            }
            restore(now, x, here.index);
        }
        if (!in_turn && left > 0) displace(now, ahead.index, ahead.value);
        double *swap = now; now = next; next = swap;
        here = ahead;
    }
    return points;
}

HF_INLINE size_t sweep(const hf_function *f, size_t n, const double *x, size_t points, source *from,
                       point (*next_of)(source *), double *work, double *out, int *wrote)
{
    if (n <= TWO_COPIES_UP_TO && !f->refill) return walk(f, n, x, points, from, next_of, 1, work, out, wrote);
    return walk(f, n, x, points, from, next_of, 0, work, out, wrote);
}

size_t hf_sweep(const hf_function *f, size_t n, const double *x, size_t points, const int32_t *index,
                const double *value, double *work, double *out, int *wrote)
{
    source from = {.index = index, .value = value};
    *wrote = 0;
    return points == 0 ? 0 : sweep(f, n, x, points, &from, listed, work, out, wrote);
}

size_t hf_sweep_pairs(const hf_function *f, size_t n, const double *x, size_t m, const int32_t *axis,
                      const double *nodes, size_t first, size_t last, double *work, double *values, int *wrote)
{
    *wrote = 0;
    if (first >= last) return 0;
    source from = {.axis = axis, .nodes = nodes, .m = m, .pair = hf_pair_at(first)};
    return sweep(f, n, x, (last - first) * m, &from, of_a_pair, work, values, wrote);
}

size_t hf_sweep_rows(const hf_function *f, size_t n, size_t points, const double *X, double *work, double *out,
                     int *wrote)
{
    const size_t stride = values_a_point(f, n);
    *wrote = 0;
    for (size_t p = 0; p < points; p++) {
        memcpy(work, X + p * n, n * sizeof *X);
        call(f, n, work, out + p * stride);
        if (raised(f)) return p;
        if (memcmp(work, X + p * n, n * sizeof *X) != 0) *wrote = 1;
    }
    return points;
}

size_t hf_evaluate(const hf_function *f, size_t n, double *x, double *out)
{
    call(f, n, x, out);
    return !raised(f);
}
