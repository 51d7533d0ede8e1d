"""What one Akida 2.0 layer absorbs: the layer patterns of the vendor's converter."""

from __future__ import annotations

POOL, RELU, TABLE, MEAN = "MaxPooling2D", "ReLU", "Activation", "GlobalAveragePooling2D"
_SIMPLE = ((), (RELU,), (TABLE,))
TAILS = {
    "Conv2D": (*_SIMPLE, (POOL, RELU), (POOL, TABLE), (RELU, MEAN), (TABLE, MEAN), (MEAN,)),
    "DepthwiseConv2D": (*_SIMPLE, (POOL, RELU), (POOL, TABLE)),
    "Conv2DTranspose": _SIMPLE,
    "DepthwiseConv2DTranspose": _SIMPLE,
    "Dense": ((), (RELU,)),
    "Add": ((),),
    "Concatenate": ((),),
    "BufferTempConv": ((), (RELU,)),
    "DepthwiseBufferTempConv": ((), (RELU,)),
}
"""Neural layer to the tails that one Akida 2.0 layer absorbs."""
