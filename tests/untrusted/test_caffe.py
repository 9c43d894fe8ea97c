from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convolve.untrusted.caffe import CaffeNetwork, read_caffemodel, read_prototxt
from convolve.untrusted.caffe_messages import message_classes
from tests.interop.caffe_files import FOLDER, write_blob, write_caffemodel

TEXT = 'name: "net" input: "data" input_dim: [1, 3, 8, 8] layer { name: "a" type: "ReLU" bottom: "data" top: "a" }'
CONVOLUTION = (
    'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 2 } }'
)


def _text(tmp_path: Path, content: str) -> CaffeNetwork:
    (tmp_path / "net.prototxt").write_text(content)
    return read_prototxt(tmp_path / "net.prototxt")


def _binary(tmp_path: Path, content: bytes) -> CaffeNetwork:
    (tmp_path / "net.caffemodel").write_bytes(content)
    return read_caffemodel(tmp_path / "net.caffemodel")


def _with_blobs(*blobs: bytes) -> bytes:
    layer = message_classes()["LayerParameter"](name="conv", type="Convolution", bottom=["data"], top=["conv"])
    content = layer.SerializeToString() + message_classes()["StoredLayer"](blobs=blobs).SerializeToString()
    return bytes(message_classes()["StoredNetwork"](layer=[content]).SerializeToString())


def test_a_text_gives_the_fields_that_it_sets(tmp_path: Path) -> None:
    network = _text(
        tmp_path,
        TEXT + "# a comment\n" + 'layer { name: "p" type: "Pooling" bottom: "a" top: "p" top: "mask" phase: TEST '
        "pooling_param { pool: AVE kernel_size: 3 kernel_size: 2 } loss_weight: 0.1 }",
    )
    assert (network.name, network.fields) == ("net", {"input": ("data",), "input_dim": (1, 3, 8, 8)})
    assert [layer.name for layer in network.layers] == ["a", "p"]
    layer = network.layers[1]
    assert (layer.kind, layer.bottoms, layer.tops, layer.blobs) == ("Pooling", ("a",), ("p", "mask"), ())
    assert layer.fields == {
        "phase": "TEST", "pooling_param": {"pool": "AVE", "kernel_size": (3, 2)}, "loss_weight": (0.1,)
    }  # fmt: skip
    assert layer.parameters("pooling_param")["pool"] == "AVE"
    assert layer.parameters("relu_param") == {}


@pytest.mark.parametrize(
    ("old", "kind"),
    [
        *(("CONVOLUTION", "Convolution"), ("INNER_PRODUCT", "InnerProduct"), ("RELU", "ReLU"), ("LRN", "LRN")),
        *(("SOFTMAX_LOSS", "SoftmaxWithLoss"), ("TANH", "TanH"), ("ABSVAL", "AbsVal"), ("HDF5_DATA", "HDF5Data")),
        *(("SIGMOID_CROSS_ENTROPY_LOSS", "SigmoidCrossEntropyLoss"), ("IMAGE_DATA", "ImageData"), ("BNLL", "BNLL")),
    ],
)
def test_layers_of_before_2014_are_called_as_today(tmp_path: Path, old: str, kind: str) -> None:
    network = _text(tmp_path, f'layers {{ name: "a" type: {old} bottom: "data" top: "a" blobs_lr: 1 }}')
    assert network.layers[0].kind == kind


def test_a_binary_file_gives_the_same_layers_and_their_numbers(tmp_path: Path) -> None:
    text = (FOLDER / "kinds.prototxt").read_text()
    arrays = {"conv": [np.arange(12.0).reshape(2, 1, 2, 3), np.array([1.0, -2.0])]}
    network = _binary(tmp_path, write_caffemodel(text, arrays))
    expected = read_prototxt(FOLDER / "kinds.prototxt")
    assert (network.name, network.fields) == (expected.name, expected.fields)
    assert [(layer.name, layer.kind, layer.fields) for layer in network.layers] == [
        (layer.name, layer.kind, layer.fields) for layer in expected.layers
    ]
    weight, bias = network.layers[0].blobs
    assert np.array_equal(weight, arrays["conv"][0])
    assert np.array_equal(bias, arrays["conv"][1])
    assert weight.dtype == np.float32
    assert weight.flags.writeable


