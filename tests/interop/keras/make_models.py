"""Make small models of every layer with Keras 3 (OpenVINO as its backend), each with an input and its output.

In an environment of its own: `pip install keras==3.15.1 openvino h5py numpy scipy`, then, in this folder,
`KERAS_BACKEND=openvino python make_models.py`. Each is saved as `.keras`, `.h5` and `.weights.h5` in `models.zip`; the
inputs and outputs are in `io.npz`.
"""

import tempfile
import zipfile
from functools import partial
from pathlib import Path

import keras
import numpy as np
import openvino
from keras import layers as L

# Without it, processors that have bfloat16 compute in it.
openvino.compile_model = partial(openvino.compile_model, config={"INFERENCE_PRECISION_HINT": "f32"})
RANDOM = np.random.default_rng(0)


def _randomize(model: keras.Model) -> None:
    """Weights that are no zeros and ones, variances above zero."""
    for variable in model.variables:
        if "seed" in variable.path or "count" in variable.path:
            continue
        values = RANDOM.normal(0, 0.5, variable.shape)
        variable.assign(np.abs(values) + 0.5 if "variance" in variable.path or "gamma" in variable.path else values)
    for layer in model.layers:
        if isinstance(layer, L.Normalization) and layer.input_mean is None:
            layer.finalize_state()


def _convolutions() -> keras.Model:
    """`same` on even sizes with strides, dilation, groups and a rectangular kernel."""
    return keras.Sequential(
        [
            L.Input((8, 10, 3)),
            L.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            L.Conv2D(6, (2, 4), padding="same", use_bias=False, activation="tanh"),
            L.Conv2D(4, 3, dilation_rate=2, padding="same", activation="elu"),
            L.Conv2D(4, 1, groups=2, activation="swish"),
            L.Conv2D(2, (2, 3), activation="leaky_relu"),
        ]
    )


def _depthwise() -> keras.Model:
    return keras.Sequential(
        [
            L.Input((9, 8, 3)),
            L.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, activation="relu6"),
            L.SeparableConv2D(5, 3, padding="same", depth_multiplier=2),
            L.SeparableConv2D(4, 2, use_bias=False, activation="hard_sigmoid"),
            L.DepthwiseConv2D((1, 2), use_bias=False),
        ]
    )


def _transposed() -> keras.Model:
    image = L.Input((4, 3, 2))
    parts = [
        L.Conv2DTranspose(2, 3, strides=2, padding="same")(image),
        L.Conv2DTranspose(2, 2, strides=2, padding="valid", use_bias=False)(image),
        L.Conv2DTranspose(2, 4, strides=2, padding="same", activation="sigmoid")(image),
        L.Conv2DTranspose(2, 1, strides=2, padding="same")(image),
    ]
    joined = L.Concatenate()(parts)
    return keras.Model(image, L.Conv2DTranspose(3, 3, padding="valid")(joined))


def _pools() -> keras.Model:
    image = L.Input((7, 8, 2))
    parts = [
        L.MaxPooling2D(2, padding="same")(image),
        L.AveragePooling2D(3, strides=2, padding="same")(image),
        L.MaxPooling2D(3, strides=2, padding="same")(image),
    ]
    small = [L.MaxPooling2D((2, 3), strides=1)(parts[0]), L.AveragePooling2D((2, 3), strides=1)(parts[1])]
    ends = [
        L.GlobalAveragePooling2D()(small[0]),
        L.GlobalMaxPooling2D()(small[1]),
        L.GlobalAveragePooling2D()(parts[2]),
    ]
    return keras.Model(image, L.Concatenate()(ends))


def _merges() -> keras.Model:
    image = L.Input((4, 6, 3))
    one, two, three = (L.Conv2D(3, 1, activation=name)(image) for name in ("relu", "softplus", "softsign"))
    squeezed = L.GlobalAveragePooling2D(keepdims=True)(one)
    gate = L.Conv2D(3, 1, activation="sigmoid")(squeezed)
    parts = [
        L.Add()([one, two, three]),
        L.Multiply()([one, gate]),
        L.Average()([one, two, three]),
        L.Maximum()([one, two]),
        L.Minimum()([two, three]),
        L.Subtract()([one, two]),
    ]
    wide = L.Concatenate(axis=2)([L.Concatenate()(parts), L.Concatenate(axis=-1)(parts)])
    return keras.Model(image, L.Concatenate(axis=1)([wide, wide]))


def _norms() -> keras.Model:
    return keras.Sequential(
        [
            L.Input((5, 4, 3)),
            L.Rescaling(1 / 127.5, offset=-1),
            L.Normalization(),
            L.BatchNormalization(),
            L.BatchNormalization(scale=False, epsilon=0.1),
            L.BatchNormalization(center=False),
            L.BatchNormalization(scale=False, center=False),
            L.PReLU(shared_axes=[1, 2]),
            L.LeakyReLU(negative_slope=0.1),
            L.ELU(alpha=0.7),
            L.ReLU(negative_slope=0.2),
            L.ReLU(max_value=2),
            L.Softmax(),
        ]
    )


