"""Compare the findings of `check` on random models with the result of converting them.

``python -m conformance.agreement [--models 5000] [--seed 0] [--target akida_v2]``

A model that breaks a rule must be refused, at layers that `check` names. Every other model must
convert to a program whose violations of limits, and of the rules of the vendor's converter, are
those that `check` reports. Limits of registers and bit widths are excluded, since a float model
has none.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

import numpy as np

from conformance.agreement_models import random_model
from pipeline.chips import chip, convert
from pipeline.chips.check import check
from pipeline.chips.conversion import emulated_only
from pipeline.config.sections import Calibration, Quantization
from pipeline.errors import IncompatibleModelError
from pipeline.graph.graph import Graph
from pipeline.quantization.quantize import quantize
from pipeline.quantization.samples import random_samples
from simulator import ProgramError

SCHEMES = {"akida_v1": "cnn2snn", "akida_v2": "quantizeml"}
QUANTIZED = ("weight_bits", "output_bits", "step_register", "threshold_register", "threshold_range")
SAMPLES = 2


def disagreement(model: Graph, target: str) -> tuple[str | None, Counter]:
    """Return how `check` and conversion disagree, and counts of what occurred.

    Parameters
    ----------
    model : Graph
    target : str

    Returns
    -------
    str or None
        None if they agree.
    Counter
        Rules and limits by name, and ``converted``, ``refused`` or ``registers``.
    """
    report, found = check(model, target), chip(target)
    strict = {rule.name for rule in found.rules if not rule.emulated}
    broken = [violation for violation in report.violations if violation.rule in strict]
    seen = Counter(violation.rule for violation in report.violations)
    try:
        quantized = _quantized(model, target)
        program = convert(quantized, target)
    except IncompatibleModelError as error:
        if all(refusal.rule in QUANTIZED for refusal in error.refusals):
            seen["registers"] += 1
            return None, seen
        seen["refused"] += 1
        named = {layer for violation in broken for layer in violation.layers}
        other = {layer for refusal in error.refusals for layer in refusal.layers} - named
        return (f"refused, check found {broken}: {error}" if not broken or other else None), seen
    except ProgramError as error:
        seen["registers"] += 1
        return (None if "act_step" in str(error) else str(error)), seen
    seen["converted"] += 1
    if broken:
        return f"converted, check found {broken}", seen
    checked = {(v.layers, v.rule, v.found) for v in report.violations}
    calibrated = ["padding_value"] if model.input.attrs["dtype"] == "float32" else []
    exceeded = {
        (refusal.layers, refusal.rule, refusal.found)
        for refusal in emulated_only(quantized, program)
        if refusal.rule not in (*QUANTIZED, *calibrated)
    }
    remarks = [note for note in report.notes if "one reading" in note]
    if checked != exceeded:
        return f"check only {checked - exceeded}, converted only {exceeded - checked}", seen
    if len(remarks) != len(list(program.remarks())):
        return f"remarks of check {remarks}, of the program {list(program.remarks())}", seen
    return None, seen


def _quantized(model: Graph, target: str):
    samples = random_samples(model, SAMPLES, np.random.default_rng(0))
    options = Quantization(
        scheme=SCHEMES[target],
        **({"weight_bits": 4, "activation_bits": 4} if target == "akida_v1" else {}),
        calibration=Calibration(source="random", samples=SAMPLES, batch_size=1),
    )
    return quantize(model, samples, options)


def main() -> None:
    """Compare, print the rules and limits that occurred, and return 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=5000, help="of each chip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=SCHEMES, help="one chip; by default both")
    arguments = parser.parse_args()
    differ = 0
    for target in [arguments.target] if arguments.target else SCHEMES:
        total: Counter = Counter()
        for seed in range(arguments.seed, arguments.seed + arguments.models):
            text, seen = disagreement(random_model(seed, target), target)
            total.update(seen)
            if text is not None:
                differ += 1
                print(f"{target} seed {seed}: {text}")
        print(f"{target}: {arguments.models} models")
        for name, count in total.most_common():
            print(f"  {name:28}{count:7}")
    print(f"{differ} models on which check and convert differ")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
