"""What a report shows of an embedding: errors of pairs, nearest neighbors, a map with clusters, and the worst pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from convolve.datasets.images import to_channels
from convolve.errors import ImageError
from convolve.explainers.embedding import FEWEST
from convolve.metrics.verification import distances_between
from convolve.reports.report import Headline, Section, format_count, percent, thousands
from convolve.reports.thumbnails import thumbnail
from convolve.tasks.embed.clusters import MAPPED, find_clusters
from convolve.tasks.embed.evaluation import FALSE_ACCEPTANCES, Evaluation
from convolve.tasks.embed.options import INFO
from convolve.values import Dataset, Images, Indices

_HOME = "convolve.tasks.embed"
_QUERIES, _NEIGHBORS, _PAIRS, _CLUSTERS, _MEMBERS = 12, 6, 8, 12, 9
"""How many of each a report shows."""
_SIDE = 88
_NAMED = 20


@dataclass(frozen=True)
class Tile:
    """An image (a data URI), its file's name and its identity; whether it is a ``hit``, None where nothing is asked."""

    image: str
    name: str
    identity: str
    hit: bool | None = None
    note: str = ""


def headlines(evaluation: Evaluation) -> tuple[Headline, ...]:
    """The metrics, with what they are measured on; a dash where there are too few pairs."""
    pairs = evaluation.pairs
    retrieved = format_count(evaluation.images, "images")
    different = format_count(len(pairs.different), "pairs of different identities")
    found = []
    for name, label in INFO.metric_titles.items():
        note = different if name in (*FALSE_ACCEPTANCES, "roc_auc", "eer") else retrieved
        if name in FALSE_ACCEPTANCES and math.isnan(evaluation.metrics[name]):
            needed = thousands(round(1 / FALSE_ACCEPTANCES[name]))
            note = f"undefined: {different}, and {needed} are needed"
        found.append(Headline(label, percent(evaluation.metrics[name]), note))
    return tuple(found)


def console_output(evaluation: Evaluation) -> Iterator[RenderableType]:
    """The metrics, whose identities they are of, and the errors at the threshold."""
    for position, headline in enumerate(headlines(evaluation)):
        text = f"{evaluation.split} {headline.label} {headline.value} ({headline.note})"
        yield Text(text, style="" if position else "bold")
    identities = format_count(len(np.unique(evaluation.labels)), "identities")
    yield Text(f"{identities}, {evaluation.unseen} of them unseen in training")
    far, tar = evaluation.pairs.rates(evaluation.threshold.distance)
    yield Text(
        f"below the threshold of {evaluation.threshold.distance:.3f}: FAR {percent(far)}, FRR {percent(1 - tar)} here; "
        f"FAR {percent(evaluation.threshold.far)}, FRR {percent(evaluation.threshold.frr)} on the validation split"
    )


def report_sections(evaluation: Evaluation, dataset: Dataset) -> tuple[tuple[Headline, ...], tuple[Section, ...]]:
    """Headlines and sections of one evaluation."""
    images = dataset.images.take(evaluation.indices)
    sections = [_neighbor_section(evaluation, images)]
    if evaluation.images >= FEWEST:
        sections.append(_cluster_section(evaluation, images))
    if evaluation.pairs.is_defined:
        sections = [_verification_section(evaluation), *sections, _pair_section(evaluation, images)]
    return headlines(evaluation), tuple(sections)


def _verification_section(evaluation: Evaluation) -> Section:
    from convolve.reports.drawing import as_svg
    from convolve.tasks.embed.charts import distance_figure, roc_figure

    pairs, threshold = evaluation.pairs, evaluation.threshold
    far, tar = pairs.rates(threshold.distance)
    context = {
        "roc": as_svg(roc_figure(pairs, threshold.distance), "roc"),
        "histogram": as_svg(distance_figure(pairs, threshold.distance), "distances"),
        "same": len(pairs.same),
        "different": len(pairs.different),
        "images": evaluation.images,
        "paired": evaluation.paired,
        "identities": len(np.unique(evaluation.labels)),
        "unseen": evaluation.unseen,
        "threshold": threshold,
        "far": far,
        "frr": 1 - tar,
    }
    return Section("verification", "Verification", (_HOME, "verification.html.j2"), context)


