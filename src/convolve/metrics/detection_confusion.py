"""The confusion matrix of detections: which classes are taken for each other, what is missed, what is not there.

Detections of at least a score count, whatever their class. In each image, by descending score, each takes the object of
greatest overlap that no other has taken, of any class, if the overlap is at least the threshold; of equal overlaps one
of its own class, then the later object. So each object has at most one detection, and each detection one object. Crowds
and difficult objects come only after all others, and a detection that takes one is left out.

>>> objects = ObjectBoxes.of(np.array([[0.0, 0, 4, 4], [5, 5, 9, 9]]), np.array([0, 1]), np.array([0, 0]))
>>> boxes = np.array([[0.0, 0, 4, 3], [0, 0, 4, 4]])
>>> detections = Detections(boxes, np.array([0.9, 0.8]), np.array([1, 0]), np.array([0, 0]))
>>> detection_confusion(objects, detections, classes=2, score=0.5).tolist()
[[0, 1, 0], [0, 0, 1], [1, 0, 0]]
"""

from __future__ import annotations

import numpy as np

from convolve.metrics.confusion import confusion_matrix
from convolve.metrics.detection_matching import find_overlaps, match_best_free
from convolve.metrics.detections import Detections, ObjectBoxes, check_indices
from convolve.values import Indices


def detection_confusion(
    objects: ObjectBoxes, detections: Detections, classes: int, score: float, iou: float = 0.5
) -> Indices:
    """(classes + 1, classes + 1) int64 counts, a row for each true class and a column for each predicted one.

    The last column holds the objects that are missed, the last row the detections that take no object; their corner is
    0. Raises `DataError` where a class index is not below ``classes``.
    """
    check_indices(objects, detections, classes)
    chosen = detections.take(detections.scores >= score)
    chosen = chosen.take(np.argsort(-chosen.scores, kind="stable"))
    overlaps = find_overlaps(objects, chosen, iou, same_class=False)
    matches = match_best_free(overlaps, objects, chosen, np.array([iou]), objects.ignored)[0]
    counted = ~np.append(objects.ignored, False)[matches]
    missed = ~objects.ignored
    missed[matches[matches >= 0]] = False
    true = np.append(objects.classes, classes)[matches[counted]]
    return confusion_matrix(
        np.concatenate([true, objects.classes[missed]]),
        np.concatenate([chosen.classes[counted], np.full(int(missed.sum()), classes)]),
        classes + 1,
    )
