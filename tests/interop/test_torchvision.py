from __future__ import annotations

import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch
from torchvision import models

from convolve.errors import WeightsError
from convolve.interop import official_files
from convolve.interop.torchvision import current_names, download, rename
from convolve.models import create
from convolve.models.weights import load_weights
from convolve.values import Preprocessing


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's folder of downloads, empty, and no network."""

    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("CONVOLVE_OFFLINE", "0")
    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def any_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are taken for those that their names say."""
    monkeypatch.setattr(official_files, "_HASHED", re.compile("no name has a hash"))


@pytest.mark.usefixtures("any_content")
def test_official_weights_come_with_their_input_and_source(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {"conv1.weight": torch.ones(1)}
    torch.save(state, cache / "resnet50-0676ba61.pth")
    torch.save(state, cache / "resnet50-11ad3fa6.pth")
    found, preprocessing, source = download("resnet50", newest=False)
    assert found == state
    assert preprocessing == Preprocessing(224, 224, 3, "crop", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert source == "torchvision/resnet50, IMAGENET1K_V1"
    assert download("resnet50", newest=True)[2] == "torchvision/resnet50, IMAGENET1K_V2"
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("any_content")
@torch.no_grad()
def test_googlenets_weights_want_the_input_that_it_makes_of_the_usual_one(cache: Path) -> None:
    twin = models.googlenet(num_classes=7, aux_logits=False, init_weights=True, transform_input=True).eval()
    torch.save(twin.state_dict() | {"aux1.fc1.bias": torch.zeros(1)}, cache / "googlenet-1378be20.pth")
    state, preprocessing, _ = download("googlenet", newest=True)
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    usual = models.GoogLeNet_Weights.DEFAULT.transforms()
    wanted = twin((pixels - torch.tensor(usual.mean)[:, None, None]) / torch.tensor(usual.std)[:, None, None])
    twin.transform_input = False
    twin.load_state_dict(current_names(state))
    torch.testing.assert_close(twin((pixels - mean) / std), wanted, rtol=1e-4, atol=1e-6)


def test_no_network_ends_in_one_sentence(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        WeightsError,
        match=r"of torchvision/vgg16 cannot be downloaded .*no route to host.* put https://.*vgg16.*pth into",
    ):
        download("vgg16", newest=False)
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("any_content")
def test_a_download_that_cannot_be_read_ends_in_one_sentence(cache: Path) -> None:
    (cache / "resnet18-f37072fd.pth").write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(WeightsError, match="of torchvision/resnet18 cannot be downloaded"):
        download("resnet18", newest=False)


def test_a_damaged_download_ends_in_one_sentence(cache: Path) -> None:
    torch.save({"conv1.weight": torch.ones(1)}, cache / "resnet18-f37072fd.pth")
    with pytest.raises(WeightsError, match=r"resnet18-f37072fd\.pth is damaged: delete it, and the weights are downl"):
        download("resnet18", newest=False)


def test_a_network_without_a_twin_is_told_of_the_one_that_has() -> None:
    with pytest.raises(WeightsError, match="no weights that fit resnet50; choose resnet50_v1_5"):
        rename(create("resnet50", 2), models.resnet50(num_classes=2).state_dict())


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"hold 'layer\d.*', which torchvision's resnet18 does not have"):
        rename(create("resnet18", 2), models.resnet34(num_classes=2).state_dict())
    deeper = create("resnet34", 2)
    with pytest.raises(WeightsError, match=r"lack 'stages.stage2.conv2_3"):
        load_weights(deeper, rename(deeper, models.resnet18(num_classes=2).state_dict()))
