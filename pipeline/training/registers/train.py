"""Train the registers of an integer model, and keep what held-out images say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from pipeline.chips import convert
from pipeline.data import Images, choose
from pipeline.errors import ConfigError, IncompatibleModelError, ModelError
from pipeline.graph.graph import Graph
from pipeline.graph.logits import final_activation
from pipeline.graph.traits import TEMPORAL
from pipeline.messages.notes import TRAINED, WARNING, Note
from pipeline.messages.settings import setting
from pipeline.preparation.head import cut_head
from pipeline.progress import Progress
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.refine.integer_forward import run_node, run_nodes
from pipeline.quantization.refine.refinement import FEWEST, HELD_OUT
from pipeline.quantization.samples import check_samples
from pipeline.quiet_tensorflow import quiet_tensorflow
from pipeline.training.losses import fit_targets
from simulator import ProgramError, simulate

FEW = 1000
"""Images below which a user should add some: hundreds are memorised."""
STEPS, EPOCHS = 1200, (5, 40)
"""Steps that a training takes where its epochs are not given, and their range then."""
MOST_HELD_OUT = 1000
"""Images that are held out at most: more would not judge a loss much better."""
CHECKED = 256
"""Held-out images on which the training graph is compared with the emulator."""

History = dict[str, list[float]]
NOT_TRAINED: History = {"loss": [], "held_out_loss": []}


def train_registers(
    graph: Graph,
    quantized: QuantizedGraph,
    images: Images,
    labels: np.ndarray | None,
    options: Any,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    epoch_done: Progress = lambda epoch, epochs, metrics: None,
) -> tuple[QuantizedGraph, History]:
    """Return an integer model whose registers are trained, and the history of the training.

    Parameters
    ----------
    graph : Graph
        The float model that was quantized: the teacher.
    quantized : QuantizedGraph
        The start, best a refined one.
    images : array or StoredImages of shape (n, *input shape)
        Training images; the last fifth is held out, at most 1,000.
    labels : array of shape (n,), or of the model's output, or None
        Trained on if ``options.train`` is ``labels``. Their type also decides whether outputs are
        classes or numbers.
    options : Quantization
        ``train``, ``training`` and ``calibration.seed``.
    progress : function of (steps done, steps in all), optional
    epoch_done : function of (epoch, epochs, metrics), optional

    Returns
    -------
    QuantizedGraph
        With a note; `quantized` but for that, where training did not help.
    dict of str to list of float
        ``loss`` and ``held_out_loss`` of each epoch; empty where the model cannot be trained.

    Raises
    ------
    ConfigError, DataError
        If labels are asked for and missing, or images or labels do not fit the model.
    IncompatibleModelError
        If a model of scheme ``cnn2snn`` cannot be converted to Akida 1.0.
    """
    if options.train == "labels" and labels is None:
        raise ConfigError(f"{setting('quantization.train')}: found labels, but there are none")
    if obstacle := _obstacle(quantized, len(images)):
        return _noted(quantized, f"not trained: {obstacle}"), NOT_TRAINED
    images = check_samples(graph, images, f"training images of {graph.name}")
    with quiet_tensorflow():
        import tensorflow as tf
    from pipeline.training.registers.course import Course, Lessons
    from pipeline.training.registers.figures import figures

    tf.config.experimental.enable_op_determinism()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    teacher = cut_head(graph)[0]
    labels = _targets(teacher, images, labels)
    goal, wanted = _goal(graph, teacher, images, labels, options)
    count = len(images) - min(max(len(images) // HELD_OUT, 2), MOST_HELD_OUT)
    lessons, held = (
        Lessons(choose(images, part), wanted[part], labels[part])
        for part in (slice(count), slice(count, None))
    )
    course = Course(_model(quantized), goal, partial(_entered, quantized))
    before = figures(course, held)
    epochs = options.training.epochs or _epochs(count, options.training.batch_size)
    course.run(lessons, held, epochs, options, progress, epoch_done)
    found = course.model.exported()
    outgrown = exceeds_registers(found, quantized)
    if not outgrown:
        _check_agreement(course, found, held.images[:CHECKED])
    after = figures(course, held)
    on = f"{goal.name} on {len(held.images):,} held-out images"
    if after.loss >= before.loss:
        best = min(course.history["held_out_loss"])
        text = f"not trained, which would not help; {on}: {before.loss:.4f} -> {best:.4f}"
        return _noted(quantized, text), course.history
    if outgrown:
        text = "not trained: registers would outgrow Akida 1.0; lower"
        text += f" {setting('quantization.training.learning_rate')}"
        return _noted(quantized, text), course.history
    text = f"trained on {count:,} images for {epochs} epochs; {on}: {before} -> {after}"
    found = _noted(found, text)
    if len(images) < FEW:
        text = f"trained and judged on only {len(images)} images; give {FEW:,} or more"
        found = _noted(found, text, level=WARNING)
    return found, course.history


def graph_outputs(quantized: QuantizedGraph, images: Images) -> np.ndarray:
    """Return the outputs of the training graph of an integer model, as TensorFlow computes them."""
    with quiet_tensorflow():
        import tensorflow as tf
    model, starts = _model(quantized), range(0, len(images), CHECKED)
    parts = (_entered(quantized, images[n : n + CHECKED]) for n in starts)
    return np.concatenate([model.outputs(tf.constant(x, tf.float32)).numpy() for x in parts])


def _obstacle(quantized: QuantizedGraph, images: int) -> str | None:
    """Return why a model cannot be trained."""
    if images < FEWEST:
        return f"found {images} images; it takes at least {FEWEST}"
    temporal = [node for node in quantized.nodes if node.op in TEMPORAL]
    return f"{temporal[0].name} ({temporal[0].op}) remembers past images" if temporal else None


def _goal(graph, teacher, images, labels, options):
    """Return what to aim at, and the float model's outputs for all images."""
    from pipeline.training.registers.goal import VALUES, Goal, kind_of_outputs
    from pipeline.training.registers.teacher import teacher_outputs

    wanted = teacher_outputs(teacher, images)
    given = labels if labels.size else None
    kind = kind_of_outputs(final_activation(graph), images.shape[1:], wanted.shape[1:], given)
    if graph.node(graph.output).op == "Outputs":
        kind = VALUES
    variance = float(wanted.var(axis=0, dtype=np.float64).mean())
    with_labels = options.train == "labels"
    return Goal(kind=kind, variance=max(variance, 1e-30), with_labels=with_labels), wanted


