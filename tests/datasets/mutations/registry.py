"""The mutations: each changes a case as a person or a program might, and what is true of it where it must."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from tests.datasets.mutations.case import Case

T = TypeVar("T")


class Choose(Protocol):
    """Chooses one of several."""

    def __call__(self, options: Sequence[T], /) -> T: ...


Apply = Callable[[Case, Choose], str | None]
"""Changes the case, and returns a word for what was chosen."""


@dataclass(frozen=True)
class Mutation:
    """``stage`` says when it is applied: contents first, then annotations, names, foreign files and whole folders."""

    name: str
    stage: int
    fits: Callable[[Case], bool]
    apply: Apply


MUTATIONS: dict[str, Mutation] = {}
CONTENT, ANNOTATION, NAMES, FOREIGN, WHOLE = range(5)


def mutation(stage: int, fits: Callable[[Case], bool]) -> Callable[[Apply], Apply]:
    """Registers a function under its name."""

    def register(apply: Apply) -> Apply:
        name = apply.__name__.replace("_", " ")
        assert name not in MUTATIONS
        MUTATIONS[name] = Mutation(name, stage, fits, apply)
        return apply

    return register


def always(case: Case) -> bool:
    """Fits every layout."""
    return bool(case.samples)


def has_files(case: Case) -> bool:
    """Whether images are files."""
    return all(sample.path for sample in case.samples)


def in_class_folders(case: Case) -> bool:
    """Whether folders are the labels."""
    return case.layout in ("folders", "split folders", "dicom")


def has_tables(case: Case) -> bool:
    """Whether a table has the labels."""
    return bool(case.tables)


def has_coco(case: Case) -> bool:
    """Whether COCO's file has the objects."""
    return bool(case.coco)


def has_outlines(case: Case) -> bool:
    """Whether an annotation program other than COCO's wrote the outlines of the objects."""
    return bool(case.outlines)


def has_mask_files(case: Case) -> bool:
    """Whether masks are files whose values no standard fixes."""
    return case.kinds == ("masks",) and has_files(case) and case.layout != "voc"


def mutations_for(case: Case) -> list[Mutation]:
    """Those that fit an unchanged case, in the order of their names."""
    return [one for _, one in sorted(MUTATIONS.items()) if one.fits(case)]


def mutate(case: Case, chosen: Sequence[Mutation], choose: Callable[[Mutation], Choose]) -> list[str]:
    """Apply mutations in their order; their names with what was chosen. One that no longer fits is left out."""
    applied = []
    for one in sorted(chosen, key=lambda each: (each.stage, each.name)):
        if one.fits(case):
            variant = one.apply(case, choose(one))
            applied.append(f"{one.name}: {variant}" if variant else one.name)
    return applied
