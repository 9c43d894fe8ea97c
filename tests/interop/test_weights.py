"""Official weights reach the network whose weights they are: the downloads are libraries' untrained networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from convolve.errors import ConvolveError, WeightsError
from convolve.interop import timm as timm_names
from convolve.interop import torchvision
from convolve.interop.official_files import OfficialFile
from convolve.interop.weights import SOURCES, imagenet_weights, rename
from convolve.models import card, create, names
from convolve.models.weights import load_weights

timm = pytest.importorskip("timm")
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
HALF = (0.5, 0.5, 0.5)
MEAN = (0.485, 0.456, 0.406)


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Mapping[str, Tensor]]:
    """The files that would be downloaded, by a part of their address."""
    files: dict[str, Mapping[str, Tensor]] = {}

    def download(file: OfficialFile, *_: object) -> Path:
        torch.save(next(dict(state) for part, state in files.items() if part in file.address), tmp_path / "file.pth")
        return tmp_path / "file.pth"

    monkeypatch.setattr("convolve.interop.torchvision.fetch_file", download)
    monkeypatch.setattr("convolve.interop.timm.fetch_file", download)
    return files


def _as_before(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names in torchvision's files of DenseNet."""
    for part in ("norm", "conv"):
        state = {
            key.replace(f".{part}1.", f".{part}.1.").replace(f".{part}2.", f".{part}.2.")
            if "denselayer" in key
            else key: value
            for key, value in state.items()
        }
    return dict(state)


CASES = {  # the library's name of each, the version that is downloaded, and the mean that it was trained with
    "resnet18": ("torchvision/resnet18", ", IMAGENET1K_V1", MEAN),
    "densenet121": ("torchvision/densenet121", ", IMAGENET1K_V1", MEAN),
    "se_resnet50": ("timm/legacy_seresnet50", ".in1k", MEAN),
    "timm/mobilenetv3_small_050": ("timm/mobilenetv3_small_050", ".lamb_in1k", MEAN),
    "torchvision/mnasnet0_5": ("torchvision/mnasnet0_5", ", IMAGENET1K_V1", MEAN),
}


def _built(source: str) -> nn.Module:
    library, _, inner = source.partition("/")
    network: nn.Module = (timm.create_model if library == "timm" else models.get_model)(inner)
    return network.eval()


@pytest.mark.parametrize("name", CASES)
@torch.no_grad()
def test_scores_are_those_of_the_network_whose_weights_were_downloaded(
    name: str, downloads: dict[str, Mapping[str, Tensor]]
) -> None:
    source, edition, mean = CASES[name]
    twin = _built(source)
    downloads[""] = _as_before(twin.state_dict()) if name == "densenet121" else twin.state_dict()
    before = torch.random.get_rng_state()
    found = imagenet_weights(name)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (found.source, found.preprocessing.mean) == (source + edition, mean)
    assert (found.preprocessing.channels, found.preprocessing.height, found.preprocessing.width) == card(name).input
    network = create(name, seed=9).eval()
    assert load_weights(network, rename(network, found.state)) == []
    wanted = twin(IMAGES)
    torch.testing.assert_close(network(IMAGES), wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))
    few = create(name, 3)
    assert all(left.startswith("head.") for left in load_weights(few, rename(few, found.state)))


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_is_of_the_twin_and_has_weights_for_its_input(name: str) -> None:
    library, _, inner = SOURCES[name].partition("/")
    twin = {**torchvision.TWINS, **timm_names.TWINS}[name]
    assert inner.partition(".")[0] == twin
    if library == "torchvision":
        weights = models.get_model_weights(inner)["IMAGENET1K_V1"]
        assert weights.transforms().crop_size == [card(name).input[1]]
    else:
        found = timm.models.get_pretrained_cfg(inner)
        assert found.has_weights
        assert not found.label_offset
        assert (found.input_size, found.num_classes) == (card(name).input, card(name).classes)
        assert found.mean == (HALF if "inception" in name else MEAN)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet50", "resnet50_v1_5"),
        ("resnet34_a", "resnet34"),
        ("resnet20_cifar", "resnet18"),
        ("vgg16_c", "vgg16"),
        ("inception_resnet_v2", "inception_resnet_v2_slim"),
        ("bn_inception", "torchvision/googlenet"),
        ("alexnet", "torchvision/alexnet"),
        ("lenet5", "resnet18"),
    ],
)
def test_a_network_without_weights_is_told_of_one_that_has_them(name: str, near: str) -> None:
    with pytest.raises(WeightsError, match=rf"ImageNet weights of {name}; choose {near}, which has some\.$"):
        imagenet_weights(name)


def test_every_network_of_ours_has_weights_or_is_told_of_some() -> None:
    for name in names():
        if name not in SOURCES:
            with pytest.raises(WeightsError, match="; choose "):
                imagenet_weights(name)


def test_a_network_of_timm_without_weights_is_told_of_another() -> None:
    with pytest.raises(WeightsError, match=r"^timm has no weights of densenet264d; choose those of timm/densenet\S+\."):
        imagenet_weights("timm/densenet264d")


def test_what_cannot_be_downloaded_ends_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host\nand more")

    monkeypatch.setattr("convolve.interop.timm.fetch_file", unreachable)
    with pytest.raises(
        ConvolveError,
        match=r"of timm/mobilenetv3_small_050 cannot be downloaded \(no route to host\); try again when timm/",
    ):
        imagenet_weights("timm/mobilenetv3_small_050")


def test_weights_under_our_own_names_stay_as_they_are() -> None:
    with torch.device("meta"):
        network = create("resnet18")
    state = network.state_dict()
    assert rename(network, state) is state
    simple = create("simple_cnn")
    assert rename(simple, {"fc.weight": torch.ones(1)}) == {"fc.weight": torch.ones(1)}


def test_the_fit_of_an_image_is_the_one_that_timm_states() -> None:
    for name, fit in (("resnet18", "crop"), ("coat_lite_medium_384.in1k", "stretch")):
        found = timm_names.stated_preprocessing(name)
        assert found
        assert found.fit == fit
    assert timm_names.stated_preprocessing("botnet50ts_256") is None  # without weights