def _targets(teacher, images, labels) -> np.ndarray:
    """Return labels as training takes them; an empty array per image without any."""
    if labels is None:
        return np.zeros((len(images), 0), np.float32)
    return fit_targets(teacher, images, labels, "training")


def _epochs(images: int, batch_size: int) -> int:
    fewest, most = EPOCHS
    return int(np.clip(round(STEPS * batch_size / images), fewest, most))


def _model(quantized: QuantizedGraph):
    from pipeline.training.registers.cnn2snn import Cnn2snnModel
    from pipeline.training.registers.quantizeml import QuantizemlModel

    models = {"quantizeml": QuantizemlModel, "cnn2snn": Cnn2snnModel}
    return models[quantized.scheme](quantized)


def _entered(quantized: QuantizedGraph, images: np.ndarray) -> np.ndarray:
    """Return the integers of images: pixels, or floats through their quantizer."""
    quantizer = next((node for node in quantized.nodes if node.op == "Quantizer"), None)
    return images if quantizer is None else run_node(quantizer, images)


def _emulated(quantized: QuantizedGraph, images: np.ndarray) -> np.ndarray:
    """Return the emulator's float outputs."""
    if quantized.scheme == "cnn2snn":
        return simulate(convert(quantized, "akida_v1"), images)
    image, *nodes = quantized.nodes
    return run_nodes(nodes, {image.name: images})[quantized.output]


def _check_agreement(course, found: QuantizedGraph, images: np.ndarray) -> None:
    """Raise if TensorFlow computed other outputs than the emulator does."""
    outputs = course.outputs(images)
    if not np.array_equal(outputs, _emulated(found, images).reshape(outputs.shape)):
        raise ModelError(
            f"{found.name}: TensorFlow and the emulator disagree after training; float32 products"
            " of whole numbers must be exact: unset TF_ENABLE_ONEDNN_OPTS"
        )


def exceeds_registers(found: QuantizedGraph, start: QuantizedGraph) -> bool:
    """Return whether registers outgrew Akida 1.0's, of a model for it that fitted at the start.

    Models with a scale per channel are for Akida 2.0.
    """
    per_tensor = all(np.ndim(node.format.frac_bits) == 0 for node in start.nodes)
    before = _limits(start) if start.scheme == "cnn2snn" or per_tensor else None
    if before is None:
        return False
    after = _limits(found)
    return after is None or after > before


def _limits(quantized: QuantizedGraph) -> int | None:
    """Return how many limits of Akida 1.0 a model exceeds; None if it cannot be converted."""
    try:
        return len(list(convert(quantized, "akida_v1").limits()))
    except (IncompatibleModelError, ProgramError):
        return None


def _noted(quantized: QuantizedGraph, text: str, **level) -> QuantizedGraph:
    note = Note(kind=TRAINED, text=text, **level)
    return replace(quantized, notes=(*quantized.notes, note))
