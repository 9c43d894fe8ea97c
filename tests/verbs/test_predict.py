"""Predicting what people throw at it."""

from __future__ import annotations

import csv
import io
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.errors import ConvolveError, DataError, OptionError
from convolve.progress import Progress
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.classify.prediction import UNSURE, ClassPrediction
from convolve.verbs.predict import Predict, Predictions, find_images, render
from convolve.verbs.predict import run as predict_images
from tests.test_cli import Command
from tests.verbs.synthetic import QUICK, corner_image, folders, save, train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("predict")
    folders(home / "data", {"고양이": 20, "dog": 20, "bee [yellow]": 20})
    train(home / "data", **QUICK | {"epochs": 6, "fit": "stretch"}, out=home / "run")
    return home / "run"


@pytest.fixture
def dog() -> Image.Image:
    return Image.fromarray(corner_image([1], np.random.default_rng(5)))  # the second folder above


def predictions(run: Path, *images: object, **options: Any) -> tuple[ClassPrediction, ...]:
    names = [str(image) for image in images]
    found = convolve.predict(run, names, threads=1, progress=False, **options).predictions
    assert all(isinstance(one, ClassPrediction) for one in found)
    return found  # type: ignore[return-value]  # as asserted


def test_files_of_many_kinds_look_the_same(run: Path, dog: Image.Image, tmp_path: Path) -> None:
    alpha = dog.convert("RGBA")
    turned = dog.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    dog.save(tmp_path / "UPPER.PNG")
    dog.save(tmp_path / "b.BMP")
    dog.quantize(256).save(tmp_path / "palette.gif")
    alpha.save(tmp_path / "alpha.png")
    turned.save(tmp_path / "turned.jpg", quality=97, exif=exif)
    dog.save(tmp_path / "with spaces, 개.tiff")
    dog.save(tmp_path / "w.webp", quality=97)
    found = predictions(run, tmp_path)
    assert {Path(one.image).name: one.label for one in found} == dict.fromkeys(
        ("UPPER.PNG", "b.BMP", "palette.gif", "alpha.png", "turned.jpg", "with spaces, 개.tiff", "w.webp"), "dog"
    )


