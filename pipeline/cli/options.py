"""Name settings in messages by the options of the commands."""

from __future__ import annotations

from typing import Any

import click

from pipeline.messages.settings import NO_VALUE, configuration_name, yaml_value

OPTIONS = {
    "quantization.scheme": ("quantize", "--scheme"),
    "quantization.input_weight_bits": ("quantize", "--input-weight-bits"),
    "quantization.weight_bits": ("quantize", "--weight-bits"),
    "quantization.activation_bits": ("quantize", "--activation-bits"),
    "quantization.output_bits": ("quantize", "--output-bits"),
    "quantization.layers": ("quantize", "--layer"),
    "quantization.per_tensor_activations": ("quantize", "--per-tensor"),
    "quantization.refine": ("quantize", "--refine"),
    "quantization.train": ("quantize", "--train"),
    "quantization.training.epochs": ("quantize", "--epochs"),
    "quantization.calibration.source": ("quantize", "--samples"),
    "quantization.calibration.samples": ("quantize", "--num-samples"),
    "quantization.calibration.batch_size": ("quantize", "--batch-size"),
    "labels": ("quantize", "--labels"),
    "certificate": ("export", "--certificate"),
    "reset_every": ("simulate", "--reset-every"),
    "images_b": ("compare", "--images-b"),
    "search.budget": ("search", "--budget"),
    "search.max_loss": ("search", "--max-loss"),
    "measuring.images": ("search", "--images"),
    "measuring.labels": ("search", "--labels"),
    "calibration": ("migrate", "--calibration"),
    "input_scale": ("migrate", "--input-scale"),
    "input_offset": ("migrate", "--input-offset"),
    "model.input_shape": ("check", "--input-shape"),
    "model.until": ("quantize", "--until"),
    "model.architecture": ("check", "--architecture"),
    "model.input_dtype": ("quantize", "--input-dtype"),
    "export.formats": ("export", "--format"),
    "target.name": ("convert", "--target"),
    "target.strict": ("convert", "--strict"),
    "target.fit_registers": ("convert", "--fit-registers"),
    "transforms.gap.strategy": ("migrate", "--gap"),
    "transforms.gap.recalibrate": ("migrate", "--recalibrate"),
    "transforms.max_accuracy_drop": ("migrate", "--max-accuracy-drop"),
}
"""By setting: the command that has an option for it, and the option."""
SHARED = {
    "target.strict": ("quantize",),
    "target.name": ("check", "migrate", "quantize", "export", "sensitivity", "search"),
    "labels": ("migrate",),
    "measuring.images": ("sensitivity",),
    "measuring.labels": ("sensitivity",),
    "model.input_shape": ("migrate", "quantize", "describe"),
    "model.until": ("check", "migrate", "describe"),
    "model.architecture": ("migrate", "quantize", "describe"),
    "model.input_dtype": ("check", "migrate", "sensitivity", "search"),
}
"""Further commands that have the same option."""
PHRASES = {
    ("quantization.flatten", "saturate"): "--parity",
    ("quantization.flatten", "align"): "no --parity",
    ("quantization.last_output_bits", None): "an output that is not quantized",
    ("quantization.calibration.source", "data"): "--samples",
}
"""Names of settings with a value, where they are not an option with that value."""
LAYER = "quantization.layers."
WITHOUT_OPTION = {
    "quantization.observer": "the observer of ranges",
    "transforms.names": "the transforms",
}
"""Settings without an option of a command, in words."""


def option_name(name: str, value: Any = NO_VALUE) -> str:
    """Return the name of a setting for users of a command; see `pipeline.messages.settings`."""
    if value is not NO_VALUE and (name, value) in PHRASES:
        return PHRASES[name, value]
    if name.startswith(LAYER):
        layer, _, key = name.removeprefix(LAYER).rpartition(".")
        return _in_command("quantize", f"--layer '{layer}:{key}={yaml_value(value)}'")
    if name == "transforms.names" and value is not NO_VALUE:
        return "'crossgrade migrate' does it on the float model"
    if name in WITHOUT_OPTION:
        return WITHOUT_OPTION[name]
    if name not in OPTIONS:
        return configuration_name(name, value)
    command, option = OPTIONS[name]
    text = option if value is NO_VALUE or value is True else f"{option} {yaml_value(value)}"
    return _in_command(command, text, *SHARED.get(name, ()))


def _in_command(command: str, text: str, *shared: str) -> str:
    """Return an option, with its command where another one is running."""
    context = click.get_current_context(silent=True)
    running = context.info_name if context is not None else None
    own = running == command or running in shared
    return text if own else f"{text} of 'crossgrade {command}'"
