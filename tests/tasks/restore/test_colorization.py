"""Colorization from training to files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import lab2rgb, rgb2lab

import convolve
from convolve import models
from convolve.datasets.images import ImageArray
from convolve.errors import DataError, OptionError
from convolve.layers.design import Design
from convolve.runtime import choose
from convolve.tasks.restore.colorization import bins
from convolve.tasks.restore.colorization.coloring import colorize, from_lab, to_lab, without_color
from convolve.tasks.restore.colorization.evaluation import areas, measure, measure_colorfulness
from convolve.tasks.restore.colorization.lab import lab_to_rgb, rgb_to_lab
from convolve.tasks.restore.colorization.task import RANGE, Colorize
from convolve.values import Floats, Pixels

RUNTIME = choose("cpu", "fp32", 1)
OPTIONS: dict[str, Any] = {
    "task": "restore", "network": "colorization_zhang", "width": 0.0625, "size": 32, "epochs": 2, "threads": 1,
    "progress": False,
}  # fmt: skip


def _image(height: int, width: int, seed: int = 0) -> Pixels:
    """Blocks of random colors."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.NEAREST))


def _folder(root: Path, *, gray: bool = False) -> Path:
    root.mkdir()
    for number in range(8):
        pixels = _image(40, 36, number)
        Image.fromarray(pixels[..., :1].repeat(3, 2) if gray else pixels).save(root / f"{number}.png")
    return root


def _task(name: str = "colorization_zhang", **changes: Any) -> Colorize:
    outputs = 2 if name == "unet_color" else len(bins.color_bins())
    network = models.create(name, outputs, size=(32, 32), seed=1, design=Design(width=0.0625)).eval()
    return Colorize(network, (0.5, 0.4, 0.6), (0.25, 0.3, 0.2), **changes)


def _planes(array: Floats) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32)).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("color")
    convolve.train(str(_folder(root / "data")), **OPTIONS, out=root / "run")
    return root / "run"


def test_lab_is_that_of_scikit_image() -> None:
    image = np.random.default_rng(0).random((30, 40, 3)).astype(np.float32)
    image[:4] = image[:4] ** 8  # dark
    lab = rgb_to_lab(_planes(image))
    np.testing.assert_allclose(lab[0].permute(1, 2, 0).numpy(), rgb2lab(image), atol=2e-3)
    np.testing.assert_allclose(lab_to_rgb(lab)[0].permute(1, 2, 0).numpy(), image, atol=1e-4)
    inside = np.stack([np.full((9, 9), 60.0), *np.mgrid[-20:21:5, -20:21:5]], 2)
    found = lab_to_rgb(_planes(inside))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, lab2rgb(inside), atol=1e-4)


def test_bins_are_what_colors_round_to() -> None:
    """Of all colors with levels that are multiples of 15; the 313 of the paper are a file of its authors."""
    levels = np.arange(0, 256, 15).astype(np.uint8)
    colors = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(-1, 1, 3)
    rounded = np.unique(np.rint(rgb2lab(colors)[:, 0, 1:] / 10), axis=0) * 10
    found = {tuple(each) for each in bins.color_bins().tolist()}
    assert {tuple(each) for each in rounded.tolist()} <= found
    assert len(found) == 261


def test_colors_are_encoded_by_their_five_nearest_bins() -> None:
    """Zhang et al. 2016, section 2.2, written out for one color."""
    color = np.array([13.0, -4.0], np.float32)
    encoded = bins.encode(torch.from_numpy(color)[None, :, None, None])[0, :, 0, 0].numpy()
    distances = np.hypot(*(bins.color_bins() - color).T)
    expected = np.where(distances <= np.sort(distances)[4], np.exp(-(distances**2) / (2 * 5**2)), 0)
    np.testing.assert_allclose(encoded, expected / expected.sum(), atol=1e-6)
    assert np.count_nonzero(encoded) == 5


def test_the_annealed_mean_is_between_mode_and_mean() -> None:
    colors = bins.color_bins()
    scores = torch.full((1, len(colors), 1, 1), -50.0)
    scores[0, 10], scores[0, 200] = np.log(0.7), np.log(0.3)
    found = bins.annealed_mean(scores)[0, :, 0, 0].numpy()
    weight = 0.7 ** (1 / 0.38) / (0.7 ** (1 / 0.38) + 0.3 ** (1 / 0.38))
    np.testing.assert_allclose(found, weight * colors[10] + (1 - weight) * colors[200], rtol=1e-4)


def test_rebalancing_weighs_rare_colors_more_and_pixels_one_on_average() -> None:
    counts = np.zeros(261, np.float32)
    counts[[130, 20]] = 99, 1
    probabilities = bins.smooth(counts)
    weights = bins.rebalancing_weights(probabilities)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert probabilities @ weights == pytest.approx(1, abs=1e-5)
    assert weights[20] > 5 * weights[130]
    expected = 1 / (0.5 * probabilities + 0.5 / 261)
    np.testing.assert_allclose(weights / weights[0], expected / expected[0], rtol=1e-5)


def test_the_loss_is_the_weighted_cross_entropy() -> None:
    weights = tuple(np.linspace(0.5, 2, 261).tolist())
    task = _task(weights=weights)
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(each)[:, None, None] for each in (task.mean, task.std))
    with torch.no_grad():
        loss = float(task.loss((image - mean) / std, torch.empty(0), None)["loss"])
        lab = torch.from_numpy(rgb2lab(image[0].permute(1, 2, 0).numpy())).permute(2, 0, 1)[None].float()
        logits = task.network((lab[:, :1] / 100 - mean) / std)
        targets = bins.encode(torch.nn.functional.avg_pool2d(lab[:, 1:], 4))
        each = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        expected = float((each * torch.tensor(weights)[targets.argmax(1)]).mean())
    assert loss == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", ["colorization_zhang", "unet_color"])
