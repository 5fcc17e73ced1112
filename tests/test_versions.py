"""Results do not depend on the version of Python: its `sum` rounds floats otherwise from 3.12 on."""

import ast
import math
import re
from pathlib import Path

import numpy as np
import pytest

import hessfast
from hessfast import TaylorModel, quadratic_form
from hessfast.gradients.line import SlopeCurvatures, _slope_noise, extension, richardson
from hessfast.values.stencils import stencil

SOURCE = Path(hessfast.__file__).parent
COUNTS = {"calls", "nfev", "njev"}

X = np.array([0.75, -1.25, 2.5, 0.375])
G = np.array([0.3, -0.7, 1.1, 0.9])
H = np.array([[2.1, 0.3, -0.4, 0.7], [0.3, 1.7, 0.2, -0.6], [-0.4, 0.2, 3.3, 0.1], [0.7, -0.6, 0.1, 0.9]])


def rational(x):
    """A function of exactly rounded operations alone."""
    total = 0.0
    for i in range(len(x)):
        here, there = float(x[i]), float(x[(i + 1) % len(x)])
        total += (i + 1.0) * here * here * there / (2.0 + here * here) + math.sqrt(3.0 + here * here + there)
    return total


def slope(x):
    """The gradient of xᵀHx / 2 and the sum of log(1 + x_i²) / 2, in the order of the loops."""
    result = np.empty(len(x))
    for i in range(len(x)):
        total = float(x[i]) / (1.0 + float(x[i]) * float(x[i]))
        for j in range(len(x)):
            total += float(H[i, j]) * float(x[j])
        result[i] = total
    return result


def counts(call):
    """Whether what a call of `sum` adds up can only be whole numbers."""
    terms = call.args[0]
    if not isinstance(terms, ast.GeneratorExp | ast.ListComp):
        return False
    term = terms.elt
    return (
        isinstance(term, ast.Compare)
        or (isinstance(term, ast.Attribute) and term.attr in COUNTS)
        or (isinstance(term, ast.Constant) and isinstance(term.value, int))
        or (isinstance(term, ast.Call) and isinstance(term.func, ast.Name) and term.func.id in {"bool", "int", "len"})
    )


def sums(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sum":
            yield node


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.stem)
def test_the_builtin_sum_adds_counts_only(path):
    assert [ast.unparse(call) for call in sums(ast.parse(path.read_text())) if not counts(call)] == []


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.pyx")), ids=lambda path: path.stem)
def test_no_binding_sums_in_python(path):
    assert re.findall(r"(?<![\w.])sum\(.*", path.read_text()) == []


def test_levels_are_combined_from_the_left_and_rounded_at_every_term():
    differences = object.__new__(SlopeCurvatures)
    differences.D = {0: 1e16, 1: 1.0, 2: -1e16}
    assert differences.combine(0, (1.0, 1.0, 1.0)) == 0.0
    differences.D = {level: np.array([value]) for level, value in differences.D.items()}
    assert differences.combine(0, (1.0, 1.0, 1.0)).tolist() == [0.0]


def model_values():
    model = TaylorModel(X, 1.3, G, H)
    return [*model.terms(0.37), model.along(0.37), model.step().step_length]


RESULTS = {
    "richardson": lambda: [*richardson(2), *richardson(3), *richardson(4)],
    "extension": lambda: [*extension(1), *extension(2), *extension(3)],
    "noise of extrapolated slopes": lambda: [_slope_noise(q) for q in (1, 2, 3, 4)],
    "weights of order 4": lambda: [*stencil(4).pair_weights, *stencil(4).diagonal_weights],
    "weights of order 6": lambda: [*stencil(6).pair_weights, *stencil(6).diagonal_weights],
    "weights of one side": lambda: [
        *stencil(4, one_sided=True).pair_weights,
        *stencil(2, one_sided=True).diagonal_weights,
    ],
    "hessian from values": lambda: hessfast.hessian(rational, X, abs_step=2.0**-9)[np.tril_indices(4)],
    "hessian at order 2": lambda: hessfast.hessian(rational, X, abs_step=2.0**-9, order=2)[np.tril_indices(4)],
    "hessian from gradients": lambda: hessfast.hessian(None, X, jac=slope, abs_step=2.0**-9)[np.tril_indices(4)],
    "quadratic form": lambda: [quadratic_form(H, G), quadratic_form(H[:3, :3], G[:3])],
    "Taylor model": model_values,
}

