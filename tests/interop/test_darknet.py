"""Networks from Darknet's files against the numbers of the original program, layer by layer."""

from __future__ import annotations

import hashlib
import json
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_convert, nms

from convolve.errors import WeightsError
from convolve.interop.weights import read_weights
from convolve.models import Network, create
from convolve.setup.starting_weights import find_starting_weights
from tests.interop.darknet_numbers import HERE, SHARED, box_head, outputs_by_layer, with_weights

CLOSE = 1e-4
FORWARD = HERE / "forward"
MANIFEST = {
    f"{case['net']}__{case['image'][:-4]}": case for case in json.loads((FORWARD / "manifest.json").read_text())
}
COMPLETE = SHARED / "detection" / "darknet_forward"
FULL = SHARED / "detection" / "darknet_full"
FASTEST = SHARED / "weights" / "yolo_fastest"
CASES = [
    pytest.param(folder, case, marks=pytest.mark.skipif(not folder.is_dir(), reason="the complete numbers are absent"))
    for folder in (FORWARD, COMPLETE)
    for case in MANIFEST
]


def _case(folder: Path, name: str) -> tuple[Network, Any]:
    path = folder / name.partition("__")[0]
    network = with_weights(path.with_suffix(".cfg"), path.with_suffix(".weights"))
    return network, np.load(folder / f"{name}.npz")


@torch.no_grad()
@pytest.mark.parametrize(("folder", "case"), CASES)
def test_every_layer_gives_the_numbers_of_the_program(folder: Path, case: str) -> None:
    network, numbers = _case(folder, case)
    names = [name for name in numbers if name.startswith("layer")]
    assert len(names) >= (2 if case in ("v2_small__coffee", "v3_small__coffee") else 9)
    with outputs_by_layer(network) as outputs:
        scores = network(torch.from_numpy(numbers["input"])[None])
    for name in names:
        index, kind = int(name[5:7]), name[8:]
        if kind == "softmax":
            found = scores.softmax(1)
        elif kind in ("region", "yolo", "detection"):
            found = _activated(kind, outputs[index - 1])
        else:
            found = outputs[index]
        expected = torch.from_numpy(numbers[name]).reshape(found.shape)
        torch.testing.assert_close(found, expected, rtol=0, atol=CLOSE, msg=partial("{0}: {1}".format, name))


def _activated(kind: str, maps: Tensor) -> Tensor:
    if kind == "detection":
        return maps
    boxes = torch.unflatten(maps, 1, ({"region": 5, "yolo": 3}[kind], -1)).clone()
    boxes[:, :, :2], boxes[:, :, 4] = boxes[:, :, :2].sigmoid(), boxes[:, :, 4].sigmoid()
    boxes[:, :, 5:] = boxes[:, :, 5:].softmax(2) if kind == "region" else boxes[:, :, 5:].sigmoid()
    return torch.flatten(boxes, 1, 2)


@torch.no_grad()
@pytest.mark.parametrize("case", [name for name in MANIFEST if MANIFEST[name]["boxes_raw"]])
def test_boxes_before_and_after_suppression_are_those_of_the_program(case: str) -> None:
    network, numbers = _case(FORWARD, case)
    images = torch.from_numpy(numbers["input"])[None]
    outputs = network(images)
    candidates = box_head(network).decode(outputs, (images.shape[2], images.shape[3]))
    boxes, scores = (_in_its_order(outputs, values) for values in candidates)
    boxes = _in_image(boxes, numbers["image_wh"], (images.shape[2], images.shape[3]), case)
    threshold = MANIFEST[case]["thresh"]
    shown = _in_its_order(outputs, _objectness(outputs)) > threshold
    assert int(shown.sum()) == MANIFEST[case]["boxes_raw"]
    scores = scores * (scores > threshold)
    torch.testing.assert_close(boxes[shown], torch.from_numpy(numbers["det_raw_boxes"]), rtol=1e-5, atol=CLOSE)
    torch.testing.assert_close(scores[shown], torch.from_numpy(numbers["det_raw_prob"]), rtol=0, atol=CLOSE)
    for label in range(scores.shape[1]):
        remaining = nms(box_convert(boxes, "cxcywh", "xyxy"), scores[:, label], MANIFEST[case]["nms"])
        found = scores[remaining, label]
        expected = torch.from_numpy(numbers["det_nms_prob"])[:, label]
        torch.testing.assert_close(
            found[found > 0], expected[expected > 0].sort(descending=True).values, rtol=0, atol=CLOSE
        )
        for box, score in zip(numbers["det_nms_boxes"], expected, strict=True):
            if score > 0:
                apart = (boxes[remaining] - torch.from_numpy(box)).abs().amax(1) + (found - score).abs()
                assert float(apart.min()) < CLOSE * max(1.0, float(np.abs(box).max()) / 10)


