"""Inpainting from training to files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import structural_similarity

import convolve
from convolve import models
from convolve.datasets.images import ImageFiles
from convolve.errors import DataError, ExportError, ImageError, OptionError
from convolve.layers.design import Design
from convolve.metrics.image_quality import psnr
from convolve.runtime import choose
from convolve.tasks.restore.degradation import to_pixels
from convolve.tasks.restore.inpainting.evaluation import baselines, measure, seam
from convolve.tasks.restore.inpainting.filling import fill_hole
from convolve.tasks.restore.inpainting.holes import draw_hole, hole_of
from convolve.tasks.restore.inpainting.restorer import read_transparency
from convolve.tasks.restore.inpainting.task import HOLE_WEIGHT, TV_WEIGHT, Inpaint
from convolve.values import Flags, Pixels

RUNTIME = choose("cpu", "fp32", 1)
OPTIONS: dict[str, Any] = {
    "task": "restore", "network": "partial_conv_unet", "width": 0.0625, "size": 32, "epochs": 2, "threads": 1,
    "progress": False,
}  # fmt: skip


def _image(height: int, width: int, seed: int = 0) -> Pixels:
    """Smooth waves in color."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows * a + columns * b) for a, b in random.uniform(0.02, 0.2, (3, 2))]
    return to_pixels(127 + 90 * np.stack(waves, 2))


def _hole(height: int, width: int) -> Flags:
    hole = np.zeros((height, width), bool)
    hole[height // 3 : height // 2, width // 4 : width // 2] = True
    return hole


def _task(name: str = "partial_conv_unet", width: float = 0.0625, **changes: Any) -> Inpaint:
    network = models.create(name, size=(32, 32), seed=1, design=Design(width=width)).eval()
    return Inpaint(network, 0.25, 32, (0.5,) * 3, (0.25,) * 3, **changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("inpaint")
    (root / "data").mkdir()
    for number in range(8):
        Image.fromarray(_image(44, 40 + number, number)).save(root / "data" / f"{number}.png")
    convolve.train(str(root / "data"), **OPTIONS, out=root / "run")
    return root / "run"


def test_a_run_stores_its_holes_and_reports_on_them(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["state"]["hole_fraction"] == 0.25
    assert manifest["state"]["side"] == 32
    assert {"telea", "mean"} == manifest["results"]["test"]["baselines"].keys()
    assert "PSNR (hole)" in (run / "report.html").read_text()


def test_masks_are_given_alone_in_a_folder_or_as_transparency(run: Path, tmp_path: Path) -> None:
    image, hole = _image(50, 61), _hole(50, 61)
    (tmp_path / "masks").mkdir()
    Image.fromarray(image).save(tmp_path / "a.png")
    for path in (tmp_path / "mask.png", tmp_path / "masks" / "a.png"):
        Image.fromarray(np.where(hole, np.uint8(255), np.uint8(0))).save(path)
    alpha = np.where(hole, np.uint8(0), np.uint8(255))
    Image.fromarray(np.dstack([image, alpha])).save(tmp_path / "clear.png")
    found = []
    for name, mask in (("a", "mask.png"), ("a", "masks"), ("clear", None)):
        options: dict[str, Any] = {"mask": tmp_path / mask} if mask else {}
        out = tmp_path / f"out-{mask}"
        convolve.predict(run, (str(tmp_path / f"{name}.png"),), out=out, threads=1, progress=False, **options)
        found.append(np.asarray(Image.open(out / f"{name}_restored.png")))
    assert np.array_equal(found[0][~hole], image[~hole])
    assert not np.array_equal(found[0][hole], image[hole])
    assert all(np.array_equal(each, found[0]) for each in found)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (None, r"a\.png has no hole to fill; give --mask"),
        ("black.png", r"a\.png has no hole to fill; paint the hole white"),
        ("small.png", r"The mask .*small\.png has 10x12 pixels, but .*a\.png has 40x30; give one of that size"),
        ("white.png", r"larger than .* pixels, or all of the image"),
        ("others", r"a\.png has no mask in .*others; add one of its name"),
        ("empty", r"There is no mask in .*empty"),
        ("none.png", r"none\.png does not exist"),
    ],
)
def test_what_cannot_be_filled_is_said(run: Path, tmp_path: Path, mask: str | None, message: str) -> None:
    Image.fromarray(_image(30, 40)).save(tmp_path / "a.png")
    for name in ("others", "empty"):
        (tmp_path / name).mkdir()
    for name, size, level in (("black.png", (40, 30), 0), ("small.png", (10, 12), 255), ("white.png", (40, 30), 255)):
        Image.new("L", size, level).save(tmp_path / name)
    Image.new("L", (40, 30), 255).save(tmp_path / "others" / "b.png")
    options: dict[str, Any] = {"mask": tmp_path / mask} if mask else {}
    with pytest.raises((DataError, ImageError), match=message):
        convolve.predict(run, (str(tmp_path / "a.png"),), out=tmp_path / "out", threads=1, progress=False, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_sigma": 25.0}, "partial_conv_unet does not use --noise-sigma; leave it out"),
        ({"hole_fraction": 0.0}, "--hole-fraction 0 leaves partial_conv_unet nothing to fill"),
        ({"fit": "crop"}, "--fit crop is not available for the task restore with partial_conv_unet; use tiles"),
        ({"network": "cdncnn", "noise_sigma": 9.0, "hole_fraction": 0.2}, "cdncnn does not use --hole-fraction"),
    ],
)
def test_options_of_other_networks_are_refused(run: Path, options: dict[str, Any], message: str) -> None:
    chosen = {"task": "restore", "network": "partial_conv_unet", "progress": False, **options}
    with pytest.raises(OptionError, match=message):
        convolve.train(str(run.parent / "data"), **chosen)


