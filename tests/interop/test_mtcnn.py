"""MTCNN's files of other programs give the numbers that these programs give."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
import torch
from torch import Tensor

from convolve.errors import WeightsError
from convolve.interop.mtcnn import read_cascade
from convolve.models import Network, create
from convolve.models.mtcnn import Cascade
from tests.interop.foreign import SHARED
from tests.interop.mtcnn_files import Program, write_parts

WEIGHTS = SHARED / "weights" / "mtcnn"
SIDES = {"pnet": 12, "rnet": 24, "onet": 48}


def numbers_of(cascade: Network, name: str, images: Tensor) -> Tensor:
    """What one of the cascade's networks says of windows."""
    head = cast(Cascade, cascade.head)
    found: Tensor = {"pnet": cascade, "rnet": head.refinement, "onet": head.output}[name](images)
    return found.flatten(1)


@pytest.mark.parametrize("program", ["pytorch", "caffe"])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_each_network_gives_the_numbers_of_the_other_program(
    program: Program, order: tuple[int, ...], tmp_path: Path
) -> None:
    files, parts = write_parts(tmp_path, program)
    network, source = read_cascade([files[index] for index in order])
    title = "Caffe" if program == "caffe" else "PyTorch"
    assert source == f"{', '.join(files[index].name for index in order)} ({title})"
    for name, part in parts.items():
        images = torch.randn(3, 3, SIDES[name], SIDES[name], generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            expected = part(images.mT if program == "caffe" else images)
            found = numbers_of(network.eval(), name, images)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert float(expected.std()) > 0.1


def test_what_is_no_network_of_the_three_is_refused(tmp_path: Path) -> None:
    files, _ = write_parts(tmp_path, "pytorch")
    with pytest.raises(WeightsError, match=r"rnet\.pt is R-Net of MTCNN, as .*rnet\.pt is; give one file of each"):
        read_cascade([files[0], files[1], files[1]])
    with pytest.raises(WeightsError, match=r"^O-Net of MTCNN is not in .*; give the files of P-Net, R-Net and O-Net"):
        read_cascade(files[:2])
    torch.save(create("lenet5").state_dict(), tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"other\.pt is none of MTCNN's three networks"):
        read_cascade([*files[:2], tmp_path / "other.pt"])


@pytest.mark.parametrize("change", ["absent", "shape", "nan"])
def test_a_damaged_file_is_named(change: str, tmp_path: Path) -> None:
    files, _ = write_parts(tmp_path, "pytorch")
    state = torch.load(files[2])
    if change == "absent":
        del state["dense5.bias"]
    elif change == "shape":
        state["dense5.weight"] = state["dense5.weight"][:, :-1]
    else:
        state["dense5.weight"][0, 0] = torch.nan
    torch.save(state, files[2])
    with pytest.raises(WeightsError, match="not finite|non-finite" if change == "nan" else r"onet\.pt lacks '.*dense5"):
        read_cascade(files)


@pytest.mark.skipif(not WEIGHTS.exists(), reason="no shared weights here")
def test_the_authors_files_and_those_of_pytorch_are_the_same_networks() -> None:
    ours, source = read_cascade([WEIGHTS / f"{name}.pt" for name in SIDES])
    theirs, _ = read_cascade([WEIGHTS / f"det{number}.caffemodel" for number in "123"])
    assert source == "pnet.pt, rnet.pt, onet.pt (PyTorch)"
    for (name, own), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(own, other, msg=name)
