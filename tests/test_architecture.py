"""The floors of the house: a module imports only from floors below its own; importing it all is cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hessfast

SOURCE = Path(hessfast.__file__).parent
FLOORS = [
    {"alarms", "arithmetic", "arrays", "listing", "resolution", "scale", "workers"},
    {"covariance"},
    {"_bars", "_core", "_quadform", "_vectors", "stencils", "results", "njit"},
    {"config", "noise", "picture", "functions", "quadratic", "vectors"},
    {"jacobian", "ladder", "lanes", "symmetric"},
    {"sides"},
    {"complexlanes", "execution", "bars", "gradientladder", "steps", "step_length"},
    {"complexstep", "plan", "plateaus", "problem", "refinement"},
    {"neighbourhood", "ripples"},
    {"differences", "gradientsearch"},
    {"directional"},
    {"balance"},
    {"crosses", "derivatives", "hessian", "matrixfree"},
    {"operators"},
    {"check", "taylor"},
    {"descent"},
]


class _Running(ast.NodeTransformer):
    """Leaves out what only type checkers import."""

    def visit_If(self, node):
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else node


def imported(path):
    for node in ast.walk(_Running().visit(ast.parse(path.read_text()))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "hessfast":
            tail = node.module.split(".")[1:]
            yield from tail or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("hessfast."))


@pytest.mark.parametrize("path", sorted(SOURCE.glob("*.py")), ids=lambda path: path.stem)
def test_a_module_imports_only_from_floors_below(path):
    if path.stem == "__init__":
        return
    floor = {name: level for level, rooms in enumerate(FLOORS) for name in rooms}
    assert path.stem in floor, f"{path.stem} stands on no floor"
    above = [name for name in imported(path) if floor[name] >= floor[path.stem]]
    assert above == []


def test_import_pulls_in_numpy_alone():
    code = (
        "import sys, numpy; before = set(sys.modules); import hessfast;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split() if "cython" not in name} <= {"hessfast", "numpy"}