def _neighbor_section(evaluation: Evaluation, images: Images) -> Section:
    """Queries evenly spread over AP@R, from the worst to the best."""
    precision = evaluation.retrieval.average_precision
    order = np.argsort(precision, kind="stable")[: int((~np.isnan(precision)).sum())]
    rows = []
    for query in _spread(order, _QUERIES).tolist():
        near = evaluation.retrieval.neighbors[query, :_NEIGHBORS].tolist()
        distances = distances_between(evaluation.embeddings[[query]], evaluation.embeddings[near])[0]
        tiles = [_tile(evaluation, images, query)]
        tiles += [
            _tile(evaluation, images, index, evaluation.labels[index] == evaluation.labels[query], f"{distance:.3f}")
            for index, distance in zip(near, distances, strict=True)
        ]
        rows.append([tile for tile in tiles if tile])
    template, notebook = (_HOME, "neighbors.html.j2"), (_HOME, "neighbors_notebook.html.j2")
    return Section("neighbors", "Nearest neighbors", template, {"rows": rows}, notebook)


def _cluster_section(evaluation: Evaluation, images: Images) -> Section:
    from convolve.explainers.embedding import embed
    from convolve.reports.drawing import as_svg
    from convolve.reports.embedding_figure import points_figure

    clusters = find_clusters(evaluation.embeddings, evaluation.labels, evaluation.threshold.distance)
    labels = evaluation.labels[clusters.images]
    named = np.sort(np.argsort(-np.bincount(labels), kind="stable")[: min(_NAMED, len(np.unique(labels)))])
    shown = np.isin(labels, named)
    points = embed(evaluation.embeddings[clusters.images], "tsne")
    names = [evaluation.identities[index] for index in named.tolist()]
    figure = points_figure([("t-SNE", points[shown])], np.searchsorted(named, labels[shown]), names)
    rows = []
    for members in clusters.largest(_CLUSTERS):
        tiles = (_tile(evaluation, images, index) for index in _spread(members, _MEMBERS).tolist())
        rows.append((len(members), [tile for tile in tiles if tile]))
    context = {
        "figure": as_svg(figure, "map"),
        "clusters": clusters,
        "images": len(clusters.images),
        "limited": evaluation.images > MAPPED,
        "identities": len(np.unique(labels)),
        "named": len(named),
        "threshold": evaluation.threshold.distance,
        "rows": rows,
    }
    return Section("clusters", "Clusters", (_HOME, "clusters.html.j2"), context)


def _pair_section(evaluation: Evaluation, images: Images) -> Section:
    """Of the images that are mapped: pairs of one identity that are farthest, of two that are nearest."""
    chosen = np.arange(evaluation.images)[:MAPPED]
    rows, columns = np.triu_indices(len(chosen), 1)
    embeddings, labels = evaluation.embeddings[chosen], evaluation.labels[chosen]
    distances = distances_between(embeddings, embeddings)[rows, columns]
    same = labels[rows] == labels[columns]

    def pairs(order: Indices) -> list[tuple[list[Tile], float]]:
        found = []
        for index in order[:_PAIRS].tolist():
            tiles = [_tile(evaluation, images, int(each[index])) for each in (rows, columns)]
            found.append(([tile for tile in tiles if tile], float(distances[index])))
        return found

    farthest = np.flatnonzero(same)[np.argsort(-distances[same], kind="stable")]
    nearest = np.flatnonzero(~same)[np.argsort(distances[~same], kind="stable")]
    context = {
        "farthest": pairs(farthest),
        "nearest": pairs(nearest),
        "threshold": evaluation.threshold.distance,
    }
    return Section("pairs", "Worst pairs", (_HOME, "pairs.html.j2"), context)


def _spread(rows: Indices, count: int) -> Indices:
    """So many of them or fewer, from the first to the last."""
    positions: Indices = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64))
    return np.asarray(rows[positions], np.int64)


def _tile(evaluation: Evaluation, images: Images, index: int, hit: bool | None = None, note: str = "") -> Tile | None:
    """An image that can still be read."""
    with suppress(ImageError):
        uri = thumbnail(to_channels(images.read(index, _SIDE), 3), _SIDE)
        return Tile(uri, images.name(index), evaluation.identities[evaluation.labels[index]], hit, note)
    return None
