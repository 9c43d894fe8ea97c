"""The files of official weights: those on this machine, and one that is fetched ahead."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convolve.errors import WeightsError
from convolve.progress import Listener

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class WeightFile:
    """A network's file: its size in ``bytes``, its path, and the ``source`` that it was published at."""

    network: str
    bytes: int
    path: Path
    source: str


@dataclass(frozen=True)
class WeightFiles:
    """Files of official weights on this machine, and where they are looked for."""

    files: tuple[WeightFile, ...]
    folders: tuple[Path, ...]

    def as_json(self) -> dict[str, Any]:
        """`weights`: each file's `network`, `bytes`, `path` and `source`; and the `folders` that are searched."""
        files = [dataclasses.asdict(file) | {"path": str(file.path)} for file in self.files]
        return {"weights": files, "folders": [str(folder) for folder in self.folders]}

    def _repr_html_(self) -> str:
        from convolve.console import to_html

        return to_html(render(self))


def find_all() -> WeightFiles:
    """All official weights on this machine: of our networks, of torchvision's and of timm's."""
    from convolve.interop.official_files import find_file, weight_folders
    from convolve.interop.torchvision_detectors import TWINS as DETECTORS
    from convolve.interop.torchvision_detectors import official_file as coco_file
    from convolve.interop.weights import SOURCES, official_file
    from convolve.models.foreign import LIBRARIES, library

    names = list(SOURCES)
    names += [f"{name}/{inner}" for name in LIBRARIES if find_spec(name) for inner in library(name).names()]
    found: dict[Path, WeightFile] = {}
    files = [*((name, official_file(name)) for name in names), *((name, coco_file(name)) for name in DETECTORS)]
    for name, file in files:
        path = find_file(file) if file else None
        if file and path and path not in found:
            found[path] = WeightFile(name, path.stat().st_size, path, file.address)
    return WeightFiles(tuple(found.values()), weight_folders())


def fetch(name: str, listener: Listener) -> WeightFiles:
    """Fetch a network's official weights, unless they are here. Raises `WeightsError` where there are none, they cannot
    be fetched, or the file that is here is damaged; `NetworkError` for an unknown network.
    """
    from convolve import models
    from convolve.interop.official_files import check_file, fetch_file, find_file, torch_cache, weight_folders
    from convolve.interop.weights import imagenet_weights, official_file

    official = models.card(name).classifier or name
    file = official_file(official)
    if file is None:  # which is refused with advice, or is in a format that only its library reads
        source = imagenet_weights(official, listener).source
        raise WeightsError(f"{source} has weights in a cache of its own; train with --weights imagenet.")
    try:
        path = find_file(file) or fetch_file(file, listener)
    except OSError as error:
        raise WeightsError(
            f"The weights of {name} cannot be fetched ({error}); put {file.address} into {torch_cache()} by hand, as "
            f"{file.name}."
        ) from error
    check_file(path)
    return WeightFiles((WeightFile(name, path.stat().st_size, path, file.address),), weight_folders())


def render(result: WeightFiles) -> Iterator[RenderableType]:
    """A table with one file per row, and the folders that are searched."""
    from rich.table import Table

    if result.files:
        table = Table("network", box=None, header_style="bold")
        table.add_column("MB", justify="right")
        table.add_column("path", overflow="fold")
        table.add_column("source", overflow="fold")
        for file in result.files:
            table.add_row(file.network, f"{file.bytes / 1e6:,.0f}", str(file.path), file.source)
        yield table
    else:
        yield "No official weights are on this machine; `convolve networks NAME --fetch` fetches some."
    yield f"searched: {', '.join(map(str, result.folders))}, and the cache of the Hugging Face hub"
