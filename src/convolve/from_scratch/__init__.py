"""The lectures' mathematics by hand, in NumPy alone, to be read beside the slides.

The letters are the slides': ``x`` goes in, ``w`` and ``b`` (``gamma`` and ``beta``) are learned, ``y`` comes out, and
``dx`` stands for ∂L/∂x, the slope of the loss along x, of x's own shape. Images are (N, C, H, W), sequences (N, C, L),
vectors (N, D); labels are (N,) integers counted from 0.

Every operation is a pair of functions, one below the other: ``…_forward(x, parameters…)`` returns ``(y, memory)``, and
``…_backward(dy, memory)`` returns the slope of each thing that went in: dx alone, or ``(dx, dw, db)``. Arrays that go
in are never changed. What goes in as float32 comes out as float32, and float64 as float64.

Read in this order: `affine`, `activations`, `losses`, `homework` (the homework's two- and three-layer nets, written
out), `checking`; `plain` (convolution as nested sums), `windows` and `convolution` (the same as a matrix product),
`pooling`, `filters`, `photographs`; `dropout`, `normalization`, `response`; `initializers`, `optimizers`, `layers`,
`network`, `networks`, `trainer`; `neighbors` and `linear`. `steps` says every sum aloud.
"""
