"""When a photograph was taken: what its camera says, else its name, else its file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from convolve.errors import ImageError
from convolve.untrusted.files import IMAGE_BYTES, read_file
from convolve.untrusted.images import open_image

_EXIF: Final = 0x8769  # the tag of the block in which a camera writes
_TAKEN: Final = 0x9003  # DateTimeOriginal
_DATE: Final = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)(\d\d)\2(\d\d)(?!\d)|(?<!\d)((?:19|20)\d\d)(\d\d)(\d\d)(?=\d{4})"
)
_CLOCK: Final = re.compile(r"[T _.-]{0,3}([01]\d|2[0-3])[-_.:h]?([0-5]\d)(?:[-_.:m]?([0-5]\d))?(?!\d)")


@dataclass(frozen=True)
class PhotoTime:
    """A ``moment`` on the clock of the place, and where it is from: the camera's EXIF data, the date in the name of the
    file, or the file's own time, which a copy may have changed.
    """

    moment: datetime
    source: Literal["EXIF", "file name", "file"]

    def __str__(self) -> str:
        return self.moment.isoformat(" ", "seconds")


def photo_time(path: Path) -> PhotoTime:
    """When the photograph in a file was taken. Raises `ImageError` where there is no such file."""
    try:
        if moment := _camera_time(path):
            return PhotoTime(moment, "EXIF")
        if moment := named_time(path.stem):
            return PhotoTime(moment, "file name")
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone().replace(tzinfo=None)
    except OSError as error:
        raise ImageError(f"{path} has no time ({error.strerror or error}); give photographs in files.") from error
    return PhotoTime(changed, "file")


def named_time(name: str) -> datetime | None:
    """The first date in a name, such as `shelf_2026-11-28_0915` or `IMG_20261128_091500`, with the time of day that
    follows it, or midnight; None where there is no date.
    """
    return next(_times(name), None)


def _times(name: str) -> Iterator[datetime]:
    for found in _DATE.finditer(name):
        year, month, day = (int(part) for part in found.groups() if part and part.isdecimal())
        clock = _CLOCK.match(name, found.end())
        hour, minute, second = (int(part or 0) for part in clock.groups()) if clock else (0, 0, 0)
        try:
            yield datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - a clock on a wall
        except ValueError:  # such as the 13th month
            continue


def _camera_time(path: Path) -> datetime | None:
    """Raises `OSError`."""
    content = read_file(path, IMAGE_BYTES)
    try:
        with open_image(content) as image:
            text = str(image.getexif().get_ifd(_EXIF).get(_TAKEN, ""))
        return datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007
    except Exception:  # noqa: BLE001 - damaged metadata can raise anything, and the name and the file have a time too
        return None