def test_numbers_are_read_however_they_are_stored(tmp_path: Path) -> None:
    values = np.array([[1.5, -2], [3, 4]])
    shape = message_classes()["BlobShape"](dim=[2, 2]).SerializeToString()
    blob = message_classes()["StoredBlob"]
    double = blob(shape=shape, double_data=[values.tobytes()]).SerializeToString()
    halves = blob(shape=shape, data=[values[:1].astype("<f4").tobytes(), values[1:].astype("<f4").tobytes()])
    scattered = b"".join(b"\x2d" + each.tobytes() for each in values.astype("<f4").ravel())
    contents = (
        write_blob(values),
        double,
        halves.SerializeToString(),
        blob(shape=shape).SerializeToString() + scattered,
    )
    network = _binary(tmp_path, _with_blobs(*contents, write_blob(values, four=True)))
    for array in network.layers[0].blobs[:4]:
        assert np.array_equal(array, values)
    assert network.layers[0].blobs[4].shape == (1, 1, 2, 2)


def test_numbers_without_sizes_are_a_vector(tmp_path: Path) -> None:
    blob = message_classes()["StoredBlob"](data=[np.ones(3, "<f4").tobytes()]).SerializeToString()
    assert _binary(tmp_path, _with_blobs(blob)).layers[0].blobs[0].shape == (3,)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it has 0 layers, and must have 1 to 10,000; a solver's file is no network"),
        ('net: "train.prototxt" base_lr: 0.1', "it has 0 layers"),
        ("layer {} " * 10_001, "it has 10,001 layers"),
        ('layer { name: "a" ', "line 1"),
        ("\n\nlayer ]", "line 3"),
        ('layer { name: "a" name: "b" }', "line 1"),
        ("layer { pooling_param { pool: SUM } }", 'line 1: .*Enum type "PoolMethod" has no value named SUM'),
        ("layer { convolution_param { strid: 2 } }", 'no field named "strid"'),
        ("layer { transform_param { std: 2 } }", 'no field named "std"'),
        ("layer { convolution_param { num_output: 99999999999 } }", "out of range"),
        ("layers { type: BN }", 'Enum type "LayerType" has no value named BN'),
        ('layers { layer { name: "a" type: "conv" num_output: 3 } }', "Caffe's first months"),
        ("layer { a {" + "b {" * 100_000, "it is nested too deeply"),
        ("layer { a [" + "[" * 100_000, "line 1"),
        ("a" * (2**19 + 1), "more than the 524,288 that are read"),
    ],
)
def test_a_text_that_is_no_network_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises((ValueError, OSError), match=problem):
        _text(tmp_path, text)


def test_fields_of_other_programs_are_skipped_unless_they_change_what_a_layer_computes(tmp_path: Path) -> None:
    network = _text(tmp_path, TEXT + ' layer { name: "b" type: "Odd" odd_param { depth: 3 } } fps: 3')
    assert (network.layers[1].kind, network.layers[1].fields) == ("Odd", {})
    filled = "layer { convolution_param { num_output: 3 weight_filler { kind: 3 } } }"
    assert _text(tmp_path, filled).layers[0].fields["convolution_param"]["num_output"] == 3
    unknown = message_classes()["LayerParameter"](name="a", type="Pooling").SerializeToString()
    parameters = b"\xe8\x3f\x01" + b"\x08\x07"  # field 1021, and a method of pooling that there is not
    unknown += b"\xca\x07" + bytes([len(parameters)]) + parameters
    (layer,) = _binary(tmp_path, message_classes()["StoredNetwork"](layer=[unknown]).SerializeToString()).layers
    assert layer.unknown == ("PoolingParameter",)


def test_a_binary_file_is_no_text_and_the_other_way_round(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"codec can't decode|line 1"):
        read_prototxt(FOLDER / "kinds.caffemodel")
    with pytest.raises(ValueError, match=r"it is damaged, cut short, or no \.caffemodel"):
        read_caffemodel(FOLDER / "kinds.prototxt")
    with pytest.raises(ValueError, match="it is HDF5"):
        _binary(tmp_path, b"\x89HDF\r\n\x1a\n" + bytes(100))


