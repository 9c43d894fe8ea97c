"""Where in a network the options of `layers.design.Design` have something to work on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from torch import nn

from convolve.choices import NETWORK_FILES
from convolve.layers.border import BorderOnce
from convolve.layers.darknet import PaddedMaxPool2d
from convolve.layers.design import Design
from convolve.layers.lecun import ScaledTanh, Subsampling, TableConvolution
from convolve.layers.lrn import LocalResponseNorm, LocalResponseNormWithin
from convolve.layers.pooling import MinPool2d, Unpooling
from convolve.layers.squeeze_excitation import SqueezeExcitation
from convolve.models.localization import LocalizationHead
from convolve.models.network import Network
from convolve.models.stacked_hourglass import Hourglass
from convolve.models.width import why_not_scaled

Site = tuple[nn.Module, str, nn.Module]
"""A module that holds a layer, the layer's name in it, and the layer."""

ACTIVATIONS = (
    *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid, nn.Tanh),
    ScaledTanh,
)
STATISTICAL, LOCAL = (nn.BatchNorm2d, nn.GroupNorm), (LocalResponseNorm, LocalResponseNormWithin)
"""Normalization that learns a scale and a shift, and that which does not."""
_CONVOLUTIONS = (nn.Conv2d, TableConvolution)
_POOLINGS = (nn.MaxPool2d, nn.AvgPool2d, MinPool2d, Subsampling)
_FIXED = (Unpooling, Hourglass, PaddedMaxPool2d)
"""What undoes a pooling, or one that only the maximum has."""


def sites(root: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[Site]:
    """The layers of these types below a module."""
    for parent in root.modules():
        for name, layer in parent.named_children():
            if isinstance(layer, kinds):
                yield parent, name, layer


def activation_sites(network: Network) -> list[Site]:
    """All activation functions, but not those that are gates."""
    found = sites(network, ACTIVATIONS)
    return [site for site in found if not (isinstance(site[0], SqueezeExcitation) and isinstance(site[2], nn.Sigmoid))]


def last_dense(network: Network) -> Site | None:
    """The last dense layer of the head that is in a sequence of layers, if there is one."""
    head = network.head.scores if isinstance(network.head, LocalizationHead) else network.head
    found = [site for site in sites(head, (nn.Linear,)) if isinstance(site[0], nn.Sequential)]
    return found[-1] if found else None


def normalizable(network: Network) -> list[tuple[nn.Module, str, nn.Conv2d | TableConvolution]]:
    """The convolutions in a sequence of layers, of the stages, and before an activation also of the heads."""
    stages = {id(layer) for layer in network.stages.modules()}
    return [
        (parent, name, layer)
        for parent, name, layer in sites(network, _CONVOLUTIONS)
        if isinstance(parent, nn.Sequential | BorderOnce) and isinstance(layer, _CONVOLUTIONS)
        if id(layer) in stages or isinstance((follower(parent, name) or ("", None))[1], ACTIVATIONS)
    ]


def follower(parent: nn.Module, name: str) -> tuple[str, nn.Module] | None:
    """The layer after that of a name, with its own name."""
    children = list(parent.named_children())
    position = [each for each, _ in children].index(name) + 1
    return children[position] if position < len(children) else None


def pooling_sites(root: nn.Module) -> Iterator[Site]:
    """Poolings with windows; one of a single unit only skips the others."""
    return (site for site in sites(root, _POOLINGS) if side(site[2], "kernel_size") > 1)


def side(layer: nn.Module, name: str) -> int:
    """A pooling's window, stride or padding, which are those of a square; 0 where it has none."""
    value = getattr(layer, name, 0)
    return int(value[0] if isinstance(value, tuple) else value)


def c3(network: Network) -> nn.Module | None:
    """LeNet-5's third layer; None in every other network."""
    named = network.card.name == "lenet5" or network.card.classifier == "lenet5"
    return next((layer for layer in network.modules() if named and isinstance(layer, TableConvolution)), None)


def obstacle(network: Network, name: str, design: Design) -> str:
    """Why a field of a design has nothing to work on in a network, as the end of a sentence that begins with the
    network's name; empty where it has.
    """
    return _OBSTACLES[name](network, design)


def is_ours(name: str) -> bool:
    """Whether a network of this name is built here: others are described by a library or a file."""
    return "/" not in name and not name.endswith(NETWORK_FILES)


def applicable(network: Network) -> tuple[str, ...]:
    """The names of the fields that change something in a network, alone or with another one."""
    if not is_ours(network.card.name):
        return ()
    most = Design(pooling="max", connections="full")
    return tuple(name for name in _OBSTACLES if not obstacle(network, name, most))


def _no_activation(network: Network, design: Design) -> str:
    del design
    return "" if activation_sites(network) else "has no activation function to replace"


def _no_weights(network: Network, design: Design) -> str:
    del design
    return "" if any(sites(network, (nn.Conv2d, nn.Linear))) else "has no convolution or dense layer to initialize"


def _no_dropout(network: Network, design: Design) -> str:
    del design
    found = last_dense(network) or any(sites(network, (nn.Dropout,)))
    return "" if found else "has no dropout, and no dense layer that it could precede"


def _no_normalization(network: Network, design: Design) -> str:
    normalized = any(sites(network, (*STATISTICAL, *LOCAL)))
    if design.normalization == "none":
        return "" if normalized else "has no normalization to remove"
    return "" if normalized or normalizable(network) else "has no convolution to normalize"


def _no_pooling(network: Network, design: Design) -> str:
    del design
    if any(isinstance(module, _FIXED) for module in network.modules()):
        return "has poolings that only the maximum can be taken of"
    return "" if any(pooling_sites(network.stages)) else "has no pooling with windows"


def _no_window(network: Network, design: Design) -> str:
    layers = [layer for _, _, layer in pooling_sites(network.stages) if side(layer, "stride") > 1]
    if reason := _no_pooling(network, design):
        return reason
    if any(isinstance(layer, Subsampling) for layer in layers) and not design.pooling:
        return "has sub-sampling whose window is 2x2 unless --pooling replaces it"
    return "" if layers else "has no pooling that shrinks its maps"


def _no_width(network: Network, design: Design) -> str:
    table = any(isinstance(module, TableConvolution) for module in network.modules())
    if c3(network) and design.connections != "full":
        return "has a table of connections, which has one width only unless --connections full replaces it"
    return (
        "has a table of connections, which has one width only" if table and not c3(network) else why_not_scaled(network)
    )


def _no_auxiliary(network: Network, design: Design) -> str:
    del design
    return "" if network.auxiliary else "has no auxiliary heads"


def _no_connections(network: Network, design: Design) -> str:
    del design
    return "" if c3(network) else "is not LeNet-5, whose C3 has a table of connections"


_OBSTACLES: Mapping[str, Callable[[Network, Design], str]] = {
    "activation": _no_activation,
    "initializer": _no_weights,
    "dropout": _no_dropout,
    "normalization": _no_normalization,
    "pooling": _no_pooling,
    "pool_window": _no_window,
    "pool_stride": _no_window,
    "width": _no_width,
    "auxiliary": _no_auxiliary,
    "connections": _no_connections,
}
