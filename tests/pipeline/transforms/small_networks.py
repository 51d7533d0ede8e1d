"""Random small models of each kind that a transform repairs, as trained networks have them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.operations import OPERATIONS

RELU, SWISH = ("ReLU", {}), ("Activation", {"activation": "swish"})
BN, FLAT, DENSE = ("BatchNormalization", {}), ("Flatten", {}), ("Dense", {"units": 3})
GAP = ("GlobalAveragePooling2D", {})
SIDES = st.integers(4, 13)


def conv(filters=4, kernel=3, **attrs):
    return "Conv2D", {"filters": filters, "kernel_size": kernel, "padding": "same", **attrs}


def depthwise(kernel=3, **attrs):
    return "DepthwiseConv2D", {"kernel_size": kernel, "padding": "same", **attrs}


def pool(size, padding="same", **attrs):
    return "MaxPooling2D", {"pool_size": size, "padding": padding, **attrs}


class Builder:
    """Adds layers of random weights to a graph."""

    def __init__(self, shape, dtype, seed):
        node = make_node("input", "Input", attrs={"shape": shape, "dtype": dtype})
        self.graph, self.rng = Graph("m", [node], "input"), np.random.default_rng(seed)

    def add(self, *layers, source=None):
        """Add a chain after `source`, or the last layer; return its last name."""
        name = source or self.graph.output
        for op, attrs in layers:
            name = self._one(op, [name], attrs)
        return name

    def join(self, op, *sources):
        return self._one(op, sources, {})

    def _one(self, op, inputs, attrs):
        name = f"n{len(self.graph.nodes)}"
        node = make_node(name, op, inputs, attrs)
        shapes = OPERATIONS[op].weights(node.attrs, self.graph.shapes[inputs[0]])
        weights = {key: self._weights(key, shape) for key, shape in shapes.items()}
        self.graph = Graph("m", [*self.graph.nodes, node.with_weights(**weights)], name)
        return name

    def _weights(self, key, shape):
        if key in ("gamma", "moving_variance"):
            return self.rng.uniform(0.5, 1.5, shape).astype(np.float32)
        return (self.rng.normal(size=shape) / np.sqrt(max(np.prod(shape[:-1]), 1))).astype("f4")


@st.composite
def builders(draw, channels=(1, 2, 3, 4), dtypes=("uint8", "float32"), sides=SIDES, start=True):
    """Draw an image, with a first convolution unless told otherwise."""
    shape = (draw(sides), draw(sides), draw(st.sampled_from(channels)))
    made = Builder(shape, draw(st.sampled_from(dtypes)), draw(st.integers(0, 99)))
    if start:
        made.add(conv(), RELU)
    return made


@st.composite
def small_kernels(draw):
    made = draw(builders())
    kernel, padding = draw(st.sampled_from([(1, "same"), (1, "valid"), (2, "same"), (2, "valid")]))
    stride = draw(st.sampled_from([1, 2])) if kernel == 1 else 2
    shape = made.graph.shapes[made.graph.output]
    if (kernel, padding) == (2, "valid") and any(n % 2 for n in shape[:2]):
        padding = "same"
    kind = depthwise if stride == 1 or draw(st.booleans()) else conv
    made.add(kind(kernel=kernel, strides=stride, padding=padding), RELU, conv())
    return made.graph


@st.composite
def shared_tails(draw):
    """Draw a tensor with several consumers, of which one is an activation, norm or pooling."""
    made = draw(builders())
    start = made.add(*draw(st.sampled_from([[conv()], [conv(), RELU], [depthwise()]])))
    if draw(st.booleans()):
        start = made.join("Add", made.add(conv(), source=start), start)
    tails = [[RELU], [SWISH], [pool(2, strides=1)], [BN, RELU], [pool(3, strides=1), RELU]]
    one = made.add(*draw(st.sampled_from(tails)), source=start)
    two = made.add(*draw(st.sampled_from([[conv()], [conv(kernel=1)], [RELU]])), source=start)
    made.join(draw(st.sampled_from(["Add", "Concatenate"])), one, two)
    if draw(st.booleans()):
        end = made.graph.output
        pooled = made.add(pool(draw(st.sampled_from([2, 3])), padding="valid", strides=2))
        other = made.add(conv(), RELU, GAP, DENSE, source=end)
        made.join("Add", made.add(conv(), RELU, GAP, DENSE, source=pooled), other)
    else:
        made.add(conv(), RELU, GAP, DENSE)
    return made.graph


@st.composite
def bare_poolings(draw):
    """Draw a max pooling without an activation, before an Add or the layers of a chain."""
    made = draw(builders())
    start = made.graph.output
    norm = draw(st.sampled_from([[], [BN]]))
    size = draw(st.sampled_from([2, 3]))
    one = made.add(conv(), *norm, pool(size, strides=2), source=start)
    kind = draw(st.sampled_from(["shortcut", "shared", "same", "point", "dense", "gap"]))
    if kind == "shortcut":
        two = made.add(conv(kernel=1, strides=2), *norm, source=start)
        made.join("Add", one, two)
        made.add(conv(), RELU, GAP, DENSE)
    elif kind == "shared":
        made.join("Concatenate", made.add(conv(), source=one), one)
        made.add(conv(), RELU)
    else:
        ends = {"same": [conv()], "point": [conv(kernel=1)], "dense": [FLAT, DENSE], "gap": [GAP]}
        made.add(*ends[kind])
    return made.graph


@st.composite
def upsamplings(draw):
    made = draw(builders(sides=st.integers(3, 6)))
    made.add(*draw(st.sampled_from([[], [conv()], [conv(), RELU, pool(2)]])))
    made.add(
        ("UpSampling2D", {"size": draw(st.sampled_from([2, 4, 3, (2, 1), (1, 3)]))}), conv(), RELU
    )
    return made.graph


@st.composite
def global_maxima(draw):
    made = draw(builders())
    made.add(*draw(st.sampled_from([[], [conv()], [conv(padding="valid"), RELU]])))
    if draw(st.booleans()):
        made.add(("GlobalMaxPooling2D", {"keepdims": False}), DENSE)
    else:
        made.add(("GlobalMaxPooling2D", {"keepdims": True}), conv(kernel=1))
    return made.graph


@st.composite
def borders(draw):
    """Draw convolutions and poolings without padding before a flattened map."""
    start = draw(st.booleans())
    made = draw(builders(sides=st.integers(9, 14), start=start))
    if not start and draw(st.booleans()):
        made.add(("Rescaling", {"scale": 1 / 128, "offset": draw(st.sampled_from([0.0, -1.0]))}))
    for _ in range(draw(st.integers(1, 3))):
        kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
        shape = made.graph.shapes[made.graph.output]
        if any(n < k for n, k in zip(shape, kernel, strict=False)):
            break
        kind = draw(st.sampled_from([conv, depthwise]))
        made.add(kind(kernel=kernel, padding="valid"), RELU)
        smallest = min(made.graph.shapes[made.graph.output][:2])
        if smallest >= 2 and draw(st.booleans()):
            made.add(pool(2, padding="valid"))
    made.add(draw(st.sampled_from([FLAT, FLAT, GAP])), DENSE)
    return made.graph


@st.composite
def odd_poolings(draw):
    """Draw a max pooling that leaves rows or columns over, before other layers."""
    made = draw(builders())
    made.add(conv(kernel=draw(st.sampled_from([1, 3]))))
    made.add(*draw(st.sampled_from([[RELU], []])))
    sizes = [(2, 2), (3, 1), (2, 1), (3, 2), ((2, 1), (2, 1)), ((1, 3), (1, 2)), ((3, 1), (3, 1))]
    size, stride = draw(st.sampled_from(sizes))
    made.add(pool(size, padding="valid", strides=stride))
    made.add(*draw(st.sampled_from([[conv()], [RELU, conv()], [GAP, DENSE]])))
    return made.graph


@st.composite
def bare_inputs(draw):
    """Draw inputs that go to layers which cannot take them."""
    made = draw(builders(channels=(2, 4, 8), start=False))
    floats = made.graph.input.attrs["dtype"] == "float32"
    if not floats or draw(st.booleans()):
        made.add(("Rescaling", {"scale": 1 / 128, "offset": draw(st.sampled_from([0.0, -1.0]))}))
    start = made.graph.output
    if draw(st.booleans()):
        made.add(depthwise(draw(st.sampled_from([3, 5]))), RELU, conv(kernel=1))
    else:
        made.join("Add", made.add(conv(), source=start), made.add(conv(), source=start))
    made.add(conv(), RELU)
    return made.graph


@st.composite
def symmetric_paddings(draw):
    """Draw a window of stride 2 on a map that is padded alike on all sides, as PyTorch does."""
    first = draw(st.booleans())
    made = draw(builders(sides=st.integers(6, 14), start=not first))
    side = draw(st.sampled_from([1, 2, 3]))
    made.add(("ZeroPadding2D", {"padding": ((side, side), (side, side))}))
    window = {"strides": 2, "padding": "valid"}
    kinds = [conv(kernel=2 * side + 1, **window)]
    if not first:
        kinds += [depthwise(kernel=2 * side + 1, **window), pool(2 * side + 1, **window)]
    made.add(draw(st.sampled_from(kinds)), *draw(st.sampled_from([[], [BN, RELU], [RELU]])))
    made.add(conv(), RELU, GAP, DENSE)
    return made.graph


@st.composite
def steps(draw):
    """Draw layers on (steps, channels), as files of Conv1D are read."""
    shape = (draw(st.integers(6, 14)), draw(st.sampled_from([1, 2, 3])))
    made = Builder(shape, draw(st.sampled_from(["uint8", "float32"])), draw(st.integers(0, 99)))
    if draw(st.booleans()):
        made.add(("Rescaling", {"scale": 1 / 128, "offset": draw(st.sampled_from([0.0, -1.0]))}))
    for number in range(draw(st.integers(1, 3))):
        kernel = draw(st.integers(1, 3)), 1
        long = made.graph.shapes[made.graph.output][0] >= 6  # for any kernel, then any pool
        paddings = ["same", "valid"] if long else ["same"]
        layers = [conv(kernel=kernel, padding=draw(st.sampled_from(paddings)))]
        pooled = [layers, [*layers, pool((2, 1))]] if number and long else [layers]
        layers = draw(st.sampled_from(pooled))
        if draw(st.booleans()) and number == 0:
            layers = [
                ("ZeroPadding2D", {"padding": ((2, 0), (0, 0))}),
                conv(kernel=(3, 1), padding="valid"),
            ]
        _on_column(made, layers)
        made.add(*draw(st.sampled_from([[RELU], [BN, RELU], [RELU, ("Dropout", {})]])))
    made.add(*draw(st.sampled_from([[], [("Dense", {"units": 5}), RELU]])))
    if draw(st.booleans()):
        made.add(FLAT, DENSE)
    else:
        _on_column(made, [draw(st.sampled_from([GAP, ("GlobalMaxPooling2D", {})]))])
        made.add(DENSE)
    return made.graph


def _on_column(made, layers):
    """Add layers on a map between Reshapes from and to (steps, channels)."""
    rows, channels = made.graph.shapes[made.graph.output]
    made.add(("Reshape", {"target_shape": (rows, 1, channels)}), *layers)
    shape = made.graph.shapes[made.graph.output]
    if len(shape) == 3:
        made.add(("Reshape", {"target_shape": (shape[0], shape[2])}))


@st.composite
def swapped_axes(draw):
    """Draw layers on a map whose rows and columns are swapped, and perhaps back again."""
    made = draw(builders(sides=st.integers(6, 12), start=draw(st.booleans())))
    swap = ("Permute", {"dims": (2, 1, 3)})
    made.add(swap, conv(kernel=draw(st.sampled_from([3, (3, 5), (1, 3)]))), *draw(TAILS))
    if draw(st.booleans()):
        start = made.graph.output
        made.join("Add", made.add(depthwise((3, 1)), RELU, source=start), start)
    made.add(conv(strides=draw(st.sampled_from([1, 2]))), RELU)
    made.add(*draw(st.sampled_from([[], [swap]])))
    ends = [[FLAT, ("Dropout", {}), DENSE], [GAP, DENSE], [FLAT, BN, DENSE]]
    made.add(*draw(st.sampled_from(ends)))
    return made.graph


TAILS = st.sampled_from([[RELU], [BN, RELU], [pool(2, padding="same"), RELU], [SWISH]])


@st.composite
def moved_inputs(draw):
    """Draw images that a model reshapes, or whose channels come first."""
    rows, columns, channels = draw(SIDES), draw(SIDES), draw(st.sampled_from([1, 3]))
    flat = draw(st.booleans())
    shape = (rows * columns * channels,) if flat else (channels, rows, columns)
    made = Builder(shape, draw(st.sampled_from(["uint8", "float32"])), draw(st.integers(0, 99)))
    if draw(st.booleans()):
        made.add(("Rescaling", {"scale": 1 / 128, "offset": draw(st.sampled_from([0.0, -1.0]))}))
    if flat:
        made.add(("Reshape", {"target_shape": (rows, columns, channels)}))
        made.add(*draw(st.sampled_from([[], [("Permute", {"dims": (2, 1, 3)})]])))
    else:
        made.add(("Permute", {"dims": (2, 3, 1)}))
    made.add(conv(), RELU, *draw(st.sampled_from([[GAP], [FLAT]])), DENSE)
    return made.graph


@st.composite
def croppings(draw):
    made = draw(builders(sides=st.integers(7, 10)))
    sides = st.integers(0, 2)
    cropping = tuple((draw(sides), draw(sides)) for _ in range(2))
    made.add(*draw(st.sampled_from([[], [conv()], [conv(), BN, RELU]])))
    made.add(("Cropping2D", {"cropping": cropping}), conv(), RELU, FLAT, DENSE)
    return made.graph


@st.composite
def unsigned_vectors(draw):
    """Draw uint8 images that go to a Dense layer."""
    shape = draw(st.sampled_from([(20,), (4, 5), (4, 5, 1), (3, 4, 3)]))
    made = Builder(shape, "uint8", draw(st.integers(0, 99)))
    scales = (
        [1 / 128] if len(shape) < 3 else [1 / 128, tuple(1 / (n + 90) for n in range(shape[-1]))]
    )
    if draw(st.booleans()):
        offset = draw(st.sampled_from([0.0, -1.0]))
        made.add(("Rescaling", {"scale": draw(st.sampled_from(scales)), "offset": offset}))
    made.add(*([FLAT] if len(shape) > 1 else []), ("Dense", {"units": 6}), RELU, DENSE)
    return made.graph


@st.composite
def rectangles(draw):
    """Draw convolutions of all sizes up to 7x7, strides and paddings."""
    made = draw(builders(sides=st.integers(9, 12)))
    for _ in range(draw(st.integers(1, 2))):
        attrs = {"kernel": draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))}
        attrs["padding"] = draw(st.sampled_from(["same", "same", "valid"]))
        attrs["strides"] = draw(st.sampled_from([1, 1, 1, (2, 1), 2]))
        shape = made.graph.shapes[made.graph.output]
        if any(n < k for n, k in zip(shape, attrs["kernel"], strict=False)):
            attrs["padding"] = "same"
        made.add(draw(st.sampled_from([conv, depthwise]))(**attrs), RELU)
    made.add(*draw(st.sampled_from([[GAP], [conv(), RELU, FLAT]])), DENSE)
    return made.graph


KINDS = {
    "replace_cropping": croppings(),
    "shift_input": unsigned_vectors(),
    "square_windows": rectangles(),
    "sink_reshapes": steps(),
    "sink_permutes": swapped_axes(),
    "shape_input": moved_inputs(),
    "stride_by_selection": symmetric_paddings(),
    "enlarge_small_kernels": small_kernels(),
    "identity_before_tail": shared_tails(),
    "relu_after_max_pooling": bare_poolings(),
    "replace_upsampling": upsamplings(),
    "replace_global_max_pooling": global_maxima(),
    "cut_borders_in_dense": borders(),
    "select_after_pooling": odd_poolings(),
    "identity_after_input": bare_inputs(),
}
"""Transform to the models that it repairs."""
