"""Who is recognized, and how the threshold follows from the enrolled photographs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from convolve.errors import DataError
from convolve.face_recognition.faces import FoundFace
from convolve.face_recognition.roll import Enrolled, calibrate, chance_of_a_stranger, recognize

CROP = np.zeros((112, 112, 3), np.uint8)
FACES = [FoundFace((0.0, 0.0, 1.0, 1.0), 0.9, CROP) for _ in range(3)]


def enrolled(people: int, photographs: int, spread: float = 0.3, seed: int = 0) -> Enrolled:
    random = np.random.default_rng(seed)
    owners = np.repeat(np.arange(people), photographs)
    rows = random.normal(size=(people, 16))[owners] + random.normal(0, spread, (people * photographs, 16))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return Enrolled(tuple(f"p{index}" for index in range(people)), rows, owners, (CROP,) * len(rows))


def test_a_face_is_the_nearest_persons_below_the_limit() -> None:
    distances = np.array([[0.2, 0.9], [1.2, 1.1], [0.8, 0.4]])
    found = recognize("a.jpg", FACES, distances, 1.0)
    assert [(one.person, one.distance) for one in found] == [(0, 0.2), (None, 1.1), (1, 0.4)]
    assert [one.nearest for one in found] == [0, 1, 1]


def test_nobody_is_there_twice_in_one_photograph() -> None:
    """Both are nearest to the first person; the second face is farther, and the next person is near enough."""
    found = recognize("a.jpg", FACES[:2], np.array([[0.2, 0.9], [0.3, 0.5]]), 1.0)
    assert [one.person for one in found] == [0, 1]
    strict = recognize("a.jpg", FACES[:2], np.array([[0.2, 0.9], [0.3, 0.5]]), 0.4)
    assert [(one.person, one.nearest, one.distance) for one in strict] == [(0, 0, 0.2), (None, 0, 0.3)]


def test_a_distance_at_the_limit_is_unknown() -> None:
    assert recognize("a.jpg", FACES[:1], np.array([[0.5]]), 0.5)[0].person is None


def test_comparisons_leave_out_the_photograph_itself() -> None:
    people = enrolled(4, 3)
    same: list[float] = []
    different: list[float] = []
    for row in range(12):
        for person in range(4):
            others = [index for index in range(12) if people.people[index] == person and index != row]
            mean = np.mean([people.embeddings[index] for index in others], axis=0)
            distance = float(np.linalg.norm(people.embeddings[row] - mean / np.linalg.norm(mean)))
            (same if person == people.people[row] else different).append(distance)
    found = people.comparisons()
    assert np.allclose(found.same, sorted(same), atol=1e-5)
    assert np.allclose(found.different, sorted(different), atol=1e-5)


def test_the_calibrated_limit_accepts_one_percent() -> None:
    people = enrolled(12, 4, spread=0.8)
    found = calibrate(people)
    pairs = people.comparisons()
    assert (pairs.different < found.distance).mean() == pytest.approx(found.far)
    assert found.far <= 0.01 < (pairs.different <= np.nextafter(found.distance, 2)).mean()
    assert found.frr == pytest.approx((pairs.same >= found.distance).mean())
    assert "528 comparisons of different people, 48 of the same" in found.source


def test_too_few_photographs_are_refused() -> None:
    with pytest.raises(DataError, match="with one photograph"):
        calibrate(enrolled(30, 1))
    with pytest.raises(DataError, match="24 comparisons of different people, and 100 are needed"):
        calibrate(enrolled(3, 4))


def test_strangers() -> None:
    """By simulation: how often at least one of so many comparisons errs."""
    errs = np.random.default_rng(0).random((200_000, 30)) < 0.01
    assert chance_of_a_stranger(0.01, 30) == pytest.approx(errs.any(1).mean(), abs=0.003)
    assert chance_of_a_stranger(0.0, 30) == 0
    assert math.isclose(chance_of_a_stranger(0.2, 1), 0.2)