def test_other_files_are_skipped_and_broken_images_named(run: Path, dog: Image.Image, tmp_path: Path) -> None:
    dog.save(tmp_path / "a.png")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    dog.save(tmp_path / "deep" / "er" / "c.png")
    (tmp_path / "b.png").write_text("not an image")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / ".hidden.png").write_text("hidden")
    found = predictions(run, tmp_path)
    assert [(Path(one.image).name, one.label) for one in found] == [
        ("a.png", "dog"),
        ("b.png", ""),
        ("c.png", "dog"),
    ]
    assert "b.png" in found[1].error
    with pytest.raises(DataError, match="None of the images can be read"):
        predictions(run, tmp_path / "b.png")
    with pytest.raises(DataError, match="None of the images can be read"):
        predictions(run, tmp_path / "notes.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="There is no image in"):
        predictions(run, tmp_path / "empty")


def test_a_huge_image_is_refused_and_the_others_are_predicted(run: Path, dog: Image.Image, tmp_path: Path) -> None:
    Image.new("1", (12_000, 9_000)).save(tmp_path / "huge.png")
    dog.save(tmp_path / "small.png")
    huge, small = predictions(run, tmp_path)
    assert "million pixels; make it smaller" in huge.error
    assert small.label == "dog"


def test_names_come_from_standard_input(
    run: Path, dog: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a b.png", "ü.png"):
        dog.save(tmp_path / name)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{tmp_path / 'a b.png'}\n\n{tmp_path / 'ü.png'}\n"))
    assert [one.label for one in predictions(run, "-")] == ["dog", "dog"]  # as in a notebook
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(DataError, match="There is no image in the list on standard input"):
        predictions(run, "-")


@pytest.mark.parametrize(
    "content",
    [
        "a b.png\n고.png\n".encode(),
        "\ufeffa b.png\r\n\r\n고.png\r\n".encode(),
        "a b.png\r\n고.png\r\n".encode("utf-16"),
        "a b.png\0고.png\0".encode(),
        "a b.png\r  고.png  \r".encode(),
    ],
    ids=["lines", "windows", "powershell", "print0", "spaces"],
)
def test_names_are_listed_in_many_ways(
    content: bytes, dog: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a b.png", "고.png"):
        dog.save(name)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))
    assert find_images(["-"]).names == ("a b.png", "고.png")


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode on Windows")
def test_a_listed_name_is_just_the_file_s(dog: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = (os.fsdecode(b"caf\xe9.png"), "BMW.png", " b.png ")
    for name in names:
        dog.save(tmp_path / "any.png")
        (tmp_path / "any.png").rename(name)
    listed = b"BMW.png\ncaf\xe9.png\n b.png \n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(listed), encoding="utf-8"))
    assert sorted(find_images(["-"]).names) == sorted(names)


def test_standard_input_that_is_no_list_is_named(
    dog: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dog.save(tmp_path / "a.png")
    content = io.BytesIO((tmp_path / "a.png").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(content, encoding="utf-8"))
    with pytest.raises(DataError, match=r"^Standard input is an image; give its name"):
        find_images(["-"])
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match=r"^Standard input is closed"):
        find_images(["-"])


def test_top_and_threshold(run: Path, dog: Image.Image, tmp_path: Path) -> None:
    dog.save(tmp_path / "a.png")
    (all_classes,) = predictions(run, tmp_path, top=99)
    assert {name for name, _ in all_classes.classes} == {"고양이", "dog", "bee [yellow]"}
    probabilities = [probability for _, probability in all_classes.classes]
    assert probabilities == sorted(probabilities, reverse=True)
    assert predictions(run, tmp_path, threshold=1.0)[0].label == UNSURE
    assert predictions(run, tmp_path, threshold=all_classes.confidence)[0].label == "dog"
    with pytest.raises(OptionError, match="top cannot be 0"):
        predictions(run, tmp_path, top=0)
    with pytest.raises(OptionError, match=r"threshold cannot be 1\.5"):
        predictions(run, tmp_path, threshold=1.5)


def test_control_characters_of_names_are_escapes_in_the_csv_file(run: Path, shapes: Path, tmp_path: Path) -> None:
    name = "=a\nb\x1b[31m.png"
    (tmp_path / name).write_bytes(next((shapes / "a b").iterdir()).read_bytes())
    found = predictions(run, tmp_path / name, csv=tmp_path / "found.csv")
    assert found[0].image == str(tmp_path / name)
    header, row = (tmp_path / "found.csv").read_text(encoding="utf-8").splitlines()
    assert header == "image,label,confidence,error"
    assert row.startswith(rf"{tmp_path}/=a\nb\x1b[31m.png,{found[0].label},")


def test_the_table_and_the_csv_file_are_complete(
    run: Path, dog: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bee = "bee [yellow]"
    save(tmp_path / "[b]" / "a, b.png", corner_image([0], np.random.default_rng(1)))
    dog.save(tmp_path / "[b]" / "dog.png")
    (tmp_path / "[b]" / "bad.png").write_text("")
    left = Command(monkeypatch, capsys)("predict", run, tmp_path / "[b]", "--csv", tmp_path / "new" / "found.csv")
    assert left.code == 0
    assert "[b]" in left.out
    assert bee in left.out
    assert "skipped: " in left.out
    rows = list(csv.DictReader((tmp_path / "new" / "found.csv").read_text(encoding="utf-8").splitlines()))
    assert [Path(row["image"]).name for row in rows] == ["a, b.png", "bad.png", "dog.png"]
    assert [row["label"] for row in rows][1:] == ["", "dog"]
    assert float(rows[2]["confidence"]) > 0.3
    assert rows[1]["error"]


def test_long_names_stay_whole_in_the_table(run: Path) -> None:
    from convolve.console import open_console

    name = "x" * 300 + ".png"
    console = open_console()
    with console.capture() as captured:
        for part in render(Predictions((ClassPrediction(name, "dog", 0.9, (("dog", 0.9),)),))):
            console.print(part)
    assert name in "".join(line.split()[0] for line in captured.get().splitlines()[1:] if line.strip()).replace(" ", "")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are Unicode")
def test_names_that_are_not_unicode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = folders(tmp_path / "data", {"a": 12, "b": 12})
    odd = os.fsdecode(b"caf\xe9.png")
    try:
        shutil.copy(data / "a" / "0.png", data / "a" / odd)
    except OSError:
        pytest.skip("this file system allows no such names")
    train(data, **QUICK, out=tmp_path / "run")
    convolve.evaluate(tmp_path / "run", threads=1, progress=False, split="all", report=tmp_path / "page.html")
    left = Command(monkeypatch, capsys)("predict", tmp_path / "run", data / "a", "--csv", tmp_path / "found.csv")
    assert left.code == 0
    assert "caf\\udce9.png" in (tmp_path / "found.csv").read_text(encoding="utf-8")


def test_a_run_predicts_wherever_it_is(run: Path, dog: Image.Image, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(run, tmp_path / "run elsewhere"))
    dog.save(tmp_path / "a.png")
    assert predictions(moved, tmp_path / "a.png") == predictions(run, tmp_path / "a.png")


def test_a_full_disk_is_one_sentence(
    run: Path, dog: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    dog.save(tmp_path / "a.png")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConvolveError, match=r"found\.csv cannot be written \(No space left on device\)"):
        predictions(run, tmp_path / "a.png", csv=tmp_path / "found.csv")
    assert not (tmp_path / "found.csv").exists()


def _clip(path: Path, image: Image.Image, count: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, image.size)
    for _ in range(count):
        writer.write(np.asarray(image)[..., ::-1])
    writer.release()
    return path


def test_the_frames_of_a_video_are_predicted_between_images(run: Path, dog: Image.Image, tmp_path: Path) -> None:
    dog.save(tmp_path / "first.png")
    clip = _clip(tmp_path / "clip.avi", dog, 20)
    found = predictions(run, tmp_path / "first.png", clip, tmp_path / "first.png", every="0.5s")
    names = [Path(one.image).name for one in found]
    assert names == ["first.png", "clip_000000", "clip_000005", "clip_000010", "clip_000015", "first.png"]
    assert {one.label for one in found} == {"dog"}
    with pytest.raises(OptionError, match="--every is about videos"):
        predictions(run, tmp_path / "first.png", every="2")


def test_a_video_that_is_interrupted_keeps_what_was_done(run: Path, dog: Image.Image, tmp_path: Path) -> None:
    def interrupt(event: object) -> None:
        if isinstance(event, Progress) and event.done == 3:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    clip = _clip(tmp_path / "clip.avi", dog, 200)
    options = Predict(run, (str(clip), str(clip)), csv=tmp_path / "found.csv", runtime=RuntimeOptions(threads=1))
    result = predict_images(options, interrupt)
    assert 3 <= len(result.predictions) < 200
    assert result.remarks == (f"Stopped after {len(result.predictions)} images.",)
    assert len((tmp_path / "found.csv").read_text().splitlines()) == 1 + len(result.predictions)
    assert signal.getsignal(signal.SIGINT) is before
