"""Input."""

from __future__ import annotations

from pipeline.errors import ModelError
from pipeline.graph.attributes import DTYPE, SHAPE, Attribute
from pipeline.graph.keras_form import KerasRule
from pipeline.graph.keras_values import input_dtype
from pipeline.graph.operation import Operation
from pipeline.messages.settings import setting

EXAMPLE = 224
"""Size of an image in messages."""


def read_input(config):
    """Return shape and dtype of an ``InputLayer``.

    Raises
    ------
    ModelError
        If a dimension is unknown; the message lacks the layer's name.
    """
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if shape is None:
        raise ModelError(
            "the file does not hold the model's input shape, since the model was saved before it"
            f" was built; give the sizes of an image with {setting('model.input_shape')}, or build"
            " it again with a keras.Input of fixed shape as first layer"
        )
    if not isinstance(shape, list) or not all(isinstance(n, int) and n > 0 for n in shape[1:]):
        sizes = shape[1:] if isinstance(shape, list) else ()
        raise ModelError(
            f"its shape is {shape}; every dimension but the first must be known: give the sizes of"
            f" an image with {setting('model.input_shape')}, for example"
            f" {','.join(str(size or EXAMPLE) for size in sizes)}"
        )
    if config.get("sparse") or config.get("ragged"):
        raise ModelError("its tensors are sparse or ragged; allowed: dense ones")
    return {"shape": tuple(shape[1:]), "dtype": input_dtype(config.get("dtype"))}


class Input(Operation):
    """The model's images, without the batch axis; every model has exactly one."""

    attributes = {"shape": Attribute(SHAPE), "dtype": Attribute(DTYPE, "uint8")}
    arity = 0
    keras = {
        "InputLayer": KerasRule(
            attrs=(),
            convert=read_input,
            reads=("batch_shape", "batch_input_shape", "dtype", "sparse", "ragged"),
            ignored=("optional", "type_spec", "input_tensor"),
        )
    }

    def output_shape(self, node):
        return tuple(node.attrs["shape"])

    def write_keras(self, attrs, generation):
        key = "batch_input_shape" if generation == 2 else "batch_shape"
        config = {key: [None, *attrs["shape"]], "dtype": attrs["dtype"]}
        return "InputLayer", {**config, "sparse": False, "ragged": False}


OPERATIONS = (Input(),)
