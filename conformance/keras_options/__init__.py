"""Test of the importers on every option of every Keras layer, one at a time, in Keras's files."""
