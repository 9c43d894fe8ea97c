from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from convolve.datasets.cache import PixelSource, cache_folder, clean, open_cache
from convolve.datasets.images import ImageArray, ImageFiles, JoinedImages
from convolve.datasets.layouts.catalog import data_folder
from convolve.datasets.preprocess import least_side, resize_for_cache
from convolve.errors import DataError, ImageError
from convolve.values import Images, Preprocessing
from tests.datasets.synthetic import files, preprocessing, random_image

GOAL = preprocessing(32, 32)
SIZES = [(80, 60), (40, 90), (30, 20), (64, 64)]


def opened(images: Images, folder: Path, goal: Preprocessing = GOAL, budget: int = 10**9) -> PixelSource:
    return open_cache(images, goal, folder, budget, workers=2)


def caches(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_a_hit_a_miss_and_a_stream_give_the_same_bits(tmp_path: Path) -> None:
    images = files(tmp_path / "images", SIZES)
    miss, hit = opened(images, tmp_path / "caches"), opened(images, tmp_path / "caches")
    stream = opened(images, tmp_path / "caches", preprocessing(31, 32), budget=100)
    assert "decoded once" in miss.description
    assert "earlier run" in hit.description
    assert "allowed" in stream.description
    for index in range(len(SIZES)):
        np.testing.assert_array_equal(miss.get(index), resize_for_cache(images.read(index), GOAL))
        np.testing.assert_array_equal(hit.get(index), miss.get(index))
        np.testing.assert_array_equal(stream.get(index), resize_for_cache(images.read(index), preprocessing(31, 32)))
    assert len(miss) == len(stream) == len(SIZES)
    assert miss.whole is None


def test_images_are_cached_a_little_larger_than_the_input(tmp_path: Path) -> None:
    source = opened(files(tmp_path / "images", SIZES), tmp_path / "caches")
    assert [source.get(index).shape for index in range(4)] == [(49, 37, 3), (37, 83, 3), (30, 20, 3), (37, 37, 3)]


def test_images_of_one_size_are_one_array(tmp_path: Path) -> None:
    source = opened(files(tmp_path / "images", [(50, 60)] * 3), tmp_path / "caches")
    assert source.whole is not None
    assert source.whole.shape == (3, 37, 44, 3)
    np.testing.assert_array_equal(source.whole[1], source.get(1))


def test_another_content_order_or_input_size_is_another_cache(tmp_path: Path) -> None:
    images, folder = files(tmp_path / "images", SIZES), tmp_path / "caches"
    goals = GOAL, preprocessing(32, 33), preprocessing(32, 32, fit="stretch"), preprocessing(32, 32, 1)
    for goal in goals:
        opened(images, folder, goal)
    opened(images.take(np.array([1, 0, 2, 3])), folder)
    opened(images.take(np.array([0, 1, 2])), folder)
    files(tmp_path / "images", [*SIZES[:3], (64, 65)])
    opened(images, folder)
    assert len(caches(folder)) == 7


def test_normalization_and_names_share_a_cache(tmp_path: Path) -> None:
    images = files(tmp_path / "images", SIZES)
    shutil.copytree(tmp_path / "images", tmp_path / "elsewhere")
    other = Preprocessing(32, 32, 3, "crop", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    opened(images, tmp_path / "caches")
    source = opened(ImageFiles(tmp_path / "elsewhere", images.names), tmp_path / "caches", other)
    assert "earlier run" in source.description
    assert len(caches(tmp_path / "caches")) == 1


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    images = files(tmp_path / "images", SIZES)
    (tmp_path / "images" / "1.png").write_bytes(b"not a picture")
    (tmp_path / "images" / "3.png").unlink()
    for source in (opened(images, tmp_path / "caches"), opened(images, tmp_path / "caches")):
        assert set(source.failed) == {1, 3}
        assert "1.png" in source.failed[1]
        assert source.get(2).shape == (30, 20, 3)
        with pytest.raises(ImageError, match=r"3\.png"):
            source.get(3)


def test_a_stream_remembers_what_failed(tmp_path: Path) -> None:
    images = files(tmp_path / "images", SIZES)
    (tmp_path / "images" / "1.png").write_bytes(b"not a picture")
    source = opened(images, tmp_path / "caches", budget=1000)
    assert "allowed" in source.description
    assert not source.failed
    with pytest.raises(ImageError, match=r"1\.png"):
        source.get(1)
    assert set(source.failed) == {1}


def test_a_damaged_cache_is_built_again(tmp_path: Path) -> None:
    images = files(tmp_path / "images", SIZES)
    expected = np.array(opened(images, tmp_path / "caches").get(0))
    for name in ("pixels.bin", "index.bin", "digests.bin", "measurements.bin"):
        place = caches(tmp_path / "caches")[0] / name
        place.write_bytes(place.read_bytes()[:-1])
        source = opened(images, tmp_path / "caches")
        assert "decoded once" in source.description
        np.testing.assert_array_equal(source.get(0), expected)


def test_an_empty_or_unreadable_collection_is_no_error(tmp_path: Path) -> None:
    assert len(opened(ImageFiles(tmp_path, ()), tmp_path / "caches")) == 0
    source = opened(ImageFiles(tmp_path, ("absent.png",)), tmp_path / "caches")
    assert set(source.failed) == {0}


def test_a_full_disk_streams_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = files(tmp_path / "images", SIZES)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=0, free=5000))
    source = opened(images, tmp_path / "caches")
    assert "cannot be written" in source.description
    assert "full" in source.description
    np.testing.assert_array_equal(source.get(0), resize_for_cache(images.read(0, least_side(GOAL)), GOAL))
    assert not caches(tmp_path / "caches")


