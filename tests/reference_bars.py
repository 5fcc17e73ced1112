"""Slow twin of csrc/bars.c: one pair at a time, coefficients from a linear system."""

import numpy as np


def pair_parts(of, s, rate, noise):
    """Return value, truncation error and condition error of one pair from s_k = psi_k / (t_k h_i t_k h_j)."""
    t = np.array(of.pair_nodes, dtype=float)
    value = float(of.pair_weights @ s)
    weights = of.pair_weights / t**2
    condition = noise * np.sqrt(3 * (weights**2).sum() + weights.sum() ** 2)
    if not np.isfinite(s).all():
        return np.nan, np.nan, condition
    c = np.abs(np.linalg.solve(np.vander(t, increasing=True), s))
    ratios = [c[k + 1] / c[k] if c[k] > 0 else 2.0 for k in range(len(c) - 1)]
    ratios += [np.sqrt(c[k + 2] / c[k]) if c[k] > 0 else 2.0 for k in range(len(c) - 2)]
    own = sorted(ratios)[len(ratios) // 2] if ratios else 0.0
    r = min(2.0, max(rate, own))
    before = c[-2] * r**2 if len(c) > 1 else 0.0
    return value, float(np.prod(np.abs(t)) * max(c[-1] * r, before)), condition
