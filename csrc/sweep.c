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

#include "compiler.h"
#include "hessfast.h"
#include "pairs.h"

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

static inline bool raised(const hf_function *f)
{
    return f->flag && *f->flag;
}

/* Bitwise: the point held -0.0 or NaN exactly as it was displaced. */
static bool holds(const double *x, size_t n, const double *origin, const int32_t *index, const double *value)
{
    for (size_t i = 0; i < n; i++) {
        const double *expected = origin + i;
        if (index[0] >= 0 && (size_t)index[0] == i) expected = value;
        if (index[1] >= 0 && (size_t)index[1] == i) expected = value + 1;
        if (memcmp(x + i, expected, sizeof *x) != 0) return false;
    }
    return true;
}

typedef struct { int32_t index[2]; double value[2]; } point;

/* Where the next point comes from: a list, or the pairs in their order. */
typedef struct {
    const int32_t *index;
    const double *value;
    const hf_nodes *axes;
    hf_pair pair;
    size_t node;
} source;

typedef point next_fn(source *from);

static inline point listed(source *from)
{
    point next = {{from->index[0], from->index[1]}, {from->value[0], from->value[1]}};
    from->index += 2;
    from->value += 2;
    return next;
}

static inline point of_a_pair(source *from)
{
    const hf_nodes *axes = from->axes;
    const hf_pair pair = from->pair;
    const size_t k = from->node;
    point next = {{axes->axis[pair.i], axes->axis[pair.j]},
                  {axes->nodes[pair.i * axes->m + k], axes->nodes[pair.j * axes->m + k]}};
    if (++from->node == axes->m) {
        from->node = 0;
        from->pair = hf_pair_after(pair);
    }
    return next;
}

/* What all sweeps are given. */
typedef struct {
    const hf_function *f;
    size_t n, points;
    const double *x;
    double *work, *out;
} task;

typedef enum { ONE_COPY, TWO_COPIES } copies;

enum { TWO_COPIES_UP_TO = 1000 };

/* Inlined into each kind of sweep, so that next_of is no call and the number of copies no question. */
HF_INLINE hf_swept walk(const task *given, source *from, next_fn *next_of, copies of_x)
{
    const hf_function *f = given->f;
    const size_t n = given->n, stride = values_a_point(f, n);
    double *now = given->work, *next = of_x == TWO_COPIES ? given->work + n : given->work, *out = given->out;
    point here = next_of(from), ahead = here;
    memcpy(now, given->x, n * sizeof *now);
    memcpy(next, given->x, n * sizeof *next);
    displace(now, here.index, here.value);
    for (size_t left = given->points; left-- > 0; out += stride) {
        if (left > 0) {
            ahead = next_of(from);
            if (of_x == TWO_COPIES) displace(next, ahead.index, ahead.value);
        }
        call(f, n, now, out);
        if (raised(f)) return (hf_swept){given->points - left - 1, false};
        if (of_x == ONE_COPY && f->refill)
            memcpy(now, given->x, n * sizeof *now);
        else {
            const bool last_on_this_copy = left < 2;
            if (last_on_this_copy && !holds(now, n, given->x, here.index, here.value))
                return (hf_swept){given->points - left, true};
            restore(now, given->x, here.index);
        }
        if (of_x == ONE_COPY && left > 0) displace(now, ahead.index, ahead.value);
        double *swap = now; now = next; next = swap;
        here = ahead;
    }
    return (hf_swept){given->points, false};
}

HF_INLINE hf_swept sweep(const task *given, source *from, next_fn *next_of)
{
    if (given->points == 0) return (hf_swept){0, false};
    if (given->n <= TWO_COPIES_UP_TO && !given->f->refill) return walk(given, from, next_of, TWO_COPIES);
    return walk(given, from, next_of, ONE_COPY);
}

hf_swept hf_sweep(const hf_function *f, size_t n, const double *x, size_t points, const int32_t *index,
                  const double *value, double *work, double *out)
{
    const task given = {f, n, points, x, work, out};
    source from = {.index = index, .value = value};
    return sweep(&given, &from, listed);
}

hf_swept hf_sweep_pairs(const hf_function *f, size_t n, const double *x, const hf_nodes *axes, size_t first,
                        size_t last, double *work, double *out)
{
    const task given = {f, n, first < last ? (last - first) * axes->m : 0, x, work, out};
    source from = {.axes = axes, .pair = hf_pair_at(first)};
    return sweep(&given, &from, of_a_pair);
}

hf_swept hf_sweep_rows(const hf_function *f, size_t n, size_t points, const double *X, double *work, double *out)
{
    const size_t stride = values_a_point(f, n);
    hf_swept done = {0, false};
    for (; done.calls < points; done.calls++, X += n) {
        memcpy(work, X, n * sizeof *X);
        call(f, n, work, out + done.calls * stride);
        if (raised(f)) break;
        if (memcmp(work, X, n * sizeof *X) != 0) done.wrote = true;
    }
    return done;
}

bool hf_evaluate(const hf_function *f, size_t n, double *x, double *out)
{
    call(f, n, x, out);
    return !raised(f);
}
