"""Every sum of a layer, one after the other, as a teacher writes it on the board: what is read, the products, the sum,
and the value that it makes; forward, and backward along the slopes.

Each `…_walk` takes numbers and gives a `Walk`. Nothing here calls the layers of `convolve.from_scratch`: tests hold one
to the other. Places in the text count from 1, as on the slides; `Cell` counts from 0, as in Python. Read in this order:
`values`, `wording`, `writing`; `places`, `sizes`, `convolution`, `pooling`; `products`, `affine`, `maxout`,
`activations`, `dropout`; `normalization`, `response`; `scores`, `softmax`, `hinge`, `distances`; `examples` (the
lectures' own numbers).
"""
