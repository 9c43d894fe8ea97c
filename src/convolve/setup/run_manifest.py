"""What a run notes down before its first step."""

from __future__ import annotations

import numpy as np

from convolve.datasets.doctor import fingerprint
from convolve.runtime import describe_machine
from convolve.setup.prepare import Preparation
from convolve.training.manifest import Manifest


def describe_preparation(preparation: Preparation) -> Manifest:
    """The manifest of a run that has not begun."""
    prepared, findings = preparation.prepared, preparation.findings
    task, runtime = prepared.task, prepared.runtime
    dataset, splits, sizes = prepared.dataset, prepared.splits, findings.sizes
    classes = {"classes": len(findings.classes), "imbalance": findings.imbalance} if findings.classes else {}
    summary = {  # what a report says of the data
        "path": dataset.root,
        "layout": f"{dataset.layout} ({dataset.reason})",
        "images": len(findings.usable),
        **classes,
        "train": len(splits.train),
        "validation": len(splits.validation),
        "test": len(splits.test),
        "splits": splits.origin,
        "width": f"{sizes.width[0]} to {sizes.width[2]} pixels, median {sizes.width[1]}",
        "height": f"{sizes.height[0]} to {sizes.height[2]} pixels, median {sizes.height[1]}",
        "color": "gray" if findings.channels == 1 else "color",
        "mean": list(findings.mean),
        "standard deviation": list(findings.std),
        "unreadable": len(findings.unreadable),
        "exact duplicates": findings.exact.redundant,
        "near duplicates": findings.near.redundant,
    }
    ground_truth = dataset.ground_truths[task.info.ground_truth]
    learned = ground_truth.take(splits.train) if task.info.learned_outputs else ground_truth
    used = np.sort(np.concatenate([splits.train, splits.validation, splits.test]))
    identity = fingerprint(dataset, ground_truth, used, preparation.survey.digests)
    return Manifest(
        task=task.info.name,
        outputs=task.outputs(learned, task.network.card),
        macs=prepared.macs,
        monitored=task.monitored,
        state=task.state(),
        preprocessing=prepared.preprocessing,
        runtime={
            "device": runtime.device,
            "precision": runtime.precision,
            "threads": runtime.threads,
            "fast_convolutions": runtime.fast_convolutions,
        },
        data={"fingerprint": identity, "warnings": findings.warnings, "summary": summary},
        machine=describe_machine(),
        reasons=preparation.reasons,
        results={},
    )
