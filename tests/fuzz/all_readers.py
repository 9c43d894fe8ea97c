"""Every fuzzer, by its name."""

from collections.abc import Mapping

from tests.fuzz import (
    array_readers,
    box_readers,
    caffe_readers,
    claim_readers,
    darknet_readers,
    depth_readers,
    hdf5_readers,
    image_readers,
    keras_readers,
    network_readers,
    own_file_readers,
    point_readers,
    run_readers,
    shipping_readers,
    table_readers,
    torch7_readers,
    use_case_readers,
)
from tests.fuzz.reader import READERS, Reader

__all__ = [
    "ALL",
    "array_readers",
    "box_readers",
    "caffe_readers",
    "claim_readers",
    "darknet_readers",
    "depth_readers",
    "hdf5_readers",
    "image_readers",
    "keras_readers",
    "network_readers",
    "own_file_readers",
    "point_readers",
    "run_readers",
    "shipping_readers",
    "table_readers",
    "torch7_readers",
    "use_case_readers",
]

ALL: Mapping[str, Reader] = READERS