def _in_its_order(outputs: tuple[Tensor, ...], values: Tensor) -> Tensor:
    """What is given of each box (1, B, ...), cell by cell, as the program gives out those of YOLO v3, and not anchor by
    anchor.
    """
    if len(outputs) == 1:
        return values[0]
    parts = torch.split(values[0], [3 * output.shape[2] * output.shape[3] for output in outputs])
    return torch.cat([torch.unflatten(part, 0, (3, -1)).transpose(0, 1).flatten(0, 1) for part in parts])


def _objectness(outputs: tuple[Tensor, ...]) -> Tensor:
    if outputs[0].ndim == 2:
        return torch.ones(1, 32)  # of which the program gives out all
    anchors = 3 if len(outputs) > 1 else 5
    return torch.cat([torch.unflatten(output, 1, (anchors, -1))[:, :, 4].sigmoid().flatten(1) for output in outputs], 1)


def _in_image(boxes: Tensor, image: Any, size: tuple[int, int], case: str) -> Tensor:
    """Centers and sides as the program gives them out: as parts of the image, without the border of the letterbox."""
    boxes, (wide, high) = box_convert(boxes, "xyxy", "cxcywh"), (int(image[0]), int(image[1]))
    height, width = size
    if not MANIFEST[case]["letterbox"]:
        return boxes / torch.tensor([width, height] * 2) * torch.tensor([wide, high] * 2)
    narrow = width / wide < height / high
    inner = (width, high * width // wide) if narrow else (wide * height // high, height)
    start = torch.tensor([(width - inner[0]) / 2, (height - inner[1]) / 2, 0, 0])
    return (boxes - start) / torch.tensor([*inner, *inner])


def _by_rule(network: Network, seed: int) -> bytes:
    """A `.weights` file with the numbers that `darknet_full` was made with."""
    random, parts = np.random.RandomState(seed), [struct.pack("<3iQ", 0, 2, 0, 32013312)]
    modules = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.BatchNorm2d)]
    for layer, after in zip(modules, [*modules[1:], None], strict=True):
        if isinstance(layer, torch.nn.BatchNorm2d):
            continue
        filters, channels, size, _ = layer.weight.shape
        drawn = [0.1 * random.standard_normal(filters)]
        if isinstance(after, torch.nn.BatchNorm2d):
            drawn += [1 + 0.1 * random.standard_normal(filters), 0.1 * random.standard_normal(filters)]
            drawn += [1 + 0.5 * random.random_sample(filters)]
        scale = np.sqrt(2 / (size * size * channels)) * (1 if len(drawn) > 1 else 0.5)
        drawn += [scale * random.standard_normal(layer.weight.numel())]
        parts += [np.asarray(values, "<f4").tobytes() for values in drawn]
    return b"".join(parts)


