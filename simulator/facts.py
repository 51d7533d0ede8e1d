"""Properties of a layer that a chip's limits depend on, for float models and programs alike."""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class LayerFacts:
    """Properties of one layer, read by limits; None means unknown, or absent.

    Attributes
    ----------
    name, kind : str
        Name of the layer and of its class.
    input_shape, shape : (height, width, channels)
        Of the first input, and of the accumulators before pooling.
    kernel, stride : pair of int or None
    padding : {"same", "valid"} or None
    pool, pool_stride : pair of int or None
        Window and stride of max pooling.
    pool_padding : {"same", "valid"} or None
    average : pair of int or None
        Height and width of the map that a global average pooling reduces to 1x1.
    activation : {"none", "relu", "lut"}
    consumers : tuple of str or None
        Kinds of the layers that consume its output; empty at the end of the model.
    fifo_size : int or None
        Frames in the FIFO of a buffered temporal convolution.
    input_bits, weight_bits, output_bits : int or None
    signed : bool or None
        True if the inputs have a sign.
    padding_values : (lowest, highest) or None
        Integers that "same" padding writes; None for zeros.
    saturating_inputs : bool
        True if inputs saturate after their shift.
    act_step : float or None
        Largest value of this register of Akida 1.0.
    threshold : int or None
        Largest magnitude in this register of Akida 1.0.
    """

    name: str
    kind: str
    input_shape: tuple[int, int, int]
    shape: tuple[int, int, int]
    kernel: Pair | None = None
    stride: Pair | None = None
    padding: str | None = None
    pool: Pair | None = None
    pool_stride: Pair | None = None
    pool_padding: str | None = None
    average: Pair | None = None
    activation: str = "none"
    consumers: tuple[str, ...] | None = None
    fifo_size: int | None = None
    input_bits: int | None = None
    weight_bits: int | None = None
    output_bits: int | None = None
    signed: bool | None = None
    padding_values: tuple[int, int] | None = None
    saturating_inputs: bool = False
    act_step: float | None = None
    threshold: int | None = None

    @property
    def filters(self) -> int:
        """Number of output channels."""
        return self.shape[2]

    @property
    def inputs(self) -> int:
        """Number of values in the first input."""
        height, width, channels = self.input_shape
        return height * width * channels

    @property
    def tail(self) -> tuple[str, ...]:
        """Operations of this layer after its sums, by their Keras names, in order."""
        parts = (
            (self.pool is not None, "MaxPooling2D"),
            (self.activation == "relu", "ReLU"),
            (self.activation == "lut", "Activation"),
            (self.average is not None, "GlobalAveragePooling2D"),
        )
        return tuple(op for present, op in parts if present)
