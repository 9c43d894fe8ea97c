"""What of a caption is explained: the likelihood of the whole sentence, or of a word in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from convolve.datasets.sentences import sentence_of
from convolve.explainers.explanation_targets import ExplanationTargets
from convolve.layers.caption_head import END, likeliest

if TYPE_CHECKING:
    from convolve.tasks.caption.task import Caption


@dataclass(frozen=True, eq=False)
class WordScore:
    """The sum of the logarithms of the probabilities of ``words`` (N, T) at the steps where ``counted`` (N, T)."""

    words: Tensor
    counted: Tensor
    classes = None
    regions = None

    def __len__(self) -> int:
        return len(self.words)

    def __call__(self, outputs: Tensor) -> Tensor:
        """(N, T, words) scores to (N,)."""
        words, counted = self.words.to(outputs.device), self.counted.to(outputs.device)
        found = outputs.float().log_softmax(2).gather(2, words[:, :, None]).squeeze(2)
        return (found * counted).sum(1)

    def take(self, indices: Tensor) -> WordScore:
        """The target of some of the images."""
        return WordScore(self.words[indices], self.counted[indices])


def explanation_targets(task: Caption, inputs: Tensor, classes: Sequence[int]) -> ExplanationTargets:
    """Of each of the inputs (N, C, H, W) the sentence, or of each word that is asked for the step at which it is the
    likeliest.
    """
    with torch.inference_mode():
        scores = task.network(inputs).float().log_softmax(2).cpu()
    words = likeliest(scores)
    before = (words == END).cumsum(1) - (words == END).int()
    counted = before == 0  # the end too
    targets, names = [WordScore(words, counted)], ["sentence"]
    if classes:
        names = [task.vocabulary.words[index] for index in classes]
        likely = scores.masked_fill(~counted[:, :, None], -torch.inf)
        steps = [likely[:, :, index].argmax(1) for index in classes]
        chosen = [torch.nn.functional.one_hot(step, words.shape[1]).bool() for step in steps]
        targets = [
            WordScore(torch.full_like(words, index), flags) for index, flags in zip(classes, chosen, strict=True)
        ]
    found = torch.stack([target(scores) for target in targets], 1).exp()
    return ExplanationTargets(
        predictions=tuple(sentence_of(task.vocabulary.decode(row)) for row in words.tolist()),
        confidences=None,
        names=(tuple(names),) * len(inputs),
        scores=found.numpy(),
        targets=tuple(targets),
    )
