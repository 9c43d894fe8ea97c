from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets import doctor
from convolve.datasets.doctor import Findings, as_json, diagnose, fingerprint, readable
from convolve.datasets.images import ImageArray, ImageFiles, read_digests
from convolve.datasets.labels import Labels
from convolve.datasets.masks import MaskFiles, Masks
from convolve.datasets.survey import survey
from convolve.errors import DataError
from convolve.values import Dataset, Flags, GroundTruthFindings, Images, Indices, Pixels, Splits
from tests.datasets.synthetic import REMEDY, CountedImages


def random_image(seed: int, height: int = 24, width: int = 32, channels: int = 3) -> Pixels:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((width, height))
    return np.asarray(small)[..., :channels]


def dataset(
    images: Images, labels: list[int], classes: tuple[str, ...] = ("cat", "dog"), **given: list[int]
) -> Dataset:
    parts = {name: np.array(part, np.int64) for name, part in given.items()}
    ground_truths = {"labels": Labels(np.array(labels, np.int64), classes)}
    return Dataset("pets", "folders", "", images, ground_truths, parts)


def examine(data: Dataset, name: str = "labels", splits: Splits | None = None, workers: int | None = None) -> Findings:
    return diagnose(data, data.ground_truths[name], splits, survey(data.images, workers), REMEDY)


def in_memory(count: int = 20, channels: int = 3) -> ImageArray:
    return ImageArray(np.stack([random_image(seed, channels=channels) for seed in range(count)]), "pets")


def on_disk(folder: Path, count: int = 20) -> ImageFiles:
    names = tuple(f"{number:02}.png" for number in range(count))
    for number, name in enumerate(names):
        Image.fromarray(random_image(number)).save(folder / name)
    return ImageFiles(folder, names)


def only_warning(findings: Findings) -> str:
    (warning,) = findings.warnings
    return warning


def test_a_healthy_set_has_no_warnings() -> None:
    findings = examine(dataset(in_memory(), [0, 1] * 10, train=[*range(10)], test=[*range(10, 20)]))
    assert findings.warnings == ()
    assert findings.counts == {"all": (10, 10), "train": (5, 5), "test": (5, 5)}
    assert (findings.imbalance, findings.images, findings.blank, findings.gray) == (1.0, 20, 0, 0)
    assert findings.usable.tolist() == list(range(20))


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_those_of_all_values_of_the_train_split(channels: int) -> None:
    images = in_memory(channels=channels)
    findings = examine(dataset(images, [0, 1] * 10, train=[*range(12)], test=[*range(12, 20)]))
    values = images.array[:12].reshape(-1, channels) / 255
    assert findings.channels == channels
    np.testing.assert_allclose(findings.mean, values.mean(0), atol=1e-6)
    np.testing.assert_allclose(findings.std, values.std(0), atol=1e-6)


def test_color_files_without_color_are_gray() -> None:
    gray = np.repeat(in_memory(channels=1).array, 3, 3)
    findings = examine(dataset(ImageArray(gray, "x-rays"), [0, 1] * 10))
    assert (findings.channels, findings.gray, len(findings.mean)) == (1, 20, 1)


def test_sizes(tmp_path: Path) -> None:
    images = on_disk(tmp_path)
    for name, height, width in (("03.png", 300, 20), ("04.png", 200, 500)):
        Image.fromarray(random_image(int(name[:2]), height, width)).save(tmp_path / name)
    sizes = examine(dataset(images, [0, 1] * 10)).sizes
    assert (sizes.height, sizes.width, sizes.distinct) == ((24, 24, 300), (20, 32, 500), 3)


def test_unreadable_images_are_named_and_left_out(tmp_path: Path) -> None:
    images = on_disk(tmp_path)
    (tmp_path / "07.png").write_bytes((tmp_path / "07.png").read_bytes()[:200])
    findings = examine(dataset(images, [0, 1] * 10, train=[*range(20)]))
    assert [image.name for image in findings.unreadable] == ["07.png"]
    assert "07.png" in findings.unreadable[0].reason
    assert 7 not in findings.usable
    assert len(findings.usable) == 19
    assert findings.counts["train"] == (10, 9)
    assert only_warning(findings).startswith("1 image is unreadable and left out: 07.png;")


