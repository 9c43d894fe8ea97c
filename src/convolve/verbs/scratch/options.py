"""The options of `convolve scratch`."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

OperationName = Literal[
    "size", "conv2d", "conv1d", "pool", "affine", "maxout", "activation", "dropout", "batchnorm", "layernorm", "lrn",
    "softmax", "hinge", "l1", "l2", "filters",
]  # fmt: skip
Kind = Literal["max", "min", "average", "sigmoid", "tanh", "relu", "leaky relu", "elu", "paper", "caffe"]
_SIGNED = Parameter(allow_leading_hyphen=True)  # numbers may begin with a minus


@dataclass(frozen=True)
class Scratch:
    """Show how a layer computes, value by value, forward and backward; or filter a photograph."""

    operation: OperationName | None = None
    """Operation to compute; without it and without --input, the lectures' worked examples are listed."""
    _: KW_ONLY
    example: str | None = None
    """Worked example from the lectures; other options override its own."""
    input: Annotated[str | None, _SIGNED] = None
    """Matrix such as "1 2; 3 4" (rows separated by ; or /, channels by |), a .csv or .npy file, or a photograph. For
    affine, maxout, softmax, hinge, batchnorm and layernorm each row is an example; for lrn each row is a position and
    each column a channel; for size: rows and columns."""
    kernel: Annotated[str | None, _SIGNED] = None
    """Convolution kernel (filters separated by ||, for conv1d by |), weights of affine or maxout (pieces separated by
    |), γ of a normalization, dropout mask, or window size for size; written like --input."""
    bias: Annotated[str | None, _SIGNED] = None
    """Bias of a convolution, of affine or of maxout (one row per piece), or β of a normalization; default: none."""
    target: Annotated[str | None, _SIGNED] = None
    """Target of a loss: for softmax and hinge the true class of each row, counted from 1; for l1 and l2 a matrix."""
    stride: int | None = None
    """Stride of the window; default: 1, for pooling the window size."""
    padding: int | None = None
    """Zeros added on each side of the input; default: 0."""
    dilation: int | None = None
    """Spacing between kernel elements; default: 1."""
    groups: int | None = None
    """Number of groups that channels and filters are divided into; default: 1."""
    kind: Kind | None = None
    """Pooling (max, min, average; default: max), activation (default: relu), or constants of lrn (paper, caffe;
    default: paper)."""
    size: int | None = None
    """Side of the pooling window (default: 2), or number of channels that lrn sums over (default: 5)."""
    probability: float | None = None
    """Probability of dropout; default: 0.5."""
    backward: bool | None = None
    """Also compute the gradients."""
    delta: Annotated[str | None, _SIGNED] = None
    """Gradient of the loss with respect to the output; default: ones."""
    page: Path | None = None
    """Write an HTML page: the animated calculation, or the filtered photograph."""
