"""Reading files of tensors: safetensors, and what `torch.save` writes.

The latter is a pickle next to bytes. It is read by an unpickler that knows inert stand-ins and nothing else; tensors
are then built from bytes that the file has. `torch.load` itself trusts the sizes that a file announces.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, Any, Final, NamedTuple, final

import torch
from safetensors import safe_open
from torch import Tensor

from convolve.untrusted.files import check_memory, open_file
from convolve.untrusted.pickles import check_pickle

_ZIP: Final = b"PK\x03\x04"
_MAGIC: Final = 0x1950A86A20F9469CFC6C
"""What files of before version 1.6 of PyTorch begin with."""
_MAGIC_BYTES: Final = 64
"""More than that number takes as a pickle of any version."""
_FREE: Final = 2**26
"""Numbers that tensors may repeat beyond those that the file has."""
_STORAGES: Final[Mapping[str, torch.dtype]] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "UntypedStorage": torch.uint8,
}


def read_safetensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file by name, and the texts in its header. Raises `OSError` and `ValueError`."""
    with open_file(path) as opened:  # a regular file
        check_memory(opened)
        try:
            with safe_open(path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except OSError:
            raise
        except Exception as error:  # a damaged header can raise anything
            raise ValueError(str(error)) from error


def read_torch(path: str | os.PathLike[str]) -> Any:
    """What `torch.save` has written: a dictionary with its tensors, or plain values of which nothing can be used.

    Raises `OSError`, and `ValueError` for a damaged file and for one that needs more than tensors and plain values.
    """
    with open_file(path) as file:
        check_memory(file)
        try:
            found = _read_zip(file) if file.read(len(_ZIP)) == _ZIP else _read_legacy(file)
        except (OSError, ValueError):
            raise
        except Exception as error:  # a damaged pickle or archive can raise anything
            raise ValueError(f"it is damaged: {error}") from error
    return found


class _Storage(NamedTuple):
    dtype: torch.dtype
    key: str
    length: int  # in numbers of that type


class _Part(NamedTuple):
    """A tensor before its bytes are read."""

    storage: _Storage
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@final
class _Names(dict[Any, Any]):
    """Stands for an ordered dictionary, and leaves out what a network has added to it."""

    def __setstate__(self, state: object) -> None:
        """Attributes, such as the versions of layers."""


def _part(storage: Any, offset: Any, size: Any, stride: Any, *others: Any) -> _Part:
    """A tensor; after its gradient and its hooks may follow its type, where the storage has none."""
    dtype = next((each for each in others if isinstance(each, torch.dtype)), storage.dtype)
    numbers = (offset, *size, *stride)
    if not isinstance(storage, _Storage) or not all(type(each) is int and each >= 0 for each in numbers):
        raise ValueError("a tensor in it has no size")
    return _Part(storage, dtype, offset, tuple(size), tuple(stride))


def _data_of_parameter(data: Any, *_: Any) -> Any:
    return data


_FUNCTIONS: Final[Mapping[tuple[str, str], Callable[..., Any]]] = {
    ("collections", "OrderedDict"): _Names,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor"): _part,
    ("torch._utils", "_rebuild_tensor_v2"): _part,
    ("torch._utils", "_rebuild_tensor_v3"): _part,
    ("torch._utils", "_rebuild_parameter"): _data_of_parameter,
}


@final
class _Inert(pickle.Unpickler):
    """Knows the parts of tensors as stand-ins, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name; nothing is imported. Raises `ValueError`."""
        if (module, name) in _FUNCTIONS:
            return _FUNCTIONS[module, name]
        if module in ("torch", "torch.cuda", "torch.storage"):
            found = _STORAGES.get(name) or vars(torch).get(name)
            if isinstance(found, torch.dtype):
                return found
        raise ValueError(f"it needs {module}.{name}, which is no tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage by its description. Raises `ValueError`."""
        match pid:
            case ("storage", torch.dtype() as dtype, str() as key, _, int() as count, *view) if not any(view):
                return _Storage(dtype, key, count)
        raise ValueError("it describes its tensors in an unknown way")


def _unpickle(content: bytes | bytearray, start: int = 0) -> tuple[Any, int]:
    """A value, and where its pickle ends."""
    end = check_pickle(content, start)
    return _Inert(io.BytesIO(content[start:end])).load(), end


def _read_zip(file: IO[bytes]) -> Any:
    length = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
            raise ValueError("it is compressed, which no file of tensors is")
        if len(members) < len(archive.infolist()) or sum(each.file_size for each in members.values()) > length:
            raise ValueError("its members announce more bytes than it has")
        if "constants.pkl" in members or "data.pkl" not in members:
            raise ValueError("it is an archive, but not of tensors")
        if "byteorder" in members and archive.read(members["byteorder"]) != b"little":
            raise ValueError("it was written on a machine with another order of bytes")
        value, _ = _unpickle(archive.read(members["data.pkl"]))

        def read(storage: _Storage) -> bytearray:
            return bytearray(archive.read(members[f"data/{storage.key}"]))

        return _with_tensors(value, read, length)


def _read_legacy(file: IO[bytes]) -> Any:
    file.seek(0)
    start = file.read(_MAGIC_BYTES)
    magic, end = _unpickle(start) if start.startswith(pickle.PROTO) else (None, 0)
    if magic != _MAGIC:
        raise ValueError("it is no file of tensors")
    content = bytearray(os.fstat(file.fileno()).st_size)
    file.seek(0)
    if file.readinto(content) != len(content):  # type: ignore[attr-defined]
        raise ValueError("it is cut short")
    for _ in range(2):  # the version, and the machine
        _, end = _unpickle(content, end)
    value, end = _unpickle(content, end)
    keys, end = _unpickle(content, end)
    storages = {part.storage.key: part.storage for part in _parts(value).values()}
    positions: dict[str, int] = {}
    for key in keys:
        if key not in storages:
            raise ValueError("it holds more than tensors by name")
        count = int.from_bytes(content[end : end + 8], "little")
        positions[key], end = end + 8, end + 8 + count * storages[key].dtype.itemsize
        if count != storages[key].length or end > len(content):
            raise ValueError("it is cut short, or announces other sizes than it has")

    def read(storage: _Storage) -> bytearray:
        start = positions[storage.key]
        return content[start : start + storage.length * storage.dtype.itemsize]

    return _with_tensors(value, read, len(content))


def _parts(value: Any) -> dict[Any, _Part]:
    return {key: part for key, part in value.items() if isinstance(part, _Part)} if isinstance(value, dict) else {}


def _with_tensors(value: Any, read: Callable[[_Storage], bytearray], length: int) -> Any:
    """A dictionary with its tensors; any other value as it is."""
    parts = _parts(value)
    if sum(math.prod(part.size) for part in parts.values()) > length + _FREE:
        raise ValueError("its tensors repeat more numbers than it has")
    storages: dict[str, Tensor] = {}
    tensors: dict[Any, Tensor] = {}
    for name, part in parts.items():
        storage = part.storage
        if storage.key not in storages:
            content = read(storage)
            if len(content) != storage.length * storage.dtype.itemsize:
                raise ValueError("it is cut short, or announces other sizes than it has")
            storages[storage.key] = (
                torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
            )
        flat = storages[storage.key].view(part.dtype)
        last = part.offset + sum((size - 1) * stride for size, stride in zip(part.size, part.stride, strict=True))
        if math.prod(part.size) and last >= len(flat):
            raise ValueError(f"the tensor {name} is larger than what it holds of it")
        tensors[name] = flat.as_strided(part.size, part.stride, part.offset if math.prod(part.size) else 0)
    return {**value, **tensors} if tensors else value
