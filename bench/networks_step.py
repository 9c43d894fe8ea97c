"""One training step at published size, from memory: ours against the stock network in the stock PyTorch loop.

    python -m bench.networks_step [NETWORK ...] [--rounds 5] [--precision fp32|bf16]

Without names all of them. Stock networks are torchvision's, in its own form (its AlexNet has one narrower tower, its
GoogLeNet batch normalization), timm's where torchvision has none, and for pixels those of `bench.plain`.
"""

from __future__ import annotations

import argparse

from bench import steps
from bench.rounds import Contest, spread, trained
from convolve.models import card
from convolve.runtime import choose

CONTESTS = {  # with the ratio that is wanted of a processor that is faster in bfloat16
    "alexnet": (Contest("alexnet", "alexnet", 64, 227), 1.5),
    "vgg16": (Contest("vgg16", "vgg16", 8), 2.5),
    "googlenet": (Contest("googlenet", "googlenet", 32), 2.5),
    "resnet50": (Contest("resnet50", "resnet50", 16), 3.0),
    "densenet121": (Contest("densenet121", "densenet121", 16), 2.2),
    "inception_v4": (Contest("inception_v4", "timm/inception_v4", 8, 299), 2.5),
    "se_resnet50": (Contest("se_resnet50", "timm/legacy_seresnet50", 16), 2.5),
    "fcn8s_vgg16": (Contest("fcn8s_vgg16", "plain/fcn8s_vgg16", 4, 320), 2.2),
    "unet_same": (Contest("unet_same", "plain/unet_same", 4, 256), 2.2),
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
        contest, wanted = CONTESTS[name]
        precision = choose(precision=asked.precision, macs=card(name).macs).precision
        rates = trained(contest, asked.rounds, asked.precision)
        ratios = [ours / stock for ours, stock in zip(rates["ours"], rates["stock"], strict=True)]
        sides = ", ".join(f"{side} {spread(found, 2)}" for side, found in rates.items())
        print(f"{name:13} batch {contest.batch:2} at {contest.side}, ours in {precision}: {sides} images/s; ", end="")
        print(f"ratio {spread(ratios, 2)} (wanted: {wanted} in bf16)", flush=True)


if __name__ == "__main__":
    main()