def test_a_folder_that_cannot_be_made_streams(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "cannot be written" in opened(files(tmp_path / "images", SIZES), tmp_path / "file" / "caches").description


def test_builders_at_the_same_time_share_one_whole_cache(tmp_path: Path) -> None:
    images = files(tmp_path / "images", [(60 + number, 70) for number in range(12)])
    start = threading.Barrier(4)

    def build(_: int) -> PixelSource:
        start.wait()
        return opened(images, tmp_path / "caches")

    with ThreadPoolExecutor(4) as pool:
        sources = list(pool.map(build, range(4)))
    assert len(caches(tmp_path / "caches")) == 1
    for source in sources:
        for index in range(len(images)):
            np.testing.assert_array_equal(source.get(index), resize_for_cache(images.read(index), GOAL))


KILLED = """
import os, sys
from pathlib import Path
from convolve.datasets import cache
from tests.datasets.synthetic import files, preprocessing
images, goal = files(Path(sys.argv[1]) / "images", [(40, 40)] * 100), preprocessing(32, 32)
in_order = cache.in_order
def some_in_order(*arguments):
    for number, pixels in enumerate(in_order(*arguments)):
        if number == 91:
            os._exit(9)
        yield pixels
cache.in_order = some_in_order
cache.open_cache(images, goal, Path(sys.argv[1]) / "caches", 10**9)
"""


def test_a_killed_build_leaves_nothing_that_counts_and_is_swept_away(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False).returncode == 9
    folder = tmp_path / "caches"
    (left,) = caches(folder)
    assert (left / "pixels.bin").stat().st_size > 0
    clean(folder, 10**9)
    assert left.exists()  # its writer might just be about to lock it
    for path in (*left.iterdir(), left):
        os.utime(path, (0, time.time() - 10))
    images = ImageFiles(tmp_path / "images", tuple(f"{number}.png" for number in range(100)))
    assert "decoded once" in opened(images, folder).description
    assert not left.exists()
    assert len(caches(folder)) == 1


def test_an_exception_while_building_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(ZeroDivisionError):
        opened(files(tmp_path / "images", SIZES), tmp_path / "caches")
    assert not caches(tmp_path / "caches")


def test_cleaning_removes_the_longest_unused_and_nothing_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "caches" / "photos").mkdir(parents=True)
    (tmp_path / "caches" / "photos" / "index.npy").write_text("a person's own")
    (tmp_path / "caches" / "empty").mkdir()
    for number, frame in enumerate((16, 18, 20)):
        opened(files(tmp_path / "images", SIZES), tmp_path / "caches", preprocessing(frame, frame))
        (newest,) = [path for path in caches(tmp_path / "caches") if len(path.name) == 32 and _age(path) < 500]
        os.utime(newest, (0, time.time() - 1000 * (3 - number)))
    opened(files(tmp_path / "images", SIZES), tmp_path / "caches", preprocessing(16, 16))  # used again
    sizes = {path.name: sum(file.stat().st_size for file in path.iterdir()) for path in caches(tmp_path / "caches")}
    freed = clean(tmp_path / "caches", sum(sizes.values()) - sizes["photos"] - 1)
    assert freed in sizes.values()
    for frame in (16, 20):
        source = opened(files(tmp_path / "images", SIZES), tmp_path / "caches", preprocessing(frame, frame))
        assert "earlier" in source.description
    assert clean(tmp_path / "caches", 0) == sum(sizes.values()) - sizes["photos"] - freed
    assert [path.name for path in caches(tmp_path / "caches")] == ["empty", "photos"]


