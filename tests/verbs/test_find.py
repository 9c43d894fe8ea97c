"""`convolve find`: the nearest images, and what the cache keeps of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import convolve
from convolve.datasets.images import ImageFiles
from convolve.errors import DataError, ImageError, OptionError
from convolve.setup.image_index import ImageVectors
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.training.run import open_run
from convolve.verbs.find import SimilarImages
from tests.reports.korean import english_texts
from tests.verbs.synthetic import QUICK, folders, train


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders(tmp_path_factory.mktemp("data"), {"ape": 8, "bee": 8, "cat": 8})


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    return train(data, out=data.parent / "run-of-find", **QUICK).run


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that are read, with a cache of the test's own."""
    monkeypatch.setenv("CONVOLVE_CACHE", str(tmp_path / "cache"))
    names: list[str] = []
    read = ImageVectors.read

    def noted(self: ImageVectors, images: ImageFiles, index: int) -> object:
        names.append(images.name(index))
        return read(self, images, index)

    monkeypatch.setattr(ImageVectors, "read", noted)
    return names


def find(image: Path, folder: Path, run: Path, tmp_path: Path, top: int = 5) -> SimilarImages:
    return convolve.find(
        image, folder=folder, network=str(run), top=top, out=tmp_path / "page.html", threads=1, progress=False
    )


def test_the_nearest_are_those_of_all_features(data: Path, run: Path, reads: list[str], tmp_path: Path) -> None:
    """What enters the last layer, divided by its length."""
    query, trained = data / "ape" / "3.png", open_run(run)
    found = find(query, data, run, tmp_path, top=23)
    assert (found.searched, len(found.found)) == (23, 23)
    task, runtime = restore_task(trained, RuntimeOptions(threads=1))
    vectors, inputs = ImageVectors(task.network, trained.manifest.preprocessing, runtime), []
    task.network.head[-1].register_forward_pre_hook(lambda _, given: inputs.append(given[0].float()))  # type: ignore[index]
    files = ImageFiles(Path(), (str(query), *(one.path for one in found.found)))
    for index in range(len(files)):
        pixels = vectors.read(files, index)
        assert not isinstance(pixels, str)
        vectors.embed([pixels])
    rows = torch.cat(inputs).numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distances = np.linalg.norm(rows[1:] - rows[0], axis=1)
    assert np.allclose(distances, [one.distance for one in found.found], atol=1e-2)
    assert (np.diff([one.distance for one in found.found]) >= 0).all()


def test_a_second_search_reads_the_image_alone(data: Path, run: Path, reads: list[str], tmp_path: Path) -> None:
    query = data / "bee" / "0.png"
    first = find(query, data, run, tmp_path)
    assert len(reads) == 24
    reads.clear()
    assert find(query, data, run, tmp_path) == first
    assert reads == [str(query)]
    assert not [path for path in data.rglob("*") if path.suffix == ".safetensors"]


def test_a_changed_file_is_embedded_again(run: Path, reads: list[str], tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"ape": 3, "bee": 3})
    query, changed = data / "ape" / "0.png", data / "bee" / "2.png"
    find(query, data, run, tmp_path)
    reads.clear()
    changed.write_bytes(query.read_bytes())
    os.utime(changed, ns=(1, 1))
    found = find(query, data, run, tmp_path)
    assert reads == [str(query), str(changed)]
    assert found.found[0].path == str(changed)
    assert found.found[0].distance == pytest.approx(0, abs=1e-3)


def test_the_page_is_in_korean_too(data: Path, run: Path, reads: list[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    convolve.find(data / "ape" / "0.png", folder=data, network=str(run), out=page, language="ko", progress=False)
    html = page.read_text()
    assert english_texts(html, ("0.png", "lenet5_keras")) == []
    assert html.count("<figure") == 11


def test_a_broken_image_is_left_out_and_named(run: Path, reads: list[str], tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"ape": 3})
    (data / "ape" / "1.png").write_bytes(b"no image")
    found = find(data / "ape" / "0.png", data, run, tmp_path)
    assert [Path(path).name for path in found.failed] == ["1.png"]
    assert found.searched == 1
    with pytest.raises(ImageError, match=r"1\.png"):
        find(data / "ape" / "1.png", data, run, tmp_path)


def test_what_cannot_be_searched_is_refused(data: Path, run: Path, reads: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder; give --in a folder"):
        find(data / "ape" / "0.png", data / "nothing", run, tmp_path)
    with pytest.raises(OptionError, match="top cannot be 0"):
        find(data / "ape" / "0.png", data, run, tmp_path, top=0)
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(DataError, match=r"page\.html"):
        find(data / "ape" / "0.png", data, run, tmp_path)
