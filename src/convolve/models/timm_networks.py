"""timm's networks: their names, what timm says of them, and how it builds them. Imported only where timm is installed.

Wightman 2019, "PyTorch Image Models".
"""

from __future__ import annotations

import inspect
import re

import timm
from timm.models import get_pretrained_cfg, is_model, model_entrypoint
from torch import nn

from convolve.errors import NetworkError
from convolve.models.foreign import About, Paper, paper_of

_IMAGENET = 1000
_LIBRARY = Paper("PyTorch Image Models", "https://github.com/huggingface/pytorch-image-models", 2019)
_LINK = re.compile(r"`([^`]+)` - (https://arxiv\.org/\S+)")


def names() -> list[str]:
    """Every network of timm, without the tags of its weights."""
    return list(timm.list_models())


def about(name: str) -> About:
    """What timm says of a network; a tag after a dot (`resnet50.a1_in1k`) names weights. Raises `NetworkError`.

    The paper is the one that timm's builder names, or the only one that its file names.
    """
    architecture, _, tag = name.partition(".")
    if not is_model(name):
        raise KeyError(name)
    try:
        found = get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = ", ".join(known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*"))
        raise NetworkError(f"timm has no weights '{tag}' of {architecture}; it has {tags or 'none'}.") from error
    builder = model_entrypoint(architecture)
    papers = dict.fromkeys(_LINK.findall(inspect.getdoc(inspect.getmodule(builder)) or ""))
    one = next(iter(papers)) if len(papers) == 1 else None
    paper = paper_of(inspect.getdoc(builder)) or (paper_of(f"`{one[0]} <{one[1]}>`") if one else None)
    size = found.input_size if found else (3, 224, 224)
    return About(paper or _LIBRARY, f"timm {timm.__version__}", size, (found and found.num_classes) or _IMAGENET)


def build(name: str, classes: int, channels: int) -> nn.Module:
    """The network, randomly initialized by timm."""
    network: nn.Module = timm.create_model(name, num_classes=classes, in_chans=channels)
    return network
