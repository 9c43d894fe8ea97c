"""Files that were made to harm a reader, or that once did: each is one sentence, without much time or memory."""

from __future__ import annotations

import base64
import gzip
import json
import pickle
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convolve.datasets.layouts import open_dataset
from convolve.errors import DataError, ImageError
from convolve.values import Dataset
from tests.damage import check_reading, refuse
from tests.datasets.ground_truths import labels_of, masks_of
from tests.datasets.layouts.annotated import make_images
from tests.datasets.layouts.coco_documents import document
from tests.datasets.layouts.good_files import GOOD_FILES, SQUARE, mat
from tests.datasets.layouts.test_damaged import put

SHARED = Path(__file__).parents[4] / "shared" / "faults"
KINDS = {
    "cifar-batch": "cifar-batch",
    "cifar-hundred": "cifar-hundred",
    "cifar-meta": "cifar-meta",
    "coco": "coco",
    "idx-im": "idx-images",
    "idx-map": "idx-mapping",
    "masklist": "class-list",
    "mat-one": "mat-labels",
    "pets": "pets",
    "table": "table",
}
"""What the names of collected files begin with, and the kind of file that each is."""
MOST_BYTES, MOST_SECONDS = 400 * 2**20, 5.0


def read(root: Path, kind: str, content: bytes) -> Dataset:
    """A folder with a file of some kind that has another content. It may cost neither time nor memory."""
    path = put(root, kind)
    path.write_bytes(content)
    tracemalloc.start()
    start = time.process_time()
    try:
        dataset = open_dataset(path if kind in ("table", "json-lines") else root)
        for index in range(len(dataset)) if "masks" in dataset.ground_truths else ():
            masks_of(dataset).read(index)
        return dataset
    finally:
        seconds, most = time.process_time() - start, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert seconds < MOST_SECONDS
        assert most < MOST_BYTES


