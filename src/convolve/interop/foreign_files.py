"""Files of other programs by their kind, and what reads each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from convolve.errors import NetworkError, WeightsError
from convolve.interop.foreign_network import ForeignNetwork
from convolve.untrusted.files import read_start

FileKind = Literal["caffe", "darknet", "torch7", "keras", "tensors", "graph"]
"""`tensors` are state dicts of PyTorch; a `graph` is what only runs, such as ONNX."""

_BY_SUFFIX: Final[Mapping[str, FileKind]] = {
    ".prototxt": "caffe",
    ".caffemodel": "caffe",
    ".cfg": "darknet",
    ".weights": "darknet",
    ".t7": "torch7",
    ".net": "torch7",
    ".h5": "keras",
    ".hdf5": "keras",
    ".keras": "keras",
    ".pth": "tensors",
    ".pt": "tensors",
    ".bin": "tensors",
    ".safetensors": "tensors",
    ".onnx": "graph",
    ".pb": "graph",
    ".tflite": "graph",
    ".xml": "graph",
}
_BEGINNINGS: Final[Sequence[tuple[bytes, FileKind]]] = (
    (b"\x89HDF\r\n\x1a\n", "keras"),
    (b"[net]", "darknet"),
    (b"PK\x03\x04", "tensors"),
    (b"\x80\x02", "tensors"),
)
EPS: Final[Mapping[str, float]] = {"Caffe": 1e-5, "Torch7": 1e-5, "Keras": 1e-3}
"""What is added to variances, by the program, where a file does not say so."""
_WITH_NETWORK: Final = ("caffe", "torch7", "keras")


def kind_of(path: Path) -> FileKind:
    """The kind of a file, by its beginning and its suffix. Raises `WeightsError` for a file that is none of them."""
    try:
        start = read_start(path, 8)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror or error}); check the path.") from error
    kind = _BY_SUFFIX.get(path.suffix.lower())
    found = next((each for beginning, each in _BEGINNINGS if start.startswith(beginning)), None)
    if kind is None and found is None:
        raise WeightsError(
            f"{path} is no file that can be converted; give one of Caffe, Darknet, Torch7, Keras or PyTorch, such as "
            ".caffemodel, .weights, .t7, .h5 or .pth."
        )
    return "keras" if found == "keras" else kind or found or "tensors"


def source_of(path: Path) -> str:
    """The program whose file it is, as a definition names it."""
    return {"caffe": "Caffe", "torch7": "Torch7"}.get(kind_of(path), "Keras")


def read_values(paths: Sequence[Path], image: tuple[int, int, int] | None = None) -> ForeignNetwork:
    """The network of a file, without its definition where that is not in it. Raises `WeightsError`, `NetworkError`."""
    try:
        return read_foreign(paths, image)
    except NetworkError:
        if len(paths) > 1 or paths[0].suffix.lower() != ".caffemodel":
            raise
    from convolve.interop.caffe import read_caffe_tensors

    return ForeignNetwork(None, read_caffe_tensors(paths[0]))


def is_foreign(path: Path) -> bool:
    """Whether a file, by its name, holds a network of another program with its values."""
    return _BY_SUFFIX.get(path.suffix.lower()) in _WITH_NETWORK


def read_foreign(paths: Sequence[Path], image: tuple[int, int, int] | None = None) -> ForeignNetwork:
    """The network of one file, or of Caffe's two in either order, for an ``image`` of (channels, height, width) where
    the file leaves that open. Raises `WeightsError`, `NetworkError`.
    """
    kind = kind_of(paths[0])
    if kind == "caffe":
        from convolve.interop.caffe import read_caffe

        texts = [path for path in paths if path.suffix.lower() == ".prototxt"]
        binaries = [path for path in paths if path not in texts]
        if len(texts) > 1 or len(binaries) > 1:
            raise WeightsError(f"{paths[1]} is another file of the same kind as {paths[0]}; give one of each.")
        return read_caffe(next(iter(texts), None), next(iter(binaries), None), image)
    if kind == "torch7":
        from convolve.interop.torch7 import read_torch7

        return read_torch7(paths[0], image)
    from convolve.interop.keras import read_keras

    return read_keras(paths[0], image)
