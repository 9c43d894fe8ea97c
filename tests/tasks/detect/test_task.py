"""The task: what it accepts and chooses, how it evaluates, what it explains; each part by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from convolve.datasets.augmentation import Augmentation
from convolve.datasets.boxes import Boxes
from convolve.errors import DataError, OptionError
from convolve.layers.box_head import BoxHead, Candidates
from convolve.metrics.boxes import intersection_over_union
from convolve.models import card, registry
from convolve.setup.prepare import Prepared, evaluation_batches, prepare
from convolve.setup.runtime_options import RuntimeOptions
from convolve.targets import BoxTargets, BoxTensors
from convolve.tasks.detect.evaluation import BoxEvaluator, as_detections
from convolve.tasks.detect.explanation import DetectionScore, box_pixels, explanation_targets
from convolve.tasks.detect.options import DetectOptions
from convolve.tasks.detect.task import Detect
from convolve.tasks.task import EvaluationData
from convolve.training.defaults import Facts
from convolve.training.recipe import Recipe
from convolve.values import Batch, Dataset
from tests.tasks.detect.small import NAME, STRIDE, VARIANT, dataset


@pytest.fixture(scope="module", autouse=True)
def _small_network() -> Iterator[None]:
    registry._VARIANTS[NAME] = VARIANT
    yield
    registry._VARIANTS.pop(NAME)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset(tmp_path_factory.mktemp("shapes"), 40)


@pytest.fixture
def prepared(data: Dataset) -> Prepared:
    recipe = Recipe(data.root, network=NAME, size=64, batch=8, epochs=1)
    return prepare(recipe, RuntimeOptions("cpu", "fp32", 1), sample=data).prepared


def evaluation_data(prepared: Prepared, indices: np.ndarray[tuple[int], np.dtype[np.int64]]) -> EvaluationData:
    batches = evaluation_batches(prepared.examples, indices, prepared.preprocessing)
    return EvaluationData("test", prepared.dataset, indices, batches, prepared.preprocessing, prepared.runtime)


class Oracle:
    """A head that knows the boxes of the images in the order in which they come, and no others."""

    def __init__(self, candidates: list[Tensor], classes: list[Tensor], score: float) -> None:
        self.boxes, self.classes, self.score = candidates, classes, score

    def decode(self, outputs: tuple[Tensor, ...], size: tuple[int, int]) -> Candidates:
        del size
        count, most = len(outputs[0]), max(map(len, self.boxes))
        boxes, scores = torch.zeros(count, most, 4), torch.zeros(count, most, 2)
        for image in range(count):
            own, kinds = self.boxes.pop(0), self.classes.pop(0)
            boxes[image, : len(own)] = own
            scores[image, torch.arange(len(own)), kinds] = self.score
        return Candidates(boxes, scores)


def oracle(prepared: Prepared, indices: np.ndarray[tuple[int], np.dtype[np.int64]], score: float) -> Oracle:
    boxes, classes = [], []
    for batch in evaluation_batches(prepared.examples, indices, prepared.preprocessing).epoch(0):
        targets = cast(BoxTargets, batch.targets)
        for image in range(len(targets)):
            own = targets.image == image
            boxes.append(torch.from_numpy(targets.boxes[own]))
            classes.append(torch.from_numpy(targets.classes[own]))
    return Oracle(boxes, classes, score)


def test_perfect_detections_have_perfect_metrics_in_the_images_own_pixels(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The boxes of the targets, which are in pixels of the input, come back as those of the dataset."""
    task = cast(Detect, prepared.task)
    indices = np.arange(40)
    monkeypatch.setattr(type(task.network.head), "decode", oracle(prepared, indices, 0.8).decode)
    found = replace(task, threshold=0.5).evaluate(evaluation_data(prepared, indices))
    assert found.images == 40
    for name in ("ap50", "ap", "ap75", "voc_ap50", "ar_100", "precision", "recall", "f1"):
        assert found.metrics[name] == pytest.approx(1)
    boxes = cast(Boxes, prepared.dataset.ground_truths["boxes"])
    counts = np.bincount(boxes.class_indices, minlength=2)
    assert found.matrix.tolist() == [[counts[0], 0, 0], [0, counts[1], 0], [0, 0, 0]]
    assert not found.worst
    assert found.errors.missed.count == 0
    plain = found.as_json()
    assert plain["classes"]["disc"]["objects"] == counts[0]
    assert plain["metrics"]["ap_large"] is None


