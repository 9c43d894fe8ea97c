"""Explaining what people throw at it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.choices import AttributionMethod, View
from convolve.errors import ConvolveError, DataError
from convolve.verbs.explain.results import Explanation
from tests.datasets.test_voc import write
from tests.test_cli import Command
from tests.verbs.synthetic import QUICK, corner_image, labeled, save

CLASSES = ("a b", "ünï", "꽃")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A picture of each class: its own corner is bright."""
    for number in range(3):
        save(tmp_path / "images" / f"그림 {number}.png", corner_image([number], np.random.default_rng(number)))
    return tmp_path / "images"


def explain(run: Path, *images: object, **options: Any) -> Explanation:
    found: Explanation = convolve.explain(run, [str(image) for image in images], threads=1, progress=False, **options)
    return found


def test_the_words_are_the_methods_and_the_views() -> None:
    from convolve.explainers.methods import METHODS
    from convolve.verbs.explain.views import VIEWS

    assert set(get_args(AttributionMethod)) == set(METHODS)
    assert set(get_args(View)) == set(VIEWS)


def test_methods_and_classes_side_by_side(shapes_run: Path, images: Path, tmp_path: Path) -> None:
    methods = ("grad-cam", "integrated-gradients")
    found = explain(shapes_run, images, method=methods, classes=("꽃", "a b"), out=tmp_path / "out")
    arrays = np.load(tmp_path / "out" / "attributions.npz")
    assert arrays["attributions"].shape == (3, 2, 2, 16, 16)
    assert arrays["attributions"].dtype == np.float32
    assert arrays["attributions"][:, 0].min() >= 0 > arrays["attributions"][:, 1].min()
    assert arrays["methods"].tolist() == list(methods)
    assert arrays["names"].tolist() == [["꽃", "a b"]] * 3
    assert arrays["images"].tolist() == [one.image for one in found.images]
    np.testing.assert_allclose(arrays["scores"], [list(one.scores.values()) for one in found.images], rtol=1e-5)
    for one in found.images:
        with Image.open(one.figure) as figure:
            assert figure.format == "PNG"
            assert figure.width > 3 * 224
        assert Path(one.figure).stem == Path(one.image).stem
    assert found.page.read_text(encoding="utf-8").count("<figure") == 3


def test_it_predicts_what_predict_predicts(shapes_run: Path, images: Path, tmp_path: Path) -> None:
    found = explain(shapes_run, images, out=tmp_path / "out")
    predictions: Any = convolve.predict(shapes_run, [str(images)], threads=1, precision="fp32", progress=False)
    answers = predictions.predictions
    assert [(one.image, one.prediction) for one in found.images] == [(one.image, one.label) for one in answers]
    for one, answer in zip(found.images, answers, strict=True):
        assert one.confidence == pytest.approx(answer.confidence, rel=1e-5)
        assert one.scores == {one.prediction: one.confidence}
    assert [method.method for method in found.methods] == ["grad-cam"]


def test_without_images_it_takes_some_of_the_test_split(shapes_run: Path, tmp_path: Path) -> None:
    found = explain(shapes_run, out=tmp_path / "out")
    assert len(found.images) == 12
    assert {one.ground_truth for one in found.images} == set(CLASSES)
    assert all(Path(one.image).parts[0] == one.ground_truth for one in found.images)


