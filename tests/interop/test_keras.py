"""Keras' files give what Keras gives: small models of every layer, and the files of `shared/weights`."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional as F

from convolve.errors import WeightsError
from convolve.interop.keras import read_keras
from tests.interop.foreign import SHARED, outputs_by_layer

h5py = pytest.importorskip("h5py")
HERE = Path(__file__).parent / "keras"
IO: Mapping[str, npt.NDArray[np.float32]] = np.load(HERE / "io.npz")
ORACLE: Mapping[str, npt.NDArray[np.float32]] = np.load(HERE / "outputs.npz")
FILES = sorted(name for name in zipfile.ZipFile(HERE / "models.zip").namelist() if not name.endswith(".weights.h5"))
WEIGHTS = SHARED / "weights"
needs_shared = pytest.mark.skipif(not WEIGHTS.is_dir(), reason="the shared weights are not here")


def unpack(name: str, folder: Path) -> Path:
    """A file of `models.zip`."""
    with zipfile.ZipFile(HERE / "models.zip") as archive:
        return Path(archive.extract(name, folder))


def keras_order(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A map with its channels last."""
    return values.transpose(0, 2, 3, 1) if values.ndim == 4 else values


@pytest.mark.parametrize("name", FILES)
def test_small_models(name: str, tmp_path: Path) -> None:
    network = read_keras(unpack(name, tmp_path))
    model = name.partition(".")[0]
    assert network.definition is not None
    images = IO[f"{model}/input"]
    outputs = outputs_by_layer(network, images if model in ("first", "last") else images.transpose(0, 3, 1, 2))
    found = keras_order(outputs[network.definition.outputs[0]])
    np.testing.assert_allclose(found, IO[f"{model}/output"], rtol=1e-5, atol=1e-5)
    assert network.definition.source.startswith("Keras 3")
    rescaled = model == "norms"
    assert (network.preprocessing is not None) == rescaled
    if rescaled and network.preprocessing:
        assert (network.preprocessing.mean, network.preprocessing.std) == ((0, 0, 0), (1 / 255,) * 3)


def test_weights_alone_are_those_of_the_model(tmp_path: Path) -> None:
    """Without a definition; the order of layers is that of their counts, which the file leaves open."""
    for model in ("convolutions", "depthwise"):
        whole = read_keras(unpack(f"{model}.keras", tmp_path))
        alone = read_keras(unpack(f"{model}.weights.h5", tmp_path))
        assert alone.definition is None
        expected = sorted(value.sum().item() for value in whole.tensors.values())
        assert sorted(value.sum().item() for value in alone.tensors.values()) == pytest.approx(expected, abs=1e-5)
        shapes = sorted(tuple(value.shape) for value in whole.tensors.values())
        assert sorted(tuple(value.shape) for value in alone.tensors.values()) == shapes


def _summary(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    flat = values.astype(np.float64).ravel()
    some = flat[np.linspace(0, len(flat) - 1, 64).astype(int)]
    return np.array([*some, flat.mean(), np.linalg.norm(flat)], np.float32)


@needs_shared
@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("expression/fer2013_mini_XCEPTION.102-0.66.hdf5", "expression"),
        ("keras_made/lenetish.keras", "lenetish"),
        ("keras_made/lenetish.h5", "lenetish"),
    ],
)
def test_files_of_others_layer_by_layer(file: str, model: str) -> None:
    network = read_keras(WEIGHTS / file)
    if model == "expression":
        images = np.random.default_rng(0).normal(0, 1, (1, 64, 64, 1)).astype(np.float32)
    else:
        images = np.load(WEIGHTS / "keras_made/lenetish_io.npz")["x"]
    outputs = outputs_by_layer(network, images.transpose(0, 3, 1, 2))
    names = [name.partition("/")[2] for name in ORACLE if name.startswith(f"{model}/")]
    assert len(names) > 6
    for name in names:
        if name == "flatten":  # whose values are in another order here
            continue
        own = [key for key in outputs if key == name or key.startswith(f"{name}/")][-1]
        found = _summary(keras_order(outputs[own]))
        np.testing.assert_allclose(found, ORACLE[f"{model}/{name}"], rtol=1e-4, atol=1e-4, err_msg=name)


