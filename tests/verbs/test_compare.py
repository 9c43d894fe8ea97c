"""`convolve compare` of runs and published networks."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sklearn.neighbors import KNeighborsClassifier

import convolve
from convolve import runtime
from convolve.choices import Baseline
from convolve.datasets.layouts import open_dataset
from convolve.datasets.preprocess import fit_to_input
from convolve.errors import DataError, NetworkError, OptionError, RunError
from convolve.metrics.intervals import accuracy_interval
from convolve.models import card
from convolve.setup import baselines
from convolve.training.run import open_run
from convolve.verbs import compare
from convolve.verbs.compare import ComparedNetwork, Comparison, render
from tests.datasets.ground_truths import labels_of
from tests.verbs.synthetic import QUICK, labeled, train


@pytest.fixture
def no_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timing, which has tests of its own, takes no time."""
    monkeypatch.setattr(runtime, "forward_seconds", lambda network, runtime, shape, count=16: 0.01 * count)


def _lines(comparison: Comparison) -> str:
    console = Console(width=200)
    with console.capture() as written:
        for part in render(comparison):
            console.print(part)
    return written.get()


def test_networks_are_compared_with_runs_by_their_published_accuracy(
    no_timing: None, digits_run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cost.svg"
    compared = convolve.compare([digits_run, "resnet50", "lenet1"], figure=path, threads=1, progress=False)
    document = json.loads(json.dumps(compared.as_json()))
    rows = {row["network"]: row for row in document["runs"]}
    assert [row["network"] for row in document["runs"]][-1] == "lenet1"  # without an accuracy
    paper = card("resnet50")
    assert rows["resnet50"]["value"] == pytest.approx(0.7715)
    assert {row["metric"] for row in document["runs"]} == {"accuracy"}
    assert (rows["resnet50"]["data"], rows["resnet50"]["split"]) == ("ILSVRC-2012", "published")
    assert rows["resnet50"]["evaluation"] == paper.evaluation
    assert (rows["resnet50"]["parameters"], rows["resnet50"]["macs"]) == (paper.parameters, paper.macs)
    assert rows["resnet50"]["speed"] == pytest.approx(100)
    assert rows["lenet1"]["value"] is None
    assert rows["lenet5_keras"]["split"] == "test"
    text = _lines(compared)
    assert "not measured on the same data" in text
    assert "lenet1 has no published top-1 error on ILSVRC-2012" in text
    assert "mean of ten crops (Table 3)" in text
    words = [str(element.text) for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert {"resnet50", digits_run.name, "ILSVRC-2012, published", "digits, test"} <= set(words)
    assert "lenet1" not in words


def test_a_network_is_timed_here(digits_run: Path) -> None:
    compared = convolve.compare(["lenet1", digits_run], threads=1, progress=False)
    assert all(row.speed > 0 and row.latency > 0 for row in compared.runs)


def test_what_cannot_be_compared_is_refused_before_anything_is_timed(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"^nowhere is neither a run nor a network; give the folder"):
        convolve.compare(["resnet50", "nowhere"], progress=False)
    with pytest.raises(RunError, match=r"is not a run: it has no manifest\.json"):
        convolve.compare(["resnet50", tmp_path], progress=False)
    with pytest.raises(OptionError, match=r"^None of these networks has a published accuracy"):
        convolve.compare(["lenet1", "lenet5"], figure=tmp_path / "a.svg", progress=False)
    with pytest.raises(OptionError, match=r"neither \.svg nor \.png"):
        convolve.compare(["resnet50", "vgg16"], figure=tmp_path / "a.gif", progress=False)
    with pytest.raises(NetworkError, match=r"^torchvision has no network named 'resnet51'"):
        convolve.compare(["torchvision/resnet51", "vgg16"], progress=False)


def _row(network: str, value: float | None, metric: str) -> ComparedNetwork:
    return ComparedNetwork(network, network, "data", "test", 9, metric, value, 1, 2, 3.0, 4.0)


def test_each_metric_has_its_own_column(
    no_timing: None, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"b": _row("b", 0.7, "mean IoU"), "a": _row("a", 0.6, "accuracy"), "c": _row("c", 0.9, "mean IoU")}
    monkeypatch.setattr(compare, "_find", lambda name: name)
    monkeypatch.setattr(compare, "_compare_run", lambda name, *_: rows[name])
    compared = convolve.compare(["a", "b", "c"], figure=tmp_path / "cost.svg", progress=False)
    lines = _lines(compared).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["a", "c", "b"]
    for line in lines[1:4]:
        metric = rows[line.split()[0]].metric
        assert line.index("%") == lines[0].index(metric) + len(metric) - 1
    assert "accuracy, mean IoU are different metrics" in lines[4]
    words = [str(element.text) for element in ET.parse(tmp_path / "cost.svg").iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert {"accuracy", "mean IoU"} <= set(words)
    only = _lines(convolve.compare(["b", "c"], progress=False))
    assert "mean IoU" in only
    assert "accuracy" not in only


def test_baselines_are_classifiers_of_the_runs_own_pixels(no_timing: None, digits_run: Path, tmp_path: Path) -> None:
    path = tmp_path / "cost.svg"
    names: tuple[Baseline, ...] = ("knn", "linear-svm", "rbf-svm")
    compared = convolve.compare([digits_run], baselines=names, figure=path, threads=1, progress=False)
    rows = {row.run: row for row in compared.runs}
    assert set(rows) == {str(digits_run), *names}
    run = open_run(digits_run)
    dataset, names_of = open_dataset("digits"), json.loads((digits_run / "splits.json").read_text())
    index = {dataset.images.name(each): each for each in range(len(dataset))}
    train, validation, test = ([index[name] for name in names_of[part]] for part in ("train", "validation", "test"))
    size, labels = run.manifest.preprocessing, labels_of(dataset).values
    images = [fit_to_input(dataset.images.read(each), size) for each in range(len(dataset))]
    pixels = np.stack(images).reshape(len(images), -1) / 255.0
    best = {k: KNeighborsClassifier(k).fit(pixels[train], labels[train]) for k in baselines.NEIGHBORS}
    scores = {k: best[k].score(pixels[validation], labels[validation]) for k in best}
    chosen = max(scores, key=lambda k: (scores[k], -k))
    assert rows["knn"].network == f"k = {chosen} nearest neighbors"
    assert rows["knn"].value == pytest.approx(best[chosen].score(pixels[test], labels[test]), abs=0.003)
    assert rows["knn"].macs == rows["knn"].parameters == len(train) * pixels.shape[1]
    assert rows["linear-svm"].parameters == 10 * pixels.shape[1] + 10
    for name in names:
        row = rows[name]
        assert row.interval == tuple(accuracy_interval(round((row.value or 0) * len(test)), len(test)))
        assert (row.value or 0) > 0.9
        assert (row.split, row.images, row.data) == ("test", len(test), "digits")
        assert min(row.seconds or 0, row.latency, row.speed) > 0
    text = _lines(compared)
    assert f"pixels, 95\xa0% interval {100 * (rows['knn'].interval or (0,))[0]:.1f}" in text
    assert "not measured on the same data" not in text
    words = [str(element.text) for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert {*names, digits_run.name} <= set(words)


def test_baselines_need_a_run_that_classifies(tmp_path: Path, digits_run: Path) -> None:
    with pytest.raises(OptionError, match="on the splits of a run; give the folder of one"):
        convolve.compare(["lenet1", "lenet5"], baselines=("knn",), progress=False)
    labeled(tmp_path / "data", 40)
    run = train(tmp_path / "data", **QUICK, out=tmp_path / "run").run
    with pytest.raises(DataError, match="classify images with one class each"):
        convolve.compare([run], baselines=("knn",), threads=1, progress=False)
    run = train("digits", **QUICK, test=0.0, out=tmp_path / "untested").run
    with pytest.raises(RunError, match="has no test split"):
        convolve.compare([run], baselines=("knn",), threads=1, progress=False)
