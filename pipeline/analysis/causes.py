"""The likely cause of a layer's error, and an option that mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.analysis.blocks import Block
from pipeline.messages.settings import setting

MANY_SATURATED = 0.005
FEW_BEYOND = 0.0005
"""Share of saturated products that matters: they are wrong by any amount, unlike outputs at the
end of a range."""
MOST = 0.5
"""Share of an error's power from which one cause explains it."""
UNUSED = 0.25
"""Largest integer used, of the largest that the width holds, below which a range is too wide."""
GOOD = 30.0
"""Decibels from which a layer's own error is no cause for concern: 3 % of the amplitude."""
DEAD = 0.1


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Why a layer loses accuracy, and what to do.

    Attributes
    ----------
    cause, remedy : str
        One line each; the remedy is empty where none is needed.
    """

    cause: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return the cause, and the remedy if there is one."""
        return "; ".join(filter(None, (self.cause, self.remedy)))


def explain(layer, block: Block, refined: bool) -> Finding:
    """Return the first cause that applies to a `LayerAnalysis`.

    Parameters
    ----------
    layer : LayerAnalysis
        Without its finding.
    block : Block
    refined : bool
        True if the model was refined, so that refining is no remedy.
    """
    refine = (
        f"more images of more sources: {setting('quantization.calibration.samples')}"
        if refined
        else f"fit the layer to its inputs: {setting('quantization.refine', 'layers')}"
    )
    if refined and layer.beyond > FEW_BEYOND:
        refine = (
            f"one scale for all channels: {setting('quantization.per_tensor_activations', True)}"
        )
    refining = Refining(remedy=refine, done=refined)
    return next(finding for rule in RULES for finding in rule(layer, block, refining))


@dataclass(frozen=True, kw_only=True)
class Refining:
    """What refining can do for a layer.

    Attributes
    ----------
    remedy : str
        In its place, what helps a refined model.
    done : bool
        True for a refined model.
    """

    remedy: str
    done: bool


Rule = Callable[..., Iterator[Finding]]


def _fault(layer, block, refine):
    if layer.faults:
        yield Finding(
            cause="registers that do not follow from the float model: " + layer.faults[0],
            remedy="quantize again, or compare with what wrote them: crossgrade compare",
        )


def _good(layer, block, refine):
    if layer.isolated.decibels >= GOOD:
        yield Finding(cause=f"little error of its own ({layer.isolated.decibels:.0f} dB)")


def _flatten(layer, block, refine):
    if block.flattens and layer.isolated.saturated > MANY_SATURATED:
        remedy = setting("quantization.flatten", "align")
        yield Finding(
            cause=f"{layer.isolated.saturated:.1%} of the values saturate in the Flatten",
            remedy=f"align channels after it: {remedy}",
        )


def _beyond(layer, block, refine):
    if layer.beyond > FEW_BEYOND:
        yield Finding(
            cause=f"{layer.beyond:.1%} of the outputs saturate before they are scaled: sums that"
            " are large beside the weights, such as constants",
            remedy=refine.remedy,
        )


def _saturation(layer, block, refine):
    if layer.clipped > MANY_SATURATED and not _from_weights(layer):
        yield Finding(
            cause=f"{layer.clipped:.1%} of the outputs are cut off by their range",
            remedy=refine.remedy,
        )


def _dead(layer, block, refine):
    if layer.dead > DEAD:
        yield Finding(
            cause=f"{layer.dead:.0%} of the channels became 0: their values are below one step",
            remedy=_wider(layer, block, refine, "outputs"),
        )


def _outlier(layer, block, refine):
    channel, share = layer.isolated.channels[0] if layer.isolated.channels else (0, 0.0)
    if share > MOST and block.channels >= 8:
        where = "weights" if _from_weights(layer) else "outputs"
        yield Finding(
            cause=f"channel {channel} alone has {share:.0%} of the error, in its {where}",
            remedy=_wider(layer, block, refine, where),
        )


def _shift(layer, block, refine):
    if layer.isolated.bias > MOST:
        yield Finding(
            cause=f"{layer.isolated.bias:.0%} of the error shifts whole channels",
            remedy=refine.remedy,
        )


def _narrow_weights(layer, block, refine):
    if layer.weight_bits is not None and layer.weight_bits < 8:
        yield from _weights(layer, block, refine)


def _weights(layer, block, refine):
    if _from_weights(layer):
        yield Finding(
            cause=f"{layer.weights_share:.0%} of the error comes from "
            + (f"{layer.weight_bits}-bit weights" if layer.weight_bits else "its sums"),
            remedy=_wider(layer, block, refine, "weights"),
        )


def _range(layer, block, refine):
    lowest, highest, counts = layer.output_counts
    step = (highest + 1 - lowest) / len(counts)
    used = [lowest + step * (place + 0.5) for place, count in enumerate(counts) if count]
    largest = max(map(abs, used), default=0)
    if layer.output_bits and largest < UNUSED * highest:
        yield Finding(
            cause=f"the range is too wide: outputs use {largest / highest:.0%} of it",
            remedy=refine.remedy,
        )


def _levels(layer, block, refine):
    yield Finding(
        cause=f"rounding to {layer.output_bits}-bit outputs" if layer.output_bits else "rounding",
        remedy=_wider(layer, block, refine, "outputs"),
    )


RULES: tuple[Rule, ...] = (
    _fault,
    _good,
    _flatten,
    _beyond,
    _saturation,
    _dead,
    _outlier,
    _narrow_weights,
    _shift,
    _weights,
    _range,
    _levels,
)
"""From the most to the least specific; the last one always applies."""


def _wider(layer, block, refine: Refining, what: str) -> str:
    """Return the option that gives a layer more bits, or refines it where it has 8.

    Refining takes back most of what narrow weights lose, at no cost in memory.
    """
    bits = layer.weight_bits if what == "weights" else layer.output_bits
    if bits is None or bits >= 8:
        return refine.remedy
    key = "weight_bits" if what == "weights" else _output_key(block)
    wider = f"8 bits for it: {setting(f'quantization.layers.{layer.name}.{key}', 8)}"
    return wider if refine.done or what != "weights" else f"{refine.remedy}; or {wider}"


def _output_key(block: Block) -> str:
    return "activation_bits" if block.activated else "output_bits"


def _from_weights(layer) -> bool:
    """Return whether most of the error is in the sums; False where the chip hides them."""
    return layer.weights_share is not None and layer.weights_share >= MOST
