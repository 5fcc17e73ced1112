/* hessfast: the C core's contract.
 *
 * Conventions. C11. size_t counts; matrices are row-major with a leading dimension ld >= the row length. Argument
 * order: sizes, inputs with their ld, workspace, outputs. Nothing here allocates, prints or keeps state. A status is
 * returned where something can fail. The order of every sum is explicit and part of the contract: the same input gives
 * the same bits whatever the SIMD level and the number of threads.
 */
#ifndef HESSFAST_H
#define HESSFAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the numbers of an array are stored. Arithmetic and sums are float64 whatever the storage. */
typedef enum { HF_DOUBLE, HF_SINGLE } hf_storage;

/* Bytes of a number so stored. */
static inline size_t hf_width(hf_storage storage) { return storage == HF_SINGLE ? sizeof(float) : sizeof(double); }

/* ---- Points: x with at most two coordinates displaced ------------------------------------------------------------
 *
 * Point p is x with x[index[2p]] = value[2p] and x[index[2p+1]] = value[2p+1]; index -1 displaces nothing.
 */

/* Nodes x_i + t_k h_i of n axes as they are rounded, and the steps really taken, (x_i + t_k h_i) - x_i. Return the first
 * axis of which a step vanishes or a node overflows; n where there is none.
 *   x; axis (n) coordinate of x that each axis is, step (n), t (m);  nodes (n, m), steps (n, m)  out */
size_t hf_axis_nodes(size_t n, const double *x, const int32_t *axis, const double *step, size_t m, const double *t,
                     double *nodes, double *steps);

/* Some axes and their displaced coordinates. */
typedef struct {
    size_t m;            /* nodes of each axis */
    const int32_t *axis; /* (n) coordinate of x that each axis is */
    const double *nodes; /* (n, m) that coordinate at each node */
} hf_nodes;

/* The points at the nodes of n axes, node fastest. index (n, m, 2), value (n, m, 2)  out */
void hf_axis_points(size_t n, const hf_nodes *axes, int32_t *index, double *value);

/* The points of pairs first .. last-1 of the strict lower triangle; pair number i(i-1)/2 + j is (i, j), i > j.
 * A pair has m points, node fastest: both axes at their node k.
 *   index (last-first, m, 2), value (last-first, m, 2)  out */
void hf_pair_points(const hf_nodes *axes, size_t first, size_t last, int32_t *index, double *value);

/* Points p = 0 .. points-1 as the columns of an (n, points) block, every entry written. */
void hf_fill_block(size_t n, const double *x, size_t points, const int32_t *index, const double *value,
                   double *block);

/* ---- Sweep: native callbacks --------------------------------------------------------------------------------------
 *
 * Exactly one of the three function pointers is set. A callback that caught an exception raises `flag`, where there is
 * one, and the sweep stops at that point. */
typedef double hf_with_data_fn(int n, double *x, void *data);
typedef double hf_plain_fn(int n, double *x);
typedef void hf_gradient_fn(int n, double *x, double *g, void *data);

typedef struct {
    hf_with_data_fn *with_data;
    hf_plain_fn *plain;
    hf_gradient_fn *gradient;
    void *data;
    const volatile int64_t *flag;
    bool refill; /* x is written anew before each call: for callbacks that write into it */
} hf_function;

/* What a sweep did. It ends early only where the flag was raised or, without `refill`, where the callback was seen to
 * write into x: all values are then void (they may come from a spoilt x), and it is to be repeated with `refill`. */
typedef struct {
    size_t calls; /* made, without one that raised the flag; so many values stand, unless they are void */
    bool wrote;   /* the callback wrote into x */
} hf_swept;

/* Evaluate at `points` points.
 *   x (n), work (2n), out (points); for a gradient callback out (points, n) */
hf_swept hf_sweep(const hf_function *f, size_t n, const double *x, size_t points, const int32_t *index,
                  const double *value, double *work, double *out);

/* The same at the points of pairs first .. last-1 as hf_pair_points numbers them, without writing them down.
 *   out (last-first, m) */
hf_swept hf_sweep_pairs(const hf_function *f, size_t n, const double *x, const hf_nodes *axes, size_t first,
                        size_t last, double *work, double *out);

/* The same at the rows of X (points, n). Each row is copied for its call: values stand whatever the callback wrote.
 *   work (n) */
hf_swept hf_sweep_rows(const hf_function *f, size_t n, size_t points, const double *X, double *work, double *out);

/* The same at x itself, which the callback may spoil; false where the flag was raised. */
bool hf_evaluate(const hf_function *f, size_t n, double *x, double *out);

/* ---- Assembly -----------------------------------------------------------------------------------------------------*/

/* f at x and along n axes, at the m nodes that each has in a formula of pairs. */
typedef struct {
    double f0;
    const double *values;        /* (n, m) */
    const double *inverse_steps; /* (n, m) 1 / (steps really taken) */
} hf_axis_values;

