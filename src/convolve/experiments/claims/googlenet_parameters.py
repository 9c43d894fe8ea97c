"""The lectures on GoogLeNet; Szegedy et al. 2014, section 1, say 12 times fewer parameters than AlexNet's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial


def measure(trial: Trial) -> Outcome:
    """Parameters of AlexNet over those of GoogLeNet without its auxiliary heads."""
    del trial
    from convolve import models

    counts = {name: float(models.card(name).parameters or 0) / 1e6 for name in ("alexnet", "googlenet")}
    return Outcome(counts["alexnet"] / counts["googlenet"], counts)


CLAIM = Claim(
    number="24",
    name="googlenet_parameters",
    words="AlexNet보다 망의 깊이는 약 2배 이상 깊어졌으나, 10배 적은 파라미터를 가지고",
    sentence="GoogLeNet has ten times fewer parameters than AlexNet.",
    method=(
        "The parameters of the two networks as published, of GoogLeNet without its auxiliary heads. Ten is taken "
        "as 9.5 or more."
    ),
    effect="parameters of AlexNet over those of GoogLeNet",
    unit="times",
    supported=9.5,
    refuted=9.5,
    measure=measure,
    value="millions of parameters",
    exact=True,
)
