"""Public datasets fetched by torchvision, which verifies their checksums; imported only to fetch something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from torchvision import datasets

_SOURCES: Mapping[str, tuple[Callable[..., object], ...]] = {
    "mnist": (datasets.MNIST,),
    "fashion-mnist": (datasets.FashionMNIST,),
    "kmnist": (datasets.KMNIST,),
    "emnist": (partial(datasets.EMNIST, split="balanced"),),
    "cifar10": (datasets.CIFAR10,),
    "cifar100": (datasets.CIFAR100,),
    "stl10": (datasets.STL10,),
    "svhn": (partial(datasets.SVHN, split="train"), partial(datasets.SVHN, split="test")),
    "flowers102": (datasets.Flowers102,),
    "pets": (datasets.OxfordIIITPet,),
}
"""By name, the constructors that fetch all of a set when they are told to download it."""


def download(name: str, folder: Path) -> None:
    """Fetch a named set into ``folder``, which appears when all of it is there. Raises whatever the network, the disk
    or torchvision raise; nothing is left behind then.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{name}.", dir=folder.parent) as draft:
        fetched = Path(draft) / name
        for fetch in _SOURCES[name]:
            fetch(root=str(fetched), download=True)
        fetched.replace(folder)
