"""An export's network as OpenVINO runs it: one image, many, and what cannot be run."""

from __future__ import annotations

import dataclasses
import importlib.util
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convolve import processor
from convolve.errors import ExportError, OptionError
from convolve.exports.card import read_card, write_card
from convolve.exports.engine import Engine, EngineOptions, choose_precision
from convolve.exports.images import FoundInImage, ReadImage, run_images

pytestmark = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
if importlib.util.find_spec("openvino"):
    from tests.exports.small_exports import classifier, detector, plain, probabilities, segmentation


def engine(folder: Path, options: EngineOptions | None = None, work: Any = "one") -> Engine:
    return Engine(folder, read_card(folder), options or EngineOptions(threads=1), work)


def read(*colors: tuple[tuple[int, int, int], int, int]) -> list[tuple[int, ReadImage]]:
    return [
        (index, ReadImage(plain(color, height, width), (height, width)))
        for index, (color, height, width) in enumerate(colors)
    ]


def watched_batches(own: Engine, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of all batches that the engine is given from now on."""
    infer_all, shapes = own.infer_all, []

    def watch(batches: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        for item, images in batches:
            shapes.append(images.shape)
            yield item, images

    monkeypatch.setattr(own, "infer_all", lambda batches: infer_all(watch(batches)))
    return shapes


def test_images_of_one_size_go_through_the_network_together(tmp_path: Path) -> None:
    colors = [(200, 10, 0), (0, 255, 3), (9, 9, 90)]
    found = engine(classifier(tmp_path / "export")).infer(np.stack([plain(color) for color in colors]))
    assert list(found) == ["probabilities"]
    assert found["probabilities"] == pytest.approx(np.stack([probabilities(color) for color in colors]), abs=1e-5)


def test_many_batches_come_back_in_order_with_what_came_with_them(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    colors = [(number * 2, 255 - number * 2, 40) for number in range(100)]
    batches = ((number, plain(color)[None]) for number, color in enumerate(colors))
    found = list(engine(folder, EngineOptions(), "many").infer_all(batches))
    assert [item for item, _ in found] == list(range(100))
    for (_, outputs), color in zip(found, colors, strict=True):
        assert outputs["probabilities"][0] == pytest.approx(probabilities(color), abs=1e-5)


def test_images_of_several_sizes_are_grouped_and_stay_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = engine(classifier(tmp_path / "export"))
    sizes = watched_batches(own, monkeypatch)
    images = read(*[((200, 0, 0), 8, 8)] * 18, ((0, 200, 0), 9, 8), ((0, 0, 200), 8, 8))
    found = list(run_images(own, images))
    assert [one.index for one in found] == list(range(20))
    assert [one.outputs["probabilities"].argmax() for one in found] == [0] * 18 + [1, 2]
    assert sizes == [(16, 8, 8, 3), (2, 8, 8, 3), (1, 9, 8, 3), (1, 8, 8, 3)]


def test_large_images_go_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convolve.exports.images._PIXELS_AT_ONCE", 200)
    own = engine(classifier(tmp_path / "export"))
    sizes = watched_batches(own, monkeypatch)
    assert len(list(run_images(own, read(*[((200, 0, 0), 10, 9)] * 3, ((9, 9, 9), 20, 20))))) == 4
    assert [size[0] for size in sizes] == [2, 1, 1]


def test_a_network_for_one_image_gets_one_at_a_time(tmp_path: Path) -> None:
    own = engine(classifier(tmp_path / "export", batch=1))
    assert own.most == 1
    found = list(run_images(own, read(*[((200, 0, 0), 8, 8)] * 3)))
    assert [one.outputs["probabilities"].argmax() for one in found] == [0, 0, 0]
    assert own.seconds((8, 8, 3), 4) > 0


def test_rows_of_a_batch_are_split_by_their_image(tmp_path: Path) -> None:
    own = engine(detector(tmp_path / "export"))
    found = list(run_images(own, read(((255, 51, 0), 10, 8), ((51, 255, 0), 10, 8))))
    assert [sorted(one.outputs) for one in found] == [["boxes", "classes", "scores"]] * 2
    assert found[0].outputs["boxes"].tolist() == [[0, 0, 4, 10], [4, 0, 8, 10]]
    assert found[1].outputs["boxes"].tolist() == [[4, 0, 8, 10], [0, 0, 4, 10]]
    assert found[1].outputs["classes"].tolist() == [1, 0]
    assert found[1].outputs["scores"] == pytest.approx([1, 0.2])


def test_results_are_not_overwritten_by_the_next_image(tmp_path: Path) -> None:
    found: list[FoundInImage] = list(
        run_images(engine(segmentation(tmp_path / "export")), read(*[((200, 0, 0), 8, 8), ((0, 200, 0), 9, 9)] * 4))
    )
    assert [int(one.outputs["classes"].mean()) for one in found] == [0, 1] * 4
    assert found[1].outputs["classes"].dtype == np.uint8


@pytest.mark.parametrize(
    ("stored", "fast", "requested", "chosen"),
    [
        ("fp32", True, None, "fp32"),
        ("bf16", True, None, "bf16"),
        ("bf16", False, None, "fp32"),
        ("int8", True, None, "bf16"),
        ("fp32", False, "bf16", "bf16"),
        ("bf16", True, "fp32", "fp32"),
    ],
)
def test_the_number_format_is_that_of_the_export_where_the_processor_is_fast_in_it(
    stored: Any, fast: bool, requested: Any, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "fast_bfloat16", lambda: (fast, ""))
    folder = classifier(tmp_path / "export", precision=stored)
    assert choose_precision(read_card(folder), requested) == chosen
    assert engine(folder, EngineOptions(precision=requested)).precision == chosen


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"precision": "fp16"}, "precision cannot be 'fp16'; it must be fp32 or bf16."),
        ({"threads": 0}, "threads cannot be 0; give a number from 1 to"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        EngineOptions(**options)


def test_a_damaged_network_is_refused(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    content = (folder / "network.bin").read_bytes()
    (folder / "network.bin").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ExportError, match=r"network\.bin is damaged: its content does not match its digest"):
        engine(folder)


@pytest.mark.parametrize("content", [b"", b"<net/>", b"<net", b"\x00" * 100])
def test_what_is_no_network_is_refused_though_its_digest_is_right(content: bytes, tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    card = read_card(folder)
    (folder / "network.xml").write_bytes(content)
    write_card(folder, card)
    with pytest.raises(ExportError, match=r"network\.xml is damaged \(.+\); export the run again") as caught:
        engine(folder)
    assert "\n" not in str(caught.value)


def test_a_network_of_other_inputs_is_refused(tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    card = read_card(folder)
    text = (folder / "network.xml").read_text()
    (folder / "network.xml").write_text(text.replace('names="images"', 'names="pixels"'))
    write_card(folder, card)
    with pytest.raises(ExportError, match="does not take images alone"):
        engine(folder)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"engine": "torch"}, "holds weights for PyTorch, which only PyTorch runs; export with --to openvino"),
        ({"main": "../export/network.xml"}, "is damaged: its network is at"),
    ],
)
def test_a_card_of_another_network_is_refused(change: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    folder = classifier(tmp_path / "export")
    with pytest.raises(ExportError, match=sentence):
        Engine(folder, dataclasses.replace(read_card(folder), **change), EngineOptions())


def test_an_image_that_the_graph_cannot_take_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot be run on an image of 8x9 pixels"):
        engine(classifier(tmp_path / "export")).infer(np.zeros((1, 9, 8, 1), np.uint8))


SCRIPT = """
import socket, subprocess, sys
def refuse(*_): raise AssertionError("connected")
socket.socket.connect = socket.create_connection = refuse
from pathlib import Path
from convolve.exports.card import read_card
from convolve.exports.engine import Engine, EngineOptions
folder = Path(sys.argv[1])
Engine(folder, read_card(folder), EngineOptions())
print([name for name in sys.modules if name.startswith("openvino_telemetry.") or name == "torch"])
print(sys.modules["openvino_telemetry"], "openvino.tools.ovc" in sys.modules)
from openvino.tools.ovc import convert_model
print([name for name in sys.modules if name.startswith("openvino_telemetry.")])
"""


def test_openvino_reports_to_nobody_and_its_converter_can_still_be_had(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(classifier(tmp_path / "export"))]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed.splitlines() == ["[]", "None False", "[]"]


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = classifier(tmp_path / "export")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ExportError, match=r"openvino is not installed; run `pip install 'convolve\[export\]'`"):
        engine(folder)
