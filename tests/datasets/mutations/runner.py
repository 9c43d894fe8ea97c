"""Examples of mutated datasets, judged and made as small as they fail."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from tests.datasets.mutations import boxing, contents, foreign, labeling, masking, objects, outlining, tabular
from tests.datasets.mutations.annotated import ANNOTATED
from tests.datasets.mutations.arrays import ARRAYS
from tests.datasets.mutations.boxing import BOXED
from tests.datasets.mutations.case import Case, write
from tests.datasets.mutations.judge import Outcome, judge
from tests.datasets.mutations.layouts import FILES
from tests.datasets.mutations.registry import MUTATIONS, mutate, mutations_for

LAYOUTS = FILES | ANNOTATED | BOXED | ARRAYS
"""By name: from a number of images to a case; 3 at most."""
REGISTERED = (contents, boxing, tabular, objects, masking, outlining, labeling, foreign)
"""The modules whose import fills `MUTATIONS`."""
_NUMBERS_OF_MUTATIONS = (1, 1, 1, 2, 2, 3, 4)
_MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, where there is one


@dataclass(frozen=True)
class Example:
    """A layout, its size, the names of mutations, and a seed for what these choose."""

    layout: str
    count: int
    mutations: tuple[str, ...]
    seed: str


@dataclass(frozen=True)
class Failure:
    """An example that is as small as it fails, what was ``applied`` in it, and the outcome."""

    example: Example
    applied: tuple[str, ...]
    outcome: Outcome

    @property
    def key(self) -> tuple[str, tuple[str, ...], str]:
        """Equal for failures that are alike."""
        return self.example.layout, self.applied, self.outcome.kind


@contextmanager
def fast_folder() -> Iterator[Path]:
    """A temporary folder, in memory where that is possible."""
    parent = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="mutations-", dir=parent) as name:
        yield Path(name)


def draw_example(layout: str, seed: str) -> Example:
    """From a random generator of that seed."""
    random = Random(f"{layout} {seed}")
    count = random.choice((1, 2, 3))
    names = [one.name for one in mutations_for(LAYOUTS[layout](count))]
    chosen = random.sample(names, random.choice(_NUMBERS_OF_MUTATIONS))
    return Example(layout, count, tuple(chosen), seed)


def build(example: Example) -> tuple[Case, tuple[str, ...]]:
    """The mutated case, and what was applied."""
    case = LAYOUTS[example.layout](example.count)
    chosen = [MUTATIONS[name] for name in example.mutations]
    return case, tuple(mutate(case, chosen, lambda one: Random(f"{example.seed} {one.name}").choice))


def check(case: Case, folder: Path) -> Outcome:
    """Write a case into a new folder below ``folder``, judge it and remove it."""
    root = Path(tempfile.mkdtemp(dir=folder))
    try:
        write(case, root)
        return judge(case, root)
    finally:
        shutil.rmtree(root)


def run(example: Example, folder: Path) -> Failure:
    """The outcome, which may also be right."""
    case, applied = build(example)
    return Failure(example, applied, check(case, folder))


def shrink(failure: Failure, folder: Path) -> Failure:
    """Fewer mutations and images, as long as the failure is of the same kind."""
    best, tried = failure, True
    while tried:
        tried = False
        for smaller in _smaller(best.example):
            found = run(smaller, folder)
            if found.outcome.kind == best.outcome.kind:
                best, tried = found, True
                break
    return best


def _smaller(example: Example) -> Iterator[Example]:
    for name in example.mutations if len(example.mutations) > 1 else ():
        yield replace(example, mutations=tuple(one for one in example.mutations if one != name))
    for count in range(1, example.count):
        yield replace(example, count=count)


def known_failure(failure: Failure, known: Sequence[Failure]) -> Failure | None:
    """One found before that explains this one: of the same layout and kind, with no mutation that this one lacks."""
    for one in known:
        same = one.example.layout == failure.example.layout and one.outcome.kind == failure.outcome.kind
        if same and set(one.applied) <= set(failure.applied):
            return one
    return None
