"""Pretrained networks of 26 styles and of any style, against ONNX Runtime; graphs that are none of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convolve.errors import ExportError, OptionError
from convolve.style_transfer.graphs import StyleGraphs
from convolve.values import Pixels

openvino = pytest.importorskip("openvino")
WEIGHTS = Path(__file__).parents[3] / "shared" / "weights" / "style"
MANY, PREDICTOR, APPLIED = (
    WEIGHTS / f"{name}.onnx" for name in ("multistyle26", "arbitrary_predict", "arbitrary_transform")
)
needs_shared = pytest.mark.skipif(not WEIGHTS.is_dir(), reason="no shared weights")


def pixels(height: int, width: int, seed: int = 0) -> Pixels:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    return coarse.repeat(4, 0).repeat(4, 1)


def write(path: Path, *shapes: list[int]) -> Path:
    """A network that adds up its inputs, in the shape of the first one."""
    ops = openvino.opset15
    inputs = [ops.parameter(shape, np.float32, name=f"input{number}") for number, shape in enumerate(shapes)]
    total: Any = inputs[0]
    for other in inputs[1:]:
        total = ops.add(total, ops.reduce_sum(other, ops.constant(list(range(len(shapes[1])))), keep_dims=False))
    openvino.save_model(openvino.Model([total], inputs), path.with_suffix(".xml"))
    return path.with_suffix(".xml")


@needs_shared
def test_fixed_styles_and_their_mixture_are_those_of_onnx_runtime() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    graphs = StyleGraphs([MANY], threads=1)
    assert graphs.styles == 26
    image = pixels(32, 48)
    session = onnxruntime.InferenceSession(str(MANY), providers=["CPUExecutionProvider"])
    for numbers, expected in (((7,), {7: 1.0}), ((3, 12), {3: 0.5, 12: 0.5})):
        weights = np.zeros(26, np.float32)
        for number, weight in expected.items():
            weights[number] = weight
        given = image.transpose(2, 0, 1)[None].astype(np.float32) / 255
        (theirs,) = session.run(None, {"image": given, "style_weights": weights})
        ours = graphs(image, graphs.mixture(numbers)).astype(float) / 255
        assert ours.shape == image.shape
        assert np.abs(ours - theirs[0].transpose(1, 2, 0)).max() < 0.02
    with pytest.raises(OptionError, match=r"has no style 26; it has 0 to 25\."):
        graphs.mixture([26])


@needs_shared
def test_the_style_of_an_image_is_taken_on_at_any_size() -> None:
    graphs = StyleGraphs([APPLIED, PREDICTOR], threads=1)
    assert graphs.styles == 0
    style = pixels(64, 64, 1)
    style[:, :, 1:] //= 8  # red
    content = pixels(40, 56)
    made = graphs(content, graphs.style_of(style)).astype(float)
    assert made.shape == content.shape
    assert made[:, :, 0].mean() > made[:, :, 1:].mean() + 40


def test_graphs_that_give_no_style_are_refused(tmp_path: Path) -> None:
    image, vector = [1, 3, 16, 16], [4]
    plain = write(tmp_path / "plain", image)
    both = write(tmp_path / "both", image, vector)
    for files in ([plain], [plain, plain], [both, both], [both, plain, plain]):
        with pytest.raises(ExportError, match="give no image a style"):
            StyleGraphs(files)
    with pytest.raises(ExportError, match=r"gives .* numbers, and .*both\.xml takes 4 of a style"):
        StyleGraphs([both, plain])
    with pytest.raises(ExportError, match="takes no color image"):
        StyleGraphs([write(tmp_path / "gray", [1, 1, 16, 16], vector)])
    with pytest.raises(ExportError, match=r"nothing\.onnx does not exist"):
        StyleGraphs([tmp_path / "nothing.onnx"])
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no network")
    with pytest.raises(ExportError, match=r"broken\.onnx cannot be read"):
        StyleGraphs([broken])
