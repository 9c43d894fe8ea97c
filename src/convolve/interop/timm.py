"""timm's names for the parameters of DenseNet, ResNeXt, SENet and Inception, and its ImageNet weights.

torchvision has the same names for DenseNet and ResNeXt, so that one map serves the weights of both. torchvision's
GoogLeNet is another network than the paper's (batch normalization, and a 3x3 convolution where the paper has a 5x5): no
map leads to it. timm 1.0 has no BN-Inception.
"""

from __future__ import annotations

import contextlib
import difflib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from convolve.choices import Fit
from convolve.errors import WeightsError
from convolve.interop.official_files import OfficialFile, fetch_file, find_file, read_state, refuse_offline
from convolve.models import Network
from convolve.progress import Listener, silent
from convolve.values import Preprocessing

TWINS = {
    "densenet121": "densenet121",
    "densenet169": "densenet169",
    "densenet201": "densenet201",
    "densenet161": "densenet161",
    "resnext50": "resnext50_32x4d",
    "resnext101": "resnext101_32x4d",
    "resnext101_64x4d": "resnext101_64x4d",
    "se_resnet50": "legacy_seresnet50",
    "se_resnet101": "legacy_seresnet101",
    "se_resnet152": "legacy_seresnet152",
    "se_resnext50": "legacy_seresnext50_32x4d",
    "senet154": "legacy_senet154",
    "inception_v4": "inception_v4",
    "inception_resnet_v2_slim": "inception_resnet_v2",
}
"""Our networks, and those of timm that compute the same; torchvision's DenseNet and ResNeXt have the same names."""

_HUB = "https://huggingface.co"
_FITS: dict[str, Fit] = {"center": "crop", "squash": "stretch", "border": "letterbox"}


def download(name: str, listener: Listener = silent) -> tuple[dict[str, Tensor], Preprocessing, str]:
    """The weights of a network of timm (`resnet26d`, or with the tag of one version `resnet50.a1_in1k`) under timm's
    names, the preprocessing that they were trained for, and where they are from.

    They are downloaded once and cached. Raises `WeightsError` when there are none or they cannot be downloaded.
    """
    import timm  # takes a second, and need not be installed
    from timm.models import get_pretrained_cfg

    found, file = get_pretrained_cfg(name), official_file(name)
    if found is None or not found.has_weights:
        near = difflib.get_close_matches(name, timm.list_pretrained(), n=1, cutoff=0)
        raise WeightsError(f"timm has no weights of {name}; choose those of timm/{near[0]}.")
    try:
        if file:
            overlay = {"state_dict": dict(read_state(find_file(file) or fetch_file(file, listener)))}
        else:  # in a format that only timm reads
            refuse_offline()
            overlay = {}
        with contextlib.redirect_stdout(sys.stderr), torch.random.fork_rng(devices=[]), torch.device("cpu"):
            network = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay)
    except WeightsError:
        raise
    except Exception as error:  # of a download, or of a damaged file, which can raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0].partition(". ")[0]
        raise WeightsError(
            f"The ImageNet weights of timm/{name} cannot be downloaded ({reason}); try again when "
            f"{found.hf_hub_id or found.url} can be reached, or train without them."
        ) from error
    return network.state_dict(), _preprocessing(found), f"timm/{found.architecture}.{found.tag}"


def stated_preprocessing(name: str) -> Preprocessing | None:
    """What timm says of the input of a network's weights; None where it has none."""
    from timm.models import get_pretrained_cfg

    found = get_pretrained_cfg(name)
    return _preprocessing(found) if found and found.has_weights else None


def _preprocessing(found: Any) -> Preprocessing:
    """Of a network's configuration. timm measures accuracy on the central part of an image, which is not stored."""
    channels, height, width = found.input_size
    return Preprocessing(height, width, channels, _FITS[found.crop_mode], tuple(found.mean), tuple(found.std))


def official_file(name: str) -> OfficialFile | None:
    """The file of a network's weights, in a repository of the Hugging Face hub or at an address; None where timm has
    none, or one in a format that only timm reads.
    """
    from timm.models import get_pretrained_cfg

    found = get_pretrained_cfg(name)
    if found is None or not found.has_weights or found.custom_load or found.hf_hub_filename:
        return None
    if found.hf_hub_id:
        address = f"{_HUB}/{found.hf_hub_id}/resolve/main/model.safetensors"
        return OfficialFile(f"{found.architecture}.{found.tag}.safetensors", address, found.hf_hub_id)
    if not isinstance(found.url, str):
        return None
    return OfficialFile(found.url.rpartition("/")[2], found.url)


