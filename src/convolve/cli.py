"""The command line, made from the commands' dataclasses."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from json import dumps
from typing import Annotated, Any

import cyclopts
from cyclopts import Parameter
from rich.text import Text

import convolve
from convolve.command import Command
from convolve.console import open_console, report_progress
from convolve.errors import ConvolveError, Interrupted
from convolve.options import Flat, fields, with_task_options
from convolve.progress import silent
from convolve.tasks.registry import task_flags
from convolve.verbs import COMMANDS

_INTERRUPTED = 128 + signal.SIGINT
_FLAG = Parameter(negative=())
_POSITIONAL, _KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
_EPILOGUE = "Every command is a Python function too: `convolve train DATA` is `convolve.train(DATA)`."


def application() -> cyclopts.App:
    """The command line with every command, whose flags are made from its options and those of the tasks."""
    app = cyclopts.App(
        "convolve",
        version=convolve.__version__,
        help=(convolve.__doc__ or "").partition("\n")[0],
        help_epilogue=_EPILOGUE,
        default_parameter=Parameter(negative_iterable=()),  # no `--empty-images`
    )
    app.suppress_keyboard_interrupt = False
    general = [flag for flag in inspect.signature(_run).parameters.values() if flag.kind is _KEYWORD]
    for name, command in COMMANDS.items():
        required = any(option.default is dataclasses.MISSING for option in fields(command.options))
        default = inspect.Parameter.empty if required else command.options()
        hint: Any = Annotated[command.options, Flat]
        flags = [inspect.Parameter("options", _POSITIONAL, default=default, annotation=hint)]
        for own in task_flags(command.task_use) if command.task_use else ():
            texts = [f"({titles}) {text}" for titles, text in own.descriptions.items()]
            text = " ".join(texts) if len(texts) > 1 else next(iter(own.descriptions.values()))
            hint = Annotated[own.type, Parameter(help=text, group=", ".join(own.descriptions), alias=own.aliases)]
            flags.append(inspect.Parameter(own.name, _KEYWORD, default=None, annotation=hint))
        function = functools.partial(_run, command)
        function.__signature__ = inspect.Signature([*flags, *general])  # type: ignore[attr-defined]
        app.command(function, name=name, help=command.options.__doc__)
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
        sentence = " ".join(str(error).split())
        if isinstance(error, cyclopts.UnusedCliTokensError) and error.unused_tokens:
            sentence = _describe_unused(error.unused_tokens[0], sys.argv[1:])
        _print_error(sentence)
        sys.exit(2)
    except ConvolveError as error:
        if debug:
            raise
        _print_error(str(error))
        sys.exit(_INTERRUPTED if isinstance(error, Interrupted) else 2)


def _run(
    command: Command[Any, Any],
    given: Any = None,
    /,
    *,
    json: Annotated[bool, _FLAG, Parameter(help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, _FLAG, Parameter(alias="-q", help="Print only the result.")] = False,
    debug: Annotated[bool, _FLAG, Parameter(help="Show the traceback of an error.")] = False,
    **own: object,
) -> None:
    """Run a command by the options that are ``given``, if any, and those of tasks (``own``); print its result."""
    del debug  # which `main` looks for
    options = given or command.options()
    console = open_console(stderr=json)
    with nullcontext(silent) if quiet else report_progress(console) as listener:
        result = command.run(with_task_options(options, own) if own else options, listener)
    if json:
        sys.stdout.write(dumps(result.as_json(), ensure_ascii=False, indent=2) + "\n")
        return
    for part in command.render(result):
        console.print(part, soft_wrap=isinstance(part, str | Text))


def _describe_unused(token: str, words: Sequence[str]) -> str:
    """What is wrong with an argument that no option takes, such as the second word of a value."""
    flag, value = words[words.index(token) - 2 : words.index(token)] if token in words[2:] else ("", "")
    split = flag.startswith("--") and not value.startswith("-")
    remedy = f"write {value}{token} as one word, or quote it" if split else "--help lists what the command accepts"
    return f"Unexpected argument '{token}'; {remedy}."


def _print_error(sentence: str) -> None:
    open_console(stderr=True).print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)
