"""Networks from texts: the lectures' tables, torch's own layers, random texts, and what is refused."""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.errors import NetworkError
from convolve.models import card, counterpart, create, define
from convolve.models.graph_file import definition_text, variant_of
from convolve.models.layer_words import ACTIVATIONS, LAYERS, parse
from convolve.models.own_network import is_text
from convolve.summary import summarize
from convolve.tracing import LayerRow
from tests.models.own_networks import LECTURES, SIMPLE

SMALL = f"{SIMPLE} | dense classes"
IMAGE = (1, 28, 28)


def rows(name: str, image: tuple[int, int, int]) -> list[LayerRow]:
    with torch.device("meta"):
        network = create(name, channels=image[0], size=image[1:])
    return list(summarize(network, image).layers)


@pytest.mark.parametrize("name", LECTURES)
def test_the_lectures_listings_give_their_tables(name: str) -> None:
    image = card(name).input

    def facts(row: LayerRow) -> tuple[object, ...]:
        return (
            row.type,
            row.kernel,
            row.stride,
            row.padding,
            row.output,
            row.parameters,
            row.macs,
            row.receptive_field,
        )

    assert [facts(row) for row in rows(LECTURES[name], image)] == [facts(row) for row in rows(name, image)]


@pytest.mark.parametrize("name", LECTURES)
def test_weights_carried_over_give_equal_outputs(name: str) -> None:
    image = (card(name).input[0], 40, 40)
    own, listed = (create(each, channels=image[0], size=image[1:]).eval() for each in (LECTURES[name], name))
    state = {
        key: torch.rand_like(value) + 0.1 if value.is_floating_point() and "running" in key else value
        for key, value in listed.state_dict().items()
    }
    assert [value.shape for value in own.state_dict().values()] == [value.shape for value in state.values()]
    own.load_state_dict(dict(zip(own.state_dict(), state.values(), strict=True)))
    listed.load_state_dict(state)
    images = torch.rand(3, *image, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(own(images), listed(images))


@pytest.mark.parametrize("name", ["simple_cnn", "lenet5_keras", "batchnorm_cnn", "typical_cnn"])
def test_weights_start_as_the_listed_networks_do(name: str) -> None:
    own, listed = create(LECTURES[name], seed=3), create(name, seed=3)
    for mine, theirs in zip(own.state_dict().values(), listed.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_every_word_computes_what_torch_does() -> None:
    text = """
        depthwise 3x5 pad 1x2 tanh | conv 12 3 stride 2 same leaky 0.3 | norm group 3
        conv 8 3 groups 4 dilation 2 nobias elu | norm layer | pool 3 stride 2 same average | norm lrn
        pool 2 min | conv 6 1x2 | norm batch | relu | dropout 0.3
        flatten | dense 7 nobias | norm batch | sigmoid | dense 4
    """
    network = create(text, 4, 4, (30, 31), seed=1).eval()
    own = iter([value.normal_() if value.dim() > 1 else value.uniform_(0.5, 1.5) for value in state(network)])

    def take(count: int) -> list[Tensor]:
        return [next(own) for _ in range(count)]

    images = torch.rand(2, 4, 30, 31, generator=torch.Generator().manual_seed(0))
    weight, bias = take(2)
    x = F.conv2d(images, weight, bias, 1, (1, 2), 1, 4).tanh()
    weight, bias = take(2)
    x = F.leaky_relu(F.conv2d(padded(x), weight, bias, 2), 0.3)
    weight, bias = take(2)
    x = F.group_norm(x, 3, weight, bias, 1e-3)
    x = F.elu(F.conv2d(x, take(1)[0], None, 1, 0, 2, 4))
    x = F.layer_norm(x, x.shape[1:], eps=1e-3)
    weight, bias = take(2)
    x = x * weight[:, None, None] + bias[:, None, None]
    x = F.avg_pool2d(padded(x), 3, 2) / F.avg_pool2d(padded(torch.ones_like(x)), 3, 2)
    x = F.local_response_norm(x, 5, 5e-4, 0.75, 2.0)
    x = -F.max_pool2d(-x, 2)
    weight, bias = take(2)
    x = F.conv2d(x, weight, bias)
    weight, bias, mean, variance = take(4)
    x = F.batch_norm(x, mean, variance, weight, bias, eps=1e-3).relu()
    x = F.linear(x.flatten(1), take(1)[0])
    weight, bias, mean, variance = take(4)
    x = F.batch_norm(x, mean, variance, weight, bias, eps=1e-3).sigmoid()
    torch.testing.assert_close(network(images), F.linear(x, *take(2)))
    assert next(own, None) is None


def padded(x: Tensor) -> Tensor:
    """As Keras pads for a window of 3 and a stride of 2: an even side gets one pixel at its end, an odd one two."""
    height, width = x.shape[2:]
    return F.pad(x, (width % 2, 1, height % 2, 1))


def state(network: nn.Module) -> Iterator[Tensor]:
    """Weights and statistics in the order of the layers."""
    return (value.detach() for name, value in network.state_dict().items() if "num_batches" not in name)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A text of some layers, most of which fit together."""
    count = st.integers(1, 6)
    padding = st.sampled_from(["", " same", " valid", " pad 1"])
    options = padding.flatmap(lambda each: count.map(lambda stride: f"{each} stride {stride}" if stride < 4 else each))
    activation = st.sampled_from(["", *(f" {name}" for name in ACTIVATIONS if name != "softmax")])
    layer = st.one_of(
        st.tuples(count, st.sampled_from(["1", "2", "3", "1x3"]), options, activation).map(
            lambda each: f"conv {4 * each[0]} {each[1]}{each[2]}{each[3]}"
        ),
        st.tuples(st.sampled_from(["2", "3"]), options, st.sampled_from(["", " max", " min", " average"])).map(
            lambda each: f"pool {each[0]}{each[1]}{each[2]}"
        ),
        activation.filter(bool).map(str.strip),
        st.sampled_from(["norm batch", "norm layer", "norm group 4", "norm lrn", "dropout 0.5", "depthwise 3 same"]),
    )
    head = st.sampled_from(["gap", "flatten", "global max", "flatten | dense 5 relu", "gap | dropout 0.1 | norm batch"])
    layers = draw(st.lists(layer, max_size=7))
    return " | ".join([*layers, draw(head), "dense classes"])


@settings(max_examples=60, deadline=None)
@given(texts(), st.integers(8, 33), st.integers(8, 33))
def test_a_text_is_refused_or_its_table_adds_up(text: str, height: int, width: int) -> None:
    try:
        definition = define(text, 7, (4, height, width))
    except NetworkError as error:
        definition, sentence = None, str(error)
    if definition is None:
        assert sentence.startswith("The network's text, layer ")
        return
    with torch.device("meta"):
        variant = variant_of("network.json", definition)
        network = variant.build(variant.card, 7, 4, (height, width))
    summary = summarize(network, (4, height, width))
    assert summary.parameters == sum(row.parameters for row in summary.layers)
    assert summary.parameters == sum(value.numel() for value in network.parameters())
    assert summary.layers[-1].output == (7,)
    parts = [row.name.removesuffix(".conv").split(".") for row in summary.layers if row.type != "Identity"]
    names = [part[-1] for part in parts if part[-1] != "pad"]  # which pads a side more than the other one
    assert names == [layer.name for layer in definition.layers]


def test_random_words_are_a_network_or_one_sentence() -> None:
    random_ = random.Random(0)
    words = [*LAYERS, "same", "valid", "pad", "stride", "groups", "dilation", "classes", "batch", "group", "nobias"]
    words += [
        "0",
        "1",
        "2",
        "3",
        "3x3",
        "0.5",
        "99999999",
        "9" * 40,
        "-1",
        "1e3",
        "٣",
        "x",
        "|",
        "\n",
        "|",
        "1x",
        ".",
        "²",
    ]
    for _ in range(3000):
        chosen = random_.choices(words, k=random_.randrange(1, 9))
        if not random_.randrange(4):
            chosen.append("".join(random_.choices(string.printable + "한글", k=random_.randrange(1, 9))))
        text = " ".join(["conv 4 3 |", *chosen])
        sentence = ""
        try:
            define(text, 10, (1, 16, 16))
        except NetworkError as error:
            sentence = str(error)
        assert "\n" not in sentence
        assert len(sentence) < 400


def test_another_filter_size_changes_the_table() -> None:
    parameters = {kernel: card(f"conv 8 {kernel} same relu | flatten | dense 10").parameters for kernel in (3, 5)}
    dense = 8 * 28 * 28 * 10 + 10
    assert parameters == {3: 8 * 9 + 8 + dense, 5: 8 * 25 + 8 + dense}


def test_stages_begin_where_maps_shrink() -> None:
    network = create(SMALL)
    assert network.strides == {"stage1": 2, "stage2": 4}
    maps = network.features(torch.zeros(1, *IMAGE))
    assert {name: tuple(each.shape[1:]) for name, each in maps.items()} == {
        "stage1": (16, 12, 12),
        "stage2": (16, 4, 4),
    }


def test_its_card_says_what_it_is() -> None:
    found = card(SMALL)
    assert (found.input, found.minimum, found.classes, found.parameters) == (IMAGE, 16, 10, 20_666)
    assert (found.label, found.any_size, found.own_channels) == (found.title, True, False)
    assert found.title.startswith("conv 8 3 same relu | pool 2 | conv 16 3 relu")
    assert counterpart(SMALL, "pixels") is None
    assert create(SMALL, 4, 3, (40, 20)).head.get_submodule("layers.dense5").out_features == 4
    assert card("conv 8 40 | gap | dense 3").input == (3, 64, 64)
    assert card("conv 8 3 same relu | conv classes 1").output == "pixels"


def test_a_softmax_at_the_end_is_left_to_the_loss() -> None:
    images = torch.rand(2, *IMAGE)
    plain, *others = (create(f"flatten | dense 10{end}").eval()(images) for end in ("", " softmax", " | softmax"))
    for scores in others:
        torch.testing.assert_close(scores, plain)


def test_a_network_is_the_same_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    definition = define(SMALL, 3, (1, 20, 24))
    assert definition is not None
    path.write_text(definition_text(definition))
    own, stored = create(SMALL, 3, 1, (20, 24), seed=5), create(str(path), 3, 1, (20, 24), seed=5)
    assert card(str(path)).label == card(SMALL).label
    assert own.state_dict().keys() == stored.state_dict().keys()
    for key, value in own.state_dict().items():
        torch.testing.assert_close(value, stored.state_dict()[key], rtol=0, atol=0)


def test_what_is_a_text() -> None:
    texts_ = ("a|b", "conv 3", "Dense 10", "flatten | dense 10")
    names = ("resnet18", "dense", "timm/resnet18", "my net.json", "my|net.toml", "res net", "conv")
    assert [is_text(each) for each in texts_] == [True] * len(texts_)
    assert [is_text(each) for each in names] == [False] * len(names)
    assert define("resnet18", 10, IMAGE) is None


def test_words_may_be_capital_and_on_lines() -> None:
    (first, second) = parse("\n  Conv 8 3x5 SAME Stride 2 Leaky 0.2\n\n| dense Classes |", "The text")
    assert first.values == {"filters": 8, "kernel": (3, 5), "padding": "same", "stride": (2, 2)}
    assert (first.activation, first.below) == ("leaky", 0.2)
    assert second.values == {"units": "classes"}


REFUSED = [
    ("conv 8 3 | pol 2", r"The network's text, layer 2, character 12: 'pol' is no layer; did you mean 'pool'\?"),
    ("conv 8 3 | zzz", r"character 12: 'zzz' is no layer; layers are conv, depthwise, pool, "),
    ("conv2d 8 3 | gap", r"layer 1, character 1: 'conv2d' is no layer; write 'conv 16 3', for example\."),
    ("conv 8 | gap", r"character 1: 'conv' needs its kernel; write it as in 'conv 16 3'\."),
    ("conv 8 0 | gap", r"character 8: '0' is not the kernel of conv, a whole number, or two as in 3x5, from 1; write"),
    ("conv eight 3 | gap", r"character 6: 'eight' is not the filters of conv, a whole number from 1; write it as in"),
    ("conv 8 3 smae | gap", r"character 10: 'smae' is nothing that conv takes; did you mean 'same'\?"),
    ("conv 8 3 pool 2", r"character 10: 'pool' is a layer of its own and not of conv; write '\| pool'\."),
    ("conv 8 3 same valid | gap", r"character 15: 'valid' sets the padding a second time; keep one\."),
    ("conv 8 3 relu tanh | gap", r"character 15: 'tanh' follows 'relu'; keep one activation\."),
    ("conv 8 3 stride | gap", r"character 10: 'stride' needs a number; write 'stride 2', for example\."),
    ("conv 8 3 stride 0 | gap", r"character 17: '0' is no stride; write a whole number from 1, such as 'stride 2'\."),
    ("conv 8 3 leaky 2 | gap", r"'2' is not what leaky multiplies values below 0 by; write a number from 0 to 1\."),
    ("conv 8 3 | relu 3", r"'3' is nothing that relu takes; leave it out, or write \| before the next layer\."),
    ("norm bach | gap", r"'bach' is no normalization; did you mean 'batch'\?"),
    ("norm group | gap", r"'group' needs a number; write 'group 2', for example\."),
    ("global | dense 3", r"'global' does not say of what; write 'global average' or 'global max'\."),
    ("global min | dense 3", r"'global min' has no meaning here; write 'global average' or 'global max'\."),
    ("dropout 1 | gap", r"'1' is no fraction of values to drop; write one from 0 to below 1, such as 0.5\."),
    (
        "conv 8 3 | dense 9",
        r"'dense 9' takes a row of values and gets a map of 8x26x26; write 'flatten \|' or 'gap \|' before",
    ),
    ("flatten | conv 8 3", r"'conv 8 3' takes maps and gets 784 values; write it before 'flatten' and 'dense'\."),
    ("conv 8 3 groups 3 | gap", r"has 3 groups for 1 channels and 8 filters; take a number that divides both\."),
    ("conv 8 3 | norm group 3 | gap", r"'norm group 3' has 3 groups for 8 channels; take a number that divides them\."),
    ("pool 2 pad 2 | flatten | dense 3", r"'pool 2 pad 2' has padding of more than half of its window; take less"),
    ("conv 8 600 | gap | dense 3", r"'conv 8 600' has a window of 600x600 for maps of 512x512; use 'same', fewer"),
    ("conv 8 3 | conv 8 3", r"'conv 8 3' is the last layer with weights, and the network ends in maps of 8x24x24; end"),
    ("gap", r"gap \| has no layer with weights that gives scores; end with 'dense classes'\."),
    ("gap | dense 9 softmax | relu", r"'relu' follows a softmax; write 'softmax' at the very end, or leave it out\."),
    (
        "flatten | dense 9 sigmoid",
        r"'sigmoid' is at the end, and the scores leave a network without it; leave it out, since",
    ),
    (
        "flatten | dense 9 | sigmoid | dropout 0.1",
        r"'sigmoid' is at the end, and the scores leave a network without it",
    ),
    ("conv 9999999 99 same | gap", r"'conv 9999999 99 same' would make 98,019,990,198 weights; take fewer filters"),
    ("|\n| ", r"The network's text has no layers; write some, such as 'conv 8 3 relu \| flatten \| dense classes'\."),
    ("tanh |" * 2100 + "gap", r"'tanh' is more than 2,000 layers; write fewer\."),
    (
        "tanh |" * 3000 + "gap",
        r"has 18,003 characters, more than the 16,384 that are read; write a TOML file, whose blocks",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=lambda value: value[:30])
def test_a_text_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(NetworkError, match=message):
        card(text if "|" in text else f"{text} |")


def test_another_number_of_classes_is_refused_with_the_remedy() -> None:
    text = "conv 8 3 same relu | flatten | dense 10"
    message = (
        r"layer 3, character 32: 'dense 10' makes the network give 10 scores for 5 classes; write 'dense 5', or 'dense "
        r"classes', which is right for any data\."
    )
    with pytest.raises(NetworkError, match=message):
        create(text, 5)
    assert create(text.replace("dense 10", "dense classes"), 5)(torch.zeros(1, *IMAGE)).shape == (1, 5)


def test_an_image_too_small_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"cannot take images of 12x12: its smallest side is 16 pixels"):
        create(SMALL, size=(12, 12))
    assert create(SMALL, size=(16, 16))(torch.zeros(1, 1, 16, 16)).shape == (1, 10)
