"""What a network for captions learns: at every word of every caption of an image, the next one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast, final

import torch
from torch import Tensor
from torch.nn import functional as F

from convolve.datasets.captions import Captions
from convolve.datasets.sentences import Words
from convolve.errors import ExportError
from convolve.layers.caption_head import START, CaptionHead, likeliest
from convolve.models import Card, Network
from convolve.progress import Listener
from convolve.runtime import Runtime
from convolve.tasks.caption.evaluation import Evaluation, GreedyEvaluator, digest, evaluate, evaluate_training
from convolve.tasks.caption.options import BEAM, INFO, CaptionOptions, CaptionPredictOptions
from convolve.tasks.caption.vocabulary import (
    EncodedSentences,
    Vocabulary,
    encode_sentences,
    find_vocabulary,
    parse_vocabulary,
)
from convolve.tasks.task import EvaluationData, Task, TaskExport
from convolve.training.defaults import Choice, Facts
from convolve.values import Dataset, GroundTruth, Indices, Preprocessing, Splits

if TYPE_CHECKING:
    from convolve.explainers.explanation_targets import ExplanationTargets
    from convolve.reports.report import Headline, Section
    from convolve.tasks.caption.predictor import CaptionPredictor

PENALTY = 1.0
"""Weight of the doubly stochastic penalty: Xu et al. 2015, equation 14."""
MANY, RARE = 5_000, 5
"""Images of which words count only that occur 5 times (Vinyals et al. 2015, section 4.3.1)."""


@final
@dataclass
class Caption(Task):
    """The ``vocabulary`` is that of the training captions, whose ``digests`` are kept to tell which sentences are
    repeated; sentences are found with a ``beam``. ``training`` are the metrics of some training images, once the
    training has ended.
    """

    network: Network
    vocabulary: Vocabulary
    digests: frozenset[str]
    beam: int = BEAM
    training: dict[str, float] = field(default_factory=dict)
    monitored: str = "bleu4"

    info = INFO
    classes = ()

    @classmethod
    def accept(cls, dataset: Dataset, options: CaptionOptions) -> Dataset:
        """The images with captions. Raises `DataError` where there are none."""
        dataset = dataset.for_ground_truth("captions")
        captions = cast(Captions, dataset.ground_truths["captions"])
        fewest = options.min_count or (RARE if len(dataset) >= MANY else 1)
        return replace(dataset, ground_truths={"captions": replace(captions, min_count=fewest)})

    @classmethod
    def defaults(
        cls, known: Mapping[str, object], facts: Facts, card: Card, ground_truth: GroundTruth
    ) -> Iterator[Choice]:
        """The whole image, never flipped, since sentences say left and right."""
        del card
        fewest = cast(Captions, ground_truth).min_count
        yield "min_count", fewest, "rarer words are hardly learned" if fewest > 1 else "so few captions have rare words"
        yield "beam", BEAM, "usual for captions"
        yield "fit", "stretch", "keeps the whole image, which sentences tell of"
        for name, value in (("crop", 1.0), ("translate", 0.0), ("flip", False)):
            yield name, value, "sentences tell of the whole image, and of left and right"
        yield "batch", max(8, min(32, facts.images // 16)), "images with all their captions"
        if not known.get("weights"):
            yield "learning_rate", 1e-3, "usual for adamw"
        yield "clip_norm", 5.0, "usual for LSTMs"

    @classmethod
    def outputs(cls, ground_truth: Captions, card: Card) -> int:
        """The number of words of training captions, with start, end and unknown."""
        del card
        return len(find_vocabulary(ground_truth).words)

    @classmethod
    def build(
        cls,
        network: Network,
        ground_truth: Captions,
        options: CaptionOptions,
        splits: Splits,
        preprocessing: Preprocessing,
    ) -> Caption:
        """The task of writing with the words of the training captions."""
        del preprocessing
        training = ground_truth.take(splits.train)
        digests = frozenset(digest(sentence) for each in training.sentences for sentence in each)
        return cls(network, find_vocabulary(training), digests, options.beam or BEAM)

    @classmethod
    def restore(cls, network: Network, state: Mapping[str, Any]) -> Caption:
        """The task of a run."""
        vocabulary, digests = parse_vocabulary(state["vocabulary"]), state["training_sentences"]
        if not isinstance(digests, list) or type(state["beam"]) is not int or state["beam"] < 1:
            raise ValueError("its training sentences or its beam are none")
        training = {str(name): float(value) for name, value in state["training"].items()}
        return cls(network, vocabulary, frozenset(map(str, digests)), state["beam"], training)

    def state(self) -> dict[str, Any]:
        """The vocabulary, and what is known of the training captions."""
        return {
            "vocabulary": list(self.vocabulary.words),
            "training_sentences": sorted(self.digests),
            "beam": self.beam,
            "training": self.training,
        }

    def with_network(self, network: Network) -> Caption:
        """The same words."""
        return replace(self, network=network)

    @property
    def head(self) -> CaptionHead:
        """What writes."""
        return cast(CaptionHead, self.network.head)

    def maps(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images to the map that the head reads; the map itself where all stages are frozen and done."""
        for stage in self.network.stages.values():
            images = stage(images)
        return images

    def loss(
        self, images: Tensor, targets: Sequence[Sequence[Words]], random: torch.Generator | None
    ) -> dict[str, Tensor]:
        """The mean over the images of the negative log-likelihood of a word, and the penalty of attention."""
        del random
        return self._losses(self.maps(images), targets)

    def predict(self, images: Tensor) -> Tensor:
        """(N, C, H, W) images to the indices of words (N, 20), the likeliest one at each step."""
        return likeliest(self.head(self.maps(images)))

    def loss_and_predictions(
        self, images: Tensor, targets: Sequence[Sequence[Words]]
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Both from one forward pass of the stages."""
        maps = self.maps(images)
        return self._losses(maps, targets), likeliest(self.head(maps))

    def negative_log_likelihoods(self, maps: Tensor, encoded: EncodedSentences) -> tuple[Tensor, Tensor]:
        """(M, T) of each word of the sentences about maps (N, C, H, W), and the attention (M, T, positions)."""
        scores, attention = self.head.follow(maps, encoded.inputs, encoded.owners, encoded.lengths)
        found = F.cross_entropy(scores.flatten(0, 1), encoded.targets.flatten(), ignore_index=START, reduction="none")
        return found.view_as(encoded.targets), attention

    def evaluator(self) -> GreedyEvaluator:
        """BLEU and CIDEr of what is written without a beam."""
        return GreedyEvaluator(self.vocabulary)

    def finish_training(self, training: EvaluationData, listener: Listener) -> None:
        """Measure some training images, which tells how much is learned by heart."""
        del listener
        self.training = evaluate_training(self, training)

    def conform(self, dataset: Dataset) -> Dataset:
        """Any captions."""
        return dataset

    def evaluate(self, data: EvaluationData) -> Evaluation:
        """Every metric, of sentences that beam search finds."""
        return evaluate(self, data)

    def predictor(
        self, preprocessing: Preprocessing, runtime: Runtime, options: CaptionPredictOptions
    ) -> CaptionPredictor:
        """How images of any size get a caption."""
        from convolve.tasks.caption.predictor import CaptionPredictor

        return CaptionPredictor(self, preprocessing, runtime, options)

    def exported(self, preprocessing: Preprocessing, runtime: Runtime) -> TaskExport:
        """None. Raises `ExportError`."""
        del preprocessing, runtime
        raise ExportError("A network for captions cannot be exported; use its run, with `convolve predict`.")

    def report(
        self, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
    ) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
        """The metrics, how much is repeated from training, examples, and what the network looks at."""
        from convolve.tasks.caption.report import report_sections

        return report_sections(self, evaluation, dataset, preprocessing, runtime)

    def explanation_targets(
        self, inputs: Tensor, sizes: Indices, classes: Sequence[int], preprocessing: Preprocessing
    ) -> ExplanationTargets:
        """The sentence, or the words that a person asks for."""
        from convolve.tasks.caption.explanation import explanation_targets

        del sizes, preprocessing
        return explanation_targets(self, inputs, classes)

    def explanation_method(self, stage: str | None) -> tuple[str, str]:
        """Saliency: which pixels the likelihood of the sentence, or of a word, depends on."""
        del stage
        return "saliency", "what is explained is the likelihood of words, of which there is no map"

    @property
    def score_names(self) -> tuple[str, ...]:
        """The words."""
        return self.vocabulary.words

    def probabilities(self, inputs: Tensor) -> Tensor:
        """(N, C, H, W) to the probabilities of words (N, 20, words)."""
        return cast(Tensor, self.network(inputs)).float().softmax(2)

    def ground_truth_labels(self, ground_truth: Captions, indices: Indices) -> tuple[str, ...]:
        """The first caption of each image."""
        return tuple(ground_truth.texts[index][0] for index in indices.tolist())

    def _losses(self, maps: Tensor, targets: Sequence[Sequence[Words]]) -> dict[str, Tensor]:
        encoded = encode_sentences(self.vocabulary, targets, maps.device.type)
        words, attention = self.negative_log_likelihoods(maps, encoded)
        attended = (attention * encoded.counted[:, :, None]).sum(1)
        penalty = PENALTY * ((1 - attended) ** 2).sum(1)
        # As in the paper the penalty is one of a sentence; here everything is divided by the number of words.
        spread = encoded.counted * (penalty / encoded.lengths)[:, None]
        likelihood = encoded.mean_by_image(words).mean()
        return {"loss": likelihood + encoded.mean_by_image(spread).mean(), "cross_entropy": likelihood}


TASK = Caption
