"""Checkpoints: one safetensors file each, with the state as JSON in its header, so that one rename commits both.

A run's `checkpoints` folder holds `last` and `previous`, from which a training goes on, and `best`, the weights that
are kept. A digest in the header finds files that a power cut has left torn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from convolve.errors import ConvolveError, RunError, TrainingError
from convolve.files import beside
from convolve.training.state import State, from_json, to_json

_LAST, _PREVIOUS, _BEST = "last.safetensors", "previous.safetensors", "best.safetensors"


@final
@dataclass(frozen=True)
class Checkpoint:
    """A state with its tensors by name, and the file that it came from."""

    state: State
    tensors: Mapping[str, Tensor]
    source: Path


def save(folder: Path, state: State, tensors: Mapping[str, Tensor]) -> None:
    """Write `last`; the one before becomes `previous`. Raises `TrainingError` when the disk is full."""
    _write(folder / _LAST, state, tensors, folder / _PREVIOUS)


def save_best(folder: Path, state: State, tensors: Mapping[str, Tensor]) -> None:
    """Write `best`: the network's weights alone. Raises `TrainingError` when the disk is full."""
    _write(folder / _BEST, state, tensors)


def load(folder: Path) -> Checkpoint | None:
    """The newest sound checkpoint, or None where there is none yet. Raises `RunError` when all are damaged."""
    for draft in folder.glob(".*.safetensors.*"):
        draft.unlink(missing_ok=True)
    present = [folder / name for name in (_LAST, _PREVIOUS) if (folder / name).is_file()]
    for place in present:
        try:
            return _read(place)
        except RunError:
            continue
    if present:
        raise RunError(f"The checkpoints in {folder} are damaged; train again, or restore them from a copy.")
    return None


def load_best(folder: Path) -> Checkpoint:
    """The weights of the best epoch. Raises `RunError` when they are missing or damaged."""
    return _read(folder / _BEST)


def _write(place: Path, state: State, tensors: Mapping[str, Tensor], previous: Path | None = None) -> None:
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = json.dumps({"digest": _digest(plain), "state": to_json(state)})
    try:
        with beside(place) as draft:
            try:
                save_file(plain, draft, metadata={"convolve": header})
            except SafetensorError as error:
                raise OSError(28, str(error)) from error
            if previous is not None and place.exists():
                place.replace(previous)
    except ConvolveError as error:
        raise TrainingError(f"{error} Then go on with: convolve train --resume {place.parent.parent}") from error


def _read(place: Path) -> Checkpoint:
    try:
        with safe_open(place, framework="pt") as file:
            header = json.loads(file.metadata()["convolve"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        state, digest = from_json(header["state"]), header["digest"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{place} cannot be read ({error}); restore it from a copy or train again.") from error
    if _digest(tensors) != digest:
        raise RunError(f"{place} is damaged: its content does not fit its digest; restore it or train again.")
    return Checkpoint(state, tensors, place)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)};".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
