"""Networks of other programs as exports: what is asked of pixels, which outputs are taken, and what is refused."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import convolve
from convolve.errors import ExportError, OptionError
from tests.verbs.synthetic import save

pytestmark = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
if importlib.util.find_spec("openvino"):
    from convolve.datasets.point_sets import COCO
    from convolve.exports.card import ExportCard, read_card
    from convolve.exports.foreign import ForeignOptions, wrap_foreign
    from convolve.untrusted.networks import openvino, openvino_core
    from tests.exports.small_exports import COLORS, plain

SHARED = Path(__file__).parents[3] / "shared"
WEIGHTS, PHOTOS = SHARED / "weights", SHARED / "data" / "photos"
needs_files = pytest.mark.skipif(not (WEIGHTS / "coral").is_dir(), reason="the shared weights are not here")
Build = Callable[[Any, Any], Sequence[Any]]


def write_network(path: Path, build: Build, shape: Sequence[int] = (1, 3, 8, 8), kind: Any = np.float32) -> Path:
    """A file of OpenVINO's whose outputs are what ``build`` makes of opset15 and of its input."""
    library = openvino()
    given = library.opset15.parameter(list(shape), kind, name="x")
    results = [
        library.opset15.result(value, name=f"y{index}") for index, value in enumerate(build(library.opset15, given))
    ]
    library.save_model(library.Model(results, [given], "small"), path, compress_to_fp16=False)
    return path


def means(ops: Any, given: Any, axes: tuple[int, ...] = (2, 3)) -> list[Any]:
    return [ops.reduce_mean(ops.convert(given, "f32"), ops.constant(list(axes)), keep_dims=False)]


def predict(folder: Path, path: Path, **options: Any) -> Any:
    (found,) = convolve.predict(folder, str(path), progress=False, threads=1, **options).predictions
    return found


def softmax(scores: Sequence[float]) -> Any:
    powers = np.exp(np.array(scores) - np.max(scores))
    return powers / powers.sum()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    save(tmp_path / "photo.png", plain((200, 100, 50), 12, 20))
    return tmp_path / "photo.png"


def test_plain_scores_become_probabilities(photo: Path, tmp_path: Path) -> None:
    file = write_network(tmp_path / "net.xml", means)
    options = ForeignOptions("classify", COLORS, mean=(104, 117, 123), scale=(0.1,))
    card = wrap_foreign(file, tmp_path / "export", options)
    assert card.notes == ("The file gives plain scores; the export makes probabilities of them by softmax.",)
    assert card == ExportCard(**{**vars(read_card(tmp_path / "export")), "files": {}})
    found = predict(tmp_path / "export", photo)
    expected = softmax([(200 - 104) / 10, (100 - 117) / 10, (50 - 123) / 10])
    assert found.label == "red"
    assert found.confidence == pytest.approx(expected[0], abs=1e-5)


def test_blue_first(photo: Path, tmp_path: Path) -> None:
    """The mean is in the order of the network's channels."""
    file = write_network(tmp_path / "net.xml", means)
    options = ForeignOptions("classify", ("b", "g", "r"), mean=(0, 0, 190), scale=(0.1,), bgr=True)
    wrap_foreign(file, tmp_path / "export", options)
    found = predict(tmp_path / "export", photo)
    expected = softmax([5, 10, 1])
    assert [name for name, _ in found.classes] == ["g", "b", "r"]
    assert found.confidence == pytest.approx(expected[1], abs=1e-5)


def test_probabilities_stay_as_they_are_whatever_follows_them(photo: Path, tmp_path: Path) -> None:
    def build(ops: Any, given: Any) -> Sequence[Any]:
        scores = ops.multiply(means(ops, given, (1, 2))[0], ops.constant(np.float32(0.01)))
        return [ops.reshape(ops.softmax(scores, 1), ops.constant([-1, 1, 1, 3]), special_zero=False)]

    card = wrap_foreign(
        write_network(tmp_path / "net.xml", build, (1, 8, 8, 3)), tmp_path / "export", ForeignOptions("classify")
    )
    assert (card.classes, card.notes, card.precision) == (("0", "1", "2"), (), "fp32")
    assert predict(tmp_path / "export", photo).confidence == pytest.approx(softmax([2, 1, 0.5])[0], abs=1e-5)