def test_too_many_unreadable_images_are_refused_by_name(tmp_path: Path) -> None:
    images = on_disk(tmp_path)
    for name in ("02.png", "11.png", "19.png"):
        (tmp_path / name).write_text("not an image")
    with pytest.raises(DataError, match=r"3 of 20 images cannot be read, more than 10%.*02\.png.*11\.png"):
        examine(dataset(images, [0, 1] * 10))


def test_nothing_to_examine_is_an_error() -> None:
    with pytest.raises(DataError, match="There are no images"):
        examine(dataset(in_memory(1).take(np.empty(0, np.int64)), []))


def test_an_exact_duplicate_across_splits_is_a_leak(tmp_path: Path) -> None:
    images = on_disk(tmp_path)
    shutil.copy(tmp_path / "02.png", tmp_path / "15.png")
    shutil.copy(tmp_path / "04.png", tmp_path / "06.png")
    findings = examine(dataset(images, [0, 1] * 9 + [0, 1], train=[*range(10)], test=[*range(10, 20)]))
    assert (findings.exact.groups, findings.exact.redundant, findings.exact.leaks, findings.exact.conflicts) == (
        2,
        2,
        1,
        1,
    )
    first, second = findings.exact.examples
    assert [(member.name, member.split, member.label) for member in first.members] == [
        ("02.png", "train", "cat"),
        ("15.png", "test", "dog"),
    ]
    assert [member.name for member in second.members] == ["04.png", "06.png"]
    assert findings.near.groups == 0
    leak, conflict, within = findings.warnings
    assert leak.startswith(
        "LEAK: 1 image has an exact duplicate in another split (such as 02.png in train = 15.png in test)"
    )
    assert conflict.startswith(
        "1 image has an exact duplicate with another label (such as 02.png in cat = 15.png in dog)"
    )
    assert within.startswith("1 image has an exact duplicate (such as 04.png in cat = 06.png in cat)")


def test_a_near_duplicate_across_splits_is_a_leak_and_includes_its_exact_duplicates(tmp_path: Path) -> None:
    images = on_disk(tmp_path)
    Image.open(tmp_path / "02.png").resize((64, 48)).save(tmp_path / "16.png")
    shutil.copy(tmp_path / "02.png", tmp_path / "04.png")
    findings = examine(dataset(images, [0, 1] * 10, train=[*range(10)], test=[*range(10, 20)]))
    (group,) = findings.near.examples
    assert (group.count, group.leak, group.conflict) == (3, True, False)
    assert {member.name for member in group.members} == {"02.png", "04.png", "16.png"}
    assert findings.warnings[0].startswith("LEAK: 1 image has a near duplicate in another split")


def test_splits_that_are_drawn_later_need_no_second_reading() -> None:
    array = in_memory().array.copy()
    array[18] = array[1]
    images = CountedImages(ImageArray(array, "pets"))
    data = dataset(images, [0, 1] * 10)
    seen = survey(data.images)
    empty = np.empty(0, np.int64)
    splits = Splits(np.arange(15), empty, np.arange(15, 20), "drawn")
    findings = diagnose(data, data.ground_truths["labels"], splits, seen, REMEDY)
    assert set(findings.counts) == {"all", "train", "test"}
    assert findings.exact.leaks == 1
    assert images.opened == images.decoded == Counter(range(20))


def test_the_size_is_the_original_one_where_images_come_reduced(tmp_path: Path) -> None:
    names = tuple(f"{seed}.jpg" for seed in range(6))
    for seed, name in enumerate(names):
        Image.fromarray(random_image(seed, 300, 400)).save(tmp_path / name)
    images = ImageFiles(tmp_path, names)
    assert images.read(0, 128).shape[:2] == (150, 200)
    sizes = examine(dataset(images, [0, 1] * 3)).sizes
    assert (sizes.height[1], sizes.width[1]) == (300, 400)


