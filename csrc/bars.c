/* Value and error parts of pair entries.
 *
 * With s_k = psi(t_k) / (t_k h_i t_k h_j) the nodes determine c_2 .. c_{m+1} of psi(t)/(h_i h_j) = c_2 t^2 + c_3 t^3 + ...
 * The formula H_ij = sum_k w_k s_k = c_2 leaves out, to leading order, (t_1 .. t_m) c_{m+2}. That coefficient is not
 * known; the two before it are, and so is the ratio r at which such coefficients fall: from the axes, whose expansions
 * are known one order further, and from the pair's own coefficients (the median of their ratios, so that one of them
 * that vanishes by accident does no harm). Hence the truncation error
 *
 *     |t_1 .. t_m| max(|c_{m+1}| r, |c_m| r^2),   r = max(rate_i + rate_j, median), at most 2.
 *
 * The condition error is the noise of f at its largest value in the pair, times the formula's own factor, over h_i h_j.
 */
#include <math.h>

#include "hessfast.h"
#include "pairs.h"

static double median(size_t count, double *values)
{
    for (size_t i = 1; i < count; i++) {
        const double value = values[i];
        size_t place = i;
        for (; place > 0 && values[place - 1] > value; place--) values[place] = values[place - 1];
        values[place] = value;
    }
    return values[count / 2];
}

/* Median of |c_{l+1}/c_l| and |c_{l+2}/c_l|^(1/2); c holds absolute values. */
static double own_rate(size_t m, const double *c)
{
    double ratio[2 * HF_MAX_ORDER];
    size_t count = 0;
    if (m < 2) return 0.0;
    for (size_t l = 0; l + 1 < m; l++) ratio[count++] = c[l] > 0.0 ? c[l + 1] / c[l] : 2.0;
    for (size_t l = 0; l + 2 < m; l++) ratio[count++] = c[l] > 0.0 ? sqrt(c[l + 2] / c[l]) : 2.0;
    return median(count, ratio);
}

static double truncation_error(const hf_pair_formula *formula, const double *s, double rate)
{
    const size_t m = formula->m;
    double c[HF_MAX_ORDER];
    for (size_t l = 0; l < m; l++) {
        double sum = 0.0;
        for (size_t k = 0; k < m; k++) sum += formula->coefficients[l * m + k] * s[k];
        c[l] = fabs(sum);
    }
    const double own = own_rate(m, c);
    double r = rate > own ? rate : own;
    r = r < 2.0 ? r : 2.0;
    const double last = c[m - 1] * r, before = m > 1 ? c[m - 2] * r * r : 0.0;
    return formula->product * (last > before ? last : before);
}

void hf_pair_parts(const hf_pair_formula *formula, size_t count, const double *s, const double *rate,
                   const double *noise, hf_parts out)
{
    const size_t m = formula->m;
    for (size_t p = 0; p < count; p++, s += m) {
        double sum = 0.0;
        for (size_t k = 0; k < m; k++) sum += formula->weights[k] * s[k];
        out.value[p] = sum;
        out.truncation[p] = isnan(sum) ? sum : truncation_error(formula, s, rate[p]);
        out.condition[p] = formula->noise * noise[p];
    }
}

static double noise_at(const hf_noise *noise, double f0, double value)
{
    const double level = noise->level, scaled = fabs(noise->relative * value);
    const double grown = noise->growth > 0.0 ? noise->growth * sqrt(fabs(value - f0)) : 0.0;
    double most = level > scaled ? level : scaled;
    most = most > grown ? most : grown;
    if (!(most > 0.0 && isfinite(most))) return most;
    const double a = level / most, b = grown / most, c = scaled / most; /* squares of f's size may leave the range */
    return most * sqrt(a * a + b * b + c * c);
}

void hf_assemble_parts(const hf_pair_formula *formula, const hf_noise *noise, const hf_axis_values *axes,
                       const double *rate, size_t first, size_t last, const double *values, hf_parts out, size_t ld)
{
    const size_t m = formula->m;
    for (hf_pair pair = hf_pair_at(first); first < last; first++, pair = hf_pair_after(pair), values += m) {
        double s[HF_MAX_ORDER], largest = axes->f0;
        for (size_t k = 0; k < m; k++) {
            s[k] = hf_pair_quotient(axes, m, pair, k, values[k]);
            if (fabs(values[k]) > fabs(largest)) largest = values[k];
        }
        const double area = fabs(axes->inverse_steps[pair.i * m] * axes->inverse_steps[pair.j * m]);
        const double each = noise_at(noise, axes->f0, largest) * area;
        const double rates = rate[pair.i] + rate[pair.j];
        const size_t at = pair.i * ld + pair.j;
        hf_pair_parts(formula, 1, s, &rates, &each,
                      (hf_parts){out.value + at, out.truncation + at, out.condition + at});
    }
}
