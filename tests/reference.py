"""Slow twins of the kernels: the formula in the promised order of sums, or in exact arithmetic."""

from fractions import Fraction


def quadratic_form_exact(H, g):
    """Return gᵀHg from the lower triangle as a Fraction."""
    H = [[Fraction(float(entry)) for entry in row] for row in H]
    g = [Fraction(float(entry)) for entry in g]
    total = Fraction(0)
    for i in range(len(g)):
        total += g[i] * (2 * sum(H[i][j] * g[j] for j in range(i)) + H[i][i] * g[i])
    return total


def quadratic_form(H, g):
    """Return gᵀHg by the order of sums of csrc/quadform.c, entry by entry."""
    n = len(g)
    blocks = []
    for start in range(0, n, 128):
        block = 0.0
        for i in range(start, min(start + 128, n), 8):
            block += _panel(H, g, i, min(8, n - i))
        blocks.append(block)
    while len(blocks) > 1:
        blocks = [_in_order(blocks[b : b + 2]) for b in range(0, len(blocks), 2)]
    return float(blocks[0]) if blocks else 0.0


def _panel(H, g, i, rows):
    lanes = [0.0] * 4
    for j in range(i if rows < 8 else i + 7):
        p = [g[i + r] * H[i + r, j] if j < i + r else 0.0 for r in range(rows)] + [0.0] * (8 - rows)
        lanes[j % 4] += _tree(p) * g[j]
    left = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
    d = [H[i + r, i + r] * g[i + r] * g[i + r] for r in range(rows)]
    if rows == 8:
        return _tree(d) + 2.0 * left
    below = 0.0
    for r in range(rows):
        below += _in_order(H[i + r, i + c] * g[i + c] for c in range(r)) * g[i + r]
    return 2.0 * (left + below) + _in_order(d)


def _in_order(terms):
    total = 0.0
    for term in terms:
        total += term
    return total


def _tree(p):
    return ((p[0] + p[4]) + (p[1] + p[5])) + ((p[2] + p[6]) + (p[3] + p[7]))
