"""Training steps of small networks from Darknet's files against those of the original program.

Its backward pass through batch normalization does not belong to its forward pass, so that only networks without it can
be followed over several steps.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from convolve.interop.darknet import NUMBERS, darknet_state
from convolve.interop.weights import read_weights
from convolve.layers.yolo_v2 import RegionOutput
from convolve.models import Network
from convolve.targets import BoxTensors
from tests.interop.darknet_numbers import HERE, SHARED, box_head, with_weights

CLOSE = 2e-5
STEP = HERE / "step"
COMPLETE = SHARED / "detection" / "darknet_step"
ABOUT = {each["name"]: each for each in json.loads((STEP / "steps.json").read_text())}
WITHOUT_NORM = ["step_v2_plain", "step_v3_plain"]
WITH_NORM = [
    "step_v1",
    *(
        pytest.param(name, marks=pytest.mark.skipif(not COMPLETE.is_dir(), reason="the complete numbers are absent"))
        for name in ("step_v2", "step_v2_late", "step_v3")
    ),
]


def _start(name: str) -> tuple[Network, Any]:
    """The network as it was before the first step, in training mode, and the program's numbers."""
    folder = STEP if (STEP / f"{name}.npz").exists() else COMPLETE
    network = with_weights(folder / f"{name}.cfg", folder / f"{name}_before.weights").train()
    for module in network.modules():
        if isinstance(module, RegionOutput):
            module.images_seen.fill_(ABOUT[name]["seen_before"])
    return network, np.load(folder / f"{name}.npz")


def _images(network: Network, numbers: Any, step: int) -> Tensor:
    return torch.unflatten(torch.from_numpy(numbers["input"][step]), 1, network.card.input)


def _targets(network: Network, truth: Any) -> BoxTensors:
    """The boxes in a batch's rows of truth (N, …)."""
    classes = network.card.classes
    rows = []
    for image, values in enumerate(truth):
        if len(values) % (5 + classes) == 0 and len(values) < 90:  # YOLO v1: a row for each cell
            cells = values.reshape(-1, 5 + classes)
            side = math.isqrt(len(cells))
            for index, cell in enumerate(cells):
                if cell[0]:
                    x, y = (index % side + cell[-4]) / side, (index // side + cell[-3]) / side
                    rows.append((image, cell[1 : 1 + classes].argmax(), x, y, *cell[-2:]))
        else:
            boxes = values.reshape(-1, 5)
            ends = int(np.flatnonzero(boxes[:, 0] == 0)[0])
            rows += [(image, box[4], *box[:4]) for box in boxes[:ends]]
    table = torch.tensor(np.array(rows), dtype=torch.float32)
    _, height, width = network.card.input
    half = table[:, 4:] / 2
    edges = torch.cat((table[:, 2:4] - half, table[:, 2:4] + half), 1) * torch.tensor([width, height] * 2)
    return BoxTensors(edges, table[:, 1].long(), table[:, 0].long())


def _loss_and_costs(network: Network, numbers: Any, step: int) -> tuple[Tensor, list[float]]:
    """The loss, summed over the images, and of each map what the program prints: the sum of squared gradients with
    respect to activated outputs.
    """
    images, head = _images(network, numbers, step), box_head(network)
    outputs = network(images)
    targets = _targets(network, numbers["truth"][step])
    loss = head.loss(outputs, targets, (images.shape[2], images.shape[3]))["loss"] * len(images)
    costs = []
    for output in outputs:
        (gradient,) = torch.autograd.grad(loss, output, retain_graph=True)
        if isinstance(head.output, RegionOutput):  # whose gradient passed through a sigmoid
            boxes, gradient = (
                torch.unflatten(output.detach(), 1, (5, -1)).sigmoid(),
                torch.unflatten(gradient, 1, (5, -1)).clone(),
            )
            for rows in ([0, 1], [4]):
                gradient[:, :, rows] /= boxes[:, :, rows] * (1 - boxes[:, :, rows])
        costs.append(float(gradient.square().sum()))
    return loss, costs


def _printed(numbers: Any, step: int) -> list[float]:
    return [float(numbers[name][0]) for name in sorted(numbers) if name.startswith(f"step{step}") and "cost" in name]


def _optimizer(network: Network) -> torch.optim.Optimizer:
    weights = [value for name, value in network.named_parameters() if name.endswith(".weight") and value.ndim > 1]
    others = [value for name, value in network.named_parameters() if not (name.endswith(".weight") and value.ndim > 1)]
    groups: list[dict[str, Any]] = [{"params": weights, "weight_decay": 0.0005}, {"params": others}]
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)


