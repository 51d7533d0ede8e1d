"""Akida 1.0: its conversion rules, and the lowering of integer models of both schemes."""

from pipeline.chips.akida_v1.fit_registers import fit_registers
from pipeline.chips.akida_v1.layers import facts
from pipeline.chips.akida_v1.lowering import lower
from pipeline.chips.akida_v1.repairs import LIMIT_REPAIRS, REFUSED_LIMITS, REPAIRS
from pipeline.chips.akida_v1.rules import RULES, normalize, notes
from pipeline.chips.akida_v1.shared_scale_cost import shared_scale_cost
from pipeline.chips.chip import Chip

CHIP = Chip(
    name="akida_v1",
    title="Akida 1.0",
    schemes=("cnn2snn", "quantizeml"),
    rules=RULES,
    repairs=REPAIRS,
    normalize=normalize,
    facts=facts,
    limit_repairs=lambda limit, facts: LIMIT_REPAIRS.get(limit),
    refused_limits=REFUSED_LIMITS,
    notes=notes,
    lower=lower,
    measure=shared_scale_cost,
    fit=fit_registers,
)
