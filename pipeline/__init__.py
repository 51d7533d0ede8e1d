"""Everything from a float model to a chip's program."""
