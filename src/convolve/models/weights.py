"""Starting a network from weights that were trained elsewhere: for other classes, in a shallower network, or in the
classifier that a segmentation, detection or localization network is made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from convolve.errors import WeightsError
from convolve.layers.design import inherited
from convolve.models import vgg
from convolve.models.convolutional import convolutional_state
from convolve.models.localization import state_of_classifier
from convolve.models.network import Network
from convolve.models.registry import create

Rename = Callable[[Network, Mapping[str, Tensor]], Mapping[str, Tensor]]
"""Translates a state dict that another library saved to a network's own names, as `interop.weights.rename` does."""

_REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_WHOLE = (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8)
_HEADS = ("head.", "auxiliary.")
_COUNTER = "num_batches_tracked"  # absent in older files, and without effect unless momentum is None
_REGIONS = ("head.layers.", "head.classifier.layers.")
"""Where networks over regions have the layers of their classifier that see single ones."""
_FORMER, _REFERENCE = "head.output.anchors", "head.output.reference_size"
"""What weights of earlier versions call the size that `yolo_compact` has in place of anchors, and its name."""


def load_weights(network: Network, state: Mapping[str, Tensor], *, partial: bool = False) -> list[str]:
    """Load what fits by name and shape; returns the names of the parameters that stay randomly initialized.

    Those are the head's, or where there are `inherited_layers` all that the paper initializes randomly; with a
    ``partial`` state all that it lacks. Entries for a head that the network does not have are ignored. Raises
    `WeightsError`, before anything is changed, when a stage's parameter is missing, unknown, of another shape, or not
    of finite numbers.
    """
    own = network.state_dict()
    inherited = inherited_layers(network, state)
    if inherited:
        state = {name: value for name, value in state.items() if name.startswith(("head.", *inherited))}
    fitting = {name: value for name, value in state.items() if name in own and value.shape == own[name].shape}
    absent = [name for name in own if name not in fitting]
    for name in [*absent, *(name for name in state if name not in own)]:
        optional = name.startswith(_HEADS) or (inherited and not name.startswith(inherited))
        optional = optional or (partial and name not in state)
        if not optional and not (name.endswith(_COUNTER) and name not in state):
            raise WeightsError(_misfit(network, name, own.get(name), state.get(name)))
    check_numbers(own, fitting)
    network.load_state_dict(fitting, strict=False)
    return [name for name in absent if not name.endswith(_COUNTER)]


def check_numbers(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    """Raise `WeightsError` where a tensor in ``state``, by the names in ``own``, is of a type from which its numbers
    would change, or has some that are not finite.
    """
    for name, value in state.items():
        if name not in own:
            continue
        counts, dtype = not own[name].is_floating_point(), str(value.dtype).removeprefix("torch.")
        if value.dtype not in (_WHOLE if counts else _REAL):
            needed = "whole numbers" if counts else "float16, bfloat16, float32 or float64"
            raise WeightsError(f"'{name}' is of type {dtype} in the weights and must be of {needed}; save it as such.")
        if not counts and not value.to(own[name].dtype).isfinite().all():
            raise WeightsError(f"'{name}' holds numbers in the weights that are not finite; choose other weights.")


def inherited_layers(network: Network, state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The names, ending in a dot, of the stages' layers that a network takes from ``state``, where that is of the
    shallower network from which its paper grew it; else none.
    """
    shallower, taken = vgg.GROWN.get(network.card.name, ((), ()))
    layers = {name.rpartition(".")[0] for name in state if name.startswith("stages.")}
    return tuple(f"{layer}." for layer in taken) if layers == {*shallower} else ()


def translate(network: Network, state: Mapping[str, Tensor], rename: Rename) -> Mapping[str, Tensor]:
    """A state dict under the network's own names and shapes, also where it is of the classifier that another network
    is made of (`Card.classifier`), or of an earlier version.

    ``rename`` translates names of other libraries. Raises what it raises.
    """
    own = network.state_dict()
    if _FORMER in state and _REFERENCE in own:
        others = {name: value for name, value in state.items() if name != _FORMER}
        state = others | {_REFERENCE: state[_FORMER].flatten()}
    renamed = rename(network, state)
    if not network.card.classifier or all(name in own for name in renamed):
        return renamed
    with torch.device("meta"):
        classifier = create(network.card.classifier, design=inherited(network.design))
    if network.card.output == "box":
        return state_of_classifier(rename(classifier, state))
    return _with_region_layers(own, convolutional_state(network, rename(classifier, state)))


def _with_region_layers(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A classifier's state dict with the layers that a network applies to single regions under their names there."""
    renamed = {}
    for name, value in state.items():
        paths = [f"{prefix}{name.partition('.')[2]}" for prefix in _REGIONS]
        renamed[next((path for path in (name, *paths) if path in own), name)] = value
    return renamed


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
