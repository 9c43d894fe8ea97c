"""The losses and boxes of the original program, case by case.

`darknet_loss` was written by darknet (pjreddie, `f6afaab`): inputs of its region, yolo and detection layers, the ground
truth, and what it computes of them. Its gradients are those of the sum over a batch, and point downhill.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from convolve.layers.yolo_v1 import DetectionOptions, DetectionOutput
from convolve.layers.yolo_v2 import RegionOptions, RegionOutput
from convolve.layers.yolo_v3 import YoloOptions, YoloOutput
from convolve.targets import BoxTensors

FOLDER = Path(__file__).parent / "darknet_loss"
CASES: list[dict[str, Any]] = json.loads((FOLDER / "cases.json").read_text())
STRIDE = 32
Arrays = dict[str, npt.NDArray[np.float32]]
Output = DetectionOutput | RegionOutput | YoloOutput


def _arrays(case: dict[str, Any]) -> Arrays:
    with np.load(FOLDER / f"{case['case']}.npz") as stored:
        return {name: stored[name] for name in stored.files}


def _size(case: dict[str, Any]) -> tuple[int, int]:
    """(height, width) of the network's input."""
    if "net_wh" in case:
        return case["net_wh"][1], case["net_wh"][0]
    columns, rows = case.get("grid", [case.get("side")] * 2)
    return STRIDE * rows, STRIDE * columns


def _output(case: dict[str, Any]) -> Output:
    if case["layer"] == "detection":
        detection = DetectionOptions(
            roots=bool(case["sqrt"]),
            rescore=bool(case["rescore"]),
            object_scale=case["obj"],
            no_object_scale=case["noobj"],
            class_scale=case["cls"],
            box_scale=case["coord"],
        )
        return DetectionOutput((case["side"], case["side"]), case["num"], detection)
    if case["layer"] == "yolo":
        return YoloOutput(case["anchors"], [case["mask"]], YoloOptions(case["ignore_thresh"], case["truth_thresh"]))
    region = RegionOptions(
        softmax=bool(case["softmax"]),
        rescore=bool(case["rescore"]),
        match_anchors=bool(case["bias_match"]),
        ignore=case["thresh_ignore"],
        object_scale=case["object_scale"],
        no_object_scale=case["noobject_scale"],
        class_scale=case["class_scale"],
        box_scale=case["coord_scale"],
    )
    output = RegionOutput([(STRIDE * width, STRIDE * height) for width, height in case["anchors"]], region)
    output.images_seen.fill_(case["seen"] - case["batch"])
    return output


def _maps(case: dict[str, Any], values: npt.NDArray[np.float32]) -> Tensor:
    maps = torch.tensor(values)
    return maps if case["layer"] == "detection" else torch.unflatten(maps, 1, (-1, *case["grid"][::-1]))


def _targets(case: dict[str, Any], truth: npt.NDArray[np.float32]) -> BoxTensors:
    """The program's lists end at the first center at x = 0; its grids have a target or none in each cell."""
    boxes, classes, images = [], [], []
    for image, values in enumerate(truth):
        if case["layer"] == "detection":
            cells = values.reshape(case["side"] ** 2, -1)
            rows = [(index, cell) for index, cell in enumerate(cells) if cell[0]]
            for index, cell in rows:
                x = (index % case["side"] + cell[-4]) / case["side"]
                y = (index // case["side"] + cell[-3]) / case["side"]
                boxes.append((x, y, cell[-2], cell[-1]))
                classes.append(int(cell[1:-4].argmax()))
                images.append(image)
            continue
        for x, y, width, height, label in values.reshape(-1, 5):
            if not x:
                break
            boxes.append((x, y, width, height))
            classes.append(int(label))
            images.append(image)
    middle = torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4) * torch.tensor(_size(case)[::-1] * 2)
    corners = torch.cat((middle[:, :2] - middle[:, 2:] / 2, middle[:, :2] + middle[:, 2:] / 2), 1)
    return BoxTensors(corners.float(), torch.tensor(classes).long(), torch.tensor(images).long())


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_gradient_is_that_of_the_program(case: dict[str, Any]) -> None:
    arrays, output = _arrays(case), _output(case)
    maps = _maps(case, arrays["input"]).requires_grad_()
    losses = output.train().loss((maps,), _targets(case, arrays["truth"]), _size(case))
    torch.testing.assert_close(losses["loss"], losses["box"] + losses["objectness"] + losses["classes"])
    assert losses["loss"].dtype == torch.float32
    (gradient,) = torch.autograd.grad(losses["loss"] * case["batch"], maps)
    torch.testing.assert_close(-gradient.flatten(1), torch.tensor(arrays["input_grad_neg"]), rtol=1e-5, atol=1e-4)
    if isinstance(output, RegionOutput):
        assert int(output.images_seen) == case["seen"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["case"]))
def test_boxes_are_those_of_the_program(case: dict[str, Any]) -> None:
    """The program writes boxes in pixels of the photograph that it had scaled to fit into the network's input, of yolo
    layers a position's anchors one after the other. Probabilities that do not exceed the threshold are written as 0.
    """
    arrays, output = _arrays(case), _output(case)
    found = output.eval().decode((_maps(case, arrays["input"]),), _size(case))
    boxes, scores = (values[0].double() for values in found)
    if case["layer"] == "yolo":
        positions = case["grid"][0] * case["grid"][1]
        boxes, scores = (
            torch.unflatten(values, 0, (-1, positions)).transpose(0, 1).flatten(0, 1) for values in (boxes, scores)
        )
    scores = scores * (scores > case["thresh"])
    photograph, size = torch.tensor(case["image_wh"]), torch.tensor(_size(case)[::-1])
    scale = photograph / size
    if case["layer"] != "detection":  # which stretches the photograph
        scale = scale.max().expand(2)
    edge = (size - (photograph / scale).long()) // 2
    boxes = (boxes - edge.repeat(2)) * scale.repeat(2)
    boxes = torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]), 1)
    stored = torch.tensor(arrays["image0_det_raw_boxes"]).double()
    probabilities = torch.tensor(arrays["image0_det_raw_prob"]).double().clamp(max=1)
    torch.testing.assert_close(scores[scores.any(1)], probabilities[probabilities.any(1)], rtol=0, atol=1e-5)
    torch.testing.assert_close(boxes[scores.any(1)], stored[probabilities.any(1)], rtol=1e-4, atol=1e-2)
