"""Training of the integer registers of a quantized model."""
