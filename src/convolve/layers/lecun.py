"""The layers of the LeNets.

LeCun et al. 1990, "Handwritten digit recognition with a back-propagation network"; LeCun, Bottou, Bengio, Haffner 1998,
"Gradient-based learning applied to document recognition".
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.layers.description import Leaf, sliding

Table = tuple[tuple[int, ...], ...]
"""For each output map, the input maps that it is connected to."""

AMPLITUDE = 1.7159
SLOPE = 2 / 3


@final
class ScaledTanh(nn.Module):
    """f(a) = 1.7159 tanh(2a/3), so that f(1) = 1 and f(-1) = -1, where its second derivative is largest.

    LeCun et al. 1998, section II.B ("squashing function") and appendix A.
    """

    def forward(self, sums: Tensor) -> Tensor:
        """Any shape to the same shape."""
        return AMPLITUDE * torch.tanh(SLOPE * sums)


@final
class Subsampling(nn.Module):
    """The four values of each 2x2 window added, times a coefficient, plus a bias; one of each is learned per map.

    Shape: (N, channels, H, W) -> (N, channels, H / 2, W / 2)

    It starts as the mean. The squashing function that follows in the papers is a layer of its own. LeCun et al. 1998,
    section II.B, layer S2.
    """

    kernel_size = 2
    stride = 2

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.full((channels, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, channels, H / 2, W / 2), rounded down."""
        added = F.avg_pool2d(maps, self.kernel_size) * self.kernel_size**2  # exact, for a power of two
        return added * self.weight + self.bias

    def describe(self) -> Leaf:
        """A pooling."""
        return Leaf("pooling", "sub-sampling", sliding(self))


@final
class TableConvolution(nn.Module):
    """A convolution in which output map ``o`` is connected to the input maps ``table[o]`` alone.

    (N, channels, H, W) maps give (N, len(table), H - size + 1, W - size + 1). ``weight`` (connections, size, size) has
    one kernel per connection, in the table's order; ``bias`` one number per output. They start uniform within
    ±1 / sqrt(fan in), as torch's own. It is computed as a dense convolution with zeros where there is no connection:
    at least eight times as fast as one convolution per group of inputs, or as a grouped one. LeCun et al. 1990, Table
    1; LeCun et al. 1998, section II.B, layer C3 and Table I.
    """

    positions: Tensor
    """(connections,) where each connection's kernel is among all kernels of the dense convolution."""
    stride = 1

    def __init__(self, channels: int, table: Table, size: int) -> None:
        super().__init__()
        self.channels, self.table, self.kernel_size = channels, table, size
        positions = [output * channels + source for output, sources in enumerate(table) for source in sources]
        self.register_buffer("positions", torch.tensor(positions), persistent=False)
        kernel_fan, output_fan = self.fan_in()
        self.weight = nn.Parameter(torch.empty(len(positions), size, size).uniform_(-1, 1) / kernel_fan.sqrt())
        self.bias = nn.Parameter(torch.empty(len(table)).uniform_(-1, 1) / output_fan.sqrt())

    def fan_in(self) -> tuple[Tensor, Tensor]:
        """How many values an output adds: (connections, 1, 1) for each kernel, (outputs,) for each output."""
        fans = [float(self.kernel_size**2 * len(sources)) for sources in self.table]
        of_kernels = [fan for fan, sources in zip(fans, self.table, strict=True) for _ in sources]
        return torch.tensor(of_kernels)[:, None, None], torch.tensor(fans)

    def dense_kernels(self) -> Tensor:
        """(outputs, channels, size, size) the kernels, zero where there is no connection."""
        zeros = self.weight.new_zeros(len(self.table) * self.channels, self.kernel_size, self.kernel_size)
        return zeros.index_copy(0, self.positions, self.weight).view(-1, self.channels, *self.weight.shape[1:])

    def forward(self, maps: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, outputs, H - size + 1, W - size + 1)."""
        return F.conv2d(maps, self.dense_kernels(), self.bias)

    def describe(self) -> Leaf:
        """A convolution that multiplies by the kernels of its connections alone."""
        return Leaf("convolution", "conv", sliding(self), weights=self.weight.numel())


@final
class RadialBasis(nn.Module):
    """Minus y_i = sum_j (x_j - w_ij)², the squared distance of the units to the fixed code of each class, equation 7.

    The paper's y are penalties, the least of which is the answer; negated they are scores, and the cross-entropy over
    their softmax is y_correct + log(sum_i exp(-y_i)), the paper's equation 9 without its constant j. ``weight``
    (classes, features) is a buffer: saved, but not trained. Distances are computed in float32 under bfloat16 too, whose
    steps are larger than the differences that decide. LeCun et al. 1998, equations 7 to 9.
    """

    weight: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", codes)

    def forward(self, units: Tensor) -> Tensor:
        """(N, features) to (N, classes) scores, none above 0."""
        return -(units[:, None].float() - self.weight).square().sum(2)

    def describe(self) -> Leaf:
        """A dense layer that measures distances."""
        return Leaf("dense", "RBF", weights=self.weight.numel())
