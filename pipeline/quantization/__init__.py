"""From float graph to integers: calibrate, equalize, quantize."""
