"""The lectures' own experiment: six convolutions of sigmoids without and with batch normalization; Ioffe, Szegedy 2015,
"Batch normalization: accelerating deep network training by reducing internal covariate shift".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial

EPOCHS = 3


def measure(trial: Trial) -> Outcome:
    """Test errors of the lectures' two networks after three epochs."""
    curves, errors = {}, {}
    for network in ("batchnorm_cnn_plain", "batchnorm_cnn"):
        measured = trial.train(network, trial.recipe(network, EPOCHS))
        errors[network] = measured.test_error
        curves[network] = [(float(epoch), error) for epoch, error in enumerate(measured.validation_errors, 1)]
    return Outcome(errors["batchnorm_cnn_plain"] - errors["batchnorm_cnn"], errors, curves)


CLAIM = Claim(
    number="14a",
    name="batch_norm_speed",
    words="학습의 수렴속도를 높이고 가중치 초기화에 대해 강건해진다.",
    sentence="Batch normalization makes learning faster.",
    method=(
        "The lectures' network of six convolutions of sigmoids, without and with batch normalization, after three "
        "epochs."
    ),
    effect="test error without batch normalization minus with it",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
    axes=("epoch", "validation error in %"),
)
