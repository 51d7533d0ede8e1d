"""Refuse layers that Keras computes in integers with another result than in float."""

from __future__ import annotations

from pipeline.errors import ModelError
from pipeline.graph.keras_values import dtype_name
from pipeline.importers.keras_model import KerasLayer
from pipeline.importers.layer_table import READ_AS

KEEPING = (
    *(kind for kind, operation in READ_AS.items() if operation.moves_only),
    *("SpatialDropout1D", "Identity", "RandomHeight", "RandomWidth"),
    *("GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization"),
)
"""Layers that copy integers unchanged."""
WRAPPING = (
    *(
        "arithmetic",
        "Add",
        "Average",
        "Subtract",
        "Maximum",
        "Minimum",
        "Multiply",
        "AveragePooling2D",
        "GlobalAveragePooling2D",
    ),
    *("ReLU", "LeakyReLU", "PReLU", "Activation", "Softmax"),
)
"""Layers that compute in integers on integer inputs: sums may wrap around."""
KEEPING_FUNCTIONS = ("concat", "reshape", "identity", "ops.Concatenate", "ops.Reshape")


class IntegerTensors:
    """Tracks integer tensors through a model."""

    def __init__(self):
        self.dtypes: dict[str, str] = {}

    def check(self, kind: str, layer: KerasLayer) -> None:
        """Raise if `layer` computes in integers.

        Parameters
        ----------
        kind : str
            Class of the layer, or operation of a function of tensors.
        layer : KerasLayer
        """
        found = [self.dtypes[name] for name in layer.inputs if name in self.dtypes]
        if found and kind in WRAPPING:
            raise ModelError(
                f"its input is of type {found[0]}, in which Keras computes it, wrapping around or"
                " rounding; put a Rescaling(1.0) after the model's input"
            )

    def follow(self, kind: str, layer: KerasLayer) -> None:
        """Record the dtype of the output of `layer`."""
        if kind == "InputLayer":
            dtype = dtype_name(layer.config.get("dtype"))
            if "int" in dtype or dtype == "bool":
                self.dtypes[layer.name] = dtype
            return
        kept = kind in KEEPING or str(layer.config.get("function", kind)) in KEEPING_FUNCTIONS
        found = [self.dtypes[name] for name in layer.inputs if name in self.dtypes]
        if found and kept:
            self.dtypes[layer.name] = found[0]