def test_the_network_sees_lightness_alone_and_it_stays(name: str) -> None:
    task, image = _task(name), _image(45, 70)
    found = colorize(image, task, 32, RUNTIME)
    gray = without_color(image)
    assert found.shape == (45, 70, 3)
    assert np.abs(to_lab(found)[..., 0] - to_lab(image)[..., 0]).mean() < 3  # but where sRGB has no such color
    assert np.abs(colorize(gray, task, 32, RUNTIME).astype(int) - found).mean() < 1
    with torch.no_grad():
        for parameter in task.network.head.parameters():
            parameter.zero_()
    colorless = colorize(image, task, 32, RUNTIME)
    if name == "unet_color":  # whose zero is gray
        assert np.abs(colorless.astype(int) - gray).max() <= 1
        assert np.ptp(colorless.astype(int), axis=2).max() <= 1


def test_a_right_answer_gives_the_image_back() -> None:
    """From a and b that the network would have to give, through enlargement and conversion."""
    task = _task("unet_color")
    image = np.full((32, 40, 3), (180, 60, 30), np.uint8)
    ab = to_lab(image)[0, 0, 1:] / RANGE
    with torch.no_grad():
        for parameter in task.network.head.parameters():
            parameter.zero_()
        task.network.get_parameter("head.scores.bias").copy_(torch.from_numpy(ab))
    assert np.abs(colorize(image, task, 32, RUNTIME).astype(int) - image).max() <= 1
    assert np.abs(from_lab(to_lab(image)).astype(int) - image).max() <= 1


def test_areas_under_the_curve() -> None:
    """Against counting, threshold after threshold."""
    target, image = _image(32, 32), without_color(_image(32, 32))
    errors = np.hypot(*(rgb2lab(target) - rgb2lab(image))[..., 1:].reshape(-1, 2).T)
    thresholds = np.linspace(0, 150, 3001)
    counted = np.mean([np.mean(errors <= threshold) for threshold in thresholds])
    assert areas(target, image)["auc"] == pytest.approx(counted, abs=1e-3)
    assert areas(target, target) == {"auc_balanced": 1, "auc": 1}
    assert measure(target, target)["colorfulness"] == 1


def test_in_the_balanced_area_a_rare_color_counts_as_much() -> None:
    target = np.full((20, 20, 3), 128, np.uint8)
    target[0, :4] = 250, 10, 10
    found = areas(target, without_color(target))
    error = np.hypot(*to_lab(target)[0, 0, 1:]) / 150
    assert found["auc"] == pytest.approx(1 - 0.01 * error, abs=1e-3)
    assert found["auc_balanced"] == pytest.approx(1 - error / 2, abs=0.02)


def test_colorfulness_of_two_colors() -> None:
    """Hasler and Süsstrunk 2003, worked out: rg is ±255, yb is 127.5 for both."""
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, :, 0], image[1, :, 1] = 255, 255
    assert measure_colorfulness(image) == pytest.approx(255 + 0.3 * 127.5)


def test_a_run_stores_the_weights_of_colors_and_predicts_any_size(run: Path, tmp_path: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert len(manifest["state"]["weights"]) == 261
    assert manifest["results"]["test"]["baselines"].keys() == {"gray"}
    assert "AUC (balanced)" in (run / "report.html").read_text()
    Image.fromarray(_image(51, 90)).convert("L").save(tmp_path / "a.png")
    convolve.predict(run, (str(tmp_path / "a.png"),), out=tmp_path / "out", threads=1, progress=False)
    with Image.open(tmp_path / "out" / "a_restored.png") as colored:
        assert colored.size == (90, 51)
    with pytest.raises(OptionError, match="fills no holes; leave out --mask"):
        convolve.predict(run, (str(tmp_path / "a.png"),), out=tmp_path, mask=tmp_path, progress=False)
    with pytest.raises(OptionError, match="Colors are not explained"):
        convolve.explain(run, run.parent / "data" / "0.png", out=tmp_path, threads=1, progress=False)


def test_a_run_of_regression(run: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "network": "unet_color", "epochs": 1}
    convolve.train(str(run.parent / "data"), **options, out=tmp_path / "run")
    compared = convolve.compare([run, tmp_path / "run"], threads=1, progress=False)
    assert [(row.metric, row.unit) for row in compared.runs] == [("AUC (balanced)", "%")] * 2


def test_images_without_color_teach_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="The images to learn from have no color"):
        convolve.train(str(_folder(tmp_path / "gray", gray=True)), **OPTIONS)
    pixels = _image(32, 32)[None, ..., :1].repeat(3, 3)
    with pytest.raises(DataError, match="have no color"):
        bins.count_colors(ImageArray(pixels, "gray"), np.array([0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mse"}, "colorization_zhang gives probabilities, whose loss is the cross-entropy; leave out --loss"),
        ({"network": "unet_color", "rebalance": True}, "unet_color gives no probabilities; leave out --rebalance"),
        ({"upscale": 2}, "colorization_zhang does not use --upscale"),
        ({"fit": "tiles"}, "--fit tiles is not available for the task restore with colorization_zhang"),
    ],
)
def test_options_of_other_networks_are_refused(run: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        convolve.train(str(run.parent / "data"), **{**OPTIONS, **options})