def test_classes_with_too_few_images() -> None:
    labels = [0] * 17 + [1] * 2 + [2]
    classes = ("cat", "dog", "emu", "fox")
    findings = examine(dataset(in_memory(), labels, classes, train=[*range(5), 17, 19], test=[*range(5, 17), 18]))
    assert findings.empty_classes == ("fox",)
    assert findings.single_classes == ("emu",)
    assert findings.missing == {"test": ("emu",)}
    assert findings.imbalance == 17
    starts = (
        "No image shows fox;",
        "A single image shows emu:",
        "The test split has no image of emu;",
        "The largest class",
    )
    assert all(warning.startswith(start) for warning, start in zip(findings.warnings, starts, strict=True))
    assert findings.warnings[-1] == "The largest class has 17 times the images of the smallest; rest."


def test_several_labels_an_image() -> None:
    flags = np.array([[1, 0, 1], [1, 1, 0]] * 10, np.uint8)
    array = in_memory().array.copy()
    array[3] = array[0]
    data = Dataset("x", "tables", "", ImageArray(array, "x"), {"labels": Labels(flags, ("a", "b", "c"))}, {})
    findings = examine(data)
    assert findings.counts == {"all": (20, 10, 10)}
    (group,) = findings.exact.examples
    assert group.conflict
    assert [member.label for member in group.members] == ["a + c", "a + b"]


def test_blank_images_are_counted_not_paired() -> None:
    array = in_memory().array.copy()
    array[5:15] = np.arange(10, dtype=np.uint8)[:, None, None, None]
    findings = examine(dataset(ImageArray(array, "x"), [0, 1] * 10))
    assert (findings.blank, findings.exact.groups, findings.near.groups) == (10, 0, 0)
    assert only_warning(findings).startswith("10 images are of a single color")


def test_a_red_disc_on_as_bright_a_gray_is_not_of_a_single_color() -> None:
    array = np.full((20, 64, 64, 3), 107, dtype=np.uint8)
    array[:, 20:40, 20:40] = (220, 60, 40)  # of a brightness of 106
    array[10:] = (220, 60, 40)
    assert examine(dataset(ImageArray(array, "x"), [0, 1] * 10)).blank == 10


def test_examples_are_limited_and_have_leaks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MOST_GROUPS", 3)
    monkeypatch.setattr(doctor, "MOST_MEMBERS", 2)
    array = np.tile(in_memory(6).array, (3, 1, 1, 1))
    findings = examine(dataset(ImageArray(array, "x"), [0] * 18, train=[*range(12), 12, 13, 14, 15], test=[16, 17]))
    assert (findings.exact.groups, findings.exact.redundant, findings.exact.leaks) == (6, 12, 2)
    assert [group.leak for group in findings.exact.examples] == [True, True, False]
    assert [{member.split for member in group.members} for group in findings.exact.examples[:2]] == [
        {"train", "test"}
    ] * 2
    assert all(group.count == 3 for group in findings.exact.examples)


def test_findings_are_the_same_with_any_number_of_threads() -> None:
    data = dataset(in_memory(80), [0, 1] * 40)
    one, four = (as_json(examine(data, workers=workers)) for workers in (1, 4))
    assert one == four


KEYS = """images classes counts split_sizes imbalance empty_classes single_classes missing sizes channels gray blank
mean std unreadable exact near warnings usable totals facts"""


def test_json_has_stable_keys_and_holds_what_json_can() -> None:
    found = as_json(examine(dataset(in_memory(), [0, 1] * 10, train=[*range(20)])))
    assert " ".join(found) == " ".join(KEYS.splitlines())
    assert json.loads(json.dumps(found))["usable"] == 20


def mark(data: Dataset, name: str = "labels", count: int = 20) -> str:
    """The fingerprint of the first images, by one of the ground truths."""
    return fingerprint(data, data.ground_truths[name], np.arange(count), read_digests(data.images))


