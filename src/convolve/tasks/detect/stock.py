"""What is on a shelf over a series of photographs: objects by region and class, and what there is too little of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from convolve.datasets.photo_time import PhotoTime
from convolve.tasks.detect.shelf import Region

if TYPE_CHECKING:
    from convolve.tasks.detect.prediction import BoxPrediction

_COLUMNS = ("time", "time_from", "region", "class", "count", "minimum", "below")


@dataclass(frozen=True)
class Shortage:
    """A class of which a region has fewer than its ``minimum``."""

    region: str
    name: str
    count: int
    minimum: int


@dataclass(frozen=True)
class Stock:
    """One photograph's time, and how many objects of each class the ``regions`` have, in their order; nothing of an
    image that cannot be read.
    """

    time: PhotoTime | None = None
    regions: tuple[Region, ...] = ()
    counts: tuple[Mapping[str, int], ...] = ()

    @property
    def shortages(self) -> tuple[Shortage, ...]:
        """Where objects are fewer than the minimum."""
        return tuple(
            Shortage(region.name, name, counts[name], least)
            for region, counts in zip(self.regions, self.counts, strict=True)
            for name, least in region.minimums.items()
            if counts[name] < least
        )

    def cells(self) -> Mapping[str, str]:
        """For people: the time, what each region has, and what is below its minimum."""
        words = {
            region.name: ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "none"
            for region, counts in zip(self.regions, self.counts, strict=True)
        }
        few = (f"{one.region}: {one.count} {one.name} of {one.minimum}" for one in self.shortages)
        return {**self._time_columns("time from"), **words, "below minimum": "; ".join(few)}

    def entries(self) -> list[Mapping[str, str]]:
        """For programs: a row for each region and class, those without objects included; or an empty one."""
        return list(self._rows()) or [dict.fromkeys(_COLUMNS, "")]

    def _rows(self) -> Iterator[Mapping[str, str]]:
        for region, counts in zip(self.regions, self.counts, strict=True):
            for name, count in counts.items():
                least = region.minimums.get(name)
                yield {
                    **self._time_columns("time_from"),
                    "region": region.name,
                    "class": name,
                    "count": str(count),
                    "minimum": "" if least is None else str(least),
                    "below": "yes" if least is not None and count < least else "",
                }

    def as_json(self) -> dict[str, Any]:
        """The time, the counts by region and class, and the shortages."""
        return {
            **self._time_columns("time_from"),
            "regions": {region.name: dict(counts) for region, counts in zip(self.regions, self.counts, strict=True)},
            "below_minimum": [asdict(one) for one in self.shortages],
        }

    def _time_columns(self, source: str) -> dict[str, str]:
        return {"time": str(self.time), source: self.time.source} if self.time else {"time": "", source: ""}


def count_stock(time: PhotoTime, regions: tuple[Region, ...], prediction: BoxPrediction) -> Stock:
    """The detections of an image by region: each counts where the center of its box is."""
    boxes = np.array([each.box for each in prediction.detections], dtype=np.float64).reshape(-1, 4)
    centers = (boxes[:, :2] + boxes[:, 2:]) / (2 * np.array(prediction.size[::-1]))
    counts = []
    for region in regions:
        inside = region.contains(centers)
        found = Counter(each.name for each, own in zip(prediction.detections, inside, strict=True) if own)
        counts.append({name: found[name] for name in prediction.names})
    return Stock(time, regions, tuple(counts))


def in_time(predictions: Sequence[BoxPrediction]) -> list[tuple[str, Stock]]:
    """The images that were counted and their stock, the earliest first."""
    found = [(each.stock.time.moment, each.image, each.stock) for each in predictions if each.stock and each.stock.time]
    return [(image, stock) for _, image, stock in sorted(found, key=itemgetter(0))]


def shortage_sentences(predictions: Sequence[BoxPrediction]) -> Iterator[str]:
    """A sentence on each class of a region that is below its minimum in any of the images."""
    series = in_time(predictions)
    for index, region in enumerate(series[0][1].regions if series else ()):
        for name, least in region.minimums.items():
            few = sum(stock.counts[index][name] < least for _, stock in series)
            if few:
                image, latest = series[-1]
                yield (
                    f"{region.name}: {name} is below its minimum of {least} in {few} of {len(series)} images; "
                    f"the latest, {image} ({latest.time}), has {latest.counts[index][name]}."
                )
