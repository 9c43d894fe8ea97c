"""Published files of Caffe: what their networks answer, and twins of them in other formats."""

from __future__ import annotations

import gzip

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from convolve.interop.caffe import read_caffe
from convolve.interop.caffe_weights import read_stored_tensors
from convolve.interop.canon import find_twin, load_definition
from convolve.interop.foreign_network import ForeignNetwork
from convolve.interop.weights import read_weights
from convolve.untrusted.caffe import read_caffemodel
from tests.interop.caffe.make_outputs import NETWORKS, make_input, paths
from tests.interop.test_caffe_outputs import WEIGHTS, compute_layers, definition_of

DATA = WEIGHTS.parent / "data"
PHOTOS = {
    "chelsea.png": ("tabby", "Egyptian cat"),
    "coffee.png": ("espresso",),
    "eagle.jpg": ("kite",),
    "dog.jpg": ("dogsled",),
}
pytestmark = pytest.mark.skipif(not WEIGHTS.exists(), reason="no shared weights here")


def _read(name: str) -> ForeignNetwork:
    return read_caffe(*paths(name, WEIGHTS))


def test_lenet_is_right_on_98_65_per_cent_of_the_first_2000_test_images() -> None:
    images = np.frombuffer(
        gzip.decompress((DATA / "mnist/t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8, offset=16
    )
    labels = np.frombuffer(gzip.decompress((DATA / "mnist/t10k-labels-idx1-ubyte.gz").read_bytes()), np.uint8, offset=8)
    found = _read("lenet")
    assert found.preprocessing
    pixels = images.reshape(-1, 1, 28, 28)[:2000].astype(np.float32) / 255
    pixels = (pixels - found.preprocessing.mean[0]) / found.preprocessing.std[0]
    scores = compute_layers(found, torch.from_numpy(pixels.astype(np.float32)))["prob"]
    assert (scores.argmax(1).numpy() == labels[:2000]).mean() == pytest.approx(0.9865)


@pytest.mark.parametrize("photo", PHOTOS)
def test_squeezenet_names_what_is_in_photos(photo: str) -> None:
    labels = (WEIGHTS / "squeezenet/imagenet_labels.txt").read_text().splitlines()[1:]
    image = cv2.imread(str(DATA / "photos" / photo))
    assert image is not None
    pixels = cv2.resize(image, (227, 227)).astype(np.float32)
    pixels -= np.array([104, 117, 123], np.float32)
    scores = compute_layers(_read("squeezenet"), torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()))["pool_final"]
    assert labels[int(scores.flatten().argmax())].split(",")[0] in PHOTOS[photo]


@pytest.mark.parametrize("letter", "pro")
def test_mtcnn_has_the_numbers_of_its_twin_but_for_swapped_axes(letter: str) -> None:
    own = [*_read(f"mtcnn_{letter}").tensors.values()]
    twin = [*read_weights(WEIGHTS / f"mtcnn/{letter}net.pt").values()]
    assert len(own) == len(twin)
    for ours, theirs in zip(own, twin, strict=True):
        assert torch.equal(_swap(ours), theirs)


def _swap(weight: Tensor) -> Tensor:
    """Height and width swapped; the two linear layers after a map take 3x3 of it."""
    if weight.dim() == 2 and weight.shape[1] in (576, 1152):
        return weight.reshape(len(weight), -1, 3, 3).permute(0, 2, 3, 1).flatten(1)
    return weight.mT if weight.dim() == 4 else weight


def test_ultraface_gives_what_its_twin_gives() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    images = make_input(*NETWORKS["ultraface"][2:])
    path = WEIGHTS / "ultraface/version-RFB-320_without_postprocessing.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = session.run(["scores", "boxes"], {session.get_inputs()[0].name: images})
    theirs = dict(zip(("scores", "boxes"), values, strict=True))
    ours = compute_layers(_read("ultraface"), torch.from_numpy(images))
    for name, values in theirs.items():
        assert np.abs(ours[name].numpy() - values).max() <= 1e-4 * np.abs(values).max()


def test_a_file_of_numbers_describes_its_network_where_it_has_one() -> None:
    """UltraFace's was written for testing; the others were for training, or have numbers alone."""
    definition, weights = paths("ultraface", WEIGHTS)
    alone, both = read_caffe(None, weights), read_caffe(definition, weights)
    assert [(layer.kind, layer.options) for layer in definition_of(alone).layers] == [
        (layer.kind, layer.options) for layer in definition_of(both).layers
    ]
    assert [*alone.tensors] == [*both.tensors]


@torch.no_grad()
def test_squeezenet_of_the_authors_is_a_network_of_ours() -> None:
    read = _read("squeezenet")
    definition, tensors = definition_of(read), read.tensors
    own = load_definition("file", definition, tensors)
    twin = find_twin(definition, tensors, own)
    assert twin
    assert twin.network.card.name == "squeezenet_caffe"
    assert twin.equal
    images = 100 * torch.randn(1, 3, 227, 227, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(twin.network(images), own(images), rtol=1e-4, atol=1e-4)


def test_numbers_alone_are_those_of_the_network() -> None:
    """SqueezeNet's file does not say how its layers are connected; some have further layers for training."""
    for name in ("squeezenet", "lenet", "vdsr", "mtcnn_p", "mtcnn_r", "mtcnn_o", "ultraface"):
        alone, both = read_stored_tensors(read_caffemodel(paths(name, WEIGHTS)[1])), _read(name).tensors
        assert [key for key in alone if key in both] == [*both]
        assert all(torch.equal(alone[key], value) for key, value in both.items())
        assert (read_caffe(None, paths(name, WEIGHTS)[1]).definition is None) == (name != "ultraface")


def test_files_that_were_written_for_training_are_read_for_a_size() -> None:
    for name in ("lenet", "vdsr"):
        definition, weights = paths(name, WEIGHTS)
        both = read_caffe(definition, weights)
        alone = read_caffe(None, weights, definition_of(both).input)
        kinds = [(layer.kind, layer.options) for layer in definition_of(both).layers]
        assert [(layer.kind, layer.options) for layer in definition_of(alone).layers] == kinds
        assert [*alone.tensors] == [*both.tensors]