def rename(network: Network, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a network's twin under the network's own names.

    Raises `WeightsError` when the network has no twin, or the names are not the twin's.
    """
    names = key_map(network)
    foreign = [name for name in state if name not in names]
    if foreign:
        raise WeightsError(
            f"The weights hold '{foreign[0]}', which timm's {TWINS[network.card.name]} does not have; "
            "they belong to another network."
        )
    return {names[name]: value for name, value in state.items()}


def is_efficientnet_pytorch(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict has the names of the package EfficientNet-PyTorch, in which EfficientNet-Lite was published
    for PyTorch too.
    """
    return "_conv_stem.weight" in state


def from_efficientnet_pytorch(state: Mapping[str, Tensor], blocks: Sequence[str]) -> dict[str, Tensor]:
    """A state dict of EfficientNet-PyTorch under timm's names; ``blocks`` are timm's, such as `blocks.1.0`, in their
    order. What has no counterpart keeps its name.
    """
    names = dict(_EFFICIENTNET_PYTORCH)
    for number, block in enumerate(blocks):
        expands = f"_blocks.{number}._expand_conv.weight" in state
        inner = _EXPANDING_BLOCK if expands else _FIRST_BLOCK
        names |= {f"_blocks.{number}.{theirs}": f"{block}.{ours}" for theirs, ours in inner.items()}
    parts = {key: key.rpartition(".") for key in state}
    return {f"{names.get(module, module)}.{leaf}": state[key] for key, (module, _, leaf) in parts.items()}


def efficientnet_preprocessing(name: str, height: int, width: int) -> Preprocessing:
    """What EfficientNet-PyTorch's weights of a network of this name were trained with: (pixel - 127) / 128 for the Lite
    variants, ImageNet's mean and deviation for the others.
    """
    if "lite" in name:
        return Preprocessing(height, width, 3, "crop", (127 / 255,) * 3, (128 / 255,) * 3)
    return Preprocessing(height, width, 3, "crop", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


_EFFICIENTNET_PYTORCH = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_GATE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2", **_GATE}
_EXPANDING_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
    **_GATE,
}


def key_map(network: Network) -> dict[str, str]:
    """Our names of all parameters and buffers, by timm's names. Raises `WeightsError` for a network without a twin."""
    name = network.card.name
    if name not in TWINS:
        raise WeightsError(f"timm has no weights that fit {name}; choose one of {', '.join(TWINS)}.")
    parts = [key.rpartition(".") for key in network.state_dict()]
    ours = list(dict.fromkeys(module for module, _, _ in parts))
    theirs = dict(zip(ours, _FAMILIES[name.rstrip("0123456789_xd")](ours), strict=True))
    return {f"{theirs[module]}.{leaf}": f"{module}.{leaf}" for module, _, leaf in parts}


_Translate = Callable[[list[str]], list[str]]
_Rules = tuple[tuple[str, Callable[[re.Match[str]], str]], ...]

_DENSENET: _Rules = (  # they count from 0 in the stem, and from 1 elsewhere
    (r"stages\.stage1\.(conv|norm)1", lambda found: f"features.{found[1]}0"),
    (
        r"stages\.stage\d\.block(\d)\.layers\.(\d+)\.(\w+)",
        lambda found: f"features.denseblock{int(found[1]) - 1}.denselayer{int(found[2]) + 1}.{found[3]}",
    ),
    (
        r"stages\.stage\d\.transition(\d)\.(\w+)",
        lambda found: f"features.transition{int(found[1]) - 1}.{found[2]}",
    ),
    (r"stages\.stage5\.norm", lambda _: "features.norm5"),
    (r"head\.fc", lambda _: "classifier"),
)
_INNER = {
    **{f"branch.conv{index}": f"conv{index}" for index in (1, 2, 3)},
    **{f"branch.norm{index}": f"bn{index}" for index in (1, 2, 3)},
    "branch.gate.down": "se_module.fc1",
    "branch.gate.up": "se_module.fc2",
    "shortcut.conv": "downsample.0",
    "shortcut.norm": "downsample.1",
}
_BLOCK: _Rules = (  # they count stages from 1 after the stem, and blocks from 0
    (
        r"stages\.stage(\d)\.conv\d_(\d+)\.(.+)",
        lambda found: f"layer{int(found[1]) - 1}.{int(found[2]) - 1}.{_INNER[found[3]]}",
    ),
)
_RESNEXT: _Rules = (
    *_BLOCK,
    (r"stages\.stage1\.conv1", lambda _: "conv1"),
    (r"stages\.stage1\.norm1", lambda _: "bn1"),
    (r"head\.fc", lambda _: "fc"),
)
_SENET: _Rules = (
    *_BLOCK,
    (r"stages\.stage1\.conv(\d)", lambda found: f"layer0.conv{found[1]}"),
    (r"stages\.stage1\.norm(\d)", lambda found: f"layer0.bn{found[1]}"),
    (r"head\.fc", lambda _: "last_linear"),
)


def _by_rules(rules: _Rules, ours: list[str]) -> list[str]:
    """Each name by the rule that it fits."""
    return [next(name(found) for pattern, name in rules if (found := re.fullmatch(pattern, module))) for module in ours]


_A = "branch0 branch1.0 branch1.1 branch2.0 branch2.1 branch2.2 branch3.1"
_B = "branch0 branch1.0 branch1.1 branch1.2 branch2.0 branch2.1 branch2.2 branch2.3 branch2.4 branch3.1"
_C = "branch0 branch1_0 branch1_1a branch1_1b branch2_0 branch2_1 branch2_2 branch2_3a branch2_3b branch3.1"
_INCEPTION_V4 = (  # indices of layers, and the convolutions of each in the order of our branches
    (range(3, 4), "conv"),
    (range(4, 5), "branch0.0 branch0.1 branch1.0 branch1.1 branch1.2 branch1.3"),
    (range(5, 6), "conv"),
    (range(6, 10), _A),
    (range(10, 11), "branch0 branch1.0 branch1.1 branch1.2"),
    (range(11, 18), _B),
    (range(18, 19), "branch0.0 branch0.1 branch1.0 branch1.1 branch1.2 branch1.3"),
    (range(19, 22), _C),
)


def _inception_v4(ours: list[str]) -> list[str]:
    units = ["features.0", "features.1", "features.2"]
    for indices, convolutions in _INCEPTION_V4:
        units += [f"features.{index}.{unit}" for index in indices for unit in convolutions.split()]
    del ours
    return [*(f"{unit}.{part}" for unit in units for part in ("conv", "bn")), "last_linear"]


_RESIDUAL_A = "branch0 branch1.0 branch1.1 branch2.0 branch2.1 branch2.2 conv2d"
_RESIDUAL_B = "branch0 branch1.0 branch1.1 branch1.2 conv2d"
_INCEPTION_RESNET_V2 = (  # layers, and the convolutions of each; conv2d alone has no normalization
    (("conv2d_1a", "conv2d_2a", "conv2d_2b", "conv2d_3b", "conv2d_4a"), ""),
    (("mixed_5b",), "branch0 branch1.0 branch1.1 branch2.0 branch2.1 branch2.2 branch3.1"),
    (tuple(f"repeat.{index}" for index in range(10)), _RESIDUAL_A),
    (("mixed_6a",), "branch0 branch1.0 branch1.1 branch1.2"),
    (tuple(f"repeat_1.{index}" for index in range(20)), _RESIDUAL_B),
    (("mixed_7a",), "branch0.0 branch0.1 branch1.0 branch1.1 branch2.0 branch2.1 branch2.2"),
    ((*(f"repeat_2.{index}" for index in range(9)), "block8"), _RESIDUAL_B),
    (("conv2d_7b",), ""),
)


def _inception_resnet_v2(ours: list[str]) -> list[str]:
    names: list[str] = []
    for layers, convolutions in _INCEPTION_RESNET_V2:
        for unit in (f"{layer}.{conv}".rstrip(".") for layer in layers for conv in convolutions.split() or [""]):
            names += [unit] if unit.endswith(".conv2d") else [f"{unit}.conv", f"{unit}.bn"]
    del ours
    return [*names, "classif"]


_FAMILIES: dict[str, _Translate] = {
    "densenet": partial(_by_rules, _DENSENET),
    "resnext": partial(_by_rules, _RESNEXT),
    "se_resnet": partial(_by_rules, _SENET),
    "se_resnext": partial(_by_rules, _SENET),
    "senet": partial(_by_rules, _SENET),
    "inception_v": _inception_v4,
    "inception_resnet_v2_slim": _inception_resnet_v2,
}
