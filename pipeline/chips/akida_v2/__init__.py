"""Akida 2.0: its conversion rules, and the lowering of integer models."""

from pipeline.chips.akida_v2.kinds import facts
from pipeline.chips.akida_v2.lowering import lower
from pipeline.chips.akida_v2.notes import notes
from pipeline.chips.akida_v2.repairs import (
    REFUSED_LIMITS,
    REPAIRS,
    WINDOW_LIMITS,
    limit_repair,
)
from pipeline.chips.akida_v2.rules import RULES, normalize
from pipeline.chips.chip import Chip

CHIP = Chip(
    name="akida_v2",
    title="Akida 2.0",
    schemes=("quantizeml",),
    rules=RULES,
    repairs=REPAIRS,
    normalize=normalize,
    facts=facts,
    limit_repairs=limit_repair,
    refused_limits=REFUSED_LIMITS,
    several_outputs=True,
    emulated_limits=WINDOW_LIMITS,
    notes=notes,
    lower=lower,
)
