"""Networks from TOML files of blocks: what they compute, that they equal ours, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.errors import NetworkError
from convolve.models import card, create
from convolve.summary import summarize
from tests.models.own_networks import INCEPTION, NESTED, RESIDUAL


def file(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_residual_network_has_the_stages_and_the_weights_that_it_says(tmp_path: Path) -> None:
    name = file(tmp_path, RESIDUAL)
    found = card(name)
    assert (found.title, found.label, found.input) == ("A small residual network",) * 2 + ((3, 32, 32),)
    assert (found.own_channels, found.any_size, found.normalized, found.classes) == (True, False, True, 10)
    network = create(name)
    assert (network.strides, network.channels) == ({"stage1": 2}, {"stage1": 32})
    blocks = 3 * 2 * (16 * 16 * 9 + 32)
    last = 16 * 32 * 9 + 32 * 32 * 9 + 16 * 32 + 3 * 64
    assert found.parameters == 3 * 16 * 9 + 32 + blocks + last + 330
    summary = summarize(network, (3, 32, 32))
    assert (summary.parameters, summary.layers[-1].output) == (found.parameters, (10,))
    assert create(name, 4, size=(48, 40))(torch.zeros(2, 3, 48, 40)).shape == (2, 4)


def test_branches_are_concatenated(tmp_path: Path) -> None:
    network = create(file(tmp_path, INCEPTION), 5, 1, (14, 12), seed=2).eval()
    own = iter(value.normal_() for value in (each.detach() for each in network.parameters()))

    def convolve(x: Tensor, padding: int = 0) -> Tensor:
        return F.conv2d(x, next(own), next(own), padding=padding)

    images = torch.rand(2, 1, 14, 12)
    x = convolve(images).relu()
    first = convolve(x).relu()
    second = convolve(convolve(x).relu(), 1).relu()
    x = torch.cat([first, second, convolve(F.max_pool2d(x, 3, 1, 1)), x], 1)
    expected = F.linear(F.max_pool2d(x, 2).mean((2, 3)), next(own), next(own))
    torch.testing.assert_close(network(images), expected)


def test_blocks_lie_in_one_another(tmp_path: Path) -> None:
    network = create(file(tmp_path, NESTED), 3, 2, (10, 10), seed=2).eval()
    own = iter(each.detach() for each in network.parameters())

    def convolve(x: Tensor, padding: int = 0) -> Tensor:
        return F.conv2d(x, next(own), next(own), padding=padding)

    images = torch.rand(2, 2, 10, 10)
    x = convolve(images, 1)
    y = torch.cat([convolve(x), convolve(convolve(x), 1)], 1)
    x = (convolve(y) + x).relu()
    x = x * convolve(convolve(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
    expected = F.linear(F.max_pool2d(x, 2).flatten(1), next(own), next(own))
    torch.testing.assert_close(network(images), expected)


def test_a_file_without_a_title_is_called_as_the_file(tmp_path: Path) -> None:
    found = card(file(tmp_path, INCEPTION))
    assert (found.label, found.input, found.any_size, found.classes) == ("mine", (1, 28, 28), True, 5)


REFUSED = [
    ("", "there are no blocks; write \\[\\[block\\]\\] and below it layers = "),
    ("block = 3", "there are no blocks"),
    ("a = [", r"mine\.toml cannot be read as a network \(Invalid value"),
    ("[[blocks]]\nlayers = 'gap'", r"mine\.toml: 'blocks' is no key; did you mean 'block'\?"),
    ("title = 3\n[[block]]\nlayers = 'gap'", "its title is no text"),
    ("input = '3x32'\n[[block]]\nlayers = 'gap'", "input is '3x32'; write channels x height x width, such as"),
    ("input = '0x32x32'\n[[block]]\nlayers = 'conv 3 3|gap'", "its input is 0x32x32, which no image is"),
    ("[[block]]\nlayer = 'gap'", r"mine\.toml, block 1: 'layer' is no key; did you mean 'layers'\?"),
    ("[[block]]\nrepeat = 2", "block 1: a block has one of layers, residual, branches, and this has none; write one"),
    ("[[block]]\nlayers = 'gap'\nresidual = ''", "and this has layers and residual; write one of them"),
    (
        "[[block]]\nlayers = 'gap'\nshortcut = ''",
        "shortcut belongs to residual, and the block has layers; leave it out",
    ),
    ("[[block]]\nlayers = 'gap'\njoin = 'add'", "join belongs to branches, and the block has layers; leave it out"),
    ("[[block]]\nlayers = 'gap'\nrepeat = 0", "repeat is 0; write a whole number from 1 to 200"),
    ("[[block]]\nlayers = 'gap'\nrepeat = true", "repeat is True; write a whole number"),
    ("[[block]]\nlayers = 3", "block 1: it is neither a text of layers nor a list of blocks; write"),
    ("[[block]]\nbranches = ['gap']", "branches are a list of 2 to 64 texts; write branches = "),
    (
        "[[block]]\nbranches = ['', '']\njoin = 'sum'",
        "join is 'sum'; write one of concat, add, average, maximum, multiply",
    ),
    (
        "[[block]]\nlayers = 'conv 3 3'\n[[block]]\nlayers = 'pol 2'",
        "block 2, layer 1, character 1: 'pol' is no layer; did",
    ),
    ("[[block]]\nbranches = ['', 'conv 3']", "block 1, branch 2, layer 1, character 1: 'conv' needs its kernel"),
    (
        "[[block]]\nlayers='conv 8 3'\n[[block]]\nresidual='conv 16 3 stride 2 same'",
        "residual: maps of 16x13x13 and 8x26x26 cannot be added; give it a shortcut such as 'conv 16 1 stride 2'",
    ),
    (
        "[[block]]\nbranches = ['pool 2', '']",
        "block 1: maps of 1x14x14 and 1x28x28 cannot be concatenated; give the branches the same strides",
    ),
    (
        "[[block]]\nbranches = ['conv 5 1', '']\njoin = 'maximum'",
        "block 1: maps of 5x28x28 and 1x28x28 cannot be joined; give the branches the same filters and strides",
    ),
    ("[[block]]\nbranches = ['softmax', '']\n[[block]]\nlayers='conv 3 1|gap'", "'softmax' is not at the very end"),
    (
        "[[block]]\nlayers = 'tanh|' \n".replace("'tanh|'", f"'{'tanh|' * 20}'") + "repeat = 200",
        "block 1, layer 1, character 1: 'tanh' is more than 2,000 layers; write fewer",
    ),
    ("[[block]]\nlayers = " + "[{layers=" * 9 + "'gap'" + "}]" * 9, "blocks are more than 8 deep in one another"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=lambda value: value[:40])
def test_a_file_that_cannot_be_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=message) as caught:
        card(file(tmp_path, text))
    assert "mine" in str(caught.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"no\.toml cannot be read as a network \(No such file or directory\)"):
        card(str(tmp_path / "no.toml"))
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff")
    with pytest.raises(NetworkError, match="cannot be read as a network"):
        card(str(path))
    path.write_text("#" * 2**17)
    with pytest.raises(NetworkError, match="131,072 characters, more than the 65,536 that are read"):
        card(str(path))


def test_many_blocks_in_one_another_take_no_time(tmp_path: Path) -> None:
    text = "'conv 4 1 same'"
    for _ in range(7):
        text = "[" + ",".join(["{" + f"repeat=200, layers={text}" + "}"] * 2) + "]"
    with pytest.raises(NetworkError, match="is more than 2,000 layers"):
        card(file(tmp_path, f"[[block]]\nlayers = {text}\n"))


def test_what_grows_with_every_block_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"block 1: it would give [0-9,]+ values of an image; write fewer branches"):
        card(file(tmp_path, "[[block]]\nbranches = ['', '']\nrepeat = 200\n"))
    empty = "''"
    for _ in range(7):
        empty = "[" + "{" + f"repeat=200, residual={empty}" + "}]"
    with pytest.raises(NetworkError, match="the network has more than 2,000 layers; write fewer"):
        card(file(tmp_path, f"[[block]]\nlayers = {empty}\n"))
