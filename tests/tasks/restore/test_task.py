"""Restoration from training to files."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import convolve
from convolve import models
from convolve.datasets.images import ImageFiles
from convolve.errors import DataError, OptionError
from convolve.metrics.image_quality import psnr
from convolve.progress import silent
from convolve.runtime import choose as choose_runtime
from convolve.setup.choice import choose
from convolve.setup.runtime_options import RuntimeOptions
from convolve.tasks.restore.degradation import Degradation, enlarge, to_pixels
from convolve.tasks.restore.evaluation import MEASURED, EvaluatedImage, Evaluation, baselines, measure
from convolve.tasks.restore.explanation import CenterScore
from convolve.tasks.restore.options import RestoreOptions, RestorePredictOptions
from convolve.tasks.restore.predictor import DetailRestorer, ImagePredictor
from convolve.tasks.restore.report import quality_section
from convolve.tasks.restore.task import Restore
from convolve.tasks.restore.tiled_restoration import restore_image
from convolve.training.checkpoints import RunFiles
from convolve.training.recipe import Recipe
from convolve.training.time_limit import TimeLimit

RUNTIME = choose_runtime("cpu", "fp32", 1)
OPTIONS: dict[str, Any] = {
    "task": "restore", "network": "espcn_x2", "size": 24, "epochs": 2, "threads": 1, "progress": False
}  # fmt: skip


def _image(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """Smooth waves with edges."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows * a + columns * b) for a, b in random.uniform(0.05, 0.4, (channels, 2))]
    return to_pixels(127 + 80 * np.stack(waves, 2) + 30 * ((rows + columns) // 9 % 2)[..., None])


def _folder(root: Path, count: int = 8) -> Path:
    root.mkdir()
    for number in range(count):
        Image.fromarray(_image(40 + number, 52, 3, number)).save(root / f"{number}.png")
    return root


def _classes(root: Path) -> Path:
    """Two classes of two images."""
    root.mkdir()
    for name in ("a", "b"):
        _folder(root / name, 2)
    return root


def _task(name: str, degradation: Degradation, **changes: Any) -> Restore:
    network = models.create(name, seed=1).eval()
    channels = network.card.input[0]
    return Restore(network, degradation, (0.4,) * channels, (0.25,) * channels, **changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("restore")
    data = _folder(root / "data")
    convolve.train(str(data), **OPTIONS, out=root / "run")
    return root / "run"


def test_a_run_stores_how_its_small_images_were_made(run: Path) -> None:
    recipe = (run / "recipe.toml").read_text()
    assert 'layout = "images"' in recipe
    assert "[restore]" in recipe
    assert 'downscaling = "bicubic"' in recipe
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["state"]["degradation"]["upscale"] == 2
    assert {"bicubic", "nearest"} == manifest["results"]["test"]["baselines"].keys()
    assert "Before and after" in (run / "report.html").read_text()


@pytest.mark.parametrize(
    ("gain", "sentence"), [(-0.01, "The network is below bicubic interpolation; train longer."), (0.0, "")]
)
def test_a_network_that_is_worse_than_interpolation_is_said_to_be(gain: float, sentence: str) -> None:
    bicubic = dict.fromkeys(MEASURED, 30.0)
    network = {**bicubic, "psnr_y": 30 + gain}
    one = EvaluatedImage("a.png", 0, {"network": network, "bicubic": bicubic})
    found = Evaluation("test", {**network, "psnr_gain": gain}, {"bicubic": bicubic}, 2, (one,))
    lines = [str(line) for line in found.to_console()]
    assert sum("is below" in line for line in lines) == lines.count(sentence) == bool(sentence)
    assert quality_section(found).context["shortfall"] == sentence


def test_evaluation_of_other_images_and_prediction(run: Path, tmp_path: Path) -> None:
    other = _folder(tmp_path / "other", 2)
    found = convolve.evaluate(run, str(other), threads=1, progress=False).evaluation
    assert found.images == 2
    assert isinstance(found, Evaluation)
    assert found.metrics["psnr_gain"] == pytest.approx(found.metrics["psnr_y"] - found.baselines["bicubic"]["psnr_y"])
    with pytest.raises(OptionError, match="Give --out"):
        convolve.predict(run, (str(other),), progress=False)
    predicted = convolve.predict(
        run, (str(other / "0.png"),), out=tmp_path / "out", threads=1, progress=False
    ).predictions[0]
    restored = np.asarray(Image.open(tmp_path / "out" / "0_restored.png"))
    assert restored.shape == (80, 104, 3)
    assert predicted.as_json()["restored_size"] == [80, 104]


def test_a_stopped_training_resumes_to_the_same_weights(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunFiles, "close_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            convolve.train(str(run.parent / "data"), **OPTIONS, out=tmp_path / "run")
    convolve.train(resume=tmp_path / "run", progress=False)
    name = "weights.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (run / name).read_bytes()


def test_images_alone_are_examined(run: Path) -> None:
    found = convolve.data(run.parent / "data", task="restore", progress=False)
    assert (found.dataset.layout, len(found.dataset)) == ("images", 8)
    with pytest.raises(DataError, match="has no images, only labels"):
        convolve.data(_classes(run.parent / "classes"), task="restore", layout="folders", progress=False)


def test_two_runs_are_compared_and_one_is_explained(run: Path, tmp_path: Path) -> None:
    compared = convolve.compare([run, run], threads=1, progress=False)
    assert [(row.metric, row.unit) for row in compared.runs] == [("PSNR (Y)", "dB")] * 2
    with pytest.raises(OptionError, match="measured in dB; leave out --figure"):
        convolve.compare([run, run], figure=tmp_path / "c.png", threads=1, progress=False)
    with pytest.raises(OptionError, match="trials are written in percent"):
        convolve.sweep(run, learning_rate="0.001,0.002", progress=False)
    explained = convolve.explain(run, run.parent / "data" / "0.png", out=tmp_path, threads=1, progress=False)
    assert list(explained.images[0].scores) == ["center"]


def test_what_cannot_be_measured_is_said(run: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    Image.fromarray(_image(4, 20, 3)).save(tmp_path / "tiny" / "a.png")
    with pytest.raises(DataError, match=r"a\.png has 20x4 pixels, too few to measure"):
        convolve.evaluate(run, tmp_path / "tiny", threads=1, progress=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "vdsr"}, "Say what vdsr is to restore: --upscale 2"),
        ({"network": "espcn_x2", "upscale": 3}, "espcn_x2 enlarges 2 times, not 3; leave out --upscale"),
        ({"network": "srcnn", "upscale": 3, "size": 32}, "--size 32 is no multiple of 3"),
        ({"network": "srcnn", "upscale": 9}, "upscale cannot be 9"),
        ({"network": "espcn_x2", "fit": "crop"}, "--fit crop is not available for the task restore"),
    ],
)
def test_what_cannot_be_restored_is_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message):
        convolve.train(str(_folder(tmp_path / "data", 4)), task="restore", progress=False, **options)


def test_a_network_that_adds_nothing_is_bicubic_interpolation() -> None:
    """Of the whole path: luminance, enlargement, colors, rounding and metrics."""
    task = _task("vdsr", Degradation(upscale=2))
    torch.nn.init.zeros_(task.network.head.weight)  # type: ignore[arg-type]
    target = _image(44, 60, 3)
    degraded = task.degradation.degrade(target)
    restored = restore_image(degraded, task, RUNTIME)
    bicubic = baselines(degraded, task.degradation)["bicubic"]
    assert np.abs(restored.astype(int) - bicubic).max() <= 1
    assert measure(target, restored, 2) == pytest.approx(measure(target, bicubic, 2), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "degradation", "channels"),
    [
        ("srcnn", Degradation(upscale=2), 3),
        ("espcn_x3", Degradation(upscale=3), 1),
        ("fsrcnn_x2", Degradation(upscale=2), 3),
        ("cdncnn", Degradation(noise_sigma=25), 3),
    ],
)
def test_tiles_cannot_be_told_from_the_whole(name: str, degradation: Degradation, channels: int) -> None:
    task = _task(name, degradation)
    image = _image(70, 62, channels)
    whole, tiled = (restore_image(image, task, RUNTIME, tile) for tile in (1000, 33))
    assert whole.shape == (70 * degradation.upscale, 62 * degradation.upscale, channels)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_gray_noise_makes_images_gray() -> None:
    task = _task("dncnn", Degradation(noise_sigma=10))
    assert restore_image(_image(20, 24, 3), task, RUNTIME).shape == (20, 24, 1)


