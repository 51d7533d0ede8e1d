"""Stage ``compose``: write params.yaml, which every other stage reads, from conf/."""

from __future__ import annotations

import logging
import os

from pipeline.config import check, load
from pipeline.files import PARAMS
from pipeline.stage import run

# Set by `dvc exp run` and `python -m pipeline`, which compose params.yaml themselves.
COMPOSED_ALREADY = ("DVC_EXP_NAME", "CROSSGRADE_KEEP_PARAMS")


def main() -> None:
    """Compose the defaults of conf/, unless the caller has already composed params.yaml."""
    if any(os.environ.get(name) for name in COMPOSED_ALREADY) and PARAMS.is_file():
        load(PARAMS)
        logging.info("params.yaml is composed already")
        return
    from pipeline.config.compose import compose, write_params

    values = compose()
    check(values)
    write_params(values, PARAMS)


if __name__ == "__main__":
    run("compose", main)
