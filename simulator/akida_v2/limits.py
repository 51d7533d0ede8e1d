"""Published limits of Akida 2.0 hardware.

A program beyond them runs on the emulator but does not map to the chip. Every number is one of the
constants below: predicates compare with them, and sentences and pages quote them.

The vendor's page calls the input's first dimension its width and the second its height
("Input shape is (Width, Height, Channels)"); for global averages it does not say which is which.
"""

from __future__ import annotations

from simulator.akida_v2.tails import TAILS
from simulator.limit import (
    Limits,
    excess_inputs,
    misplaced_pooling,
    numbers,
    oversized,
    pooling,
    size,
    sizes,
    window,
)

SOURCE = "BrainChip documentation, Akida 2.0 hardware (akida_examples 1bd582e)"
INPUT_FIRST, INPUT_SECOND = 5, (5, 384)
"""Smallest first dimension of images, and the range of the second."""
INPUT_CHANNELS, INPUT_FILTERS = (1, 3), 512
PIXEL = (0, 255)
"""Range of the value of "same" padding around an image."""
INPUT_POOLS = ((2, 2), (3, 2))
"""(size, stride) of max pooling in InputConv2D."""
INPUT_STRIDES = {3: 3, 4: 4, 5: 5, 7: 6}
"""Largest stride of InputConv2D by kernel size."""
KERNELS = {"Conv2D": (1, 3, 5, 7), "DepthwiseConv2D": (3, 5, 7)}
STRIDED_KERNEL, STRIDE = 3, 2
POOLS = ((2, 1), (2, 2))
"""(size, stride) of max pooling in the other convolutions."""
TRANSPOSED_KERNELS, TRANSPOSED_STRIDE = (3, 4), 2
MAP_SIDE, CHANNELS = 4096, 2048
AVERAGE_SIDE, AVERAGE_PIXELS = 64, 144
"""Largest height of a global average (either side of the map may be meant), and most pixels."""
INPUTS = 2048
FIFO, BUFFERED_FILTERS = (2, 10), 2048
BITS, WIDE = (4, 8), (8,)
"""Widths of weights and of activations."""

TRANSPOSED = ("Conv2DTranspose", "DepthwiseConv2DTranspose")
BUFFERED = ("BufferTempConv", "DepthwiseBufferTempConv")
WINDOWED = tuple(KERNELS)
SQUARE = ("InputConv2D", *WINDOWED, *TRANSPOSED)
WEIGHT_BITS = {
    **dict.fromkeys((*WINDOWED, "Dense1D"), BITS),
    **dict.fromkeys(("InputConv2D", *TRANSPOSED, *BUFFERED), WIDE),
}
OUTPUT_BITS = {**WEIGHT_BITS, "InputConv2D": BITS}


def _pools(pairs) -> str:
    return numbers(f"{side}x{side} of stride {stride}" for side, stride in pairs)


_KERNELS_TEXT = f"{sizes(KERNELS['Conv2D'])} (depthwise: {sizes(KERNELS['DepthwiseConv2D'])})"
STRIDED_TEXT = size((STRIDED_KERNEL, STRIDED_KERNEL))
_INPUT_STRIDES_TEXT = numbers(
    (f"{side}x{side} of stride 1 to {most}" for side, most in INPUT_STRIDES.items())
)
_TRANSPOSED_TEXT = f"{sizes(TRANSPOSED_KERNELS)} of stride {TRANSPOSED_STRIDE}, padding 'same'"
INPUT_TEXT = f"at least {INPUT_FIRST} by {INPUT_SECOND[0]} to {INPUT_SECOND[1]}"
POOLS_TEXT, INPUT_POOLS_TEXT = _pools(POOLS), _pools(INPUT_POOLS)
_PIXEL_TEXT, FIFO_TEXT = (numbers(pair, "to") for pair in (PIXEL, FIFO))

limit = Limits(globals())
LIMITS, exceeded, remarks = limit.declared, limit.exceeded, limit.remarks


@limit("InputConv2D")
def input_channels(facts):
    """The input convolution reads {INPUT_CHANNELS} channels."""
    if facts.input_shape[2] not in INPUT_CHANNELS:
        found = f"{facts.input_shape[2]} input channels"
        yield found, numbers(INPUT_CHANNELS), "use padding 'valid', or inputs of 0 and above"


