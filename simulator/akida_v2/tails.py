"""Operations that one Akida 2.0 layer includes: layer patterns of the vendor's cnn2snn."""

from __future__ import annotations

_POOL, _RELU, _TABLE, _MEAN = "MaxPooling2D", "ReLU", "Activation", "GlobalAveragePooling2D"
_SIMPLE = ((), (_RELU,), (_TABLE,))
_POOLED = ((_POOL, _RELU), (_POOL, _TABLE))
TAILS = {
    "InputConv2D": (*_SIMPLE, *_POOLED),
    "Conv2D": (*_SIMPLE, *_POOLED, (_RELU, _MEAN), (_TABLE, _MEAN), (_MEAN,)),
    "DepthwiseConv2D": (*_SIMPLE, *_POOLED),
    "Conv2DTranspose": _SIMPLE,
    "DepthwiseConv2DTranspose": _SIMPLE,
    "Dense1D": ((), (_RELU,)),
    "BufferTempConv": ((), (_RELU,)),
    "DepthwiseBufferTempConv": ((), (_RELU,)),
    "Add": ((),),
    "Concatenate": ((),),
}
"""Layer class to the sequences of Keras operations that it can compute after its sums."""
