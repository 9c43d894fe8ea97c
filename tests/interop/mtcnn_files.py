"""MTCNN's three networks as other programs have them, with random numbers, and their files."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from tests.interop.caffe_files import Array, write_caffemodel

Program = Literal["caffe", "pytorch"]
_CAFFE_KINDS = {nn.Conv2d: "Convolution", nn.Linear: "InnerProduct", nn.PReLU: "PReLU"}
PARTS = ("pnet", "rnet", "onet")
# Widths and kernels of the convolutions, windows of the pooling after each of them (0: none), numbers that the maps
# have at the end, width of the dense layer (0: the outputs are maps), and what the last layers give.
_TABLES = {
    "pnet": (((10, 3), (16, 3), (32, 3)), (2, 0, 0), 32, 0, (2, 4)),
    "rnet": (((28, 3), (48, 3), (64, 2)), (3, 3, 0), 64 * 3 * 3, 128, (2, 4)),
    "onet": (((32, 3), (64, 3), (64, 3), (128, 2)), (3, 3, 2, 0), 128 * 3 * 3, 256, (2, 4, 10)),
}


class Part(nn.Module):
    """One of the networks. With ``transposed`` maps are flattened as columns, rows, channels, as in PyTorch's files;
    those of Caffe take a transposed image.
    """

    def __init__(self, name: str, transposed: bool) -> None:
        super().__init__()
        convolutions, self.windows, inputs, dense, outputs = _TABLES[name]
        self.transposed, self.count, channels = transposed, len(convolutions), 3
        layers = OrderedDict[str, nn.Module]()
        for number, (width, kernel) in enumerate(convolutions, 1):
            layers |= {f"conv{number}": nn.Conv2d(channels, width, kernel), f"prelu{number}": nn.PReLU(width)}
            channels = width
        last = self.count + 1
        if dense:
            layers |= {f"dense{last}": nn.Linear(inputs, dense), f"prelu{last}": nn.PReLU(dense)}
        self.dense, self.last = (last if dense else 0), last + 1 if dense else last
        for row, width in enumerate(outputs, 1):
            layers[self.row(row)] = nn.Linear(dense, width) if dense else nn.Conv2d(channels, width, 1)
        self.outputs = len(outputs)
        self.layers = nn.ModuleDict(layers)
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.7 / parameter[0].numel() ** 0.5 if parameter.ndim > 1 else 0.1)

    def row(self, row: int) -> str:
        """The name of one of the last layers."""
        return f"{'dense' if self.dense else 'conv'}{self.last}_{row}"

    def forward(self, images: Tensor) -> Tensor:
        """All numbers of a window."""
        maps = images
        for number, window in enumerate(self.windows, 1):
            maps = self.layers[f"prelu{number}"](self.layers[f"conv{number}"](maps))
            maps = nn.functional.max_pool2d(maps, window, 2, ceil_mode=True) if window else maps
        if self.dense:
            maps = (maps.permute(0, 3, 2, 1) if self.transposed else maps).flatten(1)
            maps = self.layers[f"prelu{self.dense}"](self.layers[f"dense{self.dense}"](maps))
        numbers: Tensor = torch.cat([self.layers[self.row(row)](maps) for row in range(1, self.outputs + 1)], 1)
        return numbers.flatten(1)


def write_parts(folder: Path, program: Program) -> tuple[list[Path], dict[str, Part]]:
    """The files of the three networks, in a folder, and the networks."""
    torch.manual_seed(0)
    parts = {name: Part(name, transposed=program == "pytorch") for name in PARTS}
    return [_write(folder / name, part, program) for name, part in parts.items()], parts


def _write(path: Path, part: Part, program: Program) -> Path:
    if program == "pytorch":
        state = part.layers.state_dict()
        torch.save(dict(reversed(state.items())), path.with_suffix(".pt"))  # names decide, not their order
        return path.with_suffix(".pt")
    blobs: dict[str, list[Array]] = {}
    layers = {name.replace("dense", "conv").replace("_", "-"): name for name in part.layers}
    for name, key in layers.items():
        blobs[name] = [value.detach().numpy() for value in part.layers[key].parameters()]
    kinds = {name: _CAFFE_KINDS[part.layers[key].__class__] for name, key in layers.items()}
    text = "".join(f'layer {{ name: "{name}" type: "{kind}" }}\n' for name, kind in kinds.items())
    path.with_suffix(".caffemodel").write_bytes(write_caffemodel(text, blobs))
    return path.with_suffix(".caffemodel")
