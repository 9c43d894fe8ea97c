"""All claims, in the order of the lectures."""

from __future__ import annotations

import difflib

from convolve.errors import ClaimError
from convolve.experiments.claim import Claim
from convolve.experiments.claims import (
    all_filter_sizes,
    any_size,
    augmentation,
    augmentation_in_images,
    auxiliary_heads,
    batch_norm_batch_size,
    batch_norm_initialization,
    batch_norm_overfitting,
    batch_norm_speed,
    bottleneck,
    c3_table,
    deepest_in_time,
    dense_connections,
    dense_parameters,
    depth_and_error,
    dropout,
    extra_relu,
    fcn_skips,
    flipped_digits,
    framed_digit,
    gap_overfitting,
    googlenet_parameters,
    heavy_weights,
    ingredients,
    initialization,
    ladder,
    large_first_filters,
    layer_norm_cost,
    layer_norm_images,
    layer_norm_sensitivity,
    layer_norm_small_batches,
    learned_upsampling,
    lenet1_lenet5,
    linear_layers,
    lrn,
    mlp_parameters,
    momentum_and_decay,
    more_filters,
    optimizers,
    overlapping_pooling,
    padding,
    permuted_pixels,
    plain_degrades,
    pooling_and_shift,
    poolings,
    reduction_time,
    relu_speed,
    residual_depth,
    shifted_digit,
    shortcuts,
    small_filters,
    squeeze_excitation,
    stride,
    transfer,
    two_towers,
    vanishing_gradients,
    vgg_depth,
)

# fmt: off
_MODULES = (
    relu_speed, vanishing_gradients, linear_layers, overlapping_pooling, two_towers, lrn, dropout, augmentation,
    flipped_digits, augmentation_in_images, vgg_depth, plain_degrades, residual_depth, deepest_in_time,
    batch_norm_speed, batch_norm_initialization, batch_norm_overfitting, batch_norm_batch_size,
    layer_norm_small_batches, layer_norm_images, layer_norm_sensitivity, layer_norm_cost, small_filters, extra_relu,
    reduction_time, all_filter_sizes, auxiliary_heads, gap_overfitting, googlenet_parameters, squeeze_excitation,
    dense_connections, optimizers, momentum_and_decay, initialization, shifted_digit, permuted_pixels,
    pooling_and_shift, mlp_parameters, more_filters, stride, padding, framed_digit, c3_table, large_first_filters,
    transfer, fcn_skips, learned_upsampling, any_size, heavy_weights, ingredients, depth_and_error, ladder, shortcuts,
    lenet1_lenet5, poolings, bottleneck, dense_parameters,
)
# fmt: on
CLAIMS: dict[str, Claim] = {module.CLAIM.name: module.CLAIM for module in _MODULES}
_LIKENESS = 0.5


def find(name: str) -> Claim:
    """A claim by its name. Raises `ClaimError`."""
    if name in CLAIMS:
        return CLAIMS[name]
    near = difflib.get_close_matches(name.replace("-", "_"), CLAIMS, n=1, cutoff=_LIKENESS)
    hint = f"Did you mean {near[0]}?" if near else "`convolve claims` lists them."
    raise ClaimError(f"There is no claim named '{name}'. {hint}")
