/* Tight loops over points for native callbacks.
 *
 * Two copies of x are used in turn, and the stores that prepare the next point are issued before f runs on the present
 * one. A vectorised f otherwise reads, with one wide load, coordinates that were stored a few cycles ago by narrow
 * stores: the load then waits for the stores to leave the store buffer (failed store forwarding), which costs more
 * than the rest of the loop for an f of some tens of nanoseconds.
 *
 * Coordinates are put back after each call, so a callback that writes into x spoils later points. Such a write stands
 * in the copy until the end unless the last point happened to displace that very coordinate: the two last calls are
 * therefore checked before their coordinates are put back, at the cost of two comparisons of x a sweep.
 */
#include <string.h>

#include "hessfast.h"

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

static size_t sweep_refilled(const hf_function *f, size_t n, const double *x, size_t points, const int32_t *index,
                             const double *value, double *work, double *out)
{
    const size_t stride = values_a_point(f, n);
    for (size_t p = 0; p < points; p++) {
        memcpy(work, x, n * sizeof *x);
        displace(work, index + 2 * p, value + 2 * p);
        call(f, n, work, out + p * stride);
        if (raised(f)) return p;
    }
    return points;
}

size_t hf_sweep(const hf_function *f, size_t n, const double *x, size_t points, const int32_t *index,
                const double *value, double *work, double *out, int *wrote)
{
    *wrote = 0;
    if (points == 0) return 0;
    if (f->refill) return sweep_refilled(f, n, x, points, index, value, work, out);
    const size_t stride = values_a_point(f, n);
    double *now = work, *next = work + n;
    memcpy(now, x, n * sizeof *x);
    memcpy(next, x, n * sizeof *x);
    displace(now, index, value);
    for (size_t p = 0; p < points; p++) {
        if (p + 1 < points) displace(next, index + 2 * (p + 1), value + 2 * (p + 1));
        call(f, n, now, out + p * stride);
        if (raised(f)) return p;
        if (p + 2 >= points && !holds(now, n, x, index + 2 * p, value + 2 * p)) {
            *wrote = 1;
            return p + 1;
        }
        restore(now, x, index + 2 * p);
        double *swap = now; now = next; next = swap;
    }
    return points;
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
