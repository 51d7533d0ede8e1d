"""Move global average pooling after the activation: exactly, refitted or retrained."""
