"""How many of the labels flipped in Fashion-MNIST `convolve data RUN --label-errors` finds.

    python -m bench.label_errors FOLDER [--fraction 0.02] [--epochs 5] [--folds 5] [--seed 0] [--similar]

Of the training and of the test images, a fraction gets the label of another class, drawn at random or, with --similar,
the one that a LeNet most often takes it for. The folder gets the
data so changed and a run of LeNet on it, whose labels are then judged; what is there already is used again. Printed are
precision and recall among as many images as there are flipped labels, for the list and for simpler rankings: by the
probability of the label alone, and by the normalized margin (that of the label less that of the most probable other
class). Fashion-MNIST has label errors of its own, which count as mistakes here.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

import convolve
from convolve.datasets.labels import Labels
from convolve.datasets.layouts import open_dataset
from convolve.metrics.confusion import Fractions
from convolve.metrics.ranking import average_precision
from convolve.values import Dataset, Flags, Indices
from convolve.verbs.data.label_errors import JudgedLabels

_SIMILAR = np.array([6, 3, 4, 4, 2, 7, 0, 9, 6, 7], np.uint8)
"""The class that each is most often taken for, such as 0 (T-shirt) for 6 (shirt)."""
_FILES = {"train": "train", "test": "t10k"}


def _write_flipped(folder: Path, fraction: float, seed: int, *, similar: bool) -> None:
    """Fashion-MNIST as IDX files with flipped labels, and the names of those images in `flipped.json`."""
    dataset = open_dataset("fashion-mnist")
    labels = dataset.ground_truths["labels"]
    assert isinstance(labels, Labels)
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    names: list[str] = []
    for split, prefix in _FILES.items():
        indices = dataset.given_splits[split]
        values = labels.values[indices].astype(np.uint8)
        flipped = random.choice(len(values), round(fraction * len(values)), replace=False)
        if similar:
            values[flipped] = _SIMILAR[values[flipped]]
        else:
            values[flipped] = (values[flipped] + random.integers(1, 10, len(flipped))) % 10
        pixels = np.stack([dataset.images.read(int(index))[..., 0] for index in indices])
        _write_idx(folder / f"{prefix}-images-idx3-ubyte", pixels)
        _write_idx(folder / f"{prefix}-labels-idx1-ubyte", values)
        names += [dataset.images.name(int(index)).replace(".gz", "") for index in indices[flipped]]
    (folder.parent / "flipped.json").write_text(json.dumps(names))


def _write_idx(path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    header = np.array([0x0800 + values.ndim, *values.shape], ">i4")
    path.write_bytes(header.tobytes() + values.tobytes())


def _judge(folder: Path, epochs: int, folds: int) -> JudgedLabels:
    run = folder / "run"
    if not (run / "weights.safetensors").exists():
        convolve.train(folder / "data", network="lenet5_keras", epochs=epochs, seed=0, threads=1, out=run)
    began = time.perf_counter()
    judged = convolve.data(run, label_errors=True, folds=folds).label_errors
    assert judged is not None
    print(f"judged in {time.perf_counter() - began:.0f} s, the folds' training included where it was not done yet")
    return judged


def _flags(dataset: Dataset, indices: Indices, names: set[str]) -> Flags:
    return np.array([dataset.images.name(int(index)) in names for index in indices])


def _print_metrics(judged: JudgedLabels, flipped: Flags) -> None:
    held_out, listed = judged.held_out, judged.found.indices
    rows = np.arange(len(held_out.labels))
    confidence = held_out.probabilities[rows, held_out.labels].astype(np.float64)
    others = held_out.probabilities.astype(np.float64)
    others[rows, held_out.labels] = -np.inf
    first = np.zeros(len(rows), np.float64)
    first[listed] = 2.0
    margins = others.max(1) - confidence
    scores: dict[str, Fractions] = {
        "the list, then the others": first + margins,
        "normalized margin": margins,
        "probability of the label": -confidence,
    }
    count = int(flipped.sum())
    print(
        f"{count:,} of {len(rows):,} labels are flipped; {len(listed):,} are listed, {flipped[listed].sum():,} of them"
    )
    print(f"estimated by the confident joint: {judged.found.estimated:.1%} of the labels")
    right = judged.held_out.probabilities.argmax(1) == held_out.labels
    print(f"accuracy on labels that are not flipped: {right[~flipped].mean():.1%}")
    for name, score in scores.items():
        order = np.argsort(-score, kind="stable")
        parts = [f"{flipped[order[:most]].mean():.1%} of {most:,}" for most in (count // 10, count // 2, count)]
        metric = average_precision(score, flipped)
        print(f"{name:25} precision among the first: {', '.join(parts)}; average precision {metric:.3f}")
    print(f"the list: precision {flipped[listed].mean():.1%}, recall {flipped[listed].sum() / count:.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fraction", type=float, default=0.02)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--similar", action="store_true")
    options = parser.parse_args()
    data = options.folder / "data"
    if not data.exists():
        _write_flipped(data, options.fraction, options.seed, similar=options.similar)
    judged = _judge(options.folder, options.epochs, options.folds)
    names = set(json.loads((options.folder / "flipped.json").read_text()))
    _print_metrics(judged, _flags(judged.held_out.dataset, judged.held_out.indices, names))


if __name__ == "__main__":
    main()
