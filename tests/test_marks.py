"""What convolve writes is never taken for data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.datasets.inventory import take_inventory
from convolve.marks import OVERLAY, has_mark, save_jpeg, save_png
from tests.tasks.segment.small import folder as folder_of_masks
from tests.verbs.synthetic import QUICK, folders, train


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_a_mark_stays_with_the_file_and_changes_no_pixel(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)).convert(mode)
    image.info["icc_profile"] = bytes(20)
    save_png(image, tmp_path / "own.png", optimize=True)
    assert has_mark(str(tmp_path / "own.png"))
    with Image.open(tmp_path / "own.png") as found:
        assert (found.mode, found.tobytes()) == (mode, image.tobytes())
        found.save(tmp_path / "copy.png")  # by another program, and so a person's
    assert not has_mark(str(tmp_path / "copy.png"))
    assert not has_mark(str(tmp_path / "nothing.png"))


def test_images_with_the_mark_are_left_out_and_named(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8))
    for name in ("cat/1.png", "dog/2.png", f"dog/3{OVERLAY}", "dog/photo.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        image.save(tmp_path / name)
    save_png(image, tmp_path / "sheet.PNG")
    (tmp_path / "explained").mkdir()
    save_png(image, tmp_path / "explained" / "1.png")
    save_jpeg(image, tmp_path / "dog" / f"2{OVERLAY}", 90)
    found = take_inventory(tmp_path)
    assert found.images == ("cat/1.png", "dog/2.png", f"dog/3{OVERLAY}", "dog/photo.jpg")
    assert found.folders == ("cat", "dog")
    assert found.notes == (f"dog/2{OVERLAY}, explained/1.png, sheet.PNG left out: convolve wrote it",)


def test_whatever_is_written_into_the_data_it_stays_the_same(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"cat": 12, "dog": 12})
    run = train(data, **QUICK, out=tmp_path / "run").run
    before = convolve.data(data, progress=False)
    assert before.dataset.notes == ()
    convolve.data(data, network="lenet5_keras", size=16, sheet=data / "cat" / "sheet.png", progress=False)
    convolve.explain(run, data / "cat" / "0.png", out=data / "dog" / "explained", threads=1, progress=False)
    convolve.explain(run, show=["filters", "embedding"], out=data / "views", threads=1, progress=False)
    convolve.networks("lenet5_keras", figure=data / "figure.png", progress=False)
    convolve.predict(run, data / "cat", csv=data / "predictions.csv", threads=1, progress=False)
    train(data, **QUICK, out=data / "dog" / "run")
    after = convolve.data(data, progress=False)
    assert len(list(data.rglob("*.png"))) > 24 + 6
    assert after.fingerprint == before.fingerprint
    assert after.findings.counts == before.findings.counts
    (ours, table) = after.dataset.notes
    assert ours.startswith("cat/sheet.png, dog/explained/0.png, dog/run and ")
    assert "predictions of convolve" in table


def test_predicted_masks_are_no_ground_truth(tmp_path: Path) -> None:
    data = folder_of_masks(tmp_path / "data", 12)
    options = QUICK | {"network": "fcn1s_resnet20_cifar", "size": 32}
    run = train(data, **options, out=tmp_path / "run").run
    before = convolve.data(data, progress=False)
    images = before.dataset.images
    names = [Path(before.dataset.root, images.name(index)) for index in range(2)]
    convolve.predict(run, names, out=names[0].parent, threads=1, progress=False)
    assert len(list(names[0].parent.glob("*_mask.png"))) >= 2
    after = convolve.data(data, progress=False)
    assert after.fingerprint == before.fingerprint
    assert any("left out: convolve wrote it" in note for note in after.dataset.notes)