def test_the_fingerprint_changes_with_data_labels_and_selection_only(tmp_path: Path) -> None:
    data = dataset(on_disk(tmp_path), [0, 1] * 10)
    first = mark(data)
    assert len(first) == 32
    (tmp_path / "elsewhere").mkdir()
    same = dataset(on_disk(tmp_path / "elsewhere"), [0, 1] * 10)
    assert mark(same) == first
    assert mark(data, count=19) != first
    relabeled = dataset(data.images, [1, 1] + [0, 1] * 9)
    assert mark(relabeled) != first
    renamed = dataset(data.images, [0, 1] * 10, ("cat", "wolf"))
    assert mark(renamed) != first
    Image.fromarray(random_image(99)).save(tmp_path / "05.png")
    assert mark(data) != first


def with_masks(folder: Path) -> Dataset:
    """Twenty images with a label each, and a mask each of the classes sky (left) and road (right)."""
    images = on_disk(folder)
    for number in range(20):
        mask = np.zeros((24, 32), np.uint8)
        mask[:, number:] = 1
        Image.fromarray(mask).save(folder / f"{number:02}_mask.png")
    reader = MaskFiles(folder, tuple(f"{number:02}_mask.png" for number in range(20)), (0, 1), (9,))
    masks = Masks(reader, ("sky", "road"), ((0, 0, 0), (1, 1, 1)))
    labels = Labels(np.arange(20) % 2, ("cat", "dog"))
    return Dataset("city", "masks", "", images, {"labels": labels, "masks": masks}, {})


def test_the_fingerprint_changes_with_every_ground_truth(tmp_path: Path) -> None:
    data = with_masks(tmp_path)
    names = ("labels", "masks")
    before = [mark(data, name) for name in names]
    assert before[0] != before[1]
    Image.fromarray(np.zeros((24, 32), np.uint8)).save(tmp_path / "07_mask.png")
    assert not set(before) & {mark(data, name) for name in names}
    (tmp_path / "07_mask.png").unlink()  # a mask that cannot be opened does not keep a classifier from resuming
    assert mark(data) not in before


def test_masks_are_counted_by_image_and_by_pixel(tmp_path: Path) -> None:
    findings = examine(with_masks(tmp_path), "masks")
    assert findings.classes == ("sky", "road")
    assert findings.counts == {"all": (19, 20)}
    assert findings.totals == {"pixels": (24 * sum(range(20)), 24 * sum(32 - number for number in range(20)))}
    assert examine(with_masks(tmp_path)).totals == {}
    data = with_masks(tmp_path)
    (tmp_path / "19.png").write_bytes(b"not an image")
    assert examine(data, "masks").totals["pixels"][0] == 24 * sum(range(19))


def test_an_image_whose_mask_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    data = with_masks(tmp_path)
    (tmp_path / "07_mask.png").write_bytes(b"not an image")
    findings = examine(data, "masks")
    assert [image.name for image in findings.unreadable] == ["07.png"]
    assert "07_mask.png cannot be read as a mask" in findings.unreadable[0].reason
    assert findings.counts == {"all": (18, 19)}
    assert findings.totals["pixels"][0] == 24 * (sum(range(20)) - 7)
    assert only_warning(findings).startswith("1 image is unreadable and left out: 07.png;")
    assert len(examine(data).usable) == 20  # its label is known all the same
    seen = readable(data, data.ground_truths["masks"], survey(data.images))
    assert 7 not in seen.usable
    assert len(seen.usable) == 19
    assert len(seen.measurements) == len(seen.digests) == 20
    assert seen.digests[8] == data.images.digest(8)


def test_too_many_unreadable_masks_are_refused_by_name(tmp_path: Path) -> None:
    data = with_masks(tmp_path)
    for number in (3, 5, 6):
        (tmp_path / f"{number:02}_mask.png").unlink()
    with pytest.raises(DataError, match=r"3 of 20 images in city.*cannot be read, more than 10%.*03\.png.*06\.png"):
        examine(data, "masks")


