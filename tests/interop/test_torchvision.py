from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest
import torch
from torchvision import models

from convolve.errors import WeightsError
from convolve.interop.torchvision import carry, imagenet_weights
from convolve.networks import create
from convolve.networks.weights import load_weights
from convolve.values import Preprocessing


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's folder of downloads, empty, and no network."""

    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def test_official_weights_come_under_our_names_with_their_input(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = models.resnet18()
    torch.save(twin.state_dict(), cache / "resnet18-f37072fd.pth")
    state, preprocessing = imagenet_weights("resnet18")
    assert preprocessing == Preprocessing(224, 224, 3, "crop", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    network = create("resnet18", classes=5)
    assert load_weights(network, state) == ["head.fc.weight", "head.fc.bias"]
    assert torch.equal(network.state_dict()["stages.stage1.conv1.weight"], twin.conv1.weight)
    assert capsys.readouterr().out == ""


def test_no_network_ends_in_one_sentence(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        WeightsError, match=r"of vgg16 cannot be fetched .*no route to host.* put https://.*vgg16.*pth into"
    ):
        imagenet_weights("vgg16")
    assert capsys.readouterr().out == ""


def test_a_damaged_download_ends_in_one_sentence(cache: Path) -> None:
    (cache / "resnet18-f37072fd.pth").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(WeightsError, match="of resnet18 cannot be fetched"):
        imagenet_weights("resnet18")


def test_a_network_without_a_twin_is_told_of_the_one_that_has(cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"no weights that fit resnet50; resnet50_v1_5 has them"):
        imagenet_weights("resnet50")
    with pytest.raises(WeightsError, match=r"no weights that fit vgg16_c; it has vgg11, "):
        imagenet_weights("vgg16_c")
    with pytest.raises(WeightsError, match="no weights that fit resnet50"):
        carry(create("resnet50", 2), models.resnet50(num_classes=2).state_dict())


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"hold 'layer\d.*', which torchvision's resnet18 does not have"):
        carry(create("resnet18", 2), models.resnet34(num_classes=2).state_dict())
    with pytest.raises(WeightsError, match=r"lack 'stages.stage2.conv2_3"):
        carry(create("resnet34", 2), models.resnet18(num_classes=2).state_dict())
