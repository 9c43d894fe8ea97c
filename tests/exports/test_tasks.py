"""What an exported network of each task answers is what the task's own prediction does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from convolve.choices import Fit
from convolve.datasets.images import ImageArray
from convolve.errors import ExportError
from convolve.interop.onnx import build_model, save_model
from convolve.interop.openvino import CompiledNetwork, add_steps, convert_network, save_graph
from convolve.models import Network, create
from convolve.runtime import choose
from convolve.tasks.classify.confidence import Confidence
from convolve.tasks.classify.task import Classify
from convolve.tasks.detect.suppression import SuppressionRule
from convolve.tasks.detect.task import Detect
from convolve.tasks.segment.task import Segment
from convolve.tasks.task import Task, TaskExport
from convolve.values import Preprocessing
from tests.exports.test_steps import MEAN, STD, smooth
from tests.tasks.mean_color import MeanColor

pytest.importorskip("openvino")
RUNTIME = choose("cpu", "fp32", threads=1)
SIZES = ((40, 32), (90, 61), (33, 120))
AS_THEY_ARE = ((64, 64), (40, 64), (64, 31))
"""Sizes that a letterbox of 64x64 only pads: chance decides what is left of thousands of boxes by chance, unless the
pixels are the same.
"""


def network(name: str, classes: int, size: tuple[int, int], scale: float = 1.0) -> Network:
    """Random weights that give scores which are apart."""
    found: Network = create(name, classes, 3, size, seed=2).eval()
    generator = torch.Generator().manual_seed(4)
    for module in found.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            with torch.no_grad():
                fan = module.weight[0].numel()
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator) * scale * (2 / fan) ** 0.5)
    return found


def detector(classes: int) -> Network:
    """With boxes of all scores."""
    found = network("yolo_compact", classes, (64, 64), scale=0.9)
    nn.init.normal_(found.head.layers.scores.weight, std=0.2, generator=torch.Generator().manual_seed(5))  # type: ignore[union-attr, arg-type]
    nn.init.constant_(found.head.layers.scores.bias, -1.0)  # type: ignore[union-attr, arg-type]
    return found


def compiled(exported: TaskExport, preprocessing: Preprocessing, folder: Path, kind: str) -> CompiledNetwork:
    if kind == "onnx":
        save_model(build_model(exported.part, preprocessing, {}), folder / "network.onnx")
        return CompiledNetwork(folder / "network.onnx", "fp32", 1)
    graph = add_steps(convert_network(exported.part, preprocessing), exported.part, preprocessing)
    save_graph(graph, folder / "network.xml", compressed=False)
    return CompiledNetwork(folder / "network.xml", "fp32", 1)


def compare(
    task: Task, preprocessing: Preprocessing, folder: Path, sizes: Sequence[tuple[int, int]] = SIZES
) -> list[Any]:
    exported = task.exported(preprocessing, RUNTIME)
    graph, random = compiled(exported, preprocessing, folder, "openvino"), np.random.default_rng(0)
    found = []
    for height, width in sizes:
        images = ImageArray(smooth(random, height, width)[None], "x")
        run, export = exported.predict(images, 0), exported.answer(graph(images.array))
        found.append(exported.compare(run, export))
    return found


@pytest.mark.parametrize("multi_label", [False, True])
def test_probabilities_have_the_temperature(multi_label: bool, tmp_path: Path) -> None:
    names = ("a", "b", "c")
    task = Classify(network("lenet5_keras", 3, (32, 32)), names, multi_label, confidence=Confidence(2.5))
    preprocessing = Preprocessing(32, 32, 3, "crop", MEAN, STD)
    for difference in compare(task, preprocessing, tmp_path):
        assert difference.answers == (3 if multi_label else 1)
        assert difference.changed == 0
        assert difference.largest < 0.02
    hotter = Classify(task.network, names, multi_label, confidence=Confidence(0.5)).exported(preprocessing, RUNTIME)
    export = task.exported(preprocessing, RUNTIME)
    images = ImageArray(smooth(np.random.default_rng(0), 40, 32)[None], "x")
    found = hotter.answer(compiled(hotter, preprocessing, tmp_path, "openvino")(images.array))
    assert np.abs(export.predict(images, 0) - found).max() > 0.02


@pytest.mark.parametrize("name", ["lenet1", "lenet5"])
def test_lecuns_networks_have_a_form(name: str, tmp_path: Path) -> None:
    task = Classify(network(name, 3, (32, 32)), ("a", "b", "c"))
    for difference in compare(task, Preprocessing(32, 32, 3, "stretch", MEAN, STD), tmp_path):
        assert difference.changed == 0
        assert difference.largest < 0.02


@pytest.mark.parametrize("fit", ["crop", "letterbox", "tiles"])
def test_masks_have_the_images_size(fit: Fit, tmp_path: Path) -> None:
    names = ("a", "b", "c", "d")
    task = Segment(network("fcn1s_resnet20_cifar", 4, (32, 32)), names, ((0, 0, 0),) * 4)
    head: Any = task.network.head
    for scores in head.scores.values():  # which begin at zero
        nn.init.normal_(scores.weight, std=0.5, generator=torch.Generator().manual_seed(1))
    found = compare(task, Preprocessing(32, 40, 3, fit, MEAN, STD), tmp_path)
    assert [each.answers for each in found] == [height * width for height, width in SIZES]
    least = {"crop": 0.01, "letterbox": 0.05, "tiles": 0.002}[fit]  # letterbox: half a pixel along the edges
    assert sum(each.changed for each in found) < least * sum(each.answers for each in found)


@pytest.mark.parametrize("kind", ["per-class", "agnostic"])
def test_boxes_are_suppressed_by_the_runs_rule(kind: Any, tmp_path: Path) -> None:
    task = Detect(detector(3), ("a", "b", "c"), SuppressionRule(kind, 0.3), threshold=0.2)
    preprocessing = Preprocessing(64, 64, 3, "letterbox", MEAN, STD)
    found = compare(task, preprocessing, tmp_path, AS_THEY_ARE)
    answers = sum(each.answers for each in found)
    assert answers > 20
    assert sum(each.changed for each in found) <= 0.01 * answers


def test_each_image_of_a_batch_has_its_boxes(tmp_path: Path) -> None:
    task = Detect(detector(2), ("a", "b"), threshold=0.2)
    preprocessing = Preprocessing(64, 64, 3, "stretch", MEAN, STD)
    graph = compiled(task.exported(preprocessing, RUNTIME), preprocessing, tmp_path, "openvino")
    images = np.stack([smooth(np.random.default_rng(seed), 50, 70) for seed in range(3)])
    together = graph(images)
    assert together["image"].dtype == np.int64
    assert (np.diff(together["image"]) >= 0).all()
    for index, image in enumerate(images):
        alone, own = graph(image[None]), together["image"] == index
        np.testing.assert_allclose(together["boxes"][own], alone["boxes"], atol=1e-3)
        np.testing.assert_array_equal(together["classes"][own], alone["classes"])
        assert (np.diff(alone["scores"]) <= 0).all()
        assert alone["boxes"].min() >= 0
        assert alone["boxes"][:, [0, 2]].max() <= 70
        assert alone["boxes"][:, [1, 3]].max() <= 50


def test_onnx_gives_the_same_in_another_engine(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    task = Detect(detector(2), ("a", "b"), threshold=0.2)
    preprocessing = Preprocessing(64, 64, 3, "letterbox", MEAN, STD)
    graph = compiled(task.exported(preprocessing, RUNTIME), preprocessing, tmp_path, "onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "network.onnx"))
    images = np.stack([smooth(np.random.default_rng(seed), 50, 70) for seed in range(2)])
    names = [output.name for output in session.get_outputs()]
    assert names == ["boxes", "scores", "classes", "image"]
    found, other = dict(zip(names, session.run(names, {"images": images}), strict=True)), graph(images)
    for name in names:
        np.testing.assert_allclose(found[name], other[name], atol=2e-3)
    model = onnx.load(tmp_path / "network.onnx")
    assert len(model.graph.value_info) > len(model.graph.node) / 2  # shapes for whoever looks at it


def test_soft_suppression_is_refused() -> None:
    task = Detect(network("yolo_compact", 2, (64, 64)), ("a", "b"), SuppressionRule("soft"))
    with pytest.raises(ExportError, match="Soft non-maximum suppression has no operation"):
        task.exported(Preprocessing(64, 64, 3, "letterbox", MEAN, STD), RUNTIME)


def test_a_task_from_outside_says_that_it_cannot_be_exported() -> None:
    task = MeanColor(network("lenet5_keras", 3, (32, 32)))
    with pytest.raises(ExportError, match=r"A run of the task 'mean-color' cannot be exported; add `exported`"):
        task.exported(Preprocessing(32, 32, 3, "crop", MEAN, STD), RUNTIME)
