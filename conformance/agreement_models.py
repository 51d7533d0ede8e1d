"""Random float models, both within and beyond the rules and limits of both chips."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.operations import OPERATIONS

Layer = tuple[str, dict[str, Any]]
KERNELS = (1, 3, 3, 3, 5, 7, 2, 4, (1, 3), (3, 2))
MAX_MACS = 1 << 22
"""Approximate bound on multiply-accumulates of a model; larger models only take longer."""


def random_model(seed: int, target: str) -> Graph:
    """Return a chain of random layers, sometimes with a join, determined by the seed.

    More than half of the models follow the rules of the chip's converter, within its limits or
    not; the others may break its rules too.

    Parameters
    ----------
    seed : int
    target : str
        Chip for which the model is drawn.
    """
    rng = np.random.default_rng([seed, len(target), ord(target[-1])])
    convertible = rng.random() < 0.6
    shape = _shape(rng)
    dtype = "uint8" if convertible else _pick(rng, "uint8", "uint8", "int8", "float32", "uint16")
    if convertible and target != "akida_v1" and rng.random() < 0.3:
        dtype = _pick(rng, "int8", "int16", "float32")
    graph = Graph("m", [make_node("input", "Input", (), {"shape": shape, "dtype": dtype})], "input")
    for draw in _draws(rng, target, shape, convertible):
        rank = len(graph.shapes[graph.output])
        layers = draw or (_convertible_layers if convertible else _any_layers)(rng, target, rank)
        # A layer that does not fit is dropped with those after it.
        for layer in layers:
            extended = _extended(graph, layer, rng)
            if extended is None:
                break
            graph = extended
    rank = len(graph.shapes[graph.output])
    if rank == 3 and rng.random() < 0.5:
        graph = _extended(graph, ("Flatten", {}), rng) or graph
    if len(graph.shapes[graph.output]) < 3 and (convertible or rng.random() < 0.8):
        learned = {"units": 3, "use_bias": _pick(rng, True, True, False)}
        graph = _extended(graph, ("Dense", learned), rng) or graph
    return graph


def _draws(rng, target, shape, convertible) -> list[list[Layer] | None]:
    """Return the first layers of a model, and None for every further draw."""
    draws: list[list[Layer] | None] = [None] * int(rng.integers(1, 5 if convertible else 7))
    if convertible or rng.random() < 0.8:
        draws.insert(0, _first_layers(rng, target, shape))
    if rng.random() < 0.5:
        plain = {"scale": 1 / 255, "offset": _pick(rng, 0.0, 0.0, -0.5)}
        draws.insert(0, [("Rescaling", plain) if convertible else _rescaling(rng)])
    return draws if rng.random() < 0.94 else [[_relu(rng)]]


def _convertible_layers(rng, target: str, rank: int) -> list[Layer]:
    """Return a layer with a tail that the chip's converter takes."""
    if rank != 3:
        return [("Dense", {"units": 4}), _relu(rng)]
    one = target == "akida_v1"
    op = _pick(rng, "Conv2D", "Conv2D", "SeparableConv2D" if one else "DepthwiseConv2D", "last")
    if not one and rng.random() < 0.15:
        op = _pick(rng, "Conv2DTranspose", "BufferTempConv")
    if op == "last":
        return [("Flatten", {}), ("Dense", {"units": 4}), _relu(rng)]
    if op == "BufferTempConv":
        return [(op, {"filters": 3, "fifo_size": _pick(rng, 1, 2, 10, 11)}), _relu(rng)]
    attrs = _window(rng)
    if op != "DepthwiseConv2D":
        attrs["filters"] = 4
    if op == "Conv2DTranspose":
        return [(op, attrs | {"strides": _pick(rng, 1, 2, 2), "padding": "same"}), _relu(rng)]
    average: Layer = ("GlobalAveragePooling2D", {"keepdims": _pick(rng, False, True)})
    pool = ("MaxPooling2D", _max_pool(rng)[1] | {"padding": attrs["padding"]})
    tails = [[_relu(rng)], [_relu(rng)], [_relu(rng)], [pool, _relu(rng)], [_relu(rng), pool]]
    tails.append([average, _relu(rng)] if one else [_relu(rng), average])
    if not one:
        table = ("Activation", {"activation": _pick(rng, "swish", "gelu")})
        tails += [[table], [pool, table], [], [pool]]
    return [(op, attrs), *tails[rng.integers(len(tails))]]


