"""The doctor's sentences: what is wrong with a dataset and what to do about it, most important first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from convolve.datasets.findings import Findings, Group

IMBALANCE = 10.0
"""How many times the smallest class the largest may be before it is worth a sentence."""
_NAMED = 5


def advise(findings: Findings) -> tuple[str, ...]:
    """A sentence for each thing that a person should know before the first epoch."""
    return (*_leaks(findings), *_conflicts(findings), *_images(findings), *_classes(findings), *_repeats(findings))


def _leaks(findings: Findings) -> Iterator[str]:
    for copies, kind in ((findings.exact, "an exact"), (findings.near, "a near")):
        if copies.leaks:
            example = _example([group for group in copies.shown if group.leak], "split")
            yield (
                f"LEAK: {_pictures(copies.leaks, 'has', 'have')} {kind} copy in another split{example}, which makes "
                "results look better than they are; keep one of them, or keep related files together with --group-by."
            )


def _conflicts(findings: Findings) -> Iterator[str]:
    for copies, kind in ((findings.exact, "an exact"), (findings.near, "a near")):
        if copies.conflicts:
            example = _example([group for group in copies.shown if group.conflict], "label")
            number = _pictures(copies.conflicts, "has", "have")
            yield f"{number} {kind} copy with another label{example}; correct the wrong one."


def _images(findings: Findings) -> Iterator[str]:
    if findings.unreadable:
        number = _pictures(len(findings.unreadable), "is", "are")
        names = _listed([image.name for image in findings.unreadable])
        yield f"{number} unreadable and left out: {names}; repair or remove them."
    if findings.blank:
        yield f"{_pictures(findings.blank, 'shows', 'show')} one flat tone; look whether that belongs in the set."


def _classes(findings: Findings) -> Iterator[str]:
    if findings.empty_classes:
        yield f"No image shows {_listed(findings.empty_classes)}; add some, or remove the class."
    if findings.single_classes:
        yield f"A single image shows {_listed(findings.single_classes)}: too few to learn and to test; add some."
    for split, classes in findings.missing.items():
        yield f"The {split} split has no image of {_listed(classes)}; move some there, or let convolve split afresh."
    if findings.imbalance > IMBALANCE:
        yield (
            f"The largest class has {findings.imbalance:.0f} times the images of the smallest; "
            "use class weights or the balanced sampler, and judge by macro figures rather than accuracy."
        )


def _repeats(findings: Findings) -> Iterator[str]:
    """Copies within a split; those across splits have been told."""
    for copies, kind in ((findings.exact, "an exact"), (findings.near, "a near")):
        within = copies.groups - copies.leaks
        if within:
            example = _example([group for group in copies.shown if not group.leak], "label")
            number = _pictures(within, "has", "have")
            yield f"{number} {kind} copy{example}; remove it, or keep such series together with --group-by."


def _example(groups: Sequence[Group], told: Literal["split", "label"]) -> str:
    """Two members of the first group, with what is told of them; two that differ in it where there are such."""
    if not groups:
        return ""
    facts = [(member.name, member.split if told == "split" else member.label) for member in groups[0].members]
    other = next((fact for fact in facts if fact[1] != facts[0][1]), facts[:2][-1])
    return f" (such as {_with_fact(facts[0])} = {_with_fact(other)})"


def _with_fact(pair: tuple[str, str]) -> str:
    name, fact = pair
    return f"{name} in {fact}" if fact else name


def _pictures(count: int, one: str, several: str) -> str:
    """The number with its verb."""
    return f"1 picture {one}" if count == 1 else f"{count:,} pictures {several}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
