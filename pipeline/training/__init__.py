"""Train float models in Keras; the only room that trains from scratch."""
