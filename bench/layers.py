"""Layers that torch lacks, forward and backward: ours against other formulations from torch's own operators.

    python -m bench.layers [LAYER ...] [--rounds 9] [--calls 3]

Sides take turns in one process, in fp32 and as the training runs them: channels last, at the size that the layer has in
its paper's network. Each row gives ours' time as a share of the side's (median of the rounds, least, greatest); below 1
ours is faster. All sides are first held against ours.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench import steps
from bench.rounds import seconds_per_call, spread
from convolve.layers.lecun import Subsampling, TableConvolution
from convolve.layers.lrn import LocalResponseNorm
from convolve.layers.maxout import Maxout
from convolve.models.lenet import TABLE_I

Side = Callable[[Tensor], Tensor]
Sides = Mapping[str, Side]


def _lrn(maps: Tensor) -> Sides:
    ours = LocalResponseNorm(maps.shape[1])

    def shifted(maps: Tensor) -> Tensor:
        padded = F.pad(maps * maps, (0, 0, 0, 0, 2, 2))
        power = torch.full_like(maps, 2.0)
        for place in range(5):
            power = power + 1e-4 * padded[:, place : place + maps.shape[1]]
        return maps * power.pow(-0.75)

    def cumulative(maps: Tensor) -> Tensor:
        sums = F.pad(maps * maps, (0, 0, 0, 0, 3, 2)).cumsum(1)
        return maps * (2 + 1e-4 * (sums[:, 5:] - sums[:, :-5])).pow(-0.75)

    def pooled(maps: Tensor) -> Tensor:
        squares = F.pad((maps * maps)[:, None], (0, 0, 0, 0, 2, 2))
        return maps * (2 + 5e-4 * F.avg_pool3d(squares, (5, 1, 1), 1)[:, 0]).pow(-0.75)

    torchs = nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0)
    return {"ours": ours, "torch's own": torchs, "shifted": shifted, "cumulative": cumulative, "avg_pool3d": pooled}


def _maxout(pieces: int, affine: Tensor) -> Sides:
    shape = (affine.shape[0], pieces, affine.shape[1] // pieces, *affine.shape[2:])

    def split(affine: Tensor) -> Tensor:
        return affine.reshape(shape)

    def pairwise(affine: Tensor) -> Tensor:
        greatest, *others = affine.chunk(pieces, 1)
        for other in others:
            greatest = torch.maximum(greatest, other)
        return greatest

    return {
        "ours": Maxout(pieces),
        "max": lambda affine: split(affine).max(1).values,
        "amax": lambda affine: split(affine).amax(1),
        "stack": lambda affine: torch.stack(affine.chunk(pieces, 1)).amax(0),
        "maximum": pairwise,
    }


def _table(maps: Tensor) -> Sides:
    ours = TableConvolution(maps.shape[1], TABLE_I, 5)
    given = [torch.tensor(inputs) for inputs in TABLE_I]
    kernels = [kernel[None] for kernel in torch.split(ours.weight.detach(), [len(inputs) for inputs in TABLE_I])]
    dense = torch.zeros(16, 6, 5, 5)
    for output, (inputs, kernel) in enumerate(zip(given, kernels, strict=True)):
        dense[output, inputs] = kernel[0]
    free, mask = dense.clone().requires_grad_(), (dense != 0).float()
    separate = [kernel.clone().requires_grad_() for kernel in kernels]
    groups = (range(6), range(6, 15), range(15, 16))  # outputs that see as many maps
    grouped = [torch.cat([kernels[output] for output in group]).requires_grad_() for group in groups]
    gathered = [torch.cat([given[output] for output in group]) for group in groups]
    bias = ours.bias

    def by_group(maps: Tensor) -> Tensor:
        parts = zip(grouped, gathered, groups, strict=True)
        found = [F.conv2d(maps[:, inputs], kernel, groups=len(group)) for kernel, inputs, group in parts]
        return torch.cat(found, 1) + bias[:, None, None]

    def by_output(maps: Tensor) -> Tensor:
        found = [F.conv2d(maps[:, inputs], kernel) for inputs, kernel in zip(given, separate, strict=True)]
        return torch.cat(found, 1) + bias[:, None, None]

    def masked(maps: Tensor) -> Tensor:
        return F.conv2d(maps, free * mask, bias)

    return {"ours": ours, "masked": masked, "grouped": by_group, "one per output": by_output}


def _subsampling(maps: Tensor) -> Sides:
    channels = maps.shape[1]
    ours = Subsampling(channels)
    weight, bias = ours.weight, ours.bias

    def depthwise(maps: Tensor) -> Tensor:
        return F.conv2d(maps, weight[:, None].expand(-1, 1, 2, 2), bias.flatten(), 2, groups=channels)

    def added(maps: Tensor) -> Tensor:
        four = [maps[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1)]
        return (four[0] + four[1] + four[2] + four[3]) * weight + bias

    def averaged(maps: Tensor) -> Tensor:
        return torch.addcmul(bias, F.avg_pool2d(maps, 2), 4 * weight)

    return {"ours": ours, "depthwise": depthwise, "slices": added, "average": averaged}


LAYERS: dict[str, tuple[tuple[int, ...], Callable[[Tensor], Sides]]] = {
    "lrn": ((16, 96, 55, 55), _lrn),
    "maxout": ((128, 1200), partial(_maxout, 5)),
    "maxout_maps": ((32, 96, 32, 32), partial(_maxout, 2)),
    "table_convolution": ((128, 6, 14, 14), _table),
    "subsampling": ((128, 6, 28, 28), _subsampling),
}


def _step(side: Side, given: Tensor, gradient: Tensor) -> None:
    """Forward and backward; gradients of parameters too."""
    given.grad = None
    side(given).backward(gradient)  # type: ignore[no-untyped-call]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layers", nargs="*", metavar="LAYER", help=", ".join(LAYERS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=3)
    asked = parser.parse_args()
    for name in asked.layers:
        if name not in LAYERS:
            parser.error(f"there is no bench for '{name}'; known: {', '.join(LAYERS)}")
    print(steps.machine())
    for name in asked.layers or LAYERS:
        shape, make = LAYERS[name]
        given = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        given = given.contiguous(memory_format=torch.channels_last) if given.dim() == 4 else given
        sides = make(given.requires_grad_())
        found = {side: call(given).detach() for side, call in sides.items()}
        for result in found.values():
            torch.testing.assert_close(result, found["ours"], rtol=1e-4, atol=1e-4)
        timed = {side: partial(_step, call, given, torch.ones_like(found["ours"])) for side, call in sides.items()}
        seconds = seconds_per_call(timed, asked.rounds, asked.calls)
        print(f"{name} {'x'.join(map(str, shape))}: ours {spread([1e3 * value for value in seconds['ours']], 2)} ms")
        for side, values in seconds.items():
            if side != "ours":
                shares = [ours / value for ours, value in zip(seconds["ours"], values, strict=True)]
                print(f"  {side:15} {spread(shares, 2)}")


if __name__ == "__main__":
    main()
