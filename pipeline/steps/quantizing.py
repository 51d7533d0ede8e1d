"""Quantize a float model: ``crossgrade.quantize``, whose options `crossgrade quantize` shares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.steps.python import step
from pipeline.steps.quantized_model import QuantizedModel
from pipeline.steps.reading import as_float, as_typed
from pipeline.steps.scoring import as_array, as_images

BATCH = 100
REFINES, PARITY = "quantization.refine", ("quantization.flatten", "saturate")
SAMPLES = ("quantization.calibration.source", "data")


@step
def quantize(
    model: Any,
    samples: Any = None,
    *,
    num_samples: int = 1024,
    batch_size: int | None = None,
    scheme: str = "quantizeml",
    input_weight_bits: int = 8,
    weight_bits: int = 8,
    activation_bits: int = 8,
    output_bits: int = 8,
    layers: Mapping[str, Mapping[str, int]] | None = None,
    per_tensor: bool = False,
    parity: bool = False,
    refine: str | None = None,
    train: str = "none",
    labels: Any = None,
    epochs: int | None = None,
    input_dtype: str = "auto",
    target: str | None = None,
    strict: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> QuantizedModel:
    """Quantize a float model to integers.

    Parameters
    ----------
    model : path-like, str, mapping, Keras model or FloatModel
        As in `crossgrade.read`.
    samples : array of shape (n, *input shape) or path of a .npy file, optional
        Calibration images as the model takes them. Without them, ranges are measured on random
        images, which is inaccurate.
    num_samples : int
        Samples to calibrate on, the first ones.
    batch_size : int, optional
        Images per batch; by default 100, or 1 with temporal layers.
    scheme : {"quantizeml", "cnn2snn"}
        ``quantizeml`` for both chips, or ``cnn2snn``, Akida 1.0's own.
    input_weight_bits, weight_bits : {8, 4, 2}
        Of the first layer's weights, and of the other ones.
    activation_bits : {8, 4, 2, 1}
        Of the outputs of activations.
    output_bits : {8, 4}
        Of the outputs of layers without activation.
    layers : mapping of str to mapping, optional
        Widths of single layers, by name, pattern or layer type:
        ``{"dw_*": {"weight_bits": 8}}``.
    per_tensor : bool
        One scale for each activation tensor, instead of one per channel.
    parity : bool
        Reproduce QuantizeML's integers, its Flatten included.
    refine : {"none", "layers"}, optional
        ``layers`` fits and rounds layer by layer on the samples, and keeps what helps on the last
        fifth of them; the default where there are samples, and no `parity`.
    train : {"none", "distill", "labels"}
        Train the integers further in TensorFlow, on all samples: on the float model's outputs, or
        half on these and half on labels.
    labels : array or path of a .npy file, optional
        Of the samples, for ``train``.
    epochs : int, optional
        Of ``train``; by default 5 to 40, the more the fewer samples.
    input_dtype : {"auto", "uint8", "int8", "float32"}
        Images that a model of float inputs takes. ``auto`` takes integers where its Rescaling
        expects pixels, or the samples are integers.
    target : str, optional
        Name of the chip that the model is for: widths that it lacks are refused before anything is
        measured. By default they are those of the scheme's only chip, for cnn2snn Akida 1.0.
    strict : bool
        Refuse widths beyond the chip's published limits as well, which only the emulator runs.
    progress : function of (steps done, steps in all), optional

    Returns
    -------
    QuantizedModel
        With notes on how it was quantized.

    Raises
    ------
    ConfigError
        For a value that is not allowed, or options that exclude each other; lists all of them.
    DataError
        If the samples are not images of the model.
    IncompatibleModelError
        If layers cannot be quantized, or the chip lacks a width; lists all of them.
    """
    from pipeline.chips.planned_widths import check_planned_widths
    from pipeline.quantization.quantize import quantize as quantize_graph

    check_refine(refine, parity, samples is not None)
    check_training(train, labels is not None, epochs, samples is not None, parity)
    images = None if samples is None else as_images(samples, "the samples")
    first = None if images is None else images[:num_samples]
    graph = as_typed(as_float(model), input_dtype, first).graph
    options = quantization_options(
        graph,
        with_samples=samples is not None,
        num_samples=num_samples,
        batch_size=batch_size,
        scheme=scheme,
        input_weight_bits=input_weight_bits,
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        output_bits=output_bits,
        layers=layers or {},
        per_tensor=per_tensor,
        parity=parity,
        refine=refine,
        train=train,
        epochs=epochs,
    )
    check_planned_widths(graph, options, target, strict=strict)
    known = None if labels is None else read_labels(as_array(labels), graph, images)
    quantized = quantize_graph(graph, first, options, progress)
    if train != "none":
        from pipeline.training.registers.train import train_registers

        told = {} if progress is None else {"progress": progress}
        quantized = train_registers(graph, quantized, images, known, options, **told)[0]
    return QuantizedModel(quantized, (*graph.notes, *quantized.notes))


def quantization_options(
    graph,
    *,
    with_samples: bool,
    num_samples: int,
    batch_size: int | None,
    layers: Mapping,
    per_tensor: bool,
    parity: bool,
    refine: str | None,
    epochs: int | None,
    **same,
):
    """Return the section ``quantization`` of the configuration for a model and a user's choices.

    Parameters
    ----------
    graph : Graph
    with_samples : bool
        True if there are calibration images.
    layers : mapping of str to LayerWidths or mapping
    num_samples, batch_size, per_tensor, parity, refine, epochs, **same
        As in `quantize`.

    Returns
    -------
    pipeline.config.Quantization

    Raises
    ------
    ConfigError
        Listing every value that is not allowed, or every one that has no effect.
    """
    from dataclasses import asdict, is_dataclass

    from pipeline.config import Quantization
    from pipeline.config.load import check_section
    from pipeline.config.unused import check_unused

    plain = {name: asdict(w) if is_dataclass(w) else w for name, w in layers.items()}
    default = "layers" if with_samples and not parity else "none"
    found = check_section(
        Quantization,
        {
            **same,
            "layers": plain,
            "per_tensor_activations": per_tensor,
            "flatten": "saturate" if parity else "align",
            "refine": refine or default,
            "training": {"epochs": epochs},
            "calibration": {
                "source": "data" if with_samples else "random",
                "samples": num_samples,
                "batch_size": _batch_size(graph) if batch_size is None else batch_size,
            },
        },
        "quantization",
    )
    check_unused(found)
    return found


def check_refine(refine: str | None, parity: bool, with_samples: bool) -> None:
    """Refuse what cannot be refined where the user asks for it."""
    from pipeline.errors import ConfigError
    from pipeline.messages.settings import setting

    if refine != "layers":
        return
    found = [
        text
        for text, wrong in (
            (f"with {setting(*PARITY)}, whose integers are QuantizeML's", parity),
            (f"without {setting(*SAMPLES)}, on which it fits", not with_samples),
        )
        if wrong
    ]
    if found:
        raise ConfigError(f"{setting(REFINES, refine)}: not {'; not '.join(found)}; allowed: none")


def check_training(
    train: str, with_labels: bool, epochs: int | None, with_samples: bool, parity: bool
) -> None:
    """Refuse training that lacks images, labels or TensorFlow, and its options without it."""
    from pipeline.errors import ConfigError
    from pipeline.messages.settings import setting
    from pipeline.packages import require

    labels, several = setting("labels"), setting("quantization.training.epochs")
    if train == "none":
        options = ((labels, with_labels), (several, epochs is not None))
        if found := [name for name, given in options if given]:
            training = setting("quantization.train")
            raise ConfigError(f"{', '.join(found)}: without a training; give {training} as well")
        return
    training = setting("quantization.train", train)
    wrong = (
        (f"with {setting(*PARITY)}, whose integers are QuantizeML's", parity),
        (f"without {setting(*SAMPLES)}, on which it trains", not with_samples),
        (f"without {labels}", train == "labels" and not with_labels),
    )
    if found := [text for text, is_wrong in wrong if is_wrong]:
        raise ConfigError(f"{training}: not {'; not '.join(found)}; allowed: none")
    require("tensorflow", training)


def read_labels(labels, graph, images, name: str = "labels"):
    """Return labels that fit the model and the images; `name` is what messages call them.

    Raises
    ------
    DataError
        If they do not.
    """
    from pipeline.data.labels import form_problem, is_one_hot
    from pipeline.errors import DataError
    from pipeline.preparation.head import cut_head
    from pipeline.quantization.samples import check_samples
    from pipeline.training.losses import fit_targets

    if is_one_hot(labels):
        raise DataError(f"{name}: {form_problem(labels, len(images))}")
    teacher = cut_head(graph)[0]
    fit_targets(teacher, check_samples(graph, images), labels, "training")
    return labels


def _batch_size(graph) -> int:
    """Return the default number of images per batch: 100, or 1 with temporal layers."""
    return 1 if any(node.operation.temporal for node in graph.nodes) else BATCH
