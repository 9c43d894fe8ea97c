"""From a picture on the page to the cause: heat for the pictures that the page keeps, within bounds, or none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from convolve.tasks.classify.causes import affordable, overlays

import convolve
from convolve import models
from convolve.runtime import Runtime, choose
from convolve.tasks.classify import Classify, causes
from convolve.values import Preprocessing
from tests.reports.sample import Scans
from tests.verbs.pictures import QUICK, folders, labeled

PREPROCESSING = Preprocessing(16, 16, 1, "crop", (0.5,), (0.5,))
SCANS = Scans(np.random.default_rng(0).integers(0, 256, (20, 20, 30, 1), dtype=np.uint8))


def task(name: str, size: int = 16) -> Classify:
    return Classify(models.create(name, 3, 1, (size, size)), ("a", "b", "c"))


def runtime() -> Runtime:
    return choose("cpu", "fp32", 1, 10**6)


def metrics(page: Path) -> list[str]:
    return re.findall(r"<figure class=\"image.*?</figure>", page.read_text(encoding="utf-8"), re.DOTALL)


def test_every_image_has_heat_for_each_class_asked() -> None:
    asked = {7: (0, 2), 3: (1,), 19: (2, 1)}
    found = overlays(task("lenet5_keras"), runtime(), SCANS, PREPROCESSING, asked)
    assert {index: tuple(one.place for one in some) for index, some in found.items()} == asked
    assert all(one.layer.startswith("data:image/png;base64,") for some in found.values() for one in some)
    assert found == overlays(task("lenet5_keras"), runtime(), SCANS, PREPROCESSING, asked)
    assert overlays(task("lenet5_keras"), runtime(), SCANS, PREPROCESSING, {19: (2, 1)})[19] == found[19]


def test_the_first_images_within_the_budget_have_heat(monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        large = Classify(models.create("resnet50"), ("a",) * 1000)
    assert 20 <= affordable(large, Preprocessing(224, 224, 3, "crop", (0.5,) * 3, (0.5,) * 3)) <= 30
    small = task("lenet5_keras")
    monkeypatch.setattr(causes, "BUDGET", causes.BUDGET / affordable(small, PREPROCESSING) * 2.5)
    assert list(overlays(small, runtime(), SCANS, PREPROCESSING, {9: (0,), 1: (1,), 5: (2,)})) == [9, 1]


@pytest.mark.parametrize("name", ["mlp_30", "linear"])
def test_networks_without_a_map_have_no_heat(name: str) -> None:
    assert overlays(task(name), runtime(), SCANS, PREPROCESSING, {0: (0,)}) == {}


def test_what_fails_leaves_the_page_without_heat(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(causes, "class_maps", fail)
    assert overlays(task("lenet5_keras"), runtime(), SCANS, PREPROCESSING, {0: (0,)}) == {}


def test_the_pages_cells_and_mistakes_have_heat_for_what_was_taken_and_what_is_true(tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"ape <b>": 20, "bee": 20, "cat": 20})
    convolve.train(data, **QUICK, learning_rate=1e-6, out=tmp_path / "run")
    page = tmp_path / "run" / "report.html"
    shown = metrics(page)
    for figure in shown:
        classes = re.search(r'data-cell="(\d)-(\d)"', figure)
        wrong = classes is None or classes[1] != classes[2]
        assert figure.count('class="look hot"') == (2 if wrong else 1)
        assert figure.count("<i>for</i>") == (2 if wrong else 1)
    assert any('class="image big' in figure for figure in shown)
    assert "Grad-CAM (Selvaraju et al. 2017" in page.read_text(encoding="utf-8")
    convolve.evaluate(tmp_path / "run", threads=1, report=tmp_path / "again.html")
    assert metrics(tmp_path / "again.html") == shown


@pytest.mark.parametrize("options", [{"network": "mlp_20"}, {"labels": True}])
def test_pages_of_other_networks_and_of_several_labels(options: dict[str, Any], tmp_path: Path) -> None:
    several = options.pop("labels", False)
    data = labeled(tmp_path / "data", 40) if several else folders(tmp_path / "data", {"a": 12, "b": 12})
    convolve.train(data, **QUICK | options, out=tmp_path / "run")
    html = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert ('class="look hot"' in html) is several
    assert ("Beside a picture" in html) is several