def packed_zeros(head: bytes, length: int) -> bytes:
    """A gzip file of a head and many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = (packer.compress(bytes(2**24)) for _ in range(length // 2**24))
    return b"".join((packer.compress(head), *zeros, packer.flush()))


def idx_head(*sizes: int) -> bytes:
    return bytes([0, 0, 8, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)


def doubled(times: int) -> bytes:
    """A pickle whose list holds a list twice, which holds one twice, and so on."""
    start = b"\x80\x02}X\x06\0\0\0labels]q\x00"
    return start + b"".join(b"]q%c(h%ch%ce" % (number, number - 1, number - 1) for number in range(1, times)) + b"s."


def refused_encodings() -> bytes:
    """A pickle that encodes the same megabyte a thousand times."""
    text, name = b"X" + struct.pack("<I", 10**6) + b"a" * 10**6 + b"q\1", b"X\6\0\0\0latin1q\2"
    head = b"\x80\x02}(X\x04\0\0\0data](c_codecs\nencode\nq\0"
    return head + text + name + b"\x86R" + b"h\0h\1h\2\x86R" * 1000 + b"eu."


def annotated(outline: object, **more: Any) -> bytes:
    one = {"image_id": 7, "category_id": 44, "segmentation": outline}
    good = {"image_id": 8, "category_id": 3, "segmentation": [[1, 1, 5, 1, 5, 5]]}
    return json.dumps(document(annotations=[one, good], **more)).encode()


def supervised(**one: Any) -> bytes:
    entry = {"classTitle": "w", "geometryType": "bitmap"} | one
    return json.dumps({"size": {"height": 6, "width": 10}, "objects": [entry]}).encode()


def packed_text(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def white(side: int) -> str:
    stream = BytesIO()
    Image.new("L", (side, side), 255).save(stream, "PNG")
    return packed_text(stream.getvalue())


FORGED: dict[str, tuple[str, bytes | Callable[[], bytes], str]] = {
    "9 bytes that announce 4 GB": ("cifar-batch", b"\x80\x02]r\xff\xff\xff\x7f.", "it numbers a value 2,147,483,647"),
    "lists that double": ("cifar-batch", doubled(60), r"data_batch_3 is damaged|more values than"),
    "the same text, encoded anew": ("cifar-batch", refused_encodings(), "data_batch_3 is damaged"),
    "tuples in tuples as a key": ("cifar-batch", b"\x80\x02})" + b"\x85" * 10**5 + b"K\1s.", "nested too deeply"),
    "labels in lists": ("cifar-batch", pickle.dumps({b"data": np.zeros((1, 3072), "u1"), b"labels": [[1]]}), "labels"),
    "labels that are too large": (
        "cifar-batch", pickle.dumps({b"data": np.zeros((1, 3072), "u1"), b"labels": [10**30]}), "labels that are no",
    ),
    "labels that are flags": (
        "cifar-batch", pickle.dumps({b"data": np.zeros((1, 3072), "u1"), b"labels": [True]}), "labels that are no",
    ),
    "names that are functions": ("cifar-meta", b"\x80\2}X\x0b\0\0\0label_names](c_codecs\nencode\nes.", "are no texts"),
    "names that are lists": ("cifar-names", pickle.dumps({b"fine_label_names": [[b"a"], b"b"]}), "are no texts"),
    "names in no encoding": ("cifar-names", pickle.dumps({b"fine_label_names": [b"\xff", b"b"]}), "are no texts"),
    "names that end a line": ("cifar-names", pickle.dumps({b"fine_label_names": [b"a\nb", b"b"]}), r"'a\\nb', which"),
    "1,000 times as many zeros": ("idx-images", lambda: packed_zeros(idx_head(1, 5, 4), 2**28), "cut short"),
    "as many zeros as it says": ("idx-images", lambda: packed_zeros(idx_head(2**28, 1, 1), 2**28), "announce 268"),
    "labels without end": ("idx-labels", lambda: packed_zeros(idx_head(2**24), 2**24), "bytes announce 16,777"),
    "a header that is cut short": ("idx-images", b"\0\0\x08\x03?", "cut short"),
    "sizes beyond numbers": ("idx-images", idx_head(*[2**32 - 1] * 3), "cut short or too long"),
    "images of no rows": ("idx-images", idx_head(2**32 - 1, 0, 28), "cut short or too long"),
    "no images of enormous sizes": ("idx-images", idx_head(0, 2**32 - 1, 2**32 - 1), "cannot be read"),
    "a mapping to no number": ("idx-mapping", b"1 a\n2 66\n3 67\n", "without the numbers of a class and"),
    "a mapping to nothing": ("idx-mapping", b"1\n2 66\n3 67\n", "without the numbers of a class and"),
    "a mapping of zeros": ("idx-mapping", b"0 \0", "has control characters"),
    "a mapping beyond Unicode": ("idx-mapping", b"1 1114112\n2 66\n3 67\n", "without the numbers of a class"),
    "a mapping far beyond Unicode": ("idx-mapping", b"0 9999999999", "without the numbers of a class"),
    "a mapping to half a character": ("idx-mapping", b"1 55555\n2 66\n3 67\n", r"class called '\\ud903', which cannot"),
    "a mapping to a control character": ("idx-mapping", b"1 27\n2 66\n3 67\n", r"class called '\\x1b', which cannot"),
    "labels without number": ("mat-labels", mat(labels=np.array([[1.0, np.nan]])), "labels that are no whole"),
    "labels without bound": ("mat-labels", mat(labels=np.array([[1.0, np.inf]])), "labels that are no whole"),
    "labels in between": ("mat-labels", mat(labels=np.array([[1.0, 1.5]])), "labels that are no whole"),
    "labels of no flower": ("mat-labels", mat(labels=np.array([[1, 103]])), "whole numbers from 1 to 102"),
    "three million labels": ("mat-labels", mat(labels=np.ones((1, 3 * 10**6), "u1")), "labels that are no whole"),
    "images of no flower": ("mat-sets", mat(trnid=[[9]], valid=[[2]], tstid=[[3]]), "trnid that are no whole numbers"),
    "digits of another size": ("mat-svhn", mat(X=np.zeros((16, 32, 3, 2), "u1"), y=[[1], [2]]), "no 32x32x3xN bytes"),
    "digits of doubles": ("mat-svhn", mat(X=np.zeros((32, 32, 3, 2)), y=[[1], [2]]), "no 32x32x3xN bytes"),
    "a digit beyond 10": ("mat-svhn", mat(X=np.zeros((32, 32, 3, 2), "u1"), y=[[1], [11]]), "y that are no whole"),
    "a pet's number without end": ("pets", b"A_1 " + b"9" * 5000 + b" 1 1\n", "known layouts|name class"),
    "a list of 100,000 colons": ("class-list", b"a" + b":" * 10**5 + b"\nb\n", "line of 100,001 characters"),
    "a number of 5,000 digits": ("class-table", b"name,id\nsky,1\nsea," + b"9" * 5000 + b"\n", "which no mask holds"),
    "a color beyond 255": ("class-list", b"0 0 0 a\n0 440 0 b\n0 0 9 c\n", "others none from 0 to 255, such as 'b'"),
    "too many classes": ("class-list", b"\n".join(b"c%d" % n for n in range(10_001)), "lists 10,001 classes"),
    "lines without common keys": (
        "json-lines", b"\n".join(b'{"file_name": "a/0.jpg", "k%d": 1}' % n for n in range(2000)), "2,001 diff",
    ),
    "categories without id": ("coco", annotated(SQUARE, categories=[{"id": float("inf"), "name": "a"}]), "without id"),
    "categories that are lists": ("coco", annotated(SQUARE, categories=[{"id": 44, "name": ["a"]}]), "without id"),
    "images that are numbers": ("coco", annotated(SQUARE, images=[{"id": 7, "file_name": 7}]), "without id or"),
    "no images": ("coco", annotated(SQUARE, images=[]), "no image has an id that an object names"),
    "a class of half a character": (
        "coco", annotated(SQUARE, categories=[{"id": 44, "name": "\ud800"}, {"id": 3, "name": "a"}]), r"'\\ud800'",
    ),
    "a bitmap of 65 MiB": (
        "supervisely",
        lambda: supervised(bitmap={"data": packed_text(bytes(65 * 2**20)), "origin": [0, 0]}),
        "an object without class or outline",
    ),
    "a polygon of infinity": (
        "supervisely",
        supervised(geometryType="polygon", points={"exterior": [[0, 0], [float("inf"), 1]], "interior": []}),
        "an object without class or outline",
    ),
    "no image in CVAT's file": ("cvat", b"<annotations><meta/></annotations>", "annotations.xml names, such as none"),
    "a tag without label": ("cvat", GOOD_FILES["cvat"].content.replace(b'<tag label="wet">', b"<tag>"), "without"),
    "a mask of 10 gigapixels": (
        "cvat",
        GOOD_FILES["cvat"].content.replace(b'rle="1, 1, 1, 3"', b'rle="0,1e10"').replace(b'width="2"', b'width="1e10"'),
        "without label, or with odd numbers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_what_is_refused_and_why(name: str, tmp_path: Path) -> None:
    kind, content, why = FORGED[name]
    content = content if isinstance(content, bytes) else content()
    with pytest.raises(DataError, match=why):
        read(tmp_path, kind, content)


@pytest.mark.parametrize(
    ("outline", "why"),
    [
        ([[1, 1, float("inf"), 1, 5, 5]], "its polygon does not consist of numbers"),
        ([[1, 1, 1e300, 1, 5, 5]], "its polygon lies far outside of the image"),
        ([[1, 1, 10**400, 1, 5, 5]], "its polygon does not consist of numbers"),
        ({"size": [6, 10], "counts": [10**400]}, "its run lengths are neither whole numbers nor text"),
        ({"size": [6, 10], "counts": [True]}, "its run lengths are neither whole numbers nor text"),
        (
            {"size": [6, 10], "counts": "o" * 10**6},
            "COCO's compressed run lengths have a number that no image has pixels for",
        ),
    ],
)
def test_an_outline_that_cannot_be_drawn_is_named_with_its_image(outline: object, why: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=rf"An object of 7\.png cannot be drawn .{why}"):
        read(tmp_path, "coco", annotated(outline))


def test_sizes_that_no_image_has_are_those_of_the_image(tmp_path: Path) -> None:
    sizes: list[object] = [1e999, 10**400, True, [], -3, "a"]
    for size in sizes:
        images = [{"id": number, "file_name": f"{number}.png", "height": size, "width": 10} for number in (7, 8, 9)]
        assert masks_of(read(tmp_path, "coco", annotated([[1, 1, 5, 1, 5, 5]], images=images))).read(0).shape == (6, 10)
    (tmp_path / "7.png").write_bytes(b"no image")
    images = [{"id": number, "file_name": f"{number}.png", "height": 10**6, "width": 10**6} for number in (7, 8, 9)]
    (tmp_path / "a.json").write_bytes(annotated([[1, 1, 5, 1, 5, 5]], images=images))
    with pytest.raises(ImageError, match="the size of its mask is unknown"):
        masks_of(open_dataset(tmp_path)).read(0)


@pytest.mark.parametrize("depth", [900, 960, 975, 100_000])
def test_outlines_in_outlines(depth: int, tmp_path: Path) -> None:
    """As deep as JSON may be, and deeper; two files of the same images are compared."""
    make_images(tmp_path, "7.png", "8.png", "9.png")
    deep = annotated("DEEP").replace(b'"DEEP"', b"[" * depth + b"]" * depth)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_bytes(deep)
    check_reading(lambda: open_dataset(tmp_path), DataError)


def test_bitmaps_are_images_of_known_formats_and_sizes(tmp_path: Path) -> None:
    for data in (white(12_000), base64.b64encode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n").decode()):
        content = supervised(bitmap={"data": data, "origin": [0, 0]})
        with pytest.raises((DataError, ImageError), match=r"its bitmap is not a readable PNG|without class or outline"):
            read(tmp_path, "supervisely", content)


def test_texts_are_no_lists_of_labels(tmp_path: Path) -> None:
    """Else the classes would be their letters."""
    document = json.loads(GOOD_FILES["label-studio"].content)
    document[1]["annotations"][0]["result"][0]["value"]["choices"] = "dog"
    with pytest.raises(DataError, match=r"a region of b\.jpg without size, or turned, or with odd numbers"):
        read(tmp_path, "label-studio", json.dumps(document).encode())


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    good = GOOD_FILES["table"].content
    for name in (b"a" * 300 + b".jpg", b"/a" * 10**5, b"../" * 50 + b"x.jpg", b"http://[a.jpg"):
        dataset = read(tmp_path, "table", good + name + b",a,train\n")
        assert len(dataset) == 5
        with pytest.raises(ImageError):
            dataset.images.read(4)
    (tmp_path / "pets").mkdir()
    found = read(tmp_path / "pets", "pets", b"A_1 1 1 1\n" + b"b" * 300 + b"_2 2 1 1\n")
    assert labels_of(found).values.tolist() == [0, 1]


def test_names_of_classes_that_cannot_be_printed_are_not_taken(tmp_path: Path) -> None:
    found = read(tmp_path, "class-index", json.dumps({"\x1b[2J": 0, "\ud800": 1}).encode())
    assert labels_of(found).classes == ("0", "1")
    assert any("has a name that cannot be printed, '\\x1b[2J'" in note for note in found.notes)


@pytest.mark.parametrize(
    ("prefix", "path"),
    [(prefix, path) for prefix in KINDS for path in sorted(SHARED.glob(f"{prefix}*"))],
    ids=lambda value: getattr(value, "stem", ""),
)
def test_collected_files(prefix: str, path: Path, tmp_path: Path) -> None:
    kind = KINDS[prefix]
    put(tmp_path, kind).write_bytes(path.read_bytes())
    if kind == "table":
        check_reading(lambda: open_dataset(tmp_path / GOOD_FILES[kind].name), DataError)
    elif kind == "pets":
        check_reading(lambda: open_dataset(tmp_path), DataError)
    else:
        refuse(lambda: open_dataset(tmp_path), DataError)


def test_gzip_members_that_are_empty(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not an IDX file"):
        read(tmp_path, "idx-images", gzip.compress(b"") * 20_000)
