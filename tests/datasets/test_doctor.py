from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convolve.datasets import copies
from convolve.datasets.doctor import diagnose, examine, fingerprint
from convolve.datasets.findings import Findings, as_json
from convolve.datasets.images import ImageArray, ImageFiles
from convolve.datasets.survey import survey
from convolve.errors import DataError
from convolve.values import Dataset, Images, Labels, Pixels, Splits
from tests.datasets.pictures import CountedImages


def picture(seed: int, height: int = 24, width: int = 32, channels: int = 3) -> Pixels:
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((width, height))
    return np.asarray(small)[..., :channels]


def dataset(
    images: Images, labels: list[int], classes: tuple[str, ...] = ("cat", "dog"), **given: list[int]
) -> Dataset:
    parts = {name: np.array(part, np.int64) for name, part in given.items()}
    return Dataset("pets", "folders", "", images, Labels(np.array(labels, np.int64), classes), parts)


def in_memory(count: int = 20, channels: int = 3) -> ImageArray:
    return ImageArray(np.stack([picture(seed, channels=channels) for seed in range(count)]), "pets")


def on_disk(folder: Path, count: int = 20) -> ImageFiles:
    names = tuple(f"{number:02}.png" for number in range(count))
    for number, name in enumerate(names):
        Image.fromarray(picture(number)).save(folder / name)
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
        Image.fromarray(picture(int(name[:2]), height, width)).save(tmp_path / name)
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
    assert only_warning(findings).startswith("1 picture is unreadable and left out: 07.png;")


def test_too_many_unreadable_images_are_refused_by_name(tmp_path: Path) -> None:
    images = on_disk(tmp_path)
    for name in ("02.png", "11.png", "19.png"):
        (tmp_path / name).write_text("no picture")
    with pytest.raises(DataError, match=r"3 of 20 images cannot be read, more than 10%.*02\.png.*11\.png"):
        examine(dataset(images, [0, 1] * 10))


def test_nothing_to_examine_is_an_error() -> None:
    with pytest.raises(DataError, match="There are no images"):
        examine(dataset(in_memory(1).take(np.empty(0, np.int64)), []))


def test_an_exact_copy_across_splits_is_a_leak(tmp_path: Path) -> None:
    images = on_disk(tmp_path)
    shutil.copy(tmp_path / "02.png", tmp_path / "15.png")
    shutil.copy(tmp_path / "04.png", tmp_path / "06.png")
    findings = examine(dataset(images, [0, 1] * 9 + [0, 1], train=[*range(10)], test=[*range(10, 20)]))
    assert (findings.exact.groups, findings.exact.spare, findings.exact.leaks, findings.exact.conflicts) == (2, 2, 1, 1)
    first, second = findings.exact.shown
    assert [(member.name, member.split, member.label) for member in first.members] == [
        ("02.png", "train", "cat"),
        ("15.png", "test", "dog"),
    ]
    assert [member.name for member in second.members] == ["04.png", "06.png"]
    assert findings.near.groups == 0
    leak, conflict, within = findings.warnings
    assert leak.startswith(
        "LEAK: 1 picture has an exact copy in another split (such as 02.png in train = 15.png in test)"
    )
    assert conflict.startswith("1 picture has an exact copy with another label (such as 02.png in cat = 15.png in dog)")
    assert within.startswith("1 picture has an exact copy (such as 04.png in cat = 06.png in cat)")


def test_a_near_copy_across_splits_is_a_leak_and_brings_its_exact_copies(tmp_path: Path) -> None:
    images = on_disk(tmp_path)
    Image.open(tmp_path / "02.png").resize((64, 48)).save(tmp_path / "16.png")
    shutil.copy(tmp_path / "02.png", tmp_path / "04.png")
    findings = examine(dataset(images, [0, 1] * 10, train=[*range(10)], test=[*range(10, 20)]))
    (group,) = findings.near.shown
    assert (group.count, group.leak, group.conflict) == (3, True, False)
    assert {member.name for member in group.members} == {"02.png", "04.png", "16.png"}
    assert findings.warnings[0].startswith("LEAK: 1 picture has a near copy in another split")


