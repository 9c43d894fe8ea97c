"""`convolve compare` of runs and published networks."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

import convolve
from convolve.errors import NetworkError, OptionError, RunError
from convolve.models import card
from convolve.verbs import compare
from convolve.verbs.compare import VERB, Comparison, contestants


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing, which other tests hold, takes no time."""
    monkeypatch.setattr(contestants, "seconds", lambda predict, runtime, shape, count=16: 0.01 * count)


def _lines(comparison: Comparison) -> str:
    console = Console(width=200)
    with console.capture() as written:
        for part in VERB.shown(comparison):
            console.print(part)
    return written.get()


def test_networks_stand_beside_runs_with_their_published_accuracy(
    at_once: None, digits_run: Path, tmp_path: Path
) -> None:
    place = tmp_path / "cost.svg"
    compared = convolve.compare(digits_run, "resnet50", "lenet1", figure=place, threads=1)
    document = json.loads(json.dumps(compared.as_json()))
    rows = {row["network"]: row for row in document["runs"]}
    assert [row["network"] for row in document["runs"]][-1] == "lenet1"  # without an accuracy
    paper = card("resnet50")
    assert rows["resnet50"]["accuracy"] == pytest.approx(0.7715)
    assert (rows["resnet50"]["data"], rows["resnet50"]["split"]) == ("ILSVRC-2012", "published")
    assert rows["resnet50"]["evaluation"] == paper.evaluation
    assert (rows["resnet50"]["parameters"], rows["resnet50"]["macs"]) == (paper.parameters, paper.macs)
    assert rows["resnet50"]["speed"] == pytest.approx(100)
    assert rows["lenet1"]["accuracy"] is None
    assert rows["lenet5_keras"]["split"] == "test"
    text = _lines(compared)
    assert "not measured on the same data" in text
    assert "lenet1 has no published top-1 error on ILSVRC-2012" in text
    assert "mean of ten crops (Table 3)" in text
    words = [str(element.text) for element in ET.parse(place).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert {"resnet50", digits_run.name, "ILSVRC-2012, published", "digits, test"} <= set(words)
    assert "lenet1" not in words


def test_a_network_is_timed_here(digits_run: Path) -> None:
    compared = convolve.compare("lenet1", digits_run, threads=1)
    assert all(row.speed > 0 and row.latency > 0 for row in compared.runs)


def test_what_cannot_be_compared_is_refused_before_anything_is_timed(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^nowhere is not a run, nor is a network called so; give the folder"):
        convolve.compare("resnet50", "nowhere")
    with pytest.raises(RunError, match=r"is not a run: it has no manifest\.json"):
        convolve.compare("resnet50", tmp_path)
    with pytest.raises(OptionError, match=r"^None of these networks has a published accuracy"):
        convolve.compare("lenet1", "lenet5", figure=tmp_path / "a.svg")
    with pytest.raises(OptionError, match=r"neither \.svg nor \.png"):
        convolve.compare("resnet50", "vgg16", figure=tmp_path / "a.gif")
    with pytest.raises(NetworkError, match=r"^torchvision has no network named 'resnet51'"):
        convolve.compare("torchvision/resnet51", "vgg16")


def _row(network: str, accuracy: float | None, monitored: str) -> contestants.Compared:
    return contestants.Compared(network, network, "data", "test", 9, accuracy, 1, 2, 3.0, 4.0, monitored=monitored)


def test_metrics_of_different_kinds_stand_in_columns_of_their_own(
    at_once: None, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"b": _row("b", 0.7, "mean_iou"), "a": _row("a", 0.6, "accuracy"), "c": _row("c", 0.9, "mean_iou")}
    monkeypatch.setattr(compare, "found", lambda what: what.name)
    monkeypatch.setattr(compare, "_weighed", lambda one, running: rows[one])
    compared = convolve.compare("a", "b", "c", figure=tmp_path / "cost.svg")
    lines = _lines(compared).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["a", "c", "b"]
    headings, places = lines[0], {"a": "accuracy", "b": "mean IoU", "c": "mean IoU"}
    for line in lines[1:4]:
        assert line.index("%") == headings.index(places[line.split()[0]]) + len(places[line.split()[0]]) - 1
    assert "accuracy, mean IoU are different metrics" in lines[4]
    words = [str(element.text) for element in ET.parse(tmp_path / "cost.svg").iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert {"accuracy", "mean IoU"} <= set(words)
    only = _lines(convolve.compare("b", "c"))
    assert "mean IoU" in only
    assert "accuracy" not in only
