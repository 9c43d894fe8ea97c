"""When a photograph was taken."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from convolve.datasets.photo_time import named_time, photo_time
from convolve.errors import ImageError

MOMENT = datetime(2026, 11, 28, 9, 15, 7)  # noqa: DTZ001


def _photo(path: Path, taken: str = "") -> Path:
    exif = Image.Exif()
    exif[0x0132] = "2001:01:01 01:01:01"  # when the file was changed, which is not when it was taken
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    Image.new("RGB", (8, 8)).save(path, exif=exif)
    return path


def test_the_camera_goes_before_the_name_and_the_name_before_the_file(tmp_path: Path) -> None:
    by_camera = photo_time(_photo(tmp_path / "2020-01-02.jpg", "2026:11:28 09:15:07"))
    assert (by_camera.moment, by_camera.source, str(by_camera)) == (MOMENT, "EXIF", "2026-11-28 09:15:07")
    by_name = photo_time(_photo(tmp_path / "2020-01-02.jpg"))
    assert (by_name.moment, by_name.source) == (datetime(2020, 1, 2), "file name")  # noqa: DTZ001
    file = _photo(tmp_path / "shelf.jpg", "0000:00:00 00:00:00")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    by_file = photo_time(file)
    local = datetime.fromtimestamp(1_700_000_000, UTC).astimezone().replace(tzinfo=None)
    assert (by_file.moment, by_file.source) == (local, "file")
    with pytest.raises(ImageError, match=r"none\.jpg has no time"):
        photo_time(tmp_path / "none.jpg")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("IMG_20261128_091507", "2026-11-28 09:15:07"),
        ("20261128091507", "2026-11-28 09:15:07"),
        ("2026-11-28T09.15", "2026-11-28 09:15:00"),
        ("shelf 2026.11.28 09h15m07", "2026-11-28 09:15:07"),
        ("매대_2026_11_28", "2026-11-28 00:00:00"),
        ("PXL_20261128_091507123", "2026-11-28 00:00:00"),
        ("2026-13-28 then 2026-11-28", "2026-11-28 00:00:00"),
        ("2026-1128", None),
        ("order 120261128", None),
        ("DSC_0042", None),
    ],
)
def test_dates_in_names(name: str, found: str | None) -> None:
    moment = named_time(name)
    assert (moment and str(moment)) == found