def _age(path: Path) -> float:
    return time.time() - path.stat().st_mtime


def test_a_new_cache_takes_the_place_of_old_ones_within_the_budget(tmp_path: Path) -> None:
    images = files(tmp_path / "images", [(40, 40)] * 4)
    opened(images, tmp_path / "caches", preprocessing(20, 20))
    opened(images, tmp_path / "caches", preprocessing(21, 21), budget=12_000)
    assert len(caches(tmp_path / "caches")) == 1
    opened(images, tmp_path / "caches", preprocessing(22, 22), budget=0)
    assert len(caches(tmp_path / "caches")) == 1


def test_arrays_stay_in_memory(tmp_path: Path) -> None:
    array = np.stack([random_image(28, 28, 1, seed) for seed in range(5)])
    source = opened(ImageArray(array, "digits"), tmp_path / "caches", preprocessing(28, 28, 1))
    assert source.whole is array
    assert not caches(tmp_path / "caches")


def test_small_arrays_are_resized_once(tmp_path: Path) -> None:
    array = np.stack([random_image(8, 8, 1, seed) for seed in range(5)])
    images = JoinedImages((ImageArray(array[:2], "a"), ImageArray(array[2:], "b").take(np.array([2, 1, 0]))))
    source = opened(images, tmp_path, preprocessing(32, 32, 3))
    assert source.whole is not None
    assert source.whole.shape == (5, 32, 32, 3)
    np.testing.assert_array_equal(source.get(4), resize_for_cache(array[2], preprocessing(32, 32, 3), enlarge=True))
    assert "resized once" in source.description


def test_arrays_that_would_grow_too_large_are_resized_at_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convolve.datasets.pixel_sources.IN_MEMORY", 1000)
    source = opened(ImageArray(np.stack([random_image(8, 8, 1)]), "digits"), tmp_path, preprocessing(32, 32, 3))
    assert source.whole is None
    assert source.get(0).shape == (8, 8, 3)


def test_the_folder_is_the_persons_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVOLVE_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("CONVOLVE_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "convolve" / "pixels"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for variable in ("CONVOLVE_CACHE", "CONVOLVE_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(DataError, match=r"no home directory .* set CONVOLVE_CACHE"):
        cache_folder()
    with pytest.raises(DataError, match=r"no home directory .* set CONVOLVE_DATA"):
        data_folder()
