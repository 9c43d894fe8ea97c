"""Damaged, unfinished and untouchable caches: the same answers, and one sentence where a cache is built again."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from convolve.datasets.cache import PixelSource, clean, open_cache, read_images
from convolve.datasets.preprocess import resize_for_cache
from convolve.values import Images
from tests.datasets.cache_damage import FILES, HARMS, damage
from tests.datasets.synthetic import files, preprocessing

GOAL = preprocessing(32, 32)
SIZES = [(80, 60), (40, 90), (30, 20), (64, 64)]


def only_cache(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def assert_right(source: PixelSource, images: Images) -> None:
    for index in range(len(images)):
        np.testing.assert_array_equal(source.get(index), resize_for_cache(images.read(index), GOAL))


@pytest.mark.parametrize("harm", [harm.__name__ for harm in HARMS])
def test_whatever_happens_to_a_cache_the_answers_stay(harm: str, tmp_path: Path) -> None:
    ends = damage(tmp_path, 12, 3, harm)
    assert ends.total() == 12
    assert ends.keys() <= {f"{harm}: rebuilt", f"{harm}: same"}
    assert ends[f"{harm}: rebuilt"] > 0


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"[]", b"\x93NUMPY\x01\x00v\x00{'descr': (", bytes(128), b"\xff" * 4000])
def test_other_bytes_in_its_place(name: str, content: bytes, tmp_path: Path) -> None:
    images = files(tmp_path / "images", SIZES)
    open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    (only_cache(tmp_path / "caches") / name).write_bytes(content)
    source = open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    assert source.description.endswith("An earlier cache was damaged or of another version, and is not used.")
    assert_right(source, images)
    again = open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    assert again.description.endswith("decoded in an earlier run.")
    assert len(list((tmp_path / "caches").iterdir())) == 1


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_whole_cache_in_its_place(name: str, tmp_path: Path) -> None:
    images, others = files(tmp_path / "images", SIZES), files(tmp_path / "others", [*SIZES[1:], SIZES[0]])
    open_cache(others, GOAL, tmp_path / "elsewhere", 10**9, 1)
    expected = read_images(images, lambda _: GOAL, 10**9, 1, tmp_path / "caches")[0].measurements
    other = only_cache(tmp_path / "elsewhere") / name
    (only_cache(tmp_path / "caches") / name).write_bytes(other.read_bytes())
    found, source = read_images(images, lambda _: GOAL, 10**9, 1, tmp_path / "caches")
    assert "decoded once" in source.description
    np.testing.assert_array_equal(found.measurements, expected)
    assert_right(source, images)


def damaged_pixel(images: Images, folder: Path) -> None:
    """One bit of the second image is another one than was written."""
    path = only_cache(folder) / "pixels.bin"
    content = bytearray(path.read_bytes())
    content[images.read(0).shape[0] * 37 * 3 + 1000] ^= 4
    path.write_bytes(content)


def test_damaged_pixels_that_cannot_be_written_again_are_decoded_at_each_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = files(tmp_path / "images", SIZES)
    open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    damaged_pixel(images, tmp_path / "caches")
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=0, free=0))
    source = open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    assert "cannot be written" in source.description
    assert "damaged" in source.description
    assert_right(source, images)


def test_damaged_pixels_in_a_cache_that_nobody_can_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = files(tmp_path / "images", SIZES)
    open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    damaged_pixel(images, tmp_path / "caches")
    monkeypatch.setattr("convolve.datasets.cache_files.discard", lambda _: None)
    monkeypatch.setattr("convolve.datasets.cache.discard", lambda _: None)
    source = open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    assert "cannot be written" in source.description
    assert_right(source, images)


def test_several_that_find_a_damaged_cache_at_once_agree(tmp_path: Path) -> None:
    images = files(tmp_path / "images", [(60 + number, 70) for number in range(12)])
    open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    damaged_pixel(images, tmp_path / "caches")
    start = threading.Barrier(4)

    def build(_: int) -> PixelSource:
        start.wait()
        return open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)

    with ThreadPoolExecutor(4) as pool:
        for source in pool.map(build, range(4)):
            assert_right(source, images)


def test_a_cache_of_somebody_else_is_read_and_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    images = files(tmp_path / "images", SIZES)
    open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    for name in ("os.utime", "shutil.rmtree", "pathlib.Path.rename", "tempfile.mkdtemp"):
        monkeypatch.setattr(name, refuse)
    source = open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    assert "earlier run" in source.description
    assert_right(source, images)
    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    source = open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    assert "cannot be written (Permission denied)" in source.description
    assert_right(source, images)


def test_a_cache_that_cannot_be_read_just_now_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    images = files(tmp_path / "images", SIZES)
    open_cache(images, GOAL, tmp_path / "caches", 10**9, 1)
    with monkeypatch.context() as patch:
        patch.setattr("convolve.datasets.cache_files.read_file", fail)
        assert_right(open_cache(images, GOAL, tmp_path / "caches", 10**9, 1), images)
    assert open_cache(images, GOAL, tmp_path / "caches", 10**9, 1).description.endswith("in an earlier run.")


WRITE = """
import sys, time
from pathlib import Path
import numpy as np
from convolve.datasets.cache_files import write_cache
from convolve.datasets.survey import MEASUREMENT
def images():
    yield np.zeros((100, 100, 3), np.uint8)
    print("begun", flush=True)
    time.sleep(100)
write_cache(Path(sys.argv[1]), "0" * 8, 10**9, images(), [], np.zeros(0, MEASUREMENT))
"""


@pytest.mark.skipif(os.name == "nt", reason="there are no such locks on Windows")
def test_what_is_being_written_counts_and_goes_with_its_writer(tmp_path: Path) -> None:
    caches = tmp_path / "caches"
    open_cache(files(tmp_path / "images", SIZES), GOAL, caches, 10**9, 1)
    finished = only_cache(caches)
    writer = subprocess.Popen([sys.executable, "-c", WRITE, str(caches)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "begun\n"
    (draft,) = set(caches.iterdir()) - {finished}
    size = sum(path.stat().st_size for path in finished.iterdir())
    os.utime(draft / "pixels.bin", (0, time.time() - 600))  # it writes slowly
    assert clean(caches, 10**9) == 0
    with (draft / "pixels.bin").open("ab") as file:
        file.truncate(size)
    assert clean(caches, 2 * size) == 0
    assert clean(caches, 2 * size - 1) == size  # both together are too much, and only the finished one can go
    assert list(caches.iterdir()) == [draft]
    writer.kill()
    writer.communicate()
    for path in (draft / "pixels.bin", draft):
        os.utime(path, (0, time.time() - 10))
    assert clean(caches, 10**9) == size
    assert not list(caches.iterdir())


def test_without_locks_an_hour_without_a_write_ends_an_unfinished_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    draft = tmp_path / "caches" / ".unfinished-00000000-abc"
    draft.mkdir(parents=True)
    (draft / "pixels.bin").write_bytes(bytes(100))
    clean(tmp_path / "caches", 10**9)
    assert draft.exists()
    for path in (draft / "pixels.bin", draft):
        os.utime(path, (0, time.time() - 7200))
    assert clean(tmp_path / "caches", 10**9) == 100
    assert not draft.exists()
    assert_right(*written_without_locks(tmp_path))


def written_without_locks(root: Path) -> tuple[PixelSource, Images]:
    images = files(root / "images", SIZES)
    return open_cache(images, GOAL, root / "caches", 10**9, 1), images
