"""Every option of every Keras layer, one at a time, written by Keras and read by the importers."""