def _given() -> keras.Model:
    """A mean and a variance that the options give, which cannot be saved as `.h5` with this backend."""
    normalization = L.Normalization(mean=[0.1, 0.2], variance=[0.5, 0.6])
    return keras.Sequential([L.Input((2, 3, 2)), normalization, L.Conv2D(2, 2)])


def _first(flatten: str) -> keras.Model:
    """Channels first; whether a flattened map's values are in the same order is a matter of `Flatten` alone."""
    order = {"data_format": "channels_first"}
    return keras.Sequential(
        [
            L.Input((2, 6, 5)),
            L.Conv2D(3, 3, strides=2, padding="same", **order),
            L.BatchNormalization(axis=1),
            L.UpSampling2D(2, **order),
            L.ZeroPadding2D(1, **order),
            L.Flatten(data_format=flatten),
            L.Dense(4),
        ]
    )


def _sizes() -> keras.Model:
    return keras.Sequential(
        [
            L.Input((5, 4, 2)),
            L.ZeroPadding2D(((1, 0), (2, 3))),
            L.Cropping2D(((0, 1), (1, 0))),
            L.UpSampling2D((2, 3)),
            L.UpSampling2D(2, interpolation="bilinear"),
            L.Conv2D(2, 3, strides=3),
        ]
    )


def _flattened() -> keras.Model:
    """A map flattened before layers with weights, through others, beside another one, and reshaped."""
    image = L.Input((4, 3, 2))
    flat = L.Activation("tanh")(L.Dropout(0.5)(L.Flatten()(L.Conv2D(3, 2)(image))))
    normalized = L.PReLU()(L.BatchNormalization()(flat))
    summed = L.Add()([flat, normalized])
    beside = L.Concatenate()([summed, L.Flatten()(image)])
    dense = L.Dense(12, activation="relu")(beside)
    mapped = L.Reshape((2, 3, 2))(dense)
    again = L.Reshape((3, 4, 1))(L.Conv2D(2, 1)(mapped))
    other = L.Reshape((4, 2, 3))(L.Flatten()(image))
    ends = [L.Flatten()(again), L.Flatten()(other), L.Dense(5, use_bias=False)(summed)]
    return keras.Model(image, L.Concatenate()(ends))


def _operations() -> keras.Model:
    """Operations of outputs and numbers instead of layers."""
    image = L.Input((3, 4, 2))
    value = L.Conv2D(2, 1)(image)
    gate = L.ReLU(6.0)(value + 3.0) * (1.0 / 6.0)
    parts = [value * gate, 1.5 - value, value - 2, value + gate, gate - value]
    return keras.Model(image, L.Concatenate()(parts))


def _nested() -> keras.Model:
    """Models inside of a model, one of which is called twice."""
    inner = keras.Sequential([L.Input((4, 4, 3)), L.Conv2D(3, 3, padding="same"), L.BatchNormalization()], name="inner")
    middle_image = L.Input((4, 4, 3))
    middle = keras.Model(middle_image, L.Add()([inner(middle_image), middle_image]), name="middle")
    image = L.Input((4, 4, 3))
    once = middle(L.Conv2D(3, 1)(image))
    shared = L.Conv2D(3, 3, padding="same", name="shared")
    return keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(shared(shared(once)))))


_UNCOPIED = ("norms", "given")
MODELS = {
    "convolutions": _convolutions, "depthwise": _depthwise, "transposed": _transposed, "pools": _pools,
    "merges": _merges, "norms": _norms, "given": _given, "first": lambda: _first("channels_first"),
    "last": lambda: _first("channels_last"), "sizes": _sizes, "flattened": _flattened, "nested": _nested,
    "operations": _operations,
}  # fmt: skip


def main() -> None:
    """Make all models."""
    values: dict[str, np.ndarray] = {}
    with zipfile.ZipFile("models.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, make in MODELS.items():
            keras.utils.clear_session()
            model = make()
            _randomize(model)
            image = RANDOM.normal(0, 1, (1, *model.input_shape[1:])).astype(np.float32)
            values[f"{name}/input"] = image
            values[f"{name}/output"] = np.asarray(model.predict(image, verbose=0), np.float32)
            for suffix in (".keras", ".weights.h5", ".h5")[: 2 if name in _UNCOPIED else 3]:
                path = Path(tempfile.mkdtemp()) / f"{name}{suffix}"
                (model.save_weights if suffix == ".weights.h5" else model.save)(path)
                archive.write(path, path.name)
    np.savez_compressed("io.npz", allow_pickle=False, **values)


if __name__ == "__main__":
    main()
