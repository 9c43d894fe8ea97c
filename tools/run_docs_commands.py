"""Run what the docs tell a reader to run: a command that fails there fails here first.

``python tools/run_docs_commands.py [DOCUMENT ...]`` takes README.md, README.ko.md, every Markdown file below docs/ and
every notebook in it, unless documents are named. Each document gets an empty folder, in which its fenced blocks run one
after another, each in a process of its own with this interpreter's programs first on the path:

- ``console``: the lines after ``$ ``, and what follows them after ``> ``; the rest is output and is not compared;
- ``bash`` and ``sh``: the whole block;
- ``python``: the whole block.

So does each command in the last column of a table that is headed ``command``: once, and only where the cell holds
nothing else.

A notebook is one block: its code cells run in one kernel of this interpreter.

A block after a comment such as ``<!-- cost: 5 min -->`` is skipped: it takes long, or sets up a machine. A document
with the blocks of one that has already run, such as a translation, is skipped too. A document in a folder ``ko`` must
have the blocks of its namesake in ``en``, ``NAME.ko.md`` those of ``NAME.md``, and ``NAME.ko.ipynb`` the cells of
``NAME.ipynb``. Exits with 1 if a block failed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

LIMIT = 600
"""Seconds that one block, or one cell of a notebook, may take."""
CELL = "# %%\n"
_FENCED = re.compile(
    r"(?P<cost><!-- cost: [^\n]*-->\s*)?^(?P<margin> *)(?P<fence>`{3,}|~{3,})(?P<language>\w*)[^\n]*\n"
    r"(?P<text>.*?)^(?P=margin)(?P=fence) *$",
    re.DOTALL | re.MULTILINE,
)
_TABLE = re.compile(r"^\|[^\n]*\| (?:command|명령) \|\n\|[-|]+\|\n(?P<rows>(?:\|[^\n]*\|\n)+)", re.MULTILINE)
_LAST_CELL = re.compile(r"\| `(?P<command>[^`\n]+)` \|$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A program's name, and the script that it reads; of a notebook the cells, each after a line `CELL`."""

    line: int
    program: str
    script: str


def read_blocks(document: Path) -> list[Block]:
    """The blocks of a Markdown file or a notebook."""
    text = document.read_text(encoding="utf-8")
    if document.suffix != ".ipynb":
        return list(blocks(text))
    cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return [Block(1, "notebook", "".join(f"{CELL}{cell}\n" for cell in cells))]


def blocks(markdown: str) -> Iterator[Block]:
    """The blocks of a document that are to run, in its order; ``line`` is that of the opening fence or row."""
    yield from sorted([*_fenced_blocks(markdown), *_table_commands(markdown)], key=lambda block: block.line)


def _fenced_blocks(markdown: str) -> Iterator[Block]:
    for match in _FENCED.finditer(markdown):
        line = markdown.count("\n", 0, match.start("fence")) + 1
        text = dedent(match["text"])
        if match["cost"]:
            continue
        if match["language"] == "console":
            yield Block(line, "bash", _commands(text))
        elif match["language"] in ("bash", "sh"):
            yield Block(line, "bash", text)
        elif match["language"] == "python":
            yield Block(line, "python", text)


def _table_commands(markdown: str) -> Iterator[Block]:
    """The commands of tables, each at its first row."""
    found: set[str] = set()
    for table in _TABLE.finditer(markdown):
        for cell in _LAST_CELL.finditer(markdown, table.start("rows"), table.end("rows")):
            command = cell["command"].replace(r"\|", "|")
            if command not in found:
                found.add(command)
                yield Block(markdown.count("\n", 0, cell.start()) + 1, "bash", f"{command}\n")


def _commands(session: str) -> str:
    """The commands of a console session: lines after ``$ ``, continued after ``> ``."""
    commands: list[str] = []
    continued = False
    for line in session.splitlines():
        continued = line.startswith("$ ") or (continued and line.startswith("> "))
        if continued:
            commands.append(line[2:] + "\n")
    return "".join(commands)


def run(block: Block, folder: Path) -> str | None:
    """Run a block in a folder. None if it went well; otherwise its output, and why it ended."""
    programs = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "CONVOLVE_CACHE": str(folder / ".cache"),
    }
    if block.program == "notebook":
        return _run_notebook(block.script.split(CELL)[1:], folder, environment)
    command = ["bash", "-euo", "pipefail", "-c"] if block.program == "bash" else [sys.executable, "-c"]
    try:
        done = subprocess.run(
            [*command, block.script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {LIMIT} seconds"
    return None if done.returncode == 0 else f"{done.stdout}left with {done.returncode}"


def _run_notebook(cells: Sequence[str], folder: Path, environment: dict[str, str]) -> str | None:
    """Run cells in one kernel; None, or the traceback of the first that failed."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from nbformat import v4

    notebook = v4.new_notebook()  # type: ignore[no-untyped-call]
    notebook.cells = [v4.new_code_cell(cell) for cell in cells]  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=LIMIT, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    try:
        client.execute(env=environment)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return str(error)
    return None


def check(document: Path, selected: Sequence[Block]) -> int:
    """Run a document's blocks and print how each went; how many failed."""
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for block in selected:
            start = time.monotonic()
            problem = run(block, Path(folder))
            print(f"{'failed' if problem else 'ok':<7}{time.monotonic() - start:5.1f} s  {document}:{block.line}")
            if problem:
                failures += 1
                print(indent(f"{block.script}{problem}", "    "))
    return failures


def _scripts(selected: Iterable[Block]) -> tuple[tuple[str, str], ...]:
    """What blocks run, on whatever line they are."""
    return tuple((block.program, block.script) for block in selected)


def _original(document: Path) -> Path:
    """The document that a Korean one translates; any other itself."""
    path = Path(*("en" if part == "ko" else part for part in document.parts))
    return path.with_name(path.name.replace(".ko.", "."))


def _original_first(document: Path) -> tuple[bool, Path]:
    """The order in which documents run: translations after all others."""
    return _original(document) != document, document


def main(names: Sequence[str]) -> int:
    """Run every document once; 1 if a block failed."""
    documents = [Path(name) for name in names] or [
        *(path for path in (Path("README.md"), Path("README.ko.md")) if path.exists()),
        *sorted(Path("docs").rglob("*.md"), key=_original_first),
        *sorted(Path("docs").glob("*.ipynb"), key=_original_first),
    ]
    failures = 0
    done: dict[tuple[tuple[str, str], ...], Path] = {}
    for document in documents:
        selected = read_blocks(document)
        scripts, original = _scripts(selected), _original(document)
        if original != document and scripts != _scripts(read_blocks(original)):
            print(f"failed {document} does not have the blocks of {original}")
            failures += 1
        elif selected and scripts in done:
            print(f"same   {document}, as {done[scripts]}")
        else:
            failures += check(document, selected)
            done[scripts] = document
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
