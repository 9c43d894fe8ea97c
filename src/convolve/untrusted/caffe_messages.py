"""What Caffe's files consist of: the messages that are read of `caffe.proto`, built by `google.protobuf` from a table.

A message's fields are written `name:number:type`, with `*` before the type of those that repeat. The types are those of
protobuf, other messages, and enumerations. Fields that are not in the table are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple

_WINDOW: Final = """
    pad:{0}:*uint32 kernel_size:{1}:*uint32 stride:{2}:*uint32 pad_h:9:uint32 pad_w:10:uint32
"""
_PREPROCESSING: Final = "scale:2:float mean_file:3:string crop_size:5:uint32 mirror:6:bool"
_BOTH: Final = {  # parameters of layers: their numbers in layers of today, and in those of before 2014
    "accuracy": (102, 27), "argmax": (103, 23), "concat": (104, 9), "convolution": (106, 10), "data": (107, 11),
    "dropout": (108, 12), "dummy_data": (109, 26), "eltwise": (110, 24), "exp": (111, 41), "hdf5_data": (112, 13),
    "image_data": (115, 15), "inner_product": (117, 17), "loss": (101, 42), "lrn": (118, 18),
    "memory_data": (119, 22), "pooling": (121, 19), "power": (122, 21), "relu": (123, 30), "sigmoid": (124, 38),
    "slice": (126, 31), "softmax": (125, 39), "tanh": (127, 37), "transform": (100, 36),
}  # fmt: skip
_LATER: Final = {
    "batch_norm": 139, "bias": 141, "clip": 148, "crop": 144, "elu": 140, "flatten": 135, "input": 143, "log": 134,
    "permute": 202, "prelu": 131, "python": 130, "reshape": 133, "scale": 142, "swish": 147,
}  # fmt: skip
_NAMES: Final = {
    "accuracy": "Accuracy", "argmax": "ArgMax", "batch_norm": "BatchNorm", "dummy_data": "DummyData", "elu": "ELU",
    "hdf5_data": "HDF5Data", "image_data": "ImageData", "inner_product": "InnerProduct", "lrn": "LRN",
    "memory_data": "MemoryData", "prelu": "PReLU", "relu": "ReLU", "tanh": "TanH", "transform": "Transformation",
}  # fmt: skip


def _parameters(numbers: Mapping[str, int]) -> str:
    return " ".join(
        f"{name}_param:{number}:{_NAMES.get(name, name.title())}Parameter" for name, number in numbers.items()
    )


ENUMS: Final[Mapping[str, Mapping[str, int]]] = {
    "Phase": {"TRAIN": 0, "TEST": 1},
    "PoolMethod": {"MAX": 0, "AVE": 1, "STOCHASTIC": 2},
    "RoundMode": {"CEIL": 0, "FLOOR": 1},
    "EltwiseOp": {"PROD": 0, "SUM": 1, "MAX": 2},
    "NormRegion": {"ACROSS_CHANNELS": 0, "WITHIN_CHANNEL": 1},
    "Engine": {"DEFAULT": 0, "CAFFE": 1, "CUDNN": 2},
    "DimCheckMode": {"STRICT": 0, "PERMISSIVE": 1},
    "VarianceNorm": {"FAN_IN": 0, "FAN_OUT": 1, "AVERAGE": 2},
    "NormalizationMode": {"FULL": 0, "VALID": 1, "BATCH_SIZE": 2, "NONE": 3},
    "DB": {"LEVELDB": 0, "LMDB": 1},
    "LayerType": {
        "NONE": 0, "ABSVAL": 35, "ACCURACY": 1, "ARGMAX": 30, "BNLL": 2, "CONCAT": 3, "CONTRASTIVE_LOSS": 37,
        "CONVOLUTION": 4, "DATA": 5, "DECONVOLUTION": 39, "DROPOUT": 6, "DUMMY_DATA": 32, "EUCLIDEAN_LOSS": 7,
        "ELTWISE": 25, "EXP": 38, "FLATTEN": 8, "HDF5_DATA": 9, "HDF5_OUTPUT": 10, "HINGE_LOSS": 28, "IM2COL": 11,
        "IMAGE_DATA": 12, "INFOGAIN_LOSS": 13, "INNER_PRODUCT": 14, "LRN": 15, "MEMORY_DATA": 29,
        "MULTINOMIAL_LOGISTIC_LOSS": 16, "MVN": 34, "POOLING": 17, "POWER": 26, "RELU": 18, "SIGMOID": 19,
        "SIGMOID_CROSS_ENTROPY_LOSS": 27, "SILENCE": 36, "SOFTMAX": 20, "SOFTMAX_LOSS": 21, "SPLIT": 22, "SLICE": 33,
        "TANH": 23, "WINDOW_DATA": 24, "THRESHOLD": 31,
    },
}  # fmt: skip
"""Enumerations: their words, and the number of each."""

_MESSAGES: Final[Mapping[str, str]] = {
    "BlobShape": "dim:1:*int64",
    "NetState": "phase:1:Phase level:2:int32 stage:3:*string",
    "NetStateRule": "phase:1:Phase min_level:2:int32 max_level:3:int32 stage:4:*string not_stage:5:*string",
    "ParamSpec": "name:1:string share_mode:2:DimCheckMode lr_mult:3:float decay_mult:4:float",
    "FillerParameter": """type:1:string value:2:float min:3:float max:4:float mean:5:float std:6:float sparse:7:int32
        variance_norm:8:VarianceNorm""",
    "AccuracyParameter": "top_k:1:uint32 axis:2:int32 ignore_label:3:int32",
    "ArgMaxParameter": "out_max_val:1:bool top_k:2:uint32 axis:3:int32",
    "BatchNormParameter": "use_global_stats:1:bool moving_average_fraction:2:float eps:3:float",
    "BiasParameter": "axis:1:int32 num_axes:2:int32 filler:3:FillerParameter",
    "ClipParameter": "min:1:float max:2:float",
    "ConcatParameter": "concat_dim:1:uint32 axis:2:int32",
    "ConvolutionParameter": f"""num_output:1:uint32 bias_term:2:bool {_WINDOW.format(3, 4, 6)} group:5:uint32
        weight_filler:7:FillerParameter bias_filler:8:FillerParameter kernel_h:11:uint32 kernel_w:12:uint32
        stride_h:13:uint32 stride_w:14:uint32 engine:15:Engine axis:16:int32 force_nd_im2col:17:bool
        dilation:18:*uint32""",
    "CropParameter": "axis:1:int32 offset:2:*uint32",
    "DataParameter": f"""source:1:string {_PREPROCESSING} batch_size:4:uint32 rand_skip:7:uint32 backend:8:DB
        force_encoded_color:9:bool prefetch:10:uint32""",
    "DropoutParameter": "dropout_ratio:1:float scale_train:2:bool",
    "DummyDataParameter": """data_filler:1:*FillerParameter num:2:*uint32 channels:3:*uint32 height:4:*uint32
        width:5:*uint32 shape:6:*BlobShape""",
    "ELUParameter": "alpha:1:float",
    "EltwiseParameter": "operation:1:EltwiseOp coeff:2:*float stable_prod_grad:3:bool",
    "ExpParameter": "base:1:float scale:2:float shift:3:float",
    "FlattenParameter": "axis:1:int32 end_axis:2:int32",
    "HDF5DataParameter": "source:1:string batch_size:2:uint32 shuffle:3:bool",
    "ImageDataParameter": f"""source:1:string {_PREPROCESSING} batch_size:4:uint32 rand_skip:7:uint32 shuffle:8:bool
        new_height:9:uint32 new_width:10:uint32 is_color:11:bool root_folder:12:string""",
    "InnerProductParameter": """num_output:1:uint32 bias_term:2:bool weight_filler:3:FillerParameter
        bias_filler:4:FillerParameter axis:5:int32 transpose:6:bool""",
    "InputParameter": "shape:1:*BlobShape",
    "LRNParameter": """local_size:1:uint32 alpha:2:float beta:3:float norm_region:4:NormRegion k:5:float
        engine:6:Engine""",
    "LogParameter": "base:1:float scale:2:float shift:3:float",
    "LossParameter": "ignore_label:1:int32 normalize:2:bool normalization:3:NormalizationMode",
    "MemoryDataParameter": "batch_size:1:uint32 channels:2:uint32 height:3:uint32 width:4:uint32",
    "PReLUParameter": "filler:1:FillerParameter channel_shared:2:bool",
    "PermuteParameter": "order:1:*uint32",
    # `ceil_mode` is of programs derived from Caffe, which give it various numbers: it is read in texts alone.
    "PoolingParameter": f"""pool:1:PoolMethod {_WINDOW.format(4, 2, 3)} kernel_h:5:uint32 kernel_w:6:uint32
        stride_h:7:uint32 stride_w:8:uint32 engine:11:Engine global_pooling:12:bool round_mode:13:RoundMode
        ceil_mode:1013:bool""",
    "PowerParameter": "power:1:float scale:2:float shift:3:float",
    "PythonParameter": "module:1:string layer:2:string param_str:3:string share_in_parallel:4:bool",
    "ReLUParameter": "negative_slope:1:float engine:2:Engine",
    "ReshapeParameter": "shape:1:BlobShape axis:2:int32 num_axes:3:int32",
    "ScaleParameter": """axis:1:int32 num_axes:2:int32 filler:3:FillerParameter bias_term:4:bool
        bias_filler:5:FillerParameter""",
    "SigmoidParameter": "engine:1:Engine",
    "SliceParameter": "slice_dim:1:uint32 slice_point:2:*uint32 axis:3:int32",
    "SoftmaxParameter": "engine:1:Engine axis:2:int32",
    "SwishParameter": "beta:1:float",
    "TanHParameter": "engine:1:Engine",
    "TransformationParameter": """scale:1:float mirror:2:bool crop_size:3:uint32 mean_file:4:string mean_value:5:*float
        force_color:6:bool force_gray:7:bool""",
    "V0LayerParameter": "name:1:string type:2:string",
    "V1LayerParameter": f"""layer:1:V0LayerParameter bottom:2:*string top:3:*string name:4:string type:5:LayerType
        blobs_lr:7:*float weight_decay:8:*float include:32:*NetStateRule exclude:33:*NetStateRule loss_weight:35:*float
        param:1001:*string blob_share_mode:1002:*DimCheckMode
        {_parameters({name: old for name, (_, old) in _BOTH.items()})}""",
    "LayerParameter": f"""name:1:string type:2:string bottom:3:*string top:4:*string loss_weight:5:*float
        param:6:*ParamSpec include:8:*NetStateRule exclude:9:*NetStateRule phase:10:Phase propagate_down:11:*bool
        {_parameters({**{name: new for name, (new, _) in _BOTH.items()}, **_LATER})}""",
    "NetParameter": """name:1:string layers:2:*V1LayerParameter input:3:*string input_dim:4:*int32 force_backward:5:bool
        state:6:NetState debug_info:7:bool input_shape:8:*BlobShape layer:100:*LayerParameter""",
    # A binary file is taken apart step by step, so that it takes little more memory than its bytes.
    "StoredNetwork": "layers:2:*bytes layer:100:*bytes",
    "StoredLayer": "blobs:7:*bytes",
    "StoredV1Layer": "blobs:6:*bytes",
    "StoredBlob": """num:1:int32 channels:2:int32 height:3:int32 width:4:int32 data:5:*bytes shape:7:bytes
        double_data:8:*bytes""",
    "ScatteredBlob": "data:5:*float double_data:8:*double",
}


class Field(NamedTuple):
    """A message's field: ``kind`` is the name of its type."""

    name: str
    number: int
    kind: str
    repeated: bool


def _fields(text: str) -> tuple[Field, ...]:
    parts = (word.split(":") for word in text.split())
    return tuple(Field(name, int(number), kind.removeprefix("*"), kind[0] == "*") for name, number, kind in parts)


FIELDS: Final[Mapping[str, tuple[Field, ...]]] = {name: _fields(text) for name, text in _MESSAGES.items()}
"""The fields of each message."""


@cache
def message_classes() -> Mapping[str, Any]:
    """The class of each message. Raises `ImportError` without protobuf."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field_types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for name, words in ENUMS.items():  # each inside of a message of its name, so that two may have the same word
        values = file.message_type.add(name=name).enum_type.add(name="Value").value
        for word, number in words.items():
            values.add(name=word, number=number)
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for field in fields:
            entry = message.field.add(name=field.name, number=field.number, label=3 if field.repeated else 1)
            if field.kind in ENUMS:
                entry.type, entry.type_name = field_types.TYPE_ENUM, f".caffe.{field.kind}.Value"
            elif field.kind in FIELDS:
                entry.type, entry.type_name = field_types.TYPE_MESSAGE, f".caffe.{field.kind}"
            else:
                entry.type = field_types.Type.Value(f"TYPE_{field.kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}")) for name in FIELDS}
