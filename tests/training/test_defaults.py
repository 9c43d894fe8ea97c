"""Defaults: nothing stays open, what is set stays, and every choice has its reason; values out of range are refused."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convolve.datasets.augmentation import Augmentation
from convolve.datasets.labels import Labels
from convolve.datasets.point_sets import describe_points
from convolve.datasets.points import Points
from convolve.errors import NetworkError, OptionError
from convolve.layers.design import Design
from convolve.options import fields
from convolve.tasks.classify.task import Classify
from convolve.tasks.registry import find_task
from convolve.tasks.segment.task import Segment
from convolve.tasks.task import Task
from convolve.training import defaults
from convolve.training.defaults import LEARNING_RATES, Facts
from convolve.training.recipe import (
    Optimization,
    OptimizerName,
    Recipe,
    Regularization,
    Splitting,
    Transfer,
    check,
    values,
)

PHOTOS = Facts(images=200, channels=3, side=300, photographs=True)
FASHION = Facts(images=60_000, channels=1, side=28, photographs=False)
DIGITS = Facts(images=1_200, channels=1, side=8, photographs=False)
CIFAR = Facts(images=50_000, channels=3, side=32, photographs=False)
MAY_STAY_OPEN = {
    "precise_bn",  # by the steps of an epoch
    "data",
    "group_by",
    "subset",
    "weights",
    "freeze",
    "layout",
    "annotations",
    "image_column",
    "label_column",
    "label_from",
    "depth_scale",
    *(option.name for option in fields(Design)),  # as published
}
ONE_LABEL = Labels(np.array([0, 1]), ("a", "b"))
MULTI_LABEL = Labels(np.ones((2, 2), dtype=np.uint8), ("a", "b"))


def resolve(
    recipe: Recipe, facts: Facts, task: type[Task] = Classify, ground_truth: Labels = ONE_LABEL
) -> tuple[Recipe, dict[str, str]]:
    return defaults.resolve(recipe, facts, task.info, task.defaults, ground_truth)


def own_options(task: type[Task]) -> set[str]:
    return {option.name for option in fields(task.info.options)}


@pytest.mark.parametrize("facts", [PHOTOS, FASHION, DIGITS, CIFAR, Facts(3, 3, 40, photographs=False)])
@pytest.mark.parametrize("network", ["lenet5_keras", "simple_cnn", "vgg16", "resnet18"])
@pytest.mark.parametrize("optimizer", [None, *LEARNING_RATES])
def test_nothing_stays_open_and_every_choice_has_a_reason(
    facts: Facts, network: str, optimizer: OptimizerName | None
) -> None:
    recipe = Recipe(network=network, optimization=Optimization(optimizer=optimizer))
    resolved, reasons = resolve(recipe, facts)
    found = values(resolved)
    assert {name for name, value in found.items() if value is None} == MAY_STAY_OPEN
    assert resolved.task_options.keys() == own_options(Classify)
    assert None not in resolved.task_options.values()
    chosen = {name for name, value in values(recipe).items() if value is None} - MAY_STAY_OPEN | own_options(Classify)
    assert reasons.keys() == chosen
    assert all(reasons.values())
    assert resolve(resolved, facts) == (resolved, {})


def test_what_a_person_sets_stays_and_the_rest_follows() -> None:
    optimization = Optimization(optimizer="momentum", schedule="plateau")
    recipe = Recipe(
        network="resnet18", batch=100, epochs=7, optimization=optimization, augmentation=Augmentation(flip=False)
    )
    resolved, reasons = resolve(recipe, PHOTOS)
    assert (resolved.batch, resolved.epochs, resolved.augmentation.flip) == (100, 7, False)
    assert resolved.optimization.learning_rate == LEARNING_RATES["momentum"]
    assert resolved.regularization.patience == 10
    assert "optimizer" not in reasons
    assert "flip" not in reasons


def test_a_large_image_that_is_cut_into_tiles_counts_as_many() -> None:
    streets = replace(PHOTOS, images=30, side=1024, longer=2048)
    whole, reasons = resolve(Recipe(network="fcn8s_resnet18", size=256), streets, Segment)
    advice = "keeps the aspect ratio; --fit tiles would keep these large images at full scale"
    assert (whole.fit, reasons["fit"]) == ("crop", advice)
    assert (whole.epochs, whole.batch, whole.augmentation.crop) == (100, 8, 0.35)
    tiled, _ = resolve(Recipe(network="fcn8s_resnet18", size=256, fit="tiles"), streets, Segment)
    assert (tiled.epochs, tiled.batch, tiled.augmentation.crop) == (15, 8, 1.0)  # 30 x 7 x 15 tiles
    assert (tiled.augmentation.flip, tiled.augmentation.brightness) == (True, 0.2)
    small = replace(streets, side=500, longer=600)
    resolved, reasons = resolve(Recipe(network="fcn8s_resnet18", size=256), small, Segment)
    assert (resolved.fit, reasons["fit"]) == ("crop", "keeps the aspect ratio")


def test_few_images_get_many_epochs_and_many_get_few() -> None:
    few, _ = resolve(Recipe(network="resnet18"), PHOTOS)
    many, _ = resolve(Recipe(network="simple_cnn"), FASHION)
    transferred, _ = resolve(Recipe(network="resnet18", transfer=Transfer(weights="imagenet")), PHOTOS)
    assert few.epochs == 100
    assert few.batch == 16
    assert (many.epochs, many.batch) == (15, 128)
    assert transferred.epochs is not None
    assert few.batch is not None
    steps = transferred.epochs * math.ceil(PHOTOS.images / few.batch)
    assert 300 <= steps <= 500


def test_only_photographs_and_color_images_are_flipped() -> None:
    flipped = [resolve(Recipe(network="resnet18"), facts)[0].augmentation.flip for facts in (PHOTOS, CIFAR, DIGITS)]
    assert flipped == [True, True, False]


def test_frozen_stages_get_no_augmentation() -> None:
    resolved, reasons = resolve(Recipe(network="resnet18", transfer=Transfer(freeze="stage4")), PHOTOS)
    assert resolved.augmentation == Augmentation(1.0, False, False, *[0.0] * 11)
    assert "computed only once" in reasons["crop"]


def test_sizes_are_the_networks_or_large_enough_for_its_strides() -> None:
    sizes = [
        resolve(Recipe(network=network), facts)[0].size
        for network, facts in [("resnet18", PHOTOS), ("resnet18", CIFAR), ("simple_cnn", FASHION)]
    ]
    assert sizes == [224, 64, 28]


def test_imbalanced_classes_are_weighted() -> None:
    resolved, reasons = resolve(Recipe(network="resnet18"), replace(PHOTOS, imbalance=8.04))
    assert resolved.task_options["balance"] == "weights"
    assert reasons["balance"] == "the most frequent class has 8.0 times the images of the rarest"
    assert resolve(Recipe(network="resnet18"), replace(PHOTOS, imbalance=2.9))[0].task_options["balance"] == "none"


def test_of_a_network_from_a_file_its_layers_tell_whether_it_is_normalized(tmp_path: Path) -> None:
    file = tmp_path / "own.cfg"
    for normalized, factor, clip_norm in ((0, 0.2, 1.0), (1, 1.0, 0.0)):
        file.write_text(
            "[net]\nwidth=64\nheight=64\nchannels=3\n[convolutional]\nfilters=64\nsize=3\npad=1\nstride=2\n"
            f"batch_normalize={normalized}\n[connected]\noutput=32\n[connected]\noutput=2\n[softmax]\n"
        )
        chosen = resolve(Recipe(network=str(file)), PHOTOS)[0].optimization
        assert (chosen.learning_rate, chosen.clip_norm) == (LEARNING_RATES["adamw"] * factor, clip_norm)


def test_a_network_must_be_named_and_exist() -> None:
    with pytest.raises(OptionError, match="Choose a network with --network"):
        resolve(Recipe(), PHOTOS)
    with pytest.raises(NetworkError, match="no network named"):
        resolve(Recipe(network="resnot"), PHOTOS)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe(epochs=0), r"epochs cannot be 0; it must be a number from 1 to 100000\."),
        (Recipe(optimization=Optimization(learning_rate=-1.0)), "^learning_rate cannot be -1.0"),
        (Recipe(optimization=Optimization(learning_rate=float("nan"))), "^learning_rate cannot be nan"),
        (Recipe(augmentation=Augmentation(crop=2.0)), "crop cannot be 2.0; it must be a number from 0.01 to 1"),
        (Recipe(regularization=Regularization(ema_decay=1.0)), "ema_decay cannot be 1.0"),
        (Recipe(splitting=Splitting(0.6, 0.5)), "leave too few training images"),
        (Recipe(optimization=Optimization("nesterov", momentum=0.0)), "nesterov needs a momentum"),
        (Recipe(epochs=2, optimization=Optimization(warmup=3.0)), "warmup cannot exceed the 2 epochs"),
    ],
)
def test_a_value_out_of_range_is_a_sentence(recipe: Recipe, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        check(recipe, {})


@pytest.mark.parametrize(
    ("own", "words"),
    [({"label_smoothing": 1.0}, "label_smoothing cannot be 1.0"), ({"mixup": -0.1}, "mixup cannot be -0.1")],
)
def test_an_own_option_out_of_range_is_a_sentence(own: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        resolve(Recipe(network="resnet18", task_options=own), PHOTOS)


def test_only_one_label_on_a_large_network_is_smoothed() -> None:
    def smoothing(network: str, ground_truth: Labels) -> object:
        return resolve(Recipe(network=network), PHOTOS, Classify, ground_truth)[0].task_options["label_smoothing"]

    assert smoothing("resnet18", ONE_LABEL) == 0.1
    assert smoothing("resnet18", MULTI_LABEL) == 0.0
    assert smoothing("simple_cnn", ONE_LABEL) == 0.0


def test_a_recipe_for_segmentation_has_its_own_options_and_takes_fewer_images() -> None:
    whole, _ = resolve(Recipe(network="resnet18"), PHOTOS)
    pixels, reasons = resolve(Recipe(network="fcn8s_resnet18"), PHOTOS, Segment)
    assert (whole.task, "loss" in whole.task_options) == ("classify", False)
    assert (pixels.task, pixels.task_options["loss"]) == ("segment", "cross-entropy")
    assert pixels.task_options.keys() == own_options(Segment) - {"ignore"}
    assert (pixels.batch or 0) < (whole.batch or 0)
    assert {"task", "loss", "balance"} <= reasons.keys()


def test_a_fit_that_the_task_does_not_have_is_a_sentence() -> None:
    with pytest.raises(OptionError, match="is not available for the task classify; use crop, letterbox or stretch"):
        resolve(Recipe(network="resnet18", fit="tiles"), PHOTOS)


@pytest.mark.parametrize("head", ["", "localize_", "deeppose_"])
def test_a_head_on_a_classifier_leaves_the_learning_rate_to_its_layers(head: str) -> None:
    """Whatever the year of the head's paper."""
    for network, factor in (("resnet18", 1.0), ("vgg11", 0.2)):
        task = find_task("landmarks" if head == "deeppose_" else "localize" if head else "classify")
        recipe = Recipe(network=f"{head}{network}", augmentation=Augmentation(flip=False))
        points = Points(
            np.zeros((2, 1, 2)), np.ones((2, 1), dtype=np.int64), np.ones((2, 2), dtype=np.int64),
            describe_points(("a",)), np.zeros((2, 4)), np.zeros(2),
        )  # fmt: skip
        truth = points if head == "deeppose_" else ONE_LABEL
        found, _ = defaults.resolve(recipe, PHOTOS, task.info, task.defaults, truth)
        assert found.optimization.learning_rate == pytest.approx(LEARNING_RATES["adamw"] * factor)
        assert (found.optimization.clip_norm == 1.0) is (network == "vgg11")


def test_the_learning_rate_follows_the_design_of_the_network() -> None:
    def rate(network: str, design: Design) -> float:
        return resolve(Recipe(network=network, design=design), FASHION)[0].optimization.learning_rate or 0.0

    usual = LEARNING_RATES["adamw"]
    assert rate("vgg16", Design()) == rate("vgg16", Design(normalization="lrn")) == pytest.approx(0.2 * usual)
    assert rate("vgg16", Design(normalization="batch")) == usual
    assert rate("resnet18", Design()) == usual
    assert rate("resnet18", Design(normalization="none")) == pytest.approx(0.2 * usual)
    assert rate("lenet5_keras", Design()) == pytest.approx(5 * usual)
    assert rate("lenet5_keras", Design(width=2.0)) == pytest.approx(0.2 * usual)  # 250,000 parameters
