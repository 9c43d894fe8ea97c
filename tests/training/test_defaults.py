"""Defaults: nothing stays open, what is set stays, and every choice has its reason; values out of range are refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from convolve.datasets.augmentation import Augmentation
from convolve.errors import NetworkError, OptionError
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
MAY_STAY_OPEN = {"data", "group_by", "weights", "freeze", "loss", "ignore"}  # the last two are of segmentation


@pytest.mark.parametrize("facts", [PHOTOS, FASHION, DIGITS, CIFAR, Facts(3, 3, 40, photographs=False)])
@pytest.mark.parametrize("network", ["lenet5_keras", "simple_cnn", "vgg16", "resnet18"])
@pytest.mark.parametrize("optimizer", [None, *RATES])
def test_nothing_stays_open_and_every_choice_has_a_reason(
    facts: Facts, network: str, optimizer: OptimizerName | None
) -> None:
    recipe = Recipe(network=network, optimization=Optimization(optimizer=optimizer))
    settled, reasons = resolve(recipe, facts)
    found = values(settled)
    assert {name for name, value in found.items() if value is None} == MAY_STAY_OPEN
    chosen = {name for name, value in values(recipe).items() if value is None} - MAY_STAY_OPEN
    assert reasons.keys() == chosen
    assert all(reasons.values())
    assert resolve(settled, facts) == (settled, {})


def test_what_a_person_sets_stays_and_the_rest_follows() -> None:
    optimization = Optimization(optimizer="momentum", schedule="plateau")
    recipe = Recipe(
        network="resnet18", batch=100, epochs=7, optimization=optimization, augmentation=Augmentation(flip=False)
    )
    settled, reasons = resolve(recipe, PHOTOS)
    assert (settled.batch, settled.epochs, settled.augmentation.flip) == (100, 7, False)
    assert settled.optimization.rate == LEARNING_RATES["momentum"]
    assert settled.regularization.patience == 10
    assert "optimizer" not in reasons
    assert "flip" not in reasons


def test_a_large_picture_of_which_tiles_are_learned_counts_as_many() -> None:
    streets = replace(PHOTOS, images=30, side=1024, longer=2048, pixels=True)
    whole, reasons = resolve(Recipe(network="fcn8s_resnet18", size=256), streets)
    assert (whole.fit, reasons["fit"]) == ("crop", "keeps shapes; take tiles to keep these large pictures' scale, too")
    assert (whole.epochs, whole.batch, whole.augmentation.crop) == (100, 8, 0.35)
    tiled, _ = resolve(Recipe(network="fcn8s_resnet18", size=256, fit="tiles"), streets)
    assert (tiled.epochs, tiled.batch, tiled.augmentation.crop) == (15, 8, 1.0)  # 30 x 7 x 15 tiles
    assert (tiled.augmentation.flip, tiled.augmentation.brightness) == (True, 0.2)
    small, reasons = resolve(Recipe(network="fcn8s_resnet18", size=256), replace(streets, side=500, longer=600))
    assert (small.fit, reasons["fit"]) == ("crop", "keeps shapes")


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


def test_only_photographs_and_color_images_are_mirrored() -> None:
    mirrored = [resolve(Recipe(network="resnet18"), facts)[0].augmentation.flip for facts in (PHOTOS, CIFAR, DIGITS)]
    assert mirrored == [True, True, False]


def test_frozen_stages_are_shown_what_does_not_vary() -> None:
    settled, reasons = resolve(Recipe(network="resnet18", transfer=Transfer(freeze="stage4")), PHOTOS)
    assert settled.augmentation == Augmentation(1.0, False, False, *[0.0] * 8)
    assert "computed once" in reasons["crop"]


def test_sizes_are_the_networks_or_large_enough_for_its_strides() -> None:
    sizes = [
        resolve(Recipe(network=network), facts)[0].size
        for network, facts in [("resnet18", PHOTOS), ("resnet18", CIFAR), ("simple_cnn", FASHION)]
    ]
    assert sizes == [224, 64, 28]


def test_unequal_classes_are_weighted() -> None:
    settled, reasons = resolve(Recipe(network="resnet18"), replace(PHOTOS, imbalance=8.04))
    assert settled.regularization.balance == "weights"
    assert reasons["balance"] == "the largest class has 8.0 times the images of the smallest"


def test_a_network_must_be_named_and_exist() -> None:
    with pytest.raises(OptionError, match="Name a network"):
        resolve(Recipe(), PHOTOS)
    with pytest.raises(NetworkError, match="no network named"):
        resolve(Recipe(network="resnot"), PHOTOS)


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe(epochs=0), r"epochs cannot be 0; it takes a number from 1 to 100000\."),
        (Recipe(optimization=Optimization(learning_rate=-1.0)), "rate cannot be -1.0"),
        (Recipe(optimization=Optimization(learning_rate=float("nan"))), "rate cannot be nan"),
        (Recipe(augmentation=Augmentation(crop=2.0)), "crop cannot be 2.0; it takes a number from 0.01 to 1"),
        (Recipe(regularization=Regularization(label_smoothing=1.0)), "label_smoothing cannot be 1.0"),
        (Recipe(splitting=Splitting(0.6, 0.5)), "leave too little to learn from"),
        (Recipe(optimization=Optimization("nesterov", momentum=0.0)), "nesterov needs a momentum"),
        (Recipe(epochs=2, optimization=Optimization(warmup=3.0)), "warmup cannot be longer"),
    ],
)
def test_a_value_out_of_range_is_a_sentence(recipe: Recipe, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        check(recipe)


def test_a_recipe_for_pixels_names_its_loss_and_takes_fewer_images() -> None:
    whole, _ = resolve(Recipe(network="resnet18"), PHOTOS)
    pixels, reasons = resolve(Recipe(network="fcn8s_resnet18"), replace(PHOTOS, pixels=True))
    assert (whole.task, whole.pixels.loss) == ("classify", None)
    assert (pixels.task, pixels.pixels.loss) == ("segment", "cross-entropy")
    assert (pixels.batch or 0) < (whole.batch or 0)
    assert {"task", "loss"} <= reasons.keys()