@needs_shared
def test_a_file_of_weights_alone() -> None:
    network = read_keras(WEIGHTS / "mobilenet_025_keras/mobilenet_2_5_224_tf_no_top.h5")
    assert network.definition is None
    assert sum(value.numel() for value in network.tensors.values()) == 218_544
    assert [*network.tensors][:6] == [
        "conv1.weight",
        *(f"conv1_bn.{name}" for name in ("weight", "bias", "running_mean", "running_var")),
        "conv_dw_1.weight",
    ]
    assert network.tensors["conv1.weight"].shape == (8, 3, 3, 3)
    assert network.tensors["conv_dw_1.weight"].shape == (8, 1, 3, 3)
    assert network.tensors["conv_pw_1.weight"].shape == (16, 8, 1, 1)
    own = [np.array([value.mean(), value.norm()]) for value in network.tensors.values()]
    oracle = [values for name, values in ORACLE.items() if name.startswith("mobilenet/")]
    np.testing.assert_allclose(own, oracle, rtol=1e-4, atol=1e-6)


# Keras 1, whose files are written here as it wrote them.


def _write_old(
    path: Path, layers: Sequence[Mapping[str, Any]], weights: Mapping[str, Sequence[Any]], **root: str
) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers})
        for name, value in root.items():
            file.attrs[name] = value
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer["config"]["name"].encode() for layer in layers]
        for layer in layers:
            name = layer["config"]["name"]
            inner = group.create_group(name)
            names = [f"{name}_{word}" for word in ("W", "b")][: len(weights.get(name, ()))]
            inner.attrs["weight_names"] = [each.encode() for each in names]
            for each, values in zip(names, weights.get(name, ()), strict=True):
                inner[each] = values
    return path


def _old_layers(order: str) -> list[dict[str, Any]]:
    shape = [None, 2, 6, 5] if order == "th" else [None, 6, 5, 2]
    layers: list[tuple[str, dict[str, Any]]] = [
        ("Convolution2D", {"nb_filter": 3, "nb_row": 3, "nb_col": 2, "border_mode": "same", "subsample": [1, 1],
                           "dim_ordering": order, "bias": True, "activation": "relu", "batch_input_shape": shape}),
        ("MaxPooling2D", {"pool_size": [2, 2], "strides": [2, 2], "border_mode": "valid", "dim_ordering": order}),
        ("Dropout", {"p": 0.5}),
        ("Flatten", {}),
        ("Dense", {"output_dim": 4, "bias": True, "activation": "linear"}),
    ]  # fmt: skip
    return [
        {"class_name": kind, "config": {"name": f"l{number}", **config}} for number, (kind, config) in enumerate(layers)
    ]


def _old_weights() -> tuple[Any, ...]:
    random = np.random.default_rng(1)
    return tuple(random.normal(size=shape).astype(np.float32) for shape in ((3, 2, 3, 2), (3,), (18, 4), (4,)))


