"""Networks that only run (ONNX, TensorFlow Lite, TensorFlow's frozen graphs) become exports, which other verbs take."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import convolve
from convolve.errors import ConvolveError, OptionError
from convolve.verbs.convert import Converted, render
from tests.verbs.synthetic import folders

pytestmark = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
if importlib.util.find_spec("openvino"):
    from convolve.exports.card import read_card
    from tests.exports.test_foreign import PHOTOS, WEIGHTS, means, needs_files, two_outputs, write_network


def convert(file: Path, out: Path | None, **options: Any) -> Converted:
    """Without progress on the console."""
    return convolve.convert(file, out=out, progress=False, **options)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A network that is as sure of a class as its channel is bright."""
    return write_network(tmp_path / "net.xml", means)


def test_a_graph_becomes_an_export_that_other_verbs_take(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    found = convert(graph, tmp_path / "export", classes=tmp_path / "names.txt", scale="0.1", mean="1,2,3", bgr=True)
    assert (found.task, found.outputs, found.is_export, found.run) == ("classify", 3, True, tmp_path / "export")
    assert found.source == "net.xml (OpenVINO)"
    assert found.preprocessing.mean == pytest.approx((3 / 255, 2 / 255, 1 / 255))
    assert found.notes == ("The file gives plain scores; the export makes probabilities of them by softmax.",)
    card = read_card(tmp_path / "export")
    assert set(card.files) == {"network.xml", "network.bin", "README.md"}
    assert card.classes == ("a", "b", "c")
    data = folders(tmp_path / "data", {"a": 4, "b": 4, "c": 4})
    image = data / "a" / "0.png"
    (prediction,) = convolve.predict(tmp_path / "export", [image], threads=1, progress=False).predictions
    assert prediction.as_json()["label"] in ("a", "b", "c")
    assert convolve.evaluate(tmp_path / "export", data, threads=1, progress=False).evaluation.images == 12
    both = [str(tmp_path / "export")] * 2
    assert len(convolve.compare(both, threads=1, progress=False).runs) == 2


def test_what_is_assumed_is_said(graph: Path, tmp_path: Path) -> None:
    found = convert(graph, tmp_path / "export", task="classify")
    assert found.notes[1:] == (
        "Pixels are given as numbers from 0 to 255; --mean and --scale say otherwise.",
        "Red is taken to come first; --bgr says otherwise.",
        "Its classes are called 0 to 2; --classes FILE gives them names.",
    )
    assert all(note in (tmp_path / "export" / "README.md").read_text() for note in found.notes)
    assert json.loads(json.dumps(found.as_json()))["is_export"] is True


def test_the_readme_runs(graph: Path, tmp_path: Path) -> None:
    convert(graph, tmp_path / "export", task="classify")
    code = (tmp_path / "export" / "README.md").read_text().split("```")[1].removeprefix("python\n")
    image = folders(tmp_path / "data", {"a": 1}) / "a" / "0.png"
    (tmp_path / "export" / "use.py").write_text(code)
    command = [sys.executable, "use.py", str(image)]
    done = subprocess.run(command, cwd=tmp_path / "export", capture_output=True, text=True, check=True)
    (prediction,) = convolve.predict(tmp_path / "export", [image], threads=1, progress=False).predictions
    assert done.stdout.split()[0] == prediction.as_json()["label"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "resnet18"}, r"net\.xml holds a graph, which stays as it is; omit --network"),
        ({"swap_axes": True}, "omit --swap-axes"),
        ({"task": "detect"}, "is read for --task classify, segment, landmarks or restore, not for detect"),
        ({"input": "1x8x8", "task": "classify"}, "takes images of 3 channels; --input has 1"),
        ({"input": "3x9x8"}, "takes images of 8x8 pixels; omit --input"),
        ({"mean": "1,2"}, "mean has 2 numbers"),
        ({"task": "segment"}, "and none for the classes of each pixel"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    graph: Path, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConvolveError, match=message):
        convert(graph, tmp_path / "export", **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.bin", "net.xml"]


def test_numbers_that_may_be_no_scores_are_not_taken_for_them(graph: Path, tmp_path: Path) -> None:
    said = r"gives 3 numbers of an image, which may be no scores; if they are, say --task classify"
    with pytest.raises(ConvolveError, match=said):
        convert(graph, tmp_path / "export")
    sure = write_network(tmp_path / "sure.xml", lambda ops, given: [ops.softmax(means(ops, given)[0], 1)])
    assert convert(sure, tmp_path / "export").outputs == 3


def test_the_folder_must_be_named(graph: Path) -> None:
    with pytest.raises(OptionError, match="becomes an export, whose folder has no default; name it with --out"):
        convert(graph, None)


def test_an_image_or_several_outputs_are_no_classes(tmp_path: Path) -> None:
    image = write_network(tmp_path / "image.xml", lambda _, given: [given], (1, 3, 8, 8))
    with pytest.raises(ConvolveError, match="no score for each of two or more classes; --task segment takes scores of"):
        convert(image, tmp_path / "export")
    with pytest.raises(ConvolveError, match="which may be the colors of an image; if they are scores of classes, name"):
        convert(image, tmp_path / "export", task="segment")
    several = write_network(tmp_path / "several.xml", two_outputs)
    with pytest.raises(ConvolveError, match="has 2 outputs"):
        convert(several, tmp_path / "export")
    assert not (tmp_path / "export").exists()


@needs_files
def test_mobilenet_with_the_file_of_its_labels(tmp_path: Path) -> None:
    file = WEIGHTS / "coral" / "mobilenet_v2_1.0_224_quant.tflite"
    names = WEIGHTS / "squeezenet" / "imagenet_labels.txt"
    found = convert(file, tmp_path / "export", classes=names)
    assert (found.outputs, found.source) == (1001, f"{file.name} (TensorFlow Lite)")
    (cat,) = convolve.predict(tmp_path / "export", [PHOTOS / "chelsea.png"], threads=1, progress=False).predictions
    assert cat.as_json()["label"] == "Egyptian cat"


@needs_files
def test_movenet_is_measured_on_cocos_persons(tmp_path: Path) -> None:
    """The points are read although the boxes and outlines of the same files would go first."""
    found = convert(WEIGHTS / "coral" / "movenet_single_pose_lightning_ptq.tflite", tmp_path / "export")
    assert "task    landmarks, 17 points" in list(render(found))
    assert not any("--classes" in note for note in found.notes)
    assert "for the task `landmarks` with 17 points" in (tmp_path / "export" / "README.md").read_text()
    data = WEIGHTS.parent / "data" / "coco_mini"
    metrics = convolve.evaluate(
        tmp_path / "export", data, split="validation", threads=1, progress=False
    ).evaluation.metrics
    assert metrics["nme"] == pytest.approx(0.165, abs=0.01)
    assert metrics["oks_ap"] == pytest.approx(0.305, abs=0.02)


@needs_files
def test_deeplab_with_names_of_its_classes(tmp_path: Path) -> None:
    names = (WEIGHTS / "coral" / "pascal_voc_segmentation_labels.txt").read_text().splitlines()[:21]
    (tmp_path / "names.txt").write_text("\n".join(names))
    file = WEIGHTS / "coral" / "deeplabv3_mnv2_dm05_pascal_quant.tflite"
    convert(file, tmp_path / "export", task="segment", classes=tmp_path / "names.txt")
    (found,) = convolve.predict(tmp_path / "export", [PHOTOS / "chelsea.png"], threads=1, progress=False).predictions
    assert next(iter(found.as_json()["classes"])) == "cat"


@needs_files
@pytest.mark.parametrize(
    "name",
    [
        "ultraface/version-RFB-320_without_postprocessing.onnx",
        "style/multistyle26.onnx",
        "style/arbitrary_transform.onnx",
        "super_resolution_tf/ESPCN_x2.pb",
        "super_resolution_tf/FSRCNN_x4.pb",
        "coral/movenet_single_pose_lightning_ptq.tflite",
    ],
)
@pytest.mark.parametrize("task", ["classify", "segment"])
def test_what_gives_no_classes_is_refused_in_a_sentence(name: str, task: str, tmp_path: Path) -> None:
    for options in ({}, {"input": "3x64x64"}, {"input": "1x64x64"}):
        with pytest.raises(ConvolveError) as caught:
            convert(WEIGHTS / name, tmp_path / "export", task=task, **options)
        assert name in str(caught.value)
    assert not (tmp_path / "export").exists()
