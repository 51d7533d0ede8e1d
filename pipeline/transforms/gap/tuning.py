"""Compensate a moved pooling by measured statistics, refits, or further training."""

from __future__ import annotations

import numpy as np

from pipeline.errors import DataError, IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.logits import before_probabilities
from pipeline.messages.settings import setting
from pipeline.transforms.gap.activation_match import match_activation, matchable
from pipeline.transforms.gap.batchnorm_statistics import measure_batchnorms
from pipeline.transforms.gap.refit import is_linear, linear_layers, refit
from pipeline.transforms.gap.runs import Run
from pipeline.transforms.gap.shifted_images import ShiftedImages
from pipeline.transforms.gap.tail import tails, with_tail
from pipeline.transforms.images import Images
from simulator.refusal import Refusal

RECALIBRATIONS = ("none", "bn", "ridge", "bn_ridge")
REFITTED = ("ridge", "bn_ridge")


def compensate(
    graph: Graph, original: Graph, runs: list[Run], options, images: Images
) -> tuple[Graph, dict]:
    """Return the relocated `graph`, tuned to the outputs of `original`, and a report.

    First comes the recalibration, without labels and without training: ``bn`` recalibrates the
    moved batch norms and those after them; ``ridge`` refits the linear layers after the pooling,
    one by one, to their outputs in `original`; ``bn_ridge`` recalibrates the moved batch norms,
    chooses their scales and shifts so that averages of activations correlate with activations of
    averages, then refits. Refits also use every image shifted by a pixel, and include rounding to 8
    bits. The strategies ``distill`` and ``finetune`` then train, with batch norms in inference
    mode.

    Parameters
    ----------
    graph, original : Graph
        Models after and before the move of the pooling.
    runs : list of Run
        The moved poolings.
    options : object with ``strategy``, ``recalibrate``, ``samples``, ``seed`` and, for training,
        ``epochs, batch_size, optimizer, learning_rate, schedule, temperature``
    images : Images

    Raises
    ------
    DataError
        If the strategy needs labels and there are none.
    IncompatibleModelError
        If there is no linear layer to refit.
    """
    samples = images.drawn(options.samples, options.seed)
    report: dict = {"recalibrate": options.recalibrate, "samples": len(samples)}
    more = ShiftedImages(samples)
    if options.recalibrate != "none":
        source = original.node(runs[0].pooling).inputs[0]
        wanted = more if options.recalibrate in REFITTED else samples
        with tails((graph, original), source, wanted) as ((part, reference), inputs):
            plain = inputs[:: len(inputs) // len(samples)]
            part, found = _recalibrate(part, reference, runs, options.recalibrate, plain, inputs)
            graph, report = with_tail(graph, part), report | found
    if options.strategy == "distill":
        graph, report["loss"] = _distill(graph, original, options, more, images.progress)
    if options.strategy == "finetune":
        graph, report["loss"] = _finetune(graph, options, images)
    return graph, report


def _recalibrate(graph, original, runs, kind, images, more) -> tuple[Graph, dict]:
    """Return `graph` recalibrated on images, refitted on more of them, and a report."""
    report: dict = {}
    if kind in ("bn", "bn_ridge"):
        report["measured"] = _batchnorms(graph, runs, later=kind == "bn")
        graph = measure_batchnorms(graph, report["measured"], images)
    if kind == "bn_ridge":
        report["matched"] = {}
        for run in runs:
            if matchable(original, run):
                graph, found = match_activation(graph, original, run, images)
                report["matched"][run.activation] = found
    if kind in REFITTED:
        graph, report["refitted"] = _refit_all(graph, original, runs, more)
    return graph, report


def _batchnorms(graph, runs, *, later):
    """Return the batch norms in `runs`, and with `later` those after them."""
    names = {name for run in runs for name in run.between}
    reached = graph.downstream(names) if later else names
    return [n.name for n in graph.nodes if n.op == "BatchNormalization" and n.name in reached]


def _refit_all(graph, original, runs, samples):
    layers = {run.pooling: linear_layers(graph, run.pooling) for run in runs}
    refusals = [
        Refusal(
            layers=(name,),
            found="no Dense, Conv2D or SeparableConv2D layer follows on every path, which could be"
            " refitted",
            fix=f"use {setting('transforms.gap.strategy', 'exact')}, or"
            f" {setting('transforms.gap.recalibrate', 'bn')}",
            rule="refitted_layer",
        )
        for name, found in layers.items()
        if not found
    ]
    if refusals:
        raise IncompatibleModelError(graph.name, refusals, "recalibrate the moved pooling")
    report = {}
    for name in _linear_after(graph, [run.pooling for run in runs]):
        graph, report[name] = refit(graph, original, name, samples)
    return graph, report


def _linear_after(graph, poolings) -> list[str]:
    reached = graph.downstream(poolings)
    return [node.name for node in graph.nodes if node.name in reached and is_linear(node)]


def _distill(graph, original, options, samples, progress):
    """Train on the outputs of the original model."""
    from pipeline.training.train import tune

    targets = forward(before_probabilities(original), samples)
    tuned, history = tune(graph, samples, targets, options, seed=options.seed, progress=progress)
    return tuned, history["loss"]


def _finetune(graph, options, images):
    """Train on labels."""
    from pipeline.training.train import tune

    if images.labels is None:
        raise DataError(
            f"{setting('transforms.gap.strategy')}: found finetune, but the images have no labels;"
            " use distill or relocate, which need none"
        )
    labels = np.asarray(images.labels)
    tuned, history = tune(
        graph, images.images, labels, options, seed=options.seed, progress=images.progress
    )
    return tuned, history["loss"]
