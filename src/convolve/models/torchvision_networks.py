"""torchvision's networks for classification: their names, what it says of them, and how it builds them."""

from __future__ import annotations

import inspect
from typing import Any

import torchvision
from torch import nn
from torchvision import models

from convolve.models.foreign import About, Paper, paper_of

_LIBRARY = Paper("TorchVision: PyTorch's computer vision library", "https://github.com/pytorch/vision", 2016)
_OPTIONS = {
    name: {"aux_logits": False, "init_weights": True} for name in ("googlenet", "inception_v3")
}  # no heads that help in training only, and weights initialized, which it does on request alone


def names() -> list[str]:
    """Every network of torchvision that classifies images."""
    return list(models.list_models(module=models))


def about(name: str) -> About:
    """What torchvision says of a network and of the best weights that it has for it. Raises `KeyError`."""
    if name not in names():
        raise KeyError(name)
    weights = models.get_model_weights(name).DEFAULT
    view, accuracy = weights.transforms(), weights.meta["_metrics"]["ImageNet-1K"]
    return About(
        paper_of(inspect.getdoc(models.get_model_builder(name))) or _LIBRARY,
        f"torchvision {torchvision.__version__.partition('+')[0]}",
        (3, view.crop_size[0], view.crop_size[0]),
        len(weights.meta["categories"]),
        round(100 - accuracy["acc@1"], 3),
        round(100 - accuracy["acc@5"], 3),
        f"torchvision's {weights.name}: central {view.crop_size[0]} of {view.resize_size[0]} pixels "
        f"(trained as {weights.meta['recipe']} says)",
    )


def build(name: str, classes: int, channels: int) -> nn.Module:
    """The network, randomly initialized by torchvision; for other than 3 channels its first layer is replaced."""
    network: nn.Module = models.get_model(name, num_classes=classes, **_OPTIONS.get(name, {}))
    if channels == 3:
        return network
    path, first = next((name, layer) for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d))
    window: dict[str, Any] = {name: getattr(first, name) for name in ("kernel_size", "stride", "padding")}
    network.set_submodule(
        path, nn.Conv2d(channels, first.out_channels, **window, bias=first.bias is not None), strict=True
    )
    return network
