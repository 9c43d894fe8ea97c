"""Exports of restoration give what the run gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import convolve
from convolve import models
from convolve.datasets.images import ImageArray
from convolve.errors import DataError, ExportError, OptionError
from convolve.interop.onnx import build_model, save_model
from convolve.interop.openvino import CompiledNetwork, add_steps, convert_network, save_graph
from convolve.runtime import choose
from convolve.tasks.restore import exported as exported_module
from convolve.tasks.restore.degradation import Degradation, enlarge, to_pixels
from convolve.tasks.restore.export import BicubicEnlarging, RestorationExport
from convolve.tasks.restore.task import Restore
from convolve.values import Images, Preprocessing

pytest.importorskip("openvino")
RUNTIME = choose("cpu", "fp32", 1)


def _image(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """Smooth waves with edges."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows * a + columns * b) for a, b in random.uniform(0.05, 0.4, (channels, 2))]
    return to_pixels(127 + 80 * np.stack(waves, 2) + 30 * ((rows + columns) // 9 % 2)[..., None])


def _images(*arrays: np.ndarray) -> Images:
    return ImageArray(np.stack(arrays), "image")


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("shape", [(2, 3), (9, 5)])
def test_enlarging_in_a_graph_is_that_of_arrays(factor: int, shape: tuple[int, int]) -> None:
    images = np.random.default_rng(0).random((*shape, 3), np.float32)
    found = BicubicEnlarging(factor, 3)(torch.from_numpy(images.transpose(2, 0, 1)[None]))
    assert np.allclose(found[0].numpy().transpose(1, 2, 0), enlarge(images, factor), atol=1e-5)


@pytest.mark.parametrize("kind", ["openvino", "onnx"])
@pytest.mark.parametrize(
    ("name", "degradation"),
    [
        ("espcn_x2", Degradation(upscale=2)),
        ("srcnn", Degradation(upscale=3)),
        ("edsr_x2", Degradation(upscale=2, noise_sigma=5.0)),
        ("dncnn", Degradation(noise_sigma=25.0)),
        ("vdsr", Degradation(blur_sigma=1.5)),
    ],
)
def test_an_export_restores_as_the_run(
    name: str, degradation: Degradation, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "onnx" and name != "srcnn":
        pytest.skip("the steps of ONNX are the same for all")
    monkeypatch.setattr(exported_module, "TILE", 48)  # so that there are several
    network = models.create(name, seed=1).eval()
    channels = network.card.input[0]
    task = Restore(network, degradation, (0.4,) * channels, (0.25,) * channels)
    preprocessing = Preprocessing(24, 24, channels, "tiles", task.mean, task.std)
    export = RestorationExport(task, RUNTIME)
    path = tmp_path / ("network.onnx" if kind == "onnx" else "network.xml")
    if kind == "onnx":
        save_model(build_model(export.part, preprocessing, {}), path)
    else:
        graph = add_steps(convert_network(export.part, preprocessing), export.part, preprocessing)
        save_graph(graph, path, compressed=False)
    run = CompiledNetwork(path, "fp32", threads=1)
    for shape in ((120, 66, 3), (61, 40, 1)):
        image = _image(*shape)
        expected = export.predict(_images(image), 0)
        assert export.part.apply is not None
        found = export.answer(export.part.apply(run, image))
        difference = export.compare(expected, found)
        assert (difference.answers, difference.changed) == (expected.size, 0)
        assert difference.largest <= 1.01 / 255
    other = export.compare(expected, np.where(expected > 128, expected - 2, expected + 2))
    assert other.changed == other.answers


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("restore")
    (root / "data").mkdir()
    for number in range(8):
        Image.fromarray(_image(40 + number, 52, 3, number)).save(root / "data" / f"{number}.png")
    options: dict[str, Any] = {"size": 24, "epochs": 1, "threads": 1, "progress": False}
    convolve.train(str(root / "data"), task="restore", network="espcn_x2", **options, out=root / "run")
    convolve.export(root / "run", out=root / "export", threads=1, progress=False)
    return root / "run"


def test_verbs_take_an_export(run: Path, tmp_path: Path) -> None:
    export, data = run.parent / "export", run.parent / "data"
    found = convolve.evaluate(export, str(data), threads=1, progress=False).evaluation
    own = convolve.evaluate(run, str(data), split="all", threads=1, precision="fp32", progress=False).evaluation
    assert found.metrics["psnr_y"] == pytest.approx(own.metrics["psnr_y"], abs=0.02)
    assert found.as_json()["baselines"] == own.as_json()["baselines"]
    rows = convolve.compare([run, export], threads=1, progress=False).runs
    assert [row.unit for row in rows] == ["dB", "dB"]
    with pytest.raises(OptionError, match="Give --out"):
        convolve.predict(export, (str(data),), progress=False)
    image = _image(30, 20, 3, 9)
    Image.fromarray(image).save(tmp_path / "image.png")
    Image.fromarray(image[..., 0]).save(tmp_path / "gray.png")
    Image.fromarray(image[:1]).save(tmp_path / "thin.png")
    for folder, predictor in ((tmp_path / "a", export), (tmp_path / "b", run)):
        names = (str(tmp_path / "image.png"), str(tmp_path / "gray.png"))
        predicted = convolve.predict(predictor, names, out=folder, threads=1, progress=False).predictions
        assert [one.as_json()["restored_size"] for one in predicted] == [[60, 40], [60, 40]]
    for name in ("image_restored.png", "gray_restored.png"):
        one, other = (np.asarray(Image.open(tmp_path / folder / name), np.int16) for folder in "ab")
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= 2
    (thin,) = convolve.predict(
        export, (str(tmp_path / "thin.png"), str(tmp_path / "gray.png")), out=tmp_path, threads=1, progress=False
    ).predictions[:1]
    assert "only one pixel wide or high" in thin.error


def test_the_readme_runs(run: Path, tmp_path: Path) -> None:
    export = run.parent / "export"
    code = (export / "README.md").read_text().split("```")[1].removeprefix("python\n")
    (export / "use.py").write_text(code)
    image = run.parent / "data" / "1.png"
    subprocess.run([sys.executable, "use.py", str(image)], cwd=export, capture_output=True, check=True)
    found = np.asarray(Image.open(export / "restored.png").convert("RGB"), np.int16)
    for name in ("use.py", "restored.png"):
        (export / name).unlink()
    convolve.predict(export, (str(image),), out=tmp_path, threads=1, progress=False)
    expected = np.asarray(Image.open(tmp_path / "1_restored.png"), np.int16)
    assert np.abs(found - expected).mean() < 2  # YCbCr of 8 bits is between


def test_what_an_export_cannot_do_is_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="--int8 limits a fall in points, and the metric of restore is in dB"):
        convolve.export(run, out=tmp_path / "export", int8=True, threads=1, progress=False)
    (tmp_path / "tiny").mkdir()
    Image.fromarray(_image(4, 20, 3)).save(tmp_path / "tiny" / "a.png")
    with pytest.raises(DataError, match=r"a\.png has 20x4 pixels, too few to measure"):
        convolve.evaluate(run.parent / "export", tmp_path / "tiny", threads=1, progress=False)
