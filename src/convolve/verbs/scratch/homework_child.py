"""Calls the functions of a homework file, and writes down what they return.

``python -P homework_child.py FILE CALLS RESULTS``: FILE is the student's own program, CALLS a JSON list of function
names with their arguments, and RESULTS gets one line of JSON for the file itself and one for each call, as soon as it
is known.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

_MOST_VALUES = 10_000
_MEMORY = 4 * 2**30


def main(file: str, calls: str, results: str) -> None:
    """Import FILE, and call what CALLS asks for."""
    _limit_memory()
    sys.path.insert(0, str(Path(file).parent))
    sys.argv[:] = [file]
    with Path(results).open("w", encoding="utf-8") as output:

        def answer(result: Mapping[str, Any]) -> None:
            output.write(json.dumps(result) + "\n")
            output.flush()

        module: Any = None
        try:
            spec = importlib.util.spec_from_file_location("homework_answer", file)
            if spec is None or spec.loader is None:
                raise ImportError("it is no Python file")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except BaseException as error:  # noqa: BLE001 - whatever a program may raise, SystemExit too
            answer(_error(error, file))
            return
        answer({})
        asked = json.loads(Path(calls).read_text("utf-8"))  # noqa: TID251 - the check wrote it
        for name, arguments in asked:
            answer(_call(module, name, [_argument(each) for each in arguments], file))


def _call(module: Any, name: str, arguments: Sequence[Any], file: str) -> Mapping[str, Any]:
    function = getattr(module, name, None)
    if not callable(function):
        return {"missing": True}
    try:
        returned = function(*arguments)
        several = isinstance(returned, tuple | list)
        return {"values": [_value(each) for each in (returned if several else [returned])]}
    except BaseException as error:  # noqa: BLE001 - whatever a program may raise, SystemExit too
        return _error(error, file)


def _argument(value: Any) -> Any:
    """An array from its shape and values; other values as they are."""
    if not isinstance(value, dict):
        return value
    return np.array(value["values"], value["dtype"]).reshape(value["shape"])


def _value(returned: Any) -> Mapping[str, Any]:
    """A returned value as shape and numbers. Raises `TypeError`, `ValueError` for anything else."""
    if returned is None:
        return {"none": True}
    array = np.asarray(returned)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a returned value is {type(returned).__name__}, and no array of numbers")
    if array.size > _MOST_VALUES:
        raise ValueError(f"a returned value has {array.size} numbers")
    return {"shape": list(array.shape), "values": array.astype(np.float64).ravel().tolist()}


def _error(error: BaseException, file: str) -> Mapping[str, Any]:
    """The error, and the last line of the file that led to it."""
    lines = [entry.lineno for entry in traceback.extract_tb(error.__traceback__) if entry.filename == file]
    line = error.lineno if isinstance(error, SyntaxError) and error.filename == file else next(reversed(lines), None)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    blank = isinstance(error, NameError) and error.name == "____"
    return {"error": f"{type(error).__name__}: {text}"[:400], "line": line, "blank": blank}


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # a system without such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    main(*sys.argv[1:])
