"""The limits on the code: how long files and functions may be, and how many parameters a function may take.

``python tools/limits.py [FOLDER ...]`` measures every Python file below the folders (``src`` unless named), prints each
file and function over a limit, and exits with 1 if there is any. Lines are counted as they are, docstrings and blank
lines included. ruff checks complexity and that public names are documented.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

FILE_LINES = 400
PAPER_LINES = 200
"""For a paper's file: one in ``convolve/models`` that lists its ``VARIANTS``."""
FUNCTION_LINES = 60
PARAMETERS = 6
_GENERATED = frozenset({"api.py"})


def violations(path: Path) -> Iterator[str]:
    """A line for the file and for each of its functions, nested ones included, that is over a limit."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source, str(path))
    lines, limit = len(source.splitlines()), file_limit(path)
    if lines > limit:
        yield f"{path}: {lines} lines, at most {limit}"
    bound = {method for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for method in _bound_methods(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            parameters = _parameter_count(node.args) - (node in bound)
            if lines > FUNCTION_LINES:
                yield f"{path}:{node.lineno} {node.name}: {lines} lines, at most {FUNCTION_LINES}"
            if parameters > PARAMETERS:
                yield f"{path}:{node.lineno} {node.name}: {parameters} parameters, at most {PARAMETERS}"


def file_limit(path: Path) -> int:
    """How many lines a file may have."""
    paper = path.parent.parts[-2:] == ("convolve", "models") and "\nVARIANTS" in path.read_text(encoding="utf-8")
    return PAPER_LINES if paper else FILE_LINES


def _bound_methods(cls: ast.ClassDef) -> Iterator[ast.AST]:
    """The methods whose first parameter the caller does not pass."""
    for node in cls.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
            if "staticmethod" not in decorators:
                yield node


def _parameter_count(arguments: ast.arguments) -> int:
    named = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
    return named + (arguments.vararg is not None) + (arguments.kwarg is not None)


def main(folders: Sequence[str]) -> int:
    """Print what is over a limit; 1 if anything is."""
    paths = sorted(
        path for folder in folders or ["src"] for path in Path(folder).rglob("*.py") if path.name not in _GENERATED
    )
    found = [violation for path in paths for violation in violations(path)]
    print(*found, f"files: {len(paths)}, over a limit: {len(found)}", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
