"""What attendance leaves in a folder: a table, the crops, and a page."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from convolve import __version__
from convolve.choices import Language
from convolve.errors import DataError
from convolve.face_recognition.attendance import Roll
from convolve.face_recognition.roll import Sighting, chance_of_a_stranger
from convolve.files import atomic_write, write_text
from convolve.marks import save_png
from convolve.reports.page import write_report
from convolve.reports.report import Headline, Report, Section, percent
from convolve.reports.thumbnails import thumbnail
from convolve.values import Pixels

PAGE, TABLE, CROPS = "attendance.html", "attendance.csv", "crops"
_EDGES = ("left", "top", "right", "bottom")
_COLUMNS = ("name", "status", "distance", "photograph", *_EDGES, "crop")
_SIDE = 112


def check_folder(folder: Path) -> None:
    """Raise `DataError` where a folder has files already, which are never mixed with those of another day."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not empty; choose another --out, so that no photographs are mixed.")


def write_roll(folder: Path, roll: Roll, language: Language) -> None:
    """Write all files. Raises `ConvolveError`."""
    (folder / CROPS).mkdir(parents=True, exist_ok=True)
    for name, sighting in _entries(roll):
        if sighting:
            with atomic_write(folder / name) as draft:
                save_png(Image.fromarray(sighting.face.crop), draft)
    text = io.StringIO()
    table = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(_rows(roll))
    write_text(folder / TABLE, "\ufeff" + text.getvalue())  # by which spreadsheets know UTF-8
    write_report(folder / PAGE, _report(roll), language)


def _entries(roll: Roll) -> Iterator[tuple[str, Sighting | None]]:
    """For each person and then each unknown face: the path of its crop in the folder, and the face, if any."""
    taken: set[str] = set()
    for person, name in enumerate(roll.enrolled.names):
        stem = re.sub(r"[^\w.-]", "_", name)
        stem = stem if stem not in taken else f"{stem}-{person + 1}"
        taken.add(stem)
        yield f"{CROPS}/{stem}.png", roll.best(person)
    for number, sighting in enumerate(roll.unknown, 1):
        yield f"{CROPS}/unknown/{number:03}.png", sighting


def _rows(roll: Roll) -> Iterator[dict[str, str]]:
    people = len(roll.enrolled.names)
    for number, (crop, sighting) in enumerate(_entries(roll)):
        name = roll.enrolled.names[number] if number < people else ""
        status = "absent" if sighting is None else "unknown" if number >= people else "present"
        row = {"name": name, "status": status}
        if sighting:
            row |= dict(zip(_EDGES, (f"{edge:.1f}" for edge in sighting.face.box), strict=True))
            row |= {"distance": f"{sighting.distance:.4f}", "photograph": sighting.photograph, "crop": crop}
        yield row


def _report(roll: Roll) -> Report:
    names, limit = roll.enrolled.names, roll.limit
    stranger = math.nan if math.isnan(limit.far) else chance_of_a_stranger(limit.far, len(names))
    context = {
        "present": [(names[person], *_describe(roll.best(person)), _enrolled(roll, person)) for person in roll.present],
        "absent": [name for person, name in enumerate(names) if person not in roll.present],
        "unknown": [(names[one.nearest], *_describe(one)) for one in roll.unknown],
        "limit": limit,
        "people": len(names),
        "stranger": stranger,
        "aligned": roll.aligned,
        "failed": dict(roll.failed),
    }
    headlines = (
        Headline("present", f"{len(roll.present)} / {len(names)}"),
        Headline("absent", str(len(names) - len(roll.present))),
        Headline("unknown faces", str(len(roll.unknown))),
        Headline("a stranger is taken for somebody", percent(stranger), f"with {len(names)} people enrolled"),
    )
    home = "convolve.face_recognition"
    sections = (
        Section("present", "Present", (home, "present.html.j2"), context),
        Section("absent", "Absent", (home, "absent.html.j2"), context),
        Section("unknown", "Unknown", (home, "unknown.html.j2"), context),
        Section("errors", "How far this can be trusted", (home, "errors.html.j2"), context),
    )
    return Report(
        title="Attendance",
        subtitle=f"{roll.photographs} photographs, {len(names)} people enrolled",
        headlines=headlines,
        sections=sections,
        footer=f"convolve {__version__}, {dt.datetime.now().astimezone():%Y-%m-%d %H:%M}",
    )


def _enrolled(roll: Roll, person: int) -> str:
    """The face in a person's first photograph, as a data URI."""
    return thumbnail(roll.enrolled.crops[int((roll.enrolled.people == person).argmax())], _SIDE)


def _describe(sighting: Sighting | None) -> tuple[str, str, str]:
    """A face as a data URI, its distance, and its photograph."""
    if sighting is None:
        return "", "", ""
    crop: Pixels = sighting.face.crop
    return thumbnail(crop, _SIDE), f"{sighting.distance:.3f}", sighting.photograph
