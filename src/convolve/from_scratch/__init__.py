"""The lectures' mathematics in NumPy alone, to be read next to the slides.

The letters are the slides': ``x`` is the input, ``w`` and ``b`` (``gamma`` and ``beta``) are learned, ``y`` is the
output, and ``dx`` stands for ∂L/∂x, the gradient of the loss with respect to x, of x's shape. Images are (N, C, H, W),
sequences (N, C, L), vectors (N, D); labels are (N,) class indices from 0.

Every layer is a pair of functions, one below the other: ``…_forward(x, parameters…)`` returns ``(y, cache)``, and
``…_backward(dy, cache)`` returns the gradient with respect to each input: dx alone, or ``(dx, dw, db)``. Inputs are
never changed. float32 in gives float32 out, and float64 in gives float64 out.

Read in this order: `affine`, `activations`, `losses`, `homework` (the two- and three-layer nets of the homework,
written out), `gradient_check`; `windows`, `convolution` (as nested loops, and as a matrix product), `pooling`,
`filters`; `dropout`, `normalization`; `initializers`, `optimizers`, `layers`, `networks`, `training`; `classifiers`;
for detection, `boxes`, `average_precision` and `yolo`, which have no backward pass.
`traces` spells out the arithmetic of each operation, value by value.
"""
