"""Long, Shelhamer, Darrell 2015, "Fully convolutional networks for semantic segmentation", table 2: 59.4, 62.4, 62.7 %
mean IoU.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome
from convolve.experiments.shapes import SIZE, write_shapes
from convolve.training.recipe import Recipe

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

NETWORKS = ("fcn32s_resnet18", "fcn16s_resnet18", "fcn8s_resnet18")
EPOCHS = 6


def measure(trial: Trial) -> Outcome:
    """Mean IoU on drawn shapes with heads that read one, two and three stages."""
    data = write_shapes(trial.folder / f"shapes-{trial.seed}", trial.seed)
    found = {}
    for name in NETWORKS:
        recipe = Recipe(str(data), network=name, epochs=EPOCHS, seed=trial.seed, size=SIZE)
        trained, _ = trial.run(name, recipe)
        found[name] = 100 * trained.metrics["mean_iou"]
    return Outcome(found["fcn8s_resnet18"] - found["fcn32s_resnet18"], found)


CLAIM = Claim(
    number="41",
    name="fcn_skips",
    words="이전 콘볼루션 층의 특징 맵을 참고해 업샘플링해 줄 때 정확도를 높이는 방법",
    sentence="Skips to earlier layers make a segmentation more accurate: 8s over 16s over 32s.",
    method=(
        "FCN-32s, 16s and 8s on ResNet-18 learn to segment circles, squares and triangles in drawn images of "
        "64x64 pixels."
    ),
    effect="mean IoU of FCN-8s minus of FCN-32s",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
    value="mean IoU in %",
)