def test_powers_divided_by_their_sum_are_probabilities(photo: Path, tmp_path: Path) -> None:
    def build(ops: Any, given: Any) -> Sequence[Any]:
        powers = ops.exp(ops.multiply(means(ops, given)[0], ops.constant(np.float32(0.01))))
        return [ops.divide(powers, ops.reduce_sum(powers, ops.constant([1]), keep_dims=True))]

    card = wrap_foreign(write_network(tmp_path / "net.xml", build), tmp_path / "export", ForeignOptions("classify"))
    assert card.notes == ()
    assert predict(tmp_path / "export", photo).confidence == pytest.approx(softmax([2, 1, 0.5])[0], abs=1e-5)


def test_probabilities_of_several_labels_stay_as_they_are(photo: Path, tmp_path: Path) -> None:
    def build(ops: Any, given: Any) -> Sequence[Any]:
        centered = ops.subtract(means(ops, given)[0], ops.constant(np.float32(75)))
        return [ops.sigmoid(ops.multiply(centered, ops.constant(np.float32(0.1))))]

    file = write_network(tmp_path / "net.xml", build)
    card = wrap_foreign(file, tmp_path / "export", ForeignOptions("classify", COLORS))
    assert card.state["multi_label"]
    assert "an image may have several labels" in card.notes[0]
    found = predict(tmp_path / "export", photo, top=3)
    assert found.label == "red;green"
    expected = {name: 1 / (1 + np.exp((75 - value) / 10)) for name, value in zip(COLORS, (200, 100, 50), strict=True)}
    assert dict(found.classes) == pytest.approx(expected, abs=1e-5)


def test_pixels_with_a_probability_for_each_class_are_of_the_likeliest(tmp_path: Path) -> None:
    def build(ops: Any, given: Any) -> Sequence[Any]:
        return [ops.sigmoid(ops.multiply(given, ops.constant(np.float32(0.01))))]

    save(tmp_path / "one.png", plain((250, 0, 0), 16, 24))
    file = write_network(tmp_path / "net.xml", build, (1, 3, 16, 24))
    card = wrap_foreign(file, tmp_path / "export", ForeignOptions("segment", COLORS))
    assert "a pixel is of the likeliest one" in card.notes[0]
    likely = float(1 / (1 + np.exp(-2.5)))  # by softmax it would be at most 0.46
    for threshold, pixels in ((likely - 0.01, {"red": 384}), (likely + 0.01, {})):
        found = predict(tmp_path / "export", tmp_path / "one.png", threshold=threshold)
        assert {name: region.pixels for name, region in found.classes.items()} == pixels


def quantized(ops: Any, given: Any) -> Sequence[Any]:
    scores = ops.multiply(means(ops, given, (1, 2))[0], ops.constant(np.float32(0.01)))
    low, high, most = (ops.constant(np.float32(value)) for value in (0, 255 / 256, 255))
    return [ops.convert(ops.fake_quantize(ops.softmax(scores, 1), low, high, low, most, 256), "u8")]


def test_a_quantized_network_takes_pixels_as_they_are_and_its_last_step_is_undone(photo: Path, tmp_path: Path) -> None:
    file = write_network(tmp_path / "net.xml", quantized, (1, 8, 8, 3), np.uint8)
    card = wrap_foreign(file, tmp_path / "export", ForeignOptions("classify", COLORS))
    assert card.precision == "int8"
    assert predict(tmp_path / "export", photo).confidence == pytest.approx(softmax([2, 1, 0.5])[0], abs=1e-5)
    with pytest.raises(OptionError, match=r"takes pixels as they are, in 8 bits; omit --mean and --scale"):
        wrap_foreign(file, tmp_path / "other", ForeignOptions("classify", COLORS, mean=(1.0,)))


def test_any_number_of_images_where_the_network_allows_it(tmp_path: Path) -> None:
    def fixed(ops: Any, given: Any) -> Sequence[Any]:
        return [ops.reshape(means(ops, given)[0], ops.constant([1, 3]), special_zero=False)]

    def mixing(ops: Any, given: Any) -> Sequence[Any]:
        scores = means(ops, given)[0]
        return [ops.subtract(scores, ops.reduce_mean(scores, ops.constant([0]), keep_dims=True))]

    for color, number in ((200, 0), (100, 1), (50, 2)):
        pixels = plain((0, 0, 0))
        pixels[..., number] = color
        save(tmp_path / "photos" / f"{number}.png", pixels)
    for name, build, most in (("any", means, -1), ("fixed", fixed, 1), ("mixing", mixing, 1)):
        file = write_network(tmp_path / f"{name}.xml", build)
        wrap_foreign(file, tmp_path / name, ForeignOptions("classify", COLORS, scale=(0.1,)))
        network = openvino_core().read_model(tmp_path / name / "network.xml")
        assert network.inputs[0].get_partial_shape()[0].is_dynamic == (most == -1)
        found: Any = convolve.predict(tmp_path / name, str(tmp_path / "photos"), progress=False, threads=1).predictions
        labels = ["red", "green", "blue"]
        assert [one.label for one in found] == (labels if name != "mixing" else ["red"] * 3)


