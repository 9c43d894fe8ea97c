"""Too little memory is recognized in the words of every library, and a file is not blamed for it."""

from __future__ import annotations

import errno
import mmap
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from convolve import memory
from convolve.datasets import images, masks
from convolve.datasets.images import ImageFiles
from convolve.errors import DataError, ImageError, RunError
from convolve.memory import blame_machine, describe_low_limit, lacks_memory

SENTENCES = [
    "could not create a memory object",
    "could not create a primitive",
    "[enforce fail at alloc_cpu.cpp:113] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 8",
    "unable to mmap 64 bytes from file <last.safetensors>: Cannot allocate memory (12)",
    "can't start new thread",
    "std::bad_alloc",
    "libtorch_cpu.so: failed to map segment from shared object",
    "libtorch_cpu.so: cannot allocate memory in static TLS block",
    "CUDA out of memory. Tried to allocate 2.00 GiB",
    "OpenCV(4.12.0) error: (-4:Insufficient memory) Failed to allocate 27000000 bytes in function 'OutOfMemoryError'",
    "Unable to allocate 7.45 GiB for an array with shape (1000000000,) and data type float64",
    "codec configuration error when writing image file",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_every_library_is_understood(sentence: str) -> None:
    assert lacks_memory(RuntimeError(sentence))


def test_what_led_to_an_error_counts() -> None:
    outer = RunError("It cannot be read.")
    outer.__cause__ = OSError(errno.ENOMEM, "no memory")
    assert lacks_memory(outer)
    assert lacks_memory(MemoryError())
    handled = ValueError("cut short")
    handled.__context__ = MemoryError()
    assert lacks_memory(handled)
    handled.__suppress_context__ = True  # as `from None` does
    assert not lacks_memory(handled)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("could not create a primitive descriptor for a convolution"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        OSError(errno.ENOSPC, "No space left on device"),
        ValueError("the memory format is not known"),
        None,
    ],
)
def test_other_errors_are_not_mistaken_for_it(error: Exception | None) -> None:
    assert not lacks_memory(error)


def test_the_real_errors_of_libraries_are_understood() -> None:
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(2**60, np.uint8)
    with pytest.raises(OSError, match="memory") as of_system:
        mmap.mmap(-1, 2**60)
    assert all(lacks_memory(found.value) for found in (of_torch, of_numpy, of_system))


@pytest.mark.parametrize(
    ("gpus", "flag", "megabytes", "refused"),
    [
        (True, "-v", 4100, "may take 4,100 MB of virtual memory, but PyTorch needs 4,200 MB of it"),
        (True, "-v", 4300, None),
        (False, "-v", 1500, "may take 1,500 MB of virtual memory, but PyTorch needs 1,600 MB of it"),
        (False, "-v", 1700, None),
        (False, "-d", 1000, r"may take 1,000 MB of data, .* with `ulimit -d`\.$"),
        (False, "-d", 1200, None),
    ],
)
def test_limits_are_held_against_what_libraries_need(
    gpus: bool, flag: str, megabytes: int, refused: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    limited = resource.RLIMIT_AS if flag == "-v" else resource.RLIMIT_DATA
    limits = {limited: megabytes * 10**6}
    monkeypatch.setattr(resource, "getrlimit", lambda number: (limits.get(number, resource.RLIM_INFINITY), 0))
    monkeypatch.setattr(Path, "exists", lambda path: gpus and path.name == "libtorch_cuda.so")
    sentence = describe_low_limit()
    assert sentence is None if refused is None else re.search(refused, sentence or "")


def test_a_file_is_not_blamed_for_what_the_machine_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:2000])
    files = ImageFiles(tmp_path, ("a.png", "b.png"))
    with pytest.raises(ImageError, match=r"b\.png"):
        files.read(1)
    monkeypatch.setattr(images, "read_file", _too_many_files)
    monkeypatch.setattr(masks, "read_file", _too_many_files)
    with pytest.raises(DataError, match=r"^a\.png cannot be read, since Too many open files; close other programs"):
        files.open(0)
    monkeypatch.undo()
    monkeypatch.setattr(memory, "_LARGEST_IMAGE", 2**60)
    with pytest.raises(DataError, match=r"^b\.png cannot be read, since there is not enough memory; close"):
        files.read(1)


def _too_many_files(*_: object) -> bytes:
    raise OSError(errno.EMFILE, "Too many open files")


def test_a_decoder_that_asks_for_too_much_does_not_blame_the_machine() -> None:
    blame_machine(MemoryError(), "a.png")
    blame_machine(OSError(errno.ENOENT, "No such file"), "a.png")
