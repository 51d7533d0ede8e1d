"""Published limits of Akida 1.0 hardware.

A program beyond them runs on the emulator but does not map to the chip. Every number is one of the
constants below: predicates compare with them, and sentences and pages quote them.

The vendor's page calls the input's first dimension its width and the second its height
("Input shape is (Width, Height, Channels)"); for global averages it does not say which is which.
"""

from __future__ import annotations

from simulator.limit import (
    Limits,
    excess_inputs,
    misplaced_pooling,
    numbers,
    oversized,
    pooling,
    size,
    window,
)

SOURCE = (
    "BrainChip documentation, Akida 1.0 hardware (akida_examples 1fb6574); registers:"
    " cnn2snn 2.19 (Apache-2.0)"
)
INPUT_FIRST, INPUT_SECOND = 5, (5, 256)
"""Smallest first dimension of images, and the range of the second."""
INPUT_FILTERS = {
    1: {3: 512, 5: 192, 7: 96},
    3: {3: 192, 5: 64, 7: 32},
}
"""Most filters of InputConvolutional, by input channels and kernel size."""
INPUT_CHANNELS, INPUT_KERNELS = tuple(INPUT_FILTERS), tuple(INPUT_FILTERS[1])
INPUT_STRIDE = 3
INPUT_POOLS = ((1, 2), (2, 1), (2, 2))
KERNELS = {"Convolutional": (1, 3, 5, 7), "SeparableConvolutional": (3, 5, 7)}
WEIGHT_BITS = {
    "InputConvolutional": (8,),
    "Convolutional": (1, 2, 4),
    "SeparableConvolutional": (2, 4),
    "FullyConnected": (1, 2, 4),
}
STRIDED_KERNEL, STRIDE = (3, 3), 2
MAP_SIDE, CHANNELS = 4096, 2048
POOL, POOL_STRIDES = (2, 2), ((1, 1), (2, 2))
AVERAGE_SIDE, AVERAGE_ROWS = 32, 3
"""Largest height, and smallest number of rows, of a global average; the page does not say which
side of the map it means."""
INPUTS = 57334
DATA_BITS = (1, 2, 4)

REGISTERS = {True: (20, 23), False: (16, 19)}
"""Bits of act_step and threshold: of the input layer (True) and of the others (False)."""

WINDOWED = tuple(KERNELS)
NEURAL = tuple(WEIGHT_BITS)
POOLS_TEXT = numbers(map(size, INPUT_POOLS))
_KERNELS_TEXT = (
    f"{numbers(KERNELS['Convolutional'])} (separable: {numbers(KERNELS['SeparableConvolutional'])})"
)
STRIDED_TEXT, _POOL_TEXT = size(STRIDED_KERNEL), size(POOL)
_WEIGHTS_TEXT = "; ".join(f"{numbers(bits)} bits in {kind}" for kind, bits in WEIGHT_BITS.items())
STRIDES_TEXT = numbers(stride[0] for stride in POOL_STRIDES)
_FILTERS_TEXT = "; ".join(
    f"{numbers(table.values(), 'and')} filters of {numbers((size((k, k)) for k in table), 'and')}"
    f" on {channels} channel{'s' * (channels > 1)}"
    for channels, table in INPUT_FILTERS.items()
)
INPUT_TEXT = f"at least {INPUT_FIRST} by {INPUT_SECOND[0]} to {INPUT_SECOND[1]}"
AVERAGE_TEXT = f"at most {AVERAGE_SIDE} high, at least {AVERAGE_ROWS} rows"

limit = Limits(globals())
LIMITS, exceeded, remarks = limit.declared, limit.exceeded, limit.remarks


@limit("InputConvolutional")
def input_channels(facts):
    """The input convolution reads {INPUT_CHANNELS} channels."""
    if facts.input_shape[2] not in INPUT_CHANNELS:
        found = f"{facts.input_shape[2]} input channels"
        yield found, numbers(INPUT_CHANNELS), "convert the images to gray or RGB"


@limit("InputConvolutional")
def input_size(facts):
    """The input convolution reads images of {INPUT_TEXT} pixels."""
    first, second, _ = facts.input_shape
    lowest, highest = INPUT_SECOND
    if first < INPUT_FIRST or not lowest <= second <= highest:
        yield f"input of {first}x{second}", INPUT_TEXT, "resize the images"


@limit("InputConvolutional")
def input_kernel(facts):
    """The input convolution has kernels of {INPUT_KERNELS} and a stride up to {INPUT_STRIDE}."""
    if not set(facts.kernel) <= set(INPUT_KERNELS) or max(facts.stride) > INPUT_STRIDE:
        yield (
            window(facts),
            f"kernel sides {numbers(INPUT_KERNELS)}, stride 1 to {INPUT_STRIDE}",
            "use another kernel or stride and retrain",
        )


@limit("InputConvolutional")
def input_filters(facts):
    """The input convolution has at most {_FILTERS_TEXT}."""
    table = INPUT_FILTERS.get(facts.input_shape[2], {})
    most = min((table[side] for side in facts.kernel if side in table), default=None)
    if most is not None and facts.filters > most:
        yield (
            f"{facts.filters} filters of {size(facts.kernel)}",
            f"at most {most}",
            "use fewer filters or a smaller kernel",
        )


