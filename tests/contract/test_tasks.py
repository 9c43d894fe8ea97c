"""What every registered task promises: those of the package, and one of the tests' own."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import convolve
from convolve import models, tasks
from convolve.choices import Fit
from convolve.datasets.batches import Batches, BatchOptions
from convolve.errors import DataError
from convolve.options import descriptions, fields
from convolve.reports.page import render
from convolve.reports.report import Epoch
from convolve.reports.report import Training as Curves
from convolve.setup.prepare import Preparation, Prepared, evaluation_batches, prepare
from convolve.setup.run_manifest import describe_preparation
from convolve.setup.run_report import run_report
from convolve.setup.runtime_options import RuntimeOptions
from convolve.targets import BoxTensors, PointTensors
from convolve.tasks import registry
from convolve.tasks.registry import find_task, task_infos
from convolve.tasks.task import EvaluationData, Task
from convolve.training.recipe import Recipe
from convolve.training.run import Run
from convolve.values import Batch
from tests.reports.korean import english_texts
from tests.tasks.caption.small import caption_folder
from tests.tasks.depth.small import depth_folder
from tests.tasks.detect.small import NAME, VARIANT, voc_folder
from tests.tasks.landmarks.small import table_folder
from tests.tasks.mean_color import MeanColor
from tests.tasks.segment.small import folder
from tests.tasks.stereo.small import stereo_folder
from tests.tasks.style.small import style_options
from tests.verbs.synthetic import folders, labeled

BUILT_IN = tuple(module.name for module in pkgutil.iter_modules(tasks.__path__) if module.ispkg)


@dataclass(frozen=True)
class Case:
    """A task with data that it is for."""

    task: str
    network: str
    data: str
    size: int = 32


CASES = (
    Case("embed", "embed_lenet5_keras", "folders"),
    Case("classify", "lenet5_keras", "folders"),
    Case("classify", "lenet5_keras", "labels"),
    Case("segment", "fcn1s_resnet20_cifar", "masks"),
    Case("segment", "fcn1s_resnet20_cifar", "tiles"),
    Case("detect", NAME, "boxes"),
    Case("localize", "localize_resnet20_cifar", "boxes"),
    Case("landmarks", "lenet5_keras", "points"),
    Case("landmarks", "simple_baseline_resnet20_cifar", "points"),
    Case("restore", "espcn_x2", "images"),
    Case("restore", "partial_conv_unet", "images"),
    Case("restore", "colorization_zhang", "images"),
    Case("caption", "show_attend_and_tell_resnet20_cifar", "captions"),
    Case("depth", "fcn1s_resnet20_cifar", "depth"),
    Case("stereo", "fcn1s_resnet20_cifar", "stereo"),
    Case("style", "johnson", "images", 44),
    Case("mean-color", "simple_cnn", "folders"),
)


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    convolve.register_task(MeanColor)
    models.registry._VARIANTS[NAME] = VARIANT
    yield
    registry._REGISTERED.pop(MeanColor.info.name)
    models.registry._VARIANTS.pop(NAME)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case.task}-{case.data}-{case.network}")
def preparation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Preparation:
    """A training of each task that is about to begin, its network no longer as it was initialized."""
    case, root = request.param, tmp_path_factory.mktemp("data")
    if case.data in ("folders", "images"):
        data = folders(root, {"ape": 14, "bee": 14, "cat": 14})
    elif case.data == "captions":
        data = caption_folder(root / "walls", 40)
    elif case.data == "boxes":
        data = voc_folder(root, 24)
    elif case.data == "points":
        data = table_folder(root / "figures", 24)
    elif case.data == "depth":
        data = depth_folder(root / "scenes", 14)
    elif case.data == "stereo":
        data = stereo_folder(root / "scenes", 14)
    else:
        data = labeled(root, 40) if case.data == "labels" else folder(root, 14)
    fit: Fit | None = "tiles" if case.data == "tiles" else None
    options = style_options(tmp_path_factory.mktemp("style")) if case.task == "style" else {}
    recipe = Recipe(
        str(data), task=case.task, network=case.network, size=case.size, batch=4, fit=fit, task_options=options
    )
    found = prepare(recipe, RuntimeOptions("cpu", "fp32", 1))
    network = found.prepared.task.network
    with torch.no_grad():
        random = torch.Generator().manual_seed(1)
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    network.eval()
    return found


@pytest.fixture(scope="module")
def prepared(preparation: Preparation) -> Prepared:
    return preparation.prepared


def batches(prepared: Prepared, size: int) -> list[Batch]:
    """Eight validation or training examples, ``size`` in each batch."""
    indices = prepared.examples.of(prepared.splits.train)[:8]
    options = BatchOptions(prepared.preprocessing, size, seed=0, shuffle=False, workers=0)
    return list(Batches(prepared.examples.source, prepared.examples.targets, indices, options).epoch(0))


def inputs(prepared: Prepared, batch: Batch) -> tuple[Tensor, Any]:
    """A batch as the task's `loss` takes it."""
    return prepared.runtime.images(batch.images), batch.targets.to("cpu")


