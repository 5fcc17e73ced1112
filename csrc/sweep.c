/* Tight loops over points for native callbacks.
 *
 * Two copies of x are used in turn, and the stores that prepare the next point are issued before f runs on the present
 * one. A vectorised f otherwise reads, with one wide load, coordinates that were stored a few cycles ago by narrow
 * stores: the load then waits for the stores to leave the store buffer (failed store forwarding), which costs more
 * than the rest of the loop for f of some tens of nanoseconds.
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

static inline double call(const hf_function *f, int n, double *x)
{
    return f->with_data ? f->with_data(n, x, f->data) : f->plain(n, x);
}

size_t hf_sweep(const hf_function *f, size_t n, const double *x, size_t points, const int32_t *index,
                const double *value, double *work, double *out)
{
    double *now = work, *next = work + n;
    memcpy(now, x, n * sizeof *x);
    memcpy(next, x, n * sizeof *x);
    if (points) displace(now, index, value);
    for (size_t p = 0; p < points; p++) {
        if (p + 1 < points) displace(next, index + 2 * (p + 1), value + 2 * (p + 1));
        out[p] = call(f, (int)n, now);
        if (f->flag && *f->flag) return p;
        restore(now, x, index + 2 * p);
        double *swap = now; now = next; next = swap;
    }
    return points;
}

size_t hf_sweep_gradient(const hf_function *f, size_t n, const double *x, size_t points, const int32_t *index,
                         const double *value, double *work, double *out)
{
    memcpy(work, x, n * sizeof *x);
    for (size_t p = 0; p < points; p++) {
        displace(work, index + 2 * p, value + 2 * p);
        f->gradient((int)n, work, out + p * n, f->data);
        if (f->flag && *f->flag) return p;
        restore(work, x, index + 2 * p);
    }
    return points;
}
