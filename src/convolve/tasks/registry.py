"""Which tasks there are. Nothing here imports torch, so that the command line can list their options at once."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import importlib
import importlib.util
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from convolve.choices import TaskUse
from convolve.errors import OptionError
from convolve.options import Option, build, descriptions, fields
from convolve.tasks.info import TaskInfo

if TYPE_CHECKING:
    from convolve.tasks.exported_task import ExportedTask
    from convolve.tasks.task import Task

# fmt: off
_BUILT_IN = (
    "embed", "classify", "localize", "faces", "detect", "segment", "landmarks", "style", "restore", "caption", "depth",
    "stereo",
)
# fmt: on
"""From the least specific ground truth to the most specific one; each is the class `TASK` of its folder's task.py."""
_OPTIONS: Mapping[TaskUse, str] = {
    "train": "options",
    "predict": "predict_options",
    "data": "data_options",
    "convert": "convert_options",
}
"""The attributes of `TaskInfo` that have the options for a command."""
_REGISTERED: dict[str, type[Task]] = {}


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


def task_infos() -> list[TaskInfo]:
    """What is known of each task without importing torch, those with the most specific ground truth last."""
    built_in = [importlib.import_module(f"convolve.tasks.{name}.options").INFO for name in _BUILT_IN]
    return [*built_in, *(task.info for task in _REGISTERED.values())]


def find_task(name: str) -> type[Task]:
    """The task of that name, imported only now. Raises `OptionError` for an unknown one."""
    if name in _BUILT_IN:
        task: type[Task] = importlib.import_module(f"convolve.tasks.{name}.task").TASK
        return task
    if name in _REGISTERED:
        return _REGISTERED[name]
    names = [*_BUILT_IN, *_REGISTERED]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(names)}."
    raise OptionError(f"There is no task '{name}'; {hint}")


def find_exported(name: str) -> type[ExportedTask]:
    """How exports of the task of that name are used, without torch. Raises `OptionError` for an unknown task, for one
    that is never exported, and for one that was registered from outside, which exports cannot have.
    """
    if name not in _BUILT_IN or not importlib.util.find_spec(f"convolve.tasks.{name}.exported"):
        raise OptionError(f"The task '{find_task(name).info.name}' has no exports; use the run itself.")
    exported: type[ExportedTask] = importlib.import_module(f"convolve.tasks.{name}.exported").EXPORTED
    return exported


def build_options(task: str, use: TaskUse, values: Mapping[str, object]) -> Any:
    """A task's own options from their values by name. Raises `OptionError` for one that the task does not have."""
    own = importlib.import_module(f"convolve.tasks.{task}.options") if task in _BUILT_IN else None
    info = own.INFO if own else find_task(task).info  # a built-in task's without importing torch
    cls = getattr(info, _OPTIONS[use])
    known = {option.name for option in fields(cls)}
    unknown = [name for name in values if name not in known]
    if unknown:
        others = [(other.name, getattr(other, _OPTIONS[use])) for other in task_infos()]
        owners = [name for name, own in others if unknown[0] in {option.name for option in fields(own)}]
        if owners:
            flag = unknown[0].replace("_", "-")
            names = " and ".join([", ".join(owners[:-1]), owners[-1]] if len(owners) > 1 else owners)
            raise OptionError(f"--{flag} is an option of {names}, not of {task}; omit it.")
    return build(cls, values)


@dataclasses.dataclass(frozen=True)
class TaskFlag:
    """An option that some tasks have: its type, with None and all that any of them accepts, its descriptions by the
    titles of the tasks, and other names of its flag.
    """

    name: str
    type: Any
    descriptions: Mapping[str, str]
    aliases: tuple[str, ...] = ()


def task_flags(use: TaskUse) -> list[TaskFlag]:
    """The options of all tasks; one flag for those of the same name, whose type accepts what any of them does."""
    texts: dict[str, dict[str, list[str]]] = {}
    found: dict[str, list[Option]] = {}
    for info in task_infos():
        cls = getattr(info, _OPTIONS[use])
        described = descriptions(cls)
        for option in fields(cls):
            texts.setdefault(option.name, {}).setdefault(described.get(option.name, ""), []).append(info.title)
            found.setdefault(option.name, []).append(option)
    flags: list[TaskFlag] = []
    for name, options in found.items():
        members = dict.fromkeys(member for option in options for member in get_args(option.type | None))
        literals = tuple(member for member in members if get_origin(member) is Literal)
        others = [member for member in members if member not in literals]
        accepted = functools.reduce(operator.or_, [Literal[literals], *others] if literals else others)
        aliases = dict.fromkeys(alias for option in options for alias in option.aliases)
        described = {", ".join(titles): text for text, titles in texts[name].items()}
        flags.append(TaskFlag(name, accepted, described, tuple(aliases)))
    return flags
