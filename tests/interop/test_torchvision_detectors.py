"""`--weights coco`: torchvision's file for a detector, from this machine."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision

from convolve.errors import WeightsError
from convolve.interop import torchvision_detectors
from convolve.interop.official_files import FOLDERS, OFFLINE, OfficialFile
from convolve.models import create
from convolve.setup.starting_weights import find_starting_weights

NAME = "faster_rcnn_resnet50_fpn"


def test_the_file_is_the_published_one() -> None:
    assert torchvision_detectors.official_file(NAME).name == "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth"


def test_weights_for_coco_start_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
    torch.save(model.state_dict(), tmp_path / "local.pth")
    file = OfficialFile("local.pth", "https://download.pytorch.org/models/local.pth")
    monkeypatch.setattr(torchvision_detectors, "official_file", lambda _: file)
    monkeypatch.setenv(FOLDERS, str(tmp_path))
    found = find_starting_weights("coco", NAME)
    assert found.preprocessing is not None
    assert (found.channels, found.preprocessing.fit, found.source) == (
        3,
        "letterbox",
        "torchvision/fasterrcnn_resnet50_fpn, COCO_V1",
    )
    network = create(NAME)
    assert found.load(network) == "all of them fit"
    variance = network.state_dict()["stages.stage1.norm1.running_var"]
    assert torch.allclose(variance, torch.tensor(1 - 1e-5))
    other = create(NAME, 3)
    assert found.load(other).startswith("randomly initialized: head.classifier.classes.weight, head.classifier.cl")


def test_without_a_file_or_a_twin_a_sentence_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = OfficialFile("absent.pth", "https://download.pytorch.org/models/absent.pth")
    monkeypatch.setattr(torchvision_detectors, "official_file", lambda _: file)
    monkeypatch.setenv(FOLDERS, str(tmp_path))
    monkeypatch.setenv(OFFLINE, "1")
    with pytest.raises(WeightsError, match=rf"^The COCO weights of {NAME} cannot be downloaded \(.*; put"):
        find_starting_weights("coco", NAME)
    with pytest.raises(WeightsError, match=rf"^There are no official COCO weights of resnet18; choose {NAME}, which"):
        find_starting_weights("coco", "resnet18")
