"""The part of a model that the host runs: cut off, written, run after the chip's program."""
