"""Files of tensors: the same tensors as PyTorch reads, and one kind of error for all that is damaged or forged."""

from __future__ import annotations

import os
import random
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from convolve.untrusted import files
from convolve.untrusted.weights import read_safetensors, read_torch

TYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8),
    *(torch.uint8, torch.bool, torch.complex64, torch.complex128),
)
WHOLE = torch.arange(24.0).reshape(2, 3, 4)
STATE: dict[str, Tensor] = {
    **{str(kind): torch.arange(5).to(kind) for kind in TYPES},
    "scalar": torch.tensor(1.5),
    "empty": torch.empty(0, 3),
    "view": WHOLE[:, 1],
    "other view of the same": WHOLE[1].T,
    "repeated": torch.tensor([1.0]).expand(3, 4),
    "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "parameter": nn.Parameter(torch.tensor([3.0])),
}


def write(path: Path, state: Any, *, legacy: bool = False) -> Path:
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    return path


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files with holes, which take no room on the disk."""
    path = tmp_path / "a.pth"
    path.write_bytes(b"\x80\x02}q\0.")
    os.truncate(path, 3 * 2**30)
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="it is no file of tensors"):
        read_torch(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**16  # KiB
    os.truncate(path, 2**43)
    for read in (read_torch, read_safetensors):
        with pytest.raises(OSError, match="more than the memory has free"):
            read(path)
    monkeypatch.setattr(files, "_MEMORY", tmp_path / "none")  # as on other systems
    with pytest.raises(ValueError, match="it is no file of tensors"):
        read_torch(path)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_old_files_of_every_version_of_pickles_are_read(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": WHOLE}, path, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    assert torch.equal(read_torch(path)["a"], WHOLE)


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_are_those_that_torch_reads(tmp_path: Path, legacy: bool) -> None:
    more = (
        {} if legacy else {"unsigned": torch.arange(3).to(torch.uint16), "bytes": torch.ones(3).to(torch.float8_e5m2)}
    )
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    for state in (STATE | more, OrderedDict(STATE), network.state_dict()):
        path = write(tmp_path / "a.pth", state, legacy=legacy)
        found, expected = read_torch(path), torch.load(path, weights_only=True)
        assert list(found) == list(expected)
        for name, tensor in expected.items():
            assert (found[name].dtype, found[name].stride()) == (tensor.dtype, tensor.stride()), name
            assert (
                found[name].numpy(force=True).tobytes() == tensor.numpy(force=True).tobytes()
                if (tensor.dtype not in (torch.bfloat16, torch.float8_e5m2))
                else torch.equal(found[name].float(), tensor.float())
            )
    assert found["0.weight"].shape == (2, 1, 3, 3)


def test_what_is_no_dictionary_of_tensors_comes_as_plain_values(tmp_path: Path) -> None:
    assert read_torch(write(tmp_path / "a.pth", [1, "two", None])) == [1, "two", None]
    found = read_torch(write(tmp_path / "a.pth", {"epoch": 3, "state_dict": STATE}))
    assert found["epoch"] == 3


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("value", [os.system, nn.Linear(2, 2), {"a": Path("a")}])
def test_what_needs_more_than_tensors_is_refused(tmp_path: Path, value: Any, legacy: bool) -> None:
    path = write(tmp_path / "a.pth", value, legacy=legacy)
    with pytest.raises(ValueError, match=r"it needs \S+, which is no tensor|in an unknown way"):
        read_torch(path)


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(f"archive/{name}", content)
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name.partition("/")[2]: file.read(name) for name in file.namelist()}


def pickled(*values: tuple[int, int, int, int]) -> bytes:
    """Of tensors by name: numbers in the storage, offset, size and stride of each."""
    found = b"\x80\x02}("
    for number, (count, *numbers) in enumerate(values):
        key = b"X\x01\x00\x00\x00%d" % number
        storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n" + key + b"X\x03\x00\x00\x00cpu" + _long(count)
        offset, size, stride = map(_long, numbers)
        found += key + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"tQ" + offset
        found += size + b"\x85" + stride + b"\x85" + b"\x89ccollections\nOrderedDict\n)RtR"
    return found + b"u."


def _long(number: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", number)


def test_the_forged_pickle_is_one_that_torch_reads(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.pth", {"data.pkl": pickled((4, 1, 3, 1)), "data/0": bytes(16), "version": b"3\n"})
    assert read_torch(path)["0"].shape == torch.load(path, weights_only=True)["0"].shape == (3,)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((5, 0, 4, 1), "announces other sizes"),
        ((2**40, 0, 4, 1), "announces other sizes"),
        ((3, 0, 3, 1), "announces other sizes"),
        ((4, 0, 5, 1), "larger than what it holds"),
        ((4, 1, 4, 1), "larger than what it holds"),
        ((4, 0, 4, 2), "larger than what it holds"),
        ((4, 2**62, 4, 1), "larger than what it holds"),
        ((4, -1, 4, 1), "has no size"),
        ((4, 0, -4, 1), "has no size"),
        ((4, 3, 4, -1), "has no size"),
        ((4, 0, 2**40, 0), "repeat more numbers"),
    ],
)
def test_forged_sizes_are_refused(tmp_path: Path, numbers: tuple[int, int, int, int], words: str) -> None:
    path = archive(tmp_path / "a.pth", {"data.pkl": pickled(numbers), "data/0": bytes(16)})
    with pytest.raises(ValueError, match=words):
        read_torch(path)


def test_forged_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    good = members(write(path, STATE))
    cases = {
        "another order of bytes": good | {"byteorder": b"big"},
        "not of tensors": good | {"constants.pkl": b""},
        "nested too deeply": good | {"data.pkl": b"\x80\x02}N" + b"\x85" * 100_000 + b"Ns."},
        "more bytes than it has": good | {"data.pkl": b"\x80\x02X\xff\xff\xff\xffa."},
        "an archive, but not": {"version": b"3"},
    }
    for words, content in cases.items():
        with pytest.raises(ValueError, match=words):
            read_torch(archive(path, content))
    with pytest.raises(ValueError, match="compressed"):
        read_torch(archive(path, {**good, "data/0": bytes(2**30)}, zipfile.ZIP_DEFLATED))
    archive(path, good)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[whole.rindex(b"PK\x01\x02") :])  # two directories
    with pytest.raises(ValueError, match=r"."):
        read_torch(path)


def test_forged_legacy_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.pth", {"a": torch.zeros(4)}, legacy=True)
    content = path.read_bytes()
    for damaged in (
        content[:-1],
        content[:-17] + b"\5" + content[-16:],
        content[:40],
        content.replace(b"Float", b"Doubl"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"."):
            read_torch(path)


@given(data=st.data(), legacy=st.booleans())
def test_flipped_bits_are_an_error_of_the_kind(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, legacy: bool
) -> None:
    path = write(
        tmp_path_factory.mktemp("flipped") / "a.pth", {"a": torch.zeros(4), "b": torch.ones(2, 2)}, legacy=legacy
    )
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        bit = data.draw(st.integers(0, 8 * len(content) - 1))
        content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    try:
        read_torch(path)
    except (OSError, ValueError) as error:
        assert str(error)  # noqa: PT017


def test_safetensors_come_with_their_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {"a": torch.arange(3.0), "b": torch.tensor(True)}
    save_file(tensors, path, metadata={"x": "y"})
    found, texts = read_safetensors(path)
    assert texts == {"x": "y"}
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
    content, draw = path.read_bytes(), random.Random(3)
    for damaged in (b"", content[:-1], content[:7], b"\xff" * 16, struct.pack("<Q", 2**40) + content[8:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"."):
            read_safetensors(path)
    for _ in range(300):
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        try:
            read_safetensors(path)
        except ValueError as error:
            assert str(error)  # noqa: PT017


def test_what_is_no_file_is_an_os_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for read in (read_torch, read_safetensors):
        for name in ("pipe", "missing", "."):
            with pytest.raises(OSError, match=r"."):
                read(tmp_path / name)
