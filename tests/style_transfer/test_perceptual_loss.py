"""The loss of a style for batches: the paper's formulas in NumPy, and the loss of the optimization."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from convolve.models import Network, create
from convolve.runtime import choose
from convolve.style_transfer.gatys import LossWeights, Objective
from convolve.style_transfer.layers import StyleLayers
from convolve.style_transfer.perceptual_loss import PerceptualLoss, resize_style
from convolve.style_transfer.tiles import TiledMaps
from convolve.values import Floats, Pixels, Preprocessing

WEIGHTS = LossWeights(style=30.0, tv=2.0)
LAYERS = StyleLayers(("stage2",), ("stage1", "stage2"))
MEAN, STD = (0.48, 0.46, 0.41), (0.23, 0.22, 0.24)


def images(count: int, height: int = 40, width: int = 48, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def style() -> Pixels:
    return np.random.default_rng(5).integers(0, 255, (44, 36, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def network() -> Network:
    return create(
        "conv 8 3 relu | pool 2 | conv 16 3 relu | pool 2 | flatten | dense classes", 2, 3, (40, 48), 3
    ).eval()


@pytest.fixture(scope="module")
def loss(network: Network) -> PerceptualLoss:
    return PerceptualLoss(network, Preprocessing(40, 48, 3, "crop", MEAN, STD), LAYERS, style(), WEIGHTS)


def stage_maps(network: Network, image: Tensor) -> dict[str, Floats]:
    """(C, positions) of each stage, in float64."""
    with torch.no_grad():
        normalized = (image[None] - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        maps = network.features(normalized)
    return {name: each[0].double().flatten(1).numpy() for name, each in maps.items()}


def test_losses_are_the_formulas(network: Network, loss: PerceptualLoss) -> None:
    found, contents = images(2, seed=1), images(2, seed=2)
    losses = loss(found, contents)
    painting = stage_maps(network, torch.from_numpy(style()).permute(2, 0, 1) / 255)
    for index in range(2):
        maps, wanted = stage_maps(network, found[index]), stage_maps(network, contents[index])
        content = ((maps["stage2"] - wanted["stage2"]) ** 2).sum() / (wanted["stage2"] ** 2).sum()
        parts = []
        for name in LAYERS.style:
            gram, target = (each @ each.T / each.shape[1] for each in (maps[name], painting[name]))
            parts.append(((gram - target) ** 2).sum() / (target**2).sum())
        pixels = found[index].double().numpy()
        variation = (np.diff(pixels, axis=1) ** 2).mean() + (np.diff(pixels, axis=2) ** 2).mean()
        expected = {"content_loss": content, "style_loss": np.mean(parts), "tv_loss": variation}
        assert {name: float(losses[name][index]) for name in expected} == pytest.approx(expected, rel=1e-4)
        weighted = content + 30 * np.mean(parts) + 2 * variation
        assert float(losses["loss"][index]) == pytest.approx(weighted, rel=1e-4)


def test_it_is_the_loss_of_the_optimization(network: Network, loss: PerceptualLoss) -> None:
    runtime = choose("cpu", "fp32", 1, fast_convolutions=False)
    maps = TiledMaps(network, loss.preprocessing, runtime, LAYERS.names)
    found, contents = images(1, seed=1).requires_grad_(), images(1, seed=2)
    objective = Objective(maps, LAYERS, contents[0], loss.grams, WEIGHTS)
    expected, gradient = objective(found[0].detach())
    losses = loss(found, contents)
    assert float(losses["loss"].detach()) == pytest.approx(expected, rel=1e-4)
    torch.testing.assert_close(torch.autograd.grad(losses["loss"].sum(), found)[0][0], gradient, rtol=1e-3, atol=1e-5)


def test_the_loss_network_learns_nothing(network: Network, loss: PerceptualLoss) -> None:
    found = images(1, seed=1).requires_grad_()
    loss(found, images(1))["loss"].sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in network.parameters())
    assert found.grad is not None
    assert not any(module._forward_hooks for module in network.modules())


def test_a_gray_network_sees_luminance() -> None:
    gray = create("lenet5_keras", 3, channels=1, size=(28, 28))
    loss = PerceptualLoss(
        gray, Preprocessing(28, 28, 1, "crop", (0.5,), (0.5,)), StyleLayers(("stage1",), ("stage1",)), style(), WEIGHTS
    )
    red = torch.zeros(1, 3, 28, 28)
    red[:, 0] = 1
    torch.testing.assert_close(loss.visible(red), torch.full((1, 1, 28, 28), 0.299))
    assert float(loss(red, torch.full_like(red, 0.299))["content_loss"]) == pytest.approx(0, abs=1e-8)


def test_a_style_is_resized_by_its_longer_side() -> None:
    assert resize_style(style(), 22).shape == (22, 18, 3)
