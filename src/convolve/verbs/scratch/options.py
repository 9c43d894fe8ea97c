"""What a person may say to `convolve scratch`."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

Operation = Literal[
    "size", "conv2d", "conv1d", "pool", "affine", "maxout", "activation", "dropout", "batchnorm", "layernorm", "lrn",
    "softmax", "hinge", "l1", "l2", "filters",
]  # fmt: skip
Kind = Literal["max", "min", "average", "sigmoid", "tanh", "relu", "leaky relu", "elu", "paper", "caffe"]
_SIGNED = Parameter(allow_leading_hyphen=True)  # numbers may begin with a minus


@dataclass(frozen=True)
class Scratch:
    """Show every sum of a layer, forward and backward; or the classic filters on a photograph."""

    operation: Operation | None = None
    """What to work out; without it, and without an input, the lectures' worked examples are listed."""
    _: KW_ONLY
    example: str | None = None
    """A worked example of the lectures; other options change it."""
    input: Annotated[str | None, _SIGNED] = None
    """Matrix such as "1 2; 3 4" (rows end with ; or /, channels with |), a .csv or .npy file, or a photograph. For lrn
    a row is a place and a column a channel; for affine, maxout, softmax, hinge and the normalizations a row is an
    example; size takes rows and columns."""
    kernel: Annotated[str | None, _SIGNED] = None
    """Kernel of a convolution (filters apart by ||, of conv1d by |), weights of affine or maxout (pieces apart by |), γ
    of a normalization, mask of dropout, size of the window; written as the input is."""
    bias: Annotated[str | None, _SIGNED] = None
    """Bias of a convolution, of affine or of maxout (a row for each piece), β of a normalization; none by default."""
    target: Annotated[str | None, _SIGNED] = None
    """Of softmax and hinge the true class of each row, counted from 1; of l1 and l2 the numbers wanted."""
    stride: int | None = None
    """From one place of the window to the next; 1 by default, and the size where it pools."""
    padding: int | None = None
    """Zeros around the input; 0 by default."""
    dilation: int | None = None
    """From one value that the kernel meets to the next; 1 by default."""
    groups: int | None = None
    """Equal parts that channels and filters fall into, each seeing its own; 1 by default."""
    kind: Kind | None = None
    """How to pool (max, min, average), which activation, or whose constants of lrn (paper, caffe); max, relu and paper
    by default."""
    size: int | None = None
    """Side of the window that pools, 2 by default; channels that lrn looks at, 5 by default."""
    share: float | None = None
    """Share that dropout drops, by which what stays is made larger; 0.5 by default."""
    backward: bool | None = None
    """Go back, too: where the slope of the loss flows."""
    delta: Annotated[str | None, _SIGNED] = None
    """Slope of the loss along each output, from which to go back; ones by default."""
    page: Path | None = None
    """Write it as an HTML page with the animation, or with the filtered pictures."""