def _pick(rng, *values):
    return values[rng.integers(len(values))]


def _shape(rng):
    """Return the shape of images: mostly small, sometimes at a limit of a chip."""
    side = int(rng.integers(1, 14))
    usual = (side, _pick(rng, side, side, int(rng.integers(1, 14))), _pick(rng, 1, 3, 3, 2, 8))
    rare = [
        *((5, 256, 1), (5, 257, 1), (4, 9, 1), (257, 5, 1), (5, 384, 1), (5, 385, 1), (385, 5, 1)),
        *((12, 12, 3), (12, 13, 3), (16, 16, 3), (17, 16, 1), (33, 3, 1), (3, 33, 3), (34, 34, 1)),
        *((70, 2, 1), (2, 70, 3), (70, 6, 3), (4097, 1, 2)),
        *((4, 4, 2048), (4, 4, 2049), (2049,), (57335,)),
    ]
    return rare[rng.integers(len(rare))] if rng.random() < 0.2 else usual


def _rescaling(rng) -> Layer:
    scale = _pick(rng, 1 / 255, 1 / 255, 1 / 127.5, -1 / 255, (0.1, 0.2, 0.3))
    return "Rescaling", {"scale": scale, "offset": _pick(rng, 0.0, 0.0, -1.0, 0.5, 1.0)}


def _window(rng):
    return {
        "kernel_size": _pick(rng, *KERNELS),
        "padding": _pick(rng, "same", "same", "same", "valid"),
        "strides": _pick(rng, 1, 1, 1, 2, 3, (1, 2)),
    }


def _first_layers(rng, target, shape) -> list[Layer]:
    if len(shape) < 3:
        return [("Dense", {"units": 3}), _relu(rng)]
    window = _window(rng)
    layers = [
        ("Conv2D", {"filters": _pick(rng, 2, 4, 4, 4, 33, 97, 193, 513), **window}),
        _relu(rng),
    ]
    if rng.random() < 0.3:
        pool = _max_pool(rng)[1] | {"padding": window["padding"]}
        layers.insert(rng.integers(1, 3), ("MaxPooling2D", pool))
    return layers


def _relu(rng) -> Layer:
    return "ReLU", {"max_value": _pick(rng, 6.0, 6.0, 6.0, 1.0, None)}


def _max_pool(rng) -> Layer:
    size = _pick(rng, 2, 2, 3, (2, 1), (1, 2))
    padding = _pick(rng, "same", "valid")
    return "MaxPooling2D", {
        "pool_size": size,
        "strides": _pick(rng, None, 1, 2),
        "padding": padding,
    }


def _any_layers(rng, target: str, rank: int) -> list[Layer]:
    """Return one layer, or a layer with its usual tail."""
    if rank != 3:
        return _vector(rng)
    separable = "SeparableConv2D" if target == "akida_v1" else "DepthwiseConv2D"
    op = _pick(rng, "Conv2D", "Conv2D", separable, "DepthwiseConv2D", "Conv2DTranspose", "other")
    if op == "other":
        return [_other_layer(rng)]
    attrs = _window(rng)
    if op != "DepthwiseConv2D":
        attrs["filters"] = 4
    if rng.random() < 0.1 and op != "Conv2DTranspose":
        attrs |= {"strides": 1, "dilation_rate": 2}
    if rng.random() < 0.05 and op == "Conv2D":
        attrs["groups"] = 2
    layers: list[Layer] = [(op, attrs)]
    average = ("GlobalAveragePooling2D", {"keepdims": _pick(rng, False, True)})
    tails: list[list[Layer]] = [
        [_relu(rng)],
        [_relu(rng)],
        [_max_pool(rng), _relu(rng)],
        [_relu(rng), _max_pool(rng)],
        [_relu(rng), average],
        [average, _relu(rng)],
        [("BatchNormalization", {}), _relu(rng)],
        [("Activation", {"activation": _pick(rng, "swish", "gelu", "tanh", "linear")})],
        [_max_pool(rng), ("Activation", {"activation": "swish"})],
        [_max_pool(rng)],
        [],
    ]
    return layers + tails[rng.integers(len(tails))]


