"""The Open Inference Protocol, version 2, over HTTP: what KServe, Triton and their clients speak.

An export takes one input, ``images``: `UINT8` of shape (N, H, W, C), or `BYTES` of shape (N,), the bytes of N image
files of one size. Numbers may follow the JSON as raw bytes (the binary tensor data extension), and answers come so
where the request asks for it.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from convolve.datasets.images import EncodedFile, to_channels
from convolve.exports.engine import INPUT, Outputs
from convolve.serve.problems import ProblemError
from convolve.untrusted.documents import parse_json
from convolve.values import Pixels

LENGTH_HEADER: Final = "inference-header-content-length"
_MOST_PIXELS: Final = 2**28
_TYPES: Final = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP32": np.float32,
    "FP64": np.float64,
}
_NAMES: Final = {np.dtype(kind): name for name, kind in _TYPES.items()}


@dataclass(frozen=True)
class InferRequest:
    """The ``images`` (N, H, W, C) uint8 of a request, its ``id``, the ``outputs`` that it wants (all where it names
    none), and those that it wants as raw bytes, None for all.
    """

    images: Pixels
    id: str | None
    outputs: tuple[str, ...]
    binary: frozenset[str] | None


def parse_request(body: bytes, length: str | None, channels: int) -> InferRequest:
    """A request's body, whose first ``length`` bytes are JSON (all where there is no such header), with images of
    so many ``channels``. Raises `ProblemError`.
    """
    document, raw = _split(body, length)
    inputs, outputs = document.get("inputs"), document.get("outputs", [])
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise _bad(f"inputs must be a list of one tensor, {INPUT}.")
    if not isinstance(outputs, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in outputs
    ):
        raise _bad("outputs must be a list of objects with a name.")
    number = document.get("id")
    if number is not None and not isinstance(number, str):
        raise _bad("id must be text.")
    wanted = frozenset(each["name"] for each in outputs if _parameters(each).get("binary_data") is True)
    everything = _parameters(document).get("binary_data_output") is True and not outputs
    images = _images(inputs[0], raw, channels)
    return InferRequest(images, number, tuple(each["name"] for each in outputs), None if everything else wanted)


def build_response(model: str, request: InferRequest, found: Outputs) -> tuple[bytes, dict[str, str]]:
    """The body and the headers that answer a request. Raises `ProblemError` for an output that there is not."""
    names = request.outputs or tuple(found)
    for name in names:
        if name not in found:
            raise _bad(f"There is no output of the name that was asked for; the outputs are {', '.join(found)}.")
    described: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for name in names:
        values = np.ascontiguousarray(found[name])
        tensor: dict[str, Any] = {"name": name, "datatype": datatype(values.dtype), "shape": list(values.shape)}
        if request.binary is None or name in request.binary:
            raw.append(values.tobytes())
            tensor["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            tensor["data"] = values.ravel().tolist()
        described.append(tensor)
    document = {"model_name": model, "model_version": "1", "outputs": described}
    header = json.dumps(document if request.id is None else {**document, "id": request.id}).encode()
    if not raw:
        return header, {"Content-Type": "application/json"}
    headers = {"Content-Type": "application/octet-stream", LENGTH_HEADER: str(len(header))}
    return b"".join([header, *raw]), headers


def datatype(kind: np.dtype[Any]) -> str:
    """The protocol's name of a number format, such as `FP32`."""
    return _NAMES[kind]


def _split(body: bytes, length: str | None) -> tuple[Mapping[str, Any], bytes]:
    if length is not None and not (length.isdecimal() and len(length) < 12 and int(length) <= len(body)):
        raise _bad(f"{LENGTH_HEADER} must be the number of bytes of JSON at the start of the body.")
    count = len(body) if length is None else int(length)
    try:
        document = parse_json(body[:count])
    except ValueError:
        raise _bad("The body is no JSON; send an inference request of the Open Inference Protocol.") from None
    if not isinstance(document, dict):
        raise _bad("The body must be a JSON object with inputs.")
    return document, body[count:]


def _images(tensor: Mapping[str, Any], raw: bytes, channels: int) -> Pixels:
    shape, kind = tensor.get("shape"), tensor.get("datatype")
    if tensor.get("name") != INPUT:
        raise _bad(f"There is no input of that name; the input is {INPUT}.")
    if not isinstance(shape, list) or not all(type(side) is int and side > 0 for side in shape):
        raise _bad(f"The shape of {INPUT} must be a list of whole numbers from 1.")
    size = _parameters(tensor).get("binary_data_size")
    if size is not None and (type(size) is not int or size != len(raw)):
        raise _bad(f"binary_data_size of {INPUT} must be {len(raw)}, the bytes that follow the JSON.")
    if kind == "BYTES":
        if len(shape) != 1:
            raise _bad(f"The shape of {INPUT} as BYTES must be the number of images alone.")
        blobs = _elements(raw) if size is not None else _decoded(tensor.get("data"))
        if len(blobs) != shape[0]:
            raise _bad(f"{INPUT} must have as many elements as its shape says.")
        return _decode(blobs, channels)
    if kind != "UINT8" or len(shape) != 4 or shape[3] != channels:
        raise _bad(f"{INPUT} must be UINT8 of shape (N, height, width, {channels}), or BYTES of shape (N).")
    if math.prod(shape) > _MOST_PIXELS:
        raise _bad(f"{INPUT} has more than {_MOST_PIXELS} numbers; send fewer images at once.")
    values = np.frombuffer(raw, np.uint8) if size is not None else _numbers(tensor.get("data"))
    if values.size != math.prod(shape):
        raise _bad(f"{INPUT} must have as many numbers as its shape says.")
    return values.reshape(shape)


def _numbers(data: object) -> npt.NDArray[np.uint8]:
    try:
        values = np.asarray(data)
    except ValueError:
        values = np.empty(0)
    if values.dtype.kind != "i" or (values.size and (values.min() < 0 or values.max() > 255)):
        raise _bad(f"The data of {INPUT} must be whole numbers from 0 to 255.")
    return values.astype(np.uint8).ravel()


def _elements(raw: bytes) -> list[bytes]:
    """Each after its length, 4 bytes, the lowest first."""
    found: list[bytes] = []
    position = 0
    while position < len(raw):
        end = position + 4 + int.from_bytes(raw[position : position + 4], "little")
        if end > len(raw):
            raise _bad(f"An element of {INPUT} is longer than what follows the JSON.")
        found.append(raw[position + 4 : end])
        position = end
    return found


def _decoded(data: object) -> list[bytes]:
    if not isinstance(data, list) or not all(isinstance(each, str) for each in data):
        raise _bad(f"The data of {INPUT} as BYTES must be a list of base64 texts.")
    try:
        return [base64.b64decode(each, validate=True) for each in data]
    except (binascii.Error, ValueError):
        raise _bad(f"The data of {INPUT} as BYTES must be base64.") from None


def _decode(blobs: Sequence[bytes], channels: int) -> Pixels:
    images = [to_channels(EncodedFile(blob, f"image {index}").decode(), channels) for index, blob in enumerate(blobs)]
    if len({image.shape for image in images}) > 1:
        raise _bad("Images of different sizes cannot be one tensor; send each in a request of its own.")
    return np.stack(images)


def _parameters(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found = document.get("parameters", {})
    if not isinstance(found, dict):
        raise _bad("parameters must be an object.")
    return found


def _bad(sentence: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, sentence)
