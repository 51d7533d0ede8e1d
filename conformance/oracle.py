"""Quantize with QuantizeML and trace every tensor of its integer layers."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

CALIBRATION_BATCH = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class Tensor:
    """Output of one layer: ``values * 2**-frac_bits * scales``.

    Attributes
    ----------
    values : int64 array of shape (n, ...)
    value_bits : int
    frac_bits : int64 array of shape () or (channels,)
    scales : float32 array of shape () or (channels,), or None
        None for a fixed-point tensor.
    """

    values: np.ndarray
    value_bits: int
    frac_bits: np.ndarray
    scales: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Trace:
    """Tensors and registers of a QuantizeML model for some images.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Integer tensors by layer name.
    registers : dict of str to array
        Recorded integers, ``<layer>/<recorder>``.
    outputs : float32 array
        Dequantized output of the last integer layer.
    """

    tensors: dict[str, Tensor]
    registers: dict[str, np.ndarray]
    outputs: np.ndarray
    layers: list = field(default_factory=list)


def prepare() -> None:
    """Configure TensorFlow for many small models on one core; must be called first, once."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    # Run-time assertions of the reference check its own invariants only, and double the time.
    os.environ["ASSERT_ENABLED"] = "0"
    import tensorflow as tf
    import tf_keras

    tf.get_logger().setLevel("ERROR")
    tf_keras.utils.disable_interactive_logging()
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    _Recorders.install()


class _Recorders:
    """Replacement of QuantizeML's recording variables, which take longer than the arithmetic.

    A recorder stores an integer tensor and returns it unchanged; so does this one during a trace,
    without creating variables.
    """

    sink: dict | None = None
    layer = ""

    @classmethod
    def install(cls):
        from quantizeml.layers.recorders import TensorRecorder

        def record(self, inputs):
            if cls.sink is not None:
                cls.sink[f"{cls.layer}/{self.name}"] = inputs
            return inputs

        TensorRecorder.__call__ = record


def failures() -> tuple[type[Exception], ...]:
    """Return the exceptions that QuantizeML raises for a network it cannot quantize."""
    import tensorflow as tf

    return (ValueError, TypeError, RuntimeError, AttributeError, tf.errors.OpError)


def quantize(model, settings: dict, samples: np.ndarray):
    """Return the QuantizeML model of a tf_keras model.

    Parameters
    ----------
    model : tf_keras.Model
    settings : dict
        Arguments of ``QuantizationParams``.
    samples : array of shape (n, *input shape)
        Calibration images.
    """
    from quantizeml.layers import QuantizationParams
    from quantizeml.models import quantize as quantize_keras

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantize_keras(
            model,
            qparams=QuantizationParams(**settings),
            samples=samples,
            num_samples=len(samples),
            batch_size=CALIBRATION_BATCH,
        )


def save(model, path: Path) -> None:
    """Write a model as Keras 2 HDF5."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(str(path), include_optimizer=False)


def trace(model, images: np.ndarray, *, temporal: bool = False) -> Trace:
    """Run `model` on `images` in one compiled graph and return every layer's tensor.

    Parameters
    ----------
    model : tf_keras.Model
        Quantized by QuantizeML.
    images : array of shape (n, ...)
    temporal : bool
        True runs the images one by one, as successive frames of one stream after a reset.
    """
    import tensorflow as tf
    from quantizeml.models import reset_buffers

    meta: dict[str, int] = {}

    def run(batch):
        _Recorders.sink = registers = {}
        values = _walk(model, batch)
        _Recorders.sink = None
        flat = {}
        for name, value in values.items():
            parts = _parts(value)
            if parts is not None:
                meta[name] = parts.pop("value_bits")
                flat[name] = parts
            elif hasattr(value, "dtype") and value.dtype == tf.float32:
                flat[name] = {"float": value}
        return flat, registers

    function = tf.function(run)
    reset_buffers(model)
    if temporal:
        steps = [function(tf.constant(image[None])) for image in images]
        reset_buffers(model)
        flat, registers = tf.nest.map_structure(lambda x: x.numpy(), steps[0])
        for name in flat:
            for part in ("values", "float"):
                if part in flat[name]:
                    stack = [step[0][name][part].numpy() for step in steps]
                    flat[name][part] = np.concatenate(stack)
    else:
        flat, registers = tf.nest.map_structure(lambda x: x.numpy(), function(tf.constant(images)))
    tensors = {
        name: Tensor(
            values=parts["values"].astype(np.int64),
            value_bits=meta[name],
            frac_bits=np.squeeze(parts["frac_bits"]).astype(np.int64),
            scales=np.squeeze(parts["scales"]) if "scales" in parts else None,
        )
        for name, parts in flat.items()
        if "values" in parts
    }
    first = next(layer.name for layer in model.layers if type(layer).__name__ == "Dequantizer")
    return Trace(tensors, registers, flat[first]["float"], list(model.layers))


def _walk(model, batch):
    """Call layer by layer, since Keras's own call keeps no intermediate values."""
    values = {}
    for layer in model.layers:
        _Recorders.layer = layer.name
        if type(layer).__name__ == "InputLayer":
            values[layer.name] = batch
            continue
        inbound = layer.inbound_nodes[0].inbound_layers
        if isinstance(inbound, list):
            values[layer.name] = layer([values[source.name] for source in inbound])
        else:
            values[layer.name] = layer(values[inbound.name])
    return values


def _parts(value):
    """Return the pieces of a QTensor, or None for a plain tensor."""
    if hasattr(value, "fp"):
        return {
            "values": value.fp.values,
            "value_bits": int(value.fp.value_bits),
            "frac_bits": value.fp.frac_bits,
            "scales": value.scales,
        }
    if hasattr(value, "frac_bits"):
        return {
            "values": value.values,
            "value_bits": int(value.value_bits),
            "frac_bits": value.frac_bits,
        }
    return None