def repeat(targets: Any, images: int) -> Any:
    """The targets of a batch of so many images, twice."""
    if isinstance(targets, BoxTensors):
        image = torch.cat([targets.image, targets.image + images])
        return BoxTensors(torch.cat([targets.boxes] * 2), torch.cat([targets.classes] * 2), image)
    if isinstance(targets, PointTensors):
        return PointTensors(*(torch.cat([each, each]) for each in targets))
    if isinstance(targets, tuple):  # of sentences
        return targets + targets
    return torch.cat([targets, targets])


def predict(task: Task, prepared: Prepared, size: int = 8) -> list[Any]:
    """What the task predicts for each batch."""
    with torch.inference_mode():
        return [task.predict(inputs(prepared, batch)[0]) for batch in batches(prepared, size)]


def evaluation_data(prepared: Prepared, split: str) -> EvaluationData:
    part = getattr(prepared.splits, split)
    found = evaluation_batches(prepared.examples, part, prepared.preprocessing)
    return EvaluationData(split, prepared.dataset, part, found, prepared.preprocessing, prepared.runtime)


def test_every_task_has_a_case() -> None:
    """Those that are never trained have tests of their own."""
    untrained = {info.name for info in task_infos() if info.untrained}
    assert {case.task for case in CASES} == {info.name for info in task_infos()} - untrained
    assert {case.task for case in CASES} | untrained == {*BUILT_IN, "mean-color"}
    assert untrained == {"faces"}


def test_restored_from_json_it_predicts_the_same(prepared: Prepared) -> None:
    task = prepared.task.calibrate(evaluation_data(prepared, "validation"))
    state = json.loads(json.dumps(task.state(), allow_nan=False))
    restored = type(task).restore(task.network, state)
    assert restored.state() == task.state()
    assert (restored.classes, restored.monitored) == (task.classes, task.monitored)
    (found,), (expected,) = predict(restored, prepared), predict(task, prepared)
    assert torch.equal(found, expected)
    data = evaluation_data(prepared, "test")
    assert restored.evaluate(data).as_json() == task.evaluate(data).as_json()


def test_loss_in_evaluation_mode_is_that_of_loss_and_predictions(prepared: Prepared) -> None:
    task = prepared.task
    images, targets = inputs(prepared, batches(prepared, 8)[0])
    with torch.inference_mode():
        losses, (both, predictions) = task.loss(images, targets, None), task.loss_and_predictions(images, targets)
        assert "loss" in losses
        assert losses.keys() == both.keys()
        for name, value in losses.items():
            assert value.shape == ()
            assert float(value) == float(both[name])
        assert torch.equal(predictions, task.predict(images))


def test_the_loss_is_a_mean_over_the_images(prepared: Prepared) -> None:
    """So that losses of batches can be averaged: twice the same images have the same loss."""
    task = prepared.task
    images, targets = inputs(prepared, batches(prepared, 8)[0])
    with torch.inference_mode():
        once = task.loss(images, targets, None)["loss"]
        twice = task.loss(torch.cat([images, images]), repeat(targets, len(images)), None)["loss"]
    assert float(twice) == pytest.approx(float(once), rel=1e-4)


def test_training_can_begin(prepared: Prepared) -> None:
    """The loss of a step has a gradient with respect to every parameter that is trained."""
    task = prepared.task
    task.network.zero_grad()
    images, targets = inputs(prepared, batches(prepared, 8)[0])
    losses = task.loss(images, targets, torch.Generator().manual_seed(0))
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in task.network.parameters() if parameter.requires_grad)
    task.network.zero_grad()


def test_two_batches_are_evaluated_as_one(prepared: Prepared) -> None:
    (whole,), halves = batches(prepared, 8), batches(prepared, 4)
    assert len(halves) == 2
    found, expected = prepared.task.evaluator(), prepared.task.evaluator()
    (predictions,) = predict(prepared.task, prepared)
    expected.add(predictions, whole)
    for half, part in zip(halves, predictions.split(4), strict=True):
        found.add(part, half)
    assert found.metrics() == pytest.approx(expected.metrics(), nan_ok=True)
    assert prepared.task.monitored in found.metrics()


