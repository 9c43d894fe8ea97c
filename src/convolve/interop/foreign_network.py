"""What a reader of another program's file gives: the network in words, its tensors, and what else the file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from convolve.models.definition import NetworkDefinition
from convolve.values import Preprocessing


@dataclass(frozen=True)
class ForeignNetwork:
    """A network of another program.

    ``tensors`` are named `LAYER.weight`, `LAYER.bias`, `LAYER.running_mean` and `LAYER.running_var` after the layers of
    the ``definition``, in PyTorch's shapes and in the layers' order; none where the file holds no values.
    A file of values alone gives no ``definition``. ``preprocessing`` and ``classes`` are those that the file names, or
    None and ().
    """

    definition: NetworkDefinition | None
    tensors: Mapping[str, Tensor]
    preprocessing: Preprocessing | None = None
    classes: tuple[str, ...] = ()
