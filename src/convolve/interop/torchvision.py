"""torchvision's names for the parameters of VGG and ResNet, and its ImageNet weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from convolve.errors import WeightsError
from convolve.interop.official_files import OfficialFile, fetch_file, find_file, read_state, torch_cache
from convolve.layers.residual import Residual
from convolve.models import Network
from convolve.progress import Listener, silent
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
"""Our networks, and those of torchvision that compute the same."""

_CENTERED = ("googlenet", "inception_v3")  # with weights, they normalize their input so themselves (transform_input)
_HALF = (0.5, 0.5, 0.5)
_OLD = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(\d)")
_AUXILIARY = ("aux", "AuxLogits")


def rename(network: Network, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of torchvision's twin under the network's own names.

    Raises `WeightsError` when the network has no twin, or the names are not the twin's.
    """
    name = network.card.name
    if name not in TWINS:
        near = f"{name}_v1_5" if f"{name}_v1_5" in TWINS else f"one of {', '.join(TWINS)}"
        raise WeightsError(f"torchvision has no weights that fit {name}; choose {near}.")
    names = key_map(network)
    foreign = [name for name in state if name not in names]
    if foreign:
        raise WeightsError(
            f"The weights hold '{foreign[0]}', which torchvision's {TWINS[network.card.name]} does not have; "
            "they belong to another network."
        )
    return {names[name]: value for name, value in state.items()}


def key_map(network: Network) -> dict[str, str]:
    """Our names of all parameters and buffers of a VGG or ResNet by their names in torchvision."""
    modules = _vgg(network) if network.card.name.startswith("vgg") else residual_names(network)
    parts = [key.rpartition(".") for key in network.state_dict()]
    return {f"{modules[module]}.{leaf}": f"{module}.{leaf}" for module, _, leaf in parts}


def download(name: str, listener: Listener = silent, *, newest: bool) -> tuple[dict[str, Tensor], Preprocessing, str]:
    """The ImageNet weights of a network of torchvision under its names, their preprocessing, and where they are from.

    The first version, or the ``newest``, which torchvision considers the best. They are downloaded once, checked by
    their hash, and cached where torch has its downloads. torchvision measured them on the central pixels of larger
    images. Raises `WeightsError` when they cannot be downloaded.
    """
    weights, file = _version(name, newest=newest), official_file(name, newest=newest)
    try:
        state = dict(read_state(find_file(file) or fetch_file(file, listener)))
    except WeightsError:
        raise
    except Exception as error:  # of a download, or of a damaged file, which can raise anything
        raise WeightsError(
            f"The ImageNet weights of torchvision/{name} cannot be downloaded ({error}); put {weights.url} into "
            f"{torch_cache()} by hand, or train without them."
        ) from error
    return state, stated_preprocessing(name, newest=newest), f"torchvision/{name}, {weights.name}"


def stated_preprocessing(name: str, *, newest: bool) -> Preprocessing:
    """What torchvision says of the input of a network's ImageNet weights: the first version, or the ``newest``."""
    view = _version(name, newest=newest).transforms()
    side = view.crop_size[0]
    mean, std = (_HALF, _HALF) if name in _CENTERED else (tuple(view.mean), tuple(view.std))
    return Preprocessing(side, side, 3, "crop", mean, std)


def official_file(name: str, *, newest: bool) -> OfficialFile:
    """The file of a network's ImageNet weights: of the first version, or of the ``newest``."""
    address = _version(name, newest=newest).url
    return OfficialFile(address.rpartition("/")[2], address)


def current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under the names that torchvision has today (its files of DenseNet have `norm.1` for `norm1`),
    without the heads that help in training only.
    """
    return {_OLD.sub(r"\1\2", key): value for key, value in state.items() if not key.startswith(_AUXILIARY)}


def _version(name: str, *, newest: bool) -> Any:
    from torchvision import models  # takes a second

    versions = models.get_model_weights(name)
    return versions.DEFAULT if newest else versions["IMAGENET1K_V1"]


def _vgg(network: Network) -> dict[str, str]:
    """There all layers of the stages are numbered consecutively, and so are those of the head."""
    layers = [
        f"stages.{stage}.{name}" for stage, module in network.stages.items() for name, _ in module.named_children()
    ]
    dense = {"head.fc6": "classifier.0", "head.fc7": "classifier.3", "head.fc8": "classifier.6"}
    return {layer: f"features.{number}" for number, layer in enumerate(layers)} | dense


def residual_names(network: Network) -> dict[str, str]:
    """The names in torchvision of a ResNet's layers; its stages are numbered from 1 after the stem, blocks from 0."""
    modules = {"stages.stage1.conv1": "conv1", "stages.stage1.norm1": "bn1", "head.fc": "fc"}
    for number, stage in enumerate(list(network.stages)[1:], 1):
        children = network.stages[stage].named_children()
        blocks = [name for name, block in children if isinstance(block, Residual)]
        for index, block in enumerate(blocks):
            ours, theirs = f"stages.{stage}.{block}", f"layer{number}.{index}"
            for step in (1, 2, 3):
                modules[f"{ours}.branch.conv{step}"] = f"{theirs}.conv{step}"
                modules[f"{ours}.branch.norm{step}"] = f"{theirs}.bn{step}"
            modules[f"{ours}.shortcut.conv"] = f"{theirs}.downsample.0"
            modules[f"{ours}.shortcut.norm"] = f"{theirs}.downsample.1"
    return modules