@pytest.mark.parametrize("name", [*BUILT_IN, MeanColor.info.name])
def test_every_option_is_described_and_chosen_automatically(name: str) -> None:
    info = find_task(name).info
    for cls in (info.options, info.predict_options):
        texts = descriptions(cls)
        for option in fields(cls):
            assert texts.get(option.name, "").endswith("."), option.name
    assert [option.name for option in fields(info.options) if option.default is not None] == []


def test_every_option_gets_a_default_with_a_reason(prepared: Prepared) -> None:
    """Only what may be absent is left out."""
    names = {option.name for option in fields(prepared.task.info.options)}
    absent = {"ignore", "alternating", "freeze_norm", "proposals", "regions"}
    assert names - absent == prepared.recipe.task_options.keys() - absent


def test_metrics_have_titles(prepared: Prepared) -> None:
    task, titles = prepared.task, prepared.task.info.metric_titles
    assert task.monitored in titles
    evaluation = task.evaluate(evaluation_data(prepared, "test"))
    assert task.monitored in evaluation.metrics
    headlines, sections = task.report(evaluation, prepared.dataset, prepared.preprocessing, prepared.runtime)
    labels = [headline.label.casefold() for headline in headlines]
    expected = [title.casefold() for name, title in titles.items() if name in evaluation.metrics]
    assert set(labels) <= set(expected)
    assert labels[0] == titles[task.monitored].casefold()
    assert sections


def test_its_report_in_korean_has_no_english_but_names(preparation: Preparation) -> None:
    prepared, found = preparation.prepared, preparation.prepared.dataset
    if prepared.task.info.name == MeanColor.info.name:
        pytest.skip("the catalog has the package's own tasks")
    task = prepared.task.calibrate(evaluation_data(prepared, "validation"))
    evaluation = task.evaluate(evaluation_data(prepared, "test"))
    parts = task.report(evaluation, found, prepared.preprocessing, prepared.runtime)
    manifest = describe_preparation(preparation)
    curves = Curves((Epoch(1, 2.0, 2.1, 0.5, 0.1),), task.info.metric_titles[task.monitored], 1)
    report = run_report(Run(Path("run"), prepared.recipe, manifest), curves, evaluation, *parts)
    root = Path(found.root)
    files = [path.name for path in root.parent.rglob("*")]
    splits = ("train)", "validation)", "test)")
    names = (
        found.root,
        root.name,
        *splits,
        *files,
        "JPEGImages",
        "Annotations",
        found.layout,
        *preparation.findings.classes,
    )
    html = render(report, "ko")
    left = english_texts(html, (prepared.recipe.network or "", "adamw", "AdamW", *names))
    assert left == [], "\n".join(left)


def test_data_in_another_order_of_classes_conforms(prepared: Prepared) -> None:
    task, name = prepared.task, prepared.task.info.ground_truth
    truth = prepared.dataset.ground_truths[name]
    reversed_classes = truth.with_classes(truth.classes[::-1])
    found = task.conform(replace(prepared.dataset, ground_truths={name: reversed_classes}))
    assert found.ground_truths[name].classes == task.classes
    assert np.array_equal(found.ground_truths[name].presence(), truth.presence())


def test_data_with_an_unknown_class_is_refused(prepared: Prepared) -> None:
    task, name = prepared.task, prepared.task.info.ground_truth
    if len(task.classes) == 0 or task.info.name == "embed":
        pytest.skip("a task without classes, or one for classes that it has never seen")
    other = prepared.dataset.ground_truths[name].with_classes((*task.classes, "zebra"))
    with pytest.raises(DataError, match=r"does not know the class 'zebra' of .*; it knows .*\."):
        task.conform(replace(prepared.dataset, ground_truths={name: other}))


def test_evaluation_leaves_the_network_as_it_was(prepared: Prepared) -> None:
    network = prepared.task.network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    prepared.task.evaluate(evaluation_data(prepared, "test"))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    network.eval()


@pytest.mark.parametrize("name", BUILT_IN)
def test_no_module_of_a_task_imports_another_task(name: str) -> None:
    home = Path(tasks.__path__[0]) / name
    modules = [f"convolve.tasks.{name}.{path.stem}" for path in home.glob("*.py") if path.stem != "__init__"]
    others = [f"convolve.tasks.{other}" for other in BUILT_IN if other != name]
    code = f"""
import importlib, sys
for module in {modules!r}:
    importlib.import_module(module)
print([module for module in sys.modules if module.startswith(tuple({others!r}))])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(modules) > 4
    assert done.stdout.strip() == "[]"


def test_advice_on_imbalance_names_only_what_the_task_has() -> None:
    for info in task_infos():
        choices = next((str(option.type) for option in fields(info.options) if option.path == ("balance",)), "")
        assert ("class weights" in info.imbalance_remedy, "sampler" in info.imbalance_remedy) == (
            "weights" in choices,
            "sampler" in choices,
        )
