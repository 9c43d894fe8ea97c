"""Surveys of many images: their thumbnails in a temporary file, and how memory grows."""

from __future__ import annotations

import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from convolve.datasets import survey as surveys
from convolve.datasets.doctor import as_json, diagnose
from convolve.datasets.duplicates import near_groups
from convolve.datasets.images import ImageArray
from convolve.datasets.labels import Labels
from convolve.datasets.survey import MEASUREMENT, Digests, ThumbnailFile, survey
from convolve.errors import DataError
from convolve.values import Dataset
from tests.datasets.synthetic import REMEDY, random_image


def dataset() -> Dataset:
    """90 images, two of them copies of others, two nearly."""
    images = np.stack([random_image(24, 32, seed=number) for number in range(86)])
    brighter = (images[2:4] * 0.9 + 20).astype(np.uint8)
    pixels = np.concatenate([images[:40], images[:2], brighter, images[40:]])
    labels = Labels(np.arange(90) % 3, ("a", "b", "c"))
    return Dataset("set", "folders", "", ImageArray(pixels, "set"), {"labels": labels}, {})


def test_thumbnails_in_a_file_give_the_same_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    data = dataset()
    seen = survey(data.images)
    in_memory = diagnose(data, data.ground_truths["labels"], None, seen, REMEDY)
    monkeypatch.setattr(surveys, "IN_MEMORY", 50)
    stored = survey(data.images)
    assert isinstance(stored.thumbnails, ThumbnailFile)
    assert "luma" not in (stored.measurements.dtype.names or ())
    assert as_json(diagnose(data, data.ground_truths["labels"], None, stored, REMEDY)) == as_json(in_memory)
    assert [group.tolist() for group in in_memory.exact_rows] == [[0, 40], [1, 41]]
    assert [group.tolist() for group in in_memory.near_rows] == [[2, 42], [3, 43]]
    rows = np.array([5, 6, 7, 3, 3, 89, 0])
    for name in ("luma", "chroma"):
        np.testing.assert_array_equal(stored.thumbnails[rows][name], seen.measurements[rows][name])


def test_a_disk_without_space_for_thumbnails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(surveys, "IN_MEMORY", 50)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(DataError, match=r"temporary file \(No such file or directory\); set TMPDIR to a folder with"):
        survey(dataset().images)
    full = Path("/dev/full")
    if full.exists():
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda buffering: full.open("r+b", buffering))
        with pytest.raises(DataError, match=r"temporary file \(No space left on device\); set TMPDIR"):
            survey(dataset().images)


def test_digests_are_bytes_or_empty() -> None:
    digests = Digests(np.zeros((3, 16), np.uint8), np.zeros(3, dtype=bool))
    digests[1] = bytes(range(16))
    digests[2] = b""
    assert list(digests) == [b"", bytes(range(16)), b""] == digests[:]
    assert len(digests) == 3


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_grows_little_with_the_number_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "IN_MEMORY", 50)
    monkeypatch.setattr("convolve.datasets.duplicates._TABLES", 2)
    few, many = 10_000, 40_000
    random = np.random.default_rng(0)
    thumbnails = ThumbnailFile()
    for _ in range(0, many, few):
        block = np.zeros(few, MEASUREMENT)
        block["luma"] = random.integers(0, 256, (few, 16, 16))
        thumbnails.append(block)
    near_groups(thumbnails, np.arange(few))  # imports what it needs
    search = [peak(lambda: near_groups(thumbnails, np.arange(count))) for count in (few, many)]  # noqa: B023
    assert (search[1] - search[0]) / (many - few) < 160
    images = ImageArray(random.integers(0, 256, (8000, 8, 8, 1), dtype=np.uint8), "")
    reading = [peak(lambda: survey(images.take(np.arange(count)))) for count in (2000, 8000)]  # noqa: B023
    assert (reading[1] - reading[0]) / 6000 < 120
