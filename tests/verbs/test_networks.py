"""`convolve networks`: finding, ordering and measuring networks, one network's layers, and its figure."""

from __future__ import annotations

import json
import os
import signal
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torchvision.models import resnet18

import convolve
from convolve.errors import NetworkError, OptionError, WeightsError
from convolve.interop import torchvision
from convolve.models import card, names
from convolve.progress import Message, Progress
from convolve.verbs.networks import COMMAND, Networks, catalog
from convolve.verbs.networks.catalog import Catalog
from convolve.verbs.networks.layer_table import Layers
from convolve.verbs.networks.weight_files import WeightFiles
from tests.weight_server import offer, published


def _networks(**options: Any) -> Catalog | Layers | WeightFiles:
    return convolve.networks(**options, progress=False)


def _names(**options: Any) -> list[str]:
    return [found["name"] for found in _networks(**options).as_json()["networks"]]


@pytest.mark.parametrize(
    ("find", "found"),
    [
        ("VGG11", ["vgg11", "vgg11_lrn"]),  # name
        ("squeeze excite", []),
        ("squeeze-and-excitation inception", ["se_inception"]),  # title and name
        ("simonyan 2014 deep VGG16", ["vgg16_c", "vgg16"]),  # authors, year, title, name
        ("nips 2012", ["alexnet"]),  # venue
    ],
)
def test_every_word_must_be_found(find: str, found: list[str]) -> None:
    if found:
        assert set(found) <= set(_names(find=find))
        assert len(_names(find=find)) <= len(found) + 1
    else:
        with pytest.raises(NetworkError, match=rf"^No network has '{find}' in its name, title, .*; try fewer words\.$"):
            _networks(find=find)


def test_networks_are_found_by_what_their_scores_are_of() -> None:
    pixels, images, boxes = (catalog.find(output=output) for output in ("pixels", "image", "boxes"))
    assert {"unet", "segnet", "fcn8s_vgg16"} <= {found.name for found in pixels}
    assert {"yolo_v1", "yolo_v2_tiny", "yolo_v3"} <= {found.name for found in boxes}
    assert sorted(found.name for found in [*pixels, *images, *boxes]) == sorted(names())
    assert [found.name for found in catalog.find("noh", "pixels")] == ["deconvnet"]
    with pytest.raises(NetworkError, match=r"^No network with the output 'image' has 'noh' in its name"):
        catalog.find("noh", "image")


def test_networks_are_listed_by_task() -> None:
    for task, output in (("segment", "pixels"), ("classify", "image")):
        assert _names(task=task) == [found.name for found in catalog.find(output=output)]
    with pytest.raises(OptionError, match=r"^There is no task 'segmant'; did you mean segment\?"):
        _networks(task="segmant")


def test_the_list_is_in_the_requested_order() -> None:
    cards = {name: card(name) for name in names()}
    years = [cards[name].year for name in _names()]
    assert years == sorted(years)
    assert _names(sort="name") == sorted(cards)
    for sort, field in (("parameters", "parameters"), ("macs", "macs"), ("top1", "top1_error"), ("top5", "top5_error")):
        values = [getattr(cards[name], field) for name in _names(sort=sort)]
        known = [value for value in values if value is not None]
        assert known == sorted(known)
        assert values[: len(known)] == known


def test_speeds_are_measured_and_threads_restored() -> None:
    steps: list[Progress | Message] = []
    torch.set_num_threads(1)
    result = COMMAND.run(Networks(find="mlp_300", speed=True, sort="speed"), steps.append)
    assert torch.get_num_threads() == 1
    document = result.as_json()
    speeds = [card["speed"] for card in document["networks"]]
    assert all(speed > 0 for speed in speeds)
    assert speeds == sorted(speeds, reverse=True)
    assert "batches of 16" in document["measured"]
    assert [step.done for step in steps if isinstance(step, Progress)] == [0, 1, 2]
    assert {card["speed"] for card in _networks(find="mlp_300").as_json()["networks"]} == {None}


