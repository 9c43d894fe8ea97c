"""Reading HDF5 files of arrays and texts by h5py, in a process of its own with bounds: a damaged file can let the HDF5
library crash, or compute without an end.

Nothing outside of the file is followed: neither links nor arrays in other files nor references to objects.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final, cast, final

import numpy as np
import numpy.typing as npt

from convolve.errors import WeightsError
from convolve.untrusted.compression import check_ratio, vouched_bytes
from convolve.untrusted.documents import parse_json
from convolve.untrusted.fields import as_dict, as_list, as_whole
from convolve.untrusted.files import check_memory, open_file

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
"""With what a file begins."""
CHILD: Final = Path(__file__).with_name("hdf5_child.py")
"""The program that calls h5py."""
_ENVIRONMENT: Final = {"HDF5_PLUGIN_PRELOAD": "::", "OPENBLAS_NUM_THREADS": "1"}  # no plugins, and little memory
_LIBRARIES: Final = ("h5py", "numpy")
_MOST_OBJECTS: Final = 50_000
_MOST_AXES: Final = 32
_LONGEST_SIDE: Final = 2**48
_MEMORY: Final = 2**30  # bytes of the process, beyond twice those of the file
_SECONDS: Final = 5  # of the processor, and a further one for each so many bytes
_BYTES_A_SECOND: Final = 2**22
_PATIENCE: Final = 24  # times as many seconds on the clock, since a machine can be busy
_TYPES: Final = re.compile("b1|[iu][1248]|f[248]")
_CRASHED: Final = "it is damaged: the HDF5 library crashed on it, or found no end"


@final
@dataclass(frozen=True)
class Hdf5Node:
    """A group, with ``links`` to what is in it, or an ``array`` of numbers; a node with neither holds something else.

    Its ``attributes`` are texts, numbers, flat lists of texts, lists of numbers, and None for all others.
    """

    links: dict[str, Hdf5Node]
    attributes: Mapping[str, Any]
    array: npt.NDArray[Any] | None

    def child(self, name: str) -> Hdf5Node | None:
        """The group or array of this name, which may be a path, if it is there."""
        node: Hdf5Node | None = self
        for part in name.split("/"):
            node = node.links.get(part) if node else None
        return node


def read_hdf5(path: str | os.PathLike[str]) -> Hdf5Node:
    """The outermost group of a file. Raises `OSError`, `ValueError`, and `WeightsError` where h5py is not installed."""
    with open_file(path) as file:
        check_memory(file)
        return _read(file, os.fstat(file.fileno()).st_size)


def parse_hdf5(content: bytes) -> Hdf5Node:
    """The same for the content of a file."""
    return _read(content, len(content))


def _read(source: IO[bytes] | bytes, length: int) -> Hdf5Node:
    seconds = _SECONDS + length // _BYTES_A_SECOND
    bounds = map(str, (_MEMORY + 2 * length, seconds, vouched_bytes(length)))
    with subprocess.Popen(
        [sys.executable, "-I", "-S", os.fspath(CHILD), *bounds, *map(_folder_of, _LIBRARIES)],
        stdin=subprocess.PIPE if isinstance(source, bytes) else source,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_ENVIRONMENT},
    ) as process:
        late = threading.Event()
        timer = threading.Timer(_PATIENCE * seconds, _end, (process, late))
        timer.start()
        try:
            output = cast("io.BufferedReader", process.stdout)
            if output.readline(8) != b"{}\n" and not late.is_set():
                raise WeightsError("h5py cannot be loaded; run `pip install --force-reinstall h5py numpy`.")
            if process.stdin and isinstance(source, bytes):
                with contextlib.suppress(OSError), process.stdin:  # which breaks where the process has ended
                    process.stdin.write(source)
            return _receive(output, length)
        except EOFError:
            busy = f"it was not read within {_PATIENCE * seconds} s; try again when the machine has less to do"
            raise ValueError(busy if late.is_set() else _CRASHED) from None
        finally:
            timer.cancel()
            process.kill()


def _end(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    """End a process that takes too long, and note it."""
    late.set()
    process.kill()


def _folder_of(library: str) -> str:
    """Where a library is; it is not imported here. Raises `WeightsError` where it is not installed."""
    found = find_spec(library)
    if found is None or found.origin is None:
        raise WeightsError(f"{library} is not installed; run `pip install 'convolve[convert]'`.")
    return os.fspath(Path(found.origin).parents[1])


def _receive(output: io.BufferedReader, length: int) -> Hdf5Node:
    """What the process writes. It is not trusted: raises `ValueError` for what it cannot have read in such a file, and
    `EOFError` where it ends before it says so.
    """
    nodes: list[Hdf5Node] = []
    taken = 0
    while len(nodes) <= _MOST_OBJECTS:
        line = output.readline(vouched_bytes(length) - taken + 1)
        taken += len(line)
        check_ratio(taken, length)
        if not line.endswith(b"\n"):
            raise EOFError
        entry = as_dict(parse_json(line))
        if "error" in entry:
            raise ValueError(" ".join(str(entry["error"]).split()))
        if "end" in entry and nodes:
            return nodes[0]
        array = _receive_array(entry, output, taken, length) if "type" in entry else None
        taken += 0 if array is None else array.nbytes
        node = Hdf5Node({}, as_dict(entry.get("attributes")), array)
        if nodes:
            parent = nodes[as_whole(entry.get("parent"), 0, len(nodes) - 1)]
            if parent.links.setdefault(str(entry.get("name")), node) is not node:
                raise ValueError("it is damaged: two things in it have the same name")
        nodes.append(node)
    raise ValueError("it has more groups and arrays than any network")


def _receive_array(entry: Mapping[str, Any], output: io.BufferedReader, taken: int, length: int) -> npt.NDArray[Any]:
    """The numbers that follow a line, in a file of ``length`` bytes from which as many as ``taken`` came before."""
    kind, shape = str(entry["type"]), [as_whole(side, 0, _LONGEST_SIDE) for side in as_list(entry.get("shape"))]
    if not _TYPES.fullmatch(kind) or len(shape) > _MOST_AXES:
        raise ValueError("it has numbers of no usual type")
    dtype = np.dtype(kind)
    check_ratio(taken + math.prod(shape) * dtype.itemsize, length)
    array = np.empty(shape, dtype)
    if array.size and output.readinto(array.reshape(-1).view("u1").data) != array.nbytes:
        raise EOFError
    return array
