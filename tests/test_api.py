"""The command line, the Python functions and the recipe have the same options: names, types, defaults and effect."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pydoc
import subprocess
import sys
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import tomli_w

import convolve
from convolve import api, cli
from convolve.commands import COMMANDS
from convolve.options import fields, to_sections
from convolve.tasks.registry import task_flags, task_infos
from convolve.training.recipe import Recipe, read_recipe
from tools import generate_api

GENERAL = {"json", "quiet", "debug"}
"""Flags of the command line alone, which are about what is printed."""
REQUIRED = inspect.Parameter.empty
GOOD = """\
from pathlib import Path

import convolve

convolve.data(Path("x"), progress=False)
run = convolve.train("x", network="resnet18", epochs=3)
print(run.as_json())
"""
BAD = """\
import convolve

convolve.train("x", epochs="three")
convolve.train("x", epoch=3)
"""


@dataclasses.dataclass(frozen=True)
class Seen:
    """An option as one of the interfaces has it; ``path`` where text names a file or a folder."""

    type: frozenset[Any]
    default: object
    path: bool = dataclasses.field(default=False, compare=False)


def members(hint: Any) -> frozenset[Any]:
    """The members of a union, or the type itself."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return frozenset(typing.get_args(hint)) if union else frozenset({hint})


def declared(name: str) -> dict[str, Seen]:
    """The options as the command's dataclasses declare them, in order, and those of the tasks."""
    command = COMMANDS[name]
    found = {
        option.name: Seen(members(option.type), default, option.path_like)
        for option in fields(command.options)
        for default in [REQUIRED if option.default is dataclasses.MISSING else option.default]
    }
    flags = task_flags(command.task_use) if command.task_use else ()
    return found | {flag.name: Seen(members(flag.type), None) for flag in flags}


def on_command_line(name: str) -> dict[str, Seen]:
    """The options as the parser has them."""
    flags = declared(name)
    found: dict[str, Seen] = {}
    for argument in cli.application()[name].assemble_argument_collection():
        if not argument.show or argument.names == ("*",):
            continue
        option = argument.names[0].removeprefix("--").replace("-", "_")
        hint, default = argument.hint, argument.field_info.default
        if option in flags and default is None:
            hint = hint | None
        found[option] = Seen(members(hint), default)
    assert found.keys() >= GENERAL
    return {option: seen for option, seen in found.items() if option not in GENERAL}


def in_python(name: str) -> dict[str, Seen]:
    """The options as the function's signature has them, in order."""
    function = getattr(convolve, name)
    hints, parameters = typing.get_type_hints(function), inspect.signature(function).parameters
    found = {option: Seen(members(hints[option]), parameter.default) for option, parameter in parameters.items()}
    assert found.pop("progress") == Seen(frozenset({bool}), True)
    if COMMANDS[name].task_use:
        assert found.pop("task_options") == Seen(members(Mapping[str, object] | None), None)
    return found


def as_in_python(seen: Seen) -> frozenset[Any]:
    """The types that Python takes for those of a dataclass: text for paths and paths for text that names one, one item
    or a sequence for a tuple.
    """
    found: set[Any] = set()
    for hint in seen.type:
        if hint is Path or (hint is str and seen.path):
            found |= {str, Path}
        elif typing.get_origin(hint) is tuple:
            item: Any = typing.get_args(hint)[0]
            item = str | Path if item in (str, Path) else item
            found |= {*members(item), Sequence[item]}
        else:
            found.add(hint)
    return frozenset(found)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_function_returns_what_its_command_does(name: str) -> None:
    results = members(typing.get_type_hints(getattr(convolve, name))["return"])
    assert {result.__name__ for result in results} == set(COMMANDS[name].run.__annotations__["return"].split(" | "))
    assert all(hasattr(result, "as_json") for result in results)


def test_the_functions_are_up_to_date() -> None:
    assert Path(api.__file__) == generate_api.PATH
    assert generate_api.source() == generate_api.PATH.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_command_line_and_python_have_the_same_names_types_and_defaults(name: str) -> None:
    options = declared(name)
    assert len(options) > 2
    assert on_command_line(name) == options
    python = in_python(name)
    assert list(python) == list(options)
    for option, seen in options.items():
        assert (option, python[option].type) == (option, as_in_python(seen))
        assert (option, python[option].default) == (option, seen.default)


def test_the_recipe_has_the_options_of_train() -> None:
    of_train, of_recipe = declared("train"), {option.name: option for option in fields(Recipe)}
    assert of_recipe.keys() <= of_train.keys()
    for name, option in of_recipe.items():
        assert of_train[name] == Seen(members(option.type), option.default) == Seen(members(option.type), None)
    own = {option.name for task in task_infos() for option in fields(task.options)}
    about_the_run = {
        "recipe",
        "out",
        "resume",
        "minutes",
        "tensorboard",
        "validate_only",
        "language",
        "device",
        "precision",
        "threads",
        "fast_convolutions",
    }
    assert of_train.keys() - of_recipe.keys() == own | about_the_run


