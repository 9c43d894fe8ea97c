"""`convolve networks`: finding, ordering and measuring networks, one network's layers, and its figure."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import signal
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import nn
from torchvision.models import resnet18

import convolve
from convolve.datasets.layouts import open_dataset
from convolve.errors import NetworkError, OptionError, WeightsError
from convolve.interop import torchvision
from convolve.models import card, names
from convolve.progress import Message, Progress
from convolve.setup.prepare import check_before_reading, open_for_task
from convolve.summary import summarize
from convolve.tasks.info import TaskInfo
from convolve.tasks.registry import task_infos
from convolve.training.recipe import Recipe
from convolve.values import Dataset
from convolve.verbs.networks import COMMAND, Networks, catalog
from convolve.verbs.networks.catalog import Catalog
from convolve.verbs.networks.comparison import NetworkComparison
from convolve.verbs.networks.layer_table import Layers
from convolve.verbs.networks.published import SINGLE_MODEL, WINNERS
from convolve.verbs.networks.weight_files import WeightFiles
from convolve.verbs.networks.winners import Winners
from tests.weight_server import offer, published


def _networks(**options: Any) -> Catalog | Layers | NetworkComparison | Winners | WeightFiles:
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


def test_networks_are_listed_by_task() -> None:
    assert {"unet", "segnet", "fcn8s_vgg16"} <= set(_names(task="segment"))
    assert {"yolo_v1", "yolo_v2_tiny", "yolo_v3"} <= set(_names(task="detect"))
    assert _names(find="noh", task="segment") == ["deconvnet"]
    with pytest.raises(NetworkError, match=r"^No network for the task 'classify' has 'noh' in its name"):
        _names(find="noh", task="classify")
    with pytest.raises(OptionError, match=r"^There is no task 'segmant'; did you mean segment\?"):
        _networks(task="segmant")


@pytest.mark.parametrize("info", task_infos(), ids=lambda info: info.name)
def test_the_networks_listed_for_a_task_are_those_that_it_trains(info: TaskInfo) -> None:
    if info.untrained:
        with pytest.raises(OptionError, match=re.escape(info.untrained)):
            _networks(task=info.name)
        with pytest.raises(OptionError, match=re.escape(info.untrained)):
            _is_taken(info, "resnet18")
        return
    listed = set(_names(task=info.name))
    assert listed == {name for name in names() if _is_taken(info, name)}
    assert listed


def _is_taken(info: TaskInfo, name: str) -> bool:
    """Whether a training takes a network for a task, whatever the data."""
    recipe = Recipe(data="digits", task=info.name, network=name)
    try:
        open_for_task(recipe, check_before_reading(recipe), _images())
    except NetworkError:
        return False
    return True


@functools.cache
def _images() -> Dataset:
    return replace(open_dataset("digits"), ground_truths={})


def test_a_network_without_maps_is_not_listed_for_boxes() -> None:
    assert "resnet18" in _names(task="localize")
    assert "mlp_300" not in _names(task="localize")
    with pytest.raises(NetworkError, match=r"^mlp_300 has no convolutional stage whose map shows where an object is;"):
        card("localize_mlp_300")


def test_the_list_is_in_the_requested_order() -> None:
    cards = {name: card(name) for name in names()}
    years = [cards[name].year or 0 for name in _names()]
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
        ({"name": "vgg16", "others": ("vgg19",), "figure": "a.svg"}, "--figure is for one network; leave out"),
        ({"name": "vgg16", "others": ("vgg19",), "fetch": True}, "--fetch is for one network; leave out --fetch or"),
        ({"name": "vgg16", "others": ("vgg19",), "find": "a"}, "--find is for the list of networks; leave out"),
        ({"name": "vgg16", "others": ("vgg_19",)}, "There is no network named 'vgg_19'. Did you mean vgg19"),
        ({"winners": True, "find": "a"}, "--winners lists the winners of ILSVRC; give it alone, or with --figure."),
        ({"winners": True, "figure": "a.pdf"}, "a.pdf is neither .svg nor .png"),
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
        "receptive_field", "statistics",
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


def _text(**options: Any) -> str:
    """What is printed, wide enough that nothing wraps."""
    console = Console(width=300, file=io.StringIO(), record=True)
    for part in COMMAND.render(_networks(**options)):
        console.print(part)
    return console.export_text()


def test_the_layer_table_has_groups_statistics_and_auxiliary_heads_where_there_are_some() -> None:
    alexnet, googlenet = _text(name="alexnet").splitlines(), _text(name="googlenet")
    assert alexnet[0].split()[:5] == ["layer", "type", "kernel", "groups", "output"]
    groups = [re.search(r"(\d) +\d+x\d+x\d+ ", line) for line in alexnet if " Conv2d " in line]
    assert [found[1] for found in groups if found] == ["1", "2", "1", "2", "2"]
    assert "groups" not in googlenet
    assert "auxiliary heads, in training only: 6,379,728 parameters more, " in googlenet
    assert "auxiliary.inception4d.fc1" in googlenet
    assert "statistics" not in googlenet
    assert "896 of them, which Keras counts as parameters that are not trainable (511,690 in all)" in _text(
        name="batchnorm_cnn"
    )


def test_fractions_of_pixels_are_numbers_and_are_explained() -> None:
    summary = summarize(nn.ConvTranspose2d(1, 1, 4, 2, 1), (1, 9, 9))
    layers = Layers(card("lenet5"), (1, 9, 9), summary)
    field = json.loads(json.dumps(layers.as_json()))["layers"][0]["receptive_field"]
    assert field == {"size": 2.5, "stride": 0.5, "offset": -1}
    assert isinstance(field["offset"], int)
    console = Console(width=300, file=io.StringIO(), record=True)
    for part in COMMAND.render(layers):
        console.print(part)
    text = console.export_text()
    assert text.splitlines()[1].split()[-3:] == ["2.5", "0.5", "-1"]
    assert "see different numbers of pixels in turn" in text
    assert "see different numbers of pixels in turn" not in _text(name="lenet5")


def test_a_card_says_where_it_follows_a_slip() -> None:
    note = _networks(name="alexnet_one_tower").as_json()["note"]
    assert note.startswith("The slide's table has no pooling after conv1")
    assert note in _text(name="alexnet_one_tower")
    assert note in _text(name="alexnet", others=("alexnet_one_tower",))


def test_networks_are_compared_side_by_side() -> None:
    result = _networks(name="alexnet", others=("googlenet", "resnet152", "alexnet"), classes=10)
    document = json.loads(json.dumps(result.as_json()))
    alexnet, googlenet, resnet = document["networks"]
    assert alexnet["output"] == [10]
    assert googlenet["stages"][2] == {
        "name": "stage3", "output": [480, 28, 28], "receptive_field": {"size": 91, "stride": 8, "offset": -39},
    }  # fmt: skip
    assert (alexnet["depth"], googlenet["depth"], resnet["depth"]) == (8, 22, 152)
    assert googlenet["auxiliary_parameters"] == 6_379_728 - 2 * 990 * 1025
    assert (resnet["top1_error"], resnet["top5_error"]) == (21.43, 5.71)
    assert (resnet["single_model_top1_error"], resnet["single_model_top5_error"]) == (19.38, 4.49)
    assert googlenet["single_model_top1_error"] is None
    assert alexnet["dense_parameters"] / alexnet["parameters"] > 0.9
    lines = {line[:20].strip(): line.split()[-1] for line in _text(name="alexnet", others=("vgg16",)).splitlines()}
    assert (lines["stage5"], lines["depth"], lines["parameters"]) == ("512x7x7", "16", "138,357,544")
    assert "auxiliary heads" not in lines


def test_both_columns_of_published_errors_are_listed() -> None:
    assert all(name in names() for name in SINGLE_MODEL)
    text = _text(find="resnet152")
    assert re.search(r"resnet152 .* 21\.4 % +5\.7 % +19\.38 / 4\.49 %", text)
    assert "single model: He et al. 2015, Table 4" in text
    (found,) = (card for card in _networks(find="resnet152").as_json()["networks"] if card["name"] == "resnet152")
    assert found["single_model"] == {"top1": 19.38, "top5": 4.49}
    assert "single model:" not in _text(find="lenet5")


def test_winners_are_listed_and_drawn(tmp_path: Path) -> None:
    document = json.loads(json.dumps(_networks(winners=True, figure=tmp_path / "a.svg").as_json()))
    assert [winner["year"] for winner in document["winners"]] == list(range(2010, 2018))
    errors = [winner["top5_error"] for winner in document["winners"]]
    assert errors == sorted(errors, reverse=True)
    assert all(winner.network in names() for winner in WINNERS if winner.network)
    words = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert all(word in words for word in ("SuperVision", "152 layers", "28.19 %", "a person"))
    assert document["figure"] == str(tmp_path / "a.svg")
    assert "Clarifai" in _text(winners=True)