@pytest.mark.parametrize(
    "degradation",
    [
        Degradation(upscale=3, downscaling="area"),
        Degradation(blur_sigma=1.2, upscale=2),
        Degradation(blur_sigma=0.8, noise_sigma=0.0),
    ],
)
def test_batches_are_degraded_as_images_are(degradation: Degradation) -> None:
    task = _task("vdsr", degradation)
    image = _image(24, 36, 1)
    batch = torch.from_numpy(((image / 255 - 0.4) / 0.25).astype(np.float32)).permute(2, 0, 1)[None]
    found = (task.degrade(batch, None)[0, 0].numpy() * 0.25 + 0.4) * 255
    assert np.abs(found - degradation.degrade(image)[..., 0]).max() <= 1.01


def test_training_draws_noise_for_each_image_and_evaluation_has_the_same() -> None:
    task = _task("dncnn", Degradation(noise_sigma=25))
    images = torch.zeros(2, 1, 32, 32)
    drawn = task.degrade(images, torch.Generator().manual_seed(5))
    assert float((drawn * 0.25 * 255).std()) == pytest.approx(25, rel=0.1)
    assert not torch.equal(drawn[0], drawn[1])
    same = task.degrade(images, None)
    assert torch.equal(same[0], same[1])
    assert torch.equal(same, task.degrade(images, None))


