"""The lectures on padding: pixels at the border take part in fewer windows than those in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

KERNEL, SIZE = 3, 6


def measure(trial: Trial) -> Outcome:
    """In how many windows of 3x3 the corner and the center of an image of 6x6 are, without padding and with 1."""
    del trial
    counts = {}
    for padding in (0, 1):
        counts[f"corner, padding {padding}"] = float(windows_over(0, padding) ** 2)
        counts[f"center, padding {padding}"] = float(windows_over(SIZE // 2, padding) ** 2)
    before = counts["center, padding 0"] / counts["corner, padding 0"]
    after = counts["center, padding 1"] / counts["corner, padding 1"]
    return Outcome(before / after, counts)


def windows_over(pixel: int, padding: int) -> int:
    """How many windows along one side hold a pixel."""
    starts = range(-padding, SIZE + padding - KERNEL + 1)
    return sum(start <= pixel < start + KERNEL for start in starts)


CLAIM = Claim(
    number="36",
    name="padding",
    words="가장자리에 있는 픽셀들은 중앙에 위치한 픽셀들에 비해 Convolution 연산이 적게 수행됨",
    sentence="Pixels at the border take part in fewer convolutions, and padding mends it.",
    method="The slide's image of 6x6 and a filter of 3x3: in how many windows is the corner, in how many the center?",
    effect="by how much padding of 1 reduces the ratio of center to corner",
    unit="times",
    supported=1.0,
    refuted=1.0,
    measure=measure,
    value="windows that hold the pixel",
    exact=True,
)