@limit("InputConv2D")
def input_size(facts):
    """The input convolution reads images of {INPUT_TEXT} pixels."""
    first, second, _ = facts.input_shape
    lowest, highest = INPUT_SECOND
    if first < INPUT_FIRST or not lowest <= second <= highest:
        yield f"input of {first}x{second}", INPUT_TEXT, "resize the images"


@limit("InputConv2D")
def input_kernel(facts):
    """The input convolution is {_INPUT_STRIDES_TEXT}."""
    most = min(INPUT_STRIDES.get(side, 0) for side in facts.kernel)
    if max(facts.stride) > most:
        yield window(facts), _INPUT_STRIDES_TEXT, "use another kernel or stride and retrain"


@limit("InputConv2D")
def input_filters(facts):
    """The input convolution has at most {INPUT_FILTERS} filters."""
    if facts.filters > INPUT_FILTERS:
        yield f"{facts.filters} filters", f"at most {INPUT_FILTERS}", "use fewer filters"


@limit("InputConv2D")
def padding_value(facts):
    """Padding 'same' writes values of {_PIXEL_TEXT} around an image."""
    lowest, highest = facts.padding_values or PIXEL
    if lowest < PIXEL[0] or highest > PIXEL[1]:
        fix = "use a Rescaling whose zero is a pixel's value, or padding 'valid'"
        yield f"padding values {lowest} to {highest}", _PIXEL_TEXT, fix


@limit("InputData")
def signed_input(facts):
    """Only a first Conv2D of {INPUT_CHANNELS} channels with activation takes unsigned inputs."""
    if facts.signed is False:
        yield (
            f"unsigned input of {size(facts.input_shape)}",
            f"int8, or {numbers(INPUT_CHANNELS)} channels into a Conv2D with an activation",
            "put a convolution with ReLU first, or shift the inputs to int8",
        )


@limit("InputData")
def data_bits(facts):
    """Inputs have {BITS} bits."""
    if facts.input_bits not in (None, *BITS):
        yield f"{facts.input_bits}-bit inputs", f"{numbers(BITS)} bits", "use int8 inputs"


@limit(*SQUARE)
def square_kernel(facts):
    """Kernels are square."""
    if len(set(facts.kernel)) > 1:
        yield f"kernel {size(facts.kernel)}", "square", "extend it with zeros"


@limit(*SQUARE)
def square_stride(facts):
    """Strides are the same in both directions."""
    if len(set(facts.stride)) > 1:
        yield f"stride {size(facts.stride)}", "square", "use equal strides and retrain"


@limit(*WINDOWED)
def kernel_and_stride(facts):
    """Convolutions are {_KERNELS_TEXT}; stride {STRIDE} needs a kernel of {STRIDED_TEXT}."""
    allowed, stride = KERNELS[facts.kind], max(facts.stride)
    strided = stride > STRIDE or (stride > 1 and set(facts.kernel) != {STRIDED_KERNEL})
    if not set(facts.kernel) <= set(allowed) or strided:
        yield (
            window(facts),
            f"{sizes(allowed)}; stride 1, or {STRIDE} with {STRIDED_TEXT}",
            "use another kernel or stride and retrain",
        )


@limit(*WINDOWED)
def padding(facts):
    """Convolutions after the first have padding 'same'."""
    if facts.padding != "same" and max(facts.kernel) > 1:
        yield "padding 'valid'", "'same'", "use padding 'same' and retrain"


@limit(*TRANSPOSED)
def transposed_convolution(facts):
    """Transposed convolutions are {_TRANSPOSED_TEXT}."""
    good = set(facts.kernel) <= set(TRANSPOSED_KERNELS) and facts.padding == "same"
    if not good or set(facts.stride) != {TRANSPOSED_STRIDE}:
        found = f"{window(facts)}, padding '{facts.padding}'"
        yield found, _TRANSPOSED_TEXT, "use these and retrain"


@limit(*WINDOWED, *TRANSPOSED, *BUFFERED)
def map_size(facts):
    """Maps have at most {MAP_SIDE} rows and columns and {CHANNELS} channels."""
    yield from oversized(facts, MAP_SIDE, CHANNELS)


@limit(*TAILS)
def layer_pattern(facts):
    """One Akida 2.0 layer includes certain sequences of pooling, activation and average only."""
    allowed = TAILS[facts.kind]
    if facts.tail not in allowed:
        detachable = facts.average and facts.tail[:-1] in allowed
        yield (
            " > ".join((facts.kind, *facts.tail)),
            "; ".join(" > ".join((facts.kind, *tail)) for tail in allowed),
            "put a 1x1 Conv2D before the average" if detachable else "reorder and retrain",
        )


