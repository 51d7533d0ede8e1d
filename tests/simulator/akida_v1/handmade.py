"""Akida 1.0 layers with registers written by hand."""

import numpy as np

from simulator import akida_v1


def layer(kind, weights, shape, *, threshold=(0,), act_step=(1,), activation=True, **fields):
    """Return a layer with registers written by hand."""
    return getattr(akida_v1, kind)(
        **{
            "name": "layer",
            "inputs": (),
            "input_shapes": (shape,),
            "weights": np.asarray(weights, np.int8),
            "weights_bits": 4,
            "threshold": np.asarray(threshold, np.int32),
            "act_step": np.asarray(act_step, np.float32),
            "activation": activation,
            **fields,
        }
    )


CONV = layer("Convolutional", np.ones((3, 3, 2, 2)), (6, 6, 2), threshold=(0, 0), act_step=(1, 1))
IMAGE = layer(
    "InputConvolutional",
    np.ones((3, 3, 1, 2)),
    (6, 6, 1),
    threshold=(0, 0),
    act_step=(1, 1),
    weights_bits=8,
)


def f32(*values):
    return np.asarray(values, np.float32)
