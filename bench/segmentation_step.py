"""One training step for pixels, from memory: ours against the same network written plainly, in the stock PyTorch loop.

    python -m bench.segmentation_step [NETWORK ...] [--rounds 5] [--precision fp32|bf16]

FCN-8s on VGG-16 as published at 320x320 and U-Net with padded convolutions at 256x256, batches of 4, 21 classes.
"""

from __future__ import annotations

import argparse

from bench import steps
from bench.rounds import Contest, spread, trained

CONTESTS = {
    "fcn8s_vgg16": Contest("fcn8s_vgg16", "plain/fcn8s_vgg16", 4, 320),
    "unet_same": Contest("unet_same", "plain/unet_same", 4, 256),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(CONTESTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("fp32", "bf16"))
    asked = parser.parse_args()
    for name in asked.networks:
        if name not in CONTESTS:
            parser.error(f"there is no contest for '{name}'; known: {', '.join(CONTESTS)}")
    print(steps.machine())
    for name in asked.networks or CONTESTS:
        contest = CONTESTS[name]
        rates = trained(contest, asked.rounds, asked.precision)
        ratios = [ours / stock for ours, stock in zip(rates["ours"], rates["stock"], strict=True)]
        sides = ", ".join(f"{side} {spread(found, 2)}" for side, found in rates.items())
        print(f"{name:11} batch {contest.batch} at {contest.side}: {sides} images/s; ", end="")
        print(f"ratio {spread(ratios, 2)} (wanted: 2.2)", flush=True)


if __name__ == "__main__":
    main()
