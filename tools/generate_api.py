"""Write src/convolve/api.py: every command as a function with its real signature, from the commands' dataclasses.

``python tools/generate_api.py`` writes the file; with ``--check`` it only compares, and exits with 1 if it is out of
date.
"""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from convolve.command import Command
from convolve.commands import COMMANDS
from convolve.options import Option, descriptions, fields
from convolve.tasks.registry import task_flags

PATH = Path(__file__).parents[1] / "src" / "convolve" / "api.py"
_WIDTH = 112
_HEADER = '''"""Every command as a Python function. Written by tools/generate_api.py; do not edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from convolve.commands import run_command
'''


def source() -> str:
    """The text of api.py."""
    imports: dict[str, set[str]] = {}
    for module, name in sorted({pair for command in COMMANDS.values() for pair in _imports(command)}):
        imports.setdefault(module, set()).add(name)
    lines = [f"from {module} import {', '.join(sorted(names))}\n" for module, names in imports.items()]
    body = "\n\n\n".join(_function(command) for command in COMMANDS.values())
    return _format(_HEADER + "".join(lines) + "\n\n" + body + "\n")


def _format(text: str) -> str:
    """As the project's formatter has it."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(PATH), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


def _function(command: Command[Any, Any]) -> str:
    options = list(fields(command.options))
    positional = [option for option in options if option.positional]
    keyword = [option for option in options if not option.positional]
    lines = [f"def {command.name}("]
    lines += [f"    {_parameter(option)}," for option in positional]
    lines += ["    *,"]
    lines += [f"    {_parameter(option)}," for option in keyword]
    if command.task_use:
        lines += [f"    {flag.name}: {_annotation(flag.type)} = None," for flag in task_flags(command.task_use)]
        lines += ["    task_options: Mapping[str, object] | None = None,"]
    lines += ["    progress: bool = True,", f") -> {_result(command)}:"]
    lines += [textwrap.indent(_docstring(command, options), "    ")]
    lines += [f'    return run_command("{command.name}", locals())  # type: ignore[no-any-return]']
    return "\n".join(lines)


def _parameter(option: Option) -> str:
    default = "" if option.default is dataclasses.MISSING else f" = {option.default!r}"
    annotation = _annotation(option.type)
    if option.path_like:
        annotation = annotation.replace("str", "str | Path")
    return f"{option.name}: {annotation}{default}"


def _annotation(hint: Any) -> str:
    """A type as people may give it: paths also as text, tuples as any sequence or a single item."""
    origin = typing.get_origin(hint)
    if isinstance(hint, types.UnionType) or origin is typing.Union:
        parts = [_annotation(part) for part in typing.get_args(hint) if part is not type(None)]
        return " | ".join([*parts, "None"] if type(None) in typing.get_args(hint) else parts)
    if origin is Literal:
        return "Literal[" + ", ".join(f'"{value}"' for value in typing.get_args(hint)) + "]"
    if origin is tuple:
        inner = _annotation(typing.get_args(hint)[0])
        inner = "str | Path" if inner == "str" else inner
        return f"{inner} | Sequence[{inner}]"
    if hint is Path:
        return "str | Path"
    return str(hint.__name__)


def _docstring(command: Command[Any, Any], options: list[Option]) -> str:
    summary = textwrap.dedent(command.options.__doc__ or "").strip()
    texts = {name: text for cls in _dataclasses(command.options) for name, text in descriptions(cls).items()}
    entries = [(option.name, texts.get(option.name, "")) for option in options]
    if command.task_use:
        entries += [
            (flag.name, " ".join(f"({titles}) {text}" for titles, text in flag.descriptions.items()))
            for flag in task_flags(command.task_use)
        ]
        entries += [("task_options", "Options of a task that was registered with `convolve.register_task`, by name.")]
    entries += [("progress", "Report progress on the console or in the notebook.")]
    described = [
        textwrap.fill(f"{name}: {text}", _WIDTH, initial_indent="    ", subsequent_indent="        ")
        for name, text in entries
    ]
    first, _, rest = summary.partition("\n\n")
    paragraphs = [
        textwrap.fill(" ".join(first.split()), _WIDTH, initial_indent=" " * 3).strip(),
        *(textwrap.fill(" ".join(part.split()), _WIDTH) for part in [rest] if part),
    ]
    body = "\n\n".join(
        [*paragraphs, "Args:\n" + "\n".join(described), "Raises:\n    ConvolveError: with one sentence."]
    )
    return f'"""{body}\n"""'


def _dataclasses(cls: type) -> Iterator[type]:
    yield cls
    for hint in typing.get_type_hints(cls).values():
        if dataclasses.is_dataclass(hint):
            yield from _dataclasses(typing.cast(type, hint))


def _result(command: Command[Any, Any]) -> str:
    return str(command.run.__annotations__["return"])


def _imports(command: Command[Any, Any]) -> Iterator[tuple[str, str]]:
    module = importlib.import_module(command.run.__module__)
    for name in _result(command).split(" | "):
        yield getattr(module, name).__module__, name


def main(arguments: list[str]) -> int:
    """Write or compare."""
    text = source()
    if "--check" in arguments:
        if PATH.read_text(encoding="utf-8") != text:
            print(f"{PATH} is out of date; run python tools/generate_api.py")
            return 1
        return 0
    PATH.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
