"""Who is there: embeddings of found faces, compared with those of enrolled people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convolve.errors import DataError
from convolve.face_recognition.faces import FoundFace
from convolve.metrics.verification import Doubles, Verification, distances_between
from convolve.values import Floats, Indices, Pixels

FAR = 0.01
LEAST = 100
"""Comparisons of photographs with other people, below which a FAR of 1 % cannot be measured."""


@dataclass(frozen=True, eq=False)
class Enrolled:
    """People's ``names``, whose photographs are the rows of ``embeddings`` (N, D), of ``people`` (N,); and the faces
    in them.
    """

    names: tuple[str, ...]
    embeddings: Floats
    people: Indices
    crops: tuple[Pixels, ...]

    def means(self) -> Floats:
        """(people, D) the mean embedding of each person, of length 1."""
        sums = np.zeros((len(self.names), self.embeddings.shape[1]), np.float32)
        np.add.at(sums, self.people, self.embeddings)
        return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), np.float32)

    def comparisons(self) -> Verification:
        """Distances of each photograph from its own person's mean without it, where there are others, and from the
        means of all other people: what is compared when faces are recognized.
        """
        means, same, different = self.means(), list[float](), list[Doubles]()
        for row, person in enumerate(self.people.tolist()):
            own = self.embeddings[row : row + 1]
            others = np.delete(np.flatnonzero(self.people == person), np.flatnonzero(self.people == person) == row)
            if len(others):
                mean = self.embeddings[others].mean(0, keepdims=True)
                same.append(float(distances_between(own, mean / np.linalg.norm(mean))[0, 0]))
            different.append(np.delete(distances_between(own, means)[0], person))
        return Verification(np.sort(np.array(same)), np.sort(np.concatenate(different)))


@dataclass(frozen=True)
class Limit:
    """From which ``distance`` on a face is nobody's who is enrolled; the FAR and FRR measured there, nan where unknown,
    and ``source``, a sentence on what they were measured on.
    """

    distance: float
    far: float
    frr: float
    source: str


def calibrate(enrolled: Enrolled) -> Limit:
    """The limit at which a photograph of an enrolled person is taken for a certain other one in at most 1 % of all
    comparisons. Raises `DataError` where there are too few photographs to measure that.
    """
    pairs = enrolled.comparisons()
    if not len(pairs.same):
        raise DataError(
            "Each person is enrolled with one photograph, so that nothing says how much photographs of one person "
            "differ; enroll two of some people, or leave out --calibrate for the threshold of the embedding's run."
        )
    if len(pairs.different) < LEAST:
        raise DataError(
            f"{len(enrolled.people)} photographs of {len(enrolled.names)} people give {len(pairs.different)} "
            f"comparisons of different people, and {LEAST} are needed to measure a false acceptance rate of 1 %; "
            "enroll more, or leave out --calibrate for the threshold of the embedding's run."
        )
    distance = pairs.threshold_at(FAR)
    far, tar = pairs.rates(distance)
    source = (
        f"calibrated on the enrolled photographs: {len(pairs.different):,} comparisons of different people, "
        f"{len(pairs.same):,} of the same"
    )
    return Limit(distance, far, 1 - tar, source)


def chance_of_a_stranger(far: float, people: int) -> float:
    """The probability that somebody who is not enrolled is taken for one of so many people, where each comparison errs
    by itself with a probability of ``far``.
    """
    return 1.0 - (1.0 - far) ** people


@dataclass(frozen=True, eq=False)
class Sighting:
    """A face in a photograph: the index of the nearest enrolled person and the distance; ``person`` is None for who is
    unknown.
    """

    photograph: str
    face: FoundFace
    nearest: int
    distance: float
    person: int | None


def recognize(photograph: str, faces: Sequence[FoundFace], distances: Doubles, limit: float) -> list[Sighting]:
    """Whose the faces of one photograph are, by their distances (faces, people). Nobody is there twice: of two faces
    the nearer one is the person's, and the other may be that of the next nearest.
    """
    order = np.argsort(distances, axis=None, kind="stable")
    person_of: dict[int, int] = {}
    for face, person in zip(*np.unravel_index(order, distances.shape), strict=True):
        near = distances[face, person] < limit
        if near and int(face) not in person_of and int(person) not in person_of.values():
            person_of[int(face)] = int(person)
    found = []
    for row, face in enumerate(faces):
        own = person_of.get(row)
        nearest = int(distances[row].argmin()) if own is None else own
        found.append(Sighting(photograph, face, nearest, float(distances[row, nearest]), own))
    return found
