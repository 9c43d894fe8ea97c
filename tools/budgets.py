"""The code's budgets: how long files and functions may be, and how many parameters a function may take.

``python tools/budgets.py [FOLDER ...]`` measures every Python file below the folders (``src`` unless named), prints the
figures beside their budgets and each place that is over one, and leaves with 1 if there is any. Lines are counted as
they stand, docstrings and blank lines too. That public names are documented is ruff's part (its D rules).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

LONGEST_FILE = 300
MEDIAN_FILE = 120
LONGEST_FUNCTION = 40
MEDIAN_FUNCTION = 8
NINE_IN_TEN_FUNCTIONS = 25
MOST_PARAMETERS = 6


@dataclass(frozen=True)
class Measured:
    """A file or a function: where it stands, its length in lines, its parameters without ``self`` (a file has none)."""

    place: str
    lines: int
    parameters: int = 0


@dataclass(frozen=True)
class Figure:
    """One figure of all the code beside the most that it may be."""

    name: str
    found: float
    budget: float


def functions(path: Path) -> Iterator[Measured]:
    """Every function and method of a file, nested ones too; decorators are not counted."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    bound = {method for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for method in _bound(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Measured(f"{path}:{node.lineno} {node.name}", length, _parameters(node.args) - (node in bound))


def _bound(cls: ast.ClassDef) -> Iterator[ast.AST]:
    """The methods whose first parameter the caller does not write."""
    for node in cls.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {decorator.id for decorator in node.decorator_list if isinstance(decorator, ast.Name)}
            if "staticmethod" not in decorators:
                yield node


def _parameters(arguments: ast.arguments) -> int:
    named = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
    return named + (arguments.vararg is not None) + (arguments.kwarg is not None)


def figures(files: Sequence[Measured], found: Sequence[Measured]) -> list[Figure]:
    """The table: files first, then the functions ``found`` in them."""
    lengths = sorted(function.lines for function in found) or [0]
    return [
        Figure("longest file", max((file.lines for file in files), default=0), LONGEST_FILE),
        Figure("median file", median([file.lines for file in files] or [0]), MEDIAN_FILE),
        Figure("longest function", lengths[-1], LONGEST_FUNCTION),
        Figure("median function", median(lengths), MEDIAN_FUNCTION),
        Figure("nine in ten functions", lengths[-(-len(lengths) * 9 // 10) - 1], NINE_IN_TEN_FUNCTIONS),
        Figure("most parameters", max((function.parameters for function in found), default=0), MOST_PARAMETERS),
    ]


def violations(files: Sequence[Measured], found: Sequence[Measured]) -> Iterator[str]:
    """A sentence for each figure and place over its budget."""
    for file in files:
        if file.lines > LONGEST_FILE:
            yield f"{file.place}: {file.lines} lines, at most {LONGEST_FILE}"
    for function in found:
        if function.lines > LONGEST_FUNCTION:
            yield f"{function.place}: {function.lines} lines, at most {LONGEST_FUNCTION}"
        if function.parameters > MOST_PARAMETERS:
            yield f"{function.place}: {function.parameters} parameters, at most {MOST_PARAMETERS}"


def main(folders: Sequence[str]) -> int:
    """Print the table and what is over budget; 1 if anything is."""
    paths = sorted(path for folder in folders or ["src"] for path in Path(folder).rglob("*.py"))
    files = [Measured(str(path), len(path.read_text(encoding="utf-8").splitlines())) for path in paths]
    found = [function for path in paths for function in functions(path)]
    table = figures(files, found)
    print(f"{len(files)} files, {len(found)} functions")
    for figure in table:
        print(f"{figure.name:<24}{figure.found:>6g}  budget {figure.budget:g}")
    for violation in violations(files, found):
        print(violation)
    return int(any(figure.found > figure.budget for figure in table))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
