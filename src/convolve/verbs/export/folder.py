"""The folder of an export: written beside where it will be, and put there once everything is known to be right."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from convolve.errors import ConvolveError, ExportError
from convolve.exports.card import CARD, Engine, ExportCard, is_export
from convolve.files import write_text
from convolve.marks import is_page
from convolve.tasks.registry import find_exported

README = "README.md"
_STEMS = ("network", "weights")
"""Of the files that hold a network, in any format."""
_LIBRARIES: Mapping[Engine, str] = {
    "openvino": "openvino numpy pillow",
    "onnx": "onnxruntime numpy pillow",
    "torch": "torch torchvision timm safetensors",
}


@contextmanager
def draft_folder(out: Path) -> Iterator[Path]:
    """An empty folder that takes the place of ``out`` when the block ends without an error, and else is removed. Raises
    `ExportError` where something would be lost that is no export, and `ConvolveError` where nothing can be written.
    """
    if out.is_symlink() or (out.exists() and not is_export(out) and not _is_empty(out)):
        raise ExportError(f"{out} exists, and is no export; choose another --out, or remove it.")
    try:
        foreign = sorted(path for path in out.iterdir() if not _is_part_of_export(path)) if out.exists() else []
        if foreign:
            raise ExportError(
                f"{foreign[0]} is no part of an export and would be lost; move it, or choose another --out."
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise ConvolveError(f"{out} cannot be written ({error.strerror}); choose another --out.") from error
    try:
        yield draft
        draft.chmod(0o755)
        if out.exists():
            old = draft.with_name(f"{draft.name}.old")
            out.rename(old)
            draft.rename(out)
            shutil.rmtree(old)
        else:
            draft.rename(out)
    except OSError as error:
        raise ConvolveError(f"{out} cannot be written ({error.strerror or error}); free some space.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_readme(folder: Path, card: ExportCard, usage: tuple[str, ...]) -> None:
    """How to use the folder from Python without convolve."""
    scored = find_exported(card.task).info.scored
    code = "\n".join(_torch_code(usage, card.classes) if card.engine == "torch" else _code(card, usage))
    kind = "RGB" if card.input.channels == 3 else "gray"
    takes = (
        f"It takes images as they are, `images` (N, H, W, {card.input.channels}) uint8, {kind} and upright; what to do "
        "before and after the network is in the file. "
    )
    classes = f" with {len(card.classes)} {scored}" if card.classes else ""
    text = (
        f"# {card.network}\n\n"
        f"{card.title}: a network for the task `{card.task}`{classes}. "
        f"{'' if card.engine == 'torch' else takes}`card.json` says where it comes from and how good it is.\n\n"
        f"    pip install {_LIBRARIES[card.engine]}\n\n"
        f"```python\n{code}\n```\n"
    )
    notes = "".join(f"\n- {note}" for note in card.notes)
    write_text(folder / README, text + (f"\nTo know:\n{notes}\n" if notes else ""))


def _code(card: ExportCard, usage: tuple[str, ...]) -> Iterator[str]:
    yield "import json, sys" if card.classes else "import sys"
    yield "import numpy as np"
    yield "import openvino" if card.engine == "openvino" else "import onnxruntime"
    yield "from PIL import Image, ImageOps"
    yield ""
    if card.classes:
        yield 'classes = json.load(open("card.json", encoding="utf-8"))["state"]["classes"]'
    if card.engine == "openvino":
        hint = ', {"INFERENCE_PRECISION_HINT": "f32"}' if card.precision == "fp32" else ""
        yield f'network = openvino.Core().compile_model("{card.main}", "CPU"{hint})'
    else:
        yield f'network = onnxruntime.InferenceSession("{card.main}")'
    mode = "RGB" if card.input.channels == 3 else "L"
    yield f'image = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("{mode}")'
    yield f"images = np.array(image)[None{'' if mode == 'RGB' else ', ..., None'}]"
    if card.engine == "openvino":
        yield "found = {output.get_any_name(): value for output, value in network(images).items()}"
    else:
        yield "names = [output.name for output in network.get_outputs()]"
        yield 'found = dict(zip(names, network.run(names, {"images": images})))'
    yield from usage


def _torch_code(usage: tuple[str, ...], classes: tuple[str, ...]) -> Iterator[str]:
    if classes:
        yield "import json"
        yield 'classes = json.load(open("card.json", encoding="utf-8"))["state"]["classes"]'
    yield from usage
    yield "network.eval()" if "torchvision" in usage[0] or "timm" in usage[0] else "# network(images)"


def _is_part_of_export(path: Path) -> bool:
    """Whether it is a file of an export, in any format, or the page of an evaluation."""
    own = path.name in (README, CARD) or path.stem in _STEMS
    return path.is_file() and (own or is_page(path))


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
