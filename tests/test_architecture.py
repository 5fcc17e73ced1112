"""The rules of the house: no import circle, wings enter each other by their front rooms, importing it all is cheap."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import hessfast

SOURCE = Path(hessfast.__file__).parent
PATHS = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts): path
    for path in sorted(SOURCE.rglob("*.py"))
    if path.stem != "__init__"
}
ROOMS = {*PATHS, *(".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("*.pyx"))}


class _Running(ast.NodeTransformer):
    """Leaves out what only type checkers import."""

    def visit_If(self, node):
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else node


def imported(path):
    """Return the rooms that a file imports, by their names below the package."""
    found = set()
    for node in ast.walk(_Running().visit(ast.parse(path.read_text()))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "hessfast":
            inside = node.module.split(".")[1:]
            named = {".".join([*inside, alias.name]) for alias in node.names}
            found |= named & ROOMS if named & ROOMS else {".".join(inside)}
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("hessfast.")}
    return found


def test_no_import_circle():
    try:
        TopologicalSorter({name: imported(path) for name, path in PATHS.items()}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("name", PATHS)
def test_what_a_module_imports_is_there(name):
    assert imported(PATHS[name]) <= ROOMS


def test_import_pulls_in_numpy_alone():
    code = (
        "import sys, numpy; before = set(sys.modules); import hessfast;"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split() if "cython" not in name} <= {"hessfast", "numpy"}
