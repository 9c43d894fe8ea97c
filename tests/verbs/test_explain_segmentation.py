"""`convolve explain` for a segmentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.choices import AttributionMethod, View
from convolve.errors import ConvolveError
from convolve.verbs.explain.results import Explanation
from tests.tasks.segment.small import PALETTE, QUICK, blobs, folder
from tests.test_cli import Command
from tests.verbs.test_explain import command as command  # noqa: PLC0414 - a fixture

CLASSES = ("ground", "bright disc", "어두운 것")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data: Path = folder(tmp_path_factory.mktemp("blobs"))
    out: Path = tmp_path_factory.mktemp("runs") / "blobs"
    convolve.train(str(data), **QUICK | {"epochs": 15, "batch": 4, "learning_rate": 0.005}, out=out)
    return out


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Of another shape than the input; the last one has neither disc nor rectangle."""
    (tmp_path / "images").mkdir()
    for number in range(2):
        picture, _ = blobs(np.random.default_rng(50 + number), (50, 70))
        Image.fromarray(picture).save(tmp_path / "images" / f"그림 {number}.png")
    Image.new("RGB", (40, 40), (110, 110, 110)).save(tmp_path / "images" / "그림 2.png")
    return tmp_path / "images"


def explain(run: Path, *images: object, **options: Any) -> Explanation:
    found: Explanation = convolve.explain(run, [str(image) for image in images], threads=1, progress=False, **options)
    return found


def test_the_pixels_of_a_class_and_their_attribution(run: Path, images: Path, tmp_path: Path) -> None:
    methods = ("grad-cam", "occlusion")
    found = explain(run, images, method=methods, classes=("bright disc", "어두운 것"), out=tmp_path / "out")
    arrays = np.load(tmp_path / "out" / "attributions.npz")
    assert arrays["attributions"].shape == (3, 2, 2, 32, 32)
    regions = arrays["regions"]
    assert regions.shape == (3, 2, 32, 32)
    assert regions[:2].any((2, 3)).all()
    assert not (regions[:, 0] & regions[:, 1]).any()
    for attribution, region in zip(
        arrays["attributions"][:2, 1].reshape(-1, 32, 32), regions[:2].reshape(-1, 32, 32), strict=True
    ):
        assert attribution[region].mean() > 3 * abs(attribution[~region].mean())
    assert [one.prediction for one in found.images] == ["ground"] * 3
    assert all(0.5 < score <= 1 for one in found.images[:2] for score in one.scores.values())
    page = found.page.read_text(encoding="utf-8")
    assert page.count('class="region"') == int(regions.any((2, 3)).sum())
    assert "mostly" in page
    assert "ground truth" not in page
    with Image.open(found.images[0].figure) as figure:
        assert figure.width > 4 * 224
        colors = set(map(tuple, np.asarray(figure.convert("RGB")).reshape(-1, 3).tolist()))
    assert {PALETTE[1], PALETTE[2]} <= colors  # the outlines are in the dataset's own colors


def test_a_class_without_pixels_has_no_attribution(run: Path, images: Path, tmp_path: Path) -> None:
    methods = tuple(method for method in get_args(AttributionMethod) if method != "cam")
    found = explain(
        run,
        images / "그림 2.png",
        method=methods,
        classes=("bright disc",),
        faithfulness=True,
        sanity=True,
        out=tmp_path / "out",
    )
    arrays = np.load(tmp_path / "out" / "attributions.npz")
    assert not arrays["regions"].any()
    assert not arrays["attributions"].any()
    assert arrays["scores"].tolist() == [[0.0]]
    assert "no pixels" in found.page.read_text(encoding="utf-8")
    assert all(one.deletion is one.insertion is one.passed is None for one in found.methods)


def test_methods_are_measured_by_the_pixels(run: Path, images: Path, tmp_path: Path, command: Command) -> None:
    words = ("--method", "grad-cam", "saliency", "--classes", "bright disc", "--sanity", "--faithfulness", "--json")
    left = command("explain", run, images, *words, "--threads", "1", "--out", tmp_path / "out")
    for method in json.loads(left.out)["methods"]:
        assert 0 <= method["deletion"] < method["insertion"] <= 1
        assert list(method["similarities"]) == ["head", "stage3", "stage2", "stage1"]
        assert 0 < abs(method["similarity"]) < 1


def test_by_default_images_of_the_test_split_and_their_largest_class(run: Path, tmp_path: Path) -> None:
    found = explain(run, out=tmp_path / "out")
    assert [method.method for method in found.methods] == ["grad-cam"]
    for one in found.images:
        assert one.ground_truth == ""
        assert one.scores == {one.prediction: pytest.approx(one.confidence)}


def test_every_view_but_those_of_one_output(run: Path, images: Path, tmp_path: Path) -> None:
    views = [view for view in get_args(View) if view not in ("contributions", "embedding")]
    found = explain(run, images / "그림 0.png", show=views, out=tmp_path / "out")
    assert list(found.views) == views
    assert all(Path(path).is_file() for files in found.views.values() for path in files)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"method": "cam"},
            "CAM explains the score of a class for the image as a whole, and what is explained of fcn1s_resnet20_cifar",
        ),
        ({"show": "contributions"}, "--show contributions needs one output for an image, and fcn1s_resnet20_cifar"),
        ({"show": "embedding"}, "gives one for each of its pixels; leave it out"),
        ({"classes": "rose"}, "does not know the class 'rose'; it knows ground, bright disc, 어두운 것"),
        ({"stage": "stage9"}, "has no stage 'stage9'"),
    ],
)
def test_mistakes_are_one_sentence(options: dict[str, Any], sentence: str, run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConvolveError) as caught:
        convolve.explain(run, out=tmp_path / "out", threads=1, progress=False, **options)
    assert sentence in str(caught.value)
    assert not (tmp_path / "out").exists()
