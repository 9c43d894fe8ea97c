"""Networks for captions as their papers' equations count them, and what their parts compute."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convolve.errors import NetworkError
from convolve.layers.caption_head import END, LONGEST, START, UNKNOWN, CaptionHead, LSTMCell, likeliest
from convolve.models import Network, card, create
from convolve.models.show_and_tell import Teller
from convolve.models.show_attend_and_tell import AttentiveTeller
from convolve.summary import summarize

WORDS, M, N = 10_000, 512, 512  # of the vocabulary; of embeddings; of the memory


def _lstm(inputs: int) -> int:
    """Four gates, each an affine transformation of the input and the hidden state."""
    return 4 * ((inputs + N) * N + N)


def _on_meta(name: str) -> Network:
    with torch.device("meta"):
        return create(name)


def test_show_and_tell_counts() -> None:
    """Vinyals et al. 2015, equations 4 to 12: the image's layer, the embedding, the LSTM, the scores."""
    network, known = _on_meta("show_and_tell"), card("show_and_tell")
    classifier = card("bn_inception")
    stages = (classifier.parameters or 0) - (1024 * 1000 + 1000)
    assert known.parameters == stages + 1024 * M + WORDS * M + _lstm(M) + N * WORDS + WORDS
    encoder = (classifier.macs or 0) - 1024 * 1000
    assert known.macs == encoder + 1024 * M + (1 + LONGEST) * 4 * (M + N) * N + LONGEST * N * WORDS
    found = summarize(network, known.input)
    assert (found.parameters, found.macs) == (known.parameters, known.macs)


def test_show_attend_and_tell_counts() -> None:
    """Xu et al. 2015, equations 1 to 7, for maps of D = 512 channels and L = 196 positions."""
    network, known = _on_meta("show_attend_and_tell"), card("show_attend_and_tell")
    channels, positions, classifier = 512, 196, card("vgg19")
    dense = 25088 * 4096 + 4096 * 4096 + 4096 * 1000
    stages = (classifier.parameters or 0) - dense - (4096 + 4096 + 1000)
    initial = 2 * (channels * N + N)
    attention = channels * N + N + N * N + N + 1
    output = N * M + channels * M + M * WORDS + WORDS
    assert known.parameters == stages + initial + attention + (N + 1) + WORDS * M + _lstm(M + channels) + output
    once = 2 * channels * N + positions * channels * N
    step = N * N + positions * N + N + 4 * (M + channels + N) * N + N * M + channels * M + M * WORDS
    assert known.macs == (classifier.macs or 0) - dense + once + LONGEST * step
    found = summarize(network, known.input)
    assert (found.parameters, found.macs) == (known.parameters, known.macs)


def test_the_map_that_is_attended_to_is_that_before_the_last_pooling() -> None:
    """Xu et al. 2015, section 4.3: 14x14x512 of VGG-19."""
    network = _on_meta("show_attend_and_tell")
    maps = network.features(torch.empty(1, 3, 224, 224, device="meta"))
    assert maps["stage5"].shape == (1, 512, 14, 14)
    assert network.strides["stage5"] == 16


def test_an_lstm_is_that_of_torch() -> None:
    own, other = LSTMCell(3, 5), nn.LSTMCell(3, 5)
    with torch.no_grad():
        own.gates.weight.copy_(torch.cat([other.weight_ih, other.weight_hh], 1))
        own.gates.bias.copy_(other.bias_ih + other.bias_hh)
    values, hidden, memory = torch.randn(2, 3), torch.randn(2, 5), torch.randn(2, 5)
    for found, expected in zip(own(values, (hidden, memory)), other(values, (hidden, memory)), strict=True):
        torch.testing.assert_close(found, expected)


def _head(kind: type[Teller | AttentiveTeller], words: int = 6) -> CaptionHead:
    torch.manual_seed(3)
    head = kind(4, words).eval()
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.mul_(3)  # so that probabilities differ
    return head