class Captions:
    """A ground truth without classes."""

    classes = ()
    findings = GroundTruthFindings()

    def presence(self) -> Flags:
        return np.zeros((20, 0), dtype=bool)

    def digest(self, index: int) -> bytes:
        return b"a cat"


def test_without_classes_there_is_nothing_to_say_of_classes() -> None:
    array = in_memory().array.copy()
    array[3] = array[0]
    data = dataset(ImageArray(array, "x"), [0, 1] * 10, train=[*range(10)], test=[*range(10, 20)])
    findings = diagnose(data, Captions(), None, survey(data.images), REMEDY)  # type: ignore[arg-type]
    assert (findings.classes, findings.counts) == ((), {"all": (), "train": (), "test": ()})
    assert (findings.imbalance, findings.missing, findings.empty_classes) == (1.0, {}, ())
    assert (findings.exact.groups, findings.exact.conflicts) == (1, 0)
    assert only_warning(findings).startswith("1 image has an exact duplicate (such as x#0 = x#3)")


def summarize_one_by_one(data: Dataset, groups: list[Indices]) -> doctor.Duplicates:
    """What `_summarize` says, from an object for each image of each group."""
    split_of = {index: name for name, part in data.given_splits.items() for index in part.tolist()}
    labels = data.ground_truths["labels"]
    found = []
    for rows in groups:
        members = [
            doctor.Duplicate(
                data.images.name(index),
                split_of.get(index, ""),
                " + ".join(np.array(labels.classes)[labels.presence()[index]]),
            )
            for index in rows.tolist()
        ]
        by_split = {member.split: member for member in reversed(members)}
        by_label = {member.label: member for member in reversed(members)}
        first = dict.fromkeys([members[0], *by_split.values(), *by_label.values(), *members])
        leak = len(by_split.keys() - {""}) > 1
        found.append(doctor.DuplicateGroup(len(members), leak, len(by_label) > 1, tuple(first)[:10]))
    return doctor.Duplicates(
        len(found),
        sum(group.count - 1 for group in found),
        sum(group.leak for group in found),
        sum(group.conflict for group in found),
        tuple(sorted(found, key=lambda group: (-group.leak - group.conflict, not group.leak))[:50]),
    )


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_groups_are_summarized_as_one_by_one(seed: int, several: bool) -> None:
    random = np.random.default_rng(seed)
    splits = random.choice(4, 400, p=[0.4, 0.4, 0.1, 0.1])
    parts = {name: np.flatnonzero(splits == number) for number, name in enumerate(("train", "validation", "test"))}
    values = random.choice(15, 400) * random.choice(2, 400)
    labels = Labels(values, tuple("abcdefghijklmno"))
    if several:
        labels = Labels((random.random((400, 3)) < 0.4).astype(np.uint8), ("a", "b", "c"))
    images = ImageArray(np.zeros((400, 4, 4, 1), np.uint8), "x")
    data = Dataset("x", "folders", "", images, {"labels": labels}, parts)
    cuts = np.sort(random.choice(np.arange(1, 150), 70, replace=False))
    groups = [group for group in np.split(np.sort(random.permutation(400)[:200]), cuts) if len(group) > 1]
    groups = sorted((np.sort(group) for group in groups), key=lambda group: int(group[0]))
    present = doctor._Presence(labels.classes, None if several else labels.values.astype(np.int64), labels.presence())
    assert doctor._summarize(data, present, parts, groups) == summarize_one_by_one(data, groups)


def test_classes_whose_names_are_almost_the_same_are_named() -> None:
    images = ImageArray(np.stack([random_image(seed) for seed in range(4)]), "image")
    found = examine(dataset(images, [0, 1, 2, 3], ("Cat", "cat", "cat ", "dog"))).warnings
    assert "The classes 'Cat' and 'cat' and 'cat ' differ only in case or spaces; rename one." in found
    assert not [line for line in examine(dataset(images, [0, 1, 0, 1])).warnings if "differ only" in line]
