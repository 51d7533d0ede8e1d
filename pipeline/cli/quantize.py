"""``crossgrade quantize``: quantize a float model to integers."""

from __future__ import annotations

import time

import click

from pipeline.cli.bar import progress_bar
from pipeline.cli.layers import layer_options, read_layers
from pipeline.cli.parameters import (
    PATH,
    input_dtype_option,
    load_any,
    output_option,
    parents_option,
    print_notes,
    reading_options,
    say,
    typed,
    verbose_option,
)
from pipeline.cli.training import trained, training_options
from pipeline.messages.lines import counted

BITS = click.Choice(["4", "8"])
WEIGHT_BITS = click.Choice(["2", "4", "8"])
ACTIVATION_BITS = click.Choice(["1", "2", "4", "8"])


def _bits(kind: click.Choice, text: str, *names: str):
    """Return an option for a width of tensors."""
    return click.option(*names, type=kind, default="8", show_default=True, help=text)


@click.command()
@click.argument("model", type=PATH)
@output_option("-o", "--output", required=True, help="Quantized model to write (.npz).")
@parents_option
@click.option("--samples", type=PATH, help="Calibration images (.npy, as the model takes them).")
@click.option(
    "--num-samples",
    type=click.IntRange(1),
    default=1024,
    show_default=True,
    help="Samples to calibrate on, the first ones.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    help="Images per batch. [default: 100; 1 with temporal layers]",
)
@click.option(
    "--scheme",
    type=click.Choice(["quantizeml", "cnn2snn"]),
    default="quantizeml",
    show_default=True,
    help="quantizeml for both chips, or cnn2snn for Akida 1.0.",
)
@click.option(
    "--target",
    envvar="CROSSGRADE_TARGET",
    show_envvar=True,
    help="Chip that the model is for: refuse widths that it lacks before anything is measured."
    "  [default: the scheme's only chip]",
)
@click.option(
    "--strict", is_flag=True, help="Also refuse widths beyond the chip's published limits."
)
@_bits(WEIGHT_BITS, "Bits of the first layer's weights.", "--input-weight-bits")
@_bits(WEIGHT_BITS, "Bits of the other weights.", "-w", "--weight-bits")
@_bits(ACTIVATION_BITS, "Bits of activations' outputs.", "-a", "--activation-bits")
@_bits(BITS, "Bits of other layers' outputs.", "--output-bits")
@layer_options
@click.option("--per-tensor", is_flag=True, help="One scale for each activation tensor.")
@click.option("--parity", is_flag=True, help="Reproduce QuantizeML, its Flatten included.")
@reading_options
@input_dtype_option
@click.option(
    "--refine",
    type=click.Choice(["none", "layers"]),
    help="Fit and round layer by layer on the samples; keep what helps on the last fifth of them."
    "  [default: layers where there are samples]",
)
@training_options
@verbose_option
def command(
    model,
    output,
    samples,
    num_samples,
    batch_size,
    scheme,
    target,
    strict,
    layer,
    layers,
    per_tensor,
    parity,
    input_shape,
    until,
    architecture,
    input_dtype,
    refine,
    train,
    labels,
    epochs,
    verbose,
    **bits,
) -> None:
    """Quantize MODEL, a float file (.h5, .keras, .onnx) or a graph of the pipeline (.npz).

    Without --samples the ranges are measured on random images, which is inaccurate; scheme cnn2snn
    needs no ranges, but loses many points unless samples refine it. With temporal layers, images
    are successive frames of --batch-size videos, one frame of each per batch.
    """
    from pipeline.chips.planned_widths import check_planned_widths
    from pipeline.data.array_file import load_array
    from pipeline.errors import ModelError
    from pipeline.graph.graph import Graph
    from pipeline.quantization.archive import save_quantized
    from pipeline.quantization.quantize import quantize
    from pipeline.quantization.refine import has_run
    from pipeline.steps.quantizing import (
        check_refine,
        check_training,
        quantization_options,
        read_labels,
    )
    from pipeline.steps.scoring import as_images

    check_refine(refine, parity, samples is not None)
    check_training(train, labels is not None, epochs, samples is not None, parity)
    chosen = read_layers(layer, layers)
    graph = load_any(model, input_shape, until, architecture)
    if not isinstance(graph, Graph):
        raise ModelError(f"{model}: is quantized already; see 'crossgrade convert {model}'")
    options = quantization_options(
        graph,
        with_samples=samples is not None,
        num_samples=num_samples,
        batch_size=batch_size,
        scheme=scheme,
        **{name: int(value) for name, value in bits.items()},
        layers=chosen,
        per_tensor=per_tensor,
        parity=parity,
        refine=refine,
        train=train,
        epochs=epochs,
    )
    print_notes(graph.notes, verbose=verbose)
    images, known = None, None
    if samples is not None:
        images = as_images(samples, "the samples")
    first = None if images is None else images[:num_samples]
    graph = typed(graph, input_dtype, model, first, samples)
    check_planned_widths(graph, options, target, strict=strict)
    if labels is not None:
        known = read_labels(load_array(labels), graph, images, labels)
    label, start = "calibrating" if options.refine == "none" else "refining", time.monotonic()
    with progress_bar(label) as progress:
        quantized = quantize(graph, first, options, progress)
    if has_run(quantized.notes):
        click.echo(f"refining took {time.monotonic() - start:.0f} s", err=True)
    if train != "none":
        quantized = trained(graph, quantized, images, known, options)
    print_notes(quantized.notes, verbose=verbose)
    save_quantized(output, quantized)
    widths = "/".join(
        bits[name] for name in ("input_weight_bits", "weight_bits", "activation_bits")
    )
    single = f", {counted(len(chosen), 'choice')} for single layers" if chosen else ""
    say(f"{output}: {quantized.name} at {widths} bits{single}, {len(quantized.nodes)} nodes")
