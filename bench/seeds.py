"""A training with several seeds: mean and standard deviation of the metrics on the test images.

    python -m bench.seeds DATA OUT --network NAME [--epochs 50] [--seeds 3] [--weights WEIGHTS] [--freeze STAGE]

Trains as `convolve train` does with these options and its defaults; the runs are OUT/0, OUT/1 and so on. The seed also
draws the splits where the data has none of its own. Data without test images is judged on the validation images, which
selected the best epoch too.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import mean, stdev

import convolve
from convolve.tasks.registry import find_task
from convolve.training.run import open_run


def main() -> None:
    """Train with each seed, and print the metrics."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("out", type=Path)
    parser.add_argument("--network", required=True)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--weights")
    parser.add_argument("--freeze")
    given = parser.parse_args()
    rows: dict[str, list[float]] = {"seconds": []}
    for seed in range(given.seeds):
        began = time.perf_counter()
        out = given.out / str(seed)
        convolve.train(
            given.data,
            network=given.network,
            epochs=given.epochs,
            size=given.size,
            weights=given.weights,
            freeze=given.freeze,
            seed=seed,
            out=out,
            progress=False,
        )
        rows["seconds"].append(time.perf_counter() - began)
        run = open_run(out)
        split = "test" if "test" in run.manifest.results else "validation"
        for name, value in run.manifest.results[split]["metrics"].items():
            rows.setdefault(f"{split} {name}", []).append(float(value))
        print(f"seed {seed}: " + ", ".join(f"{name} {values[-1]:.4f}" for name, values in rows.items()), flush=True)
    titles = find_task(run.manifest.task).info.metric_titles
    for name, values in rows.items():
        part, _, metric = name.partition(" ")
        spread = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
        print(f"{part} {titles.get(metric, metric)}: {mean(values):.4f}{spread} ({len(values)} seeds)")


if __name__ == "__main__":
    main()
