"""MTCNN's weights: the authors' three files of Caffe, and those of facenet-pytorch.

The authors trained in MATLAB, whose images have rows and columns exchanged: kernels of Caffe's files are transposed,
and so are the maps that dense layers read. In facenet-pytorch's the kernels are as usual, but dense layers read maps in
the order columns, rows, channels. R-Net's file of Caffe also has a layer for points, which its definition leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from convolve import models
from convolve.errors import WeightsError
from convolve.interop.caffe import read_caffe_tensors
from convolve.interop.foreign_files import kind_of
from convolve.interop.weights import read_weights
from convolve.models import Network
from convolve.models.weights import load_weights

NAME = "mtcnn"
MEAN, STD = 0.5, 128 / 255
"""Of pixels from 0 to 1."""
_PARTS = {10: ("mtcnn_pnet", "P-Net"), 28: ("mtcnn_rnet", "R-Net"), 32: ("mtcnn_onet", "O-Net")}
"""The networks and their titles, by the width of their first convolution."""
_HOMES = {"mtcnn_pnet": "", "mtcnn_rnet": "head.refinement.", "mtcnn_onet": "head.output."}
"""Where the cascade has them."""


def read_cascade(files: Sequence[Path]) -> tuple[Network, str]:
    """The cascade with the weights of three files in any order, and where they are from. Raises `WeightsError`."""
    found: dict[str, Path] = {}
    whole: dict[str, Tensor] = {}
    for path in files:
        name, title, state = _read_part(path)
        if title in found:
            raise WeightsError(f"{path} is {title} of MTCNN, as {found[title]} is; give one file of each network.")
        found[title] = path
        whole |= {f"{_HOMES[name]}{key}": value for key, value in state.items()}
    absent = [title for _, title in _PARTS.values() if title not in found]
    if absent:
        names = ", ".join(map(str, files)) or "what is given"
        raise WeightsError(f"{absent[0]} of MTCNN is not in {names}; give the files of P-Net, R-Net and O-Net.")
    network = models.create(NAME)
    network.load_state_dict({key.replace("head.conv4.", "head.proposals."): value for key, value in whole.items()})
    program = "Caffe" if kind_of(files[0]) == "caffe" else "PyTorch"
    return network, f"{', '.join(path.name for path in files)} ({program})"


def _read_part(path: Path) -> tuple[str, str, Mapping[str, Tensor]]:
    """The name of the network that a file is of, its title, and its weights by our names. Raises `WeightsError`."""
    matlab = kind_of(path) == "caffe"
    tensors = _join_rows(read_caffe_tensors(path) if matlab else read_weights(path))
    width = len(tensors.get("conv1.weight", ()))
    if width not in _PARTS:
        raise WeightsError(
            f"{path} is none of MTCNN's three networks; give one file, the two of Caffe or of Darknet, or the files of "
            "P-Net, R-Net and O-Net."
        )
    name, title = _PARTS[width]
    network = models.create(name)
    own = {".".join(key.split(".")[-2:]): key for key in network.state_dict()}
    deepest = [*network.channels.values()][-1]
    state = {own[key]: _turn(value, deepest, matlab) for key, value in tensors.items() if key in own}
    wrong = [key for key, value in network.state_dict().items() if key not in state or state[key].shape != value.shape]
    if wrong:
        raise WeightsError(f"{path} lacks '{wrong[0]}' of MTCNN's {title}, or has it in another shape; choose another.")
    load_weights(network, state)  # raises where numbers are not finite
    return name, title, network.state_dict()


def _join_rows(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By our names, without R-Net's points; of layers that read the same map, such as `conv6-1`, `conv6-2` and
    `conv6-3`, one, with the rows of all of them.
    """
    dense = {key.rpartition(".")[0] for key, value in tensors.items() if key.endswith(".weight") and value.ndim == 2}
    parts: dict[str, list[Tensor]] = {}
    for key, value in sorted(tensors.items()):
        layer, _, kind = key.rpartition(".")
        base, _, row = layer.lower().replace("-", "_").partition("_")
        base = base.replace("conv", "dense") if layer in dense else base
        if (base, row) != ("dense5", "3"):
            parts.setdefault(f"{base}.{kind}", []).append(value)
    return {key: torch.cat(values) for key, values in parts.items()}


def _turn(value: Tensor, channels: int, matlab: bool) -> Tensor:
    """Weights for images with rows first; ``channels`` are those of the map that the first dense layer reads."""
    if value.ndim == 4:
        return value.transpose(2, 3) if matlab else value
    side = math.isqrt(value.shape[-1] // channels)
    if value.ndim != 2 or side < 2 or side**2 * channels != value.shape[1]:
        return value
    if matlab:
        return torch.unflatten(value, 1, (channels, side, side)).transpose(2, 3).flatten(1)
    return torch.unflatten(value, 1, (side, side, channels)).permute(0, 3, 2, 1).flatten(1)