def test_the_threshold_of_the_best_f1_is_kept(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    task, indices = cast(Detect, prepared.task), np.arange(40)
    monkeypatch.setattr(type(task.network.head), "decode", oracle(prepared, indices, 0.625).decode)
    calibrated = task.calibrate(evaluation_data(prepared, indices))
    assert calibrated.threshold == 0.625
    assert calibrated.state()["threshold"] == 0.625
    assert Detect.restore(task.network, calibrated.state()) == calibrated
    monkeypatch.setattr(type(task.network.head), "decode", oracle(prepared, indices, 0.0).decode)
    assert task.calibrate(evaluation_data(prepared, indices)) is task  # nothing is found


@pytest.mark.parametrize(("name", "value"), [("nms", "hard"), ("nms_iou", 1.5), ("threshold", -1)])
def test_a_damaged_state_is_refused(name: str, value: object, prepared: Prepared) -> None:
    state = prepared.task.state() | {name: value}
    with pytest.raises(ValueError, match="suppression"):
        Detect.restore(prepared.task.network, state)


def test_what_is_ignored_is_neither_right_nor_wrong() -> None:
    """A crowd that is found, and one that is not."""
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]], np.float32)
    targets = BoxTargets(boxes, np.zeros(3, int), np.zeros(3, int), 1, np.array([False, True, True]))
    evaluator = BoxEvaluator(1)
    found = torch.zeros(1, 5, 6)
    found[0, :2, :4] = torch.from_numpy(boxes[:2])
    found[0, :2, 4] = torch.tensor([0.5, 0.9])
    evaluator.add(found, Batch(np.zeros((1, 8, 8, 3), np.float32), targets, np.zeros(1, int)))
    assert evaluator.metrics() == {"ap50": pytest.approx(1), "ap": pytest.approx(1)}
    rows = as_detections(found, first=7)
    assert (rows.images.tolist(), rows.scores.tolist()) == ([7, 7], pytest.approx([0.5, 0.9]))


def test_anchors_are_those_of_the_training_boxes_in_the_input(data: Dataset) -> None:
    """Boxes twice as large in an input twice as large; the validation and test splits have no say."""
    found = {}
    for size in (64, 128):
        recipe = Recipe(data.root, network=NAME, size=size, batch=8, epochs=1)
        plan = prepare(recipe, RuntimeOptions("cpu", "fp32", 1), sample=data).prepared
        head = plan.task.network.head
        found[size] = head.get_buffer("anchors").clone()
        boxes = cast(Boxes, plan.dataset.ground_truths["boxes"])
        rows, _ = boxes.rows(plan.splits.train)
        sides = (boxes.boxes[rows, 2:] - boxes.boxes[rows, :2]) * size / 80  # letterbox of 64x80
        assert found[size].mean().item() == pytest.approx(sides.mean(), rel=0.05)
    assert found[128].numpy() == pytest.approx(2 * found[64].numpy(), rel=0.05)


def test_defaults_suit_boxes() -> None:
    known: dict[str, object] = {}
    facts = Facts(images=100, channels=3, side=300, photographs=True)
    boxes = cast(Boxes, None)
    choices = {name: value for name, value, _ in Detect.defaults(known, facts, VARIANT.card, boxes)}
    assert (choices["fit"], choices["anchors"], choices["flip"]) == ("letterbox", "kmeans", True)
    assert "size" not in choices
    gray = {name: value for name, value, _ in Detect.defaults(known, replace(facts, channels=1), VARIANT.card, boxes)}
    assert (gray["flip"], gray["saturation"]) == (False, 0.0)
    known = {"weights": "a.weights"}
    for head, anchors in ((False, "kmeans"), (True, "network")):
        choices = {
            entry[0]: entry[1] for entry in Detect.defaults(known, replace(facts, head=head), VARIANT.card, boxes)
        }
        assert choices["anchors"] == anchors


def test_how_much_of_a_box_must_stay_is_the_datasets(data: Dataset) -> None:
    accepted = Detect.accept(data, DetectOptions(min_visible=0.75))
    assert cast(Boxes, accepted.ground_truths["boxes"]).min_visible == 0.75
    empty = cast(Boxes, data.ground_truths["boxes"]).with_classes(())
    with pytest.raises(DataError, match="has no box around any object"):
        Detect.accept(replace(data, ground_truths={"boxes": empty}), DetectOptions())


