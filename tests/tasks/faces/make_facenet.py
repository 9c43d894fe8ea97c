"""What facenet-pytorch's MTCNN 2.6.0 finds, for `facenet.json`: python make_facenet.py FOLDER-OF-FACENET-PYTORCH PHOTO…

The package is installed into a folder of its own, without its old torch: pip install --no-deps --target FOLDER.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def main(folder: str, *photos: str) -> None:
    """Write the boxes, scores and points of each photo, the highest scores first."""
    sys.path.insert(0, folder)
    from facenet_pytorch import MTCNN  # type: ignore[import-not-found, unused-ignore]

    detector = MTCNN(keep_all=True, select_largest=False)
    found: dict[str, dict[str, Any]] = {}
    for photo in photos:
        boxes, scores, points = detector.detect(Image.open(photo).convert("RGB"), landmarks=True)
        order: Any = np.argsort(-scores) if boxes is not None else []
        found[Path(photo).name] = {
            name: np.asarray(values)[order].astype(float).round(4).tolist() if boxes is not None else []
            for name, values in (("boxes", boxes), ("scores", scores), ("points", points))
        }
    text = json.dumps(found, separators=(",", ":")).replace("},", "},\n")
    Path(__file__).with_name("facenet.json").write_text(f"{text}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
