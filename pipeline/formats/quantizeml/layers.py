"""QuantizeML's layers: the operation of each class, and its attributes in the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import ModelError
from pipeline.graph.keras_values import scalar
from pipeline.graph.operations import OPERATIONS
from pipeline.graph.traits import NEURAL

PREFIX = "Quantized"
REGISTERED = "Custom>"
"""Prefix of the classes in files: the registry of Keras that they are in."""
INPUT_QUANTIZER, DEQUANTIZER = "InputQuantizer", "Dequantizer"
TABLES = ("gelu", "swish", "hard_silu", "leaky_relu")
"""Activations with a look-up table."""
OTHER_NAMES = {"silu": "swish"}
SLOPE = 0.2
"""Slope of leaky_relu where the file has none."""

Config = Mapping[str, Any]


@dataclass(frozen=True)
class LayerForm:
    """One operation as a QuantizeML layer; the defaults hold where Keras' layer has the same form.

    Attributes
    ----------
    op : str
        Name of the operation.
    kind : str
        The class, without `PREFIX`.
    extra : mapping
        Configuration keys that are written although they are no attributes.
    """

    op: str
    kind: str = ""
    extra: Config = field(default_factory=dict)

    @property
    def class_name(self) -> str:
        """Name of the class."""
        return PREFIX + (self.kind or self.op)

    def read(self, config: Config) -> dict[str, Any]:
        """Return the attributes of a layer with this configuration."""
        if self.op in NEURAL and config.get("activation") not in (None, "linear"):
            raise ModelError(f"its activation is {config['activation']!r}; allowed: none")
        return OPERATIONS[self.op].read_keras(self.op, config)

    def write(self, attrs: Config) -> dict[str, Any]:
        """Return the configuration of a layer with these attributes."""
        operation = OPERATIONS[self.op]
        config = operation.write_keras(attrs, 2)[1]
        if operation.data_format:
            config["data_format"] = "channels_last"
        return {**config, **self.extra}


class ActivationForm(LayerForm):
    """A look-up table of a function."""

    def read(self, config):
        kind = str(config["activation"])
        kind = OTHER_NAMES.get(kind, kind)
        if kind not in TABLES:
            raise ModelError(f"activation '{kind}' has no look-up table; use gelu, swish...")
        alpha = scalar(config.get("alpha", SLOPE)) if kind == "leaky_relu" else 0.0
        return {"activation": kind, "alpha": alpha}

    def write(self, attrs):
        leaky = attrs["activation"] == "leaky_relu"
        return {"activation": attrs["activation"], "alpha": attrs["alpha"] if leaky else SLOPE}


class ReluForm(LayerForm):
    """A ReLU, which has an upper bound and no other option."""

    def read(self, config):
        return {"max_value": scalar(config.get("max_value", 6.0))}

    def write(self, attrs):
        return {"max_value": attrs["max_value"]}


class AddForm(LayerForm):
    """A sum, or an average, which Keras has as another class."""

    def write(self, attrs):
        return {"average": attrs["average"]}


class TemporalForm(LayerForm):
    """A temporal convolution; its default is no bias."""

    def read(self, config):
        return {"use_bias": False, **super().read(config)}

    def write(self, attrs):
        config = dict(attrs)
        return {"kernel_size": config.pop("fifo_size"), **config}


LINEAR = {"activation": "linear"}
LAYERS: dict[str, LayerForm] = {
    form.op: form
    for form in (
        LayerForm("Rescaling"),
        LayerForm("Conv2D", extra=LINEAR),
        LayerForm("DepthwiseConv2D", extra=LINEAR),
        LayerForm("SeparableConv2D", extra=LINEAR),
        LayerForm("Conv2DTranspose", extra=LINEAR),
        LayerForm("DepthwiseConv2DTranspose", extra={**LINEAR, "depth_multiplier": 1}),
        LayerForm("Dense", extra=LINEAR),
        TemporalForm("BufferTempConv"),
        TemporalForm("DepthwiseBufferTempConv"),
        ReluForm("ReLU"),
        ActivationForm("Activation"),
        LayerForm("MaxPooling2D", "MaxPool2D"),
        LayerForm("GlobalAveragePooling2D"),
        LayerForm("Flatten"),
        LayerForm("Reshape"),
        LayerForm("Permute"),
        LayerForm("Dropout"),
        AddForm("Add"),
        LayerForm("Concatenate"),
    )
}
"""By operation."""
OPS = {form.class_name: op for op, form in LAYERS.items()}
"""Operations by class."""
