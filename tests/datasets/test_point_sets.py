"""Points by their names: partners, eyes, lines."""

from __future__ import annotations

from itertools import chain

import pytest

from convolve.datasets.point_sets import COCO, COCO_EDGES, PointSet, describe_points
from convolve.errors import DataError

MPII = (
    "r ankle", "r knee", "r hip", "l hip", "l knee", "l ankle", "pelvis", "thorax", "upper neck", "head top", "r wrist",
    "r elbow", "r shoulder", "l shoulder", "l elbow", "l wrist",
)  # fmt: skip
KAGGLE = (
    "left_eye_center", "right_eye_center", "left_eye_inner_corner", "left_eye_outer_corner", "right_eye_inner_corner",
    "right_eye_outer_corner", "nose_tip", "mouth_left_corner", "mouth_right_corner", "mouth_center_top_lip",
)  # fmt: skip


def named_pairs(names: tuple[str, ...]) -> set[frozenset[str]]:
    found = describe_points(names)
    return {frozenset((names[one], names[other])) for one, other in found.pairs}


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (COCO, {(f"left_{part}", f"right_{part}") for part in
                ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")}),
        (MPII, {(f"l {part}", f"r {part}") for part in ("ankle", "knee", "hip", "wrist", "elbow", "shoulder")}),
        (KAGGLE, {("left_eye_center", "right_eye_center"), ("left_eye_inner_corner", "right_eye_inner_corner"),
                  ("left_eye_outer_corner", "right_eye_outer_corner"), ("mouth_left_corner", "mouth_right_corner")}),
        (("leftEye", "rightEye", "nose"), {("leftEye", "rightEye")}),
        (("lefteye", "righteye", "nose"), {("lefteye", "righteye")}),
        (("p1", "p2", "left_p3"), set()),
    ],
)  # fmt: skip
def test_partners_by_name(names: tuple[str, ...], pairs: set[tuple[str, str]]) -> None:
    assert named_pairs(names) == set(map(frozenset, pairs))


def test_the_table_of_ibug_is_a_reflection() -> None:
    """On an upright symmetric face: the mean of many faces' points, left side mirrored to the right."""
    found = describe_points([f"part_{number}" for number in range(68)])
    assert len(found.pairs) == 29
    alone = {index for index, partner in enumerate(found.partners) if index == partner}
    assert alone == {8, 27, 28, 29, 30, 33, 51, 57, 62, 66}
    assert found.eyes == (36, 45)
    assert "part_36 to part_45" in found.length


def test_lines_stay_on_their_side_when_all_points_are_exchanged() -> None:
    """So a drawing of a flipped object is the flipped drawing."""
    for found in (describe_points([str(number) for number in range(68)]), describe_points(COCO)):
        lines = {frozenset(edge) for edge in found.edges}
        assert {frozenset(found.partners[index] for index in line) for line in lines} == lines


def test_persons_are_measured_by_size_and_faces_by_eyes() -> None:
    assert describe_points(COCO).eyes is None
    assert describe_points(COCO).edges == COCO_EDGES
    assert describe_points(KAGGLE).eyes == (0, 1)
    assert describe_points(("nose", "left_eye", "right_eye")).eyes == (1, 2)
    assert describe_points(("nose", "chin")).eyes is None


def test_sides() -> None:
    found = describe_points(("r_hip", "l_hip", "neck"))
    assert [found.side(index) for index in range(3)] == ["right", "left", ""]
    unnamed = describe_points(("a", "b"), pairs=[("b", "a")])
    assert [unnamed.side(index) for index in range(2)] == ["left", "right"]


def test_pairs_can_be_given() -> None:
    found = describe_points(("a", "b", "c"), pairs=[("a", "c")])
    assert found.partners == (2, 1, 0)
    with pytest.raises(DataError, match="no point called d; the points are a, b, c"):
        describe_points(("a", "b", "c"), pairs=[("a", "d")])
    with pytest.raises(DataError, match="a is in two pairs"):
        describe_points(("a", "b", "c"), pairs=[("a", "b"), ("a", "c")])


@pytest.mark.parametrize(
    ("names", "partners", "edges"),
    [
        ((), (), ()),
        (("a", "a"), (0, 1), ()),
        (("a", "b"), (1, 1), ()),
        (("a", "b"), (0, 2), ()),
        (("a", "b"), (0, 1), ((0, 5),)),
    ],
)
def test_what_does_not_fit_is_refused(
    names: tuple[str, ...], partners: tuple[int, ...], edges: tuple[tuple[int, int], ...]
) -> None:
    with pytest.raises(DataError):
        PointSet(names, partners, edges)


def test_sigmas_are_known_for_cocos_persons_alone() -> None:
    program = pytest.importorskip("pycocotools.cocoeval")
    assert describe_points(COCO).sigmas == pytest.approx(program.Params("keypoints").kpt_oks_sigmas)
    assert describe_points(MPII).sigmas is None
    assert len(set(chain.from_iterable(COCO_EDGES))) == 17
