"""What OpenCV 4 makes of networks of Torch7, the last version that reads them.

In an environment of its own: `pip install opencv-python-headless==4.14.0.94`, then, in the repository,
`python -m tests.interop.torch7.make_outputs`.
"""

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.interop.torch7.lua import dump
from tests.interop.torch7.networks import NETWORKS

HERE = Path(__file__).parent


def main() -> None:
    """Write the networks as text to `NAME.t7`, and inputs and outputs to `io.npz`."""
    values: dict[str, Any] = {}
    for name, (shape, network) in NETWORKS.items():
        image = np.random.default_rng(3).normal(0, 1, (1, *shape)).astype(np.float32)
        found = []
        for text in (True, False):
            path = HERE / f"{name}.t7" if text else Path(tempfile.mkdtemp()) / "a.t7"
            path.write_bytes(dump(network, text=text))
            net = cv2.dnn.readNetFromTorch(str(path), not text, True)  # type: ignore[attr-defined]  # gone in OpenCV 5
            net.setInput(image)
            found.append(net.forward())
        assert np.array_equal(*found)
        values |= {f"{name}/input": image, f"{name}/output": found[0]}
    np.savez_compressed(HERE / "io.npz", allow_pickle=False, **values)


if __name__ == "__main__":
    main()
