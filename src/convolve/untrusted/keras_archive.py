"""Reading `.keras` files: archives of a description in JSON and of weights in HDF5, which are unpacked in memory."""

from __future__ import annotations

import os
import zipfile
from typing import IO, Final

from convolve.untrusted.compression import FREE, check_ratio
from convolve.untrusted.files import check_memory, open_file

_CONFIG: Final = "config.json"
_WEIGHTS: Final = "model.weights.h5"
_MOST_MEMBERS: Final = 10_000


def read_keras_archive(path: str | os.PathLike[str]) -> tuple[bytes, bytes]:
    """The description and the weights of a `.keras` file; no other member is read.

    Raises `OSError` and `ValueError`.
    """
    with open_file(path) as file:
        check_memory(file)
        try:
            with zipfile.ZipFile(file) as archive:
                if len(archive.infolist()) > _MOST_MEMBERS:
                    raise ValueError("it is an archive of too many files")
                length = os.fstat(file.fileno()).st_size
                return _read_member(archive, _CONFIG, length), _read_member(archive, _WEIGHTS, length)
        except (OSError, ValueError):
            raise
        except Exception as error:  # a damaged archive can raise anything
            raise ValueError("it is cut short, or damaged") from error


def _read_member(archive: zipfile.ZipFile, name: str, length: int) -> bytes:
    """A member of an archive of ``length`` bytes, of the names that occur twice the last."""
    try:
        member = archive.getinfo(name)
    except KeyError as error:
        raise ValueError(f"it has no {name}") from error
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"its {name} is compressed in another way than zip files usually are")
    check_ratio(member.file_size, length, FREE)
    with archive.open(member) as opened:
        return _read_up_to(opened, member.file_size, name)


def _read_up_to(opened: IO[bytes], size: int, name: str) -> bytes:
    content = opened.read(size + 1)
    if len(content) != size:
        raise ValueError(f"its {name} is cut short, or longer than announced")
    return content