def test_a_file_that_is_cut_short_is_refused_or_has_fewer_layers(tmp_path: Path) -> None:
    content = (FOLDER / "kinds.caffemodel").read_bytes()
    whole = _binary(tmp_path, content)
    for length in range(0, len(content), 97):
        try:
            network = _binary(tmp_path, content[:length])
        except ValueError as error:
            assert "cut short" in str(error) or "0 layers" in str(error)  # noqa: PT017 - one of two
        else:
            assert len(network.layers) < len(whole.layers)


@pytest.mark.parametrize(
    ("blob", "problem"),
    [
        (b"", "^$"),
        (b"\x08\x80\x80\x80\x80\x08\x10\x01\x18\x01\x20\x01", "one of its arrays has sizes that no array has"),
        (b"\x08\xff\xff\xff\xff\x07\x10\x01\x18\x01\x20\x01", "it announces 2,147,483,647 numbers where it holds 0"),
        (b"\x3a\x06\x0a\x04\x02\x02\x02\x02\x2a\x04\x00\x00\x80\x3f", "it announces 16 numbers where it holds 1"),
        (b"\x2a\x80\x80\x80\x80\x08\x00", "cut short"),
        (b"\x2a\x05\x00\x00\x80\x3f\x00", "no whole number of bytes"),
        (b"\x2a\x04\x00\x00\xc0\x7f", "numbers that are not finite"),
        (b"\x2a\x04\x00\x00\x80\x7f", "numbers that are not finite"),
        (b"\x42\x08" + np.array([1e300]).tobytes(), "numbers that are not finite"),
        (b"\x3a\x22\x0a\x20" + b"\x01" * 33, "damaged"),
    ],
)
def test_arrays_that_are_damaged_or_announce_too_much_are_refused(tmp_path: Path, blob: bytes, problem: str) -> None:
    if not blob:
        assert _binary(tmp_path, _with_blobs(blob)).layers[0].blobs[0].shape == (0,)
        return
    with pytest.raises(ValueError, match=problem):
        _binary(tmp_path, _with_blobs(blob))


def test_more_than_a_layer_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one of its layers has more than any layer has"):
        _binary(tmp_path, _with_blobs(*[b""] * 65))
    layer = message_classes()["LayerParameter"](name="a" * 2**20).SerializeToString()
    with pytest.raises(ValueError, match="one of its layers has more than any layer has"):
        _binary(tmp_path, message_classes()["StoredNetwork"](layer=[layer]).SerializeToString())
    with pytest.raises(ValueError, match="it has 10,001 layers"):
        _binary(tmp_path, message_classes()["StoredNetwork"](layer=[b""] * 10_001).SerializeToString())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xa2\x06\x03\x12\x01\xff", "one of its types is no text in UTF-8"),
        (b"\xa2\x06\x03\x1a\x01\xff", "one of its bottoms is no text in UTF-8"),
        (b"\x0a\x01\xff\xa2\x06\x00", "one of its names is no text in UTF-8"),
        (b"\x32\x02\x0a\xff\xa2\x06\x00", "it is damaged, cut short, or no"),
    ],
)
def test_names_that_are_no_text_and_damaged_options_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        _binary(tmp_path, content)


def test_a_missing_file_and_a_folder_are_errors_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_prototxt(tmp_path / "none.prototxt")
    with pytest.raises(IsADirectoryError):
        read_caffemodel(tmp_path)


def test_reading_takes_little_more_memory_than_twice_the_file(tmp_path: Path) -> None:
    count = 20 * 2**20
    (tmp_path / "net.caffemodel").write_bytes(
        _with_blobs(write_blob(np.ones(count, np.float32)), write_blob(np.ones(2)))
    )
    program = (
        "import resource, sys\n"
        "from convolve.untrusted.caffe import read_caffemodel\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert read_caffemodel(sys.argv[1]).layers[0].blobs[0].size\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    path = str(tmp_path / "net.caffemodel")
    found = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert int(found.stdout) * 1024 < 2.6 * 4 * count


def test_protobuf_is_imported_when_a_file_is_read() -> None:
    program = "import sys, convolve.interop.caffe\nsys.exit('google.protobuf' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