@limit("InputConv2D", *WINDOWED)
def square_pool(facts):
    """Max pooling windows and their strides are square."""
    if facts.pool and (len(set(facts.pool)) > 1 or len(set(facts.pool_stride)) > 1):
        yield pooling(facts), "square", "use square pooling and retrain"


@limit("InputConv2D", *WINDOWED)
def max_pooling(facts):
    """Max pooling is {POOLS_TEXT}; after the input convolution {INPUT_POOLS_TEXT}."""
    allowed = INPUT_POOLS if facts.kind == "InputConv2D" else POOLS
    square = facts.pool and len(set(facts.pool)) == len(set(facts.pool_stride)) == 1
    if square and (facts.pool[0], facts.pool_stride[0]) not in allowed:
        yield pooling(facts), _pools(allowed), "use another pooling and retrain"


@limit(*WINDOWED)
def pooling_follower(facts):
    """A convolution follows a layer with max pooling."""
    yield from misplaced_pooling(facts, WINDOWED)


@limit("InputConv2D", *WINDOWED)
def pooled_table(facts):
    """Look-up table activations cannot follow max pooling."""
    if facts.pool and facts.activation == "lut":
        yield "a look-up table activation with max pooling", "ReLU", "use ReLU and retrain"


@limit("InputConv2D", *WINDOWED)
def pool_padding(facts):
    """Max pooling has the padding of the convolution before it."""
    if facts.pool and facts.pool_padding != facts.padding and max(facts.kernel) > 1:
        found = f"padding '{facts.pool_padding}' of the pooling after '{facts.padding}'"
        fix = f"use padding '{facts.padding}', on maps that the pooling divides"
        yield found, f"'{facts.padding}'", fix


@limit("Conv2D")
def global_pooling(facts):
    """Global averages are taken over at most {AVERAGE_SIDE} rows and {AVERAGE_PIXELS} pixels."""
    height, width = facts.average or (1, 1)
    if height * width > AVERAGE_PIXELS or min(height, width) > AVERAGE_SIDE:
        yield _average(facts)


@limit("Conv2D", remark=True)
def global_pooling_side(facts):
    """Either side of the map may count as the height of a global average."""
    if facts.average and max(facts.average) > AVERAGE_SIDE and not any(global_pooling(facts)):
        yield _average(facts)


def _average(facts):
    return (
        f"global average over {size(facts.average)}",
        f"at most {AVERAGE_SIDE} high and {AVERAGE_PIXELS} pixels",
        "pool or stride more before it and retrain",
    )


@limit("Dense1D")
def dense_inputs(facts):
    """A Dense layer has at most {INPUTS} inputs."""
    yield from excess_inputs(facts, INPUTS)


@limit("Dense1D")
def saturating_flatten(facts):
    """Inputs of a Dense layer must not saturate after their shift."""
    if facts.saturating_inputs:
        found = "inputs that saturate after their shift (a QuantizeML Flatten)"
        yield found, "inputs that do not", "quantize with flatten=align"


@limit(*BUFFERED)
def buffers(facts):
    """Buffered convolutions keep {FIFO_TEXT} steps and have at most {BUFFERED_FILTERS} filters."""
    if not FIFO[0] <= facts.fifo_size <= FIFO[1] or facts.filters > BUFFERED_FILTERS:
        allowed = f"fifo_size {FIFO_TEXT}, at most {BUFFERED_FILTERS} filters"
        found = f"fifo_size {facts.fifo_size}, {facts.filters} filters"
        yield found, allowed, "use a shorter memory or fewer filters"


@limit(*WEIGHT_BITS)
def weight_bits(facts):
    """Weights have {BITS} bits; in input, transposed and buffered convolutions {WIDE}."""
    if facts.weight_bits not in (None, *WEIGHT_BITS[facts.kind]):
        allowed = numbers(WEIGHT_BITS[facts.kind])
        fix = "quantize with these bits; the first layer has a setting of its own"
        yield f"{facts.weight_bits}-bit weights", allowed, fix


@limit(*OUTPUT_BITS)
def output_bits(facts):
    """Outputs have {BITS} bits; of transposed and buffered convolutions {WIDE}."""
    if facts.output_bits not in (None, *OUTPUT_BITS[facts.kind]):
        allowed = numbers(OUTPUT_BITS[facts.kind])
        yield f"{facts.output_bits}-bit outputs", allowed, "quantize with these bits"
