"""Where a quantized model loses accuracy, and where two models first differ."""