@torch.no_grad()
@pytest.mark.skipif(not FULL.is_dir(), reason="the numbers of full networks are absent")
@pytest.mark.parametrize("index", [0, 1])
def test_a_full_network_gives_the_numbers_of_the_program(index: int, tmp_path: Path) -> None:
    about = json.loads((FULL / "manifest.json").read_text())[index]
    cfg, numbers = FULL / f"{about['net']}.cfg", np.load(FULL / f"{about['net']}.npz")
    content = _by_rule(create(str(cfg)), about["seed"])
    assert hashlib.sha256(content).hexdigest() == about["weights_sha256"]
    (tmp_path / "full.weights").write_bytes(content)
    network = with_weights(cfg, tmp_path / "full.weights")
    image = torch.from_numpy(_letterboxed(FULL.parent / "darknet_forward" / about["image"], 416))
    outputs = network(image[None])
    for output, name in zip(outputs, sorted(name for name in numbers if "convolutional" in name), strict=True):
        torch.testing.assert_close(output[0], torch.from_numpy(numbers[name]), rtol=0, atol=CLOSE)


def _letterboxed(path: Path, side: int) -> Any:
    """As the program does it: bilinear with corners aligned, first across and then down, on gray."""
    pixels = np.asarray(Image.open(path).convert("RGB"), np.float32).transpose(2, 0, 1) / 255
    _, high, wide = pixels.shape
    inner = (side, high * side // wide) if side / wide < side / high else (wide * side // high, side)
    scaled = F.interpolate(torch.from_numpy(pixels)[None], inner[::-1], mode="bilinear", align_corners=True)[0]
    canvas = np.full((3, side, side), 0.5, np.float32)
    top, left = (side - inner[1]) // 2, (side - inner[0]) // 2
    canvas[:, top : top + inner[1], left : left + inner[0]] = scaled
    return canvas


@torch.no_grad()
@pytest.mark.skipif(not FASTEST.is_dir(), reason="the published weights are absent")
def test_published_weights_find_what_they_are_known_to_find() -> None:
    network = with_weights(FASTEST / "yolo-fastest-1.1-xl.cfg", FASTEST / "yolo-fastest-1.1-xl.weights")
    photograph = np.asarray(Image.open(SHARED / "data" / "photos" / "dog.jpg").convert("RGB"), np.float32) / 255
    image = F.interpolate(torch.from_numpy(photograph).permute(2, 0, 1)[None], (320, 320), mode="bilinear")  # stretched
    found = box_head(network).decode(network(image), (320, 320))
    best = {}
    for label in range(80):
        scores = found.scores[0, :, label]
        confident = scores > 0.5
        best[label] = scores[confident][nms(found.boxes[0, confident], scores[confident], 0.45)].tolist()
    names = {1: "bicycle", 2: "car", 16: "dog"}
    seen = {names.get(label, label): [round(score, 2) for score in scores] for label, scores in best.items() if scores}
    assert seen == {"bicycle": [0.89], "car": [0.84], "dog": [0.96]}


SMALL = FORWARD / "v3_small"


def _load(cfg: str, weights: Path, classes: int | None = None) -> tuple[Network, str]:
    network = create(cfg, classes)
    return network, find_starting_weights(str(weights), cfg).load(network)


def test_weights_for_other_classes_fit_but_for_the_scores() -> None:
    network, loaded = _load(f"{SMALL}.cfg", SMALL.with_suffix(".weights"), classes=2)
    assert loaded == "9 of 11 layers; the others are randomly initialized"
    full = with_weights(SMALL.with_suffix(".cfg"), SMALL.with_suffix(".weights"))
    for name, value in full.state_dict().items():
        if value.shape == network.state_dict()[name].shape:
            assert torch.equal(network.state_dict()[name], value), name


def test_weights_of_any_number_of_classes_fit_a_network(tmp_path: Path) -> None:
    source = create("yolo_v2_tiny", 7)
    (tmp_path / "seven.weights").write_bytes(_saved(source))
    network, loaded = _load("yolo_v2_tiny", tmp_path / "seven.weights", classes=2)
    assert loaded == "8 of 9 layers; the others are randomly initialized"
    deep = "stages.stage5.conv6.conv.weight"
    assert torch.equal(network.get_parameter(deep), source.get_parameter(deep))
    same, loaded = _load("yolo_v2_tiny", tmp_path / "seven.weights", classes=7)
    assert loaded == "all of them fit"
    scores = "head.layers.last.conv9.bias"
    assert torch.equal(same.get_parameter(scores), source.get_parameter(scores))


@pytest.mark.parametrize(
    ("layers", "loaded"), [(None, "18 of 23 layers"), (18, "18 of 23 layers"), (5, "5 of 23 layers")]
)
def test_weights_of_a_classifier_fit_into_its_detector(layers: int | None, loaded: str, tmp_path: Path) -> None:
    classifier = create("darknet19", 3)
    (tmp_path / "a.weights").write_bytes(_saved(classifier, layers))
    network, said = _load("yolo_v2", tmp_path / "a.weights", classes=2)
    assert said == f"{loaded}; the others are randomly initialized"
    assert not find_starting_weights(str(tmp_path / "a.weights"), "yolo_v2").fits_head("yolo_v2")
    for name, value in classifier.stages["stage1"].state_dict().items():
        assert torch.equal(network.stages["stage1"].state_dict()[name], value)


def _saved(network: Network, layers: int | None = None) -> bytes:
    """The first layers of a network of convolutions as a `.weights` file."""
    modules = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d | torch.nn.BatchNorm2d)]
    parts: list[list[Tensor | None]] = []
    for layer, after in zip(modules, [*modules[1:], None], strict=True):
        if isinstance(after, torch.nn.BatchNorm2d):
            parts.append([after.bias, after.weight, after.running_mean, after.running_var, layer.weight])
        elif isinstance(layer, torch.nn.Conv2d):
            parts.append([layer.bias, layer.weight])
    values = [value.detach().numpy().tobytes() for part in parts[:layers] for value in part if value is not None]
    return struct.pack("<3iQ", 0, 2, 0, 0) + b"".join(values)


