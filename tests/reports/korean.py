"""What of a Korean page is still English, read as a browser reads it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_FIELD = {
    "IoU",
    "VOC",
    "PCK",
    "ROC",
    "AUC",
    "mAP",
    "GAP",
    "PCA",
    "NMS",
    "EMA",
    "GPU",
    "ILSVRC",
    "COCO",
    "Pascal",
    "YOLO",
    "PSNR",
    "SSIM",
    "RGB",
    "RMSE",
    "KITTI",
    "VDSR",
    "BLEU",
    "BLEU-",
    "CIDEr",
    "LSTM",
    "FAR",
    "TAR",
    "EER",
    "FRR",
    "t-SNE",
}
_PEOPLE = {"Lim", "Eigen", "Guo", "Bolya", "Northcutt", "Jiang", "Chuang", "Adebayo", "Nie", "Gatys"}
_PROGRAMS = {
    "Pascal",
    "YOLO",
    "convolve",
    "LabelMe",
    "ImageNet",
    "PyTorch",
    "NumPy",
    "MATLAB",
    "imresize",
    "PNG",
    "GiB",
}
_OPTIONS = {"fit", "crop", "letterbox", "tiles", "group-by", "json", "task", "classify", "segment", "test-identities"}
_TECHNICAL = _FIELD | _PEOPLE | _PROGRAMS | _OPTIONS
_ATTRIBUTES = ("alt", "title", "aria-label")
_VOID = {"meta", "img", "input", "br", "wbr", "link", "hr"}


class _Texts(HTMLParser):
    """The texts of a page that are not names."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[bool] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = ("translate", "no") in attrs or tag in ("style", "script")
        if not named and not any(self._open):
            self.texts += [value or "" for name, value in attrs if name in _ATTRIBUTES or name.startswith("data-text")]
        if tag not in _VOID:
            self._open.append(named)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and not any(self._open):
            self.texts.append(data.strip())


def english_texts(html: str, names: tuple[str, ...] = ()) -> list[str]:
    """The texts with a word of three Latin letters or more, besides technical terms, numbers and ``names``."""
    reader = _Texts()
    reader.feed(html)
    left = []
    for text in reader.texts:
        rest = text
        for name in sorted(names, key=len, reverse=True):
            rest = rest.replace(name, "")
        words = re.findall(r"[A-Za-z][A-Za-z-]{2,}", rest)
        if set(words) - _TECHNICAL:
            left.append(text)
    return left
