"""Style transfer by optimization against torchvision's maps and the paper's formulas in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from convolve.errors import NetworkError, OptionError
from convolve.models import Network, create
from convolve.runtime import Runtime, choose
from convolve.style_transfer.gatys import LossWeights, Objective, gram_matrix, optimize, style_of, tv_loss
from convolve.style_transfer.layers import StyleLayers, choose_layers, default_layers
from convolve.style_transfer.tiles import TiledMaps
from convolve.values import Floats, Preprocessing

WEIGHTS = LossWeights(style=30.0, tv=2.0)
OF_PAPER = StyleLayers(("stage4.relu4_2",), tuple(f"stage{number}.relu{number}_1" for number in range(1, 6)))


def runtime() -> Runtime:
    return choose(device="cpu", precision="fp32", threads=1, fast_convolutions=False)


def maps_of(network: Network, layers: Sequence[str], side: int = 512, built_for: int | None = None) -> TiledMaps:
    height = built_for or network.card.input[1]
    size = Preprocessing(height, height, 3, "crop", (0.48, 0.46, 0.41), (0.23, 0.22, 0.24))
    return TiledMaps(network.eval().requires_grad_(requires_grad=False), size, runtime(), layers, side)


def image(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def squeezenet() -> Network:
    return create("squeezenet", 2)


def test_layers_of_vgg_are_those_of_the_paper_and_each_network_has_some() -> None:
    with torch.device("meta"):
        assert default_layers(create("vgg19")) == OF_PAPER
        assert default_layers(create("resnet18")).content == ("stage4.conv4_2",)
        names = default_layers(create("squeezenet"))
    assert names == StyleLayers(("stage3.fire6",), ("stage1.relu1", "stage2.fire2", "stage3.fire5", "stage4.fire9"))


def test_layers_are_chosen_by_name(squeezenet: Network) -> None:
    chosen = choose_layers(squeezenet, ("stage2",), ("stage1.conv1", "stage2.fire3"))
    assert chosen == StyleLayers(("stage2",), ("stage1.conv1", "stage2.fire3"))
    assert choose_layers(squeezenet, ("stage2",), ()).style == default_layers(squeezenet).style
    with pytest.raises(OptionError, match=r"no layer 'stage2\.fire9' in a stage; it has .*stage2\.fire2"):
        choose_layers(squeezenet, ("stage2.fire9",), ())
    linear = create("conv 4 3 | pool 2 | flatten | dense classes", 2, 3, (16, 16))
    with pytest.raises(NetworkError, match="no stage with an activation"):
        default_layers(linear)


def test_maps_are_those_of_torchvision() -> None:
    torch.manual_seed(0)
    theirs = torchvision.models.vgg.make_layers([64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"])
    ours = create("vgg11", 2, size=(32, 32))
    pairs = zip(
        (layer for layer in ours.stages.modules() if isinstance(layer, nn.Conv2d)),
        (layer for layer in theirs if isinstance(layer, nn.Conv2d)),
        strict=True,
    )
    for own, other in pairs:
        own.load_state_dict(other.state_dict())
    maps, given = maps_of(ours, OF_PAPER.names, built_for=32), image(52, 70)
    (tile,) = maps.tiles(52, 70)
    found = maps(given, tile)
    mean, std = torch.tensor((0.48, 0.46, 0.41)), torch.tensor((0.23, 0.22, 0.24))
    values = ((given - mean[:, None, None]) / std[:, None, None])[None]
    rectified: list[Tensor] = []
    with torch.no_grad():
        for layer in theirs:
            values = layer(values)
            if isinstance(layer, nn.ReLU):
                rectified.append(values.clone())
    indices = dict(zip(OF_PAPER.style, (0, 1, 2, 4, 6), strict=True)) | {OF_PAPER.content[0]: 5}
    for name, index in indices.items():
        torch.testing.assert_close(found[name], rectified[index][0], rtol=1e-5, atol=1e-6)


def test_a_map_is_the_layers_own_though_the_next_one_works_in_place(squeezenet: Network) -> None:
    maps = maps_of(squeezenet, ("stage1.conv1", "stage1.relu1"))
    (tile,) = maps.tiles(40, 40)
    found = maps(image(40, 40), tile)
    assert float(found["stage1.conv1"].min()) < 0
    torch.testing.assert_close(found["stage1.conv1"].clamp_min(0), found["stage1.relu1"], rtol=0, atol=0)


def test_gram_matrices_are_sums_of_products_over_positions() -> None:
    maps = np.random.default_rng(0).normal(size=(5, 4, 7))
    expected = np.zeros((5, 5))
    for row in range(4):
        for column in range(7):
            expected += np.outer(maps[:, row, column], maps[:, row, column])
    np.testing.assert_allclose(gram_matrix(torch.from_numpy(maps)).numpy(), expected, rtol=1e-12)


def test_tv_loss_by_hand() -> None:
    pixels = torch.tensor([[[1.0, 2.0], [4.0, 7.0]]])
    assert float(tv_loss(pixels)) == pytest.approx((3**2 + 5**2) / 2 + (1**2 + 3**2) / 2)


def direct_loss(
    found: dict[str, Floats], content: dict[str, Floats], style: dict[str, Floats], layers: StyleLayers
) -> float:
    """The losses of content and style from maps (C, h, w) in float64."""

    def gram(maps: Floats) -> Floats:
        flat = maps.reshape(len(maps), -1)
        return np.asarray(np.einsum("cp,dp->cd", flat, flat) / flat.shape[1])

    of_content = [((found[name] - content[name]) ** 2).sum() / (content[name] ** 2).sum() for name in layers.content]
    of_style = [
        ((gram(found[name]) - gram(style[name])) ** 2).sum() / (gram(style[name]) ** 2).sum() for name in layers.style
    ]
    return float(np.mean(of_content) + WEIGHTS.style * np.mean(of_style))


def test_loss_and_gradient_are_those_of_the_formula(squeezenet: Network) -> None:
    layers = StyleLayers(("stage2.fire3",), ("stage1.relu1", "stage2.fire2"))
    maps = maps_of(squeezenet, layers.names)
    content, style, current = image(41, 47, 1), image(60, 50, 2), image(41, 47, 3)
    objective = Objective(maps, layers, content, style_of(style, maps, layers), WEIGHTS)
    loss, gradient = objective(current)

    def maps_in_float64(given: Tensor) -> dict[str, Floats]:
        (tile,) = maps.tiles(*given.shape[1:])
        return {name: each.double().numpy() for name, each in maps(given, tile).items()}

    def direct(given: Tensor) -> float:
        pixels = given.double().numpy()
        variation = np.mean(np.diff(pixels, axis=1) ** 2) + np.mean(np.diff(pixels, axis=2) ** 2)
        found, of_content, of_style = (maps_in_float64(each) for each in (given, content, style))
        return direct_loss(found, of_content, of_style, layers) + WEIGHTS.tv * float(variation)

    assert loss == pytest.approx(direct(current), rel=1e-5)
    step = 1e-2 * gradient / gradient.norm()
    slope = (direct(current + step) - direct(current - step)) / 2e-2
    assert slope == pytest.approx(float(gradient.norm()), rel=2e-3)


@pytest.mark.parametrize("name", ["squeezenet", "resnet18"])
def test_tiles_give_what_the_whole_image_gives(name: str) -> None:
    network = create(name, 2)
    layers = default_layers(network)
    content, style, current = image(300, 170, 1), image(90, 120, 2), image(300, 170, 3)
    results = []
    for side in (512, 64):
        maps = maps_of(network, layers.names, side)
        assert (len(maps.tiles(300, 170)) > 1) == (side == 64)
        target = style_of(style, maps, layers)
        results.append((target, *Objective(maps, layers, content, target, WEIGHTS)(current)))
    (whole, loss, gradient), (tiled, loss_of_tiles, gradient_of_tiles) = results
    for layer, gram in whole.items():
        torch.testing.assert_close(tiled[layer], gram, rtol=1e-4, atol=1e-5 * float(gram.abs().max()))
    assert loss_of_tiles == pytest.approx(loss, rel=1e-4)
    torch.testing.assert_close(gradient_of_tiles, gradient, rtol=1e-2, atol=1e-4 * float(gradient.abs().max()))


def test_a_network_with_gates_of_the_whole_image_sees_it_in_one_tile() -> None:
    network = create("se_resnet20_cifar", 2)
    maps = maps_of(network, default_layers(network).names, side=32)
    assert len(maps.tiles(200, 150)) == 1


def test_optimization_lowers_the_loss(squeezenet: Network) -> None:
    layers = default_layers(squeezenet)
    maps = maps_of(squeezenet, layers.names)
    content, style = image(48, 40, 1), image(48, 48, 2) * torch.tensor((1.0, 0.2, 0.2))[:, None, None]
    objective = Objective(
        maps, layers, content, style_of(style, maps, layers), dataclasses.replace(WEIGHTS, style=100.0)
    )
    before = objective(content)[0]
    states = list(optimize(objective, content, 12))
    assert [done for done, _, _ in states] == [5, 10, 12]
    after = objective(states[-1][2])[0]
    assert after < before / 3
    # The style's redness is taken on.
    redness = [float(each[0].mean() - each[1].mean()) for each in (content, states[-1][2])]
    assert redness[1] > redness[0] + 0.02
