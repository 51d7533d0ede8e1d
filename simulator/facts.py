"""What decides whether a chip holds a layer, for float models and programs alike."""

from __future__ import annotations

from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class LayerFacts:
    """All that a limit of a chip may look at; None is "not known", or "has none".

    Attributes
    ----------
    name, kind : str
        Of the layer, and the name of its class.
    input_shape, shape : tuple of int
        Height, width and channels of its first input, and of its sums before pooling.
    kernel, stride : pair of int or None
    padding : {"same", "valid"} or None
    pool, pool_stride : pair of int or None
        Of max pooling.
    pool_padding : {"same", "valid"} or None
    average : pair of int or None
        Height and width of the map that a global average ends in 1x1.
    activation : {"none", "relu", "lut"}
    followers : tuple of str or None
        Kinds of the layers that read it; empty at the end of the model.
    fifo_size : int or None
    input_bits, weight_bits, output_bits : int or None
    signed : bool or None
        The inputs have a sign.
    padding_values : (lowest, highest) or None
        Integers that "same" padding writes, where they are not 0.
    saturating_inputs : bool
        Inputs saturate after their shift.
    act_step, threshold : float, int or None
        Largest magnitudes in these registers of Akida 1.0.
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
    followers: tuple[str, ...] | None = None
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
        """Channels of the output."""
        return self.shape[2]

    @property
    def inputs(self) -> int:
        """Values of the first input."""
        height, width, channels = self.input_shape
        return height * width * channels

    @property
    def tail(self) -> tuple[str, ...]:
        """What follows the sums in this layer, as operations of Keras."""
        parts = (
            (self.pool is not None, "MaxPooling2D"),
            (self.activation == "relu", "ReLU"),
            (self.activation == "lut", "Activation"),
            (self.average is not None, "GlobalAveragePooling2D"),
        )
        return tuple(op for present, op in parts if present)
