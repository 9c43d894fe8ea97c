"""Weights from elsewhere: files of any origin, and official ImageNet weights with their names translated.

Files are read without running anything that they hold.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from convolve import models
from convolve.errors import WeightsError
from convolve.interop import darknet, timm, torchvision, torchvision_detectors
from convolve.interop.official_files import OfficialFile, find_file
from convolve.models import Network
from convolve.models.foreign import library, library_of, own_names
from convolve.progress import Listener, silent
from convolve.untrusted.darknet import read_darknet
from convolve.untrusted.weights import read_safetensors, read_torch
from convolve.values import Preprocessing

SOURCES = {
    **{name: f"torchvision/{twin}" for name, twin in torchvision.TWINS.items()},
    **{name: f"timm/{twin}" for name, twin in timm.TWINS.items()},
    **{f"densenet{depth}": f"torchvision/densenet{depth}" for depth in (121, 169, 201, 161)},
    "resnext50": "torchvision/resnext50_32x4d",
    "resnext101_64x4d": "torchvision/resnext101_64x4d",
    "resnext101": "timm/resnext101_32x4d.gluon_in1k",
}
"""Networks of ours that have official weights, and where these are from."""
_OWN_NAMES = ("stages.", "head.", "auxiliary.")
"""How the names of all tensors of our networks begin."""


_NEAR = {
    "plain": "resnet34",
    "resnet": "resnet18",
    "preact": "timm/resnetv2_50",
    "densenet": "densenet121",
    "nin": "torchvision/googlenet",
    "googlenet": "torchvision/googlenet",
    "bn_inception": "torchvision/googlenet",
    "se_inception": "torchvision/googlenet",
    "alexnet": "torchvision/alexnet",
    "caffenet": "torchvision/alexnet",
    "zfnet": "torchvision/alexnet",
    "": "resnet18",
}
"""By the beginning of its name: the nearest relative, with official weights, of a network that has none."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a `.safetensors` file, or a `.pth`, `.pt` or `.bin` file that holds tensors by name, into the CPU's memory;
    or the numbers of a Darknet `.weights` file, which get their names from `darknet.darknet_state`.

    Raises `WeightsError` when the file is missing, damaged, or holds anything but tensors by name.
    """
    path = Path(path)
    if not path.exists():
        raise WeightsError(f"There is no weight file {path}; check the path.")
    try:
        state = _READERS.get(path.suffix, read_torch)(path)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise WeightsError(
            f"{path} cannot be read as weights ({reason}); download it again or choose another file."
        ) from error
    by_name = isinstance(state, Mapping) and all(isinstance(name, str) for name in state)
    if not by_name or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(
            f"{path} does not hold tensors by name; save the network's state_dict alone and choose that file."
        )
    return dict(state)


def _read_darknet(path: Path) -> dict[str, Tensor]:
    return {darknet.NUMBERS: torch.from_numpy(read_darknet(path))}


_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".safetensors": lambda path: read_safetensors(path)[0],
    darknet.SUFFIX: _read_darknet,
}
"""By a file's suffix; all others are as `torch.save` writes them."""


@dataclass(frozen=True)
class Official:
    """Weights under a library's own names, the preprocessing that they were trained for, and where they are from."""

    state: Mapping[str, Tensor]
    preprocessing: Preprocessing
    source: str


def imagenet_weights(name: str, listener: Listener = silent) -> Official:
    """A network's official ImageNet weights, downloaded where they are not on this machine.

    Raises `WeightsError` when there are none or they cannot be downloaded, `NetworkError` when the library that has
    them is not installed.
    """
    if name not in SOURCES and not library_of(name):
        raise WeightsError(f"There are no official ImageNet weights of {name}; choose {_near(name)}, which has some.")
    library_name, _, inner = SOURCES.get(name, name).partition("/")
    if library_name == "torchvision":
        return Official(*torchvision.download(inner, listener, newest=name not in SOURCES))
    library(library_name)  # raises where it is not installed
    return Official(*timm.download(inner, listener))


@dataclass(frozen=True)
class Stated:
    """The preprocessing that is stated for weights, and ``by`` whom."""

    preprocessing: Preprocessing
    by: str

    @property
    def remark(self) -> str:
        """A sentence without its full stop."""
        return f"mean and standard deviation of the input are those that {self.by}"


def stated_preprocessing(name: str, state: Mapping[str, Tensor]) -> Stated | None:
    """What is stated of the input of weights for a network of a library, or for one of ours that has a twin there; None
    where nothing is, and for weights under names of ours, which may have been trained in any way.
    """
    if all(key.startswith(_OWN_NAMES) for key in state):
        return None
    library_name, _, inner = SOURCES.get(name, name).partition("/")
    if library_of(name) and timm.is_efficientnet_pytorch(state):
        size = models.card(name).input[1:]
        return Stated(timm.efficientnet_preprocessing(name, *size), f"EfficientNet-PyTorch has for {inner}")
    found = None
    if library_name == "torchvision":
        found = torchvision.stated_preprocessing(inner, newest=name not in SOURCES)
    elif library_name == "timm" and importlib.util.find_spec("timm"):
        found = timm.stated_preprocessing(inner)
    channels = next((value.shape[1] for value in state.values() if value.ndim == 4), 3)
    return Stated(found, f"{library_name} states for {inner}") if found and found.channels == channels else None


def coco_weights(name: str, listener: Listener = silent) -> Official:
    """A network's official weights for COCO, downloaded where they are not on this machine. Raises `WeightsError` where
    there are none or they cannot be downloaded.
    """
    return Official(*torchvision_detectors.coco_weights(name, listener))


def official_file(name: str) -> OfficialFile | None:
    """The file of a network's official ImageNet weights; None where there is none, or the library that knows it is not
    installed.
    """
    library_name, _, inner = SOURCES.get(name, name).partition("/")
    if library_name == "torchvision":
        return torchvision.official_file(inner, newest=name not in SOURCES)
    installed = library_name == "timm" and importlib.util.find_spec("timm")
    return timm.official_file(inner) if installed else None


def has_cached_weights(name: str) -> bool:
    """Whether a network's official ImageNet weights are on this machine, so that nothing is downloaded."""
    file = official_file(name)
    return file is not None and find_file(file) is not None


def rename(network: Network, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A state dict under the network's own names: names of its twin or of its library are translated, others stay.

    Raises `WeightsError` when the names are not those of the network's twin.
    """
    name = network.card.name
    if all(key in network.state_dict() for key in state):
        return state
    if torchvision_detectors.is_detector(state):
        return torchvision_detectors.rename(network, state)
    if name in torchvision.TWINS:
        return torchvision.rename(network, state)
    if name in timm.TWINS:
        return timm.rename(network, torchvision.current_names(state))
    if library_of(name):
        names = own_names(network)
        if timm.is_efficientnet_pytorch(state):
            blocks = dict.fromkeys(found[0] for key in names if (found := re.match(r"blocks\.\d+\.\d+", key)))
            state = timm.from_efficientnet_pytorch(state, list(blocks))
        return {names.get(key, key): value for key, value in torchvision.current_names(state).items()}
    return state


def _near(name: str) -> str:
    """The longest name with weights that is the beginning of this one, or begins with it; else the nearest relative."""
    akin = [known for known in SOURCES if known.startswith(name) or name.startswith(known)]
    return max(akin, key=len, default="") or next(near for start, near in _NEAR.items() if name.startswith(start))
