"""Networks of other programs become runs, which predict, explain, are compared, evaluated and trained further."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision

import convolve
from convolve.errors import ConvolveError, OptionError, RunError, WeightsError
from convolve.models import card, create
from convolve.setup.restore import restore_task
from convolve.setup.runtime_options import RuntimeOptions
from convolve.setup.starting_weights import find_starting_weights
from convolve.training.run import open_run
from convolve.values import Preprocessing
from convolve.verbs.convert import Converted
from tests.interop.caffe_files import random_blobs, write_caffemodel
from tests.verbs.synthetic import QUICK, folders, train

DARKNET = Path(__file__).parents[1] / "interop" / "darknet" / "forward"
TORCH7 = Path(__file__).parents[1] / "interop" / "torch7"
DEPLOY = """
name: "small" input: "data" input_dim: [1, 3, 16, 16]
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
  convolution_param { num_output: 8 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "fc" type: "InnerProduct" bottom: "conv2" top: "fc" inner_product_param { num_output: 2 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
SMALL = {name: value for name, value in QUICK.items() if name not in ("network", "size")}


@pytest.fixture(scope="module")
def caffe(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network of Caffe and its numbers."""
    folder = tmp_path_factory.mktemp("caffe")
    text, binary = folder / "small.prototxt", folder / "small.caffemodel"
    text.write_text(DEPLOY)
    binary.write_bytes(write_caffemodel(DEPLOY, random_blobs(text)))
    return text, binary


def convert(files: Any, out: Path, **options: Any) -> Converted:
    """Without progress on the console."""
    return convolve.convert(files, out=out, progress=False, **options)


@pytest.fixture(scope="module")
def run(caffe: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the network of Caffe, of two classes."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "names.txt").write_text("a\nb\n")
    found = convert(caffe[::-1], folder / "run", classes=folder / "names.txt", scale="0.00392156862745098", bgr=False)
    assert found.notes == ()
    assert found.source == "small.caffemodel and small.prototxt (Caffe)"
    return found.run


def test_a_network_becomes_a_run(run: Path) -> None:
    opened = open_run(run)
    assert opened.manifest.task == "classify"
    assert opened.manifest.state["classes"] == ["a", "b"]
    assert opened.manifest.preprocessing.std == pytest.approx((1.0,) * 3)
    assert opened.recipe.network == str(run.resolve() / "network.json")
    assert json.loads((run / "network.json").read_text())["source"] == "Caffe"


def test_the_run_predicts_explains_is_evaluated_and_compared(run: Path, tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 4, "b": 4})
    image = data / "a" / "0.png"
    (prediction,) = convolve.predict(run, [image], threads=1, progress=False).predictions
    assert prediction.as_json()["label"] in ("a", "b")
    convolve.explain(run, [image], out=tmp_path / "explained", threads=1, progress=False)
    assert (tmp_path / "explained" / "explanations.html").is_file()
    evaluated = convolve.evaluate(run, data, threads=1, progress=False)
    assert evaluated.evaluation.images == 8
    compared = convolve.compare([str(run), str(run)], threads=1, progress=False)
    assert {(row.split, row.value) for row in compared.runs} == {("converted", None)}


@pytest.mark.parametrize("verb", [convolve.evaluate, convolve.explain])
def test_what_needs_data_of_its_own_says_so(run: Path, verb: Any) -> None:
    with pytest.raises(RunError, match=r"was converted from another program's file and has no data of its own; name"):
        verb(run, progress=False)


def test_it_is_not_resumed_but_trained_further(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="was converted, not trained; start a training from it"):
        convolve.train(resume=run, progress=False)
    data = folders(tmp_path / "data", {"a": 8, "b": 8, "c": 8})
    trained = train(data, network=str(run / "network.json"), weights=str(run), **SMALL, out=tmp_path / "more")
    reason = open_run(trained.run).manifest.reasons["weights"]
    assert reason == "randomly initialized: head.layers.fc.dense.weight, head.layers.fc.dense.bias"
    assert open_run(trained.run).manifest.preprocessing.height == 16


def test_training_starts_from_the_file_itself(run: Path, caffe: tuple[Path, Path], tmp_path: Path) -> None:
    data = folders(tmp_path / "data", {"a": 8, "b": 8, "c": 8})
    trained = train(
        data, network=str(run / "network.json"), weights=str(caffe[1]), size=16, **SMALL, out=tmp_path / "more"
    )
    assert "2 of 3 layers, by their order and shapes" in open_run(trained.run).manifest.reasons["weights"]
    assert "blue is taken to come first" in open_run(trained.run).manifest.reasons["weights"]


def test_blue_that_comes_first_is_exchanged_with_red(caffe: tuple[Path, Path], tmp_path: Path) -> None:
    with_red, with_blue = (
        convert(caffe, tmp_path / str(bgr), bgr=bgr, mean="10,20,30", scale="0.5") for bgr in (False, True)
    )
    one, two = (create_with_weights(each.run) for each in (with_red, with_blue))
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(one(images), two(images.flip(1)))
    assert with_red.preprocessing.mean == pytest.approx((10 / 255, 20 / 255, 30 / 255))
    assert with_blue.preprocessing.mean == pytest.approx((30 / 255, 20 / 255, 10 / 255))
    assert with_blue.preprocessing.std == pytest.approx((1 / 127.5,) * 3)
    assumed = convert(caffe, tmp_path / "assumed")
    assert assumed.notes[0] == "blue is taken to come first, as Caffe's own tools give images"
    torch.testing.assert_close(create_with_weights(assumed.run)(images), two(images))


def create_with_weights(folder: Path) -> Any:
    """The network of a run."""
    return restore_task(open_run(folder), RuntimeOptions(threads=1))[0].network


def test_swapped_axes_are_those_of_a_transposed_image(caffe: tuple[Path, Path], tmp_path: Path) -> None:
    plain, swapped = (convert(caffe, tmp_path / str(swap), swap_axes=swap) for swap in (False, True))
    one, two = (create_with_weights(each.run) for each in (plain, swapped))
    images = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(one(images), two(images.transpose(2, 3)))


@pytest.mark.parametrize("name", ["v2_small", "v3_small", "v1_small"])
def test_a_detector_of_darknet_becomes_a_run(name: str, tmp_path: Path) -> None:
    found = convert([DARKNET / f"{name}.weights", DARKNET / f"{name}.cfg"], tmp_path / "run")
    assert found.task == "detect"
    assert (tmp_path / "run" / "network.cfg").is_file()
    image = folders(tmp_path / "data", {"a": 1}) / "a" / "0.png"
    assert len(convolve.predict(found.run, [image], threads=1, progress=False).predictions) == 1


def test_a_run_of_darknet_needs_the_files_no_more(tmp_path: Path) -> None:
    files = [shutil.copy(DARKNET / f"v3_small{suffix}", tmp_path) for suffix in (".cfg", ".weights")]
    found = convert(files, tmp_path / "finder")
    assert open_run(found.run).recipe.network == str(tmp_path.resolve() / "finder" / "network.cfg")
    before = create_with_weights(found.run).state_dict()
    for file in files:
        Path(file).unlink()
    image = folders(tmp_path / "data", {"a": 1}) / "a" / "0.png"
    assert len(convolve.predict(found.run, [image], threads=1, progress=False).predictions) == 1
    start = find_starting_weights(str(found.run), str(found.run / "network.cfg"))
    assert set(start.state) == set(before)


def test_a_network_from_a_file_is_called_by_a_name_without_a_path(
    run: Path, caffe: tuple[Path, Path], tmp_path: Path
) -> None:
    detector = convert([DARKNET / "v3_small.weights", DARKNET / "v3_small.cfg"], tmp_path / "finder")
    assert (convert(caffe, tmp_path / "again").network, detector.network) == ("small", "finder")
    compared = convolve.compare([str(run), str(detector.run), str(DARKNET / "v3_small.cfg")], threads=1, progress=False)
    assert sorted(row.network for row in compared.runs) == ["finder", "small", "v3_small"]
    image = folders(tmp_path / "data", {"a": 1}) / "a" / "0.png"
    convolve.explain(run, [image], out=tmp_path / "why", threads=1, progress=False)
    assert "What small bases its predictions on" in (tmp_path / "why" / "explanations.html").read_text()
    convolve.evaluate(run, folders(tmp_path / "own", {"a": 4, "b": 4}), report=tmp_path / "page.html", progress=False)
    assert "<title>small on own</title>" in (tmp_path / "page.html").read_text()
    for found in (card(str(run / "network.json")), card(str(detector.run / "network.cfg"))):
        assert found.year is None
        assert str(tmp_path) not in found.label


def test_weights_of_a_named_network(tmp_path: Path) -> None:
    torch.save(create("lenet5_keras", 3, 1, (28, 28)).state_dict(), tmp_path / "own.pth")
    found = convert(tmp_path / "own.pth", tmp_path / "run", network="lenet5_keras")
    assert (found.network, found.outputs) == ("lenet5_keras", 3)
    with pytest.raises(OptionError, match="say with --network which network they are of"):
        convert(tmp_path / "own.pth", tmp_path / "other")
    (tmp_path / "empty.pth").touch()
    with pytest.raises(WeightsError, match=r"empty\.pth cannot be read as weights"):
        convert(tmp_path / "empty.pth", tmp_path / "other")
    with pytest.raises(WeightsError, match=r"is 6x1x5x5 in the weights but 20x1x5x5 in lenet"):
        convert(tmp_path / "own.pth", tmp_path / "other", network="lenet")


def test_the_input_is_normalized_as_the_library_states(tmp_path: Path) -> None:
    file, network = tmp_path / "theirs.pth", "torchvision/shufflenet_v2_x0_5"
    torch.save(torchvision.models.shufflenet_v2_x0_5(num_classes=3).state_dict(), file)
    found = convert(file, tmp_path / "run", network=network)
    assert found.preprocessing == Preprocessing(224, 224, 3, "crop", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    stated = "mean and standard deviation of the input are those that torchvision states for shufflenet_v2_x0_5"
    assert found.notes[0] == stated
    own = convert(file, tmp_path / "own", network=network, mean="127.5", scale="0.01", fit="stretch")
    assert (own.preprocessing.mean[0], own.preprocessing.fit) == (0.5, "stretch")
    assert stated not in own.notes
    start = find_starting_weights(str(file), network)
    assert (start.preprocessing, start.source) == (found.preprocessing, f"{file}; {stated}")
    ours = create(network, 3).state_dict()  # weights under our names may have been trained in any way
    torch.save(ours, tmp_path / "ours.pth")
    assert find_starting_weights(str(tmp_path / "ours.pth"), network).preprocessing is None
    assert (
        "pixels are taken from 0 to 1" in convert(tmp_path / "ours.pth", tmp_path / "third", network=network).notes[0]
    )


def test_a_file_of_torch7(tmp_path: Path) -> None:
    found = convert(TORCH7 / "classifier.t7", tmp_path / "run")
    assert found.task == "classify"
    assert "(Torch7)" in found.source


def test_classes_as_imagenet_has_them(caffe: tuple[Path, Path], tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    for lines, classes in [
        ("n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n", ["tench", "goldfish"]),
        ("background\ncrane\ntable, board\n", ["crane", "table"]),
        ("__background__\ncrane\ntable, board\n", ["crane", "table"]),
        ("n02012849 crane\nn03126707 crane\n", ["crane (n02012849)", "crane (n03126707)"]),
        ("maillot\nmaillot, tank suit\n", ["maillot", "maillot, tank suit"]),
    ]:
        names.write_text(lines)
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        assert open_run(convert(caffe, folder, classes=names).run).manifest.state["classes"] == classes
    names.write_text("dummy\na\nb\n")
    note = f"the first line of {names}, 'dummy', names no class, since the network has 2 scores"
    assert note in convert(caffe, tmp_path / "noted", classes=names).notes
    names.write_text("a\nb\nc\n")
    with pytest.raises(OptionError, match=r"names\.txt names 3 classes, and the network has 2"):
        convert(caffe, tmp_path / "other", classes=names)
    names.write_text("a\n")
    with pytest.raises(OptionError, match=r"names\.txt names 1 classes, and the network has 2"):
        convert(caffe, tmp_path / "other", classes=names)
    with pytest.raises(OptionError, match=r"no\.txt cannot be read \(No such file"):
        convert(caffe, tmp_path / "other", classes=tmp_path / "no.txt")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": "1,2"}, "--mean has 2 values, and the network takes 3 channels"),
        ({"mean": "red"}, "--mean cannot be 'red'; give a number"),
        ({"scale": "0"}, "--scale must be above 0"),
        ({"input": "16x16"}, "--input cannot be '16x16'; give channels x height x width"),
        ({"input": "3x32x32"}, r"'fc.weight' is 2x128 in the weights and must be 2x512"),
        ({"task": "segment"}, "gives scores for the whole image, which segment does not read"),
        ({"network": "resnet18"}, "belong to another network"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    caffe: tuple[Path, Path], tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConvolveError, match=message):
        convert(caffe, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_files_that_are_none_are_refused(caffe: tuple[Path, Path], tmp_path: Path) -> None:
    for name, content in {
        "a.onnx": b"\x08\x07",
        "a.tflite": b"\x1c\0\0\0TFL3",
        "a.txt": b"words",
        "a.weights": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
    refused: list[tuple[list[str | Path], str]] = [
        (["a.onnx"], r"a\.onnx cannot be read"),
        (["a.tflite"], r"a\.tflite cannot be read"),
        (["a.onnx", "a.tflite"], "are not the two files of one network"),
        (["a.txt"], r"a\.txt is no file that can be converted"),
        (["a.weights"], r"a\.weights holds numbers alone; give its \.cfg too"),
        (["no.h5"], r"no\.h5 cannot be read \(No such file"),
        (["a.onnx", "a.txt"], r"a\.txt is no file"),
        ([caffe[0]], r"small\.prototxt describes a network without its weights; give the \.caffemodel too"),
        ([caffe[0], caffe[0]], "is another file of the same kind"),
        ([caffe[0], DARKNET / "v2_small.cfg"], "are not the two files of one network"),
        ([DARKNET / "v2_small.cfg"], r"v2_small\.cfg holds no weights; give the \.weights file too"),
        ([caffe[0]] * 3, "3 files are given; give one, or the two of Caffe or of Darknet"),
    ]
    for files, message in refused:
        with pytest.raises(ConvolveError, match=message):
            convert([tmp_path / file for file in files], tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_stays_as_it_is(run: Path, caffe: tuple[Path, Path]) -> None:
    before = (run / "manifest.json").read_bytes()
    with pytest.raises(RunError, match="already holds a run; choose another --out"):
        convert(caffe, run)
    assert (run / "manifest.json").read_bytes() == before


def test_a_run_keeps_its_network_when_it_is_moved(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "moved")
    images = torch.rand(1, 3, 16, 16)
    np.testing.assert_array_equal(
        create_with_weights(tmp_path / "moved")(images).detach(), create_with_weights(run)(images).detach()
    )
    (tmp_path / "moved" / "network.json").write_text("{}")
    with pytest.raises(RunError, match=r"network\.json is damaged"):
        create_with_weights(tmp_path / "moved")
