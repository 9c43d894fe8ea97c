"""`convolve scratch homework`: a file with blanks to fill in, and its check against the package's own functions.

A file that is checked is a program of whoever wrote it. It runs in a process of its own, with a limit on time and
memory, and as the user who checks it: it can do what any program of theirs can.
"""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from convolve.errors import OptionError, escape_text
from convolve.files import write_text
from convolve.from_scratch.arrays import Array
from convolve.from_scratch.traces.trace import format_number, format_shape
from convolve.untrusted.documents import parse_json
from convolve.verbs.scratch import ExerciseFile, FunctionCheck, HomeworkCheck, Scratch
from convolve.verbs.scratch.exercises import EXERCISES, Arguments, Function

TIME_LIMIT = 20
"""Seconds that a file may take."""
_CHILD = Path(__file__).with_name("homework_child.py")
_LARGEST_RESULT = 16 * 2**20


def run_homework(options: Scratch) -> ExerciseFile | HomeworkCheck:
    """Write the file of an exercise, or check one that was filled in. Raises `OptionError`."""
    given = {spec.name for spec in fields(options) if getattr(options, spec.name) is not None}
    if superfluous := sorted(given - {"operation", "exercise", "check", "out"}):
        raise OptionError(f"homework does not take {superfluous[0]}; omit --{superfluous[0].replace('_', '-')}.")
    if options.exercise is None:
        raise OptionError(f"homework needs the name of an exercise; choose one of {', '.join(EXERCISES)}.")
    if options.check is None:
        return _write_exercise(options.exercise, options.out)
    if options.out is not None:
        raise OptionError("--check reads a file and --out writes one; give one of them.")
    if not options.check.is_file():
        raise OptionError(f"{options.check} cannot be read (no such file); check the path.")
    return check_homework(options.exercise, options.check)


def _write_exercise(exercise: str, out: Path | None) -> ExerciseFile:
    """The file with blanks; one that exists, which may be filled in, is never replaced."""
    path = out or Path(f"homework_{exercise.replace('-', '_')}.py")
    if path.exists() or path.is_symlink():
        raise OptionError(f"{path} exists, and may be filled in already; choose another name with --out, or remove it.")
    template = importlib.resources.files("convolve.verbs.scratch") / "templates" / f"homework_{exercise}.py.txt"
    text = template.read_text(encoding="utf-8")
    write_text(path, text.replace("FILE", path.name) if re.fullmatch(r"[\w.-]+", path.name) else text)
    return ExerciseFile(exercise, path, text.count("____") - 1)


def check_homework(exercise: str, path: Path) -> HomeworkCheck:
    """Each function of the file against the package's own, up to its first wrong value."""
    functions = EXERCISES[exercise]()
    calls = [(function, case) for function in functions for case in range(len(function.cases))]
    loading, *answers = _answers(path, calls)
    if loading:
        message = _failure(loading)
        return HomeworkCheck(exercise, path, tuple(FunctionCheck(each.name, message) for each in functions))
    mistakes: dict[str, str] = {}
    for n, (function, case) in enumerate(calls):
        if not mistakes.get(function.name):
            answer = answers[n] if n < len(answers) else {"skipped": True}
            mistakes[function.name] = _mistake(function, case, answer)
    return HomeworkCheck(exercise, path, tuple(FunctionCheck(name, text) for name, text in mistakes.items()))


