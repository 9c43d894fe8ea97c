"""Named sets, and what `open_dataset` says when there is nothing to open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
from sklearn.datasets import load_digits
from torchvision import datasets

from convolve.datasets import download
from convolve.datasets.layouts import catalog, open_dataset
from convolve.errors import DataError
from tests.datasets.ground_truths import labels_of


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONVOLVE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(catalog, "SYSTEM_FOLDERS", (tmp_path / "system",))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def put_batches(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]:
        (folder / name).write_bytes(bytes(3073))


def test_digits() -> None:
    data = open_dataset("digits")
    bunch = load_digits()
    assert (len(data), labels_of(data).classes, data.given_splits) == (1797, tuple("0123456789"), {})
    np.testing.assert_array_equal(labels_of(data).values, bunch.target)
    pixels = data.images.read(7)
    assert pixels.shape == (8, 8, 1)
    assert np.abs(pixels[:, :, 0] / 255 - bunch.images[7] / 16).max() < 0.003
    assert data.images.name(7) == "digits#7"


def test_found_in_the_data_folder_then_in_the_system(home: Path, tmp_path: Path) -> None:
    put_batches(tmp_path / "system" / "cifar10")
    assert open_dataset("cifar10").root == str(tmp_path / "system" / "cifar10")
    put_batches(home / "cifar10" / "cifar-10-batches-bin")
    assert open_dataset("cifar10").root == str(home / "cifar10" / "cifar-10-batches-bin")


def test_downloaded_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = []

    def fetch(root: str, download: bool) -> None:
        fetched.append(download)
        put_batches(Path(root))

    monkeypatch.setattr(download, "_SOURCES", {"cifar10": (fetch,)})
    assert len(open_dataset("cifar10")) == 6
    assert len(open_dataset("cifar10")) == 6
    assert fetched == [True]
    assert [path.name for path in home.iterdir()] == ["cifar10"]


def test_no_network_says_where_to_put_the_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(root: str, download: bool) -> None:
        Path(root).mkdir()
        raise OSError("Name or\nservice not known")

    monkeypatch.setattr(download, "_SOURCES", {"mnist": (fetch,)})
    with pytest.raises(
        DataError, match=rf"^mnist is not .* \(Name or service not known\); put its files into {home}/mnist\.$"
    ):
        open_dataset("mnist")
    assert list(home.iterdir()) == []


def test_no_network_names_the_addresses_and_the_systems_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(root: str, download: bool) -> None:
        raise OSError("no route")

    monkeypatch.setattr(download, "_SOURCES", {"fashion-mnist": (fetch,)})
    where = r"from fashion-mnist\.s3-website\.eu-central-1\.amazonaws\.com \(no route\)"
    with pytest.raises(DataError, match=rf"{where}; .* on Debian `apt install dataset-fashion-mnist`\.$"):
        open_dataset("fashion-mnist")


def test_the_addresses_are_those_that_torchvision_asks() -> None:
    assert set(download.ADDRESSES) == set(download._SOURCES)
    for name, source in (
        ("mnist", datasets.MNIST),
        ("fashion-mnist", datasets.FashionMNIST),
        ("kmnist", datasets.KMNIST),
    ):
        assert download.ADDRESSES[name] == " and ".join(str(urlparse(url).hostname) for url in source.mirrors)
    for name, cls in (("emnist", datasets.EMNIST), ("cifar10", datasets.CIFAR10), ("stl10", datasets.STL10)):
        assert download.ADDRESSES[name] == urlparse(cls.url).hostname


def test_every_name_has_a_source() -> None:
    collections = {"emnist" if name.startswith("emnist") else name for name in catalog.NAMES} - {"digits"}
    assert collections == set(download._SOURCES)


def test_one_of_emnist(home: Path) -> None:
    (home / "emnist").mkdir(parents=True)
    with pytest.raises(DataError, match=r"put emnist-letters-train-images-idx3-ubyte\.gz there"):
        open_dataset("emnist-letters")
    file = home / "emnist" / "EMNIST" / "raw" / "emnist-letters-train-images-idx3-ubyte"
    file.parent.mkdir(parents=True)
    file.touch()
    assert catalog.locate("emnist-letters") == file


def test_a_folder_of_that_name_goes_first(tmp_path: Path) -> None:
    put_batches(tmp_path / "mnist")
    assert open_dataset("mnist").layout == "cifar"


@pytest.mark.parametrize(
    ("where", "sentence"),
    [("mnits", "did you mean mnist?"), ("/nowhere/at/all", "give a folder, a table, or one of digits")],
)
def test_nothing_there(where: str, sentence: str) -> None:
    with pytest.raises(DataError, match=f"There is no file, folder or built-in dataset '{where}'; {sentence}"):
        open_dataset(where)


def test_what_was_expected_and_seen(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(9):
        (tmp_path / "photos" / f"{number}.jpg").touch()
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path / "photos")
    for words in ("CLASS/*.jpg", "labels.csv", "idx, cifar", "Found there: 0.jpg, 1.jpg", "and 3 more."):
        assert words in str(caught.value)
    (tmp_path / "photos.zip").touch()
    with pytest.raises(DataError, match="unpack an archive first"):
        open_dataset(tmp_path / "photos.zip")


def test_reading_data_never_imports_torch() -> None:
    imports = "import sys; import convolve.datasets.layouts; import convolve.datasets.splits"
    program = f"{imports}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
