"""The command line, made from the commands' dataclasses."""

from __future__ import annotations

import dataclasses
import errno
import functools
import inspect
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from json import dumps
from typing import Annotated, Any, NoReturn

import cyclopts
from cyclopts import Parameter
from rich.text import Text

import convolve
from convolve.command import Command
from convolve.commands import COMMANDS
from convolve.console import open_console, report_progress
from convolve.errors import ConvolveError, Interrupted, TrainingError
from convolve.files import shell_quote
from convolve.memory import LOW_LIMIT, lacks_memory
from convolve.options import Flat, fields, with_task_options
from convolve.progress import silent
from convolve.serve import command as serve
from convolve.tasks.registry import task_flags

_INTERRUPTED = 128 + signal.SIGINT
_NOT_WRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
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
    for name, command in (*COMMANDS.items(), ("serve", serve.COMMAND)):
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
    words, debug = sys.argv[1:], "--debug" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal cannot show
    try:
        application()(_move_dashes(words) if "-" in words else words, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _leave_interrupted()
    except BrokenPipeError:  # the reader of the output, such as `head`, has closed it
        _discard_output()
        sys.exit(1)
    except cyclopts.CycloptsError as error:
        _print_error(_explain_usage(error, words))
        sys.exit(2)
    except Exception as error:
        if _follows_interrupt(error):
            _leave_interrupted()
        if debug or not (isinstance(error, ConvolveError | OSError) or lacks_memory(error)):
            raise
        if isinstance(error, OSError):
            _discard_output()  # which may be what could not be written
        _print_error(_explain(error))
        sys.exit(_INTERRUPTED if isinstance(error, Interrupted) else 2)


def _leave_interrupted() -> NoReturn:
    """End without waiting for threads: the exception may have come up while one was started or stopped, and the
    interpreter would wait for it forever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end has begun
    _print_error("Interrupted.")
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    os._exit(_INTERRUPTED)


def _follows_interrupt(error: BaseException) -> bool:
    """Whether an exception came up on the way out after Ctrl-C, such as of a lock that was not yet held."""
    before = error.__context__
    return before is not None and (isinstance(before, KeyboardInterrupt) or _follows_interrupt(before))


def open_closed_streams() -> None:
    """Let output go nowhere where the caller has closed it, lest a file be opened in its place and take it."""
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number, which is this one
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - until the end


def _discard_output() -> None:
    """Write what is still buffered nowhere, so that nothing fails at the end."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _move_dashes(words: Sequence[str]) -> list[str]:
    """The words with every lone `-`, which stands for standard input, at their end, where no option is expected."""
    end = words.index("--") if "--" in words else len(words)
    dashes = ["-"] * words[:end].count("-")
    before = [word for word in words[:end] if word != "-"]
    return [*before, "--", *words[end + 1 :], *dashes] if dashes else list(words)


def _explain_usage(error: cyclopts.CycloptsError, words: Sequence[str]) -> str:
    """What is wrong with the words of a command."""
    if isinstance(error, cyclopts.UnusedCliTokensError) and error.unused_tokens:
        return _describe_unused(error.unused_tokens[0], words)
    sentence = " ".join(str(error).split())
    with suppress(OSError):
        for word in words:
            if word.startswith("-") and word not in ("-", "--") and os.path.lexists(word):
                return f"{sentence} The file of that name is written {shell_quote(word)}."
    return sentence


def _explain(error: Exception) -> str:
    """What went wrong, or what the system does not allow."""
    specific = isinstance(error, TrainingError) or "not enough memory" in str(error)
    if isinstance(error, ConvolveError) and (specific or not lacks_memory(error)):
        return str(error)
    if isinstance(error, OSError) and not lacks_memory(error):
        return _explain_refusal(error)
    return "There is not enough memory; close other programs, or use smaller or fewer images."


def _explain_refusal(error: OSError) -> str:
    """What the system does not allow."""
    why = error.strerror or str(error)
    if error.filename is None and error.errno in _NOT_WRITTEN:
        return f"The output cannot be written ({why}); free some space or write it elsewhere."
    return f"{error.filename or 'A file'} cannot be used ({why}); check its path, its permissions and the disk."


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
    if command.needs_torch and LOW_LIMIT:
        raise ConvolveError(LOW_LIMIT)
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
    with suppress(OSError):  # an exit code is left
        open_console(stderr=True).print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)
