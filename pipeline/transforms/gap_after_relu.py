"""Bring global average pooling into the order that Akida 2.0 wants: behind the activation.

Akida 1.0 runs ``layer > pooling > (BN) > ReLU``, Akida 2.0 ``layer > (BN) > ReLU > pooling``.
Pooling and ReLU do not commute, so moving the pooling changes what the model computes. But 2.0
also runs a pooling with *no* activation, and an activation behind any neural layer, hence the
exact way: an identity layer between the two. Pooling and BN commute exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ConfigError, IncompatibleModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.operations import NEURAL_OPS
from pipeline.transforms.rewrite import Rewrite

STRATEGIES = ("exact", "relocate")
MAX_CHANNELS = 2048
"""Channels of a fully connected or 1x1 layer on Akida 2.0."""
MAX_PIXELS = 144
"""Akida 2.0 averages maps of fewer pixels than this."""
ACTIVATIONS = ("ReLU", "LeakyReLU", "PReLU")
OUTPUT_FUNCTIONS = ("softmax", "sigmoid", "linear")
"""Activations that stay in software behind the last layer, so their place does not matter."""
TRANSPARENT = ("BatchNormalization", "Dropout", "Flatten", "Reshape")


def gap_after_relu(graph: Graph, options=None) -> Rewrite:
    """Rewrite ``pooling > (BN) > activation`` (equivalent with the strategy ``exact``).

    ``exact``: ``layer > BN > pooling > identity > activation``. The identity is a Dense layer,
    or a 1x1 Conv2D where the pooling keeps its dimensions; C x C weights for C channels. A BN
    moves before the pooling, where it can be folded into the layer; where the pooling does not
    follow a neural layer directly, the BN stays behind the identity.

    ``relocate``: ``layer > BN > activation > pooling``, all weights kept. Not equivalent: the
    model usually has to be tuned.

    Parameters
    ----------
    graph : Graph
    options : object with ``gap.strategy``, optional
        Default: exact.

    Raises
    ------
    IncompatibleModelError
        When Akida 2.0 could not run the rewritten layers; names all of them.
    """
    strategy = options.gap.strategy if options is not None else "exact"
    if strategy not in STRATEGIES:
        raise ConfigError(
            f"transforms.gap.strategy: found '{strategy}'; allowed: {', '.join(STRATEGIES)}"
        )
    runs = _find_runs(graph)
    reasons = [reason for run in runs for reason in _reasons(graph, run, strategy)]
    if reasons:
        raise IncompatibleModelError(graph.name, reasons, "apply the transform gap_after_relu")
    rewrite = {"exact": _exact, "relocate": _relocate}[strategy]
    new = graph
    for run in runs:
        new = rewrite(new, run)
    return Rewrite(
        graph=new,
        changed=tuple(run.pooling for run in runs),
        equivalent=strategy == "exact" or not runs,
    )


@dataclass(frozen=True)
class _Run:
    """Names of a pooling and of what follows it, up to the activation."""

    pooling: str
    between: tuple[str, ...]
    activation: str


def _find_runs(graph) -> list[_Run]:
    runs = []
    for node in graph.nodes:
        if node.op != "GlobalAveragePooling2D":
            continue
        between, follower = [], graph.sole_consumer(node)
        while follower is not None and follower.op in TRANSPARENT:
            between.append(follower.name)
            follower = graph.sole_consumer(follower)
        readers = graph.consumers(between[-1] if between else node)
        activations = [reader for reader in readers if _is_activation(graph, reader)]
        if activations:
            runs.append(_Run(node.name, tuple(between), activations[0].name))
    return runs


def _is_activation(graph, node):
    if node.op == "Activation":
        kind = node.attrs["activation"]
        return kind not in OUTPUT_FUNCTIONS or (kind == "sigmoid" and node.name != graph.output)
    return node.op in ACTIVATIONS


def _reasons(graph, run, strategy):
    """Yield why the rewritten `run` could not work."""
    height, width, channels = graph.shapes[graph.node(run.pooling).inputs[0]]
    if height * width >= MAX_PIXELS:
        yield (
            f"{run.pooling}: averages a map of {height}x{width} = {height * width} pixels;"
            f" Akida 2.0 allows fewer than {MAX_PIXELS}; pool or stride more before it"
        )
    if strategy == "exact" and channels > MAX_CHANNELS:
        yield (
            f"{run.pooling}: has {channels} channels; the identity layer behind it allows up to"
            f" {MAX_CHANNELS}; use transforms.gap.strategy=relocate or fewer channels"
        )
    if strategy == "relocate":
        before = run.between[-1] if run.between else run.pooling
        if graph.sole_consumer(before) is None:
            yield (
                f"{before}: is read by several layers, so that {run.activation} cannot move before"
                f" {run.pooling}; use transforms.gap.strategy=exact"
            )
        if any(graph.shapes[name][-1] != channels for name in run.between):
            yield (
                f"{run.pooling}: a layer before {run.activation} changes the {channels} channels,"
                " so that it cannot move; use transforms.gap.strategy=exact"
            )


def _exact(graph, run) -> Graph:
    pooling = graph.node(run.pooling)
    producer, channels = graph.producers(pooling)[0], graph.shapes[pooling.name][-1]
    moved = []
    first = graph.node(run.between[0]) if run.between else None
    foldable = producer.op in NEURAL_OPS and graph.sole_consumer(producer) is not None
    if first is not None and first.op == "BatchNormalization" and foldable:
        moved = [first.with_attrs(axis=-1)]
    name, eye = graph.fresh_name(f"{pooling.name}/identity"), np.eye(channels, dtype=np.float32)
    if pooling.attrs["keepdims"]:
        attrs = {"filters": channels, "kernel_size": 1, "padding": "same", "use_bias": False}
        identity = make_node(name, "Conv2D", (pooling.name,), attrs, {"kernel": eye[None, None]})
    else:
        attrs = {"units": channels, "use_bias": False}
        identity = make_node(name, "Dense", (pooling.name,), attrs, {"kernel": eye})
    return _replace_run(graph, [*moved, pooling, identity], {node.name for node in moved})


def _relocate(graph, run) -> Graph:
    pooling = graph.node(run.pooling)
    members = [graph.node(name) for name in (*run.between, run.activation)]
    members = [node for node in members if node.op not in ("Flatten", "Reshape")]
    return _replace_run(graph, [*map(_on_map, members), pooling], {node.name for node in members})


def _on_map(node: Node) -> Node:
    """Return the layer as it must be to work on a map instead of on a vector."""
    if node.op == "BatchNormalization":
        return node.with_attrs(axis=-1)
    if node.op == "PReLU":
        alpha = node.weights["alpha"].reshape(1, 1, -1)
        return node.with_attrs(shared_axes=(1, 2)).with_weights(alpha=alpha)
    return node


def _replace_run(graph, chain, removed) -> Graph:
    """Put `chain` in place of the pooling in it; remove the nodes called `removed` elsewhere."""
    pooling = next(node for node in chain if node.op == "GlobalAveragePooling2D")
    linked, source = [], pooling.inputs[0]
    for node in chain:
        linked.append(node.with_inputs(source))
        source = node.name

    def split(node):
        if node.name == pooling.name:
            return [node.with_inputs(node.inputs[0])]
        return [] if node.name in removed else None

    shell = graph.rewrite(split)
    # Readers of the pooling now read the chain's last node.
    nodes = []
    for node in shell.nodes:
        if node.name == pooling.name:
            nodes += linked
        else:
            inputs = (source if name == pooling.name else name for name in node.inputs)
            nodes.append(node.with_inputs(*inputs))
    return graph.with_nodes(nodes, source if shell.output == pooling.name else shell.output)
