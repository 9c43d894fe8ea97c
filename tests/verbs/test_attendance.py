"""`convolve attendance`: from photographs to the table, the crops and the page."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.datasets.images import ImageFiles
from convolve.errors import DataError, OptionError
from convolve.face_recognition.alignment import TEMPLATE, cut
from convolve.face_recognition.faces import FaceFinder, FoundFace
from convolve.progress import silent
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.faces.predictor import find_in_pixels
from convolve.training.run import open_run
from convolve.verbs.attendance import Taken
from tests.interop.foreign import SHARED
from tests.reports.korean import english_texts
from tests.verbs.synthetic import QUICK, folders, train

MTCNN = SHARED / "weights" / "mtcnn"
_FACE = 20


class Squares:
    """A finder of faces that are squares next to each other, as wide as the photograph is high."""

    aligns = False

    def __init__(self, *_: Any) -> None:
        pass

    def find(self, images: ImageFiles, index: int) -> list[FoundFace]:
        pixels = images.read(index)
        boxes = [(float(left), 0.0, left + 24.0, 24.0) for left in range(0, pixels.shape[1] - 23, 24)]
        return [FoundFace(box, 1.0, cut(pixels, box)) for box in boxes]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four identities, each a bright corner."""
    return folders(tmp_path_factory.mktemp("people"), {"김": 12, "이": 12, "박": 12, "stranger": 12})


@pytest.fixture(scope="module")
def embedding(people: Path) -> Path:
    options = QUICK | {"epochs": 6, "task": "embed", "validation": 0.3, "flip": False, "rotate": 0.0}
    return train(people, out=people.parent / "embedding", **options).run


@pytest.fixture
def enrolled(people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three of the four, by two photographs each."""
    monkeypatch.setattr("convolve.face_recognition.faces.FaceFinder", Squares)
    for name in ("김", "이", "박"):
        (tmp_path / "enrolled" / name).mkdir(parents=True)
        for number in range(2):
            (tmp_path / "enrolled" / name / f"{number}.png").write_bytes((people / name / f"{number}.png").read_bytes())
    return tmp_path / "enrolled"


def group(people: Path, path: Path, names: list[str]) -> Path:
    """A photograph of some people."""
    faces = [np.asarray(Image.open(people / name / "7.png")) for name in names]
    Image.fromarray(np.concatenate(faces, 1)).save(path)
    return path


def take(photographs: list[Path], enrolled: Path, embedding: Path, out: Path, **options: Any) -> Taken:
    return convolve.attendance(
        list(map(str, photographs)), enrolled=enrolled, faces=embedding, embedding=embedding, out=out, progress=False,
        **options,
    )  # fmt: skip


def test_present_absent_and_unknown(people: Path, enrolled: Path, embedding: Path, tmp_path: Path) -> None:
    photograph = group(people, tmp_path / "class.png", ["stranger", "박", "김"])
    found = take([photograph], enrolled, embedding, tmp_path / "today", threshold=0.7)
    assert set(found.present) == {"김", "박"}
    assert (found.absent, found.unknown) == (("이",), 1)
    assert (found.far, found.stranger) == (None, None)
    with (tmp_path / "today" / "attendance.csv").open(encoding="utf-8-sig") as file:
        rows = {row["name"] or row["status"]: row for row in csv.DictReader(file)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "김": "present", "박": "present", "이": "absent", "unknown": "unknown"
    }  # fmt: skip
    assert float(rows["김"]["left"]) == 48
    assert rows["이"]["photograph"] == ""
    for name in ("김", "박", "unknown"):
        with Image.open(tmp_path / "today" / rows[name]["crop"]) as crop:
            assert crop.size == (112, 112)
    page = (tmp_path / "today" / "attendance.html").read_text()
    assert "://" not in page


def test_the_page_is_in_korean_too(people: Path, enrolled: Path, embedding: Path, tmp_path: Path) -> None:
    photographs = [group(people, tmp_path / "class.png", ["stranger", "박"]), tmp_path / "broken.png"]
    photographs[1].write_bytes(b"no image")
    found = take(photographs, enrolled, embedding, tmp_path / "today", language="ko")
    assert list(found.failed) == [str(photographs[1])]
    own = open_run(embedding).manifest.state["threshold"]
    assert (found.threshold, found.far) == (own["distance"], own["far"])
    assert found.stranger == pytest.approx(1 - (1 - own["far"]) ** 3)
    assert english_texts((tmp_path / "today" / "attendance.html").read_text()) == []


def test_what_cannot_be_compared_is_refused(people: Path, enrolled: Path, embedding: Path, tmp_path: Path) -> None:
    photograph = group(people, tmp_path / "class.png", ["박"])
    with pytest.raises(DataError, match="comparisons of different people, and 100 are needed"):
        take([photograph], enrolled, embedding, tmp_path / "today", calibrate=True)
    with pytest.raises(OptionError, match="leave out one of them"):
        take([photograph], enrolled, embedding, tmp_path / "today", calibrate=True, threshold=1.0)
    with pytest.raises(OptionError, match="numbers from 0 to 2"):
        take([photograph], enrolled, embedding, tmp_path / "today", threshold=3.0)
    group(people, enrolled / "two.png", ["박", "이"])
    with pytest.raises(DataError, match=r"2 faces found in .*two\.png; enroll photographs that show one face"):
        take([photograph], enrolled, embedding, tmp_path / "today")
    (enrolled / "two.png").unlink()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="is not empty; choose another --out"):
        take([photograph], enrolled, embedding, tmp_path / "full")


def test_runs_of_other_tasks_are_refused(people: Path, embedding: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="is a run of the task embed; give --faces one of faces, or of detect"):
        take([people / "박" / "0.png"], people, embedding, tmp_path / "today")


@pytest.mark.skipif(not MTCNN.is_dir(), reason="the weights of MTCNN are absent")
def test_mtcnns_faces_are_aligned(tmp_path: Path) -> None:
    """Of a crop MTCNN finds the points where the template has them."""
    files = [str(MTCNN / f"{name}net.pt") for name in "pro"]
    run = convolve.convert(files, out=tmp_path / "mtcnn", progress=False).run
    finder = FaceFinder(run, RuntimeOptions("cpu", "fp32", 1), silent)
    (face,) = finder.find(ImageFiles(SHARED / "data" / "photos", ("astronaut.png",)), 0)
    canvas = np.pad(face.crop, ((60, 60), (60, 60), (0, 0)), "edge")
    task, runtime = restore_task(open_run(run), RuntimeOptions("cpu", "fp32", 1))
    again = find_in_pixels(task, canvas, runtime)  # type: ignore[arg-type]
    assert finder.aligns
    assert np.abs(again.points[0].numpy() - 60 - TEMPLATE).max() < 6