def _vector(rng) -> list[Layer]:
    reshape = ("Reshape", {"target_shape": (1, 1, -1)})
    separable = ("SeparableConv2D", {"filters": 3, "kernel_size": 3, "padding": "same"})
    return _pick(
        rng,
        [("Dense", {"units": 4}), _relu(rng)],
        [("Dense", {"units": 4, "use_bias": False})],
        [_relu(rng)],
        [("BatchNormalization", {})],
        [("Dropout", {})],
        [("Softmax", {})],
        [reshape, ("Conv2D", {"filters": 3, "kernel_size": 1}), _relu(rng)],
        [reshape, separable, _relu(rng)],
    )


def _other_layer(rng) -> Layer:
    return _pick(
        rng,
        _relu(rng),
        _max_pool(rng),
        ("BatchNormalization", {}),
        ("GlobalAveragePooling2D", {}),
        ("AveragePooling2D", {"pool_size": _pick(rng, 2, 3)}),
        ("Flatten", {}),
        ("Dense", {"units": 4}),
        ("UpSampling2D", {"size": _pick(rng, 2, 4, 3)}),
        ("GlobalMaxPooling2D", {"keepdims": _pick(rng, False, True)}),
        ("ZeroPadding2D", {"padding": ((1, 1), (1, 1))}),
        ("BufferTempConv", {"filters": 3, "fifo_size": _pick(rng, 1, 2, 10, 11)}),
        ("Dropout", {}),
        ("LeakyReLU", {}),
        ("Permute", {"dims": (2, 1, 3)}),
        ("Cropping2D", {"cropping": ((1, 0), (0, 1))}),
        ("Reshape", {"target_shape": (-1, 1, 4)}),
        ("add", {}),
        ("shortcut", {}),
        ("shortcut", {}),
        ("concatenate", {"axis": _pick(rng, -1, 1)}),
    )


def _shortcut(graph: Graph, rng) -> Graph | None:
    """Return a graph with two branches that halve the map and are added, as Xception has them."""
    if len(graph.shapes[graph.output]) != 3:
        return None
    start, pool = graph.output, {"pool_size": _pick(rng, 2, 3), "strides": 2, "padding": "same"}
    first: list[Layer] = [_relu(rng)] * int(rng.integers(2))
    first += [("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same"})]
    first += [_relu(rng)] * int(rng.integers(2)) + [("MaxPooling2D", pool)]
    second: Layer = ("Conv2D", {"filters": 4, "kernel_size": 1, "strides": 2})
    for layer in first:
        graph = _extended(graph, layer, rng) or graph
    branch = graph.output
    side = _extended(graph.with_nodes(graph.nodes, start), second, rng)
    if side is None or side.shapes[side.output] != side.shapes[branch]:
        return None
    join = make_node(f"n{len(side.nodes)}", "Add", [branch, side.output])
    return side.with_nodes([*side.nodes, join], join.name)


def _extended(graph: Graph, layer: Layer, rng) -> Graph | None:
    """Return a graph with one more layer; None where it does not fit or makes the model large."""
    op, attrs = layer
    if op == "shortcut":
        return _shortcut(graph, rng)
    name, inputs = f"n{len(graph.nodes)}", [graph.output]
    if op in ("add", "concatenate"):
        shape = graph.shapes[graph.output]
        same = [node.name for node in graph.nodes[1:-1] if graph.shapes[node.name] == shape]
        if not same:
            return None
        op, inputs = op.capitalize(), [same[rng.integers(len(same))], graph.output]
    try:
        node = make_node(name, op, inputs, attrs)
        shapes = OPERATIONS[op].weights(node.attrs, graph.shapes[graph.output])
        weights = {key: _weights(rng, key, size) for key, size in shapes.items()}
        extended = Graph("m", [*graph.nodes, node.with_weights(**weights)], name)
        size = int(np.prod(extended.shapes[name]))
    except ModelError:
        return None
    cost = max((value.size for value in weights.values()), default=1) * max(1, size // 8)
    return extended if 0 < size < 1 << 16 and cost < MAX_MACS else None


def _weights(rng, key: str, size) -> np.ndarray:
    if key in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, size).astype(np.float32)
    return (rng.normal(size=size) / np.sqrt(max(np.prod(size[:-1]), 1))).astype(np.float32)
