"""Run what the docs tell a reader to run: a command that fails there fails here first.

``python tools/run_docs_commands.py [DOCUMENT ...]`` takes README.md, README.ko.md and every Markdown file below docs/
unless documents are named. Each document gets an empty folder, in which its fenced blocks run one after another, each
a process of its own with this interpreter's programs first on the path:

- ``console``: the lines after ``$ ``, and what follows them after ``> ``; the rest is output and is not compared;
- ``bash`` and ``sh``: the whole block;
- ``python``: the whole block.

A block that follows a comment such as ``<!-- cost: 5 min -->`` is passed over: it takes long, or sets up a machine. So
is a document whose blocks are those of one that has run, as a translation's are; one below a folder ``ko`` must have
the blocks of its namesake below ``en``. Leaves with 1 if a block failed.
"""

from __future__ import annotations

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
"""Seconds that one block may take."""
_FENCED = re.compile(
    r"(?P<cost><!-- cost: [^\n]*-->\s*)?^(?P<margin> *)(?P<fence>`{3,}|~{3,})(?P<language>\w*)[^\n]*\n"
    r"(?P<text>.*?)^(?P=margin)(?P=fence) *$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """What one fenced block asks to run: a program's name, and the script that it reads."""

    line: int
    program: str
    script: str


def blocks(markdown: str) -> Iterator[Block]:
    """The blocks of a document that are to run, in its order; ``line`` is that of the opening fence."""
    for match in _FENCED.finditer(markdown):
        line = markdown.count("\n", 0, match.start("fence")) + 1
        text = dedent(match["text"])
        if match["cost"]:
            continue
        if match["language"] == "console":
            yield Block(line, "bash", _typed(text))
        elif match["language"] in ("bash", "sh"):
            yield Block(line, "bash", text)
        elif match["language"] == "python":
            yield Block(line, "python", text)


def _typed(session: str) -> str:
    """What a person typed in a console session: lines after ``$ ``, continued after ``> ``."""
    typed: list[str] = []
    going_on = False
    for line in session.splitlines():
        going_on = line.startswith("$ ") or (going_on and line.startswith("> "))
        if going_on:
            typed.append(line[2:] + "\n")
    return "".join(typed)


def run(block: Block, folder: Path) -> str | None:
    """Run a block in a folder. None if it went well; otherwise what it said, and why it ended."""
    programs = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "CONVOLVE_CACHE": str(folder / ".cache"),
    }
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


def check(document: Path, asked: Sequence[Block]) -> int:
    """Run a document's blocks and print how each went; how many failed."""
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for block in asked:
            start = time.monotonic()
            problem = run(block, Path(folder))
            print(f"{'failed' if problem else 'ok':<7}{time.monotonic() - start:5.1f} s  {document}:{block.line}")
            if problem:
                failures += 1
                print(indent(f"{block.script}{problem}", "    "))
    return failures


def _scripts(asked: Iterable[Block]) -> tuple[tuple[str, str], ...]:
    """What blocks run, wherever they stand."""
    return tuple((block.program, block.script) for block in asked)


def main(names: Sequence[str]) -> int:
    """Run every document once; 1 if a block failed."""
    documents = [Path(name) for name in names] or [
        *(path for path in (Path("README.md"), Path("README.ko.md")) if path.exists()),
        *sorted(Path("docs").rglob("*.md")),
    ]
    failures = 0
    seen: dict[tuple[tuple[str, str], ...], Path] = {}
    for document in documents:
        asked = list(blocks(document.read_text(encoding="utf-8")))
        scripts = _scripts(asked)
        original = Path(*("en" if part == "ko" else part for part in document.parts))
        if original != document and scripts != _scripts(blocks(original.read_text(encoding="utf-8"))):
            print(f"failed {document} does not have the blocks of {original}")
            failures += 1
        elif asked and scripts in seen:
            print(f"same   {document}, as {seen[scripts]}")
        else:
            failures += check(document, asked)
            seen[scripts] = document
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
