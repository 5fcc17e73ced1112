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
FRONT = {
    "algebra": {"_quadform", "quadratic", "symmetric", "vectors"},
    "calls": {
        "complex_lane", "evaluator", "foreign", "functions", "hessians", "lanes", "line", "points", "run", "team"
    },
    "complexsteps": {"search"},
    "gradients": {"balance", "columns", "levels", "line", "noise", "norms", "search"},
    "models": {"descent", "step_length", "taylor"},
    "values": {
        "axes", "bars", "ladder", "layout", "line", "noise", "plan", "plateaus", "policy", "products", "search",
        "stencils", "sweep", "tables"
    },
}  # fmt: skip
"""The rooms of a wing that others may enter."""

DOORS = {
    "algebra": set(),
    "complexsteps": {"calls.points"},
    "gradients": {"calls.points"},
    "models": {"calls.hessians", "calls.points", "calls.run"},
    "values": {"calls.points"},
}
"""The rooms by which a wing reaches f: derivatives know the points that they want, and only models drive."""

THREADED = {"algebra.quadratic", "algebra.vectors", "calls.team", "config"}
"""The rooms that start or stop threads; `config` measures with them."""

ROOMS = {*PATHS, *(".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("*.pyx"))}


class _Running(ast.NodeTransformer):
    """Leaves out what only type checkers import."""

    def visit_If(self, node):
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else node


def imported(path, with_types=False):
    """Return the rooms that a file imports, by their names below the package."""
    found = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree if with_types else _Running().visit(tree)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "hessfast":
            inside = node.module.split(".")[1:]
            named = {".".join([*inside, alias.name]) for alias in node.names}
            found |= named & ROOMS if named & ROOMS else {".".join(inside)}
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[2] for alias in node.names if alias.name.startswith("hessfast.")}
    return found


def outside(path):
    """Return the top-level names of what a file imports from elsewhere."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module.split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


@pytest.mark.parametrize("with_types", [False, True], ids=["running", "with types"])
def test_no_import_circle(with_types):
    try:
        TopologicalSorter({name: imported(path, with_types) for name, path in PATHS.items()}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def wing(room):
    return room.rpartition(".")[0]


@pytest.mark.parametrize("name", PATHS)
def test_a_wing_is_entered_by_its_front_rooms(name):
    others = [room for room in imported(PATHS[name]) if wing(room) not in ("", wing(name))]
    assert [room for room in others if room.rpartition(".")[2] not in FRONT[wing(room)]] == []


@pytest.mark.parametrize("name", [name for name in PATHS if wing(name) in DOORS])
def test_a_wing_reaches_f_by_its_doors(name):
    assert {room for room in imported(PATHS[name]) if wing(room) == "calls"} <= DOORS[wing(name)]


def test_no_room_but_these_has_threads():
    pools = {"_thread", "concurrent", "multiprocessing", "threading"}
    users = {name for name, path in PATHS.items() if pools & outside(path)}
    assert users == THREADED


def test_every_room_stands_on_the_map():
    tree = (Path(__file__).resolve().parent.parent / "CONTRIBUTING.md").read_text().split("```")[1]
    tree = tree[tree.index("src/hessfast/") : tree.index("\ntests/")]
    drawn, at = set(), ""
    for line in tree.splitlines():
        first = line.split()[0] if line.strip() else ""
        if line.startswith("  ") and not line.startswith("   ") and first.endswith("/"):
            at = first.replace("/", ".")
        if first.endswith((".py", ".pyx")):
            drawn.add((at if line.startswith("   ") else "") + first.rpartition(".")[0])
    assert drawn == ROOMS


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