/* H_ij = sum_k weight[k] psi_k / (a_ik a_jk) for pairs first .. last-1, into the strict lower triangle,
 * psi_k = (f_ijk - f_ik) - (f_jk - f0).
 *   weights (m), values (last-first, m), H (n, ldh) */
void hf_assemble_pairs(size_t m, const double *weights, const hf_axis_values *axes, size_t first, size_t last,
                       const double *values, double *H, size_t ldh);

/* First and second derivatives along an axis from f at its m nodes. One-sided: m weights of the slopes
 * s_k = (f_k - f0) / a_k, the second derivative being 2 / a_0 times their sum. Symmetric: m / 2 weights of the levels,
 * nodes 2l and 2l + 1 being +-t_l. Sums run over the nodes or levels in their order. */
typedef enum { HF_SYMMETRIC, HF_ONE_SIDED } hf_family;

typedef struct {
    hf_family family;
    size_t m;
    const double *slope_weights, *curvature_weights;
} hf_axis_formula;

/* values (n, m), steps (n, m) really taken; slope (n), curvature (n)  out */
void hf_assemble_axes(const hf_axis_formula *formula, double f0, size_t n, const double *values, const double *steps,
                      double *slope, double *curvature);

/* Copy the strict lower triangle into the upper one. H (n, ldh) */
void hf_mirror_lower(size_t n, double *H, size_t ldh);

/* ---- Error parts of pair entries (csrc/bars.c) ---------------------------------------------------------------------*/
enum { HF_MAX_ORDER = 16 };  /* room for the coefficients of a pair; more than any formula of doubles is worth */

typedef struct {
    size_t m;                   /* order, at most HF_MAX_ORDER */
    const double *weights;      /* (m) of s_k in H_ij */
    const double *coefficients; /* (m, m) row l: weights of s_k in c_{l+2} */
    double product;             /* |t_1 t_2 .. t_m| */
    double noise;               /* standard deviation of H_ij in units of that of f over h_i h_j */
} hf_pair_formula;

/* Standard deviation of f's noise at a value F: sqrt(level^2 + growth^2 |F - f0| + (relative F)^2). */
typedef struct {
    double level, growth, relative;
} hf_noise;

/* Where entries and their two errors are written. */
typedef struct {
    double *value, *truncation, *condition;
} hf_parts;

/* Entries from s_k = psi_k / (a_ik a_jk).
 *   s (count, m), rate (count) ratio at which the axes' coefficients fall, noise (count) that of f over |h_i h_j|;
 *   each part (count)  out */
void hf_pair_parts(const hf_pair_formula *formula, size_t count, const double *s, const double *rate,
                   const double *noise, hf_parts out);

/* hf_assemble_pairs, the same bits, with the error parts. rate (n); each part (n, ld) */
void hf_assemble_parts(const hf_pair_formula *formula, const hf_noise *noise, const hf_axis_values *axes,
                       const double *rate, size_t first, size_t last, const double *values, hf_parts out, size_t ld);

/* ---- Symmetric matrices given by one triangle ----------------------------------------------------------------------
 *
 * Memory holds the lower triangle by rows, entries 0 .. i of row i one after the other, or by columns, entries j .. n-1
 * of column j: the upper triangle of a row-major matrix is the lower one by columns. A row or column begins ld entries
 * after the one before; what stands between them may be anything. Packed, they follow without gaps: n(n+1)/2 entries.
 */
typedef enum { HF_BY_ROWS, HF_BY_COLUMNS } hf_order;

typedef struct {
    const void *data;
    size_t n;
    size_t ld; /* >= n, entry (i, j) is at i ld + j by rows, j ld + i by columns; ignored where packed */
    hf_order order;
    bool packed;
    hf_storage storage;
} hf_triangle;

/* Sums are formed in blocks of HF_BLOCK rows. Blocks may be done in any order and by any thread; their values, added
 * by hf_sum_blocks, are the same bits. */
enum { HF_BLOCK = 128 };

/* Vectors that one pass over H serves. */
enum { HF_VECTORS = 8 };

static inline size_t hf_blocks(size_t n) { return (n + HF_BLOCK - 1) / HF_BLOCK; }

typedef struct {
    double value; /* g'Hg */
    double size;  /* |g|'|H||g|; zero from kernels that form no sizes */
} hf_sums;

/* A number in twice the precision, high + low. */
typedef struct { double high, low; } hf_twofold;

/* Knuth's TwoSum of the high parts; what it leaves and the low parts are added in double. */
static inline hf_twofold hf_add_twofold(hf_twofold a, hf_twofold b)
{
    const double sum = a.high + b.high, of_b = sum - a.high;
    const double left = (a.high - (sum - of_b)) + (b.high - of_b);
    return (hf_twofold){sum, (a.low + b.low) + left};
}