def _answers(path: Path, calls: Sequence[tuple[Function, int]]) -> list[Mapping[str, Any]]:
    """What the file answered: for its loading, then for each call; the last says why there are no more."""
    with tempfile.TemporaryDirectory(prefix="convolve-homework-") as folder:
        asked, results = Path(folder) / "calls.json", Path(folder) / "results.json"
        asked.write_text(
            json.dumps([(each.name, [_argument(value) for value in each.cases[case]]) for each, case in calls])
        )
        results.touch()
        with subprocess.Popen(
            [sys.executable, "-B", "-P", str(_CHILD), str(path.resolve()), str(asked), str(results)],
            cwd=path.resolve().parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        ) as process:
            end = {"ended": True}
            try:
                process.wait(TIME_LIMIT)
            except subprocess.TimeoutExpired:
                end = {"late": True}
            finally:
                with suppress(ProcessLookupError, PermissionError):  # what it started ends with it
                    os.killpg(process.pid, signal.SIGKILL)
                process.kill()
        if results.is_symlink() or not results.is_file() or results.stat().st_size > _LARGEST_RESULT:
            return [end]
        return [*_parse_lines(results.read_text(encoding="utf-8", errors="replace")), end]


def _parse_lines(text: str) -> list[Mapping[str, Any]]:
    """The lines that are whole; the process may have ended within one."""
    answers: list[Mapping[str, Any]] = []
    for line in text.splitlines():
        try:
            answer = parse_json(line)
        except ValueError:
            break
        if not isinstance(answer, dict):
            break
        answers.append(answer)
    return answers


def _argument(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    return {"shape": list(value.shape), "values": value.ravel().tolist(), "dtype": str(value.dtype)}


def _failure(answer: Mapping[str, Any]) -> str:
    """Why there is no value."""
    if answer.get("skipped"):
        return "not reached, since a function before it did not come to an end"
    if answer.get("late"):
        return f"it did not come to an end within {TIME_LIMIT} seconds"
    if answer.get("ended"):
        return "the file ended the process, or used too much memory"
    if answer.get("missing"):
        return "there is no function of this name"
    line = f"line {answer['line']}: " if answer.get("line") else ""
    if answer.get("blank"):
        return f"{line}a blank ____ is not filled in"
    return f"{line}{escape_text(str(answer.get('error', 'no answer')))}"


def _mistake(function: Function, case: int, answer: Mapping[str, Any]) -> str:
    """What is wrong with the answer to one call; empty if nothing is."""
    arguments = function.cases[case]
    values = answer.get("values")
    if not isinstance(values, list):
        return _failure(answer)
    expected = function.expected(arguments)
    if len(values) != len(expected):
        names = ", ".join(function.outputs)
        return f"it returns {len(values)} values; it must return {len(expected)}: {names}"
    for name, value, right in zip(function.outputs, values, expected, strict=True):
        if message := _difference(name, value, right):
            which = _call_text(case, arguments) if len(function.cases) > 1 else ""
            return f"{message}{which}; worked: convolve scratch {function.command}"
    return ""


def _difference(name: str, value: Any, right: Array) -> str:
    """The first value that is wrong."""
    try:
        found = np.array(value["values"], np.float64).reshape(value["shape"])
    except (KeyError, TypeError, ValueError):
        return (
            f"{name} is None; is a return missing?"
            if isinstance(value, dict) and value.get("none")
            else f"{name} is no array"
        )
    if found.shape != right.shape:
        return f"{name} has the shape {_shape_text(found)}; it must have {_shape_text(right)}"
    close = np.isclose(found, right, rtol=1e-5, atol=1e-7)
    if close.all():
        return ""
    index = tuple(map(int, np.argwhere(~close)[0]))
    position = f"{name}[{', '.join(map(str, index))}]" if index else name
    count = f" ({int(close.sum())} of {close.size} values are right)" if index else ""
    return f"{position} is {format_number(float(found[index]))} and must be {format_number(float(right[index]))}{count}"


def _shape_text(values: Array) -> str:
    return format_shape(values.shape) if values.ndim else "of a single number"


def _call_text(case: int, arguments: Arguments) -> str:
    """Which call it was: the shapes of its arrays, and its numbers."""
    words = [format_shape(each.shape) if isinstance(each, np.ndarray) else str(each) for each in arguments]
    return f"; in call {case + 1}, with {', '.join(words)}"
