"""Why average precision is lost: the six kinds of error of TIDE, and what each costs.

Bolya, Foley, Hays, Hoffman, "TIDE: A General Toolbox for Identifying Object Detection Errors" (2020), sections 2.2 and
2.3. A detection that takes no object (`match_best_free` at the overlap t_f = 0.5) is an error of the first kind that
fits, in the order of the authors' program; t_b is 0.1, and an overlap is the greatest with any such object:

- localization: the overlap with an object of its class is from t_b to below t_f;
- classification: the overlap with an object of another class is t_f or more;
- duplicate: the overlap with an object of its class is t_f or more, which a higher score has taken;
- background: no overlap reaches t_b;
- both (wrong class and badly localized): all others.

An object is missed if no detection takes it and no error of localization or classification could be fixed to take it.
A kind's cost is how much average precision at t_f rises if an oracle fixes its errors alone. The detection of highest
score that an error of localization or classification could give to an object becomes true, and of its class; all other
errors of detection vanish. Missed objects are no longer looked for. The false positives' cost is that of all false
detections having the lowest scores; the false negatives' that of all objects without a detection not being looked for.
No cost is below 0. Errors hide each other, so that the costs do not add up to what is lost.

Deviations from the program: crowds and difficult objects are ignored by COCO's rule of matching, an overlap of exactly
t_f is not an error of localization, detections of an image have no limit, the 101 recalls are COCO's to the last bit,
and the mean is over the classes that have objects, whatever is detected: one that has lost all of them to an oracle has
average precision 0.

>>> objects = ObjectBoxes.of(np.array([[0.0, 0, 4, 4], [5, 5, 9, 9]]), np.array([0, 1]), np.array([0, 0]))
>>> boxes = np.array([[0.0, 0, 4, 1], [0, 0, 3, 4]])
>>> detections = Detections(boxes, np.array([0.9, 0.8]), np.array([0, 0]), np.array([0, 0]))
>>> costs = error_costs(objects, find_errors(objects, detections, classes=2))
>>> costs.average_precision, costs.localization, costs.missed
(0.25, ErrorCost(count=1, cost=0.25), ErrorCost(count=1, cost=0.0))
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, final

import numpy as np

from convolve.metrics.confusion import Fractions
from convolve.metrics.detection_matching import best_overlaps, find_overlaps
from convolve.metrics.detections import Detections, ObjectBoxes
from convolve.metrics.precision_recall import JudgedDetections, class_average_precision, judge_detections
from convolve.metrics.ranking import nanmean
from convolve.values import Flags, Indices

FOREGROUND: Final = 0.5
"""The overlap t_f from which on a detection finds an object."""
BACKGROUND: Final = 0.1
"""The overlap t_b below which a detection has nothing to do with an object."""
KINDS: Final = ("classification", "localization", "both", "duplicate", "background")
"""The kinds of a false detection; a missed object is the sixth kind of error."""
_CLASSIFICATION, _LOCALIZATION, _BOTH, _DUPLICATE, _BACKGROUND = range(5)


@final
@dataclass(frozen=True, eq=False)
class FoundErrors:
    """The errors among K judged detections and M objects.

    ``kinds`` (K,) are indices of `KINDS`, -1 for a true detection; ``sources`` (K,) the object that an error of
    classification or localization is about, -1 for others. ``fixable`` (K,) says which of these an oracle would make
    true; ``missed`` (M,) which objects are missed.
    """

    judged: JudgedDetections
    kinds: Indices
    sources: Indices
    fixable: Flags
    missed: Flags


@dataclass(frozen=True)
class ErrorCost:
    """How many errors there are, and the average precision, from 0 to 1, that they cost."""

    count: int
    cost: float


@dataclass(frozen=True)
class ErrorCosts:
    """The ``average_precision`` at the overlap `FOREGROUND`, and what each kind of error costs; nan without objects."""

    average_precision: float
    classification: ErrorCost
    localization: ErrorCost
    both: ErrorCost
    duplicate: ErrorCost
    background: ErrorCost
    missed: ErrorCost
    false_positives: ErrorCost
    false_negatives: ErrorCost


def find_errors(objects: ObjectBoxes, detections: Detections, classes: int) -> FoundErrors:
    """The kind of each false detection. Raises `DataError` where a class index is not below ``classes``."""
    judged = judge_detections(objects, detections, classes, FOREGROUND)
    ranked, count = detections.take(judged.rows), len(judged.rows)
    sought = np.flatnonzero(~objects.ignored)
    overlaps = find_overlaps(objects.take(sought), ranked, BACKGROUND, same_class=False)
    rows, columns = overlaps.detections, sought[overlaps.objects]
    same = objects.classes[columns] == judged.classes[rows]
    own, own_iou = best_overlaps(rows[same], columns[same], overlaps.iou[same], count)
    other, other_iou = best_overlaps(rows[~same], columns[~same], overlaps.iou[~same], count)
    fits = (
        (judged.true, -1),
        ((own_iou >= BACKGROUND) & (own_iou < FOREGROUND), _LOCALIZATION),
        (other_iou >= FOREGROUND, _CLASSIFICATION),
        (own_iou >= FOREGROUND, _DUPLICATE),
        (np.maximum(own_iou, other_iou) < BACKGROUND, _BACKGROUND),
    )
    kinds = np.select([condition for condition, _ in fits], [kind for _, kind in fits], _BOTH).astype(np.int64)
    sources = np.select([kinds == _LOCALIZATION, kinds == _CLASSIFICATION], [own, other], -1)
    free = ~objects.ignored
    free[judged.matches[judged.true]] = False
    fixable = _best_for_each(judged, sources, free)
    missed = free.copy()
    missed[sources[fixable]] = False
    return FoundErrors(judged, kinds, sources, fixable, missed)


def error_costs(objects: ObjectBoxes, errors: FoundErrors) -> ErrorCosts:
    """What the errors cost that `find_errors` gives for these objects."""
    judged = errors.judged
    before = _average_precision(judged, judged.positives)
    missed = np.bincount(objects.classes[errors.missed], minlength=len(judged.positives))
    found = np.bincount(judged.classes[judged.true], minlength=len(judged.positives))

    def cost(count: int, fixed: JudgedDetections) -> ErrorCost:
        return ErrorCost(count, _average_precision(fixed, judged.positives) - before)

    kinds = [cost(int((errors.kinds == kind).sum()), _fix_errors(objects, errors, kind)) for kind in range(len(KINDS))]
    lowered = replace(judged, scores=judged.true.astype(np.float64))
    return ErrorCosts(
        average_precision=before,
        classification=kinds[_CLASSIFICATION],
        localization=kinds[_LOCALIZATION],
        both=kinds[_BOTH],
        duplicate=kinds[_DUPLICATE],
        background=kinds[_BACKGROUND],
        missed=cost(int(missed.sum()), replace(judged, positives=judged.positives - missed)),
        false_positives=cost(int((~judged.true).sum()), _reordered(lowered)),
        false_negatives=cost(int((judged.positives - found).sum()), replace(judged, positives=found)),
    )


def _best_for_each(judged: JudgedDetections, sources: Indices, free: Flags) -> Flags:
    """(K,) of the errors about each object that is still free the one of highest score; of several the first row."""
    about = np.flatnonzero(np.append(free, False)[sources])
    order = about[np.lexsort((judged.rows[about], -judged.scores[about], sources[about]))]
    _, first = np.unique(sources[order], return_index=True)
    best = np.zeros(len(sources), dtype=np.bool_)
    best[order[first]] = True
    return best


def _fix_errors(objects: ObjectBoxes, errors: FoundErrors, kind: int) -> JudgedDetections:
    """The detections without errors of a kind: they are true now, or gone."""
    judged, wrong = errors.judged, errors.kinds == kind
    true_now = wrong & errors.fixable
    fixed = replace(
        judged,
        classes=np.where(true_now, np.append(objects.classes, -1)[errors.sources], judged.classes),
        matches=np.where(true_now, errors.sources, judged.matches),
    )
    return _reordered(fixed, ~wrong | true_now)


def _reordered(judged: JudgedDetections, chosen: Flags | None = None) -> JudgedDetections:
    """The chosen detections (K,), or all, in the order of their classes and descending scores."""
    rows = np.arange(len(judged.rows)) if chosen is None else np.flatnonzero(chosen)
    order = rows[np.lexsort((-judged.scores[rows], judged.classes[rows]))]
    return replace(
        judged,
        rows=judged.rows[order],
        scores=judged.scores[order],
        classes=judged.classes[order],
        matches=judged.matches[order],
    )


def _average_precision(judged: JudgedDetections, objects: Indices) -> float:
    """The mean over the classes that have ``objects`` (C,)."""
    values: Fractions = np.nan_to_num(class_average_precision(judged))
    return nanmean(values[objects > 0])