def _updates(network: Network, numbers: Any) -> list[tuple[Tensor, Tensor]]:
    """The gradients of the first step: the network's, negative as the program has them, and the program's."""
    pairs = []
    indices = sorted({name[11:13] for name in numbers if name.startswith("step0") and "updates" in name})
    for index in indices:
        module = next(found for name, found in network.named_modules() if name.endswith(f".{int(index)}"))
        tensors = dict(module.named_parameters())
        norm = "norm.bias" in tensors or "0.norm.bias" in tensors
        for name, value in tensors.items():
            kind = "bias" if name.endswith("bias") else "scale" if norm and "norm" in name else "weight"
            assert value.grad is not None
            pairs.append((-value.grad.flatten(), torch.from_numpy(numbers[f"step0_layer{index}_{kind}_updates"])))
    return pairs


@pytest.mark.parametrize("name", WITHOUT_NORM)
def test_three_steps_lead_to_the_weights_of_the_program(name: str) -> None:
    network, numbers = _start(name)
    optimizer = _optimizer(network)
    for step, rate in enumerate(ABOUT[name]["rates"]):
        optimizer.zero_grad()
        loss, costs = _loss_and_costs(network, numbers, step)
        assert costs == pytest.approx(_printed(numbers, step), rel=CLOSE)
        assert sum(costs) / len(costs) == pytest.approx(ABOUT[name]["costs"][step], rel=CLOSE)
        torch.autograd.backward(loss)
        if step == 0:
            for found, expected in _updates(network, numbers):
                torch.testing.assert_close(found, expected, rtol=0, atol=CLOSE * float(expected.abs().max()))
        for group in optimizer.param_groups:
            group["lr"] = rate
        for value in network.parameters():
            assert value.grad is not None
            value.grad.div_(len(numbers["input"][step]))
        optimizer.step()
    state = network.state_dict()
    after = darknet_state(network, read_weights(STEP / f"{name}_after.weights")[NUMBERS], name)
    moved = 0.0
    for key, expected in after.items():
        if "output" not in key:
            torch.testing.assert_close(state[key], expected, rtol=0, atol=1e-6)
            moved = max(moved, float((expected - _start_state(name)[key]).abs().max()))
    assert moved > 1e-3


def _start_state(name: str) -> dict[str, Tensor]:
    return _start(name)[0].state_dict()


@pytest.mark.parametrize("name", WITH_NORM)
def test_with_normalization_the_first_cost_is_that_of_the_program(name: str) -> None:
    network, numbers = _start(name)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(_divide_variance_by_one_less)
    loss, costs = _loss_and_costs(network, numbers, 0)
    assert costs == pytest.approx(_printed(numbers, 0), rel=1e-4)
    assert sum(costs) / len(costs) == pytest.approx(ABOUT[name]["costs"][0], rel=1e-4)
    torch.autograd.backward(loss)
    for found, expected in _updates(network, numbers):
        torch.testing.assert_close(found, expected, rtol=0, atol=0.06 * float(expected.abs().max()))


def _divide_variance_by_one_less(norm: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """As the program does when it finds a batch's variance."""
    count = inputs[0].numel() / inputs[0].shape[1]
    bias = norm.get_parameter("bias")[:, None, None]
    return (output - bias) * math.sqrt((count - 1) / count) + bias
