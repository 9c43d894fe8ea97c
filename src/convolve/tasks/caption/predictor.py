"""How a run's network writes captions for images of any size."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.datasets.sentences import Words, sentence_of
from convolve.files import atomic_write, check_replaceable, write_text
from convolve.layers.caption_head import Sentence
from convolve.marks import OVERLAY, has_mark, save_jpeg
from convolve.runtime import Runtime
from convolve.tasks.caption.attention import draw_attention
from convolve.tasks.caption.options import CaptionPredictOptions
from convolve.untrusted.files import read_start
from convolve.values import Images, Pixels, Preprocessing

if TYPE_CHECKING:
    from convolve.tasks.caption.task import Caption

_RESULTS, _START = "results.json", '[{"image_id": '
_QUALITY = 92


@dataclass(frozen=True)
class WrittenCaption:
    """An image's ``caption``, the logarithm of its probability and the ``overlay`` that was written; ``error`` says why
    an image could not be read.
    """

    image: str
    caption: str = ""
    log_probability: float = 0.0
    overlay: str = ""
    error: str = ""

    def cells(self) -> Mapping[str, str]:
        """For people."""
        found = {"image": self.image, "caption": self.caption, "log probability": f"{self.log_probability:.2f}"}
        return found | ({"overlay": self.overlay} if self.overlay else {})

    def entries(self) -> Sequence[Mapping[str, str]]:
        """For programs."""
        probability = "" if self.error else f"{self.log_probability:.6f}"
        row = {"image": self.image, "caption": self.caption, "log_probability": probability}
        return [{**row, "error": self.error}]

    def as_json(self) -> dict[str, Any]:
        """Plain text and a number."""
        return asdict(self)


@final
class CaptionPredictor:
    """Writes captions, and the files."""

    batch_size = 16

    def __init__(
        self, task: Caption, preprocessing: Preprocessing, runtime: Runtime, options: CaptionPredictOptions
    ) -> None:
        self._task, self._preprocessing, self._runtime, self._out = task, preprocessing, runtime, options.out
        self._beam = options.beam or task.beam
        self._taken: set[str] = set()
        if self._out:
            check_replaceable(self._out / _RESULTS, _is_results, "file of results that convolve wrote")

    def read(self, images: Images, index: int) -> Pixels:
        """The image as the network sees it. Raises `ImageError`."""
        return fit_to_input(images.read(index, least_side(self._preprocessing)), self._preprocessing)

    def predict(self, names: Sequence[str], inputs: Sequence[Pixels]) -> Iterator[WrittenCaption]:
        """In order."""
        if not inputs:
            return
        images = self._runtime.images(normalize(np.stack(inputs), self._preprocessing))
        with torch.inference_mode(), self._runtime.arithmetic():
            maps = self._task.maps(images)
            found = [self._task.head.search(each[None], self._beam) for each in maps]
        for name, pixels, sentence in zip(names, inputs, found, strict=True):
            words = self._task.vocabulary.decode(sentence.words)
            overlay = self._write(name, pixels, words, sentence) if self._out else ""
            yield WrittenCaption(name, sentence_of(words), sentence.log_probability, overlay)

    def unreadable(self, name: str, error: str) -> WrittenCaption:
        """Without a caption."""
        return WrittenCaption(name, error=error)

    def total(self, predictions: Sequence[WrittenCaption]) -> Mapping[str, str]:
        """No row."""
        del predictions
        return {}

    def finish(self, predictions: Sequence[WrittenCaption]) -> Path | None:
        """COCO's results of all images. An image's number is the one that its file is called by, as COCO's are, where
        all are called by different ones; else they count from 1.
        """
        if not self._out:
            return None
        readable = [one for one in predictions if not one.error]
        stems = [PurePath(one.image).stem.rpartition("_")[2] for one in readable]
        numbered = all(stem.isdecimal() and stem.isascii() for stem in stems)
        numbers = [int(stem) for stem in stems] if numbered else []
        if len(set(numbers)) < len(readable):
            numbers = list(range(1, len(readable) + 1))
        rows = [
            {"image_id": number, "caption": one.caption, "file_name": PurePath(one.image).name}
            for number, one in zip(numbers, readable, strict=True)
        ]
        path = self._out / _RESULTS
        write_text(path, json.dumps(rows, ensure_ascii=False))
        return path

    def _write(self, name: str, pixels: Pixels, words: Words, sentence: Sentence) -> str:
        """The drawn attention, named after the image, and numbered where several have one name; its path, or nothing of
        a network without attention.
        """
        if not sentence.attention.numel() or self._out is None:
            return ""
        stem = PurePath(name).stem
        names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 10**9))
        stem = next(each for each in names if each not in self._taken)
        self._taken.add(stem)
        path = self._out / f"{stem}{OVERLAY}"
        check_replaceable(path, has_mark, "prediction that convolve wrote")
        drawn = draw_attention(pixels, words, sentence.attention.cpu().numpy())
        with atomic_write(path) as draft:
            save_jpeg(drawn, draft, _QUALITY)
        return str(path)


def _is_results(path: Path) -> bool:
    return read_start(path, len(_START)) in (_START.encode(), b"[]")
