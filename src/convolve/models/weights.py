"""Starting a network from weights that were trained for other classes, or from those of a shallower network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from convolve.errors import WeightsError
from convolve.models import vgg
from convolve.models.network import Network

_HEADS = ("head.", "auxiliary.")
_COUNTER = "num_batches_tracked"  # absent in older files, and without effect unless momentum is None


def load_weights(network: Network, state: Mapping[str, Tensor]) -> list[str]:
    """Load what fits by name and shape; the names of the parameters that stay fresh are returned.

    They are the head's, or where the network is `grown_from` the weights' one, all that its paper starts afresh.
    Entries for a head that the network does not have are passed over. Raises `WeightsError`, before anything is
    changed, when a stage's parameter is missing, unknown or of another shape.
    """
    own = network.state_dict()
    grown = grown_from(network, state)
    if grown:
        state = {name: value for name, value in state.items() if name.startswith(("head.", *grown))}
    fitting = {name: value for name, value in state.items() if name in own and value.shape == own[name].shape}
    absent = [name for name in own if name not in fitting]
    for name in [*absent, *(name for name in state if name not in own)]:
        fresh = name.startswith(_HEADS) or (grown and not name.startswith(grown))
        if not fresh and not (name.endswith(_COUNTER) and name not in state):
            raise WeightsError(_misfit(network, name, own.get(name), state.get(name)))
    network.load_state_dict(fitting, strict=False)
    return [name for name in absent if not name.endswith(_COUNTER)]


def grown_from(network: Network, state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The stages' layers that come over, ending in a dot, where the weights are those of the shallower network that
    the paper grew this one from; else none.
    """
    whole, kept = vgg.GROWN.get(network.card.name, ((), ()))
    given = {name.rpartition(".")[0] for name in state if name.startswith("stages.")}
    return tuple(f"{layer}." for layer in kept) if given == {*whole} else ()


def _misfit(network: Network, name: str, own: Tensor | None, given: Tensor | None) -> str:
    title = network.card.name
    if own is None:
        return f"The weights hold '{name}', which {title} does not have; they belong to another network."
    if given is None:
        return f"The weights lack '{name}' of {title}; they belong to another network or the file is incomplete."
    shapes = ["x".join(map(str, value.shape)) for value in (given, own)]
    return (
        f"'{name}' is {shapes[0]} in the weights but {shapes[1]} in {title}; build it with the channels of the weights "
        "or choose other weights."
    )
