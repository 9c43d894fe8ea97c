"""The command line, made from the verbs' dataclasses."""

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

from convolve import __version__
from convolve.console import following, people
from convolve.errors import ConvolveError
from convolve.options import Flat, fields
from convolve.training.interrupt import Interrupted
from convolve.verbs.verb import NAMES, Verb, find

_INTERRUPTED = 128 + signal.SIGINT
_EPILOGUE = "Every command is a Python function too: `convolve train DATA` is `convolve.train(DATA)`."


def application() -> cyclopts.App:
    """The command line with every verb."""
    plain = cyclopts.Parameter(negative_iterable=())  # no `--empty-images`
    app = cyclopts.App("convolve", version=__version__, help_epilogue=_EPILOGUE, help=_help(), default_parameter=plain)
    app.suppress_keyboard_interrupt = False
    for name in NAMES:
        verb = find(name)
        app.command(_command(verb), name=name, help=verb.options.__doc__)
    return app


def main() -> None:
    """Run one command; leave with 0, with 2 after a sentence on what was wrong, or with 130 when interrupted."""
    debug = "--debug" in sys.argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names that the terminal cannot show
    try:
        application()(sys.argv[1:], exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except KeyboardInterrupt:
        _complain("Interrupted.")
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:  # whoever read the output, such as `head`, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except cyclopts.CycloptsError as error:
        _complain(_sentence(error))
        sys.exit(2)
    except ConvolveError as error:
        if debug:
            raise
        _complain(str(error))
        sys.exit(_INTERRUPTED if isinstance(error, Interrupted) else 2)


def _help() -> str:
    import convolve

    return (convolve.__doc__ or "").partition("\n")[0]


def _command(verb: Verb[Any, Any]) -> Any:
    def command(options: Any, *, json: bool = False, debug: bool = False) -> None:
        del debug
        _run(verb, options, as_json=json)

    if all(option.default is not dataclasses.MISSING for option in fields(verb.options)):
        command.__defaults__ = (verb.options(),)
    command.__annotations__ = {
        "options": Annotated[verb.options, Flat],
        "json": Annotated[bool, cyclopts.Parameter(help="Print the result as JSON.", negative=())],
        "debug": Annotated[bool, cyclopts.Parameter(help="Show where an error came from.", negative=())],
    }
    return command


def _run(verb: Verb[Any, Any], options: Any, *, as_json: bool) -> None:
    console = people(stderr=as_json)
    with following(console) as listener:
        result = verb.run(options, listener)
    if as_json:
        sys.stdout.write(json.dumps(result.as_json(), ensure_ascii=False, indent=2) + "\n")
        return
    for part in verb.shown(result):
        console.print(part, soft_wrap=isinstance(part, str | Text))


def _sentence(error: cyclopts.CycloptsError) -> str:
    if isinstance(error, cyclopts.UnusedCliTokensError) and error.unused_tokens:
        return f"There is no place for '{error.unused_tokens[0]}'; --help says what the command takes."
    return " ".join(str(error).split())


def _complain(sentence: str) -> None:
    people(stderr=True).print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)
