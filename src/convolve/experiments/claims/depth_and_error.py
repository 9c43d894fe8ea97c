"""The lectures' revolution of depth: the deeper, the better on ILSVRC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

LAYERS = {
    "alexnet": 8,
    "zfnet": 8,
    "vgg11": 11,
    "vgg13": 13,
    "vgg16": 16,
    "vgg19": 19,
    "googlenet": 22,
    "resnet34": 34,
    "resnet50": 50,
    "resnet101": 101,
    "resnet152": 152,
}


def measure(trial: Trial) -> Outcome:
    """Spearman's rank correlation of layers with weights and the published top-5 error."""
    del trial
    from scipy.stats import spearmanr  # type: ignore[import-untyped]

    from convolve import models

    errors = {name: models.card(name).top5_error or 0.0 for name in LAYERS}
    values = {f"{name}, {layers} layers": errors[name] for name, layers in LAYERS.items()}
    return Outcome(-float(spearmanr(list(LAYERS.values()), list(errors.values())).statistic), values)


CLAIM = Claim(
    number="46",
    name="depth_and_error",
    words="Revolution of depth",
    sentence="The deeper a published network, the lower its error on ILSVRC.",
    method=(
        "Eleven networks of the lectures: the number of layers with weights and the published top-5 error of one "
        "network. Compared are their orders (Spearman's rank correlation)."
    ),
    effect="rank correlation of depth and accuracy",
    unit="of at most 1",
    supported=0.8,
    refuted=0.3,
    measure=measure,
    value="published top-5 error in %",
    exact=True,
)
