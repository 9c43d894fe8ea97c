"""Exports of styles give what the run gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve import models
from convolve.datasets.images import ImageArray
from convolve.errors import RunError
from convolve.interop.onnx import build_model, save_model
from convolve.interop.openvino import CompiledNetwork, add_steps, convert_network, save_graph
from convolve.layers.design import Design
from convolve.runtime import choose
from convolve.tasks.style import export as export_module
from convolve.tasks.style import exported as exported_module
from convolve.tasks.style.export import StyleExport
from convolve.tasks.style.loss_source import LossSource
from convolve.tasks.style.task import Style
from convolve.values import Pixels, Preprocessing
from tests.tasks.style.small import style_options

pytest.importorskip("openvino")
RUNTIME = choose("cpu", "fp32", 1)


def _image(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    """Smooth waves."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows * a + columns * b) for a, b in random.uniform(0.02, 0.3, (channels, 2))]
    return (127 + 100 * np.stack(waves, 2)).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "kind"), [("johnson", "openvino"), ("johnson_instance", "openvino"), ("johnson_instance", "onnx")]
)
def test_an_export_gives_an_image_of_any_size_the_style_as_the_run(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exported_module, "TILE", 72)  # so that there are several
    monkeypatch.setattr(export_module, "COMPARED", 140)
    network = models.create(name, seed=1, design=Design(width=0.25)).eval()
    task = Style(network, LossSource("", "", "", "", 48, 1.0, 1.0), (0.4, 0.5, 0.3), (0.25, 0.3, 0.2))
    preprocessing = Preprocessing(48, 48, 3, "crop", task.mean, task.std)
    export = StyleExport(task, preprocessing, RUNTIME)
    path = tmp_path / ("network.onnx" if kind == "onnx" else "network.xml")
    if kind == "onnx":
        save_model(build_model(export.part, preprocessing, {}), path)
    else:
        graph = add_steps(convert_network(export.part, preprocessing), export.part, preprocessing)
        save_graph(graph, path, compressed=False)
    compiled = CompiledNetwork(path, "fp32", threads=1)
    assert export.part.apply is not None
    for shape, size in (((110, 150, 3), (110, 140)), ((61, 43, 1), (61, 43)), ((20, 50, 3), (20, 50))):
        image = _image(*shape)
        expected = export.predict(ImageArray(image[None], "image"), 0)
        assert expected.shape == (*size, 3)
        difference = export.compare(expected, export.answer(export.part.apply(compiled, image)))
        assert (difference.answers, difference.changed) == (expected.size, 0)
    other = export.compare(expected, np.where(expected > 128, expected - 2, expected + 2))
    assert other.changed == other.answers


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, with its export next to it."""
    root = tmp_path_factory.mktemp("style_export")
    (root / "data").mkdir()
    for number in range(8):
        Image.fromarray(_image(52 + number, 60, seed=number)).save(root / "data" / f"{number}.png")
    options: dict[str, Any] = {"size": 44, "epochs": 1, "threads": 1, "precision": "fp32", "progress": False}
    known: dict[str, Any] = {"width": 0.25, **style_options(root)}
    network = "johnson_instance"
    convolve.train(str(root / "data"), task="style", network=network, **options, **known, out=root / "run")
    convolve.export(root / "run", out=root / "export", threads=1, progress=False)
    return root / "run"


def test_verbs_take_an_export(run: Path, tmp_path: Path) -> None:
    export, data = run.parent / "export", run.parent / "data"
    card = json.loads((export / "card.json").read_text())
    assert card["parity"]["changed"] == 0
    manifest = json.loads((run / "manifest.json").read_text())
    assert card["metrics"]["test"]["metrics"] == pytest.approx(manifest["results"]["test"]["metrics"], rel=0.01)
    found = convolve.evaluate(export, str(data), threads=1, progress=False).evaluation
    own = convolve.evaluate(run, str(data), split="all", threads=1, precision="fp32", progress=False).evaluation
    assert found.metrics == pytest.approx(own.metrics, rel=0.01)
    assert found.as_json()["photographs"] == pytest.approx(own.as_json()["photographs"], rel=1e-3, abs=1e-6)
    rows = convolve.compare([run, export], threads=1, progress=False).runs
    assert [(row.metric, row.unit) for row in rows] == [("loss removed", "%")] * 2
    Image.fromarray(_image(61, 83, seed=9)).save(tmp_path / "a.png")
    Image.fromarray(_image(20, 90, seed=8)[..., 0]).save(tmp_path / "small.png")
    names = (str(tmp_path / "a.png"), str(tmp_path / "small.png"))
    for folder, predictor in ((tmp_path / "x", export), (tmp_path / "y", run)):
        predicted = convolve.predict(predictor, names, out=folder, threads=1, precision="fp32", progress=False)
        assert [one.as_json()["size"] for one in predicted.predictions] == [[61, 83], [20, 90]]
    for name in ("a_stylized.png", "small_stylized.png"):
        one, other = (np.asarray(Image.open(tmp_path / folder / name), np.int16) for folder in "xy")
        assert one.shape == other.shape
        assert np.abs(one - other).max() <= 1


def test_predicting_with_an_export_needs_no_torch_and_no_loss(run: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import convolve; "
        f"convolve.predict({str(run.parent / 'export')!r}, ({str(run.parent / 'data' / '0.png')!r},), "
        f"out={str(tmp_path / 'out')!r}, threads=1, progress=False)"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert (tmp_path / "out" / "0_stylized.png").is_file()


def test_the_readme_runs(run: Path, tmp_path: Path) -> None:
    export = run.parent / "export"
    code = (export / "README.md").read_text().split("```")[1].removeprefix("python\n")
    (tmp_path / "use.py").write_text(code)
    for name in ("network.xml", "network.bin"):
        (tmp_path / name).write_bytes((export / name).read_bytes())
    image = run.parent / "data" / "1.png"
    subprocess.run([sys.executable, "-I", "use.py", str(image)], cwd=tmp_path, capture_output=True, check=True)
    found = np.asarray(Image.open(tmp_path / "stylized.png"), np.int16)
    convolve.predict(export, (str(image),), out=tmp_path / "out", threads=1, progress=False)
    assert np.abs(found - np.asarray(Image.open(tmp_path / "out" / "1_stylized.png"), np.int16)).max() <= 1


def test_a_program_of_pytorch_is_written(run: Path, tmp_path: Path) -> None:
    card = convolve.export(run, out=tmp_path / "program", to="torch", threads=1, progress=False).card
    assert card.main == "network.pt2"
    assert "classes" not in (tmp_path / "program" / "README.md").read_text()


def test_what_an_export_cannot_do_is_said(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported_module, "MOST_PIXELS", 53 * 60)
    export, data = run.parent / "export", run.parent / "data"
    names = tuple(str(data / f"{number}.png") for number in (1, 2))
    small, large = convolve.predict(export, names, out=tmp_path / "out", threads=1, progress=False).predictions
    assert small.error == ""
    assert "2.png has 60x54 pixels, and the network takes an image whole, of at most 3,180" in large.error
    painting = run.parent / "painting.png"
    content = painting.read_bytes()
    painting.unlink()
    try:
        with pytest.raises(RunError, match=r"The style image .*painting\.png is gone or has changed"):
            convolve.evaluate(export, str(data), threads=1, progress=False)
    finally:
        painting.write_bytes(content)