BITS = {
    "richardson": """
        0x1.5555555555555p+0 -0x1.5555555555555p-2 0x1.6c16c16c16c16p+0 -0x1.c71c71c71c71cp-2 0x1.6c16c16c16c16p-6
        0x1.71de3a556c732p+0 -0x1.e573ac901e573p-2 0x1.e573ac901e572p-6 -0x1.71de3a556c732p-12
    """,
    "extension": """
        0x1.5555555555554p-2 -0x1.5555555555555p-2 0x1.6c16c16c16c10p-4 -0x1.c71c71c71c71cp-4 0x1.6c16c16c16c16p-6
        0x1.71de3a556c700p-6 -0x1.e573ac901e570p-6 0x1.e573ac901e570p-8 -0x1.71de3a556c732p-12
    """,
    "noise of extrapolated slopes": """
        0x1.6a09e667f3bcdp-1 0x1.e6798fa42c3e4p-1 0x1.04934dfec4fc6p+0 0x1.09093ba7712f9p+0
    """,
    "weights of order 4": """
        0x1.5555555555555p-1 0x1.5555555555555p-1 -0x1.5555555555555p-3 -0x1.5555555555555p-3 0x1.5555555555555p+0
        -0x1.5555555555555p-2
    """,
    "weights of order 6": """
        0x1.6c16c16c16c17p-1 0x1.6c16c16c16c17p-1 -0x1.c71c71c71c71cp-3 -0x1.c71c71c71c71cp-3 0x1.6c16c16c16c17p-7
        0x1.6c16c16c16c17p-7 0x1.6c16c16c16c17p+0 -0x1.c71c71c71c71cp-2 0x1.6c16c16c16c17p-6
    """,
    "weights of one side": """
        0x1.0000000000000p+2 -0x1.8000000000000p+2 0x1.0000000000000p+2 -0x1.0000000000000p+0 -0x1.4000000000000p+1
        0x1.0000000000000p+2 -0x1.8000000000000p+0
    """,
    "hessian from values": """
        0x1.7d22d926aaaaap-2 0x1.66a3abb100000p-2 -0x1.ef0922acaaaaap-1 0x1.5555555555555p-35 -0x1.825f8145aaaaap-1
        -0x1.1adf5b7555555p-5 0x1.48f32a4595555p+0 -0x1.4000000000000p-32 0x1.987bf8e1aaaaap-2 0x1.34990cedc0000p+1
    """,
    "hessian at order 2": """
        0x1.7d229a4800000p-2 0x1.66a37e8c00000p-2 -0x1.ef08dff400000p-1 0x0.0p+0 -0x1.825f7adc00000p-1
        -0x1.1adf600000000p-5 0x1.48f2e71900000p+0 -0x1.0000000000000p-32 0x1.987c066400000p-2 0x1.3499011d00000p+1
    """,
    "hessian from gradients": """
        0x1.23bcd35a8bdd5p+1 0x1.3333333333400p-2 0x1.9d452b95e00abp+0 -0x1.9999999999babp-2 0x1.9999999998c00p-3
        0x1.999d7f0e6dd55p+1 0x1.6666666666800p-1 -0x1.3333333333155p-1 0x1.9999999999000p-4 0x1.8f7f550eeaf00p+0
    """,
    "quadratic form": """
        0x1.983126e978d51p+2 0x1.1449ba5e353f8p+2
    """,
    "Taylor model": """
        0x1.4cccccccccccdp+0 -0x1.ec8b439581064p-1 0x1.bf0d47e71f5e8p-2 0x1.8c94f9f7a842ap-1 0x1.a16f57bdda454p-2
    """,
}


@pytest.mark.parametrize("name", RESULTS)
def test_bits_are_those_of_every_version(name):
    assert [float(value).hex() for value in RESULTS[name]()] == BITS[name].split()
