"""The list of runs as it opens in MLflow: its address and its columns."""

from __future__ import annotations

import json

from pipeline.tracking.figures import COLUMNS

KEY = "crossgrade"
TAG = f"mlflow.sharedViewState.{KEY}"
"""MLflow's page reads the view of the address parameter ``viewStateShareKey`` from such a tag of
the experiment."""


def view_state() -> str:
    """Return the view as JSON: the columns of the list."""
    columns = [f"metrics.`{name}`" for name in COLUMNS]
    return json.dumps({"selectedColumns": columns, "orderByKey": "attributes.start_time"})


def runs_address(server: str, experiment: str) -> str:
    """Return the address of an experiment's list of runs.

    Parameters
    ----------
    server : str
        Such as ``http://127.0.0.1:5000``.
    experiment : str
        Its id.
    """
    choice = f"workflowType=machine_learning&viewStateShareKey={KEY}"
    return f"{server}/#/experiments/{experiment}/runs?{choice}"
