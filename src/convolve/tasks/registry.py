"""Which tasks there are. Nothing here imports torch, so that the command line can list their options at once."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import operator
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from convolve.errors import OptionError
from convolve.options import Option, build, descriptions, fields, unknown_option
from convolve.tasks.info import TaskInfo

if TYPE_CHECKING:
    from convolve.tasks.task import Task

_BUILT_IN = ("classify", "segment")
"""From the least specific ground truth to the most specific one; each is the class `TASK` of its folder's task.py."""
_REGISTERED: dict[str, type[Task]] = {}
Use = Literal["train", "predict"]


def register_task(task: type[Task]) -> type[Task]:
    """Add a task, so that it can be trained, evaluated and so on by its name; may be used as a class decorator.

    Raises `OptionError` when the name is taken, or the task's options repeat a name of the recipe.
    """
    from convolve.training.recipe import Recipe

    name = task.info.name
    if name in _BUILT_IN or _REGISTERED.get(name, task).__qualname__ != task.__qualname__:
        raise OptionError(f"There is a task '{name}' already; choose another name.")
    taken = {option.name for option in fields(Recipe)} & {option.name for option in fields(task.info.options)}
    if taken:
        raise OptionError(f"The option '{min(taken)}' of the task '{name}' is one of the recipe's; rename it.")
    _REGISTERED[name] = task
    return task


def task_names() -> list[str]:
    """The names of all tasks, those with the most specific ground truth last."""
    return [*_BUILT_IN, *_REGISTERED]


def task_info(name: str) -> TaskInfo:
    """What is known of a task without importing torch. Raises `OptionError` for an unknown one."""
    if name in _REGISTERED or name not in _BUILT_IN:
        return find_task(name).info
    info: TaskInfo = importlib.import_module(f"convolve.tasks.{name}.options").INFO
    return info


def find_task(name: str) -> type[Task]:
    """The task of that name, imported only now. Raises `OptionError` for an unknown one."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name not in _BUILT_IN:
        near = difflib.get_close_matches(name, task_names(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(task_names())}."
        raise OptionError(f"There is no task '{name}'; {hint}")
    task: type[Task] = importlib.import_module(f"convolve.tasks.{name}.task").TASK
    return task


def build_options(task: str, use: Use, values: Mapping[str, object]) -> Any:
    """A task's own options from their values by name. Raises `OptionError` for one that the task does not have."""
    cls = _options_type(task, use)
    known = [option.name for option in fields(cls)]
    unknown = [name for name in values if name not in known]
    if unknown:
        all_fields = {name: fields(_options_type(name, use)) for name in task_names() if name != task}
        others = [name for name, own in all_fields.items() if unknown[0] in [option.name for option in own]]
        if others:
            flag = unknown[0].replace("_", "-")
            raise OptionError(f"--{flag} is an option of {' and '.join(others)}, not of {task}; omit it.")
        raise unknown_option(unknown[0], known)
    return build(cls, values)


@dataclasses.dataclass(frozen=True)
class TaskFlag:
    """An option that some tasks have: its type with all that any of them accepts, and its descriptions (``texts``) by
    the titles of the tasks.
    """

    name: str
    type: Any
    texts: Mapping[str, str]
    aliases: tuple[str, ...] = ()

    @property
    def qualified_description(self) -> str:
        """Every description after the titles of the tasks that it is of."""
        titles = {text: [title for title in self.texts if self.texts[title] == text] for text in self.texts.values()}
        return " ".join(f"({', '.join(titles[text])}) {text}" for text in titles)


def task_flags(use: Use) -> Iterator[TaskFlag]:
    """The options of all tasks; one flag for those of the same name, whose type accepts what any of them does."""
    found: dict[str, list[tuple[str, Option, str]]] = {}
    for task in task_names():
        cls = _options_type(task, use)
        described = descriptions(cls)
        for option in fields(cls):
            found.setdefault(option.name, []).append((task_info(task).title, option, described.get(option.name, "")))
    for name, entries in found.items():
        texts = {title: text for title, _, text in entries}
        aliases = tuple(dict.fromkeys(alias for _, option, _ in entries for alias in option.aliases))
        yield TaskFlag(name, _union([option.type for _, option, _ in entries]), texts, aliases)


def flags_dataclass(use: Use) -> type:
    """A dataclass of all `task_flags`, each None by default and under the heading of its tasks in the help. It is
    described as the tasks describe it; where they differ, with their titles.
    """
    specs: list[tuple[str, Any, Any]] = []
    for flag in task_flags(use):
        texts = set(flag.texts.values())
        text = texts.pop() if len(texts) == 1 else flag.qualified_description
        parameter = Parameter(help=text, group=", ".join(flag.texts), alias=flag.aliases)
        specs.append((flag.name, Annotated[flag.type, parameter], dataclasses.field(default=None)))
    cls = dataclasses.make_dataclass("TaskFlags", specs, frozen=True, kw_only=True)
    cls.__module__ = __name__  # else that of `types`, whose classes the command line takes for one value each
    return cls


def _options_type(task: str, use: Use) -> type:
    info = task_info(task)
    return info.options if use == "train" else info.predict_options


def _union(hints: Sequence[Any]) -> Any:
    """A type that accepts what any of the types does: one `Literal` with all their values, then the other members."""
    members: dict[Any, None] = {}
    for hint in hints:
        union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
        members |= dict.fromkeys(typing.get_args(hint) if union else (hint,))
    literals = [member for member in members if typing.get_origin(member) is Literal]
    values = dict.fromkeys(value for literal in literals for value in typing.get_args(literal))
    others = [member for member in members if member not in literals]
    return functools.reduce(operator.or_, [Literal[tuple(values)], *others] if values else others)
