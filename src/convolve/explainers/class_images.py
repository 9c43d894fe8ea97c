"""Images that a class's score is greatest for.

Simonyan, Vedaldi, Zisserman 2013, "Deep inside convolutional networks", section 2: ascend the class's score, with a
penalty on the image's square. Yosinski, Clune, Nguyen, Fuchs, Lipson 2015, "Understanding neural networks through deep
visualization", section 3: let the penalty shrink the image at each step, and blur it now and then, against patterns
that no photograph has. At each step the image is shifted by some pixels (Mordvintsev, Olah, Tyka 2015, "Inceptionism"),
so that nothing depends on the map's grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convolve.explainers.blur import blurred
from convolve.explainers.question import everywhere
from convolve.explainers.untouched import untouched
from convolve.models import Network
from convolve.values import Floats


@dataclass(frozen=True)
class Ascent:
    """How an image climbs.

    Each of ``steps`` shrinks the image by the share ``decay`` and goes ``rate`` along the score's slope, which is
    scaled to a mean square of 1 (in deviations of the network's input); the rate falls to a tenth. After every fourth
    step the image is blurred by ``blur`` pixels (deviation), and at each it is shifted by up to the share ``jitter`` of
    its shorter side. ``seed`` draws the shifts.
    """

    steps: int = 120
    rate: float = 0.3
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
    network: Network, classes: Tensor, bounds: tuple[Tensor, Tensor], size: tuple[int, int], ascent: Ascent
) -> ClassImages:
    """One image for each of ``classes`` (K,), of ``size`` (height, width), from the mean image on.

    Of a network for pixels the score is the mean over all of them. ``bounds`` (C,) are the least and greatest value of
    each channel: those of black and white.
    """
    network = everywhere(network)
    low, high = (bound.reshape(1, -1, 1, 1).to(classes.device) for bound in bounds)
    images = torch.zeros(len(classes), low.shape[1], *size, device=classes.device).clamp(low, high)
    random, reach = torch.Generator().manual_seed(ascent.seed), round(ascent.jitter * min(size))
    found: list[Tensor] = []
    with untouched(network), torch.enable_grad():
        for step in range(ascent.steps):
            down, across = torch.randint(-reach, reach + 1, (2,), generator=random).tolist()
            images = images.roll((down, across), (2, 3))
            scores, slopes = _slopes(network, images, classes)
            found.append(scores)
            images = (
                ((1 - ascent.decay) * images + _rate(ascent, step) * slopes)
                .clamp(low, high)
                .roll((-down, -across), (2, 3))
            )
            if ascent.blur > 0 and step % 4 == 3:
                images = blurred(images, ascent.blur)
        found.append(_slopes(network, images, classes)[0])
    return ClassImages(images.cpu().numpy(), torch.stack(found, 1).cpu().numpy())


def _slopes(network: Network, images: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """The classes' scores (K,), and their slopes (K, C, H, W), each with a mean square of 1."""
    inputs = images.detach().clone().requires_grad_()
    scores = network(inputs).float().gather(1, classes[:, None])[:, 0]
    (slopes,) = torch.autograd.grad(scores.sum(), inputs)
    steepness = slopes.square().mean((1, 2, 3), keepdim=True).sqrt()
    return scores.detach(), slopes / steepness.clamp_min(torch.finfo(torch.float32).tiny)


def _rate(ascent: Ascent, step: int) -> float:
    return ascent.rate * (1 - 0.9 * step / max(1, ascent.steps - 1))
