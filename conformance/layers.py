"""Random blocks of layers: convolutions of every kind with their tails, and joins."""

from __future__ import annotations

from conformance.draft import Draft

LIMITS = (None, None, 6.0, 6.0, 3.75, 1.0, 2.0, 4.0, 8.0, 0.3, 100.0)
TABLES = ("leaky_relu", "leaky_relu", "prelu", "gelu", "swish", "hard_silu")
SLOPES = (0.1, 0.3, 0.0, 1.0, 1.2, 4.0, -0.5, -1.5)
CELLS = 14
"""Longest side of a map that a transposed convolution may double."""


def conv_block(draft: Draft, x, *, first=False, keep=False, filters=None, activated=False):
    """Add a convolution, batch norm, pooling and activation; `keep` preserves height and width."""
    size = draft.pick((1, 3, 3, 5, 7) if first else (1, 2, 3, 3, 5, 7))
    if first and size > min(draft.shape(x)[:2]):
        size = 1  # QuantizeML cannot rebuild its padded convolution beyond the map
    stride = 1 if keep else draft.pick((1, 1, 2, 3))
    padding = "same" if keep else _padding(draft, x, size)
    kernel = (size, size)
    if padding == "same" and size > 1 and draft.chance(0.1):
        kernel = (size, draft.pick((1, 3)))
    if not keep and size > 1 and draft.chance(0.06):
        x = draft.add("ZeroPadding2D", x, padding=_border(draft, size))
        draft.note("zero padding")
        padding = "valid"
    x = draft.add(
        "Conv2D",
        x,
        filters=filters or draft.between(2, 10),
        kernel_size=kernel,
        strides=stride,
        padding=padding,
        use_bias=draft.chance(0.6),
    )
    draft.note(f"kernel {size}", f"stride {stride}", f"padding {padding}")
    return tail(draft, x, pooled=not keep, activated=activated)


def depthwise_block(draft: Draft, x):
    """Add a depthwise and a pointwise convolution."""
    size = draft.pick((3, 3, 5, 7))
    x = draft.add(
        "DepthwiseConv2D",
        x,
        kernel_size=size,
        strides=draft.pick((1, 1, 2)),
        padding=_padding(draft, x, size),
        use_bias=draft.chance(0.5),
    )
    if draft.chance(0.75):
        x = tail(draft, x, tables=0.4)
    filters, bias = draft.between(2, 12), draft.chance(0.5)
    x = draft.add("Conv2D", x, filters=filters, kernel_size=1, use_bias=bias)
    return tail(draft, x)


def transposed_block(draft: Draft, x):
    """Add a transposed convolution, depthwise or not."""
    if max(draft.shape(x)[:2]) > CELLS:
        return conv_block(draft, x)
    size, bias = draft.pick((2, 3, 4)), draft.chance(0.5)
    if draft.chance(0.5):
        x = draft.add("DepthwiseConv2DTranspose", x, kernel_size=size, use_bias=bias)
    else:
        x = draft.add(
            "Conv2DTranspose",
            x,
            filters=draft.between(2, 8),
            kernel_size=size,
            strides=draft.pick((1, 2, 2, 3)),
            padding=draft.pick(("same", "valid")),
            use_bias=bias,
        )
    return tail(draft, x, pooled=False, tables=0.4)


def temporal_block(draft: Draft, x):
    """Add buffered temporal convolutions: depthwise, full or both."""
    kinds = draft.pick((("Depthwise", ""), ("Depthwise",), ("",)))
    if draft.graph.node(x).op in ("Input", "Rescaling"):
        kinds = ("",)  # only a full one can absorb a scale or a zero point
    for kind in kinds:
        options = {} if kind else {"filters": draft.between(2, 8)}
        x = draft.add(
            f"{kind}BufferTempConv",
            x,
            fifo_size=draft.between(2, 5),
            use_bias=draft.chance(0.5),
            **options,
        )
        if draft.chance(0.85):
            x = activation(draft, x, tables=0.35)
    draft.note("temporal")
    return x