def test_images_enlarged_before_the_network_are_those_of_the_baseline() -> None:
    task = _task("vdsr", Degradation(upscale=2))
    torch.nn.init.zeros_(task.network.head.weight)  # type: ignore[arg-type]
    small = _image(20, 30, 1)
    batch = torch.from_numpy(((small / 255 - 0.4) / 0.25).astype(np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        found = (task.restore_images(batch)[0].permute(1, 2, 0).numpy() * 0.25 + 0.4) * 255
    np.testing.assert_allclose(found, enlarge(small, 2), atol=1e-2)


def test_loss_is_of_the_kind_that_is_asked_for() -> None:
    images = torch.zeros(1, 1, 16, 16)
    losses = {}
    for kind in ("l1", "mse"):
        task = _task("vdsr", Degradation(upscale=2), loss_kind=kind)
        torch.nn.init.zeros_(task.network.get_parameter("head.weight"))
        torch.nn.init.constant_(task.network.get_parameter("head.bias"), 0.5)
        losses[kind] = float(task.loss(images, torch.empty(0), None)["loss"].detach())
    assert losses == pytest.approx({"l1": 0.5, "mse": 0.25}, abs=0.01)


def test_files_are_numbered_and_no_other_is_overwritten(tmp_path: Path) -> None:
    task = _task("fsrcnn_x2", Degradation(upscale=2))
    predictor = ImagePredictor(DetailRestorer(task, RUNTIME, None), RestorePredictOptions(tmp_path))
    image = _image(12, 12, 1)
    found = list(predictor.predict(["a/x.png", "b/x.png"], [(image,), (image,)]))
    assert [Path(one.file).name for one in found] == ["x_restored.png", "x_restored-2.png"]
    Image.fromarray(image[..., 0]).save(tmp_path / "y_restored.png")
    with pytest.raises(convolve.ConvolveError, match=r"y_restored\.png"):
        list(predictor.predict(["y.png"], [(image,)]))
    assert ImageFiles(tmp_path, ("x_restored.png",)).read(0).shape == (24, 24, 1)


def test_the_center_is_explained() -> None:
    outputs = torch.zeros(2, 1, 16, 16)
    outputs[1, :, 7:9, 7:9] = 3
    assert CenterScore(2)(outputs).tolist() == [0, 3]


def test_a_metric_of_gray_and_color_images() -> None:
    gray = _image(20, 20, 1)
    color = gray.repeat(3, 2)
    assert measure(color, gray, 1)["psnr_rgb"] == measure(gray, color, 1)["psnr_y"] == psnr(gray, gray)


@pytest.mark.parametrize(
    ("options", "channels", "names"),
    [
        ({"upscale": 3}, 3, ("edsr_x3", "espcn_x3")),
        ({"upscale": 2, "noise_sigma": 10.0}, 3, ("edsr_x2",)),  # luminance alone would lose the colors
        ({"upscale": 2, "noise_sigma": 10.0}, 1, ("edsr_x2", "espcn_x2")),
        ({"noise_sigma": 25.0}, 3, ("cdncnn",)),
        ({"noise_sigma": 25.0}, 1, ("dncnn",)),
        ({"blur_sigma": 1.6}, 3, ("vdsr", "srcnn")),
    ],
)
def test_networks_to_choose_from_suit_what_is_undone(
    options: dict[str, Any], channels: int, names: tuple[str, ...]
) -> None:
    assert Restore.suitable_networks(RestoreOptions(**options), channels) == names
    for name in names:
        assert models.card(name).upscale in (1, options.get("upscale", 1))


def test_a_network_is_chosen(tmp_path: Path) -> None:
    data = _folder(tmp_path / "data")
    with pytest.raises(OptionError, match="Say what the network is to restore: --upscale 2"):
        convolve.train(str(data), task="restore", out=tmp_path / "run", progress=False)
    found = choose(
        Recipe(task="restore", data=str(data), task_options={"upscale": 2}, epochs=1, size=24),
        RuntimeOptions(threads=1),
        TimeLimit(0.5, time.monotonic()),
        silent,
    )
    assert found.recipe.network in ("edsr_x2", "espcn_x2")
    assert "of the candidates" in found.reasons["network"]