def samples(option: str, hints: frozenset[Any]) -> Iterator[Any]:
    """Values of an option's type, those that count as false among them."""
    plain: dict[Any, tuple[Any, ...]] = {
        int: (3, 0),
        float: (0.25, 0.0, 2),
        bool: (True, False),
        str: (f"a {option}",),
        Path: (Path(f"some/{option}"),),
    }
    for hint in hints:
        if typing.get_origin(hint) is Literal:
            yield from typing.get_args(hint)
        elif typing.get_origin(hint) is tuple:
            yield tuple(samples(option, frozenset({typing.get_args(hint)[0]})))[:2]
        elif hint is not type(None):
            yield from plain[hint]


def words(option: str, value: object) -> list[str]:
    """The value on the command line."""
    flag = option.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [word for item in (value if isinstance(value, tuple) else (value,)) for word in (f"--{flag}", str(item))]


def flattened(options: Any) -> dict[str, object]:
    """The values of all options by name, those of a task among them."""
    found: dict[str, object] = {}
    for spec in dataclasses.fields(options):
        value = getattr(options, spec.name)
        if spec.name == "task_options":
            found |= value
        else:
            found |= flattened(value) if dataclasses.is_dataclass(value) else {spec.name: value}
    return found


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The options that every command was run with, which do nothing else."""
    found: list[Any] = []

    def run(options: Any, listener: object) -> None:
        del listener
        found.append(options)

    for name, command in COMMANDS.items():
        replaced = dataclasses.replace(command, run=run, render=lambda _: iter(()))
        monkeypatch.setitem(COMMANDS, name, replaced)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_value_arrives_the_same_from_command_line_and_python(name: str, received: list[Any]) -> None:
    options = declared(name)
    needed = {option: next(samples(option, seen.type)) for option, seen in options.items() if seen.default is REQUIRED}
    application = cli.application()
    count = 0
    for option, seen in options.items():
        for value in samples(option, seen.type):
            given = needed | {option: value}
            line = [word for key, one in given.items() for word in words(key, one)]
            application([name, *line, "--quiet"], exit_on_error=False, print_error=False, result_action="return_value")
            getattr(convolve, name)(**given, progress=False)
            by_command_line, by_python = received[-2:]
            assert by_command_line == by_python
            assert flattened(by_python)[option] == value
            count += 1
    assert len(received) == 2 * count
    assert count >= len(options)


def test_every_value_arrives_the_same_from_a_recipe(received: list[Any], tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    for option in fields(Recipe):
        for value in samples(option.name, members(option.type)):
            section: Any = value
            for name in reversed(option.path):
                section = {name: section}
            path.write_text(tomli_w.dumps(section), encoding="utf-8")
            convolve.train(**{option.name: value}, progress=False)
            assert read_recipe(path) == received[-1].training
            assert tomllib.loads(path.read_text(encoding="utf-8")) == to_sections(received[-1].training)
    for task in task_infos():
        for own in fields(task.options):
            for value in samples(own.name, members(own.type)):
                path.write_text(tomli_w.dumps({"task": task.name, task.name: {own.name: value}}), encoding="utf-8")
                convolve.train(task=task.name, **{own.name: value}, progress=False)
                assert read_recipe(path) == received[-1].training
                assert received[-1].training.task_options == {own.name: value}


def test_an_option_of_a_task_from_outside_is_given_by_name(received: list[Any]) -> None:
    convolve.train(Path("x"), mixup=0.1, task_options={"power": 2.0}, progress=False)
    assert received[-1].training == Recipe("x", task_options={"mixup": 0.1, "power": 2.0})


@pytest.mark.parametrize("name", COMMANDS)
def test_help_explains_every_option(name: str) -> None:
    page = pydoc.plain(pydoc.render_doc(getattr(convolve, name)))
    lines = [line.strip(" |") for line in page.partition("Args:")[2].splitlines()]
    for option in (*declared(name), "progress"):
        (entry,) = [line for line in lines if line.startswith(f"{option}: ")]
        assert len(entry) > len(option) + 10
    assert "Raises:" in lines


def test_mypy_accepts_what_is_right_and_refuses_what_is_wrong(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--follow-imports=silent"]
    command += ["--cache-dir", str(tmp_path / "cache"), "--ignore-missing-imports", "--allow-untyped-calls"]

    def errors(text: str) -> list[str]:
        (tmp_path / "script.py").write_text(text)
        done = subprocess.run(
            [*command, str(tmp_path / "script.py")],
            env={"MYPYPATH": str(root / "src"), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return [line for line in done.stdout.splitlines() if "script.py" in line and ": error:" in line]

    assert errors(GOOD) == []
    wrong_type, unknown = errors(BAD)
    assert 'script.py:3: error: Argument "epochs" to "train" has incompatible type "str"; expected "int | None"' in (
        wrong_type.partition("script")[1] + wrong_type.partition("script")[2]
    )
    assert 'Unexpected keyword argument "epoch" for "train"' in unknown


def test_pyright_accepts_what_is_right_and_refuses_what_is_wrong(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    settings = {"extraPaths": [str(root / "src")], "pythonVersion": "3.11", "include": ["good.py", "bad.py"]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "--project"]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)["generalDiagnostics"]
    except (ValueError, KeyError):
        pytest.skip(f"pyright cannot start here: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    places = [(Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["rule"]) for one in found]
    assert places == [("bad.py", 3, "reportArgumentType"), ("bad.py", 4, "reportCallIssue")]
