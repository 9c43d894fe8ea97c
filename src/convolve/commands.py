"""The commands by name. Their modules import neither torch nor NumPy before they run."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from convolve.command import Command
from convolve.experiments import command as claims
from convolve.progress import silent
from convolve.verbs import (
    ablate,
    attendance,
    compare,
    convert,
    data,
    evaluate,
    explain,
    export,
    find,
    networks,
    predict,
    scratch,
    style,
    sweep,
    train,
)

# fmt: off
_MODULES = (
    data, networks, train, evaluate, predict, explain, compare, ablate, sweep, convert, export, find, attendance,
    style, scratch, claims,
)
# fmt: on
COMMANDS: dict[str, Command[Any, Any]] = {module.COMMAND.name: module.COMMAND for module in _MODULES}


def run_command(name: str, keywords: Mapping[str, object]) -> Any:
    """Run a command as `convolve.NAME(...)` does: with progress on the console unless ``progress`` is false.

    Options of tasks that were registered from outside are in ``task_options``. Raises `ConvolveError`.
    """
    from convolve.console import open_console, report_progress

    command, values = COMMANDS[name], dict(keywords)
    values |= dict(typing.cast(Mapping[str, object], values.pop("task_options", None) or {}))
    show = values.pop("progress")
    options = command.build_options(values)
    if not show:
        return command.run(options, silent)
    with report_progress(open_console()) as listener:
        return command.run(options, listener)
