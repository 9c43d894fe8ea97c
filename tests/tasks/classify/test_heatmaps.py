"""Heatmaps of the report's images: for the classes asked for, within a budget, or none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import convolve
from convolve import models
from convolve.runtime import Runtime, choose
from convolve.tasks.classify import heatmaps
from convolve.tasks.classify.heatmaps import affordable_images, compute_heatmaps
from convolve.tasks.classify.task import Classify
from convolve.values import Preprocessing
from tests.reports.sample import Scans
from tests.verbs.synthetic import QUICK, folders, labeled, train

PREPROCESSING = Preprocessing(16, 16, 1, "crop", (0.5,), (0.5,))
SCANS = Scans(np.random.default_rng(0).integers(0, 256, (20, 20, 30, 1), dtype=np.uint8))


def task(name: str, size: int = 16) -> Classify:
    return Classify(models.create(name, 3, 1, (size, size)), ("a", "b", "c"))


def runtime() -> Runtime:
    return choose("cpu", "fp32", 1, 10**6)


def cards(path: Path) -> list[str]:
    """The cards of images on a page."""
    return re.findall(r"<figure class=\"card.*?</figure>", path.read_text(encoding="utf-8"), re.DOTALL)


def test_every_image_has_a_heatmap_for_each_of_its_classes() -> None:
    classes = {7: (0, 2), 3: (1,), 19: (2, 1)}
    found = compute_heatmaps(task("lenet5_keras"), runtime(), SCANS, PREPROCESSING, classes)
    assert {index: tuple(heatmap.class_index for heatmap in some) for index, some in found.items()} == classes
    layers = [heatmap.layer for some in found.values() for heatmap in some]
    assert all(layer.startswith("data:image/png;base64,") for layer in layers)
    assert len(set(layers)) == len(layers)
    again = compute_heatmaps(task("lenet5_keras"), runtime(), SCANS, PREPROCESSING, {19: (2, 1)})
    assert again[19] == found[19]


def test_the_first_images_within_the_budget_have_heatmaps(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        large = Classify(models.create("resnet50"), ("a",) * 1000)
    assert 20 <= affordable_images(large, Preprocessing(224, 224, 3, "crop", (0.5,) * 3, (0.5,) * 3)) <= 30
    small = task("lenet5_keras")
    monkeypatch.setattr(heatmaps, "BUDGET", heatmaps.BUDGET / affordable_images(small, PREPROCESSING) * 2.5)
    assert list(compute_heatmaps(small, runtime(), SCANS, PREPROCESSING, {9: (0,), 1: (1,), 5: (2,)})) == [9, 1]


@pytest.mark.parametrize("name", ["mlp_30", "linear"])
def test_networks_without_a_map_have_no_heatmaps(name: str) -> None:
    assert compute_heatmaps(task(name), runtime(), SCANS, PREPROCESSING, {0: (0,)}) == {}


def test_a_failure_leaves_the_page_without_heatmaps(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(heatmaps, "maps_of_targets", fail)
    assert compute_heatmaps(task("lenet5_keras"), runtime(), SCANS, PREPROCESSING, {0: (0,)}) == {}


def test_cells_and_mistakes_have_heatmaps_for_the_predicted_and_the_true_class(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"ape <b>": 20, "bee": 20, "cat": 20})
    train(data, **QUICK, learning_rate=1e-6, out=tmp_path / "run")
    page = tmp_path / "run" / "report.html"
    found = cards(page)
    for card in found:
        classes = re.search(r'data-cell="(\d)-(\d)"', card)
        wrong = classes is None or classes[1] != classes[2]
        assert card.count('class="heatmap"') == (2 if wrong else 1)
    assert any("data-cell" not in card for card in found)
    assert "Grad-CAM (Selvaraju et al. 2017" in page.read_text(encoding="utf-8")
    convolve.evaluate(tmp_path / "run", threads=1, progress=False, report=tmp_path / "again.html")
    assert cards(tmp_path / "again.html") == found


@pytest.mark.parametrize("options", [{"network": "mlp_20"}, {"multi_label": True}])
def test_pages_of_other_networks_and_of_multi_label(options: dict[str, Any], tmp_path: Path) -> None:
    multi_label = options.pop("multi_label", False)
    data = labeled(tmp_path / "data", 40) if multi_label else folders(tmp_path / "data", {"a": 12, "b": 12})
    train(data, **QUICK | options, out=tmp_path / "run")
    html = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert ('class="heatmap"' in html) is multi_label
    assert ("where the network sees the class" in html) is multi_label
