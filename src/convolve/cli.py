"""The command line, made from the commands' dataclasses."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import sys
from typing import Annotated, Any

import cyclopts
from rich.text import Text

import convolve
from convolve.command import NAMES, Command, find_command
from convolve.console import open_console, report_progress
from convolve.errors import ConvolveError, Interrupted
from convolve.options import Flat, alias, fields, with_task_options
from convolve.progress import silent

_INTERRUPTED = 128 + signal.SIGINT
_EPILOGUE = "Every command is a Python function too: `convolve train DATA` is `convolve.train(DATA)`."


def application() -> cyclopts.App:
    """The command line with every command."""
    default = cyclopts.Parameter(negative_iterable=())  # no `--empty-images`
    app = cyclopts.App(
        "convolve",
        version=convolve.__version__,
        help=(convolve.__doc__ or "").partition("\n")[0],
        help_epilogue=_EPILOGUE,
        default_parameter=default,
    )
    app.suppress_keyboard_interrupt = False
    for name in NAMES:
        command = find_command(name)
        app.command(_function(command), name=name, help=command.options.__doc__)
    return app


def main() -> None:
    """Run one command; exit with 0, with 2 after a sentence on what was wrong, or with 130 when interrupted."""
    debug = "--debug" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal cannot show
    try:
        application()(sys.argv[1:], exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _print_error("Interrupted.")
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:  # the reader of the output, such as `head`, has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except cyclopts.CycloptsError as error:
        _print_error(_sentence(error))
        sys.exit(2)
    except ConvolveError as error:
        if debug:
            raise
        _print_error(str(error))
        sys.exit(_INTERRUPTED if isinstance(error, Interrupted) else 2)


def _function(command: Command[Any, Any]) -> Any:
    """A function with the command's options as its parameters, from which cyclopts makes the flags."""

    def function(
        options: Any, task_flags: Any = None, *, json: bool = False, quiet: bool = False, debug: bool = False
    ) -> None:
        del debug
        flags = dataclasses.asdict(task_flags) if task_flags else {}
        own = {name: value for name, value in flags.items() if value is not None}
        _run(command, with_task_options(options, own) if own else options, as_json=json, quiet=quiet)

    flag = cyclopts.Parameter(negative=())
    function.__annotations__ = {
        "options": Annotated[command.options, Flat],
        "json": Annotated[bool, flag, cyclopts.Parameter(help="Print the result as JSON.")],
        "quiet": Annotated[bool, flag, alias("-q"), cyclopts.Parameter(help="Print only the result.")],
        "debug": Annotated[bool, flag, cyclopts.Parameter(help="Show the traceback of an error.")],
    }
    required = any(option.default is dataclasses.MISSING for option in fields(command.options))
    defaults: list[Any] = [] if required else [command.options()]
    if command.task_use:
        from convolve.tasks.registry import flags_dataclass

        flags = flags_dataclass(command.task_use)
        function.__annotations__["task_flags"] = Annotated[flags, Flat]
        function.__defaults__ = (*defaults, flags())
        return function

    def without_task_flags(options: Any, *, json: bool = False, quiet: bool = False, debug: bool = False) -> None:
        function(options, json=json, quiet=quiet, debug=debug)

    without_task_flags.__annotations__ = function.__annotations__
    without_task_flags.__defaults__ = tuple(defaults) or None
    return without_task_flags


def _run(command: Command[Any, Any], options: Any, *, as_json: bool, quiet: bool) -> None:
    console = open_console(stderr=as_json)
    if quiet:
        result = command.run(options, silent)
    else:
        with report_progress(console) as listener:
            result = command.run(options, listener)
    if as_json:
        sys.stdout.write(json.dumps(result.as_json(), ensure_ascii=False, indent=2) + "\n")
        return
    for part in command.render(result):
        console.print(part, soft_wrap=isinstance(part, str | Text))


def _sentence(error: cyclopts.CycloptsError) -> str:
    if isinstance(error, cyclopts.UnusedCliTokensError) and error.unused_tokens:
        return f"Unexpected argument '{error.unused_tokens[0]}'; --help lists what the command accepts."
    return " ".join(str(error).split())


def _print_error(sentence: str) -> None:
    open_console(stderr=True).print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)