def test_no_run_is_explained_or_exported(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="A network that fills holes cannot be exported; use its run"):
        convolve.export(run, out=tmp_path / "export", threads=1, progress=False)
    with pytest.raises(OptionError, match="What fills a hole is not explained"):
        convolve.explain(run, run.parent / "data" / "0.png", out=tmp_path, threads=1, progress=False)


def test_holes_cover_what_is_asked_for() -> None:
    random = np.random.default_rng(0)
    fractions = [draw_hole((64, 96), 0.3, 64, random).mean() for _ in range(200)]
    assert 0.3 < np.mean(fractions) < 0.37
    assert min(fractions) > 0.15
    assert not draw_hole((8, 8), 0.6, 64, random).all()
    assert np.array_equal(hole_of(_image(40, 40), 0.2, 64), hole_of(_image(40, 40), 0.2, 64))
    assert not np.array_equal(hole_of(_image(40, 40), 0.2, 64), hole_of(_image(40, 40, 1), 0.2, 64))


@pytest.mark.parametrize("name", ["partial_conv_unet", "unet_inpaint"])
def test_known_pixels_stay_and_what_is_in_the_hole_does_not_matter(name: str) -> None:
    task, image, hole = _task(name), _image(50, 60), _hole(50, 60)
    other = np.where(hole[..., None], np.uint8(7), image)
    filled = fill_hole(image, hole, task, RUNTIME)
    assert np.array_equal(filled[~hole], image[~hole])
    assert np.array_equal(filled, fill_hole(other, hole, task, RUNTIME))


def test_a_large_image_is_filled_in_tiles() -> None:
    """A network that gives one color everywhere fills everything with it, whatever the tiles."""
    task, image = _task(), _image(130, 150)
    with torch.no_grad():
        for number in range(2):
            task.network.get_parameter(f"head.last.parts.{number}.weight").zero_()
        task.network.get_parameter("head.last.parts.0.bias").fill_(1.0)
    hole = hole_of(image, 0.3, 32)
    filled = fill_hole(image, hole, task, RUNTIME, tile=64)
    assert np.all(filled[hole] == to_pixels(np.array((1 * 0.25 + 0.5) * 255)))
    assert np.array_equal(filled[~hole], image[~hole])
    with pytest.raises(ImageError, match="larger than 20 pixels"):
        fill_hole(image, np.pad(np.ones((60, 60), bool), ((30, 40), (40, 50))), task, RUNTIME, tile=20)


def test_losses_weigh_the_hole_as_in_the_paper() -> None:
    task = _task("unet_inpaint")
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    losses = task.loss(images, torch.empty(0), torch.Generator().manual_seed(1))
    holes = task.draw_holes(images, torch.Generator().manual_seed(1))
    outputs = task.network(torch.where(holes, torch.nan, images))
    errors = (outputs - images).abs()
    assert float(losses["hole"].detach()) == pytest.approx(float((errors * holes).mean().detach()), rel=1e-5)
    assert float(losses["valid"].detach()) == pytest.approx(float((errors * ~holes).mean().detach()), rel=1e-5)
    total = losses["valid"] + HOLE_WEIGHT * losses["hole"] + TV_WEIGHT * losses["tv"]
    assert float(losses["loss"].detach()) == pytest.approx(float(total.detach()))
    assert (HOLE_WEIGHT, TV_WEIGHT) == (6, 0.1)


def test_metrics_of_a_hole_are_those_of_its_pixels() -> None:
    target, hole = _image(40, 50), _hole(40, 50)
    image = np.where(hole[..., None], to_pixels(target + 9.0), target)
    found = measure(target, image, hole)
    error = np.mean((target[hole].astype(float) - image[hole]) ** 2)
    assert found["psnr_hole"] == pytest.approx(10 * np.log10(255**2 / error))
    assert found["psnr_rgb"] == psnr(target, image)
    options = {"gaussian_weights": True, "use_sample_covariance": False, "sigma": 1.5, "data_range": 255}
    _, similarity = structural_similarity(target, image, channel_axis=2, full=True, **options)  # type: ignore[no-untyped-call]
    assert found["ssim_hole"] == pytest.approx(float(similarity[hole].mean()), abs=1e-3)


def test_the_seam_of_the_target_is_one_and_a_filled_mean_has_more() -> None:
    target, hole = _image(60, 60), hole_of(_image(60, 60), 0.25, 60)
    assert seam(target, target, hole) == 1
    methods = baselines(target, hole)
    assert seam(target, methods["mean"], hole) > 3
    assert seam(target, methods["telea"], hole) < 2


def test_transparency_is_read_from_files_that_have_it(tmp_path: Path) -> None:
    Image.new("P", (6, 4), 3).save(tmp_path / "a.gif", transparency=3)
    Image.new("RGB", (6, 4)).save(tmp_path / "b.jpg")
    images = ImageFiles(tmp_path, ("a.gif", "b.jpg"))
    assert read_transparency(images, 0).all()
    assert not read_transparency(images, 1).any()
    assert read_transparency(images, 1).shape == (4, 6)
