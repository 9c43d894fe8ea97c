"""Networks of other programs that restore images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import convolve
from convolve import models
from convolve.errors import ConvolveError, ExportError, OptionError, WeightsError
from convolve.interop.canon import find_restoration
from convolve.models.definition import IMAGE, NetworkDefinition
from tests.exports.test_foreign import write_network
from tests.models.definitions import convolution, layer, network


def srcnn(*, residual: bool) -> NetworkDefinition:
    """SRCNN (Dong et al. 2014, section 3) in the words of a file, which may add its image."""
    layers = [
        convolution("conv1", IMAGE, 64, 9),
        layer("relu1", "activation", "conv1", function="relu"),
        convolution("conv2", "relu1", 32, 1),
        layer("relu2", "activation", "conv2", function="relu"),
        convolution("conv3", "relu2", 1, 5),
    ]
    return network(*layers, *([layer("sum", "add", "conv3", IMAGE)] if residual else []), image=(1, 33, 33))


def test_a_definition_is_the_network_that_computes_the_same() -> None:
    own = models.create("srcnn", seed=3).eval()
    weights = [value for name, value in own.state_dict().items()]
    names = [f"conv{number}.{kind}" for number in (1, 2, 3) for kind in ("weight", "bias")]
    tensors = dict(zip(names, weights, strict=True))
    found = find_restoration("file", srcnn(residual=False), tensors)
    assert found.card.name == "srcnn"
    images = torch.rand(1, 1, 20, 24)
    assert torch.equal(found(images), own(images))
    with pytest.raises(WeightsError, match="file computes what none of the networks for restoration does"):
        find_restoration("file", srcnn(residual=True), tensors)


def enlarged(ops: Any, given: Any, factor: int = 2) -> list[Any]:
    """Each pixel of (N, 1, H, W) as two by two, blurred before by a kernel of 3x3."""
    kernel = ops.constant(np.full((1, 1, 3, 3), 1 / 9, np.float32))
    blurred = ops.convolution(given, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
    repeated = ops.concat([blurred] * factor**2, 1)
    return [ops.depth_to_space(repeated, "blocks_first", factor)]


def test_a_graph_of_any_size_becomes_an_export(tmp_path: Path) -> None:
    file = write_network(tmp_path / "net.xml", enlarged, (-1, 1, -1, -1))
    found = convolve.convert(
        file, task="restore", blur_sigma=1.0, downscaling="area", out=tmp_path / "export", progress=False
    )
    assert (found.task, found.network, found.outputs) == ("restore", "net", 0)
    assert found.notes[1] == "Pixels are given as numbers from 0 to 1; --mean and --scale say otherwise."
    from convolve.exports.card import read_card

    state = read_card(tmp_path / "export").state
    assert state["margin"] == 2
    assert state["degradation"] == {"blur_sigma": 1.0, "upscale": 2, "downscaling": "area", "noise_sigma": 0.0}
    assert "classes" not in (tmp_path / "export" / "README.md").read_text()


@pytest.mark.parametrize(
    ("build", "shape", "options", "message"),
    [
        (enlarged, (-1, 1, -1, -1), {"upscale": 3}, "net enlarges 2 times, not 3; leave out --upscale"),
        (enlarged, (-1, 1, -1, -1), {"fit": "crop"}, "--fit crop is not available for the task restore"),
        (enlarged, (1, 1, 8, 8), {}, "takes images of 8x8 pixels alone; restoration needs a network for images of any"),
        (lambda _, x: [x], (-1, 1, -1, -1), {}, "Say what net is to restore"),
        (lambda _, x: [x], (-1, 1, -1, -1), {"upscale": 2}, "takes images that are enlarged already; omit --upscale"),
        (
            lambda ops, x: [ops.reduce_mean(x, ops.constant([2, 3]), keep_dims=False)],
            (-1, 1, -1, -1),
            {},
            "gives 1 numbers for an image of 48x48 pixels and 1 channels, and no restored image of it",
        ),
        (
            lambda ops, x: [ops.subtract(x, ops.reduce_mean(x, ops.constant([2, 3]), keep_dims=True))],
            (-1, 1, -1, -1),
            {"noise_sigma": 25.0},
            "looks at all of an image for each pixel",
        ),
    ],
)
def test_graphs_and_options_that_do_not_fit_are_refused(
    build: Any, shape: tuple[int, ...], options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    file = write_network(tmp_path / "net.xml", build, shape)
    with pytest.raises(ConvolveError, match=message) as raised:
        convolve.convert(file, task="restore", out=tmp_path / "export", progress=False, **options)
    assert isinstance(raised.value, ExportError | OptionError)
    assert not (tmp_path / "export").exists()
