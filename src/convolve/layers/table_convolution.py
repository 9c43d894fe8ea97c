"""Convolution by a table of connections.

LeCun, Bottou, Bengio, Haffner 1998, "Gradient-based learning applied to document recognition", section II.B, layer C3
and Table I; LeCun et al. 1990, "Handwritten digit recognition with a back-propagation network", Table 1.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Table = tuple[tuple[int, ...], ...]


@final
class TableConvolution(nn.Module):
    """A convolution in which output map ``o`` sees only the input maps ``table[o]``.

    (N, channels, H, W) maps give (N, len(table), H - size + 1, W - size + 1). ``weight`` (connections, size, size) has
    one kernel per connection, in the table's order; ``bias`` one number per output. They start uniform within
    ±1 / sqrt(fan in), as torch's own. The arithmetic is a dense convolution with zeros where no connection is: eight
    and more times as fast as one convolution per group of inputs, or grouped ones.
    """

    places: Tensor
    stride = 1

    def __init__(self, channels: int, table: Table, size: int) -> None:
        super().__init__()
        self.channels, self.table, self.kernel_size = channels, table, size
        places = [output * channels + given for output, inputs in enumerate(table) for given in inputs]
        self.register_buffer("places", torch.tensor(places), persistent=False)
        kernel_fan, output_fan = self.fan_in()
        self.weight = nn.Parameter(torch.empty(len(places), size, size).uniform_(-1, 1) / kernel_fan.sqrt())
        self.bias = nn.Parameter(torch.empty(len(table)).uniform_(-1, 1) / output_fan.sqrt())

    def fan_in(self) -> tuple[Tensor, Tensor]:
        """How many values an output adds: (connections, 1, 1) for each kernel, (outputs,) for each output."""
        fans = [float(self.kernel_size**2 * len(inputs)) for inputs in self.table]
        shared = [fan for fan, inputs in zip(fans, self.table, strict=True) for _ in inputs]
        return torch.tensor(shared)[:, None, None], torch.tensor(fans)

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, outputs, H - size + 1, W - size + 1)."""
        kernels = self.weight.new_zeros(len(self.table) * self.channels, self.kernel_size, self.kernel_size)
        dense = kernels.index_copy(0, self.places, self.weight).view(-1, self.channels, *self.weight.shape[1:])
        return F.conv2d(maps, dense, self.bias)
