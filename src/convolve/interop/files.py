"""Weight files of any origin, read without running anything they hold."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from convolve.errors import WeightsError

_UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError, SafetensorError)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read a `.safetensors` file, or a `.pth`, `.pt` or `.bin` file that holds tensors by name, onto the processor.

    Raises `WeightsError` when the file is missing, damaged, or holds anything but tensors by name.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"There is no weight file {path}; check the path.")
    try:
        state: Any = load_file(path) if path.suffix == ".safetensors" else _load(path)
    except _UNREADABLE as error:
        raise WeightsError(f"{path} cannot be read as weights; fetch it again or choose another file.") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} does not hold tensors by name; save the network's state_dict alone and give that.")
    return dict(state)


def _load(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)
