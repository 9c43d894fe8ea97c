"""Write the numbers of the page that opens a LeNet-5: ``python docs/book/lenet5.py RUN``.

RUN is the run of the chapter on one's first network, `runs/first`. ``pages/lenet5.json``, which is committed since it
needs that run, has its weights in half precision, mean and standard deviation of its input, and one digit of each
class as scikit-learn has them, 8x8 values from 0 to 16, that was not trained on.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

from safetensors.numpy import load_file
from sklearn.datasets import load_digits

PATH = Path(__file__).resolve().parent / "pages" / "lenet5.json"
LAYERS = ("conv1", "conv2", "dense3", "dense4", "dense5")


def numbers(run: Path) -> dict[str, object]:
    """What the page reads."""
    weights = load_file(run / "weights.safetensors")
    preprocessing = json.loads((run / "manifest.json").read_text())["preprocessing"]
    parts: list[tuple[str, int]] = []
    content = b""
    for layer in LAYERS:
        for kind in ("weight", "bias"):
            (values,) = (value for name, value in weights.items() if name.endswith(f"{layer}.{kind}"))
            parts.append((f"{layer}.{kind}", values.size))
            content += values.astype("<f2").tobytes()
    tested = json.loads((run / "splits.json").read_text())["test"]
    digits = load_digits()
    samples = [
        digits.images[min(int(Path(name).stem) for name in tested if Path(name).parent.name == str(digit))]
        for digit in range(10)
    ]
    return {
        "mean": preprocessing["mean"][0],
        "std": preprocessing["std"][0],
        "samples": [sample.ravel().astype(int).tolist() for sample in samples],
        "lengths": parts,
        "weights": base64.b64encode(content).decode(),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(numbers(Path(sys.argv[1])), separators=(",", ":")) + "\n", encoding="utf-8")
