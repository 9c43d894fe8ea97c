from __future__ import annotations

from functools import partial

import torch
from torch import nn

from convolve.layers.inception import ScaledResidual, chain, concatenate, conv_norm, pooling


def _maps(channels: int, side: int = 7) -> torch.Tensor:
    return torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(0))


def test_branches_are_in_the_order_given_and_their_channels_add_up() -> None:
    layer, channels = concatenate(
        pooling(partial(nn.MaxPool2d, 3, 1, padding=1)), chain(conv_norm(4), conv_norm(5, 3))
    )(3)
    layer.eval()
    found = layer(_maps(3))
    assert channels == found.shape[1] == 3 + 5
    assert torch.equal(found[:, :3], torch.max_pool2d(_maps(3), 3, 1, 1))
    assert torch.equal(found[:, 3:], layer.get_submodule("branches.1")(_maps(3)))


def test_a_step_builds_new_layers_wherever_it_is_used() -> None:
    step = conv_norm(4)
    layer, _ = chain(step, step, step)(4)
    assert len({id(weight) for weight in layer.parameters()}) == 9


def test_a_convolution_is_followed_by_normalization_and_relu() -> None:
    layer, _ = conv_norm(4, (1, 3), eps=0.1)(3)
    convolution, norm = layer.get_submodule("conv"), layer.get_submodule("norm")
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    plain = torch.conv2d(_maps(3), convolution.weight, padding=(0, 1))
    mean, variance = plain.mean((0, 2, 3), keepdim=True), plain.var((0, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(layer(_maps(3)), torch.relu((plain - mean) / (variance + 0.1).sqrt()))


def test_only_padded_convolutions_keep_the_map() -> None:
    shapes = [conv_norm(4, kernel, 1, padded=padded)(3)[0](_maps(3)).shape[2:] for kernel, padded in
              ((5, True), ((7, 1), True), (3, False), ((1, 7), False))]  # fmt: skip
    assert shapes == [(7, 7), (7, 7), (5, 5), (7, 1)]


def test_a_residual_is_scaled_before_it_is_added() -> None:
    branch = nn.Conv2d(3, 3, 1)
    maps = _maps(3).requires_grad_()
    layer = ScaledResidual(branch, 0.2, nn.ReLU(inplace=True))
    expected = torch.relu(maps + 0.2 * branch(maps))
    (wanted,) = torch.autograd.grad(expected.square().sum(), maps)
    found = layer(maps)
    (gradient,) = torch.autograd.grad(found.square().sum(), maps)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, wanted)