def test_ctrl_c_keeps_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(card: object) -> tuple[float, tuple[str, ...]]:
        os.kill(os.getpid(), signal.SIGINT)
        return 5.0, ("cpu: the only device",)

    monkeypatch.setattr(catalog, "_speed", interrupted)
    events: list[Progress | Message] = []
    before = signal.getsignal(signal.SIGINT)
    result = COMMAND.run(Networks(find="simonyan", speed=True), events.append)
    assert signal.getsignal(signal.SIGINT) is before
    assert [card["speed"] for card in result.as_json()["networks"]] == [5.0, *[None] * 5]
    assert Message("Stopped after 1 of 6 networks.") in events


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"sort": "speed"}, "--sort speed needs measured speeds; add --speed"),
        ({"input": "3x64x64"}, "--input needs a network; write"),
        ({"classes": 3}, "--classes needs a network"),
        ({"name": "vgg16", "find": "a"}, "--find is for the list of networks; leave out --find or the name 'vgg16'"),
        ({"name": "vgg16", "speed": True}, "--speed is for the list"),
        ({"name": "vgg16", "figure": "a.pdf"}, "a.pdf is neither .svg nor .png"),
        ({"name": "vgg16", "input": "3x64"}, "'3x64' is not an input size"),
        ({"name": "vgg16", "input": "3x0x64"}, "'3x0x64' is not an input size"),
        ({"name": "vgg16", "input": "3x16x16"}, "vgg16 cannot take images of 16x16: its smallest side is 32"),
        ({"name": "vgg16", "classes": 0}, "vgg16 needs at least one class"),
    ],
)
def test_impossible_options_are_refused_in_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises((OptionError, NetworkError)) as refused:
        _networks(**options)
    assert str(refused.value).startswith(sentence)


def test_the_json_of_a_network_is_as_promised() -> None:
    document = json.loads(json.dumps(_networks(name="resnet18").as_json()))
    assert list(document)[:5] == ["name", "input", "parameters", "macs", "layers"]
    assert list(document["layers"][0]) == [
        "name", "type", "kernel", "stride", "padding", "groups", "input", "output", "parameters", "macs",
        "receptive_field",
    ]  # fmt: skip
    first = document["layers"][0]
    assert first["receptive_field"] == {"size": 7, "stride": 2, "offset": -3}
    assert (first["kernel"], first["stride"], first["padding"], first["groups"]) == ([7, 7], [2, 2], [3, 3], 1)
    assert (document["input"], first["input"], first["output"]) == ([3, 224, 224], [3, 224, 224], [64, 112, 112])
    with torch.device("meta"):
        theirs = resnet18()
    weights = sum(weight.numel() for weight in theirs.parameters())
    assert (document["parameters"], document["trainable"], document["weight_bytes"]) == (weights, weights, 4 * weights)


def test_input_and_classes_change_the_layers() -> None:
    document = _networks(name="vgg11", input="1x64X96", classes=7).as_json()
    assert document["input"] == [1, 64, 96]
    assert document["layers"][0]["input"] == (1, 64, 96)
    assert document["layers"][-1]["output"] == (7,)


def test_the_figure_is_self_contained(tmp_path: Path) -> None:
    for name in ("a.svg", "a.png"):
        assert _networks(name="lenet5", figure=tmp_path / name).as_json()["figure"] == str(tmp_path / name)
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    root = ET.fromstring(text)  # noqa: S314 - made here
    words = [str(element.text) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "5×5 conv, 6" in words
    assert "var(" not in text
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"


def test_official_weights_are_listed_and_fetched_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with offer(tmp_path, monkeypatch) as (folder, address):
        file = published(folder, address)
        monkeypatch.setattr(torchvision, "official_file", lambda *_, **__: file)
        assert _networks(weights=True).as_json()["weights"] == []
        path = tmp_path / "torch" / "hub" / "checkpoints" / file.name
        fetched = _networks(name="fcn8s_resnet18", fetch=True).as_json()["weights"]
        row = {"network": "fcn8s_resnet18", "bytes": path.stat().st_size, "path": str(path), "source": file.address}
        assert fetched == [row]
        listed = _networks(weights=True)
        assert [entry["path"] for entry in listed.as_json()["weights"]] == [str(path)]
        assert file.name in listed._repr_html_()
        monkeypatch.setenv("CONVOLVE_WEIGHTS", str(folder))
        assert [entry["path"] for entry in _networks(weights=True).as_json()["weights"]] == [str(folder / file.name)]
        (folder / file.name).write_bytes(b"damaged")
        with pytest.raises(WeightsError, match="is damaged: delete it"):
            _networks(name="resnet18", fetch=True)


def test_weights_that_cannot_be_fetched_end_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=r"cannot be fetched \(CONVOLVE_OFFLINE is set\); put https://.* into "):
        _networks(name="vgg16", fetch=True)
    with pytest.raises(WeightsError, match="no official ImageNet weights of lenet5; choose resnet18"):
        _networks(name="lenet5", fetch=True)
    with pytest.raises(OptionError, match="--fetch needs a network; write `convolve networks NAME --fetch`"):
        _networks(fetch=True)
    with pytest.raises(OptionError, match="--weights is for the list of networks"):
        _networks(name="vgg16", weights=True)
    with pytest.raises(OptionError, match="--weights lists files of weights"):
        _networks(weights=True, speed=True)
    with pytest.raises(OptionError, match="--fetch only fetches"):
        _networks(name="vgg16", fetch=True, classes=3)