def test_splits_that_are_drawn_later_need_no_second_reading() -> None:
    array = in_memory().array.copy()
    array[18] = array[1]
    images = CountedImages(ImageArray(array, "pets"))
    data = dataset(images, [0, 1] * 10)
    seen = survey(data.images)
    empty = np.empty(0, np.int64)
    splits = Splits(np.arange(15), empty, np.arange(15, 20), "drawn")
    findings = diagnose(data, splits, seen)
    assert set(findings.counts) == {"all", "train", "test"}
    assert findings.exact.leaks == 1
    assert images.opened == images.decoded == Counter(range(20))


def test_the_size_is_the_original_one_where_images_come_reduced(tmp_path: Path) -> None:
    names = tuple(f"{seed}.jpg" for seed in range(6))
    for seed, name in enumerate(names):
        Image.fromarray(picture(seed, 300, 400)).save(tmp_path / name)
    images = ImageFiles(tmp_path, names)
    assert images.read(0, 128).shape[:2] == (150, 200)
    sizes = examine(dataset(images, [0, 1] * 3)).sizes
    assert (sizes.height[1], sizes.width[1]) == (300, 400)


def test_classes_in_want() -> None:
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


def test_several_labels_an_image() -> None:
    flags = np.array([[1, 0, 1], [1, 1, 0]] * 10, np.uint8)
    array = in_memory().array.copy()
    array[3] = array[0]
    data = Dataset("x", "tables", "", ImageArray(array, "x"), Labels(flags, ("a", "b", "c")), {})
    findings = examine(data)
    assert findings.counts == {"all": (20, 10, 10)}
    (group,) = findings.exact.shown
    assert group.conflict
    assert [member.label for member in group.members] == ["a + c", "a + b"]


def test_blank_images_are_counted_not_paired() -> None:
    array = in_memory().array.copy()
    array[5:15] = np.arange(10, dtype=np.uint8)[:, None, None, None]
    findings = examine(dataset(ImageArray(array, "x"), [0, 1] * 10))
    assert (findings.blank, findings.exact.groups, findings.near.groups) == (10, 0, 0)
    assert only_warning(findings).startswith("10 pictures show one flat tone")


def test_what_is_shown_is_bounded_and_has_leaks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "MOST_GROUPS", 3)
    monkeypatch.setattr(copies, "MOST_MEMBERS", 2)
    array = np.tile(in_memory(6).array, (3, 1, 1, 1))
    findings = examine(dataset(ImageArray(array, "x"), [0] * 18, train=[*range(12), 12, 13, 14, 15], test=[16, 17]))
    assert (findings.exact.groups, findings.exact.spare, findings.exact.leaks) == (6, 12, 2)
    assert [group.leak for group in findings.exact.shown] == [True, True, False]
    assert [{member.split for member in group.members} for group in findings.exact.shown[:2]] == [{"train", "test"}] * 2
    assert all(group.count == 3 for group in findings.exact.shown)


def test_findings_are_the_same_with_any_number_of_threads() -> None:
    data = dataset(in_memory(80), [0, 1] * 40)
    one, four = (as_json(examine(data, None, workers)) for workers in (1, 4))
    assert one == four


KEYS = """images classes counts imbalance empty_classes single_classes missing sizes channels gray blank mean std
unreadable exact near fingerprint warnings usable pixels"""


def test_json_has_stable_keys_and_holds_what_json_can() -> None:
    found = as_json(examine(dataset(in_memory(), [0, 1] * 10, train=[*range(20)])))
    assert " ".join(found) == " ".join(KEYS.splitlines())
    assert json.loads(json.dumps(found))["usable"] == 20


def test_the_fingerprint_changes_with_data_labels_and_selection_only(tmp_path: Path) -> None:
    data = dataset(on_disk(tmp_path), [0, 1] * 10)
    everything = np.arange(20)
    first = fingerprint(data, everything)
    assert len(first) == 32
    assert examine(data).fingerprint == first
    (tmp_path / "elsewhere").mkdir()
    assert fingerprint(dataset(on_disk(tmp_path / "elsewhere"), [0, 1] * 10), everything) == first
    assert fingerprint(data, everything[:-1]) != first
    assert fingerprint(dataset(data.images, [1, 1] + [0, 1] * 9), everything) != first
    Image.fromarray(picture(99)).save(tmp_path / "05.png")
    assert fingerprint(data, everything) != first
