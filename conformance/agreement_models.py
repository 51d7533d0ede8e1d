"""Random float models that break the rules and limits of both chips, and that keep them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.operations import OPERATIONS

Layer = tuple[str, dict[str, Any]]
KERNELS = (1, 3, 3, 3, 5, 7, 2, 4, (1, 3), (3, 2))
LARGEST = 1 << 22
"""Multiply-accumulates of a model, about; larger ones take long and find nothing more."""


def random_model(seed: int, target: str) -> Graph:
    """Return a chain of random layers, sometimes with a join; the seed decides all of it.

    More than half of the models are what the chip's converter takes, within its limits or beyond;
    the others break its rules as well.

    Parameters
    ----------
    seed : int
    target : str
        Chip whose kind of models is drawn.
    """
    rng = np.random.default_rng([seed, len(target), ord(target[-1])])
    tame = rng.random() < 0.6
    shape = _shape(rng)
    dtype = "uint8" if tame else _one(rng, "uint8", "uint8", "int8", "float32", "uint16")
    if tame and target != "akida_v1" and rng.random() < 0.3:
        dtype = _one(rng, "int8", "int16", "float32")
    graph = Graph("m", [make_node("input", "Input", (), {"shape": shape, "dtype": dtype})], "input")
    for draw in _draws(rng, target, shape, tame):
        rank = len(graph.shapes[graph.output])
        layers = draw or (_usual if tame else _layers)(rng, target, rank)
        # What does not fit is left out with what follows it.
        for layer in layers:
            longer = _longer(graph, layer, rng)
            if longer is None:
                break
            graph = longer
    rank = len(graph.shapes[graph.output])
    if rank == 3 and rng.random() < 0.5:
        graph = _longer(graph, ("Flatten", {}), rng) or graph
    if len(graph.shapes[graph.output]) < 3 and (tame or rng.random() < 0.8):
        learned = {"units": 3, "use_bias": _one(rng, True, True, False)}
        graph = _longer(graph, ("Dense", learned), rng) or graph
    return graph


def _draws(rng, target, shape, tame) -> list[list[Layer] | None]:
    """Return what begins a model, and None for every further draw."""
    draws: list[list[Layer] | None] = [None] * int(rng.integers(1, 5 if tame else 7))
    if tame or rng.random() < 0.8:
        draws.insert(0, _start(rng, target, shape))
    if rng.random() < 0.5:
        plain = {"scale": 1 / 255, "offset": _one(rng, 0.0, 0.0, -0.5)}
        draws.insert(0, [("Rescaling", plain) if tame else _rescaling(rng)])
    return draws if rng.random() < 0.94 else [[_relu(rng)]]


def _usual(rng, target: str, rank: int) -> list[Layer]:
    """Return a layer with a tail that the chip's converter takes."""
    if rank != 3:
        return [("Dense", {"units": 4}), _relu(rng)]
    one = target == "akida_v1"
    op = _one(rng, "Conv2D", "Conv2D", "SeparableConv2D" if one else "DepthwiseConv2D", "last")
    if not one and rng.random() < 0.15:
        op = _one(rng, "Conv2DTranspose", "BufferTempConv")
    if op == "last":
        return [("Flatten", {}), ("Dense", {"units": 4}), _relu(rng)]
    if op == "BufferTempConv":
        return [(op, {"filters": 3, "fifo_size": _one(rng, 1, 2, 10, 11)}), _relu(rng)]
    attrs = _window(rng)
    if op != "DepthwiseConv2D":
        attrs["filters"] = 4
    if op == "Conv2DTranspose":
        return [(op, attrs | {"strides": _one(rng, 1, 2, 2), "padding": "same"}), _relu(rng)]
    average: Layer = ("GlobalAveragePooling2D", {"keepdims": _one(rng, False, True)})
    pool = ("MaxPooling2D", _max_pool(rng)[1] | {"padding": attrs["padding"]})
    tails = [[_relu(rng)], [_relu(rng)], [_relu(rng)], [pool, _relu(rng)], [_relu(rng), pool]]
    tails.append([average, _relu(rng)] if one else [_relu(rng), average])
    if not one:
        table = ("Activation", {"activation": _one(rng, "swish", "gelu")})
        tails += [[table], [pool, table], [], [pool]]
    return [(op, attrs), *tails[rng.integers(len(tails))]]


def _one(rng, *values):
    return values[rng.integers(len(values))]


def _shape(rng):
    """Return the shape of images: mostly small, sometimes at a limit of a chip."""
    side = int(rng.integers(1, 14))
    usual = (side, _one(rng, side, side, int(rng.integers(1, 14))), _one(rng, 1, 3, 3, 2, 8))
    rare = [
        *((5, 256, 1), (5, 257, 1), (4, 9, 1), (257, 5, 1), (5, 384, 1), (5, 385, 1), (385, 5, 1)),
        *((12, 12, 3), (12, 13, 3), (16, 16, 3), (17, 16, 1), (33, 3, 1), (3, 33, 3), (34, 34, 1)),
        *((70, 2, 1), (2, 70, 3), (70, 6, 3), (4097, 1, 2)),
        *((4, 4, 2048), (4, 4, 2049), (2049,), (57335,)),
    ]
    return rare[rng.integers(len(rare))] if rng.random() < 0.2 else usual


def _rescaling(rng) -> Layer:
    scale = _one(rng, 1 / 255, 1 / 255, 1 / 127.5, -1 / 255, (0.1, 0.2, 0.3))
    return "Rescaling", {"scale": scale, "offset": _one(rng, 0.0, 0.0, -1.0, 0.5, 1.0)}


