"""A network for PyTorch itself: its weights under the names of torchvision or timm, or the network as a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from convolve.errors import ExportError, NetworkError
from convolve.interop import timm, torchvision
from convolve.interop.exportable import Exportable
from convolve.interop.programs import trace_program
from convolve.layers.design import Design
from convolve.models import Network
from convolve.models.foreign import LIBRARIES, library, library_of, own_names
from convolve.values import Preprocessing

WEIGHTS, PROGRAM = "weights.safetensors", "network.pt2"
_CLOSE = 1e-3
"""How far two results of the same network may be apart, relative to the largest."""


@dataclass(frozen=True, eq=False)
class Twin:
    """The network of a ``library`` that computes the same, its ``name`` there, and the weights under its names."""

    library: str
    name: str
    state: Mapping[str, Tensor]


def find_twin(network: Network) -> Twin | None:
    """The network of torchvision or timm that computes the same; None where there is none."""
    if network.design != Design():
        return None
    name, state = network.card.name, network.state_dict()
    inside = library_of(name)
    if inside:
        return Twin(inside, name.partition("/")[2], {key: state[own] for key, own in own_names(network).items()})
    for title, twins, names in (
        (LIBRARIES[1], torchvision.TWINS, torchvision.key_map),
        (LIBRARIES[0], timm.TWINS, timm.key_map),
    ):
        if name in twins:
            try:
                return Twin(title, twins[name], {key: state[own] for key, own in names(network).items()})
            except (KeyError, ValueError):  # another head than the twin's
                return None
    return None


def save_weights(twin: Twin, path: Path) -> None:
    """Write a twin's weights."""
    save_file({key: value.detach().cpu().contiguous() for key, value in twin.state.items()}, path)


def save_program(part: Exportable, preprocessing: Preprocessing, path: Path) -> None:
    """Write the task's module, which takes normalized images. Raises `ExportError`."""
    torch.export.save(trace_program(part, preprocessing), path)


def twin_difference(twin: Twin, network: Network, preprocessing: Preprocessing) -> float | None:
    """How far the twin's scores are from the network's, relative to the largest of these, for two images of noise; None
    where the library is not installed. Raises `ExportError` where the weights do not fit.
    """
    outputs = next(reversed([value for value in twin.state.values() if value.ndim])).shape[0]
    try:
        other = library(twin.library).build(twin.name, outputs, preprocessing.channels)
    except NetworkError:
        return None
    missing = other.load_state_dict({key: value.cpu() for key, value in twin.state.items()}, strict=False)
    absent = [key for key in missing.missing_keys if not key.startswith(("aux", "AuxLogits"))]
    if absent or missing.unexpected_keys:
        raise ExportError(
            f"The weights do not fit {twin.library}'s {twin.name}: {(absent or missing.unexpected_keys)[0]} has no "
            "counterpart; use --to openvino."
        )
    return _difference(other, network, preprocessing)


def program_difference(path: Path, part: Exportable, preprocessing: Preprocessing) -> float:
    """How far the results of a program that was written are from the module's, relative to the largest of these; where
    images may be of any size, also for those of an odd size.
    """
    program, sizes = torch.export.load(path).module(check_guards=not part.any_size), [preprocessing]
    if part.any_size:
        height, width = preprocessing.height, preprocessing.width
        sizes.append(replace(preprocessing, height=height + height // 2 + 1, width=width + width // 4 + 3))
    return max(_difference(program, part.module, size) for size in sizes)


def check_difference(difference: float | None, what: str) -> None:
    """Raise `ExportError` where results are farther apart than rounding explains."""
    if difference is not None and not difference <= _CLOSE:
        raise ExportError(f"{what} computes something else ({difference:.2g} off), and nothing was written; report it.")


def _difference(found: torch.nn.Module, expected: torch.nn.Module, preprocessing: Preprocessing) -> float:
    images = torch.randn(
        2,
        preprocessing.channels,
        preprocessing.height,
        preprocessing.width,
        generator=torch.Generator().manual_seed(0),
    )
    device = next(expected.parameters()).device
    if not isinstance(found, torch.fx.GraphModule):
        found.eval()
    with torch.inference_mode():
        pair = found(images), expected(images.to(device))
    one, other = (torch.cat([part.float().flatten().cpu() for part in _parts(each)]) for each in pair)
    return float((one - other).abs().max() / other.abs().max().clamp(min=1e-12))


def _parts(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else outputs
