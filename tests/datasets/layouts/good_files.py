"""One good file of each kind that a layout reads, with the folder around it, to be damaged."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import math
import pickle
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat  # type: ignore[import-untyped]

from tests.damage import damage_bytes, damage_json
from tests.datasets.layouts.annotated import make_images
from tests.datasets.layouts.coco_documents import document

SQUARE = [[2.0, 1.0], [8.0, 1.0], [8.0, 5.0], [2.0, 5.0]]
_ACROSS, _DOWN = [x for x, _ in SQUARE], [y for _, y in SQUARE]


@dataclass(frozen=True)
class GoodFile:
    """A file below a folder, its ``content``, and what makes the files next to it."""

    name: str
    content: bytes
    surround: Callable[[Path], None]
    damage: Callable[[Random, bytes], bytes] = damage_bytes


def images(*names: str) -> Callable[[Path], None]:
    """What puts images of 10x6 into a folder."""
    return lambda root: make_images(root, *names)


def files(**contents: bytes) -> Callable[[Path], None]:
    """What puts files into a folder; two underscores are a point."""

    def put(root: Path) -> None:
        for name, content in contents.items():
            (root / name.replace("__", ".")).write_bytes(content)

    return put


def mat(**arrays: Any) -> bytes:
    """A MATLAB file."""
    stream = BytesIO()
    savemat(stream, arrays, do_compression=len(arrays) == 1)
    return stream.getvalue()


def idx(*shape: int) -> bytes:
    """An IDX file of zeros and ones."""
    values = bytes(number % 2 for number in range(math.prod(shape)))
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + values


def png() -> bytes:
    """A small mask."""
    stream = BytesIO()
    Image.fromarray(np.eye(2, dtype=np.uint8) * 255).save(stream, "PNG")
    return stream.getvalue()


def _batch(labels: str) -> bytes:
    data = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
    return pickle.dumps({b"data": data, labels.encode(): [0, 1], b"filenames": [b"a.png", b"b.png"]}, protocol=2)


def _ten(**others: bytes) -> Callable[[Path], None]:
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    return files(**dict.fromkeys(names, _batch("labels")), **others)


def _hundred(root: Path) -> None:
    names = pickle.dumps({b"fine_label_names": [b"apple", b"bear"]}, protocol=2)
    files(train=_batch("fine_labels"), test=_batch("fine_labels"), meta=names)(root)


def _flowers(root: Path) -> None:
    make_images(root, *(f"jpg/image_0000{number}.jpg" for number in (1, 2, 3)))
    ids = {"trnid": np.array([[1]]), "valid": np.array([[2]]), "tstid": np.array([[3]])}
    files(imagelabels__mat=mat(labels=np.array([[1, 2, 102]], np.uint8)), setid__mat=mat(**ids))(root)


def _pets(root: Path) -> None:
    make_images(root, "images/Abyssinian_1.jpg", "images/Beagle_2.jpg")
    (root / "annotations").mkdir(exist_ok=True)


def _masked(root: Path) -> None:
    make_images(root, "images/a.png", "images/b.png")
    (root / "masks").mkdir(exist_ok=True)
    for name in ("a", "b"):
        Image.fromarray(np.arange(60, dtype=np.uint8).reshape(6, 10) % 3).save(root / "masks" / f"{name}.png")


def _table(rows: list[list[str]]) -> bytes:
    stream = StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode()


def _labelme() -> Any:
    shapes = [
        {"label": "car", "points": SQUARE, "shape_type": "polygon"},
        {"label": "disc", "points": [[3, 3], [5, 3]], "shape_type": "circle"},
        {"label": "car", "points": [[8, 5], [2, 1]], "shape_type": "rectangle"},
        {"label": "d", "points": [[7, 4], [8, 5]], "shape_type": "mask", "mask": base64.b64encode(png()).decode()},
    ]
    return {"shapes": shapes, "imagePath": "a.jpg", "imageData": None, "imageHeight": 6, "imageWidth": 10}


def _supervisely() -> Any:
    packed = base64.b64encode(zlib.compress(png())).decode()
    hole = [[3, 2], [5, 2], [5, 4]]
    objects = [
        {"classTitle": "w", "geometryType": "polygon", "points": {"exterior": SQUARE, "interior": [hole]}},
        {"classTitle": "w", "geometryType": "rectangle", "points": {"exterior": [[0, 0], [1, 2]], "interior": []}},
        {"classTitle": "v", "geometryType": "bitmap", "bitmap": {"data": packed, "origin": [8, 4]}},
        {"classTitle": "p", "geometryType": "point", "points": {"exterior": [[4, 4]], "interior": []}},
    ]
    return {"description": "", "tags": [], "size": {"height": 6, "width": 10}, "objects": objects}


def _supervised(root: Path) -> None:
    make_images(root, "img/a.jpg")
    (root / "ann").mkdir(exist_ok=True)
    (root / "ann" / "a.jpg.json").write_bytes(_json(_supervisely()))


_VIA = [
    {"name": "polygon", "all_points_x": _ACROSS, "all_points_y": _DOWN},
    {"name": "rect", "x": 0, "y": 0, "width": 10, "height": 6},
    {"name": "circle", "cx": 3, "cy": 3, "r": 2},
    {"name": "ellipse", "cx": 5, "cy": 3, "rx": 2, "ry": 1, "theta": 1.5},
]


def _via() -> Any:
    regions = [{"shape_attributes": shape, "region_attributes": {"kind": "car"}} for shape in _VIA]
    return {f"{name}.jpg1": {"filename": f"{name}.jpg", "size": 1, "regions": regions} for name in "ab"}


def _via_table() -> bytes:
    header = ["#filename", "file_size", "region_shape_attributes", "region_attributes"]
    return _table([header, *(["a.jpg", "1", json.dumps(shape), json.dumps({"kind": "car"})] for shape in _VIA)])


def _result(**value: Any) -> dict[str, Any]:
    return {"original_width": 10, "original_height": 6, "image_rotation": 0, "value": value}


def _label_studio() -> Any:
    results = [
        _result(points=[[20, 20], [80, 20], [80, 80]], polygonlabels=["car"]),
        _result(x=50, y=50, radiusX=10, radiusY=30, rotation=5, ellipselabels=["disc"]),
        _result(x=0, y=0, width=100, height=100, rotation=0, rectanglelabels=["disc"]),
        _result(rle=[0, 0, 0, 240, 57, 27, 254, 47, 0, 3, 254, 16], brushlabels=["disc"]),
        {"value": {"choices": ["cat"]}},
    ]
    annotations = [{"result": results[number:], "was_cancelled": False} for number in (0, 0)]
    tasks = [{"annotations": annotations, "data": {"image": "a.jpg"}}]
    return [*tasks, {"annotations": [{"result": [{"value": {"choices": ["dog"]}}]}], "data": {"image": "b.jpg"}}]


def _lines() -> Any:
    line = {"image": "a.jpg", "annotation_id": 1, "lead_time": 1.5, "id": 1, "choice": "cat"}
    return [line, {**line, "image": "b.jpg", "choice": {"choices": ["dog", "cat"]}}]


def _line_table() -> bytes:
    rows = [["image", "annotation_id", "lead_time", "choice"], ["a.jpg", "1", "1.5", "cat"]]
    return _table([*rows, ["b.jpg", "2", "1", '{"choices": ["dog", "cat"]}']])


_CVAT = b"""<?xml version="1.0"?><annotations><version>1.1</version><meta><task><labels><label><name>car</name></label>
</labels></task></meta><image id="0" name="a.jpg" width="10" height="6">
<polygon label="car" points="2.0,1.0;8.0,1.0;8.0,5.0" z_order="0"></polygon>
<box label="car" xtl="0" ytl="0" xbr="10" ybr="6" z_order="1" rotation="5"></box>
<ellipse label="disc" cx="5" cy="3" rx="2" ry="1" rotation="90" z_order="0"></ellipse>
<mask label="disc" rle="1, 1, 1, 3" left="8" top="4" width="2" height="3" z_order="0"></mask>
<points label="car" points="1,1;2,2"></points><tag label="wet"></tag></image>
<image id="1" name="b.jpg" width="10" height="6"><polygon label="car" points="1,1;2,2;3,1"></polygon></image>
</annotations>"""


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


_IDX = files(**{"train-images-idx3-ubyte": idx(3, 5, 4), "train-labels-idx1-ubyte": idx(3)})
_EMNIST = files(
    **{
        "emnist-letters-train-images-idx3-ubyte": idx(2, 4, 4),
        "emnist-letters-train-labels-idx1-ubyte": b"\0\0\x08\x01\0\0\0\x02\1\2",
    }
)
_TWO, _FOUR = images("a.jpg", "b.jpg"), images("a/0.jpg", "a/1.jpg", "b/0.jpg", "b/1.jpg")
_NAMES = [[f"{folder}/{number}.jpg", folder, split] for folder in "ab" for number, split in ((0, "train"), (1, "test"))]
_SVHN = mat(X=np.zeros((32, 32, 3, 2), np.uint8), y=np.array([[10], [3]], np.uint8))

GOOD_FILES: Mapping[str, GoodFile] = {
    "mat-labels": GoodFile("imagelabels.mat", mat(labels=np.array([[1, 2, 102]], np.uint8)), _flowers),
    "mat-sets": GoodFile(
        "setid.mat", mat(trnid=np.array([[1]]), valid=np.array([[2]]), tstid=np.array([[3]])), _flowers
    ),
    "mat-svhn": GoodFile("train_32x32.mat", _SVHN, lambda _: None),
    "cifar-batch": GoodFile("data_batch_3", _batch("labels"), _ten()),
    "cifar-meta": GoodFile(
        "batches.meta", pickle.dumps({b"label_names": [b"class%d" % number for number in range(10)]}, 2), _ten()
    ),
    "cifar-hundred": GoodFile("train", _batch("fine_labels"), _hundred),
    "cifar-names": GoodFile("meta", pickle.dumps({b"fine_label_names": [b"apple", b"bear"]}, 2), _hundred),
    "idx-images": GoodFile("train-images-idx3-ubyte", idx(3, 5, 4), _IDX),
    "idx-packed": GoodFile("train-images-idx3-ubyte", gzip.compress(idx(3, 5, 4)), _IDX),
    "idx-labels": GoodFile("train-labels-idx1-ubyte", idx(3), _IDX),
    "idx-mapping": GoodFile("emnist-letters-mapping.txt", b"1 65 97\n2 66 98\n3 67 99\n", _EMNIST),
    "pets": GoodFile("annotations/list.txt", b"#Image ID\nAbyssinian_1 1 1 1\nBeagle_2 5 2 2\n", _pets),
    "class-list": GoodFile("classes.txt", b"0 255 0 0 sky\n1 0 255 0 tree\n2 0 0 255 sea\n", _masked),
    "class-table": GoodFile("classes.csv", b"name,r,g,b\nsky,255,0,0\ntree,0,255,0\nsea,0,0,255\n", _masked),
    "table": GoodFile("labels.csv", _table([["path", "label", "split"], *_NAMES]), _FOUR),
    "table-text": GoodFile("labels.txt", b"a/0.jpg a\na/1.jpg a\nb/0.jpg b\nb/1.jpg b\n", _FOUR),
    "json-lines": GoodFile(
        "metadata.jsonl", b"\n".join(_json({"file_name": name, "label": label}) for name, label, _ in _NAMES), _FOUR
    ),
    "coco": GoodFile("a.json", _json(document()), images("7.png", "8.png", "9.png"), damage_json),
    "labelme": GoodFile("a.json", _json(_labelme()), _TWO, damage_json),
    "supervisely": GoodFile("ann/a.jpg.json", _json(_supervisely()), images("img/a.jpg"), damage_json),
    "supervisely-meta": GoodFile(
        "meta.json",
        _json({"classes": [{"title": "w", "shape": "any"}, {"title": "v"}], "tags": []}),
        _supervised,
        damage_json,
    ),
    "cvat": GoodFile("annotations.xml", _CVAT, _TWO),
    "via": GoodFile("via.json", _json(_via()), _TWO, damage_json),
    "via-table": GoodFile("via.csv", _via_table(), _TWO),
    "label-studio": GoodFile("tasks.json", _json(_label_studio()), _TWO, damage_json),
    "label-studio-lines": GoodFile("tasks.json", _json(_lines()), _TWO, damage_json),
    "label-studio-table": GoodFile("tasks.csv", _line_table(), _TWO),
    "class-index": GoodFile(
        "class_to_idx.json", _json({"cat": 0, "dog": 1}), images("0/a.jpg", "1/b.jpg"), damage_json
    ),
    "imagenet": GoodFile(
        "imagenet_class_index.json",
        _json({"0": ["n01440764", "tench"], "1": ["n01443537", "gold_fish"]}),
        images("n01440764/a.jpg", "n01443537/b.jpg"),
        damage_json,
    ),
}
