"""`convolve export`: what is written, what opens the gates, and what is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import convolve
from convolve.errors import ExportError, OptionError
from convolve.exports.card import CARD, check_file, read_card
from convolve.interop.openvino import CompiledNetwork
from convolve.interop.torch_files import find_twin, save_weights, twin_difference
from convolve.models import create
from convolve.tasks.classify.export import ClassExport
from convolve.values import Preprocessing
from convolve.verbs.export import Exported

pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def exported(shapes_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(shapes_run, tmp_path_factory.mktemp("exports") / "shapes").folder


def export(run: Path, out: Path, **options: Any) -> Exported:
    found = convolve.export(str(run), out=str(out), threads=1, progress=False, **options)
    assert isinstance(found, Exported)
    return found


def test_the_folder_says_what_it_is(exported: Path, shapes_run: Path) -> None:
    card = read_card(exported)
    assert {path.name for path in exported.iterdir()} == {"network.xml", "network.bin", CARD, "README.md"}
    for name in card.files:
        check_file(exported, card, name)
    assert (card.task, card.engine, card.precision, card.main) == ("classify", "openvino", "fp32", "network.xml")
    assert card.classes == ("a b", "ünï", "꽃")
    assert card.parity["changed"] == 0
    assert 0 < card.parity["images"] <= 64
    assert card.parity["largest_difference"] < 0.02
    assert [speed["batch"] for speed in card.speed["batches"]] == [1, 16]
    measured = card.metrics["validation"]
    lower, upper = measured["intervals"]["accuracy"]
    assert lower <= measured["metrics"]["accuracy"] <= upper
    evaluated = convolve.evaluate(str(shapes_run), split="validation", progress=False)
    assert measured["metrics"]["accuracy"] == evaluated.evaluation.metrics["accuracy"]
    tested = convolve.evaluate(str(shapes_run), split="test", progress=False)
    assert card.metrics["test"]["metrics"]["accuracy"] == tested.evaluation.metrics["accuracy"]
    assert card.source["run"] == shapes_run.name


def test_the_code_of_the_readme_gives_the_runs_answer(exported: Path, shapes: Path, shapes_run: Path) -> None:
    code = re.search(r"```python\n(.*?)```", (exported / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code
    assert len(code[1].splitlines()) <= 15
    photo = shapes / "꽃" / "3.png"
    ran = subprocess.run(
        [sys.executable, "-c", code[1], str(photo)], cwd=exported, check=True, capture_output=True, encoding="utf-8"
    )
    predicted: Any = convolve.predict(str(shapes_run), [str(photo)], progress=False).predictions[0]
    lines = ran.stdout.splitlines()
    assert lines[0].rpartition(" ")[0] == predicted.label
    assert float(lines[0].rpartition(" ")[2].rstrip("%")) == pytest.approx(100 * predicted.confidence, abs=1)


def test_nothing_of_convolve_or_torch_is_needed_or_reached(exported: Path, shapes: Path) -> None:
    code = re.search(r"```python\n(.*?)```", (exported / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code
    script = code[1] + "\nassert not {'torch', 'convolve'} & set(sys.modules)\n"
    subprocess.run([sys.executable, "-c", script, str(shapes / "a b" / "0.png")], cwd=exported, check=True)


def test_exporting_opens_no_connection(shapes_run: Path, tmp_path: Path) -> None:
    script = (
        "import socket, sys\n"
        "def refused(*arguments, **options): raise SystemExit('a socket was opened')\n"
        "socket.socket.connect = socket.socket.sendto = refused\n"
        "import convolve\n"
        f"convolve.export({str(shapes_run)!r}, out={str(tmp_path / 'out')!r}, threads=1, int8=True, progress=False)\n"
        "assert sys.modules.get('openvino_telemetry') is None\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    card = read_card(tmp_path / "out")
    assert card.quantization["images"] > 0
    assert card.quantization["kept"] == (card.precision == "int8")
    assert not list((tmp_path / "out").glob("int8_*"))


def test_answers_that_differ_write_nothing(shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ClassExport.answer

    def rolled(self: ClassExport, found: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        return np.roll(own(self, found), 1)

    monkeypatch.setattr(ClassExport, "answer", rolled)
    with pytest.raises(ExportError, match=r"answers of the export .* are not the run's, .* nothing was written"):
        export(shapes_run, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert export(shapes_run, tmp_path / "out", tolerance=1.0).card.parity["changed"] > 0


def test_an_export_is_replaced_and_nothing_else(exported: Path, shapes: Path, shapes_run: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="notes exists, and is no export"):
        export(shapes_run, tmp_path / "notes")
    assert (tmp_path / "notes" / "mine.txt").read_text() == "mine"
    out = tmp_path / "out"
    out.mkdir()
    (out / CARD).write_bytes((exported / CARD).read_bytes())
    (out / "network.onnx").write_bytes(b"old")
    (out / "mine.csv").write_text("mine")
    with pytest.raises(ExportError, match=r"out.mine\.csv is no part of an export and would be lost; move it"):
        export(shapes_run, out)
    assert (out / "mine.csv").read_text() == "mine"
    assert (out / "network.onnx").exists()
    (out / "mine.csv").unlink()
    export(shapes_run, out)
    assert not (out / "network.onnx").exists()
    convolve.evaluate(out, str(shapes), progress=False)
    export(shapes_run, out)
    assert not (out / "evaluation.html").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_onnx_has_names_and_the_same_answers(exported: Path, shapes: Path, shapes_run: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    card = export(shapes_run, tmp_path / "out", to="onnx").card
    assert (card.engine, card.main, card.precision) == ("onnx", "network.onnx", "fp32")
    model = onnx.load(tmp_path / "out" / "network.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert "꽃" in properties["classes"]
    image = np.array(Image.open(shapes / "꽃" / "1.png"))[None]
    one = CompiledNetwork(tmp_path / "out" / "network.onnx", "fp32", 1)(image)
    other = CompiledNetwork(exported / "network.xml", "fp32", 1)(image)
    np.testing.assert_allclose(one["probabilities"], other["probabilities"], atol=1e-4)


def test_a_network_without_a_twin_becomes_a_program(shapes_run: Path, tmp_path: Path) -> None:
    card = export(shapes_run, tmp_path / "out", to="torch").card
    assert (card.engine, card.main) == ("torch", "network.pt2")
    program = torch.export.load(tmp_path / "out" / "network.pt2").module()
    found = program(torch.zeros(3, card.input.channels, card.input.height, card.input.width))
    assert found.shape == (3, 3)
    assert found.sum(1).tolist() == pytest.approx([1, 1, 1], abs=1e-4)


def test_a_twin_has_the_librarys_names(tmp_path: Path) -> None:
    network = create("resnet18", 7, 3, (64, 64), seed=0).eval()
    twin = find_twin(network)
    assert twin
    assert (twin.library, twin.name) == ("torchvision", "resnet18")
    save_weights(twin, tmp_path / "weights.safetensors")
    assert "layer1.0.conv1.weight" in twin.state
    preprocessing = Preprocessing(64, 64, 3, "crop", (0.5,) * 3, (0.5,) * 3)
    difference = twin_difference(twin, network, preprocessing)
    assert difference is not None
    assert difference < 1e-4
    assert find_twin(create("lenet5_keras", 3, 3, (32, 32))) is None


@pytest.mark.parametrize("name", ["timm/resnet18", "torchvision/resnet18"])
def test_the_library_loads_the_weights_of_its_own_network(name: str, tmp_path: Path) -> None:
    library, _, other = name.partition("/")
    builder: Any = pytest.importorskip(library)
    network = create(name, 5, 3, (64, 64), seed=0).eval()
    twin = find_twin(network)
    assert twin
    save_weights(twin, tmp_path / "weights.safetensors")
    found = (builder.create_model if library == "timm" else builder.models.get_model)(other, num_classes=5).eval()
    found.load_state_dict(load_file(tmp_path / "weights.safetensors"), strict=True)
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(found(images), network(images), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tolerance": 2.0}, r"tolerance cannot be 2\.0; it must be a number from 0 to 1\."),
        ({"max_drop": -1.0}, r"max_drop cannot be -1\.0"),
        ({"int8": True, "to": "onnx"}, "--int8 needs --to openvino; omit it for onnx"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    options: dict[str, Any], sentence: str, shapes_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match=sentence):
        export(shapes_run, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
