"""Akida 2.0: cut an integer model into the chip's layers."""

from pipeline.targets.akida_v2.lowering import ORDER, lower
from pipeline.targets.target import Target

__all__ = ["ORDER", "TARGET", "lower"]

TARGET = Target(name="akida_v2", schemes=("quantizeml",), lower=lower)
