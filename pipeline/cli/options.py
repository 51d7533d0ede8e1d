"""The commands' options as names of the settings that the pipeline's messages are about."""

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
    "quantization.per_tensor_activations": ("quantize", "--per-tensor"),
    "quantization.refine": ("quantize", "--refine"),
    "quantization.calibration.source": ("quantize", "--samples"),
    "quantization.calibration.samples": ("quantize", "--num-samples"),
    "quantization.calibration.batch_size": ("quantize", "--batch-size"),
    "target.name": ("convert", "--target"),
    "target.strict": ("convert", "--strict"),
    "target.fit_registers": ("convert", "--fit-registers"),
    "transforms.gap.strategy": ("migrate", "--gap"),
    "transforms.gap.recalibrate": ("migrate", "--recalibrate"),
    "transforms.max_accuracy_drop": ("migrate", "--max-accuracy-drop"),
}
"""Setting to the command that has an option for it, and the option."""
SHARED = {"target.name": ("check", "migrate")}
"""Further commands that have the same option."""
WORDS = {
    ("quantization.flatten", "saturate"): "--parity",
    ("quantization.flatten", "align"): "no --parity",
    ("quantization.last_output_bits", None): "an output that is not quantized",
    ("quantization.calibration.source", "data"): "--samples",
}
"""A setting and a value to what commands call it, where that is no option with the value."""
NOT_OFFERED = {
    "quantization.observer": "the observer of ranges",
    "transforms.names": "the transforms",
}
"""Settings that no command has, in words."""


def option_name(name: str, value: Any = NO_VALUE) -> str:
    """Return how a command's user names a setting; see `pipeline.messages.settings`."""
    if value is not NO_VALUE and (name, value) in WORDS:
        return WORDS[name, value]
    if name in NOT_OFFERED:
        return NOT_OFFERED[name]
    if name not in OPTIONS:
        return configuration_name(name, value)
    command, option = OPTIONS[name]
    context = click.get_current_context(silent=True)
    running = context.info_name if context is not None else None
    text = option if value is NO_VALUE or value is True else f"{option} {yaml_value(value)}"
    own = running == command or running in SHARED.get(name, ())
    return text if own else f"{text} of 'crossgrade {command}'"
