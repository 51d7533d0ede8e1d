"""Keras layers without a counterpart on either chip, and what to do about them."""

from __future__ import annotations

_CUT = "end the chip's part before it (--until NODE), the host computes the rest"
_HOST = "do it with images before the model, and save the model without it"
_REASONS = {
    f"it has a memory along a sequence; use Conv1D, BufferTempConv or a pooling over the steps and"
    f" retrain, or {_CUT}": (
        *("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "TimeDistributed", "ConvLSTM1D"),
        *("ConvLSTM2D", "ConvLSTM3D", "CuDNNLSTM", "CuDNNGRU", "Masking"),
    ),
    f"it multiplies tensors of the same image, as gates and attention do; use a model without it"
    f" and retrain, or {_CUT}": (
        *("Dot", "Attention", "AdditiveAttention", "MultiHeadAttention"),
        *("GroupQueryAttention", "GroupedQueryAttention"),
    ),
    "it measures each image; use BatchNormalization and retrain": (
        *("LayerNormalization", "GroupNormalization", "UnitNormalization", "RMSNormalization"),
    ),
    f"it prepares images; {_HOST}": (
        *("Resizing", "CenterCrop", "RandomCrop", "Discretization", "CategoryEncoding"),
        *("MelSpectrogram", "STFTSpectrogram", "AutoContrast", "Equalization", "Solarization"),
        *("TextVectorization", "StringLookup", "IntegerLookup", "Hashing", "HashedCrossing"),
    ),
    f"it looks values up; {_HOST}": ("Embedding",),
    "it is another function; use ReLU, LeakyReLU, swish or gelu and retrain": (
        *("ELU", "ThresholdedReLU"),
    ),
    "it reads volumes; use layers on images or steps and retrain": (
        *("Conv3D", "Conv3DTranspose", "MaxPooling3D", "AveragePooling3D", "UpSampling3D"),
        *("GlobalAveragePooling3D", "GlobalMaxPooling3D", "ZeroPadding3D", "Cropping3D"),
    ),
    "it has other weights at every place; use Conv1D or Conv2D and retrain": (
        *("LocallyConnected1D", "LocallyConnected2D"),
    ),
    f"it repeats values; use UpSampling2D on a map and retrain, or {_CUT}": ("RepeatVector",),
    "transposed steps have no counterpart; use Conv2DTranspose on maps and retrain": (
        *("Conv1DTranspose",),
    ),
}
ADVICE = {kind: reason for reason, kinds in _REASONS.items() for kind in kinds}
"""Reason and what to do, by Keras class."""
