"""Caffe's two kinds of file: `.prototxt`, a network as text, and `.caffemodel`, a network with its numbers in binary.

Both are messages of `google.protobuf`, which reads them; what layers of before 2014 are called is translated. Nothing
that a file names, such as another file or code in Python, is ever opened.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convolve.untrusted.caffe_messages import ENUMS, FIELDS, message_classes
from convolve.untrusted.files import check_memory, open_file, read_text

_TEXT_BYTES: Final = 2**19
"""Of a text, and of what is not numbers in a layer of a binary file."""
_LAYERS: Final = 10_000
_BLOBS: Final = 64
_MOST_AXES: Final = 32
_LONGEST: Final = 2**31 - 1
_HDF5: Final = b"\x89HDF"
_UNKNOWN: Final = re.compile(r'Message type "caffe\.(\w+)" has no field named "(\w+)"')
_LAYER_MESSAGES: Final = ("NetParameter", "LayerParameter", "V1LayerParameter", "V0LayerParameter")
OF_TRAINING: Final = (
    *("AccuracyParameter", "DataParameter", "FillerParameter", "HDF5DataParameter", "ImageDataParameter"),
    *("LossParameter", "NetStateRule", "ParamSpec"),
)
"""Messages whose fields do not change what a layer computes; programs derived from Caffe have more of them."""
_RENAMED: Final[Mapping[str, str]] = {
    "ABSVAL": "AbsVal", "ARGMAX": "ArgMax", "BNLL": "BNLL", "LRN": "LRN", "MVN": "MVN", "RELU": "ReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss", "TANH": "TanH", "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
}  # fmt: skip
"""Kinds of layers of before 2014 that are not called today what their words make."""

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class CaffeLayer:
    """A layer: its name, its kind as layers are called today, and the names of what it takes and gives.

    ``fields`` are all others that the file sets, messages as mappings, repeated ones as tuples, and words of
    enumerations as texts. ``blobs`` are its numbers, all of them finite. ``unknown`` names its parameters that have
    fields that are not Caffe's.
    """

    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    fields: Mapping[str, Any]
    blobs: tuple[Array, ...] = ()
    unknown: tuple[str, ...] = ()

    def parameters(self, name: str) -> Mapping[str, Any]:
        """The options of the layer in one of its messages; none where the file sets none."""
        found: Mapping[str, Any] = self.fields.get(name, {})
        return found


@dataclass(frozen=True)
class CaffeNetwork:
    """The ``layers`` of a file, at least one, and its other ``fields``, such as the sizes of its inputs."""

    name: str
    fields: Mapping[str, Any]
    layers: tuple[CaffeLayer, ...]


def read_prototxt(path: str | os.PathLike[str]) -> CaffeNetwork:
    """The network that a text describes. Raises `OSError`, `ValueError`, and `ImportError` without protobuf."""
    from google.protobuf import text_format

    text = read_text(path, _TEXT_BYTES)
    network = message_classes()["NetParameter"]()
    try:
        try:
            text_format.Parse(text, network)
        except text_format.ParseError as error:
            unknown = _UNKNOWN.search(str(error))
            if not unknown or unknown[1] not in (*_LAYER_MESSAGES, *OF_TRAINING):
                raise
            network.Clear()
            text_format.Parse(text, network, allow_unknown_field=True)
    except text_format.ParseError as error:
        raise ValueError(_describe(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    layers = [(message, "LayerParameter") for message in network.layer]
    layers += [(message, "V1LayerParameter") for message in network.layers]
    _check_count(len(layers))
    network.ClearField("layer")
    network.ClearField("layers")
    return _network(network, [_layer(message, name, ()) for message, name in layers])


def read_caffemodel(path: str | os.PathLike[str]) -> CaffeNetwork:
    """The network of a binary file with its numbers. Raises `OSError`, `ValueError`, and `ImportError` without
    protobuf.
    """
    rest, stored = _take_apart(path)
    layers = []
    while stored:
        content, name = stored.pop()
        message = _parse("StoredV1Layer" if name == "V1LayerParameter" else "StoredLayer", content)
        del content
        blobs = list(message.blobs)
        message.ClearField("blobs")
        parameters = message.SerializeToString()
        del message
        if len(parameters) > _TEXT_BYTES or len(blobs) > _BLOBS:
            raise ValueError("one of its layers has more than any layer has")
        layers.append(_layer(_parse(name, parameters), name, _read_blobs(blobs)))
    if len(rest) > _TEXT_BYTES:
        raise ValueError("it holds more than layers")
    return _network(_parse("NetParameter", rest), layers)


def _take_apart(path: str | os.PathLike[str]) -> tuple[bytes, list[tuple[bytes, str]]]:
    """What is not layers of a binary file, and its layers in reverse with the names of their messages."""
    with open_file(path) as file:
        check_memory(file)
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise ValueError("it holds more than the 2 GB that Caffe's files can have")
    if content.startswith(_HDF5):
        raise ValueError("it is HDF5, which is not read here; save it as a binary .caffemodel by Caffe")
    network = _parse("StoredNetwork", content)
    del content
    _check_count(len(network.layer) + len(network.layers))
    layers = [(layer, "LayerParameter") for layer in network.layer]
    layers += [(layer, "V1LayerParameter") for layer in network.layers]
    network.ClearField("layer")
    network.ClearField("layers")
    return network.SerializeToString(), layers[::-1]


def _parse(name: str, content: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return message_classes()[name].FromString(content)
    except (DecodeError, ValueError) as error:
        raise ValueError("it is damaged, cut short, or no .caffemodel") from error


def _check_count(count: int) -> None:
    if not 1 <= count <= _LAYERS:
        raise ValueError(f"it has {count:,} layers, and must have 1 to {_LAYERS:,}; a solver's file is no network")


def _describe(error: Any) -> str:
    """A parser's error in one line, without the names that the messages have here."""
    text = re.sub(r"^\d+:\d+ : ", "", str(error)).replace("caffe.", "").replace(".Value", "").rstrip(".")
    return f"line {error.GetLine()}: {text[:300]}" if error.GetLine() else text[:300]


