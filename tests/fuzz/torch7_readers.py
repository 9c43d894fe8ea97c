"""Fuzzers of Torch7's files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np

from convolve.interop.torch7 import read_torch7
from convolve.untrusted.torch7 import read_t7
from tests.fuzz.foreign import check_network
from tests.fuzz.reader import put, register
from tests.interop.torch7.lua import Function, Lua, Storage, View, dump
from tests.interop.torch7.networks import convolution, linear, numbers, plain, pool, sequence, table, view

_FILES: Final = Path(__file__).parents[1] / "interop" / "torch7"


def _small() -> Lua:
    """A network of many kinds of layers in few bytes."""
    layer = convolution(1, 2, (2, 2))
    node: dict[str, Any] = {"mapindex": {}}
    end = {"mapindex": {1: node}, "module": plain("Dropout", p=0.5)}
    shared = Storage(numbers(12).ravel())
    return sequence(
        layer,
        table("Concat", plain("Tanh"), plain("Identity"), dimension=2),
        table("ConcatTable", plain("LeakyReLU", negval=0.1), pool("Max", 1, 1)),
        plain("CAddTable"),
        Lua("nn.gModule", {"forwardnodes": [Lua("nngraph.Node", {"data": data}) for data in (node, end)]}),
        plain("SpatialCrossMapLRN", size=3, alpha=0.5, beta=0.75, k=2, callback=Function(b"\x1bLJ", [1])),
        view(4),
        Lua("nn.Linear", {"weight": View(shared, (2, 4), (4, 1)), "bias": View(shared, (2,), (1,), offset=8)}),
        linear(2, 3),
    )


def _seeds() -> Sequence[bytes]:
    small = sequence(convolution(1, 2, (2, 2)), pool("Average", 2, 2), view(8), linear(8, 2))
    made = [dump(small, text=text, long_size=size) for text in (False, True) for size in (4, 8)]
    others = [(_FILES / name).read_bytes() for name in ("net.t7", "maps.t7")]
    return [*others, *made, dump(small, prefix="Cuda"), dump(_small()), dump(_small(), text=True)]


def _values() -> Sequence[bytes]:
    """Files of others, which hold no networks."""
    others = [path.read_bytes() for path in sorted(_FILES.glob("*.t7")) if path.stat().st_size < 12_000]
    return [*others, dump(np.arange(3.0), text=True)]


def _read(content: bytes, folder: Path) -> None:
    put(folder, {"a.t7": content})
    check_network(read_torch7(folder / "a.t7"))


def _read_value(content: bytes, folder: Path) -> None:
    put(folder, {"a.t7": content})
    with suppress(ValueError):  # which those who call it turn into a sentence
        read_t7(folder / "a.t7")


register("torch7-values", "untrusted.torch7", _values, _read_value)
register("torch7", "interop.torch7 untrusted.torch7", _seeds, _read)
