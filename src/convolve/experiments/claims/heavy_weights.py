"""Zhou, Khosla, Lapedriza, Oliva, Torralba 2016, "Learning deep features for discriminative localization", and the
lectures: the larger a map's weight, the more it contributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convolve.experiments.claim import Claim, Outcome

if TYPE_CHECKING:
    from convolve.experiments.trial import Trial
    from convolve.models import Network

NETWORK = "conv 16 3 same relu | pool 2 | conv 32 3 same relu | pool 2 | conv 64 3 same relu | gap | dense classes"
EPOCHS, FRACTION = 8, 0.1


def measure(trial: Trial) -> Outcome:
    """Test errors without the heaviest and without the lightest tenth of each class's weights."""
    import copy

    from convolve.experiments.inspection import error_of

    trained = trial.train("network", trial.recipe(NETWORK, EPOCHS)).trained
    networks = [copy.deepcopy(trained.prepared.task.network) for _ in range(3)]
    remove_weights(networks[1], heaviest=True)
    remove_weights(networks[2], heaviest=False)
    names = ("all weights", "without the heaviest", "without the lightest")
    errors = {name: error_of(network, trained) for name, network in zip(names, networks, strict=True)}
    return Outcome(errors["without the heaviest"] - errors["without the lightest"], errors)


def remove_weights(network: Network, *, heaviest: bool) -> None:
    """Set a tenth of the weights of each class in the last layer to 0: those of the largest or smallest magnitude."""
    import torch
    from torch import nn

    dense = [layer for layer in network.modules() if isinstance(layer, nn.Linear)][-1]
    count = max(1, round(FRACTION * dense.in_features))
    chosen = dense.weight.detach().abs().topk(count, dim=1, largest=heaviest).indices
    with torch.no_grad():
        dense.weight.scatter_(1, chosen, 0.0)


CLAIM = Claim(
    number="44",
    name="heavy_weights",
    words="각 가중치의 값이 클수록 해당 Feature map의 기여도가 크다.",
    sentence="The larger its weight, the more a feature map contributes.",
    method=(
        "A network with global average pooling: a tenth of the weights of each class are set to 0, the largest "
        "ones, or the smallest."
    ),
    effect="test error without the heaviest weights minus without the lightest",
    unit="percentage points",
    supported=0.0,
    refuted=0.0,
    measure=measure,
)
