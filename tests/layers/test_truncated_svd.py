"""Truncated dense layers against NumPy's decomposition."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from convolve.layers.truncated_svd import truncate_layer, truncate_layers


def test_the_product_is_the_nearest_of_its_rank() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(30, 20)
    found = truncate_layer(layer, 5)
    first, second = found
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    assert [name for name, _ in first.named_parameters()] == ["weight"]
    product = (second.weight @ first.weight).detach().numpy()
    left, values, right = np.linalg.svd(layer.weight.detach().numpy())
    np.testing.assert_allclose(product, left[:, :5] * values[:5] @ right[:5], atol=1e-5)
    inputs = torch.randn(3, 30)
    expected = inputs.numpy() @ product.T + layer.bias.detach().numpy()
    np.testing.assert_allclose(found(inputs).detach().numpy(), expected, atol=1e-5)


def test_of_full_rank_nothing_changes() -> None:
    layer = nn.Linear(12, 8)
    inputs = torch.randn(4, 12)
    torch.testing.assert_close(truncate_layer(layer, 8)(inputs), layer(inputs))


def test_only_dense_layers_that_become_smaller_are_replaced() -> None:
    layers = nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(), fc6=nn.Linear(100, 50), relu=nn.ReLU(), fc7=nn.Linear(50, 50), last=nn.Linear(50, 9)
        )
    )
    whole = nn.ModuleDict({"layers": layers, "scores": nn.Linear(9, 3)})
    assert truncate_layers(whole, (10, 40)) == 1
    assert isinstance(layers.fc6, nn.Sequential)
    assert isinstance(layers.fc7, nn.Linear)
    assert isinstance(layers.last, nn.Linear)
    assert isinstance(whole["scores"], nn.Linear)
    assert layers(torch.randn(2, 100)).shape == (2, 9)
