"""The JSON text of a model configuration."""

from __future__ import annotations

import json

from pipeline.errors import ModelError


def parse_json(text: str | bytes, label: str) -> dict:
    """Return a model configuration from its JSON text."""
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{label}: its model configuration is not valid JSON") from error
    if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
        raise ModelError(f"{label}: its model configuration does not describe a Keras model")
    return config
