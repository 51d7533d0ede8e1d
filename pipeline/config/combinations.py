"""Combinations of settings that are valid alone but not together."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.chips import known_targets
from pipeline.config.sections import Config
from pipeline.config.unused import unused
from pipeline.formats.table import EXPORTS
from pipeline.models.input_dtype import INPUT_DTYPES


def impossible(config: Config) -> Iterator[str]:
    """Yield one sentence for each impossible combination in `config`."""
    data, quantization = config.data, config.quantization
    if data.name == "arrays" and not data.path:
        yield "data.path: found null; data.name=arrays needs the path of an .npz file, or a folder"
    if data.name == "image_folder" and not data.path:
        yield "data.path: found null; data.name=image_folder needs a folder with one per class"
    if data.name in ("digits", "digits32") and data.path:
        yield (
            f"data.path: found {data.path!r}; data.name={data.name} comes with scikit-learn and "
            "takes no path; use data.name=arrays for your own images"
        )
    if data.name == "spoken_digits" and data.path:
        yield (
            f"data.path: found {data.path!r}; data.name=spoken_digits is spoken on this machine "
            "and takes no path; use data.name=arrays for your own images"
        )
    if config.target.name not in known_targets():
        yield f"target.name: found '{config.target.name}'; allowed: {', '.join(known_targets())}"
    calibration = quantization.calibration
    if calibration.batch_size > calibration.samples:
        yield (
            f"quantization.calibration.batch_size: found {calibration.batch_size}; allowed: at "
            f"most quantization.calibration.samples = {calibration.samples}"
        )
    if quantization.scheme == "cnn2snn" and quantization.activation_bits == 8:
        yield ("quantization.activation_bits: found 8; quantization.scheme=cnn2snn allows 1, 2, 4")
    if quantization.scheme == "cnn2snn":
        for name, widths in quantization.layers.items():
            if widths.activation_bits == 8:
                yield (
                    f"quantization.layers.{name}.activation_bits: found 8;"
                    " quantization.scheme=cnn2snn allows 1, 2, 4"
                )
    for name in config.export.formats:
        if quantization.scheme not in EXPORTS[name].schemes:
            schemes = " or ".join(EXPORTS[name].schemes)
            yield (
                f"export.formats: found {name}, which holds models of quantization.scheme="
                f"{schemes}; quantization.scheme is {quantization.scheme}"
            )
    if quantization.refine != "none" and quantization.flatten == "saturate":
        yield (
            f"quantization.refine: found {quantization.refine};"
            " quantization.flatten=saturate takes quantization.refine=none"
        )
    yield from unused(config)
    repeated = sorted({n for n in config.transforms.names if config.transforms.names.count(n) > 1})
    if repeated:
        yield f"transforms.names: found {repeated[0]} twice; name each transform once"
    if config.model is not None and "path" in config.model:
        if not config.model["path"]:
            yield "model.path: found null; model=import needs the path of a float model"
        if (found := config.model.get("input_dtype", "auto")) not in INPUT_DTYPES:
            yield f"model.input_dtype: found {found!r}; allowed: {', '.join(INPUT_DTYPES)}"
        if config.training.epochs and config.training.weights:
            yield "training.weights: not together with model=import, which brings its weights"
    elif config.model is not None and not config.model.get("layers"):
        yield "model.layers: found nothing; choose a model, e.g. model=separable_cnn"
