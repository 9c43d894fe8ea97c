"""From scratch, with frozen stages, and fine-tuned: what pretrained weights are worth on small sets of photographs.

    python -m bench.transfer FOLDER --network timm/tf_efficientnet_lite0 --weights FILE.pth [--out runs/transfer]

FOLDER holds `flowers5` (folders `train` and `val` of classes; `val` is the test split here) and `pets3` (`images`; the
class is a file's name up to the last underscore, and the last third of each class is the test split). Each training is
a `convolve train` in a process of its own, with its default settings: ``scratch`` with `--weights none`, ``frozen``
with all stages frozen, so that only the head learns (at AdamW's usual rate, as it changes nothing pretrained),
``fine-tuned`` with nothing frozen. A training that has ended is not repeated. The last lines are a Markdown table of
all trainings in `--out`, of other networks too: mean and sample standard deviation of the test accuracy over the
seeds, and the median of the seconds that a training took.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from convolve import models

WAYS = ("scratch", "frozen", "fine-tuned")


def flowers(source: Path) -> Iterator[tuple[Path, str]]:
    """Each image, and its path in folders of splits and classes."""
    for path in sorted(source.rglob("*.jpg")):
        split = "train" if path.parent.parent.name == "train" else "test"
        yield path, f"{split}/{path.parent.name}/{path.name}"


def pets(source: Path) -> Iterator[tuple[Path, str]]:
    """Each image, and its path in folders of splits and classes."""
    classes: dict[str, list[Path]] = {}
    for path in sorted((source / "images").glob("*.jpg")):
        classes.setdefault(path.stem.rpartition("_")[0], []).append(path)
    for name, paths in classes.items():
        for index, path in enumerate(paths):
            yield path, f"{'train' if index < len(paths) * 2 // 3 else 'test'}/{name}/{path.name}"


DATASETS = {"flowers5": flowers, "pets3": pets}


def copy(name: str, source: Path, folder: Path) -> Path:
    """A dataset in folders of splits and classes."""
    target = folder / name
    if not target.is_dir():
        draft = folder / f"{name}.draft"
        for path, inner in DATASETS[name](source / name):
            (draft / inner).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, draft / inner)
        draft.rename(target)
    return target


def command(arguments: argparse.Namespace, data: Path, way: str, seed: int, out: Path) -> list[str]:
    """What trains."""
    words = ["train", str(data), "--network", arguments.network, "--seed", str(seed), "--out", str(out), "--json"]
    words += ["--weights", "none" if way == "scratch" else str(arguments.weights)]
    if way == "frozen":
        words += ["--freeze", list(models.create(arguments.network).stages)[-1], "--learning-rate", "0.001"]
    for name in ("epochs", "size", "threads"):
        value = getattr(arguments, name)
        words += [f"--{name}", str(value)] if value else []
    return [sys.executable, "-m", "convolve", *words]


def train(arguments: argparse.Namespace, data: Path, way: str, seed: int) -> dict[str, Any]:
    """Train once, unless that was done; the test accuracy, the seconds of the process, and what was trained."""
    name = f"{data.name}-{arguments.network.rpartition('/')[2]}-{way}-{seed}"
    result, out = arguments.out / f"{name}.json", arguments.out / name
    if not result.is_file():
        shutil.rmtree(out, ignore_errors=True)
        since = time.perf_counter()
        words = command(arguments, data, way, seed, out)
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)} failed: {done.stderr.strip().splitlines()[-1]}")
        seconds = time.perf_counter() - since
        found = json.loads(done.stdout)
        facts = {"data": data.name, "network": arguments.network, "way": way, "seed": seed, "seconds": seconds}
        facts |= {"accuracy": found["metrics"]["accuracy"], "epoch": found["epoch"], "command": " ".join(words[1:])}
        draft = result.with_suffix(".draft")
        draft.write_text(json.dumps(facts))
        draft.rename(result)
        print(f"{name}: {facts['accuracy']:.1%} in {seconds:.0f} s", flush=True)
    loaded: dict[str, Any] = json.loads(result.read_text())
    return loaded


def table(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    yield f"| data | network | {' | '.join(WAYS)} |"
    yield f"|---|---|{'---|' * len(WAYS)}"
    for data, network in dict.fromkeys((each["data"], each["network"]) for each in results):
        cells = []
        for way in WAYS:
            own = [each for each in results if (each["data"], each["network"], each["way"]) == (data, network, way)]
            accuracies = [100 * each["accuracy"] for each in own]
            spread = f" ± {stdev(accuracies):.1f}" if len(own) > 1 else ""
            seconds = f"{median(each['seconds'] for each in own):,.0f} s" if own else ""
            cells.append(f"{mean(accuracies):.1f}{spread} % ({len(own)}x, {seconds})" if own else "")
        yield f"| {data} | `{network}` | {' | '.join(cells)} |"


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--network", default="timm/tf_efficientnet_lite0")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", nargs="+", default=list(DATASETS), choices=list(DATASETS))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--out", type=Path, default=Path("runs/transfer"))
    arguments = parser.parse_args()
    for seed in range(arguments.seeds):
        for name in arguments.data:
            data = copy(name, arguments.folder, arguments.out / "data")
            for way in arguments.ways:
                train(arguments, data, way, seed)
    results = [json.loads(path.read_text()) for path in sorted(arguments.out.glob("*.json"))]
    print("\n".join(table(results)))


if __name__ == "__main__":
    main()