def test_the_class_of_each_pixel_from_scores(tmp_path: Path) -> None:
    pixels = plain((250, 0, 0), 16, 24)
    pixels[:, 12:] = (0, 250, 0)
    save(tmp_path / "one.png", pixels)
    file = write_network(tmp_path / "net.xml", lambda _, given: [given], (1, 3, 16, 24))
    options = ForeignOptions("segment", COLORS, scale=(0.01,))
    card = wrap_foreign(file, tmp_path / "export", options)
    assert card.state["colors"][0] == [0, 0, 0]
    found = predict(tmp_path / "export", tmp_path / "one.png")
    assert {name: region.pixels for name, region in found.classes.items()} == {"red": 192, "green": 192}
    sure = predict(tmp_path / "export", tmp_path / "one.png", threshold=0.99)
    assert not sure.classes


def test_the_class_of_each_pixel_that_the_file_has_chosen_itself(tmp_path: Path) -> None:
    def build(ops: Any, given: Any) -> Sequence[Any]:
        found = ops.topk(ops.convert(given, "f32"), ops.constant(1), 3, "max", "value", "i64")
        return [ops.squeeze(found.output(1), ops.constant([3]))]

    pixels = plain((0, 0, 250), 32, 48)
    pixels[:16] = (0, 250, 0)
    save(tmp_path / "one.png", pixels)
    file = write_network(tmp_path / "net.xml", build, (1, 16, 24, 3), np.uint8)
    wrap_foreign(file, tmp_path / "export", ForeignOptions("segment"))
    found = predict(tmp_path / "export", tmp_path / "one.png")
    assert {name: region.pixels for name, region in found.classes.items()} == {"1": 768, "2": 768}
    with pytest.raises(OptionError, match="gives 3 scores, but --classes has 5 names; give as many"):
        wrap_foreign(file, tmp_path / "other", ForeignOptions("segment", tuple("abcde")))
    with pytest.raises(OptionError, match="can only be laid over whole images; use --fit stretch"):
        wrap_foreign(file, tmp_path / "other", ForeignOptions("segment", fit="letterbox"))


def test_names_of_classes(tmp_path: Path) -> None:
    file = write_network(tmp_path / "net.xml", means)
    found = wrap_foreign(file, tmp_path / "a", ForeignOptions("classify", ("background", "x", "y", "z")))
    assert found.classes == ("x", "y", "z")
    assert "The first name of --classes, 'background', names none of the file's scores." in found.notes
    with pytest.raises(OptionError, match=r"gives 3 scores, but --classes has 2 names; give as many"):
        wrap_foreign(file, tmp_path / "c", ForeignOptions("classify", ("x", "y")))
    twice = wrap_foreign(file, tmp_path / "b", ForeignOptions("classify", ("crane", "y", "crane")))
    assert twice.classes == ("crane (0)", "y", "crane (2)")


def two_outputs(ops: Any, given: Any) -> Sequence[Any]:
    return [*means(ops, given), *means(ops, given)]