/* ---- Sums of partial sums --------------------------------------------------------------------------------------------
 *
 * By the pairwise tree: neighbours are added, then neighbours of those, until one is left. Overwrite what they add.
 */
hf_sums hf_sum_blocks(size_t count, hf_sums *block);
hf_twofold hf_sum_twofold(size_t count, hf_twofold *block);
double hf_sum_panels(size_t count, double *panel); /* of vectors: below */

/* ---- Kernels compiled for several SIMD levels ----------------------------------------------------------------------*/

/* Blocks first .. last-1 of g'Hg: g (H->n), block (last-first) out. */
typedef void hf_quadform_fn(const hf_triangle *H, const double *g, size_t first, size_t last, hf_sums *block);

/* Values of `count` matrices of H->n <= HF_BLOCK rows, H the first, each `stride` entries after the one before:
 * G (count, H->n), out (count). */
typedef void hf_quadform_stack_fn(const hf_triangle *H, size_t count, ptrdiff_t stride, const double *G, double *out);

/* Blocks first .. last-1 for k <= HF_VECTORS vectors: G (k, H->n), block (k, blocks_ld >= last-first) out; no sizes. */
typedef void hf_quadform_vectors_fn(const hf_triangle *H, size_t k, const double *G, size_t first, size_t last,
                                    size_t blocks_ld, hf_sums *block);

/* Blocks of g'Hg summed as in twice the precision; NaN where the sum overflows or meets inf. */
typedef void hf_quadform_compensated_fn(const hf_triangle *H, const double *g, size_t first, size_t last,
                                        hf_twofold *block);

/* Average rows first .. last-1 of G with the columns that mirror them, left of the diagonal: G becomes symmetric once
 * every row was done, in any order and by any thread. G (>= last, ld) */
typedef void hf_symmetrize_fn(size_t first, size_t last, double *G, size_t ld);

/* The sum of x (n) in no promised order: reads memory as fast as one thread can. */
typedef double hf_read_fn(size_t n, const double *x);

typedef struct {
    hf_quadform_fn *quadform;       /* no sizes */
    hf_quadform_fn *quadform_sized; /* the same values, and sizes */
    hf_quadform_stack_fn *quadform_stack;
    hf_quadform_vectors_fn *quadform_vectors;
    hf_quadform_compensated_fn *quadform_compensated;
    hf_symmetrize_fn *symmetrize;
    hf_read_fn *read;
} hf_kernels;

typedef enum { HF_SIMD_OK, HF_SIMD_UNKNOWN, HF_SIMD_UNSUPPORTED } hf_simd_status;

/* The kernels of the level called `level`, or of the best one that this processor has where it is NULL or "".
 * UNKNOWN: no such level was built; UNSUPPORTED: this processor lacks it. `name` receives the level's name. */
hf_simd_status hf_choose_simd(const char *level, hf_kernels *kernels, const char **name);

/* The name of built level number l, best first; NULL beyond the last. */
const char *hf_simd_name(size_t l);

/* The compiler that built this library, and with what options. */
const char *hf_compiler(void);
const char *hf_compiler_options(void);

/* ---- Vectors of any length -----------------------------------------------------------------------------------------
 *
 * A sum is returned as one number a panel of HF_PANEL coordinates, sums (ceil(n / HF_PANEL)), which hf_sum_panels adds:
 * threads may take ranges that begin at whole panels.
 */
enum { HF_PANEL = 1024 };

typedef struct {
    const void *data;
    hf_storage storage;
} hf_vector;

/* p = x + t v; p (n) may be x. */
void hf_line_point(size_t n, hf_vector x, hf_vector v, double t, double *p);

/* sum x_i y_i and sum v_i (a_i - b_i), by panels. */
void hf_dot(size_t n, hf_vector x, hf_vector y, double *sums);
void hf_dot_difference(size_t n, hf_vector v, hf_vector a, hf_vector b, double *sums);

/* sum (x_i y_i)^2, by panels. */
void hf_dot_square(size_t n, hf_vector x, hf_vector y, double *sums);

/* By panels: sum (s v_i)^2, sum (s v_i)^2 log2(typ_i / |v_i|) with typ_i = |x_i| or 1 and log2 good to 0.09,
 * sum (s' x_i)^2; s = v_scale, s' = x_scale keep the squares in range. */
void hf_line_sums(size_t n, hf_vector x, hf_vector v, double v_scale, double x_scale, double *square,
                  double *weighted, double *x_square);

/* Set seen[e] (2048) to 1 for each biased exponent e of an x_i; e is 0 for zero, 1 for subnormal numbers. */
void hf_octaves(size_t n, hf_vector x, unsigned char *seen);

#endif