@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_beyond_an_image_no_object_is_shown(fit: Literal["stretch", "crop"], data: Dataset) -> None:
    """An object's reflection would be one without a box."""
    changes = Augmentation(crop=1.0, scale=0.3, translate=0.3, brightness=0.0, contrast=0.0, saturation=0.0)
    recipe = Recipe(data.root, network=NAME, size=64, fit=fit, batch=8, epochs=1, seed=2, augmentation=changes)
    options = DetectOptions(min_visible=0.0)
    recipe = replace(recipe, task="detect", task_options={"min_visible": options.min_visible})
    ready = prepare(recipe, RuntimeOptions("cpu", "fp32", 1), sample=data).prepared
    preprocessing = ready.preprocessing
    seen = 0
    for batch in ready.batches.epoch(0):
        targets = cast(BoxTargets, batch.targets)
        pixels = batch.images * preprocessing.std + preprocessing.mean
        colored = pixels.max(-1) - pixels.min(-1) > 0.35
        for left, top, right, bottom, image in np.column_stack([targets.boxes, targets.image]).tolist():
            colored[int(image), int(top) : math.ceil(bottom), int(left) : math.ceil(right)] = False
            seen += 1
        assert not colored.any()
    assert seen > 20


def test_a_training_split_without_objects_is_refused(data: Dataset) -> None:
    """None at all, or only crowds and difficult ones."""
    recipe = Recipe(data.root, network=NAME, size=64, batch=8, epochs=1)
    boxes = cast(Boxes, data.ground_truths["boxes"])
    crowds = replace(boxes, crowd=np.arange(len(boxes.boxes)) % 2 == 0, difficult=np.arange(len(boxes.boxes)) % 2 == 1)
    empty, filled = np.flatnonzero(boxes.counts().sum(1) == 0), np.flatnonzero(boxes.counts().sum(1))
    apart = {"train": empty, "validation": filled[:4], "test": filled[4:]}
    for changed in (
        replace(data, ground_truths={**data.ground_truths, "boxes": crowds}),
        replace(data, given_splits=apart),
    ):
        with pytest.raises(DataError, match="The training split has no object to learn from"):
            prepare(recipe, RuntimeOptions("cpu", "fp32", 1), sample=changed)


def test_networks_over_regions_have_the_papers_defaults(data: Dataset) -> None:
    def defaults(network: str, **known: object) -> dict[str, object]:
        facts = Facts(images=200, channels=3, side=480, photographs=True)
        found = Detect.defaults(known, facts, card(network), data.ground_truths["boxes"])
        chosen: dict[str, object] = {}
        for name, value, _ in found:
            chosen.setdefault(name, value)
        return chosen

    fast = defaults("fast_rcnn_vgg16")
    wanted = {"proposals": "fast", "regions": 2000, "batch": 2, "nms_iou": 0.3, "anchors": "network"}
    assert fast | wanted == fast
    assert not {"freeze", "freeze_norm"} & fast.keys()
    pretrained = defaults("spp_net_zfnet", weights="somewhere")
    assert (pretrained["freeze"], pretrained["freeze_norm"]) == ("stage5", True)
    assert "freeze" not in defaults("fast_rcnn_vgg16", weights="somewhere")
    assert "proposals" not in defaults("yolo_compact")
    with pytest.raises(OptionError, match="yolo_compact finds regions by itself; leave out --regions"):
        defaults("yolo_compact", regions=100)


def test_images_without_objects_teach_too(prepared: Prepared) -> None:
    task = prepared.task
    task.network.train()
    targets = BoxTensors(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    losses = task.loss(torch.randn(2, 3, 64, 64), targets, torch.Generator())
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    assert losses["loss"].item() > 0
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in task.network.parameters())


