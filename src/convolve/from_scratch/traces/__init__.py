"""The worked calculation of each operation, value by value: which cells it reads, the products, the sum and the result;
forward, and backward along the gradients.

Each `…_trace` takes arrays and returns a `trace.Trace`. Nothing here calls the layers of `convolve.from_scratch`: tests
compare one with the other. Positions in the text count from 1, as on the slides; a `trace.Cell` counts from 0, as in
Python. Read in this order: `trace`; `windows`, `convolution`, `pooling`; `affine`, `maxout`, `activations`, `dropout`;
`normalization`, `local_response_norm`; `losses`; `intersection_over_union`, `suppression`, `average_precision` and
`yolo`, which have a `trace.Drawing` too; `examples` (the lectures' own numbers).
"""
