"""A program of its own: it reads an HDF5 file from its standard input by h5py, and writes what is in it to its output.

`convolve.untrusted.hdf5` starts it by its path, without the rest of convolve. Its arguments are how many bytes of
memory and seconds of the processor it may take, how many bytes of numbers it may write, and the folders where h5py and
NumPy are. It writes lines of JSON: an empty object when these are loaded, one for each group and array, and one that is
the end or an error. The numbers of an array follow its line.
"""

from __future__ import annotations

import contextlib
import encodings.ascii  # noqa: F401 - NumPy needs it when no file can be opened any more
import io
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

_DEEPEST: Final = 64  # groups in one another
_FILTERS: Final = (1, 2, 3, 4, 32_000)  # gzip, shuffle, fletcher32, szip, lzf


class RefusedError(Exception):
    """Something in the file is not read."""


def main() -> None:
    """Read the file, and write what is in it."""
    memory, seconds, most = (int(argument) for argument in sys.argv[1:4])
    sys.path += sys.argv[4:]
    import h5py

    write({})
    limit_resources(memory, seconds)
    try:
        source = sys.stdin.buffer
        with h5py.File(source if source.seekable() else io.BytesIO(source.read()), "r") as file:
            for parent, name, node in iterate_nodes(file):
                array = read_array(node, most) if isinstance(node, h5py.Dataset) else None
                most -= 0 if array is None else array.nbytes
                attributes = {decode(each): read_attribute(node, each) for each in node.attrs}
                write({"parent": parent, "name": name, "attributes": attributes}, array)
        write({"end": True})
    except MemoryError:
        write({"error": "it takes more memory than its size vouches for"})
    except RefusedError as error:
        write({"error": str(error)})
    except Exception as error:  # noqa: BLE001 - h5py raises many kinds for a damaged file
        cut = re.search(r"truncated file: eof = (\d+), .*stored_eof = (\d+)", str(error))
        reason = "it is damaged: the HDF5 library cannot read it"
        write({"error": f"it is cut short: {int(cut[1]):,} of its {int(cut[2]):,} bytes are there" if cut else reason})


def limit_resources(memory: int, seconds: int) -> None:
    """Take no more than that, and open and write no further file, where the system has such limits."""
    try:
        import resource
    except ModuleNotFoundError:  # as on Windows
        return
    limits = {"AS": memory, "CPU": seconds, "CORE": 0, "FSIZE": 0, "NOFILE": 0}
    for name, most in limits.items():
        with contextlib.suppress(OSError, ValueError):  # macOS refuses some
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def write(entry: Mapping[str, Any], array: Any = None) -> None:
    """Write a line, and an array's numbers after it."""
    if array is not None:
        entry = {**entry, "type": f"{array.dtype.kind}{array.dtype.itemsize}", "shape": array.shape}
    sys.stdout.buffer.write(json.dumps(entry).encode() + b"\n")
    if array is not None and array.size:
        sys.stdout.buffer.write(array.reshape(-1).view("u1").data)
    sys.stdout.buffer.flush()


def iterate_nodes(root: Any) -> Iterator[tuple[int, str, Any]]:
    """Every group and array: how many came before its group, its name, and itself. Raises `RefusedError`."""
    import h5py

    count = 0
    waiting = [(root, "/", -1, 0)]
    while waiting:
        group, name, parent, depth = waiting.pop()
        node = group[name]
        if isinstance(node, h5py.Datatype):
            continue
        yield parent, decode(name), node
        if isinstance(node, h5py.Group):
            if depth == _DEEPEST:
                raise RefusedError(f"it has more than {_DEEPEST} groups in one another")
            names = list(node)
            for each in names:
                if not isinstance(node.get(each, getlink=True), h5py.HardLink):
                    raise RefusedError(f"{decode(each)!r} in it is a link to elsewhere, which is not followed")
            waiting += [(node, each, count, depth + 1) for each in reversed(names)]
        count += 1


def read_array(array: Any, most: int) -> Any:
    """The numbers of an array, of at most so many bytes; None for texts and other things. Raises `RefusedError`."""
    from h5py import h5d, h5t

    name, layout, dtype = repr(array.name), array.id.get_create_plist(), number_type(array.id)
    if layout.get_layout() == h5d.VIRTUAL or layout.get_external_count():
        raise RefusedError(f"the array {name} is in another file, which is not followed")
    if array.id.get_type().get_class() == h5t.REFERENCE:
        raise RefusedError(f"the array {name} is of references, which are not followed")
    for index in range(layout.get_nfilters()):
        number = layout.get_filter(index)[0]
        if number not in _FILTERS:
            raise RefusedError(f"the array {name} is packed by filter {number} of HDF5, which is not read here")
    if dtype is None:
        return None
    size = math.prod(array.shape) * dtype.itemsize
    if size > most:
        raise RefusedError(f"the array {name} announces {size:,} bytes, more than its size vouches for")
    if size and not is_written(array):
        raise RefusedError(f"the array {name} was never written, or only in part")
    return array.astype(dtype.newbyteorder("="))[...]


def number_type(values: Any) -> Any:
    """The type of an array's or an attribute's numbers, None where there are none that every machine has."""
    try:
        dtype = values.dtype
    except TypeError:  # h5py has none like it
        return None
    return dtype if dtype.kind in "biuf" and dtype.itemsize <= 8 and values.shape is not None else None


def is_written(array: Any) -> bool:
    """Whether all of an array is in the file; HDF5 takes zeros for what is not."""
    if array.chunks is None:
        return bool(array.id.get_storage_size())
    counts = (-(-side // step) for side, step in zip(array.shape, array.chunks, strict=True))
    return bool(array.id.get_num_chunks() == math.prod(counts))


def read_attribute(node: Any, name: str | bytes) -> Any:
    """A text, a number, a list of these, or None for all others."""
    from h5py import h5t

    attribute = node.attrs.get_id(name)
    if attribute.shape is not None and attribute.get_type().get_class() == h5t.STRING:
        text = node.attrs[name]
        return decode(text) if isinstance(text, str | bytes) else [decode(each) for each in text.flat]
    return None if number_type(attribute) is None else node.attrs[name].tolist()


def decode(text: str | bytes) -> str:
    """A text in UTF-8, with marks in place of what is none."""
    content = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return content.decode("utf-8", "replace")


if __name__ == "__main__":
    main()