def _window(rng):
    return {
        "kernel_size": _one(rng, *KERNELS),
        "padding": _one(rng, "same", "same", "same", "valid"),
        "strides": _one(rng, 1, 1, 1, 2, 3, (1, 2)),
    }


def _start(rng, target, shape) -> list[Layer]:
    if len(shape) < 3:
        return [("Dense", {"units": 3}), _relu(rng)]
    window = _window(rng)
    layers = [
        ("Conv2D", {"filters": _one(rng, 2, 4, 4, 4, 33, 97, 193, 513), **window}),
        _relu(rng),
    ]
    if rng.random() < 0.3:
        pool = _max_pool(rng)[1] | {"padding": window["padding"]}
        layers.insert(rng.integers(1, 3), ("MaxPooling2D", pool))
    return layers


def _relu(rng) -> Layer:
    return "ReLU", {"max_value": _one(rng, 6.0, 6.0, 6.0, 1.0, None)}


def _max_pool(rng) -> Layer:
    size = _one(rng, 2, 2, 3, (2, 1), (1, 2))
    padding = _one(rng, "same", "valid")
    return "MaxPooling2D", {"pool_size": size, "strides": _one(rng, None, 1, 2), "padding": padding}


def _layers(rng, target: str, rank: int) -> list[Layer]:
    """Return one layer, or a layer with what usually follows it."""
    if rank != 3:
        return _vector(rng)
    separable = "SeparableConv2D" if target == "akida_v1" else "DepthwiseConv2D"
    op = _one(rng, "Conv2D", "Conv2D", separable, "DepthwiseConv2D", "Conv2DTranspose", "other")
    if op == "other":
        return [_other(rng)]
    attrs = _window(rng)
    if op != "DepthwiseConv2D":
        attrs["filters"] = 4
    if rng.random() < 0.1 and op != "Conv2DTranspose":
        attrs |= {"strides": 1, "dilation_rate": 2}
    if rng.random() < 0.05 and op == "Conv2D":
        attrs["groups"] = 2
    layers: list[Layer] = [(op, attrs)]
    average = ("GlobalAveragePooling2D", {"keepdims": _one(rng, False, True)})
    tails: list[list[Layer]] = [
        [_relu(rng)],
        [_relu(rng)],
        [_max_pool(rng), _relu(rng)],
        [_relu(rng), _max_pool(rng)],
        [_relu(rng), average],
        [average, _relu(rng)],
        [("BatchNormalization", {}), _relu(rng)],
        [("Activation", {"activation": _one(rng, "swish", "gelu", "tanh", "linear")})],
        [_max_pool(rng), ("Activation", {"activation": "swish"})],
        [_max_pool(rng)],
        [],
    ]
    return layers + tails[rng.integers(len(tails))]


def _vector(rng) -> list[Layer]:
    reshape = ("Reshape", {"target_shape": (1, 1, -1)})
    separable = ("SeparableConv2D", {"filters": 3, "kernel_size": 3, "padding": "same"})
    return _one(
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


def _other(rng) -> Layer:
    return _one(
        rng,
        _relu(rng),
        _max_pool(rng),
        ("BatchNormalization", {}),
        ("GlobalAveragePooling2D", {}),
        ("AveragePooling2D", {"pool_size": _one(rng, 2, 3)}),
        ("Flatten", {}),
        ("Dense", {"units": 4}),
        ("UpSampling2D", {"size": _one(rng, 2, 4, 3)}),
        ("GlobalMaxPooling2D", {"keepdims": _one(rng, False, True)}),
        ("ZeroPadding2D", {"padding": ((1, 1), (1, 1))}),
        ("BufferTempConv", {"filters": 3, "fifo_size": _one(rng, 1, 2, 10, 11)}),
        ("Dropout", {}),
        ("LeakyReLU", {}),
        ("Reshape", {"target_shape": (-1, 1, 4)}),
        ("add", {}),
        ("shortcut", {}),
        ("shortcut", {}),
        ("concatenate", {"axis": _one(rng, -1, 1)}),
    )


def _shortcut(graph: Graph, rng) -> Graph | None:
    """Return a graph with two branches that halve the map and are added, as Xception has them."""
    if len(graph.shapes[graph.output]) != 3:
        return None
    start, pool = graph.output, {"pool_size": _one(rng, 2, 3), "strides": 2, "padding": "same"}
    first: list[Layer] = [_relu(rng)] * int(rng.integers(2))
    first += [("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same"})]
    first += [_relu(rng)] * int(rng.integers(2)) + [("MaxPooling2D", pool)]
    second: Layer = ("Conv2D", {"filters": 4, "kernel_size": 1, "strides": 2})
    for layer in first:
        graph = _longer(graph, layer, rng) or graph
    branch = graph.output
    side = _longer(graph.with_nodes(graph.nodes, start), second, rng)
    if side is None or side.shapes[side.output] != side.shapes[branch]:
        return None
    join = make_node(f"n{len(side.nodes)}", "Add", [branch, side.output])
    return side.with_nodes([*side.nodes, join], join.name)


def _longer(graph: Graph, layer: Layer, rng) -> Graph | None:
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
        longer = Graph("m", [*graph.nodes, node.with_weights(**weights)], name)
        size = int(np.prod(longer.shapes[name]))
    except ModelError:
        return None
    cost = max((value.size for value in weights.values()), default=1) * max(1, size // 8)
    return longer if 0 < size < 1 << 16 and cost < LARGEST else None


def _weights(rng, key: str, size) -> np.ndarray:
    if key in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, size).astype(np.float32)
    return (rng.normal(size=size) / np.sqrt(max(np.prod(size[:-1]), 1))).astype(np.float32)
