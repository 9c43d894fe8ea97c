"""Long, Shelhamer, Darrell 2015, section 3.3: upsampling within the network may be learned, and begins as bilinear
interpolation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from torch import Tensor, nn

    from convolve.experiments.trial import Trial

SIZE, FACTOR, STEPS, BATCH = 32, 4, 400, 64
TRAINING, TEST = 800, 200


def measure(trial: Trial) -> Outcome:
    """Mean squared errors of images enlarged four times: by fixed bilinear weights, and by learned ones."""
    import torch
    from torch.nn import functional

    from convolve.layers.skips import bilinear_upsampling

    images, _ = trial.batch(TRAINING + TEST)
    large = functional.interpolate(images, size=(SIZE, SIZE), mode="area")
    small = functional.interpolate(large, size=(SIZE // FACTOR, SIZE // FACTOR), mode="area")
    train, test = slice(0, TRAINING), slice(TRAINING, None)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(trial.seed)
        upsample = bilinear_upsampling(1, 2 * FACTOR, FACTOR, learned=True)
        fixed = functional.mse_loss(enlarge(upsample, small[test]), large[test]).item()
        optimizer = torch.optim.Adam(upsample.parameters(), lr=0.01)
        for _ in range(STEPS):
            chosen = torch.randint(TRAINING, (BATCH,))
            optimizer.zero_grad()
            functional.mse_loss(enlarge(upsample, small[train][chosen]), large[train][chosen]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        learned = functional.mse_loss(enlarge(upsample, small[test]), large[test]).item()
    return Outcome(100 * (1 - learned / fixed), {"fixed, bilinear": fixed, "learned": learned})


def enlarge(layer: nn.Module, maps: Tensor) -> Tensor:
    """What a transposed convolution makes of maps, without the border of half a step on which it is not defined."""
    border = FACTOR // 2
    enlarged: Tensor = layer(maps)
    return enlarged[:, :, border:-border, border:-border]


CLAIM = Claim(
    number="42",
    name="learned_upsampling",
    words="디콘볼루션(deconvolution)이라는 과정을 통해 … 해상도가 높은 상태로 만듬",
    sentence="A deconvolution that learns is better than fixed interpolation.",
    method=(
        "Images of 8x8 pixels become 32x32 by one transposed convolution, which begins as bilinear interpolation "
        "and learns for 400 steps on 800 images: squared errors on 200 others before and after."
    ),
    effect="by how much learning lowers the squared error",
    unit="%",
    supported=5.0,
    refuted=0.0,
    measure=measure,
    value="mean squared error",
)