@pytest.mark.parametrize(
    ("build", "shape", "changes", "sentence"),
    [
        (two_outputs, (1, 3, 8, 8), {}, r"has 2 outputs \(.+\), and a network of this kind has one"),
        (lambda _, given: [given], (1, 3, 8, 8), {}, "and no score for each of two or more classes"),
        (lambda ops, given: [ops.relu(given)], (1, 5, 8, 8), {}, "neither color nor gray images"),
        (lambda ops, given: [ops.relu(given)], (1, 12), {}, "which are no images"),
        (means, (1, 3, -1, -1), {}, r"images of any size; say which with --input, such as 3x224x224"),
        (means, (1, 3, 8, 8), {"size": (9, 9)}, "takes images of 8x8 pixels; omit --input"),
        (means, (1, 3, 8, 8), {"mean": (1.0, 2.0)}, "mean has 2 numbers; give one, or one for each of the 3 channels"),
        (means, (1, 3, 8, 8), {"scale": (0.0,)}, "scale cannot be 0"),
        (means, (1, 3, 8, 8), {"scale": (float("nan"),)}, "must be finite"),
        (means, (1, 1, 8, 8), {"bgr": True}, "takes gray images; omit --bgr"),
        (means, (1, 3, 8, 8), {"classes": ("a",)}, "gives 3 scores, but --classes has 1 names"),
        (means, (1, 3, 8, 8), {"fit": "tiles"}, "use --fit stretch, crop or letterbox"),
    ],
)
def test_what_cannot_be_an_export(
    build: Build, shape: Sequence[int], changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    file = write_network(tmp_path / "net.xml", build, shape)
    with pytest.raises((ExportError, OptionError), match=sentence):
        wrap_foreign(file, tmp_path / "export", ForeignOptions("classify", **changes))
    assert not (tmp_path / "export").exists()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("net.onnx", b"", "cannot be read"),
        ("net.tflite", b"\x00" * 64, "cannot be read"),
        ("net.pb", b"\xff" * 64, "cannot be read"),
        ("net.h5", b"", r"is none of the files that OpenVINO reads; give one of \.onnx, \.tflite, \.pb, \.xml"),
    ],
)
def test_files_that_are_no_networks(name: str, content: bytes, sentence: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ExportError, match=sentence) as caught:
        wrap_foreign(tmp_path / name, tmp_path / "export", ForeignOptions("classify"))
    assert len(str(caught.value)) < 500
    with pytest.raises(ExportError, match="does not exist"):
        wrap_foreign(tmp_path / "absent.onnx", tmp_path / "export", ForeignOptions("classify"))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "mine.txt").write_text("mine")
    file = write_network(tmp_path / "net.xml", means)
    with pytest.raises(ExportError, match="exists already; choose another --out"):
        wrap_foreign(file, tmp_path / "export", ForeignOptions("classify"))


@needs_files
def test_mobilenet_of_tensorflow_lite_knows_the_photographs(tmp_path: Path) -> None:
    names = tuple((WEIGHTS / "squeezenet" / "imagenet_labels.txt").read_text().splitlines())
    file = WEIGHTS / "coral" / "mobilenet_v2_1.0_224_quant.tflite"
    card = wrap_foreign(file, tmp_path / "export", ForeignOptions("classify", names))
    assert (card.macs, card.parameters) == (300_775_552, 3_489_097)
    labels = {
        name: predict(tmp_path / "export", PHOTOS / name).label
        for name in ("cat.jpg", "chelsea.png", "coffee.png", "eagle.jpg")
    }
    assert labels == {
        "cat.jpg": "tiger cat",
        "chelsea.png": "Egyptian cat",
        "coffee.png": "espresso",
        "eagle.jpg": "kite",
    }


@needs_files
def test_deeplab_of_tensorflow_lite_finds_the_cat(tmp_path: Path) -> None:
    names = tuple((WEIGHTS / "coral" / "pascal_voc_segmentation_labels.txt").read_text().splitlines()[:21])
    file = WEIGHTS / "coral" / "deeplabv3_mnv2_dm05_pascal_quant.tflite"
    wrap_foreign(file, tmp_path / "export", ForeignOptions("segment", names))
    found = predict(tmp_path / "export", PHOTOS / "chelsea.png")
    with Image.open(PHOTOS / "chelsea.png") as image:
        assert found.size == image.size[::-1]
    assert next(iter(found.classes)) == "cat"
    assert found.classes["cat"].fraction == pytest.approx(0.77, abs=0.05)


POSITIONS = ((0.25, 0.5, 0.9), (0.5, 0.25, 0.125), (1.0, 1.0, 0.5))
"""Of three points: y and x as fractions of the input, and a score."""


def positions(points: Sequence[Sequence[float]], shape: Sequence[int]) -> Build:
    """The same points for all images."""

    def build(ops: Any, given: Any) -> Sequence[Any]:
        dark = ops.multiply(ops.reduce_mean(given, ops.constant([1, 2, 3])), ops.constant(np.float32(0)))
        nothing = ops.reshape(dark, ops.constant([-1, *[1] * (len(shape) - 1)]), special_zero=False)
        return [ops.add(ops.constant(np.array(points, np.float32).reshape(shape)), nothing)]

    return build


