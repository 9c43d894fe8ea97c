"""The package is NumPy alone: no file imports anything else, of convolve or of others."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import convolve.from_scratch

FILES = sorted(Path(convolve.from_scratch.__file__).parent.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module or ""


def test_numpy_alone() -> None:
    assert len(FILES) > 20
    for path in FILES:
        for name in imported(path):
            own = name == "convolve.from_scratch" or name.startswith("convolve.from_scratch.")
            assert own or name.split(".")[0] in {"numpy", *sys.stdlib_module_names}, f"{path.name} imports {name}"
