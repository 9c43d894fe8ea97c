"""Networks from Darknet's `.cfg` files: what they are made of, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from convolve.errors import NetworkError
from convolve.layers.darknet_graph import Route, Shortcut, Upsample
from convolve.layers.layer_graph import LayerGraph
from convolve.layers.yolo_v2 import RegionOutput
from convolve.layers.yolo_v3 import YoloOutput
from convolve.models import Network, card, create
from convolve.summary import summarize
from convolve.targets import BoxTensors
from tests.interop.darknet_numbers import box_head, outputs_by_layer

NET = "[net]\nwidth=32\nheight=32\nchannels=3\n"
CONV = "[convolutional]\nfilters=8\nsize=3\nstride=1\npad=1\nactivation=leaky\n"
END = "[convolutional]\nfilters=4\nactivation=linear\n[avgpool]\n[softmax]\n"
HALVE = CONV.replace("stride=1", "stride=2")
ANCHORS = "anchors=4,5, 6,7, 20,21, 22,23\nnum=4\nclasses=2\n"
YOLO = (
    f"{CONV}{HALVE}[convolutional]\nsize=1\nfilters=8\n[shortcut]\nfrom=-2\nactivation=linear\n{HALVE}{HALVE}"
    f"[convolutional]\nfilters=14\nactivation=linear\n[yolo]\nmask=2,3\nignore_thresh=.7\n{ANCHORS}"
    f"[route]\nlayers=-3\n[upsample]\nstride=2\n[route]\nlayers=-1,4\n"
    f"[convolutional]\nfilters=14\nactivation=linear\n[yolo]\nmask=0,1\nscale_x_y=1.5\n{ANCHORS}"
)


def _network(tmp_path: Path, layers: str, net: str = NET, classes: int | None = None) -> Network:
    (tmp_path / "a.cfg").write_text(net + layers)
    return create(str(tmp_path / "a.cfg"), classes).eval()


@torch.no_grad()
def test_stages_end_where_maps_shrink_and_where_the_head_looks(tmp_path: Path) -> None:
    network = _network(tmp_path, YOLO)
    assert [list(stage._modules) for stage in network.stages.values()] == [list("0123"), ["4"], ["5"]]
    assert network.strides == {"stage1": 2, "stage2": 4, "stage3": 8}
    assert network.channels == dict.fromkeys(network.strides, 8)
    assert network.head_inputs == ("stage2", "stage3")
    assert isinstance(network.stages["stage1"], LayerGraph)
    maps = network.features(torch.rand(2, 3, 64, 32))
    assert [tuple(values.shape) for values in maps.values()] == [(2, 8, 32, 16), (2, 8, 16, 8), (2, 8, 8, 4)]
    outputs = network(torch.rand(2, 3, 64, 32))
    assert [tuple(output.shape) for output in outputs] == [(2, 14, 8, 4), (2, 14, 16, 8)]


def test_its_card_says_what_it_is(tmp_path: Path) -> None:
    network = _network(tmp_path, YOLO)
    found = card(str(tmp_path / "a.cfg"))
    assert found == network.card
    assert (found.name, found.input, found.classes) == (str(tmp_path / "a.cfg"), (3, 32, 32), 2)
    assert (found.output, found.minimum, found.multiple) == ("boxes", 8, 8)
    summary = summarize(network, found.input)
    assert summary.parameters == found.parameters
    assert [row.name.rpartition(".")[0] for row in summary.layers if row.macs][-1] == "head.layers.11"
    with pytest.raises(NetworkError, match="sides must be multiples of 8 pixels"):
        create(found.name, size=(36, 32))


def test_heads_have_the_numbers_of_the_file(tmp_path: Path) -> None:
    output = box_head(_network(tmp_path, YOLO)).output
    assert isinstance(output, YoloOutput)
    assert output.masks == [[2, 3], [0, 1]]
    assert output.anchors.tolist() == [[[20, 21], [22, 23]], [[4, 5], [6, 7]]]
    assert [(options.ignore, options.accept, options.reach) for options in output.options] == [
        (0.7, 1, 1),
        (0.5, 1, 1.5),
    ]
    region = f"{HALVE}{HALVE}[convolutional]\nfilters=28\nactivation=linear\n[region]\n{ANCHORS}softmax=1\nthresh=.6\n"
    output = box_head(_network(tmp_path, region)).output
    assert isinstance(output, RegionOutput)
    assert output.anchors.tolist() == [[[16, 20], [24, 28], [80, 84], [88, 92]]]  # 4 pixels a cell
    assert (output.options.softmax, output.options.rescore, output.options.ignore) == (True, False, 0.6)


@torch.no_grad()
def test_first_boxes_are_anchors_and_hardly_ever_objects(tmp_path: Path) -> None:
    network = _network(tmp_path, YOLO, classes=3)
    outputs = network(torch.randn(2, 3, 32, 32))
    found = box_head(network).decode(outputs, (32, 32))
    assert float(found.scores.max()) < 0.01
    sizes = found.boxes[..., 2:] - found.boxes[..., :2]
    torch.testing.assert_close(sizes[:, 0], torch.tensor([[20.0, 21.0]] * 2), rtol=0.1, atol=0)


@torch.no_grad()
def test_centers_may_reach_beyond_their_cells(tmp_path: Path) -> None:
    network = _network(tmp_path, YOLO)
    outputs = (torch.full((1, 14, 4, 4), -50.0), torch.full((1, 14, 8, 8), -50.0))
    boxes = box_head(network).decode(outputs, (32, 32)).boxes[0]
    assert torch.unflatten(boxes, 1, (2, 2)).mean(1)[[0, 32]].tolist() == [
        pytest.approx([0.0, 0.0]),
        [-1.0, -1.0],
    ]  # a quarter of a cell of 4
    targets = BoxTensors(torch.tensor([[9.0, 9.0, 13.0, 14.0]]), torch.tensor([1]), torch.tensor([0]))
    with torch.enable_grad():
        logits = torch.zeros(1, 14, 8, 8, requires_grad=True)
        loss = box_head(network).loss((outputs[0], logits), targets, (32, 32))["loss"]
        (gradient,) = torch.autograd.grad(loss, logits)
    weight = 2 - 20 / 1024
    wanted = (11 / 4 - 2 + 0.25) / 1.5, (11.5 / 4 - 2 + 0.25) / 1.5
    assert gradient[0, :2, 2, 2].tolist() == pytest.approx([weight * (0.5 - value) for value in wanted])


@pytest.mark.parametrize("classes", [1, 5])
def test_another_number_of_classes_changes_what_leaves_the_network(tmp_path: Path, classes: int) -> None:
    _network(tmp_path, YOLO)
    network = create(str(tmp_path / "a.cfg"), classes, channels=1)
    assert [output.shape[1] for output in network(torch.zeros(1, 1, 32, 32))] == [2 * (5 + classes)] * 2
    classifier = _network(tmp_path, CONV + END, classes=classes)
    assert classifier(torch.zeros(2, 3, 32, 32)).shape == (2, classes)
    detection = (
        f"{HALVE}[dropout]\n[connected]\noutput=48\nactivation=linear\n"
        "[detection]\nclasses=2\nside=2\nnum=2\ncoords=4\nsqrt=1\n"
    )
    assert _network(tmp_path, detection, classes=classes)(torch.zeros(3, 3, 32, 32))[0].shape == (3, 4 * (classes + 10))


def test_a_layer_before_a_dropout_gives_what_the_dropout_leaves(tmp_path: Path) -> None:
    network = _network(
        tmp_path, f"{CONV}{CONV}[dropout]\nprobability=.5\n{CONV}[shortcut]\nfrom=-3\nactivation=linear\n{END}"
    )
    stage = network.stages["stage1"]
    assert isinstance(stage, LayerGraph)
    assert [node.sources for node in stage.nodes][-1] == ("3", "2")


@torch.no_grad()
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ("[maxpool]\nstride=3\n", (3, 11, 11)),  # a window of 3
        ("[maxpool]\nsize=2\nstride=2\npadding=0\n", (3, 16, 16)),
        ("[max]\nsize=4\n", (3, 32, 32)),
        ("[convolutional]\n", (1, 32, 32)),
        ("[conv]\nsize=5\npadding=1\nfilters=2\n", (2, 30, 30)),
        ("[upsample]\n[reorg]\nstride=1\n", (3, 64, 64)),
    ],
)
def test_what_a_layer_leaves_out_is_as_in_the_program(tmp_path: Path, layer: str, shape: tuple[int, ...]) -> None:
    network = _network(tmp_path, CONV.replace("filters=8", "filters=3") + layer + END)
    with outputs_by_layer(network) as outputs:
        network(torch.rand(1, 3, 32, 32))
    assert tuple(outputs[layer.count("[")].shape[1:]) == shape
    if "conv" in layer:
        assert float(outputs[1].min()) > 0  # logistic
        assert float(outputs[1].max()) < 1


@torch.no_grad()
def test_layers_that_torch_lacks() -> None:
    maps = torch.arange(12.0).reshape(1, 6, 2, 1)
    assert Route(3, 1)(maps, 2 * maps).flatten().tolist() == [4, 5, 6, 7, 8, 10, 12, 14]
    other = torch.ones(1, 2, 2, 1)
    add = Shortcut(nn.Identity())
    assert add(maps, other).flatten().tolist() == [1, 2, 3, 4, *range(4, 12)]
    assert add(other, maps).flatten().tolist() == [1, 2, 3, 4]
    larger: Tensor = Upsample(2, 0.5)(other)
    assert torch.equal(larger, torch.full((1, 2, 4, 2), 0.5))


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("linear", -2.0),
        ("leaky", -0.2),
        ("relu", 0.0),
        ("relu6", 0.0),
        ("elu", -0.8646647),
        ("selu", -1.5201665),
        ("logistic", 0.1192029),
        ("tanh", -0.9640276),
        ("hardtan", -1.0),
        ("mish", -0.2525015),
        ("swish", -0.2384058),
    ],
)
def test_activations(tmp_path: Path, name: str, value: float) -> None:
    network = _network(tmp_path, f"[convolutional]\nfilters=2\nactivation={name}\n{END}")
    layer = network.stages["stage1"]
    for parameter in layer.parameters():
        parameter.fill_(-2.0 if parameter.ndim == 1 else 0.0)
    assert float(layer(torch.zeros(1, 3, 1, 1)).mean()) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ("[gru]\n" + END, r"line 5: there is no layer \[gru\] here; choose another network."),
        (
            CONV + "dilation=2\n" + END,
            r"line 5: \[convolutional\] has the option 'dilation', which is not known here; ",
        ),
        (
            CONV.replace("=8", "=x") + END,
            r"has filters=x, which must be a whole number from 1 to 65536; change the file",
        ),
        (CONV.replace("=8", "=0") + END, "has filters=0, which must be a whole number from 1 to 65536"),
        (CONV.replace("leaky", "plse") + END, "has the activation 'plse', and can have linear, leaky, "),
        (CONV + "groups=2\n" + END, "has 2 groups, which do not divide 3 channels and 8 filters"),
        (CONV + "[route]\n" + END, r"line 11: \[route\] names no layers"),
        (CONV + "[route]\nlayers=-2\n" + END, "has layers=-2, which must be a whole number from -1 to 0"),
        (CONV + "[route]\nlayers=1\n" + END, "has layers=1, which must be a whole number from -1 to 0"),
        (CONV + HALVE + "[route]\nlayers=0,1\n" + END, "cannot join maps of 8x32x32 and 8x16x16; choose an input of"),
        (CONV + HALVE + "[shortcut]\nfrom=-2\nactivation=linear\n" + END, "cannot add maps of 8x16x16 and 8x32x32"),
        (CONV + "[shortcut]\nfrom=0,0\nactivation=linear\n" + END, "must name one layer with from"),
        (CONV + "[reorg]\nstride=3\n" + END, "cannot reorganize a map of 8x32x32 with stride 3"),
        (CONV + "[reorg]\nreverse=1\n" + END, "has reverse=1, and can only have reverse=0 here"),
        ("[local]\nsize=5\npad=1\n" + END, "has pad=1 and size=5, and can only have size=3 with it"),
        ("[convolutional]\nsize=40\n" + END, "has a window of 40, and its input a side of 32; choose a larger input"),
        ("[upsample]\nstride=64\n" * 3 + END, "would give a map of 3x131072x131072"),
        ("[connected]\noutput=4\n", "would be in the head, and a network needs a layer with a map before it"),
        (CONV, "gives a map of 8x32x32, neither boxes nor one score for each class"),
        (CONV + END + CONV, r"line 15: \[softmax\] is followed by more layers"),
        (YOLO.replace("[upsample]", "[softmax]\n[upsample]"), r"is in a network that ends with \[yolo\]"),
        (YOLO.replace("[route]\nlayers=-3\n", ""), r"line \d+: \[upsample\] takes the output of \[yolo\]"),
        (YOLO.replace("filters=14", "filters=15"), r"gives 15 channels, and \[yolo\] takes 14"),
        (YOLO.replace("num=4", "num=5"), "has num=5 and 8 numbers as anchors, of which there must be two for each"),
        (YOLO.replace("mask=0,1", "mask=0"), "has a mask of another length than the one before it"),
        (YOLO.replace("mask=0,1", "mask=0,9"), "has mask=9, which must be a whole number from 0 to 3"),
        (YOLO.replace("classes=2", "classes=3", 1), "has other anchors or classes than the one before it"),
        (YOLO.replace("scale_x_y=1.5", "scale_x_y=nan"), "has scale_x_y=nan, which must be a number from 1 to 4"),
        (
            YOLO.replace("scale_x_y=1.5", "new_coords=1"),
            r"\[yolo\] has the option 'new_coords', which is not known here",
        ),
        (HALVE + "[connected]\noutput=65536\n" * 3, "would have 4,294,967,296 weights"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_sentence(tmp_path: Path, layers: str, sentence: str) -> None:
    with pytest.raises(NetworkError, match=sentence) as error, torch.device("meta"):
        _network(tmp_path, layers)
    assert str(error.value).startswith(str(tmp_path / "a.cfg"))
    assert re.search(r", line \d+: |^\S+ has ", str(error.value))


@pytest.mark.parametrize(
    ("net", "sentence"),
    [
        (NET.replace("width=32\n", ""), r"line 1: \[net\] has width=0, which must be a whole number from 1 to 8192"),
        (NET.replace("width=32", "width=9999"), "has width=9999, which must be a whole number from 1 to 8192"),
        (
            "[nets]\n",
            r"a\.cfg cannot be read as a Darknet network \(it does not begin with a section \[net\]\); choose",
        ),
    ],
)
def test_a_file_without_an_input_size_is_refused(tmp_path: Path, net: str, sentence: str) -> None:
    with pytest.raises(NetworkError, match=sentence):
        _network(tmp_path, CONV + END, net)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"gone\.cfg cannot be read as a Darknet network \(No such file"):
        card(str(tmp_path / "gone.cfg"))
