"""Images that maximize a score.

Simonyan, Vedaldi, Zisserman 2013, "Deep inside convolutional networks", section 2: ascend the class's score, with a
penalty on the image's square. Yosinski, Clune, Nguyen, Fuchs, Lipson 2015, "Understanding neural networks through deep
visualization", section 3: let the penalty shrink the image at each step, and blur it now and then, against patterns
that no photograph has. At each step the image is shifted by some pixels (Mordvintsev, Olah, Tyka 2015, "Inceptionism"),
so that nothing depends on the map's grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convolve.explainers.blur import blur
from convolve.explainers.preservation import preserve
from convolve.explainers.score_targets import ScoreTarget
from convolve.values import Floats


@dataclass(frozen=True)
class Ascent:
    """How an image ascends.

    Each of ``steps`` shrinks the image by the fraction ``decay`` and adds ``learning_rate`` times the score's gradient,
    which is scaled to a mean square of 1 (in standard deviations of the network's input); the rate falls to a tenth.
    After every fourth step the image is blurred by ``blur`` pixels (standard deviation), and at each it is shifted by
    up to the fraction ``jitter`` of its shorter side. ``seed`` draws the shifts.
    """

    steps: int = 120
    learning_rate: float = 0.3
    decay: float = 0.01
    blur: float = 0.8
    jitter: float = 0.1
    seed: int = 0


@dataclass(frozen=True)
class ClassImages:
    """``images`` (K, C, H, W) network inputs; the ``scores`` (K, steps + 1) before each step and at the end."""

    images: Floats
    scores: Floats


def class_images(
    network: nn.Module, target: ScoreTarget, bounds: tuple[Tensor, Tensor], size: tuple[int, int], ascent: Ascent
) -> ClassImages:
    """One image for each of the K scores of ``target``, of ``size`` (height, width), starting from the mean image.

    ``bounds`` (C,) are the least and greatest value of each channel: those of black and white. They are on the
    network's device, and so are the images.
    """
    low, high = (bound.reshape(1, -1, 1, 1) for bound in bounds)
    images = torch.zeros(len(target), low.shape[1], *size, device=low.device).clamp(low, high)
    random, reach = torch.Generator().manual_seed(ascent.seed), round(ascent.jitter * min(size))
    scores: list[Tensor] = []
    with preserve(network), torch.enable_grad():
        for step in range(ascent.steps):
            down, across = torch.randint(-reach, reach + 1, (2,), generator=random).tolist()
            images = images.roll((down, across), (2, 3))
            before, gradients = _scores_and_gradients(network, images, target)
            scores.append(before)
            rate = ascent.learning_rate * (1 - 0.9 * step / max(1, ascent.steps - 1))
            images = ((1 - ascent.decay) * images + rate * gradients).clamp(low, high).roll((-down, -across), (2, 3))
            if ascent.blur > 0 and step % 4 == 3:
                images = blur(images, ascent.blur)
        scores.append(_scores_and_gradients(network, images, target)[0])
    return ClassImages(images.cpu().numpy(), torch.stack(scores, 1).cpu().numpy())


def _scores_and_gradients(network: nn.Module, images: Tensor, target: ScoreTarget) -> tuple[Tensor, Tensor]:
    """The scores (K,), and their gradients (K, C, H, W), each with a mean square of 1."""
    inputs = images.detach().clone().requires_grad_()
    scores = target(network(inputs))
    (gradients,) = torch.autograd.grad(scores.sum(), inputs)
    norm = gradients.square().mean((1, 2, 3), keepdim=True).sqrt()
    return scores.detach(), gradients / norm.clamp_min(torch.finfo(torch.float32).tiny)
