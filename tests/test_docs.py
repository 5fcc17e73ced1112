"""Every example of the documentation runs and prints what it says.

The Python blocks of a page run in order, in one namespace and an empty folder; a `text` block right below one is what
it prints: exactly, but for numbers such as 3e-10, which need the right size only (a factor of 30), and those behind ≈,
which need to be right within 30 %. Blocks of C and Cython are saved under the name in their first line, and the `sh`
blocks of docs/ are run.
"""

import contextlib
import doctest
import importlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hessfast

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$(?:\n*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"(?:/\*|#) (\S+\.(?:c|pyx))\b")
SOURCE = Path(hessfast.__file__).parent
MODULES = sorted(".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("[!_]*.py"))
ROUGH = re.compile(r"\b\d+e[+-]\d+\b|(?<=≈ )\d+(?:\.\d+)?")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(page):
    """Return (language, code, output or None, line) of each block."""
    text = page.read_text()
    return [(*match.groups(), text[: match.start()].count("\n") + 2) for match in BLOCK.finditer(text)]


def run(code, output, where, names):
    """Run a block of Python as if it stood at that line of the page, and compare what it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile("\n" * (where[1] - 1) + code, where[0], "exec"), names)
    if output is not None and not agree(output, printed.getvalue()):
        raise AssertionError(f"{where[0]}:{where[1]} prints\n{printed.getvalue()}instead of\n{output}")


def agree(wanted, printed):
    """Compare what is printed with what is said to be."""
    if not doctest.OutputChecker().check_output(ROUGH.sub("#", wanted), ROUGH.sub("#", printed), FLAGS):
        return False
    pairs = zip(ROUGH.findall(wanted), ROUGH.findall(printed), strict=True)
    return all(1.0 / factor(a) <= float(b) / float(a) <= factor(a) for a, b in pairs)


def factor(number):
    return 30.0 if "e" in number else 1.3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_of_a_page(page, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.syspath_prepend(tmp_path)
    names = {"__name__": "__main__"}
    for language, code, output, line in blocks(page):
        if language in ("c", "cython"):
            Path(NAMED.match(code)[1]).write_text(code)
        elif language == "sh" and page.parent.name == "docs":
            subprocess.run(["sh", "-e"], input=code, text=True, check=True)
        elif language == "python":
            run(code, output, (page.name, line), names)


def test_a_wrong_output_is_found():
    with pytest.raises(AssertionError, match=r"page.md:7 prints\n2"):
        run("print(1 + 1)", "3\n", ("page.md", 7), {})


def test_rough_numbers_are_compared_by_size():
    assert agree("error 3e-10, ≈ 500 points", "error 9e-11, ≈ 473 points")
    assert not agree("error 3e-10", "error 3e-8")
    assert not agree("≈ 500 points", "≈ 800 points")
    assert not agree("500 points", "501 points")


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module(name):
    module = importlib.import_module(f"hessfast.{name}")
    assert doctest.testmod(module, optionflags=FLAGS).failed == 0


def test_every_public_name_has_a_docstring_and_a_place_in_the_reference():
    reference = (ROOT / "docs" / "api.md").read_text()
    for name in hessfast.__all__:
        assert getattr(hessfast, name).__doc__, name
        assert re.search(rf"^\.\. auto\w+:: {name}$", reference, re.MULTILINE), name


def test_the_tree_that_contributing_draws():
    tree = (ROOT / "CONTRIBUTING.md").read_text().split("```")[1]
    drawn = {line.split()[0].rstrip("/") for line in tree.splitlines()[1:] if line and not line.startswith(" ")}
    folders = {path.split("/")[0] for path in tracked() if "/" in path and not path.startswith(".")}
    assert drawn - {"src/hessfast"} == folders - {"src"}


def tracked():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return listed.stdout.splitlines()
