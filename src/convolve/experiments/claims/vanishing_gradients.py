"""The lectures' figure of sigmoid layers; Hochreiter 1991; Glorot, Bengio 2010, "Understanding the difficulty of
training deep feedforward neural networks", section 4.2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

DEPTHS, UNITS = (2, 5, 10), 100


def measure(trial: Trial) -> Outcome:
    """Norms of each layer's gradient at the beginning, of networks of 2, 5 and 10 layers of sigmoids."""
    from torch import nn
    from torch.nn import functional

    from convolve import models

    images, labels = trial.batch(256)
    curves, ratios = {}, {}
    for depth in DEPTHS:
        hidden = f" | dense {UNITS} sigmoid" * (depth - 1)
        network = models.create(
            f"flatten{hidden} | dense classes", 10, 1, (images.shape[2], images.shape[3]), trial.seed
        )
        functional.cross_entropy(network(images), labels).backward()  # type: ignore[no-untyped-call]
        layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
        norms = [layer.weight.grad.norm().item() for layer in layers if layer.weight.grad is not None]
        curves[f"{depth} layers"] = [(float(position), math.log10(norm)) for position, norm in enumerate(norms, 1)]
        ratios[f"{depth} layers"] = norms[-1] / norms[0]
    return Outcome(math.log10(ratios["10 layers"]), ratios, curves)


CLAIM = Claim(
    number="2",
    name="vanishing_gradients",
    words="레이어가 깊을 수록 업데이트가 사라져간다.",
    sentence="The deeper a network of sigmoids, the more its updates vanish towards the input.",
    method=(
        "Networks of 2, 5 and 10 dense layers of sigmoids, 100 units each, as they are initialized: the norm of "
        "the loss's gradient for each layer's weights, on 256 images."
    ),
    effect="gradient of the last layer over that of the first, of ten layers",
    unit="powers of ten",
    supported=2.0,
    refuted=1.0,
    measure=measure,
    value="gradient of the last layer over that of the first",
    axes=("layer", "log10 of the gradient's norm"),
)
