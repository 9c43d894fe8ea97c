from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from convolve.errors import WeightsError
from convolve.interop.weights import read_weights

STATE = {"first.weight": torch.arange(6.0).reshape(2, 3), "first.bias": torch.tensor([1.5, -2])}


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "weights.pt"])
def test_tensors_by_name_come_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path)
    found = read_weights(path)
    assert list(found) == sorted(found) or list(found) == list(STATE)
    assert all(torch.equal(found[key], value) for key, value in STATE.items())
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(WeightsError, match=r"weights\.\w+ cannot be read as weights \(.+\); download it again"):
        read_weights(str(path))


@pytest.mark.parametrize("name", ["empty.safetensors", "empty.pth"])
@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x00" * 64])
def test_what_is_no_weight_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        read_weights(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"There is no weight file .*gone\.pth"):
        read_weights(tmp_path / "gone.pth")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3, "state_dict": STATE}, {0: torch.ones(1)}])
def test_anything_but_tensors_by_name_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="does not hold tensors by name"):
        read_weights(tmp_path / "other.pth")


class _Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    torch.save({"weight": _Attack(tmp_path / "owned")}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError):
        read_weights(tmp_path / "evil.pth")
    assert not (tmp_path / "owned").exists()


def test_the_reason_is_in_the_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(torch.nn.Linear(2, 2), path)
    with pytest.raises(
        WeightsError, match=r"\(it needs torch\.nn\.modules\.linear\.Linear, which is no tensor\); download"
    ):
        read_weights(path)
    torch.save(STATE, path)
    with path.open("r+b") as file:
        file.truncate(300)
    with pytest.raises(WeightsError, match=r"\(it is damaged: .+\); download it again"):
        read_weights(path)
    with pytest.raises(WeightsError, match=r"\(Is a directory\); download it again"):
        read_weights(tmp_path)


@pytest.mark.parametrize("content", [b"\x80", b"\x80\nM\xfc\x9cFA\xf9j\xa8P\xd9.\x80\x02M", b"\x80\x02}(K\x01N\x85s."])
def test_what_torch_itself_fails_on_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        read_weights(tmp_path / "a.pth")
