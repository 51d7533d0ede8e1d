"""Put global average pooling into Akida 2.0's order: after the activation.

Akida 1.0 runs ``layer > pooling > (BN) > ReLU``, Akida 2.0 ``layer > (BN) > ReLU > pooling``.
Pooling and ReLU do not commute, so moving the pooling changes the model's outputs. But 2.0 also
runs a pooling without an activation, and an activation after any neural layer: an identity layer
between the two is exact. Pooling and BN commute exactly.
"""

from __future__ import annotations

import numpy as np

from pipeline.errors import ConfigError, IncompatibleModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.traits import NEURAL
from pipeline.messages.settings import setting
from pipeline.packages import require
from pipeline.transforms.gap.commutation import commutation_errors
from pipeline.transforms.gap.runs import find_runs, moved_members, obstacles
from pipeline.transforms.gap.tuning import RECALIBRATIONS, REFITTED, compensate
from pipeline.transforms.images import Images
from pipeline.transforms.rewrite import Rewrite
from simulator.akida_v2.limits import AVERAGE_PIXELS, CHANNELS
from simulator.refusal import Refusal

TRAINED = ("distill", "finetune")
STRATEGIES = ("exact", "relocate", *TRAINED)
MEASURED = 256
"""Number of images on which the commutation error is measured."""


def gap_after_relu(graph: Graph, options=None, images: Images | None = None) -> Rewrite:
    """Rewrite ``pooling > (BN) > activation`` (equivalent with the strategy ``exact``).

    ``exact``: ``layer > BN > pooling > identity > activation``. The identity is a Dense layer, or a
    1x1 Conv2D if the pooling keeps its dimensions; it has C x C weights for C channels. A BN moves
    before the pooling, where it folds into the layer; if the pooling does not directly follow a
    neural layer, the BN stays after the identity.

    The other strategies move the pooling: ``layer > BN > activation > pooling``. That is not
    equivalent. ``relocate`` recalibrates the layers around it without training
    (``gap.recalibrate``), ``distill`` then trains on the original model's outputs, ``finetune`` on
    labels; see `pipeline.transforms.gap.tuning`.

    Parameters
    ----------
    graph : Graph
    options : object with ``gap``, optional
        ``gap.strategy`` and the options of `pipeline.transforms.gap.tuning.compensate`. Default:
        exact.
    images : Images, optional
        Needed by every strategy except ``exact`` and ``relocate`` with ``recalibrate=none``.

    Raises
    ------
    IncompatibleModelError
        If Akida 2.0 cannot run the rewritten layers; names all of them.
    """
    gap = options.gap if options is not None else None
    _check_options(gap)
    strategy = gap.strategy if gap is not None else "exact"
    runs = find_runs(graph)
    refusals = [refusal for run in runs for refusal in _refusals(graph, run, strategy)]
    if refusals:
        raise IncompatibleModelError(graph.name, refusals, "apply the transform gap_after_relu")
    if not runs:
        return Rewrite(graph=graph, changed=())
    _check_packages(gap)
    new = graph
    for run in runs:
        new = (_exact if strategy == "exact" else _relocate)(new, run)
    details: dict = {"strategy": strategy}
    if images is not None:
        details["commutation_error"] = _commutation(graph, images.images[:MEASURED])
    if strategy in TRAINED or (strategy == "relocate" and gap.recalibrate != "none"):
        new, report = compensate(new, graph, runs, gap, images)
        details |= report
    return Rewrite(
        graph=new,
        changed=tuple(run.pooling for run in runs),
        equivalent=strategy == "exact",
        details=details,
    )


def _check_options(gap):
    choices = {"strategy": STRATEGIES}
    if gap is not None and gap.strategy != "exact":
        choices["recalibrate"] = RECALIBRATIONS
    for key, allowed in choices.items():
        found = getattr(gap, key) if gap is not None else allowed[0]
        if found not in allowed:
            raise ConfigError(
                f"{setting(f'transforms.gap.{key}')}: found '{found}'; allowed:"
                f" {', '.join(allowed)}"
            )


def _check_packages(gap):
    """Refuse what needs a package that is not installed, before anything is computed."""
    if gap is None or gap.strategy == "exact":
        return
    if gap.strategy in TRAINED:
        require("tensorflow", setting("transforms.gap.strategy", gap.strategy))
    if gap.recalibrate in REFITTED:
        require("scipy", setting("transforms.gap.recalibrate", gap.recalibrate))


def _refusals(graph, run, strategy):
    """Yield the refusals of the rewritten `run`."""
    height, width, channels = graph.shapes[graph.node(run.pooling).inputs[0]]
    if height * width > AVERAGE_PIXELS:
        yield Refusal(
            layers=(run.pooling,),
            found=f"averages a map of {height}x{width} = {height * width} pixels",
            allowed=f"at most {AVERAGE_PIXELS} on Akida 2.0",
            fix="pool or stride more before it",
            rule="gap_pixels",
        )
    if strategy == "exact" and channels > CHANNELS:
        yield Refusal(
            layers=(run.pooling,),
            found=f"{channels} channels into the identity layer after it",
            allowed=f"at most {CHANNELS}",
            fix=f"use {setting('transforms.gap.strategy', 'relocate')} or fewer channels",
            rule="gap_channels",
        )
    if strategy != "exact":
        yield from obstacles(graph, run)


def _commutation(graph, images) -> dict:
    """Return the errors of every pooling as JSON values."""
    return {
        name: {
            "mean": float(errors.mean()),
            "max": float(errors.max()),
            "channels": [round(float(error), 6) for error in errors],
        }
        for name, errors in commutation_errors(graph, images).items()
    }


def _exact(graph, run) -> Graph:
    pooling = graph.node(run.pooling)
    producer, channels = graph.producers(pooling)[0], graph.shapes[pooling.name][-1]
    moved = []
    first = graph.node(run.between[0]) if run.between else None
    foldable = producer.op in NEURAL and graph.sole_consumer(producer) is not None
    if first is not None and first.op == "BatchNormalization" and foldable:
        moved = [first.with_attrs(axis=-1)]
    name, eye = graph.part_name(pooling.name, "identity"), np.eye(channels, dtype=np.float32)
    if pooling.attrs["keepdims"]:
        attrs = {"filters": channels, "kernel_size": 1, "padding": "same", "use_bias": False}
        identity = make_node(name, "Conv2D", (pooling.name,), attrs, {"kernel": eye[None, None]})
    else:
        attrs = {"units": channels, "use_bias": False}
        identity = make_node(name, "Dense", (pooling.name,), attrs, {"kernel": eye})
    return _replace_run(graph, [*moved, pooling, identity], {node.name for node in moved})


def _relocate(graph, run) -> Graph:
    members = moved_members(graph, run)
    return _replace_run(graph, [*members, graph.node(run.pooling)], {node.name for node in members})


def _replace_run(graph, chain, removed) -> Graph:
    """Replace the pooling in `chain` by the chain; remove the nodes called `removed` elsewhere."""
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
    # Consumers of the pooling now read the chain's last node.
    nodes = []
    for node in shell.nodes:
        if node.name == pooling.name:
            nodes += linked
        else:
            inputs = (source if name == pooling.name else name for name in node.inputs)
            nodes.append(node.with_inputs(*inputs))
    return graph.with_nodes(nodes, source if shell.output == pooling.name else shell.output)