def _network(message: Any, layers: Sequence[CaffeLayer]) -> CaffeNetwork:
    fields, _ = _to_fields(message, "NetParameter")
    return CaffeNetwork(fields.pop("name", ""), fields, tuple(layers))


def _layer(message: Any, name: str, blobs: tuple[Array, ...]) -> CaffeLayer:
    fields, unknown = _to_fields(message, name)
    if "layer" in fields:
        raise ValueError("it is in the format of Caffe's first months; upgrade it by Caffe's upgrade_net_proto tools")
    kind = fields.pop("type", "")
    if name == "V1LayerParameter":
        kind = _RENAMED.get(kind, kind.title().replace("_", ""))
    bottoms, tops = fields.pop("bottom", ()), fields.pop("top", ())
    return CaffeLayer(fields.pop("name", ""), kind, bottoms, tops, fields, blobs, unknown)


def _to_fields(message: Any, name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The fields that a message sets, and the names of messages in it that set others than Caffe's."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    unknown = [name] if name not in _LAYER_MESSAGES and len(UnknownFieldSet(message)) else []
    found: dict[str, Any] = {}
    for field in FIELDS[name]:
        if not (len(getattr(message, field.name)) if field.repeated else message.HasField(field.name)):
            continue
        values = getattr(message, field.name) if field.repeated else [getattr(message, field.name)]
        if field.kind in ENUMS:
            words = {number: word for word, number in ENUMS[field.kind].items()}
            values = [words[value] for value in values]
        elif field.kind in FIELDS:
            parts = [_to_fields(value, field.kind) for value in values]
            unknown += [each for _, names in parts for each in names]
            values = [part for part, _ in parts]
        elif field.kind == "string" and any(isinstance(value, bytes) for value in values):
            raise ValueError(f"one of its {field.name}s is no text in UTF-8")
        elif field.kind == "float":  # 0.1 as it is written, rather than the 0.10000000149 that is nearest to it
            values = [float(str(np.float32(value))) for value in values]
        found[field.name] = tuple(values) if field.repeated else values[0]
    return found, tuple(unknown)


def _read_blobs(contents: list[bytes]) -> tuple[Array, ...]:
    """The arrays of a layer; each content is let go as soon as it is read."""
    contents.reverse()
    arrays = []
    while contents:
        arrays.append(_read_blob(contents.pop()))
    return tuple(arrays)


def _read_blob(content: bytes) -> Array:
    blob = _parse("StoredBlob", content)
    shape = _shape(blob)
    if blob.data or blob.double_data:
        kind, chunks = ("<f4", blob.data) if blob.data else ("<f8", blob.double_data)
        del content
        packed = b"".join(chunks)
        if len(packed) % int(kind[-1]):
            raise ValueError("it is damaged: its numbers have no whole number of bytes")
        del blob, chunks
        numbers = np.frombuffer(packed, kind)
    else:  # each number by itself, as some programs write them
        scattered = _parse("ScatteredBlob", content)
        found = scattered.data or scattered.double_data
        numbers = np.fromiter(found, np.float64, len(found))
    with np.errstate(over="ignore"):
        array = numbers.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError("it holds numbers that are not finite")
    shape = (len(array),) if shape is None else shape
    if math.prod(shape) != len(array):
        raise ValueError(f"it announces {math.prod(shape):,} numbers where it holds {len(array):,}")
    return array.reshape(shape)


def _shape(blob: Any) -> tuple[int, ...] | None:
    """A blob's sizes; None where the file does not say them."""
    if blob.HasField("shape"):
        shape = tuple(_parse("BlobShape", blob.shape[: _MOST_AXES * 10 + 10]).dim)
    elif any(blob.HasField(name) for name in ("num", "channels", "height", "width")):
        shape = (blob.num, blob.channels, blob.height, blob.width)
    else:
        return None
    if len(shape) > _MOST_AXES or min(shape, default=0) < 0:
        raise ValueError("one of its arrays has sizes that no array has")
    return shape
