"""Train float models in Keras."""