def test_what_is_broken_is_named_and_left_out(shapes_run: Path, images: Path, tmp_path: Path) -> None:
    (images / "bad.png").write_text("not a picture")
    Image.new("1", (12_000, 9_000)).save(images / "huge.png")
    save(images / "thin.png", np.zeros((2, 900, 3), np.uint8))
    save(images / "gray" / "그림 0.png", np.zeros((1, 1, 1), np.uint8))
    found = explain(shapes_run, images, out=tmp_path / "out")
    assert [bool(one.error) for one in found.images] == [True, False, True, False, False, False, False]
    assert "bad.png" in found.images[0].error
    assert "bad.png" in found.page.read_text(encoding="utf-8")
    figures = [one.figure for one in found.images if one.figure]
    assert len(set(figures)) == len(figures) == 5
    assert str(tmp_path / "out" / "그림 0 2.png") in figures
    with pytest.raises(DataError, match="No image can be read"):
        explain(shapes_run, images / "bad.png", out=tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_boxes_count_in_what_the_network_sees(shapes_run: Path, images: Path, tmp_path: Path) -> None:
    """The pictures are 24 pixels wide, and the network sees them at 16."""
    for number, (left, top) in enumerate(((1, 1), (13, 1))):
        write(tmp_path / "boxes" / f"그림 {number}.xml", ("thing", left, top, left + 11, top + 11))
    found = explain(shapes_run, images, boxes=tmp_path / "boxes", method=("occlusion",), out=tmp_path / "out")
    (method,) = found.methods
    assert method.boxed_images == 2
    assert method.pointing is not None
    assert method.overlap is not None
    assert 0 <= method.overlap <= 1
    page = found.page.read_text(encoding="utf-8")
    assert 'class="box given" style="left:0.00%;top:0.00%;width:50.00%;height:50.00%"' in page
    assert 'class="box given" style="left:50.00%;top:0.00%;width:50.00%;height:50.00%"' in page
    with pytest.raises(DataError, match=r"has no annotation for these images, such as 그림 0\.xml"):
        explain(shapes_run, images, boxes=images, out=tmp_path / "out")


def test_boxes_of_the_class_win_over_others(tmp_path: Path) -> None:
    from convolve.values import Preprocessing
    from convolve.verbs.explain.images import annotated_boxes

    preprocessing = Preprocessing(10, 10, 1, "crop", (0.5,), (0.5,))
    write(tmp_path / "a.xml", ("dog", 1, 1, 10, 20), ("cat", 21, 1, 30, 20), ("cat", 39, 1, 40, 20))
    np.testing.assert_allclose(
        annotated_boxes(tmp_path, "cats/a.jpg", "cat", (20, 40), preprocessing), [[5, 0, 10, 10]]
    )
    np.testing.assert_allclose(annotated_boxes(tmp_path, "a.png", "cow", (20, 40), preprocessing), [[5, 0, 10, 10]])
    letterbox = dataclasses.replace(preprocessing, fit="letterbox")
    np.testing.assert_allclose(annotated_boxes(tmp_path, "a.png", "dog", (20, 40), letterbox), [[0, 2, 2.5, 7]])
    assert annotated_boxes(tmp_path, "b.png", "dog", (20, 40), letterbox).shape == (0, 4)


def test_methods_are_measured(shapes_run: Path, images: Path, tmp_path: Path, command: Command) -> None:
    words = ("--method", "grad-cam", "guided-backpropagation", "--sanity", "--faithfulness", "--threads", "1")
    left = command("explain", shapes_run, images, *words, "--out", tmp_path / "out")
    assert left.code == 0
    assert "caution, guided-backpropagation: In Adebayo et al. 2018 " in left.out
    assert "top randomized" in left.out
    assert "deletion" in left.out
    found = json.loads(command("explain", shapes_run, images, *words, "--out", tmp_path / "out", "--json").out)
    for method in found["methods"]:
        assert 0 <= method["deletion"] <= 1
        assert 0 <= method["insertion"] <= 1
        assert method["milliseconds"] > 0
        assert method["passed"] is (method["similarity"] < 0.5)
        assert list(method["similarities"]) == ["head", "stage2", "stage1"]
        assert method["top_similarity"] == method["similarities"]["stage2"]
        assert list(method["similarities"].values())[-1] == method["similarity"]
    assert found["methods"][1]["warning"]
    assert found["methods"][0]["deletion"] < found["methods"][0]["insertion"]


def test_the_command_and_the_function_are_one(shapes_run: Path, images: Path, tmp_path: Path, command: Command) -> None:
    left = command("explain", shapes_run, images, "--threads", "1", "--out", tmp_path / "out", "--json")
    assert json.loads(left.out) == json.loads(json.dumps(explain(shapes_run, images, out=tmp_path / "out").as_json()))


def test_views_are_written_next_to_the_heatmaps(shapes_run: Path, images: Path, tmp_path: Path) -> None:
    found = explain(shapes_run, images, show=("filters", "receptive-field", "patches"), out=tmp_path / "out")
    assert list(found.views) == ["filters", "receptive-field", "patches"]
    assert all(Path(path).is_file() for files in found.views.values() for path in files)


def test_a_run_explains_wherever_it_is(shapes: Path, shapes_run: Path, images: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(shapes_run, tmp_path / "run elsewhere"))
    found = explain(moved, images / "그림 0.png")
    assert found.page == moved / "explanations" / "explanations.html"
    gone = shapes.rename(shapes.with_name("gone"))
    try:
        explain(moved, images / "그림 0.png")
        with pytest.raises(DataError, match="The run's data is no longer at"):
            explain(moved)
    finally:
        gone.rename(shapes)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"method": "gradcam"}, "it must be cam, grad-cam"),
        ({"method": "cam"}, "has no global average pooling"),
        ({"stage": "stage9"}, "has no stage 'stage9'; its stages are stage1, stage2"),
        ({"method": "saliency", "stage": "stage1"}, "takes no stage or layer"),
        ({"classes": "rose"}, "does not know the class 'rose'; it knows a b, ünï, 꽃"),
        ({"show": "filter"}, "it must be filters, "),
        ({"images": "nowhere.png"}, "nowhere.png does not exist"),
    ],
)
def test_mistakes_are_one_sentence(options: dict[str, Any], sentence: str, shapes_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConvolveError) as caught:
        convolve.explain(shapes_run, out=tmp_path / "out", threads=1, progress=False, **options)
    assert sentence in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_default_method_depends_on_the_head() -> None:
    from convolve import models
    from convolve.explainers.methods import default_method

    gap = models.create("resnet20_cifar", 4, 3, (32, 32))
    assert default_method(gap)[0].name == default_method(gap, "stage3")[0].name == "cam"
    assert default_method(gap, "stage1")[0].name == "grad-cam"
    assert default_method(models.create("lenet5_keras", 4, 3, (32, 32)))[0].name == "grad-cam"


def test_multi_label_images(tmp_path: Path) -> None:
    convolve.train(str(labeled(tmp_path / "data", 40)), **QUICK, out=tmp_path / "run")
    found = explain(tmp_path / "run", out=tmp_path / "out")
    for one in found.images:
        assert len(one.scores) == 1
        assert set(one.prediction.split(";")) <= {"north west", "north east", "south", ""}
        assert one.ground_truth
