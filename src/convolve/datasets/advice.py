"""The doctor's sentences: what is wrong with a dataset and what to do about it, most important first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from convolve.datasets.findings import DuplicateGroup, Findings

IMBALANCE = 10.0
"""How many times the smallest class the largest may be before it is worth a sentence."""
_NAMED = 5


def advise(findings: Findings) -> tuple[str, ...]:
    """A sentence for each thing that a person should know before the first epoch."""
    return (*_leaks(findings), *_conflicts(findings), *_images(findings), *_classes(findings), *_redundant(findings))


def _leaks(findings: Findings) -> Iterator[str]:
    for duplicates, kind in ((findings.exact, "an exact"), (findings.near, "a near")):
        if duplicates.leaks:
            example = _example([group for group in duplicates.examples if group.leak], "split")
            yield (
                f"LEAK: {_images_with_verb(duplicates.leaks, 'has', 'have')} {kind} duplicate in another split"
                f"{example}, which makes results look better than they are; keep one of them, or keep related files "
                "together with --group-by."
            )


def _conflicts(findings: Findings) -> Iterator[str]:
    for duplicates, kind in ((findings.exact, "an exact"), (findings.near, "a near")):
        if duplicates.conflicts:
            example = _example([group for group in duplicates.examples if group.conflict], "label")
            number = _images_with_verb(duplicates.conflicts, "has", "have")
            yield f"{number} {kind} duplicate with another label{example}; correct the wrong one."


def _images(findings: Findings) -> Iterator[str]:
    if findings.unreadable:
        number = _images_with_verb(len(findings.unreadable), "is", "are")
        names = _enumerate([image.name for image in findings.unreadable])
        yield f"{number} unreadable and left out: {names}; repair or remove them."
    if findings.blank:
        number = _images_with_verb(findings.blank, "is", "are")
        yield f"{number} of a single color; check whether that is meant to be in the dataset."


def _classes(findings: Findings) -> Iterator[str]:
    if findings.empty_classes:
        yield f"No image shows {_enumerate(findings.empty_classes)}; add some, or remove the class."
    if findings.single_classes:
        yield f"A single image shows {_enumerate(findings.single_classes)}: too few to learn and to test; add some."
    for split, classes in findings.missing.items():
        yield (
            f"The {split} split has no image of {_enumerate(classes)}; move some there, or remove the dataset's own "
            "splits so that new ones are drawn."
        )
    if findings.imbalance > IMBALANCE:
        yield (
            f"The largest class has {findings.imbalance:.0f} times the images of the smallest; "
            "use class weights or the balanced sampler, and judge by macro averages rather than accuracy."
        )


def _redundant(findings: Findings) -> Iterator[str]:
    """Duplicates within a split; those across splits have their own sentence."""
    for duplicates, kind in ((findings.exact, "an exact"), (findings.near, "a near")):
        within = duplicates.groups - duplicates.leaks
        if within:
            example = _example([group for group in duplicates.examples if not group.leak], "label")
            number = _images_with_verb(within, "has", "have")
            yield f"{number} {kind} duplicate{example}; remove it, or keep such series together with --group-by."


def _example(groups: Sequence[DuplicateGroup], fact: Literal["split", "label"]) -> str:
    """Two members of the first group with that fact; two that differ in it where there are such."""
    if not groups:
        return ""
    facts = [(member.name, member.split if fact == "split" else member.label) for member in groups[0].members]
    other = next((each for each in facts if each[1] != facts[0][1]), facts[:2][-1])
    first, second = (f"{name} in {value}" if value else name for name, value in (facts[0], other))
    return f" (such as {first} = {second})"


def _images_with_verb(count: int, one: str, several: str) -> str:
    return f"1 image {one}" if count == 1 else f"{count:,} images {several}"


def _enumerate(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