@pytest.mark.parametrize("order", ["tf", "th"])
@pytest.mark.parametrize("backend", ["tensorflow", "theano"])
def test_keras_1(order: str, backend: str, tmp_path: Path) -> None:
    kernel, bias, dense, last = _old_weights()  # (out, in, height, width), and the map's values with channels first
    stored = kernel[:, :, ::-1, ::-1] if backend == "theano" else kernel
    stored = stored if order == "th" else stored.transpose(2, 3, 1, 0)
    rows = dense if order == "th" else dense.reshape(3, 3, 2, 4).transpose(1, 2, 0, 3).reshape(18, 4)
    path = _write_old(
        tmp_path / "a.h5", _old_layers(order), {"l0": (stored, bias), "l4": (rows, last)}, backend=backend,
        keras_version="1.2.2",
    )  # fmt: skip
    network = read_keras(path)
    assert network.definition is not None
    assert (network.definition.source, network.definition.input) == ("Keras 1.2.2", (2, 6, 5))
    image = np.random.default_rng(2).normal(size=(1, 2, 6, 5)).astype(np.float32)
    left = 1 if backend == "theano" else 0  # of two columns, TensorFlow pads the second one
    padded = F.pad(torch.from_numpy(image), (left, 1 - left, 1, 1))
    map_ = F.max_pool2d(F.conv2d(padded, torch.from_numpy(kernel), torch.from_numpy(bias)).relu(), 2)
    expected = map_.flatten(1) @ torch.from_numpy(dense) + torch.from_numpy(last)
    outputs = outputs_by_layer(network, image)
    np.testing.assert_allclose(outputs["l4"], expected.numpy(), rtol=1e-5, atol=1e-5)


def _changed(name: str, folder: Path, old: str, new: str) -> Path:
    """A model of `models.zip` with another description."""
    path = unpack(f"{name}.keras", folder)
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    text = members["config.json"].decode()
    assert old in text
    members["config.json"] = text.replace(old, new).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


@pytest.mark.parametrize(
    ("model", "old", "new", "says"),
    [
        ("sizes", '"class_name": "ZeroPadding2D"', '"class_name": "Lambda"', "the class Lambda, which is code"),
        ("sizes", '"class_name": "Cropping2D"', '"class_name": "Mine"', "the class Mine, which is not read here"),
        ("sizes", '"module": "keras.layers"', '"module": "mine"', "which is not read here"),
        ("sizes", '"interpolation": "bilinear"', '"interpolation": "lanczos3"', "interpolates by 'lanczos3'"),
        ("depthwise", '"activation": "relu6"', '"activation": "mish"', "has the activation 'mish'"),
        ("depthwise", '"strides": [2, 2]', '"strides": [0, 2]', "has stride (0, 2)"),
        ("depthwise", '"kernel_size": [3, 3]', '"kernel_size": [3, 5]', "has weights of the shapes 3x3x3x2, 6"),
        ("norms", '"axis": -1', '"axis": 2', "along another axis"),
        ("merges", '"input_layers": ["input_layer", 0, 0]', '"input_layers": []', "it takes 0 inputs"),
        ("convolutions", '"channels_last"', '"channels_first"', "has weights of the shapes"),
    ],
)
def test_what_is_not_read_is_named(model: str, old: str, new: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        read_keras(_changed(model, tmp_path, old, new))
    assert says in str(caught.value)


def test_an_open_size_is_that_of_the_option(tmp_path: Path) -> None:
    path = _changed("sizes", tmp_path, "[null, 5, 4, 2]", "[null, null, null, 2]")
    network = read_keras(path)
    assert network.definition is not None
    assert network.definition.input == (2, 224, 224)
    network = read_keras(path, (2, 8, 10))
    assert network.definition is not None
    assert network.definition.input == (2, 8, 10)


def _archive(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return held.getvalue()


def _damaged() -> Iterator[tuple[bytes, str]]:
    yield b"", "neither HDF5 nor an archive"
    yield b"PK\x03\x04", "it is cut short, or damaged"
    yield _archive({"a": b""}), "has no config.json"
    yield _archive({"config.json": b"{}"}), "has no model.weights.h5"
    yield _archive({"config.json": bytes(2**28), "model.weights.h5": b""}), "announce"
    yield _archive({"config.json": b"[" * 100_000, "model.weights.h5": b""}), "nested too deeply"
    yield _archive({"config.json": b"{}", "model.weights.h5": b"x"}, zipfile.ZIP_LZMA), "another way"
    yield b"\x89HDF\r\n\x1a\n" + bytes(100), "damaged"


@pytest.mark.parametrize(("content", "says"), [*_damaged()])
def test_damaged_archives(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.keras").write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        read_keras(tmp_path / "a.keras")
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
