"""`convolve attendance`: who of some enrolled people is in photographs. Everything stays on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from convolve.choices import Language
from convolve.command import Command
from convolve.errors import OptionError
from convolve.options import Flat
from convolve.progress import Listener, Message
from convolve.setup.runtime_options import RuntimeOptions

if TYPE_CHECKING:
    from rich.console import RenderableType

    from convolve.face_recognition.attendance import Roll

_FARTHEST = 2.0


@dataclass(frozen=True)
class Attendance:
    """Find faces in photographs and compare them with those of enrolled people: who is present, absent, unknown.

    Nothing leaves this machine. Ask the people first: see the how-to page on consent and error rates.
    """

    photographs: tuple[str, ...]
    """Photographs and folders of photographs."""
    _: KW_ONLY
    enrolled: Path
    """Folder with a folder of photographs for each person, or with one photograph for each, called by the name."""
    faces: Path
    """Folder of a run that finds faces: of the task faces, or of the task detect."""
    embedding: Path
    """Folder of a run of the task embed that was trained on faces cut out in the same way."""
    out: Annotated[Path, Parameter(alias="-o")]
    """New folder for the page, the table and the crops."""
    threshold: float | None = None
    """Distance from which on a face is unknown, 0 to 2; by default the embedding's own."""
    calibrate: bool = False
    """Choose the threshold by the enrolled photographs, so that at most 1 % of the comparisons with another person are
    accepted; needs several photographs of some people."""
    language: Language = "en"
    """Language of the page: en, or ko for Korean."""
    runtime: Annotated[RuntimeOptions, Flat, Parameter(group="Runtime")] = field(default_factory=RuntimeOptions)


@dataclass(frozen=True)
class Taken:
    """Names of people ``present``, with their distances, and ``absent``; the number of ``unknown`` faces; the
    ``threshold``, where it is ``from``, its FAR and FRR (None where unknown), and the chance that a ``stranger`` is
    taken for one of the enrolled; the ``folder`` with the files.
    """

    present: Mapping[str, float]
    absent: tuple[str, ...]
    unknown: int
    threshold: float
    source: str
    far: float | None
    frr: float | None
    stranger: float | None
    failed: Mapping[str, str]
    folder: Path

    def as_json(self) -> dict[str, Any]:
        """The same fields."""
        return {**vars(self), "folder": str(self.folder)}


def run(options: Attendance, listener: Listener) -> Taken:
    """Take attendance, and write the files. Raises `ConvolveError`."""
    from convolve.face_recognition.attendance import FaceEmbedder, enroll, given_limit, take_attendance
    from convolve.face_recognition.faces import FaceFinder
    from convolve.face_recognition.output import check_folder, write_roll
    from convolve.face_recognition.roll import calibrate
    from convolve.verbs.predict import find_images

    if options.threshold is not None and not 0 <= options.threshold <= _FARTHEST:
        raise OptionError(f"threshold cannot be {options.threshold}; distances of faces are numbers from 0 to 2.")
    if options.threshold is not None and options.calibrate:
        raise OptionError("--threshold sets what --calibrate would choose; leave out one of them.")
    check_folder(options.out)
    photographs = find_images(options.photographs)
    finder = FaceFinder(options.faces, options.runtime, listener)
    embedder = FaceEmbedder(options.embedding, options.runtime, listener)
    enrolled = enroll(options.enrolled, finder, embedder, listener)
    if options.threshold is not None:
        limit = given_limit(options.threshold)
    else:
        limit = calibrate(enrolled) if options.calibrate else embedder.limit
    listener(Message(f"threshold {limit.distance:.3f}: {limit.source}"))
    roll = take_attendance(photographs, enrolled, finder, embedder, limit)
    write_roll(options.out, roll, options.language)
    return _summarize(roll, options.out)


def _summarize(roll: Roll, folder: Path) -> Taken:
    import math

    from convolve.face_recognition.roll import chance_of_a_stranger

    names, limit = roll.enrolled.names, roll.limit
    far, frr = (None if math.isnan(rate) else rate for rate in (limit.far, limit.frr))
    distances = {names[person]: one.distance for person in roll.present if (one := roll.best(person))}
    return Taken(
        present=distances,
        absent=tuple(name for name in names if name not in distances),
        unknown=len(roll.unknown),
        threshold=limit.distance,
        source=limit.source,
        far=far,
        frr=frr,
        stranger=None if far is None else chance_of_a_stranger(far, len(names)),
        failed=roll.failed,
        folder=folder,
    )


def render(result: Taken) -> Iterator[RenderableType]:
    """A table of the people, the unknown faces, and the error rates."""
    from rich.table import Table
    from rich.text import Text

    table = Table("person", "status", "distance", box=None, header_style="bold")
    for name, distance in result.present.items():
        table.add_row(Text(name), "present", f"{distance:.3f}")
    for name in result.absent:
        table.add_row(Text(name), "absent", "")
    yield table
    yield f"unknown faces: {result.unknown}"
    if result.stranger is not None:
        people = len(result.present) + len(result.absent)
        yield (
            f"at the threshold of {result.threshold:.3f} (FAR {result.far:.1%} a comparison, FRR {result.frr:.1%}) a "
            f"stranger is taken for one of the {people} with a chance of about {result.stranger:.0%}"
        )
    if result.failed:
        yield Text(
            f"{len(result.failed)} photographs could not be read; the first: {next(iter(result.failed.values()))}"
        )
    yield f"files  {result.folder}"


COMMAND = Command(Attendance, run, render)
