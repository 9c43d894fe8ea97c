"""torchvision's names for the parameters of VGG and ResNet, and its ImageNet weights."""

from __future__ import annotations

import contextlib
import pickle
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torchvision import models

from convolve.errors import WeightsError
from convolve.layers.residual import Residual
from convolve.models import Network
from convolve.models.weights import load_weights
from convolve.values import Preprocessing

TWINS = {
    "vgg11": "vgg11",
    "vgg13": "vgg13",
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50_v1_5": "resnet50",
    "resnet101_v1_5": "resnet101",
    "resnet152_v1_5": "resnet152",
}
"""Networks here, and the ones of torchvision that compute the same."""

_CENTERD = (
    "googlenet",
    "inception_v3",
)  # with weights, they turn their normalized input into this one (transform_input)
_HALF = (0.5, 0.5, 0.5)
_OLD = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)")
_HELPERS = ("aux", "AuxLogits")


def carry(network: Network, state: Mapping[str, Tensor]) -> list[str]:
    """Load the weights of torchvision's twin of a network; the head's parameters that stay fresh are returned.

    Raises `WeightsError` when the network has no twin, or the weights are not of it.
    """
    return load_weights(network, renamed(network, state))


def renamed(network: Network, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state of torchvision's twin under the names used here. Raises `WeightsError` as `carry` does."""
    _twin(network.card.name)
    names = key_map(network)
    foreign = [name for name in state if name not in names]
    if foreign:
        raise WeightsError(
            f"The weights hold '{foreign[0]}', which torchvision's {TWINS[network.card.name]} does not have; "
            "they belong to another network."
        )
    return {names[name]: value for name, value in state.items()}


def key_map(network: Network) -> dict[str, str]:
    """Every parameter and buffer of a VGG or ResNet: the name in torchvision, then the name here."""
    modules = _vgg(network) if network.card.name.startswith("vgg") else _resnet(network)
    parts = [key.rpartition(".") for key in network.state_dict()]
    return {f"{modules[module]}.{leaf}": f"{module}.{leaf}" for module, _, leaf in parts}


def downloaded(name: str, *, newest: bool) -> tuple[dict[str, Tensor], Preprocessing, str]:
    """The ImageNet weights of a network of torchvision under its names, their preprocessing, and whose they are.

    The first edition, or the ``newest``, which torchvision takes for the best. They are downloaded once, checked by
    their hash, and kept in torch's own cache; what is downloaded is reported on the error stream. torchvision measured
    them on the central pixels of larger images. Raises `WeightsError` when they cannot be fetched.
    """
    editions = models.get_model_weights(name)
    weights = editions.DEFAULT if newest else editions["IMAGENET1K_V1"]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            state = weights.get_state_dict(
                progress=sys.stderr.isatty(), check_hash=True, weights_only=True, map_location="cpu"
            )
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        place = Path(torch.hub.get_dir()) / "checkpoints"
        raise WeightsError(
            f"The ImageNet weights of torchvision/{name} cannot be fetched ({error}); put {weights.url} into {place} "
            "by hand, or train without them."
        ) from error
    view = weights.transforms()
    side = view.crop_size[0]
    mean, std = (_HALF, _HALF) if name in _CENTERD else (tuple(view.mean), tuple(view.std))
    return state, Preprocessing(side, side, 3, "crop", mean, std), f"torchvision/{name}, {weights.name}"


def modern(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state as torchvision would save it today: its files of DenseNet write `norm.1` for `norm1`, and heads that
    help in training only are left out.
    """
    kept = {key: value for key, value in state.items() if not key.startswith(_HELPERS)}
    return {_OLD.sub(r"\1\2", key): value for key, value in kept.items()}


def _twin(name: str) -> str:
    if name not in TWINS:
        near = f"; {name}_v1_5 has them" if f"{name}_v1_5" in TWINS else f"; it has {', '.join(TWINS)}"
        raise WeightsError(f"torchvision has no weights that fit {name}{near}.")
    return TWINS[name]


def _vgg(network: Network) -> dict[str, str]:
    """All layers of the stages are numbered in one row there, and those of the head in another."""
    layers = [
        f"stages.{stage}.{name}" for stage, module in network.stages.items() for name, _ in module.named_children()
    ]
    dense = {"head.fc6": "classifier.0", "head.fc7": "classifier.3", "head.fc8": "classifier.6"}
    return {layer: f"features.{number}" for number, layer in enumerate(layers)} | dense


def _resnet(network: Network) -> dict[str, str]:
    """Stages are numbered from 1 after the stem there, and blocks from 0."""
    modules = {"stages.stage1.conv1": "conv1", "stages.stage1.norm1": "bn1", "head.fc": "fc"}
    for number, stage in enumerate(list(network.stages)[1:], 1):
        children = network.stages[stage].named_children()
        blocks = [name for name, block in children if isinstance(block, Residual)]
        for place, block in enumerate(blocks):
            ours, theirs = f"stages.{stage}.{block}", f"layer{number}.{place}"
            for step in (1, 2, 3):
                modules[f"{ours}.branch.conv{step}"] = f"{theirs}.conv{step}"
                modules[f"{ours}.branch.norm{step}"] = f"{theirs}.bn{step}"
            modules[f"{ours}.shortcut.conv"] = f"{theirs}.downsample.0"
            modules[f"{ours}.shortcut.norm"] = f"{theirs}.downsample.1"
    return modules
