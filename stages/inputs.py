"""Stage ``inputs``: hash the user's files, so that later stages notice changes."""

from __future__ import annotations

import logging

from pipeline.config import load
from pipeline.files import INPUT_DATA, INPUT_MODEL, write_json
from pipeline.repro.input_files import data_inputs, model_inputs
from pipeline.stage import run


def main() -> None:
    """Write the hashes of the files named in the configuration."""
    config = load()
    data, model = data_inputs(config), model_inputs(config)
    for name, found in (data | model).items():
        logging.info("%s: SHA-256 %s...", name, found[:12])
    write_json(INPUT_DATA, data)
    write_json(INPUT_MODEL, model)


if __name__ == "__main__":
    run("inputs", main)
