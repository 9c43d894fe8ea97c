"""What a report shows of captions: their metrics, how much is learned by heart, examples, and attention."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convolve.datasets.images import to_channels
from convolve.datasets.preprocess import fit_to_input, least_side, normalize
from convolve.errors import ImageError
from convolve.reports.report import Headline, Section, format_count, percent
from convolve.tasks.caption.attention import draw_attention
from convolve.tasks.caption.evaluation import EvaluatedCaption, Evaluation
from convolve.tasks.caption.options import INFO
from convolve.training.evaluation import evaluation_mode
from convolve.values import Dataset, Preprocessing

if TYPE_CHECKING:
    from convolve.runtime import Runtime
    from convolve.tasks.caption.task import Caption

_HOME = "convolve.tasks.caption"
_EXAMPLES, _DRAWN, _FREQUENT = 12, 4, 15
"""How many images a report shows, of how many what the network looks at, and how many words."""
_SIDE, _QUALITY = 240, 88
_BY_HEART = 2.0
"""Where BLEU-4 of training images is so many times that of others, and a fifth at least, the network overfits."""
_FIFTH = 0.2


@dataclass(frozen=True)
class Example:
    """An image (a data URI) with what was written, and what people wrote."""

    name: str
    image: str
    caption: str
    references: tuple[str, ...]
    note: str
    repeated: bool


def format_metric(name: str, value: float) -> str:
    """BLEU and fractions in percent, CIDEr and perplexity as they are; a dash where there is none."""
    if np.isnan(value):
        return "–"
    if name in ("cider", "perplexity"):
        return f"{value:.2f}" if value < 1e5 else f"{value:.1e}"
    return percent(value)


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics, each with that of training images where it is known."""
    notes = {
        name: f"training images {format_metric(name, value)}"
        for name, value in evaluation.training.items()
        if name in INFO.metric_titles
    }
    return tuple(
        Headline(label, format_metric(name, evaluation.metrics[name]), notes.get(name, ""))
        for name, label in INFO.metric_titles.items()
    )


def overfitting(evaluation: Evaluation) -> str:
    """A sentence that says by how much captions of training images are better; empty where they hardly are."""
    here, there = evaluation.metrics["bleu4"], evaluation.training.get("bleu4", 0.0)
    if evaluation.split == "train" or there < max(_FIFTH, _BY_HEART * here):
        return ""
    return f"The network overfits: BLEU-4 is {percent(there)} on training images and {percent(here)} on others."


def repetition(evaluation: Evaluation) -> str:
    """How many captions are those of training images, and how many differ from each other."""
    repeated, count = sum(one.repeated for one in evaluation.each), len({one.caption for one in evaluation.each})
    return (
        f"{repeated:,} of {format_count(evaluation.images, 'captions')} are a caption of a training image word for "
        f"word, and {count:,} differ from each other."
    )


def report_sections(
    task: Caption, evaluation: Evaluation, dataset: Dataset, preprocessing: Preprocessing, runtime: Runtime
) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation."""
    order = sorted(evaluation.each, key=lambda one: -one.cider)
    chosen = [order[index] for index in np.unique(np.linspace(0, len(order) - 1, _EXAMPLES).astype(int)).tolist()]
    context: dict[str, object] = {"examples": find_examples(dataset, chosen)}
    template, notebook = (_HOME, "examples.html.j2"), (_HOME, "examples.html.j2")
    sections = [_quality_section(evaluation), Section("examples", "Examples", template, context, notebook)]
    drawn = _draw(task, dataset, chosen[:: max(1, len(chosen) // _DRAWN)][:_DRAWN], preprocessing, runtime)
    if drawn:
        sections.append(Section("attention", "Attention", (_HOME, "attention.html.j2"), {"drawn": drawn}))
    return headlines(evaluation), (*sections, _word_section(evaluation))


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The headline metric, all of them next to those of training images, and how much is learned by heart."""
    first, *_ = headlines(evaluation)
    yield Text(f"{evaluation.split} {first.label} {first.value} ({format_count(evaluation.images, 'images')})", "bold")
    table = Table("", box=None, header_style="bold")
    for title in INFO.metric_titles.values():
        table.add_column(title, justify="right")
    rows = {evaluation.split: evaluation.metrics}
    rows |= {"training images": evaluation.training} if evaluation.training else {}
    for name, metrics in rows.items():
        table.add_row(name, *(format_metric(each, metrics.get(each, np.nan)) for each in INFO.metric_titles))
    yield table
    yield Text(repetition(evaluation))
    if said := overfitting(evaluation):
        yield Text(said)


def find_examples(dataset: Dataset, chosen: Sequence[EvaluatedCaption]) -> tuple[Example, ...]:
    """Some images with their captions; one that cannot be read any more is left out."""
    found: list[Example] = []
    for one in chosen:
        with suppress(ImageError):
            image = Image.fromarray(to_channels(dataset.images.read(one.index, _SIDE), 3))
            image.thumbnail((_SIDE, _SIDE))
            note = f"CIDEr {one.cider:.2f}, log probability {one.log_probability:.1f}"
            found.append(Example(one.name, _encode(image), one.caption, one.references, note, one.repeated))
    return tuple(found)


def _draw(
    task: Caption,
    dataset: Dataset,
    chosen: Sequence[EvaluatedCaption],
    preprocessing: Preprocessing,
    runtime: Runtime,
) -> list[tuple[str, str]]:
    """The names of some images and what the network looks at in them (data URIs); none of one without attention."""
    found: list[tuple[str, str]] = []
    for one in chosen:
        with suppress(ImageError), evaluation_mode(task.network):
            pixels = fit_to_input(dataset.images.read(one.index, least_side(preprocessing)), preprocessing)
            with torch.inference_mode(), runtime.arithmetic():
                maps = task.maps(runtime.images(normalize(pixels[None], preprocessing)))
                sentence = task.head.search(maps, task.beam)
            if sentence.attention.numel():
                words = task.vocabulary.decode(sentence.words)
                found.append((one.name, _encode(draw_attention(pixels, words, sentence.attention.cpu().numpy()))))
    return found


def _encode(image: Image.Image) -> str:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=_QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode('ascii')}"


def _quality_section(evaluation: Evaluation) -> Section:
    columns = [(evaluation.split, evaluation.metrics)]
    columns += [("training images", evaluation.training)] if evaluation.training else []
    rows = [
        (title, [format_metric(name, metrics.get(name, np.nan)) for _, metrics in columns])
        for name, title in INFO.metric_titles.items()
    ]
    context = {
        "columns": [name for name, _ in columns],
        "rows": rows,
        "overfitting": overfitting(evaluation),
        "repetition": repetition(evaluation),
        "sample": int(evaluation.training.get("images", 0)),
    }
    return Section("quality", "Quality", (_HOME, "quality.html.j2"), context)


def _word_section(evaluation: Evaluation) -> Section:
    totals = (max(1, sum(counts.values())) for counts in (evaluation.written, evaluation.expected))
    written, expected = totals
    frequent = sorted(evaluation.written.items(), key=lambda each: (-each[1], each[0]))[:_FREQUENT]
    rows = [
        (word, count, percent(count / written), percent(evaluation.expected.get(word, 0) / expected))
        for word, count in frequent
    ]
    context = {"rows": rows, "written": len(evaluation.written), "expected": len(evaluation.expected)}
    return Section("words", "Words", (_HOME, "words.html.j2"), context)
