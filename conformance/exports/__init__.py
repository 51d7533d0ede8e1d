"""Compare exported models with the models that they were made from, in other implementations."""