def test_the_input_of_published_weights_is_not_normalized() -> None:
    found = find_starting_weights(str(SMALL.with_suffix(".weights")), f"{SMALL}.cfg")
    assert found.fits_head(f"{SMALL}.cfg")
    assert found.channels == 3
    assert found.preprocessing
    assert (found.preprocessing.mean, found.preprocessing.std) == ((0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize("more", [-4, 4, 4000])
def test_weights_that_do_not_fit_are_refused(more: int, tmp_path: Path) -> None:
    content = SMALL.with_suffix(".weights").read_bytes()
    (tmp_path / "a.weights").write_bytes(content[:more] if more < 0 else content + bytes(more))
    with pytest.raises(
        WeightsError, match=r"a\.weights holds 1[78],\d+ numbers, and the 11 layers of .*v3_small.cfg have 17,8"
    ):
        _load(f"{SMALL}.cfg", tmp_path / "a.weights")


def test_weights_of_another_network_of_that_size_are_refused(tmp_path: Path) -> None:
    content = bytearray(SMALL.with_suffix(".weights").read_bytes())
    content[20 + 4 * 24 : 20 + 4 * 25] = struct.pack("<f", -1e-6)  # the first variance
    (tmp_path / "a.weights").write_bytes(content)
    with pytest.raises(WeightsError, match=r"'stages\.stage1\.0\.norm\.running_var' negative variances; it belongs"):
        _load(f"{SMALL}.cfg", tmp_path / "a.weights")


def test_a_network_of_other_layers_is_refused() -> None:
    with pytest.raises(WeightsError, match="lenet5 has layers that Darknet does not have; choose other weights"):
        _load("lenet5", SMALL.with_suffix(".weights"))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.weights").write_bytes(b"<html>404 Not found</html>")
    with pytest.raises(WeightsError, match=r"a\.weights cannot be read as weights \(it does not begin with a version"):
        read_weights(tmp_path / "a.weights")
