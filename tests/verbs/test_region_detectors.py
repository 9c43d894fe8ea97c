"""Networks over proposed regions from the command to the files: nothing but the task knows that they need regions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from torch import nn

import convolve
from convolve.errors import ExportError, OptionError
from convolve.models import Card, Network, registry
from convolve.models.network import Stage, Variant
from convolve.training.run import open_run
from tests.tasks.detect.small import voc_folder
from tests.verbs.synthetic import train

CLASSIFIER = "tiny_classifier"
OPTIONS: dict[str, Any] = {
    "size": 64,
    "epochs": 8,
    "threads": 1,
    "precision": "fp32",
    "progress": False,
    "seed": 1,
    "weights": "none",
    "regions": 60,
}


def _build(card: Card, classes: int, channels: int, size: tuple[int, int]) -> Network:
    del size
    stages, inner = {}, channels
    for number, outer in enumerate((8, 16, 32), 1):
        layers = nn.Sequential(nn.Conv2d(inner, outer, 3, 2, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU())
        stages[f"stage{number}"] = Stage(layers, outer, 2**number)
        inner = outer
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inner, classes))
    return Network(card, stages, head)


VARIANT = Variant(Card(CLASSIFIER, "A tiny classifier", "nobody", 2016, "nowhere", "", (3, 32, 32), 10, 8), _build)


@pytest.fixture(scope="module", autouse=True)
def _tiny_classifier() -> Iterator[None]:
    registry._VARIANTS[CLASSIFIER] = VARIANT
    yield
    registry._VARIANTS.pop(CLASSIFIER)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return voc_folder(tmp_path_factory.mktemp("shapes"), 60)


@pytest.fixture(scope="module", params=["fast_rcnn", "rcnn"])
def run(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / request.param
    return train(data, network=f"{request.param}_{CLASSIFIER}", **OPTIONS, out=out).run


def test_it_learns_and_stores_how_regions_are_proposed(run: Path) -> None:
    manifest = open_run(run).manifest
    assert manifest.results["test"]["metrics"]["ap50"] > 0.6
    assert manifest.state["proposals"] == {"kind": "fast", "most": 60}
    assert manifest.state["nms_iou"] == 0.3
    recipe = (run / "recipe.toml").read_text(encoding="utf-8")
    assert "batch = 2" in recipe
    assert "regions = 60" in recipe
    first = json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    assert ("box" in first) == ("fast" in manifest.state["proposals"]["kind"] and "fast_rcnn" in str(run))
    assert (run / "report.html").exists()
    assert (run / "contact_sheet.png").exists()


def test_evaluation_repeats_what_the_training_found(run: Path) -> None:
    found = convolve.evaluate(run, threads=1, progress=False)
    expected = open_run(run).manifest.results["test"]["metrics"]
    assert found.evaluation.metrics["ap50"] == pytest.approx(expected["ap50"])
    assert found.evaluation.metrics["ap"] == pytest.approx(expected["ap"])


def test_new_images_are_predicted_from_the_run_alone(run: Path, data: Path, tmp_path: Path) -> None:
    """As the evaluation finds them: regions are proposed in the images themselves."""
    names = [str(path) for path in sorted((data / "JPEGImages").iterdir())[:8]]
    found = convolve.predict(run, names, threads=1, progress=False, out=tmp_path / "out").predictions
    assert any(one.detections for one in found)  # type: ignore[attr-defined]
    assert len(list((tmp_path / "out").glob("*_overlay.jpg"))) == 8
    tiled = convolve.predict(run, names, threads=1, progress=False, tile=48).predictions
    assert any(one.detections for one in tiled)  # type: ignore[attr-defined]


def test_a_detection_is_explained(run: Path, data: Path, tmp_path: Path) -> None:
    names = [str(path) for path in sorted((data / "JPEGImages").iterdir())[:3]]
    convolve.explain(run, names, method=["layer-cam", "occlusion"], out=tmp_path / "out", threads=1, progress=False)
    arrays = np.load(tmp_path / "out" / "attributions.npz")
    assert any(np.asarray(arrays[name]).any() for name in arrays.files)


def test_export_says_why_not(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="scores regions that are proposed outside of it"):
        convolve.export(run, out=tmp_path / "export", progress=False)


def test_machines_are_in_the_weights_of_rcnn_alone(run: Path) -> None:
    weights = load_file(run / "weights.safetensors")
    own = {name: value for name, value in weights.items() if ".svms." in name}
    if "fast_rcnn" in str(run):
        assert not own
        return
    assert int(own["head.svms.fitted"]) == 1
    assert own["head.svms.weight"].any(1).all()
    assert own["head.svms.moves"].any()


@pytest.mark.parametrize("option", [{"proposals": "quality"}, {"regions": 5}])
def test_a_network_that_finds_regions_by_itself_is_given_none(option: dict[str, Any], data: Path) -> None:
    with pytest.raises(OptionError, match="finds regions by itself; leave out --"):
        convolve.train(data, network="yolo_compact", progress=False, **option)


def test_sliding_windows_are_proposals_too(data: Path, tmp_path: Path) -> None:
    options = {**OPTIONS, "epochs": 1, "proposals": "windows"}
    made = train(data, network=f"fast_rcnn_{CLASSIFIER}", **options, out=tmp_path / "run")
    assert open_run(made.run).manifest.state["proposals"] == {"kind": "windows", "most": 60}


def test_svd_is_refused_where_no_dense_layer_becomes_smaller(run: Path, data: Path) -> None:
    if "fast_rcnn" in str(run):
        assert convolve.predict(run, data / "JPEGImages", svd=True, threads=1, progress=False).predictions
        return
    with pytest.raises(OptionError, match="no dense layers over regions that --svd would make smaller"):
        convolve.predict(run, data / "JPEGImages", svd=True, progress=False)
