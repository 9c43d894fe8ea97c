"""What OpenCV computes with Caffe's networks, layer by layer: `make_outputs.py FOLDER_OF_WEIGHTS`.

OpenCV 4.14 was the last to read Caffe's files; run this in an environment of its own with
`opencv-python-headless==4.14.0.94` and numpy. It writes a `.npz` for each network next to itself: of each layer sixteen
values, the mean of the magnitudes and the largest of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HERE = Path(__file__).parent
NETWORKS = {
    "squeezenet": ("squeezenet/SqueezeNet_deploy", "squeezenet/squeezenet_v1.0", (3, 227, 227), 128.0),
    "lenet": ("lenet/lenet", "lenet/lenet_iter_10000", (1, 28, 28), 1.0),
    "mtcnn_p": ("mtcnn/det1", "mtcnn/det1", (3, 12, 12), 1.0),
    "mtcnn_r": ("mtcnn/det2", "mtcnn/det2", (3, 24, 24), 1.0),
    "mtcnn_o": ("mtcnn/det3", "mtcnn/det3", (3, 48, 48), 1.0),
    "ultraface": ("ultraface/RFB-320", "ultraface/RFB-320", (3, 240, 320), 1.0),
    "vdsr": ("vdsr/VDSR_net_deploy", "vdsr/VDSR_Adam", (1, 64, 64), 1.0),
    "kinds": ("kinds", "kinds", (6, 13, 17), 1.0),
    "old": ("old", "old", (4, 15, 15), 1.0),
}
"""Definition, weights, the input's shape, and the largest magnitude in it; those without a folder are next to this
file.
"""


def make_input(shape: tuple[int, ...], largest: float) -> Any:
    """Numbers that look random and are the same everywhere, (1, *shape)."""
    count = int(np.prod(shape))
    numbers = (np.arange(count, dtype=np.int64) * 7919 + 12345) % 10007
    return ((numbers / 10007 * 2 - 1) * largest).astype(np.float32).reshape(1, *shape)


def summarize(values: Any) -> Any:
    """Sixteen of the values from end to end, the mean of the magnitudes and the largest of them."""
    flat = np.asarray(values, np.float64).reshape(-1)
    chosen = flat[np.linspace(0, len(flat) - 1, 16).round().astype(int)]
    return np.array([*chosen, np.abs(flat).mean(), np.abs(flat).max()], np.float32)


def paths(name: str, folder: Path) -> tuple[Path, Path]:
    """The definition and the weights of a network."""
    definition, weights = NETWORKS[name][:2]
    below = folder if "/" in definition else HERE
    return below / f"{definition}.prototxt", below / f"{weights}.caffemodel"


def main() -> None:
    """Write the files."""
    for name, (_, _, shape, largest) in NETWORKS.items():
        definition, weights = paths(name, Path(sys.argv[1]))
        net = getattr(cv2.dnn, "readNetFromCaffe")(str(definition), str(weights))  # noqa: B009 - OpenCV 5 has none
        net.enableFusion(False)
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        net.setInput(make_input(shape, largest))
        layers = list(net.getLayerNames())
        outputs = net.forward(layers)
        rows = np.stack([summarize(output) for output in outputs])
        np.savez_compressed(HERE / f"{name}.npz", layers=np.array(layers), rows=rows)


if __name__ == "__main__":
    main()
