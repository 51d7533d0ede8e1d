"""Akida 1.0: cut an integer model, of either quantization scheme, into the chip's layers."""

from pipeline.targets.akida_v1.equalize import fit_registers
from pipeline.targets.akida_v1.lowering import lower
from pipeline.targets.akida_v1.shared_scale_cost import shared_scale_cost
from pipeline.targets.target import Target

TARGET = Target(
    name="akida_v1",
    schemes=("cnn2snn", "quantizeml"),
    lower=lower,
    measure=shared_scale_cost,
    fit=fit_registers,
)