@pytest.mark.parametrize("shape", [(1, 1, 3, 3), (1, 3, 3)])
def test_points_are_in_the_pixels_of_an_image_of_any_size(shape: Sequence[int], tmp_path: Path) -> None:
    """An image of 16x32 fills the middle of the input of 8x8, all across and rows 2 to 5."""
    file = write_network(tmp_path / "net.xml", positions(POSITIONS, shape))
    card = wrap_foreign(file, tmp_path / "export", ForeignOptions("landmarks", ("left eye", "right eye", "chin")))
    assert (card.task, card.input.fit) == ("landmarks", "letterbox")
    assert card.notes == (
        "Points are taken to be y, x as fractions of the input's sides, and a score, as MoveNet gives them.",
    )
    assert card.state["partners"] == [1, 0, 2]
    save(tmp_path / "wide.png", plain((200, 100, 50), 16, 32))
    found = predict(tmp_path / "export", tmp_path / "wide.png").points
    assert [each.name for each in found] == ["left eye", "right eye", "chin"]
    assert np.array([(each.x, each.y) for each in found]) == pytest.approx(np.array([(16, 0), (8, 8), (32, 24)]))
    assert [each.confidence for each in found] == pytest.approx([0.9, 0.125, 0.5])
    wrap_foreign(file, tmp_path / "other", ForeignOptions("landmarks", fit="stretch"))
    found = predict(tmp_path / "other", tmp_path / "wide.png").points
    assert np.array([(each.x, each.y) for each in found]) == pytest.approx(np.array([(16, 4), (8, 8), (32, 16)]))
    assert [each.name for each in found] == ["0", "1", "2"]


def test_cocos_points_are_known_by_their_number(tmp_path: Path) -> None:
    file = write_network(tmp_path / "net.xml", positions([(0.5, 0.5, 1.0)] * 17, (1, 1, 17, 3)))
    card = wrap_foreign(file, tmp_path / "export", ForeignOptions(None))
    assert (card.task, card.classes, len(card.state["edges"])) == ("landmarks", COCO, 19)
    with pytest.raises(OptionError, match=r"gives 17 scores, but --classes has 2 names"):
        wrap_foreign(file, tmp_path / "other", ForeignOptions(None, ("a", "b")))


@pytest.mark.parametrize("shape", [(1, 2, 17, 3), (1, 17, 2), (1, 51)])
def test_other_numbers_are_no_points_of_one_object(shape: Sequence[int], tmp_path: Path) -> None:
    file = write_network(tmp_path / "net.xml", positions([[0.5] * int(np.prod(shape))], shape))
    with pytest.raises(ExportError, match="and not y, x and a score for each point of one object in the image"):
        wrap_foreign(file, tmp_path / "export", ForeignOptions("landmarks"))
    with pytest.raises(ExportError, match=r"no score for each of two or more classes|may be no scores"):
        wrap_foreign(file, tmp_path / "export", ForeignOptions(None))


@needs_files
def test_movenet_finds_a_person(tmp_path: Path) -> None:
    """Its head is above the saddle, its feet below."""
    wrap_foreign(WEIGHTS / "coral" / "movenet_single_pose_lightning_ptq.tflite", tmp_path / "e", ForeignOptions(None))
    found = {each.name: each for each in predict(tmp_path / "e", PHOTOS / "person.jpg").points}
    assert tuple(found) == COCO
    assert (found["nose"].x, found["nose"].y) == pytest.approx((240, 130), abs=12)
    assert found["left_ankle"].y > found["left_knee"].y > found["left_hip"].y > found["left_shoulder"].y > 130


@needs_files
def test_ultraface_has_several_outputs(tmp_path: Path) -> None:
    file = WEIGHTS / "ultraface" / "version-RFB-320_without_postprocessing.onnx"
    with pytest.raises(ExportError, match=r"has 2 outputs \(boxes, scores\), and a network of this kind has one"):
        wrap_foreign(file, tmp_path / "export", ForeignOptions("classify"))


def test_scores_of_the_whole_image_are_none_of_its_pixels(tmp_path: Path) -> None:
    def build(ops: Any, given: Any) -> list[Any]:
        return [ops.reduce_mean(ops.convert(given, "f32"), ops.constant([2, 3]), keep_dims=True)]

    path = write_network(tmp_path / "whole.xml", build)
    with pytest.raises(ExportError, match="numbers for a whole image, and none for its pixels"):
        wrap_foreign(path, tmp_path / "export", ForeignOptions(task="segment", fit="stretch"))
