"""Fuzzers of tables, lists and annotations."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from convolve.datasets.layouts import open_dataset
from convolve.datasets.voc import read_voc
from tests.datasets.layouts.test_supervisely import bitmap
from tests.fuzz.image_readers import CLASSES, PHOTO, encode
from tests.fuzz.reader import put, register, register_file, use

PICTURE = encode(PHOTO.resize((10, 6)), "PNG")
_LARGER = encode(PHOTO.resize((16, 12)), "PNG")
_PAINTED = base64.b64encode(encode(CLASSES.crop((0, 0, 2, 2)).convert("1"), "PNG")).decode()
IMAGES = {f"{name}.png": PICTURE for name in "abcd"}
SQUARE = [2.0, 1.0, 8.0, 1.0, 8.0, 5.0, 2.0, 5.0]
_LAYOUTS = "datasets.layouts."


def _json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _quoted(document: Any) -> str:
    """JSON in a cell of a CSV file."""
    text = json.dumps(document).replace('"', '""')
    return f'"{text}"'


def _with_masks(mask: bytes) -> dict[str, bytes]:
    return {f"images/{name}.png": _LARGER for name in "ab"} | {f"masks/{name}.png": mask for name in "ab"}


def _points(flat: list[float]) -> list[list[float]]:
    return [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]


_COCO = {
    "info": {"year": 2020},
    "images": [
        {"id": number, "file_name": f"{name}.png", "width": 10, "height": 6} for number, name in enumerate("abcd")
    ],
    "categories": [{"id": 3, "name": "cat", "supercategory": "animal"}, {"id": 7, "name": "개"}],
    "annotations": [
        {
            "id": 1,
            "image_id": 0,
            "category_id": 3,
            "segmentation": [SQUARE],
            "area": 24.0,
            "bbox": [2, 1, 6, 4],
            "iscrowd": 0,
        },
        {
            "id": 2,
            "image_id": 1,
            "category_id": 7,
            "segmentation": {"size": [6, 10], "counts": [10, 20, 30]},
            "iscrowd": 1,
        },
        {"id": 3, "image_id": 2, "category_id": 7, "segmentation": {"size": [6, 10], "counts": "`01N2"}, "iscrowd": 0},
    ],
}
_VOC = b"""<annotation><folder>a</folder><filename>a.png</filename><size><width>10</width><height>6</height>
<depth>3</depth></size><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>4</ymax></bndbox>
<difficult>0</difficult></object></annotation>"""
_CVAT = b"""<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><labels><label><name>wall</name></label><label><name>disc</name></label>
</labels></task></meta><image id="0" name="a.png" width="10" height="6"><polygon label="disc" z_order="0"
points="2.0,1.0;8.0,1.0;8.0,5.0"></polygon><mask label="wall" rle="1, 1, 1, 3" left="8" top="4" width="2" height="3"
z_order="0"></mask></image><image id="1" name="b.png" width="10" height="6"><ellipse label="disc" cx="5" cy="3" rx="2"
ry="1" rotation="90" z_order="1"></ellipse><box label="wall" xtl="0" ytl="0" xbr="10" ybr="6" z_order="0"></box>
</image></annotations>"""
_POLYGON = {"name": "polygon", "all_points_x": [2, 8, 8, 2], "all_points_y": [1, 1, 5, 5]}
_VIA = {
    f"{name}.png123": {
        "filename": f"{name}.png",
        "size": 123,
        "regions": [{"shape_attributes": shape, "region_attributes": {"kind": "disc"}}],
        "file_attributes": {},
    }
    for name, shape in (("a", _POLYGON), ("b", {"name": "ellipse", "cx": 5, "cy": 3, "rx": 2, "ry": 1, "theta": 0.5}))
}
_VIA_CSV = (
    "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
    + "".join(
        f'{name}.png,123,"{{}}",1,0,"{json.dumps(_POLYGON).replace(chr(34), chr(34) * 2)}","{{""kind"":""disc""}}"\n'
        for name in "ab"
    )
).encode()
_LABELME = {
    "version": "5.4.1",
    "flags": {"sunny": True},
    "imagePath": "a.png",
    "imageHeight": 6,
    "imageWidth": 10,
    "imageData": base64.b64encode(PICTURE).decode(),
    "shapes": [
        {"label": "car", "points": _points(SQUARE), "group_id": None, "shape_type": "polygon", "flags": {}},
        {"label": "sky", "points": [[0, 0], [3, 3]], "group_id": 1, "shape_type": "rectangle", "flags": {}},
        {"label": "sky", "points": [[0, 0], [1, 1]], "shape_type": "mask", "mask": _PAINTED},
    ],
}
_STUDIO = [
    {
        "id": number,
        "data": {"image": f"/data/upload/1/0a1b2c3d-{name}.png"},
        "annotations": [
            {
                "id": 1,
                "was_cancelled": False,
                "result": [
                    {
                        "type": "polygonlabels",
                        "from_name": "label",
                        "to_name": "image",
                        "original_width": 10,
                        "original_height": 6,
                        "image_rotation": 0,
                        "value": {"points": [[20, 20], [80, 20], [80, 80]], "polygonlabels": ["disc"], "closed": True},
                    },
                    {
                        "type": "rectanglelabels",
                        "from_name": "label",
                        "to_name": "image",
                        "original_width": 10,
                        "original_height": 6,
                        "value": {
                            "x": 0,
                            "y": 0,
                            "width": 50,
                            "height": 50,
                            "rotation": 10,
                            "rectanglelabels": ["wall"],
                        },
                    },
                ],
            }
        ],
    }
    for number, name in enumerate("ab")
]
_DRAWN = {
    "points": [[20, 20], [80, 20], [80, 80]],
    "polygonlabels": ["disc"],
    "original_width": 10,
    "original_height": 6,
}
_STUDIO_CSV = "".join(
    [
        "image,id,label,annotator,annotation_id,created_at,updated_at,lead_time\n",
        *(
            f"{name}.png,{name == 'b'},{_quoted([_DRAWN])},1,1,2024-01-01T00:00:00Z,2024-01-01T00:00:00Z,1.5\n"
            for name in "ab"
        ),
    ]
).encode()
_SUPERVISELY = {
    "description": "",
    "tags": [],
    "size": {"height": 6, "width": 10},
    "objects": [
        {
            "id": 1,
            "classTitle": "disc",
            "geometryType": "polygon",
            "tags": [],
            "points": {"exterior": [[1, 1], [7, 1], [7, 5]], "interior": [[[3, 2], [5, 2], [5, 4]]]},
        },
        {
            "id": 2,
            "classTitle": "wall",
            "geometryType": "bitmap",
            "tags": [],
            "bitmap": {"data": bitmap(np.array([[1, 0], [1, 1]])), "origin": [8, 4]},
        },
    ],
}
_TABLE = 'image,label,split\na.png,cat,train\nb.png,개,train\nc.png,cat,val\nd.png,"dog, big",test\n'
_LINE = b'{"file_name": "%c.png", "label": "%d", "n": 1}\n'
_META = {"classes": [{"title": name, "shape": "any", "color": "#ff0000"} for name in ("wall", "disc")], "tags": []}


def _read_voc(content: bytes, folder: Path) -> None:
    put(folder, {"a.xml": content})
    for name in read_voc(folder / "a.xml").names:
        assert "\0" not in name.encode().decode()


register_file("coco", f"{_LAYOUTS}coco {_LAYOUTS}documents datasets.rle", "annotations.json", _json(_COCO), IMAGES)
register("voc", "datasets.voc", lambda: [_VOC], _read_voc)
register_file("cvat", f"{_LAYOUTS}cvat", "annotations.xml", _CVAT, IMAGES)
register_file("via", f"{_LAYOUTS}via", "via_region_data.json", _json(_VIA), IMAGES)
register_file("via-csv", f"{_LAYOUTS}via", "via.csv", _VIA_CSV, IMAGES)
register_file("labelme", f"{_LAYOUTS}labelme {_LAYOUTS}shapes", "a.json", _json(_LABELME), {"a.png": PICTURE})
register_file("label-studio", f"{_LAYOUTS}label_studio", "tasks.json", _json(_STUDIO), IMAGES)
register_file("label-studio-csv", f"{_LAYOUTS}label_studio", "tasks.csv", _STUDIO_CSV, IMAGES)
register_file(
    "supervisely",
    f"{_LAYOUTS}supervisely {_LAYOUTS}shapes",
    "ds0/ann/a.png.json",
    _json(_SUPERVISELY),
    {"ds0/img/a.png": PICTURE, "meta.json": _json(_META)},
)
register_file(
    "supervisely-meta",
    f"{_LAYOUTS}supervisely",
    "meta.json",
    _json(_META),
    {"ds0/img/a.png": PICTURE, "ds0/ann/a.png.json": _json(_SUPERVISELY)},
)
register_file(
    "table", f"{_LAYOUTS}tables {_LAYOUTS}table_cells datasets.cleaning", "labels.csv", _TABLE.encode(), IMAGES
)
register_file("table-one-hot", f"{_LAYOUTS}tables", "train.csv", b"id;cat;dog\na;1;0\nb;0;1\nc;1;1\nd;0;0\n", IMAGES)
register_file("table-text", f"{_LAYOUTS}tables", "list.txt", b"a.png 0\nb.png 1\nc.png 1\nd.png 0\n", IMAGES)
register_file(
    "json-lines",
    f"{_LAYOUTS}json_lines",
    "metadata.jsonl",
    b"".join(_LINE % (letter, letter % 2) for letter in b"abcd"),
    IMAGES,
)
register_file(
    "class-index",
    f"{_LAYOUTS}class_index",
    "class_index.json",
    _json({"0": "cat", "1": "dog"}),
    {"0/a.png": PICTURE, "1/b.png": PICTURE},
)
register_file(
    "imagenet-index",
    f"{_LAYOUTS}imagenet",
    "imagenet_class_index.json",
    _json({"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}),
    {"train/n01440764/a.png": PICTURE, "train/n01443537/b.png": PICTURE},
)
register_file(
    "imagenet-list",
    f"{_LAYOUTS}imagenet {_LAYOUTS}parts",
    "LOC_synset_mapping.txt",
    b"n01440764 tench, Tinca tinca\nn01443537 goldfish\n",
    {"train/n01440764/a.png": PICTURE, "train/n01443537/b.png": PICTURE},
)
register_file(
    "pets",
    f"{_LAYOUTS}pets",
    "annotations/list.txt",
    b"#Image CLASS-ID\nBengal_3 6 1 2\nBeagle_4 6 2 2\n",
    {"images/Bengal_3.jpg": encode(PHOTO, "JPEG"), "images/Beagle_4.jpg": encode(PHOTO, "JPEG")},
)
register_file(
    "masklist",
    f"{_LAYOUTS}class_lists",
    "class_dict.csv",
    b"name,r,g,b\nsky,0,0,0\nroad,1,1,1\ncar,2,2,2\n",
    _with_masks(encode(CLASSES.convert("RGB"), "PNG")),
)
register_file(
    "classes-txt", f"{_LAYOUTS}class_lists", "classes.txt", b"sky\nroad\ncar\n", _with_masks(encode(CLASSES, "PNG"))
)
register_file(
    "split-list",
    f"{_LAYOUTS}parts",
    "val.txt",
    b"a/1.png\n",
    {f"{name}/{number}.png": PICTURE for name in "ab" for number in "12"},
)


def _parquet() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    images = [{"bytes": PICTURE, "path": f"{name}.png"} for name in "abcd"]
    features = {"image": {"_type": "Image"}, "label": {"names": ["dog", "cat"], "_type": "ClassLabel"}}
    table = pa.table({"image": images, "label": [0, 1, 1, 0]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    stream = io.BytesIO()
    parquet.write_table(table, stream, row_group_size=2)
    return stream.getvalue()


def _read_parquet(content: bytes, folder: Path) -> None:
    put(folder, {"train.parquet": content})
    use(open_dataset(folder))


if importlib.util.find_spec("pyarrow"):
    register("parquet", f"{_LAYOUTS}parquet datasets.parquet_images", lambda: [_parquet()], _read_parquet)
