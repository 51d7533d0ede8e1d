"""Stage ``inputs``: hash the user's files, so that later stages notice changes.

It always runs, so that exports that are impossible are refused here, before any training.
"""

from __future__ import annotations

import logging

from pipeline.config import load
from pipeline.files import INPUT_DATA, INPUT_MODEL, write_json
from pipeline.repro.input_files import data_inputs, model_inputs
from pipeline.stage import run


def main() -> None:
    """Write the hashes of the files named in the configuration; check the exports."""
    config = load()
    data, model = data_inputs(config), model_inputs(config)
    for name, found in (data | model).items():
        logging.info("%s: SHA-256 %s...", name, found[:12])
    if config.export.formats:
        # Imported here, since this stage starts in every run.
        from pipeline.exporters.dry_run import check_exports
        from pipeline.models.source import source_graph

        check_exports(source_graph(config.model, seed=config.seed)[0], config)
    write_json(INPUT_DATA, data)
    write_json(INPUT_MODEL, model)


if __name__ == "__main__":
    run("inputs", main)
