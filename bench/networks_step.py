"""One training step at published size, from memory: ours against stock PyTorch, and against stock PyTorch tuned.

    python -m bench.networks_step [NETWORK ...] [--rounds 5] [--precision fp32|bf16]

Without names all of them. Stock networks are torchvision's, in its own form (its AlexNet has one narrower tower, its
GoogLeNet batch normalization), timm's where torchvision has none, and for segmentation those of `bench.plain`. `stock`
trains them in the loop of the tutorials; `tuned` with bfloat16 autocast where the processor is fast in it,
channels-last, a fused optimizer, and an allocator that keeps large blocks.
"""

from __future__ import annotations

import argparse

from bench import steps
from bench.rounds import Contest, ratios, spread, training_rates
from convolve.models import card
from convolve.runtime import choose

CONTESTS = {  # with the goal against stock PyTorch on a processor that is faster in bfloat16
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
    arguments = parser.parse_args()
    for name in arguments.networks:
        if name not in CONTESTS:
            parser.error(f"there is no benchmark of '{name}'; choose from {', '.join(CONTESTS)}")
    print(steps.machine())
    for name in arguments.networks or CONTESTS:
        contest, goal = CONTESTS[name]
        precision = choose(precision=arguments.precision, macs=card(name).macs).precision
        rates = training_rates(contest, arguments.rounds, arguments.precision)
        sides = ", ".join(f"{side} {spread(found, 2)}" for side, found in rates.items())
        print(f"{name:13} batch {contest.batch:2} at {contest.side}, ours in {precision}: {sides} images/s; ", end="")
        print(f"{spread(ratios(rates, 'stock'), 2)} x stock (goal in bf16: {goal}), ", end="")
        print(f"{spread(ratios(rates, 'tuned'), 2)} x tuned", flush=True)


if __name__ == "__main__":
    main()
