"""QuantizeML's ``.h5``: float variables, and the configuration of each layer's quantizers."""
