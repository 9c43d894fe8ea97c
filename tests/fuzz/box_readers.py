"""Fuzzers of files of boxes: Pascal VOC, YOLO's texts and their lists, tables, and COCO's boxes alone."""

from __future__ import annotations

import json

from tests.fuzz.image_readers import PHOTO, encode
from tests.fuzz.reader import register_file

_PICTURE = encode(PHOTO.resize((10, 6)), "PNG")
_LAYOUTS = "datasets.layouts."
_IMAGES = {f"images/{name}.png": _PICTURE for name in "ab"}
_VOC = b"""<annotation verified="yes"><filename>a.png</filename><size><width>10</width><height>6</height></size>
<object><name>cat</name><truncated>0</truncated><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>5.5
</xmax><ymax>4</ymax></bndbox></object><object><name>%s</name><bndbox><xmin>3</xmin><ymin>1</ymin><xmax>10</xmax>
<ymax>6</ymax></bndbox></object></annotation>""" % "개".encode()
_LABELS = b"0 0.5 0.5 0.25 0.5\n1 0.1 0.2 0.5 0.1 0.3 0.9\n"
_LABELED = {**_IMAGES, "labels/b.txt": b"1 0.5 0.5 1 1\n", "data.yaml": b"names: [cat, dog]\n"}
_YAML = """# of another machine
path: ../pets
train: images/train
val: [images/val]
test:
nc: 2
kpt_shape: [2, 3]
names:
  0: cat
  1: "개, big"
"""
_TRAIN = {f"images/{split}/a.png": _PICTURE for split in ("train", "val")}
_TABLE = b"filename,width,height,class,xmin,ymin,xmax,ymax\na.png,10,6,cat,1,2,5,4\nb.png,10,6,dog,3,1,10,6\n"
_OPEN_IMAGES = b"ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\na,/m/1,0.1,0.5,0.25,0.75,1\nb,/m/2,0,1,0,1,0\n"
_BARE = b"images/a.png,1,2,5,4,cat\nimages/b.png,,,,,\nimages/a.png,3,1,10,6,dog\n"
_COCO = {
    "images": [
        {"id": number, "file_name": f"{name}.png", "width": 10, "height": 6} for number, name in enumerate("ab")
    ],
    "categories": [{"id": 0, "name": "pets"}, {"id": 7, "name": "cat", "supercategory": "pets"}],
    "annotations": [
        {"id": 1, "image_id": 0, "category_id": 7, "bbox": [2, 1, 6, 4], "area": 24.0, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 7, "bbox": [0.5, 0.5, 9, 5.25], "iscrowd": 1, "segmentation": []},
    ],
}

register_file("voc-boxes", f"{_LAYOUTS}voc datasets.voc", "annotations/a.xml", _VOC, _IMAGES)
register_file(
    "voc-list",
    f"{_LAYOUTS}voc",
    "ImageSets/Main/train.txt",
    b"a\nb -1\n",
    {**_IMAGES, "annotations/a.xml": _VOC, "annotations/b.xml": _VOC, "ImageSets/Main/val.txt": b"b\n"},
)
register_file("yolo", f"{_LAYOUTS}yolo_text", "labels/a.txt", _LABELS, _LABELED)
register_file(
    "yolo-yaml",
    f"{_LAYOUTS}yolo_config untrusted.documents",
    "data.yaml",
    _YAML.encode(),
    {**_TRAIN, **{f"labels/{split}/a.txt": b"0 0.5 0.5 0.25 0.5\n" for split in ("train", "val")}},
)
register_file(
    "yolo-names", f"{_LAYOUTS}yolo_config", "classes.txt", "cat\n개\n".encode(), {**_IMAGES, "labels/a.txt": _LABELS}
)
register_file("box-table", f"{_LAYOUTS}box_tables", "boxes.csv", _TABLE, _IMAGES)
register_file("box-table-bare", f"{_LAYOUTS}box_tables", "boxes.csv", _BARE, _IMAGES)
register_file("open-images", f"{_LAYOUTS}box_tables", "boxes.csv", _OPEN_IMAGES, _IMAGES)
register_file(
    "open-images-classes",
    f"{_LAYOUTS}box_tables",
    "class-descriptions.csv",
    b'/m/1,Cat\n/m/2,"Dog, big"\n',
    {**_IMAGES, "boxes.csv": _OPEN_IMAGES},
)
register_file("coco-boxes", f"{_LAYOUTS}coco {_LAYOUTS}coco_objects", "boxes.json", json.dumps(_COCO).encode(), _IMAGES)
