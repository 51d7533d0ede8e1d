"""A program as an MLflow model, and a server of its outputs."""
