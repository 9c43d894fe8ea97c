"""The worked calculation of each operation, value by value: which cells it reads, the products, the sum and the result;
forward, and backward along the gradients.

Each `…_trace` takes arrays and returns a `trace.Trace`. Nothing here calls the layers of `convolve.from_scratch`: tests
compare one with the other. Positions in the text count from 1, as on the slides; a `trace.Cell` counts from 0, as in
Python. Read in this order: `trace`; `windows`, `layer_stack`, `convolution` and its drawing, `transposed_convolution`,
`pooling`, `global_pooling` (class activation maps too); `affine`, `maxout`, `activations`, `dropout`; `normalization`,
`normalization_graph`, `local_response_norm`; `losses`, `optimizers`, `initialization`; `confusion`;
`intersection_over_union`, `suppression`, `average_precision` and `yolo`, which have a `trace.Drawing` too;
`layer_examples` and `examples` (the lectures' own numbers).
"""
