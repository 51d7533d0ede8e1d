"""Find global average poolings before an activation, as in Akida 1.0's order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import KEEPS_VALUES, RESHAPES
from pipeline.messages.settings import setting
from simulator.refusal import Refusal

ACTIVATIONS = ("ReLU", "LeakyReLU", "PReLU")
OUTPUT_FUNCTIONS = ("softmax", "sigmoid", "linear")
"""Activations that software computes after the last layer, wherever the pooling is."""
TRANSPARENT = ("BatchNormalization", *KEEPS_VALUES)


@dataclass(frozen=True)
class Run:
    """Names of a pooling and of the layers after it, up to the activation."""

    pooling: str
    between: tuple[str, ...]
    activation: str

    @property
    def members(self) -> tuple[str, ...]:
        """The layers after the pooling, including the activation."""
        return (*self.between, self.activation)


def find_runs(graph: Graph) -> list[Run]:
    """Return every pooling with an activation after it, in the graph's order."""
    runs = []
    for node in graph.nodes:
        if node.op != "GlobalAveragePooling2D":
            continue
        between, follower = [], graph.sole_consumer(node)
        while follower is not None and follower.op in TRANSPARENT:
            between.append(follower.name)
            follower = graph.sole_consumer(follower)
        consumers = graph.consumers(between[-1] if between else node)
        activations = [consumer for consumer in consumers if _is_activation(graph, consumer)]
        if activations:
            runs.append(Run(node.name, tuple(between), activations[0].name))
    return runs


def _is_activation(graph, node):
    if node.op == "Activation":
        kind = node.attrs["activation"]
        return kind not in OUTPUT_FUNCTIONS or (kind == "sigmoid" and node.name != graph.output)
    return node.op in ACTIVATIONS


def obstacles(graph: Graph, run: Run) -> Iterator[Refusal]:
    """Yield why the activation of `run` cannot move before the pooling."""
    channels = graph.shapes[run.pooling][-1]
    before = run.between[-1] if run.between else run.pooling
    if graph.sole_consumer(before) is None:
        yield Refusal(
            layers=(before,),
            found=f"is read by several layers, so that {run.activation} cannot move before"
            f" {run.pooling}",
            fix=f"use {setting('transforms.gap.strategy', 'exact')}",
        )
    if any(graph.shapes[name][-1] != channels for name in run.between):
        yield Refusal(
            layers=(run.pooling,),
            found=f"a layer before {run.activation} changes the {channels} channels, so that it"
            " cannot move",
            fix=f"use {setting('transforms.gap.strategy', 'exact')}",
        )


def moved_members(graph: Graph, run: Run) -> list[Node]:
    """Return the layers of `run`, adapted to a map instead of a vector."""
    members = [graph.node(name) for name in run.members]
    return [_on_map(node) for node in members if node.op not in RESHAPES]


def _on_map(node: Node) -> Node:
    if node.op == "BatchNormalization":
        return node.with_attrs(axis=-1)
    if node.op == "PReLU":
        alpha = node.weights["alpha"].reshape(1, 1, -1)
        return node.with_attrs(shared_axes=(1, 2)).with_weights(alpha=alpha)
    return node
