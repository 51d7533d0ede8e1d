"""The figures of a run as MLflow shows them: each once, the decisive ones first."""

from __future__ import annotations

from collections.abc import Mapping

HEADLINES = {
    "accuracy": "evaluate.accuracy",
    "loss_to_float": None,
    "mean_absolute_error": "evaluate.mean_absolute_error",
    "agreement": "evaluate.agreement",
    "weight_kib": None,
    "over_limits": "convert.exceeded_limits",
    "macs": "evaluate.macs",
    "effective_macs": "evaluate.effective_macs",
    "energy_proxy": "evaluate.energy_proxy",
    "saturated_share": "evaluate.saturated_share",
}
"""Figures without a prefix, in order, and the metrics they are; None for those computed here."""
REPEATED = ("convert.weight_bytes", "convert.macs", "evaluate.weight_bytes", "transform.accuracy")
"""Metrics that repeat a headline or a metric of stage ``build``."""
DIGITS = 6
COLUMNS = ("accuracy", "loss_to_float", "weight_kib", "over_limits", "macs", "agreement")
"""Columns of MLflow's list of runs."""


def figures(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the figures that MLflow gets of a run.

    Parameters
    ----------
    metrics : mapping of str to float
        As ``stage.metric``. Deeper ones, such as those of one transform or one layer, stay in the
        files.

    Returns
    -------
    dict of str to float
        Headlines, then ``stage/metric``: MLflow gives each stage a section of its own. Fractions
        have `DIGITS` digits, as many as MLflow's list shows; the files have all.
    """
    short = {name: metrics[key] for name, key in HEADLINES.items() if key in metrics}
    if "evaluate.float_accuracy" in metrics and "accuracy" in short:
        short["loss_to_float"] = metrics["evaluate.float_accuracy"] - short["accuracy"]
    if "evaluate.weight_bytes" in metrics:
        short["weight_kib"] = metrics["evaluate.weight_bytes"] / 1024
    ordered = {name: short[name] for name in HEADLINES if name in short}
    told = {*filter(None, HEADLINES.values()), *REPEATED}
    inner = {
        key.replace(".", "/"): value
        for key, value in metrics.items()
        if key.count(".") == 1 and key not in told
    }
    return {name: _shown(value) for name, value in (ordered | inner).items()}


def _shown(value: float) -> float:
    return value if value.is_integer() else float(f"{value:.{DIGITS}g}")