@limit("InputConvolutional")
def input_pooling(facts):
    """Max pooling after the input convolution is {POOLS_TEXT}, and its stride its size."""
    pool = facts.pool
    if pool is not None and (pool not in INPUT_POOLS or facts.pool_stride != pool):
        yield (
            pooling(facts),
            f"{POOLS_TEXT}, stride = size",
            "use 2x2 and retrain",
        )


@limit("InputConvolutional")
def input_average(facts):
    """The input convolution has no global average pooling."""
    if facts.average:
        yield (
            "global average in the input layer",
            "after a later convolution",
            "put a convolution between them",
        )


@limit(*WINDOWED)
def kernel_and_stride(facts):
    """Kernel sides are {_KERNELS_TEXT}; stride {STRIDE} needs a kernel of {STRIDED_TEXT}."""
    allowed, stride = KERNELS[facts.kind], max(facts.stride)
    strided = stride > STRIDE or (stride > 1 and facts.kernel != STRIDED_KERNEL)
    if not set(facts.kernel) <= set(allowed) or strided:
        yield (
            window(facts),
            f"kernel sides {numbers(allowed)}; stride 1, or {STRIDE} with {size(STRIDED_KERNEL)}",
            "use another kernel or stride and retrain",
        )


@limit(*WINDOWED)
def padding(facts):
    """Convolutions after the first have padding 'same'."""
    if facts.padding != "same" and max(facts.kernel) > 1:
        yield "padding 'valid'", "'same'", "use padding 'same' and retrain"


@limit(*WINDOWED)
def map_size(facts):
    """Maps have at most {MAP_SIDE} rows and columns and {CHANNELS} channels."""
    yield from oversized(facts, MAP_SIDE, CHANNELS)


@limit("SeparableConvolutional")
def separable_input(facts):
    """A separable convolution does not read a map of 1x1."""
    if facts.input_shape[:2] == (1, 1):
        yield "input of 1x1", "a larger map", "use a Conv2D of 1x1, or a Dense"


@limit(*WINDOWED)
def max_pooling(facts):
    """Max pooling is {_POOL_TEXT} of stride {STRIDES_TEXT}."""
    if facts.pool is not None and (facts.pool != POOL or facts.pool_stride not in POOL_STRIDES):
        yield (
            pooling(facts),
            f"{size(POOL)} of stride {STRIDES_TEXT}",
            "use 2x2 and retrain",
        )


@limit(*WINDOWED)
def pooling_follower(facts):
    """A convolution follows a layer with max pooling."""
    yield from misplaced_pooling(facts, WINDOWED)


@limit(*WINDOWED)
def global_pooling(facts):
    """Global averages are taken over maps of {AVERAGE_TEXT}."""
    if facts.average and (min(facts.average) > AVERAGE_SIDE or max(facts.average) < AVERAGE_ROWS):
        yield _average(facts)


@limit(*WINDOWED, remark=True)
def global_pooling_side(facts):
    """Either side of the map may count as the height of a global average."""
    if not facts.average or any(global_pooling(facts)):
        return
    if max(facts.average) > AVERAGE_SIDE or min(facts.average) < AVERAGE_ROWS:
        yield _average(facts)


def _average(facts):
    return (
        f"global average over {size(facts.average)}",
        AVERAGE_TEXT,
        "pool or stride more (or less) before it and retrain",
    )


@limit("FullyConnected")
def dense_inputs(facts):
    """A Dense layer has at most {INPUTS} inputs."""
    yield from excess_inputs(facts, INPUTS)


@limit("InputData")
def image_input(facts):
    """An image of {INPUT_CHANNELS} channels goes into a Conv2D."""
    if _too_wide(facts) and facts.input_shape[2] in INPUT_CHANNELS:
        yield (
            f"{facts.input_bits}-bit image of {size(facts.input_shape)}"
            f" into {', '.join(facts.consumers or ()) or 'another layer'}",
            "Conv2D",
            "put a Conv2D with ReLU first and retrain",
        )


@limit("InputData")
def data_bits(facts):
    """Inputs of other than {INPUT_CHANNELS} channels have {DATA_BITS} bits."""
    if _too_wide(facts) and facts.input_shape[2] not in INPUT_CHANNELS:
        yield (
            f"{facts.input_bits}-bit inputs of {facts.input_shape[2]} channels",
            f"{numbers(DATA_BITS)} bits, or 1 or 3 channels into a Conv2D",
            "use gray or RGB images",
        )


def _too_wide(facts) -> bool:
    return facts.input_bits is not None and facts.input_bits not in DATA_BITS


@limit(*NEURAL)
def weight_bits(facts):
    """Weights have {_WEIGHTS_TEXT}."""
    allowed = WEIGHT_BITS[facts.kind]
    if facts.weight_bits is not None and facts.weight_bits not in allowed:
        yield (
            f"{facts.weight_bits}-bit weights",
            numbers(allowed),
            "quantize with these bits; the first layer has a setting of its own",
        )


@limit(*NEURAL)
def step_register(facts):
    """Steps of activations fit their register."""
    bits, _ = REGISTERS[facts.kind == "InputConvolutional"]
    if facts.act_step is not None and facts.act_step > (1 << bits) - 1:
        yield f"act_step reaches {facts.act_step:.6g}", f"{bits} bits", "fit the registers"


@limit(*NEURAL)
def threshold_register(facts):
    """Thresholds fit their register."""
    _, bits = REGISTERS[facts.kind == "InputConvolutional"]
    if facts.threshold is not None and facts.threshold > (1 << bits) - 1:
        yield f"threshold reaches {facts.threshold}", f"{bits} bits and a sign", "fit the registers"