@pytest.mark.parametrize("kind", [Teller, AttentiveTeller])
def test_teacher_forcing_and_greedy_decoding_agree(kind: type[Teller | AttentiveTeller]) -> None:
    head, maps = _head(kind), torch.randn(2, 4, 3, 2)
    greedy = head(maps)
    assert greedy.shape == (2, LONGEST, 6)
    written = likeliest(greedy)
    inputs = torch.cat([torch.full((2, 1), START), written[:, :-1]], 1)
    scores, attention = head.follow(maps, inputs, torch.arange(2), torch.full((2,), LONGEST))
    torch.testing.assert_close(scores, greedy)
    if kind is AttentiveTeller:
        torch.testing.assert_close(attention.sum(2), torch.ones(2, LONGEST))


def _log_probability(head: CaptionHead, maps: Tensor, words: tuple[int, ...]) -> float:
    followed, first = torch.tensor([*words, END]), torch.zeros(1, dtype=torch.long)
    scores, _ = head.follow(maps, torch.tensor([[START, *words]]), first, torch.tensor([len(followed)]))
    return float(scores[0].log_softmax(1).gather(1, followed[:, None]).sum())


@pytest.mark.parametrize("kind", [Teller, AttentiveTeller])
@torch.no_grad()
def test_a_wide_beam_finds_the_likeliest_of_all_sentences(kind: type[Teller | AttentiveTeller]) -> None:
    head, maps = _head(kind), torch.randn(1, 4, 3, 2, generator=torch.Generator().manual_seed(1))
    head.get_parameter("scores.bias")[END] += 6.0  # sentences are short
    sentences = [words for length in range(5) for words in itertools.product((3, 4, 5), repeat=length)]
    best = max(sentences, key=lambda words: _log_probability(head, maps, words))
    found = head.search(maps, 300)
    assert found.words == best
    assert found.log_probability == pytest.approx(_log_probability(head, maps, best), rel=1e-4)
    assert {START, UNKNOWN, END}.isdisjoint(found.words)
    assert found.attention.shape == ((len(best), 3, 2) if kind is AttentiveTeller else (len(best), 0, 0))


def test_sentences_of_other_lengths_do_not_change_each_other() -> None:
    head, maps = _head(AttentiveTeller), torch.randn(2, 4, 3, 2)
    long, short = torch.tensor([[START, 3, 4, 5]]), torch.tensor([[START, 4, START, START]])
    scores, attention = head.follow(maps, torch.cat([long, short]), torch.tensor([1, 0]), torch.tensor([4, 2]))
    alone, seen = head.follow(maps, short[:, :2], torch.tensor([0]), torch.tensor([2]))
    torch.testing.assert_close(scores[1, :2], alone[0])
    torch.testing.assert_close(attention[1, :2], seen[0])
    assert not scores[1, 2:].any()


def test_attention_is_a_softmax_of_energies() -> None:
    """Equations 4 to 6, and the gate of section 4.2.1, written out."""
    head, maps = _head(AttentiveTeller), torch.randn(1, 4, 1, 2)
    assert isinstance(head, AttentiveTeller)
    hidden, memory, positions, projected = head.begin(maps)
    step = head.step(torch.tensor([4]), (hidden, memory, positions, projected))
    layer = head.attention
    rows = [maps[0, :, 0, index] for index in range(2)]
    energies = torch.stack([layer.energy(torch.tanh(head.positions(row) + layer.hidden(hidden[0]))) for row in rows])
    weights = F.softmax(energies.flatten(), 0)
    torch.testing.assert_close(step.attention[0], weights)
    seen = torch.sigmoid(head.gate(hidden[0])) * (weights[0] * rows[0] + weights[1] * rows[1])
    word = head.words.weight[4]
    new, _ = head.lstm(torch.cat([word, seen])[None], (hidden, memory))
    scores = head.scores(word + head.from_hidden(new[0]) + head.from_seen(seen))
    torch.testing.assert_close(step.scores[0], scores)


def test_any_classifier_may_be_read() -> None:
    for name in ("show_and_tell_resnet20_cifar", "show_attend_and_tell_resnet20_cifar"):
        network = create(name, 7).eval()
        assert network(torch.zeros(1, 3, 32, 32)).shape == (1, LONGEST, 7)
        assert card(name).classifier == "resnet20_cifar"
    with pytest.raises(NetworkError, match="no classifier"):
        create("show_and_tell_unet")
    with pytest.raises(NetworkError, match="has no map of an image"):
        create("show_and_tell_mlp_300")
