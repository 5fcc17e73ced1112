"""How large the library is: lines of Python code and named numbers of the searches, here or at any revisions.

    python bench/size.py                  # the working tree
    python bench/size.py 1e0b5ae HEAD     # two revisions beside each other
    python bench/size.py HEAD --each      # and the named numbers themselves

A line counts where code stands on it: docstrings, comments and blank lines do not. A named number is a name in capitals
that a module gives a number, or numbers, or a field of a class called a policy with a number for its default. Those of
the searches are in values/, gradients/, complexsteps/ and scale.py. Machine constants that NumPy tells are not counted.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
SOURCE = PurePosixPath("src/hessfast")
SEARCHES = ("values", "gradients", "complexsteps", "scale.py")

# Modules as they were called before there were wings, under the wing that they went to.
FLAT = {
    "algebra": "quadratic symmetric vectors",
    "calls": "complexlanes execution functions lanes neighbourhood njit",
    "complexsteps": "complexstep",
    "gradients": "balance directional gradientladder gradientsearch jacobian",
    "models": "descent picture step_length taylor",
    "values": "bars crosses differences ladder noise plan refinement sides stencils steps",
}
WENT_TO = {f"{module}.py": wing for wing, modules in FLAT.items() for module in modules.split()}

SILENT_TOKENS = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
    *(tokenize.ENCODING, tokenize.ENDMARKER),
}


def sources(revision: str | None) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield the Python files of the library, by their paths below it, and what is in them."""
    if revision is None:
        for file in sorted((ROOT / SOURCE).rglob("*.py")):
            yield PurePosixPath(file.relative_to(ROOT / SOURCE).as_posix()), file.read_text()
        return
    for name in git("ls-tree", "-r", "--name-only", revision, f"{SOURCE}/").splitlines():
        if name.endswith(".py"):
            yield PurePosixPath(name).relative_to(SOURCE), git("show", f"{revision}:{name}")


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def wings(files: list[PurePosixPath]) -> dict[PurePosixPath, str]:
    """Return the wing of each file; where there are no wings yet, the one that it went to."""
    is_flat = all(len(file.parts) == 1 for file in files)
    return {
        file: WENT_TO.get(file.name, "the root") if is_flat else file.parts[0] if len(file.parts) > 1 else "the root"
        for file in files
    }


def code_lines(text: str) -> int:
    """Count the lines on which code stands."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in SILENT_TOKENS:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            assert node.end_lineno is not None
            lines.difference_update(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def is_numeric(node: ast.expr | None) -> bool:
    """Return whether an expression is made of numbers that someone chose."""
    match node:
        case ast.Constant(value=value):
            return type(value) in (int, float)
        case ast.UnaryOp(operand=part) | ast.Lambda(body=part):
            return is_numeric(part)
        case ast.BinOp(left=left, right=right):
            return is_numeric(left) or is_numeric(right)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Dict(values=parts):
            return bool(parts) and all(is_numeric(part) for part in parts)
        case ast.Call(func=ast.Attribute(attr="empty")):
            return False
        case ast.Call(args=parts, keywords=named):
            return any(is_numeric(part) for part in (*parts, *(keyword.value for keyword in named)))
    return False


def assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield the names that a statement gives values, each with its own where several are given at once."""
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            yield name, value
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
            for name, value in zip(names, values, strict=False):
                if isinstance(name, ast.Name):
                    yield name.id, value


def named_numbers(text: str) -> list[str]:
    """Return the names in capitals that a module gives numbers, and the fields of its policies."""
    body = ast.parse(text).body
    policies = [node for node in body if isinstance(node, ast.ClassDef) and node.name.lower().endswith("policy")]
    constants = [pair for node in body for pair in assigned(node) if pair[0].isupper()]
    fields = [pair for policy in policies for node in policy.body for pair in assigned(node)]
    return [name for name, value in (*constants, *fields) if is_numeric(value)]


def count(revision: str | None) -> tuple[Counter[str], dict[PurePosixPath, list[str]]]:
    """Return the lines of each wing, and the named numbers of each file of the searches."""
    texts = dict(sources(revision))
    wing = wings(list(texts))
    lines: Counter[str] = Counter()
    for file, text in texts.items():
        lines[wing[file]] += code_lines(text)
    searches = [file for file in texts if wing[file] in SEARCHES or file.name in SEARCHES]
    return lines, {file: named_numbers(texts[file]) for file in searches}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revisions", nargs="*", help="the working tree where none is named")
    parser.add_argument("--each", action="store_true", help="list the named numbers")
    options = parser.parse_args()
    revisions: list[str | None] = options.revisions or [None]
    counts = [count(revision) for revision in revisions]
    print(f"{'lines of Python code':<32}" + "".join(f"{revision or 'here':>12}" for revision in revisions))
    for wing in sorted({wing for lines, _ in counts for wing in lines}):
        print(f"{wing:<32}" + "".join(f"{lines[wing]:12}" for lines, _ in counts))
    print(f"{'all':<32}" + "".join(f"{lines.total():12}" for lines, _ in counts))
    totals = [sum(map(len, numbers.values())) for _, numbers in counts]
    print(f"{'named numbers of the searches':<32}" + "".join(f"{total:12}" for total in totals))
    if options.each:
        for revision, (_, numbers) in zip(revisions, counts, strict=True):
            print(f"\n{revision or 'here'}")
            for file, names in numbers.items():
                print(f"  {file!s:<28} {len(names):3}  {' '.join(names)}")


if __name__ == "__main__":
    main()
