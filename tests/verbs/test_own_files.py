"""No file that convolve did not write is overwritten; what it wrote is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import convolve
from convolve.errors import DataError
from tests.tasks.segment.small import QUICK as MASKS_QUICK
from tests.tasks.segment.small import folder as folder_of_masks
from tests.verbs.synthetic import QUICK, folders, train

QUIET: dict[str, Any] = {"threads": 1, "progress": False}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("own")
    folders(home / "data", {"cat": 12, "dog": 12})
    train(home / "data", **QUICK | {"epochs": 1}, out=home / "run")
    return home


def predict(home: Path, path: Path) -> None:
    convolve.predict(home / "run", [str(home / "data" / "cat")], csv=path, **QUIET)


def label_errors(home: Path, path: Path) -> None:
    convolve.data(home / "run", label_errors=True, folds=1, csv=path, progress=False)


def sheet(home: Path, path: Path) -> None:
    convolve.data(home / "data", sheet=path, progress=False)


def page(home: Path, path: Path) -> None:
    convolve.data(home / "data", report=path, progress=False)


def evaluation(home: Path, path: Path) -> None:
    convolve.evaluate(home / "run", report=path, **QUIET)


def calculation(_: Path, path: Path) -> None:
    convolve.scratch("l1", input="1 2", target="2 3", page=path)


def drawing(_: Path, path: Path) -> None:
    convolve.networks("lenet", figure=path, progress=False)


WRITERS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "predict --csv": (predict, "a.csv"),
    "data --csv": (label_errors, "a.csv"),
    "data --sheet": (sheet, "a.png"),
    "data --report": (page, "a.html"),
    "evaluate --report": (evaluation, "a.html"),
    "scratch --page": (calculation, "a.html"),
    "networks --figure a.svg": (drawing, "a.svg"),
    "networks --figure a.png": (drawing, "a.png"),
}


def test_a_run_is_no_data(home: Path, tmp_path: Path) -> None:
    for fix in (None, tmp_path / "a.csv"):
        with pytest.raises(DataError, match=r"run is a run, and no data; .* convolve data .*run --label-errors"):
            convolve.data(home / "run", fix=fix, progress=False)


@pytest.mark.parametrize("option", WRITERS)
def test_only_files_of_the_same_kind_are_overwritten(option: str, home: Path, tmp_path: Path) -> None:
    write, name = WRITERS[option]
    path = tmp_path / name
    path.write_text("image,label\n1.png,cat\n")
    with pytest.raises(DataError, match=f"{name} exists, and is no .* that convolve wrote; choose another name"):
        write(home, path)
    assert path.read_text() == "image,label\n1.png,cat\n"
    path.unlink()
    write(home, path)
    first = path.stat()
    write(home, path)
    assert path.stat().st_ino != first.st_ino or path.stat().st_mtime_ns > first.st_mtime_ns


def test_explanations_replace_no_other_file(home: Path, tmp_path: Path) -> None:
    image = next((home / "data" / "cat").iterdir())

    def explain() -> None:
        convolve.explain(home / "run", [str(image)], out=tmp_path, show=("filters",), **QUIET)

    explain()
    written = sorted(tmp_path.iterdir())
    assert {path.suffix for path in written} == {".html", ".npz", ".png"}
    explain()
    for path in written:
        content = path.read_bytes()
        path.write_bytes(b"mine")
        with pytest.raises(DataError, match=f"{path.name} exists, and is no .* that convolve wrote"):
            explain()
        assert path.read_bytes() == b"mine"
        path.write_bytes(content)
    assert sorted(tmp_path.iterdir()) == written


def test_predicted_masks_replace_no_other_file(tmp_path: Path) -> None:
    data, out = folder_of_masks(tmp_path / "data"), tmp_path / "out"
    image = next((data / "images").iterdir())
    train(data, **MASKS_QUICK | {"epochs": 1, "batch": 4}, out=tmp_path / "run")

    def predict() -> None:
        convolve.predict(tmp_path / "run", [str(image)], out=out, **QUIET)

    predict()
    predict()
    for path in sorted(out.iterdir()):
        content = path.read_bytes()
        path.write_bytes(b"mine")
        with pytest.raises(DataError, match=f"{path.name} exists, and is no .* that convolve wrote"):
            predict()
        assert path.read_bytes() == b"mine"
        path.write_bytes(content)
