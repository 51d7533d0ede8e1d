"""Float models as graphs: their vocabulary, shapes, files, evaluation and exchange with Keras."""
