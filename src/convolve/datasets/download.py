"""Public datasets, downloaded by torchvision, which verifies their checksums. Imported only to download something."""

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
"""By name, the constructors that together download all of a dataset."""
ADDRESSES: Mapping[str, str] = {
    "mnist": "ossci-datasets.s3.amazonaws.com and yann.lecun.com",
    "fashion-mnist": "fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "kmnist": "codh.rois.ac.jp",
    "emnist": "biometrics.nist.gov",
    "cifar10": "www.cs.toronto.edu",
    "cifar100": "www.cs.toronto.edu",
    "stl10": "ai.stanford.edu",
    "svhn": "ufldl.stanford.edu",
    "flowers102": "www.robots.ox.ac.uk",
    "pets": "www.robots.ox.ac.uk",
}
"""Where torchvision downloads each from."""


def download(name: str, folder: Path) -> None:
    """Download a named dataset into ``folder``, which appears only when it is complete. Raises whatever torchvision
    raises, `OSError` among others; nothing is left behind then.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{name}.", dir=folder.parent) as draft:
        complete = Path(draft) / name
        for source in _SOURCES[name]:
            source(root=str(complete), download=True)
        complete.replace(folder)
