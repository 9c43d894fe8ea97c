"""Checkpoints: what is read is what was written, damage is noticed, a full disk loses nothing."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from convolve.errors import RunError, TrainingError
from convolve.training import checkpoints
from convolve.training.step import State

TENSORS = {
    "network.weight": torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last),
    "network.count": torch.tensor(3),
    "optimizer.half": torch.arange(5, dtype=torch.bfloat16),
}


def state(epoch: int) -> State:
    return State(
        epoch=epoch, step=3, images_done=48, sums={"loss": 0.1 + 0.2}, best=float("nan"), history=[{"loss": 1 / 3}]
    )


def test_it_reads_back_bit_for_bit(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, state(1), TENSORS)
    found = checkpoints.load(tmp_path)
    assert found is not None
    assert repr(found.state) == repr(state(1))
    assert found.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)


def test_there_is_none_at_the_start(tmp_path: Path) -> None:
    assert checkpoints.load(tmp_path / "checkpoints") is None


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "missing"])
def test_damage_is_noticed_and_the_previous_used(damage: str, tmp_path: Path) -> None:
    for epoch in (1, 2):
        checkpoints.save(tmp_path, state(epoch), TENSORS)
    path = tmp_path / "last.safetensors"
    content = path.read_bytes()
    damaged = {"truncated": content[:-8], "flipped": content[:-1] + bytes([content[-1] ^ 1]), "empty": b""}
    path.unlink() if damage == "missing" else path.write_bytes(damaged[damage])
    found = checkpoints.load(tmp_path)
    assert found is not None
    assert (found.source.name, found.state.epoch) == ("previous.safetensors", 1)


def test_all_damaged_is_a_sentence(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, state(1), TENSORS)
    (tmp_path / "last.safetensors").write_bytes(b"no")
    with pytest.raises(RunError, match=r"are damaged; restore them from a backup or train again\."):
        checkpoints.load(tmp_path)


def test_a_foreign_safetensors_file_is_a_sentence(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / "best.safetensors")
    with pytest.raises(RunError, match=r"best\.safetensors cannot be read"):
        checkpoints.load_best(tmp_path)


def test_drafts_of_a_killed_writer_are_cleared_away(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, state(1), TENSORS)
    (tmp_path / ".last.safetensors.abc").write_bytes(b"half")
    checkpoints.load(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.safetensors"]


def test_a_full_disk_is_a_sentence_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints.save(tmp_path, state(1), TENSORS)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(TrainingError, match=r"No space left on device.*Nothing was lost.*--resume"):
        checkpoints.save(tmp_path, state(2), TENSORS)
    found = checkpoints.load(tmp_path)
    assert found is not None
    assert found.state.epoch == 1


def test_a_damaged_state_is_a_sentence(tmp_path: Path) -> None:
    checkpoints.save(tmp_path, state(1), TENSORS)
    path = tmp_path / "last.safetensors"
    path.write_bytes(path.read_bytes().replace(b"images_done", b"images_dune"))
    with pytest.raises(RunError, match=r"The checkpoints in .* are damaged; restore them"):
        checkpoints.load(tmp_path)
