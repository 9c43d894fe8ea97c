"""A head that writes a sentence about a map, word by word; and the LSTM that remembers what it has written."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

START, UNKNOWN, END = 0, 1, 2
"""Indices of what is no word: the beginning of a sentence, any word that is not in the vocabulary, and the end. The
first two are never written."""
LONGEST = 20
"""Words of a generated sentence, at most."""

State = tuple[Tensor, ...]
"""What a decoder remembers; the first dimension of each tensor counts sentences."""


@final
class LSTMCell(nn.Module):
    """One step of an LSTM, whose four gates are one affine transformation: Xu et al. 2015, equations 1 to 3.

    Hochreiter, Schmidhuber 1997, "Long short-term memory", with the forget gate of Gers, Schmidhuber, Cummins 2000.

    Inputs (N, inputs), with the hidden state and the memory, (N, width) each, become the next two of these.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.gates = nn.Linear(inputs + width, 4 * width)

    def forward(self, values: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The next hidden state and memory."""
        hidden, memory = state
        into, forget, new, out = self.gates(torch.cat([values, hidden], 1)).chunk(4, 1)
        memory = forget.sigmoid() * memory + into.sigmoid() * new.tanh()
        return out.sigmoid() * memory.tanh(), memory


class Step(NamedTuple):
    """What a decoder says after a word: (N, words) scores of the next one, what it remembers, and (N, positions) how
    much it attended to each position of the map, summing to 1; no positions where it attends to none.
    """

    scores: Tensor
    state: State
    attention: Tensor


class Sentence(NamedTuple):
    """A generated sentence: its words by index, without start and end; the logarithm of its probability, the end's
    with it; the (words, H, W) attention of each word to the map, (words, 0, 0) where there is none.
    """

    words: tuple[int, ...]
    log_probability: float
    attention: Tensor


class CaptionHead(nn.Module, ABC):
    """Turns a map (N, C, H, W) into scores of words: (N, LONGEST, words), each word after the likeliest ones before it.

    What is after the end of a sentence means nothing. Arithmetic is in float32.
    """

    @abstractmethod
    def begin(self, maps: Tensor) -> State:
        """What is remembered before the first word, of (N, C, H, W) maps."""

    @abstractmethod
    def step(self, words: Tensor, state: State) -> Step:
        """What follows the ``words`` (N,), the last ones so far."""

    def forward(self, maps: Tensor) -> Tensor:
        """Greedy decoding of a fixed number of steps."""
        with _float32(maps):
            state, found = self.begin(maps.float()), []
            words = maps.new_full((len(maps),), START, dtype=torch.long)
            for _ in range(LONGEST):
                scores, state, _ = self.step(words, state)
                words = likeliest(scores)
                found.append(scores)
        return torch.stack(found, 1)

    def follow(self, maps: Tensor, sentences: Tensor, owners: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Teacher forcing: the scores (M, T, words) and the attention (M, T, positions) with which each word of the
        ``sentences`` (M, T), which begin with the start, would be followed. The map of each is that of its owner (M,).
        The ``lengths`` (M,) descend; beyond them both are 0.
        """
        with _float32(maps):
            state = tuple(part[owners] for part in self.begin(maps.float()))
            scores, attention = [], []
            for number, words in enumerate(sentences.unbind(1)):
                running = int((lengths > number).sum())
                step = self.step(words[:running], tuple(part[:running] for part in state))
                state, rest = step.state, len(words) - running
                scores.append(F.pad(step.scores, (0, 0, 0, rest)))
                attention.append(F.pad(step.attention, (0, 0, 0, rest)))
        return torch.stack(scores, 1), torch.stack(attention, 1)

    @torch.no_grad()
    def search(self, maps: Tensor, beam: int) -> Sentence:
        """The likeliest sentence about one map (1, C, H, W) that beam search finds: of all sentences so far the
        ``beam`` likeliest are continued by every word. Probabilities are not divided by the length (Vinyals et al.
        2015, section 3.1); the words of start and unknown are never written. A sentence that has not ended is cut off.
        """
        with _float32(maps):
            state = self.begin(maps.float())
            words, totals = maps.new_full((1, 1), START, dtype=torch.long), state[0].new_zeros(1)
            step = self.step(words[:, -1], state)
            attention = step.attention[:, None][:, :0]
            finished: list[Sentence] = []
            for _ in range(LONGEST):
                scores = totals[:, None] + step.scores.log_softmax(1)
                finished += _sentences(words, scores[:, END], attention)
                scores[:, [START, END, UNKNOWN]] = -torch.inf
                totals, chosen = scores.flatten().topk(min(beam, int(scores.isfinite().sum())))
                rows, chosen = chosen // scores.shape[1], chosen % scores.shape[1]
                words = torch.cat([words[rows], chosen[:, None]], 1)
                attention = torch.cat([attention, step.attention[:, None]], 1)[rows]
                best = max(finished, key=lambda one: one.log_probability)
                if best.log_probability >= float(totals.max()):  # longer ones only become less likely
                    break
                step = self.step(words[:, -1], tuple(part[rows] for part in step.state))
        best = max([*finished, *_sentences(words, totals, attention)], key=lambda one: one.log_probability)
        shape = maps.shape[2:] if attention.shape[2] else (0, 0)
        return best._replace(attention=best.attention.reshape(len(best.words), *shape))


def likeliest(scores: Tensor) -> Tensor:
    """(…, words) scores to the indices (…) of the likeliest words that may be written."""
    return scores[..., END:].argmax(-1) + END


def _float32(maps: Tensor) -> AbstractContextManager[object]:
    """No autocast, which tensors without values do not have."""
    return nullcontext() if maps.is_meta else torch.autocast(maps.device.type, enabled=False)


def _sentences(words: Tensor, totals: Tensor, attention: Tensor) -> list[Sentence]:
    """Those of rows of words, which begin with the start."""
    rows = zip(words.tolist(), totals.tolist(), attention, strict=True)
    return [Sentence(tuple(row[1:]), total, seen) for row, total, seen in rows]
