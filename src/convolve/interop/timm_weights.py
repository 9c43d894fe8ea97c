"""timm's ImageNet weights, downloaded by timm itself. Imported only to fetch some."""

from __future__ import annotations

import contextlib
import difflib
import pickle
import sys

import timm
import torch
from safetensors import SafetensorError
from timm.models import get_pretrained_cfg
from torch import Tensor

from convolve.errors import WeightsError
from convolve.values import Preprocessing
from convolve.choices import Fit

_FITS: dict[str, Fit] = {"center": "crop", "stretch": "stretch", "border": "letterbox"}
_FAILURES = (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError, SafetensorError)


def downloaded(name: str) -> tuple[dict[str, Tensor], Preprocessing, str]:
    """The weights of a network of timm (`resnet26d`, or with the tag of one edition `resnet50.a1_in1k`) under timm's
    names, the preprocessing that they were trained for, and whose they are. Raises `WeightsError`.
    """
    found = get_pretrained_cfg(name)
    if found is None or not found.has_weights:
        near = difflib.get_close_matches(name, timm.list_pretrained(), n=1, cutoff=0)
        raise WeightsError(f"timm has no weights of {name}; timm/{near[0]} has them.")
    try:
        with contextlib.redirect_stdout(sys.stderr), torch.random.fork_rng(devices=[]), torch.device("cpu"):
            network = timm.create_model(name, pretrained=True)
    except _FAILURES as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise WeightsError(
            f"The ImageNet weights of timm/{name} cannot be fetched ({reason}); try again when "
            f"{found.hf_hub_id or found.url} can be reached, or train without them."
        ) from error
    channels, height, width = found.input_size
    fit = _FITS[found.crop_mode]
    preprocessing = Preprocessing(height, width, channels, fit, tuple(found.mean), tuple(found.std))
    return network.state_dict(), preprocessing, f"timm/{found.architecture}.{found.tag}"
