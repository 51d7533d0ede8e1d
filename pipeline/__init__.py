"""Everything that is done to a model before it is a program."""
