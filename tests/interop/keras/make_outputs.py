"""What Keras 3 (OpenVINO as its backend) makes of the files in `shared/weights`: 64 values of each layer's output,
their mean and norm; and of a file of weights alone, the mean and the norm of each weight.

In an environment of its own: `pip install keras==3.15.1 openvino h5py numpy scipy`, then, in this folder,
`KERAS_BACKEND=openvino python make_outputs.py ../../../../shared/weights`.
"""

import json
import sys
from functools import partial
from pathlib import Path

import h5py
import keras
import numpy as np
import openvino

# Without it, processors that have bfloat16 compute in it.
openvino.compile_model = partial(openvino.compile_model, config={"INFERENCE_PRECISION_HINT": "f32"})
FOLDER = Path(sys.argv[1])


def summarize(values: np.ndarray) -> np.ndarray:
    """64 values at equal distances, and the mean and the norm of all."""
    flat = values.astype(np.float64).ravel()
    some = flat[np.linspace(0, len(flat) - 1, 64).astype(int)]
    return np.array([*some, flat.mean(), np.linalg.norm(flat)], np.float32)


def load_old(path: Path) -> keras.Model:
    """A file of Keras 2; the options that Keras 3 does not know say how weights are initialized and regularized."""
    with h5py.File(path) as file:
        config = json.loads(file.attrs["model_config"])
    for entry in config["config"]["layers"]:
        options = entry["config"]
        for name in [*options]:
            if name.endswith(("_initializer", "_regularizer", "_constraint")):
                del options[name]
        if "batch_input_shape" in options:
            options["batch_shape"] = options.pop("batch_input_shape")
            options.pop("sparse", None)
    model = keras.Model.from_config(config["config"])
    model.load_weights(path)
    return model


def outputs_of(model: keras.Model, image: np.ndarray) -> dict[str, np.ndarray]:
    """A summary of every layer's output."""
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    whole = keras.Model(model.inputs, [layer.output for layer in layers])
    found = whole.predict(image, verbose=0)
    return {layer.name: summarize(np.asarray(values)) for layer, values in zip(layers, found, strict=True)}


def main() -> None:
    """Write `outputs.npz`."""
    values: dict[str, np.ndarray] = {}
    image = np.random.default_rng(0).normal(0, 1, (1, 64, 64, 1)).astype(np.float32)
    expression = load_old(FOLDER / "expression/fer2013_mini_XCEPTION.102-0.66.hdf5")
    values |= {f"expression/{name}": each for name, each in outputs_of(expression, image).items()}
    lenet = keras.models.load_model(FOLDER / "keras_made/lenetish.keras")
    image = np.load(FOLDER / "keras_made/lenetish_io.npz")["x"]
    values |= {f"lenetish/{name}": each for name, each in outputs_of(lenet, image).items()}
    mobilenet = keras.applications.MobileNet((224, 224, 3), alpha=0.25, include_top=False, weights=None)
    mobilenet.load_weights(FOLDER / "mobilenet_025_keras/mobilenet_2_5_224_tf_no_top.h5")
    for layer in mobilenet.layers:
        for number, weight in enumerate(layer.get_weights()):
            values[f"mobilenet/{layer.name}/{number}"] = summarize(weight)[-2:]
    np.savez_compressed("outputs.npz", allow_pickle=False, **values)


if __name__ == "__main__":
    main()