def residual_block(draft: Draft, x):
    """Add one or two residual additions around convolutions, some of them averages."""
    for _ in range(draft.between(1, 3)):
        y = conv_block(draft, x, keep=True, filters=draft.shape(x)[-1])
        both = (x, y) if draft.chance(0.5) else (y, x)
        x = draft.add("Add", *both, average=draft.chance(0.2))
        draft.note("join add")
        if draft.chance(0.5):
            x = activation(draft, x, tables=0)
    return x


def concatenated_block(draft: Draft, x):
    """Add two or three concatenated branches."""
    branches = [conv_block(draft, x, keep=True)]
    for _ in range(draft.between(1, 3)):
        branches.append(conv_block(draft, x, keep=True) if draft.chance(0.6) else x)
    branches = list(dict.fromkeys(branches))
    if len(branches) == 1:
        return branches[0]
    draft.note("join concatenate", f"consumers {len(branches)}")
    return conv_block(draft, draft.add("Concatenate", *branches))


def branched_block(draft: Draft, x):
    """Add three different consumers of a tensor, joined by addition and concatenation."""
    filters = draft.shape(x)[-1]
    a = conv_block(draft, x, keep=True, filters=filters)
    b = draft.add("DepthwiseConv2D", x, kernel_size=3, padding="same")
    b = tail(draft, b, pooled=False)
    c = draft.add("Add", a, x)
    draft.note("consumers 3", "join add", "join concatenate")
    return conv_block(draft, draft.add("Concatenate", b, c))


def tail(draft: Draft, x, *, pooled=True, activated=False, tables=0.25):
    """Add batch norm, max pooling and activation in one of the usual orders."""
    order = draft.pick(("bn pool act", "bn act pool", "pool bn act", "act"))
    for part in order.split():
        if part == "bn" and draft.chance(0.7):
            x = draft.add("BatchNormalization", x)
            draft.note("batch norm")
        elif part == "pool" and pooled and draft.chance(0.4):
            x = pool(draft, x)
        elif part == "act" and (activated or draft.chance(0.85)):
            x = activation(draft, x, tables=0.05 if order.endswith("pool") else tables)
    return x


def pool(draft: Draft, x):
    """Add max pooling."""
    size, stride = draft.pick((2, 3)), draft.pick((1, 2, 3))
    padding = draft.pick(("same", "valid"))
    if min(draft.shape(x)[:2]) < size:
        padding = "same"
    draft.note(f"pool {size} stride {stride} {padding}")
    return draft.add("MaxPooling2D", x, pool_size=size, strides=stride, padding=padding)


def activation(draft: Draft, x, *, tables=0.25):
    """Add a ReLU with or without a maximum, or, with probability `tables`, a look-up table."""
    if draft.chance(tables):
        return _table(draft, x)
    limit = draft.pick(LIMITS)
    draft.note(f"relu {limit}")
    return draft.add("ReLU", x, max_value=limit)


def dense(draft: Draft, x, units: int):
    """Add a dense layer."""
    return draft.add("Dense", x, units=units, use_bias=draft.chance(0.8))


def _table(draft, x):
    kind = draft.pick(TABLES)
    draft.note(f"table {kind}")
    if kind == "leaky_relu":
        slope = draft.pick(SLOPES)
        draft.note(f"slope {slope}")
        return draft.add("LeakyReLU", x, negative_slope=slope)
    if kind == "prelu":
        axes = tuple(range(1, len(draft.shape(x))))
        return draft.add("PReLU", x, shared_axes=axes or None)
    return draft.add("Activation", x, activation=kind)


def _padding(draft, x, size):
    if min(draft.shape(x)[:2]) < size:
        return "same"
    return draft.pick(("same", "same", "valid"))


def _border(draft, size):
    """Return the zeros of padding 'same', sometimes with one more at the end."""
    before, after = (size - 1) // 2, size // 2 + draft.chance(0.2)
    return ((before, after), (before, after))