def test_the_loss_is_computed_in_float32(prepared: Prepared) -> None:
    task, images = prepared.task, torch.randn(2, 3, 64, 64)
    targets = BoxTensors(torch.tensor([[4.0, 4, 30, 30]]), torch.tensor([1]), torch.tensor([0]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses, found = task.loss_and_predictions(images, targets)
    assert {value.dtype for value in losses.values()} == {torch.float32}
    assert found.dtype == torch.float32


def test_a_score_target_is_the_best_agreement_with_a_box(prepared: Prepared) -> None:
    """Of every candidate the overlap times the score of the class; its gradient is that of the score alone."""
    network = prepared.task.network.eval()
    head = cast(BoxHead, network.head)
    boxes, classes = torch.tensor([[5.0, 8, 30, 33], [20, 20, 44, 50]]), torch.tensor([1, 0])
    target = DetectionScore(head, (64, 64), boxes, classes)
    outputs = network(torch.randn(2, 3, 64, 64))
    found = target(outputs)
    candidates = head.decode(outputs, (64, 64))
    for image in range(2):
        overlap = intersection_over_union(
            boxes[image : image + 1].double().numpy(), candidates.boxes[image].detach().double().numpy()
        )
        agreement = overlap[0] * candidates.scores[image, :, classes[image]].detach().numpy()
        assert found[image].item() == pytest.approx(agreement.max(), rel=1e-4)
    assert torch.equal(
        target.take(torch.tensor([1, 0, 1]))(tuple(each[[1, 0, 1]] for each in outputs)), found[[1, 0, 1]]
    )
    (gradient,) = torch.autograd.grad(found.sum(), outputs[0])
    places = gradient.reshape(2, 2, 7, -1)[:, :, :4]
    assert not places.any()
    assert gradient.any()


def test_pixels_of_a_box_are_those_whose_centers_are_inside() -> None:
    inside = box_pixels(torch.tensor([[1.0, 0, 3, 2], [0.6, 0.4, 1.6, 1.4], [2, 2, 2, 2]]), (3, 4))
    assert inside[0].int().tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert inside[1].int().tolist() == [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert not inside[2].any()


def test_the_best_detection_is_explained_or_that_of_a_class(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = cast(Detect, prepared.task)
    boxes = torch.tensor([[2.0, 3, 20, 22], [30, 30, 50, 44]])
    scores = torch.tensor([[0.2, 0.0], [0.0, 0.9]])
    empty = Candidates(torch.stack([boxes, boxes]), torch.stack([scores, 0 * scores]))
    monkeypatch.setattr(type(task.network.head), "decode", lambda *_: empty)
    inputs, sizes = torch.zeros(2, 3, 64, 64), np.array([[64, 64]] * 2)
    found = explanation_targets(task, inputs, sizes, (), prepared.preprocessing)
    assert found.predictions == ("네모", "no object")
    assert found.names == (("네모",), ("no object",))
    assert found.scores == pytest.approx(np.array([[0.9], [0]]))
    assert found.present.tolist() == [[True], [False]]
    assert found.regions is not None
    assert found.regions[0, 0].sum() == 20 * 14
    both = explanation_targets(task, inputs, sizes, (0, 1), prepared.preprocessing)
    assert both.names[0] == ("disc", "네모")
    assert both.scores[0] == pytest.approx([0.2, 0.9])
    assert both.regions is not None
    assert both.regions[0, 0].sum() == 18 * 19


def test_the_head_of_the_tests_is_consistent() -> None:
    """Boxes that the loss asks for are those that it decodes."""
    head = VARIANT.build(VARIANT.card, 2, 3, (64, 64)).head
    outputs = torch.full((1, 14, 8, 8), -20.0)
    outputs[0, :2] = 0.0
    outputs[0, 2:4] = 0.0
    outputs[0, 4, 2, 3] = 20.0
    outputs[0, 5, 2, 3] = 20.0
    found = cast(BoxHead, head).decode((outputs,), (64, 64))
    best = int(found.scores[0, :, 0].argmax())
    assert found.boxes[0, best].tolist() == pytest.approx(
        [3.5 * STRIDE - 6, 2.5 * STRIDE - 6, 3.5 * STRIDE + 6, 2.5 * STRIDE + 6]
    )


def test_unreadable_images_are_left_out(data: Dataset, tmp_path: Path) -> None:
    copy = dataset(tmp_path, 30)
    (tmp_path / "JPEGImages" / "003.png").write_bytes(b"nothing")
    plan = prepare(
        Recipe(copy.root, network=NAME, size=64, batch=8, epochs=1), RuntimeOptions("cpu", "fp32", 1), sample=copy
    ).prepared
    found = plan.task.evaluate(evaluation_data(plan, np.arange(30)))
    assert found.images == 29
