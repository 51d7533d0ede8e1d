"""Stage ``transform``: apply the configured transforms to the trained graph."""

from __future__ import annotations

import logging

from pipeline.accuracy import score
from pipeline.config import load
from pipeline.data import load_data
from pipeline.errors import ModelError
from pipeline.files import GRAPH, TRANSFORMED, metrics_path, write_json
from pipeline.graph.archive import load_graph, save_graph
from pipeline.stage import EpochLog, run
from pipeline.transforms import Images, apply
from pipeline.transforms.feeding import Feeding


def main() -> None:
    """Apply the configured transforms; write the graph and the effect of each transform."""
    config = load()
    data = load_data(config.data)
    graph = load_graph(GRAPH)
    samples = data.x_train[: config.transforms.samples]
    images = Images(
        images=data.x_train,
        labels=data.y_train,
        test_images=None if data.is_regression else data.x_test,
        test_labels=None if data.is_regression else data.y_test,
        progress=EpochLog("transform"),
    )
    transformed, report = apply(graph, config.transforms, samples, images, images_stay=True)
    if found := [name for name, change in report.items() if "feeding" in change]:
        steps = Feeding.of(report[found[0]]["feeding"])
        raise ModelError(
            f"{graph.name}: {found[0]} makes it take images of another shape, {steps} of images x;"
            " give data of that shape, and the model that 'crossgrade migrate' writes"
        )
    scored = [change for change in report.values() if "accuracy_after" in change]
    if scored:
        before, after = scored[0]["accuracy_before"], scored[-1]["accuracy_after"]
        metrics = {"accuracy": after, "accuracy_drop": before - after, **report}
    else:
        metrics = {**score(transformed, data.x_test, data.y_test), **report}
        if not data.is_regression:
            metrics["accuracy_drop"] = 0.0
    for name, change in report.items():
        logging.info(
            "%s: %d layers, largest difference %.2g",
            name,
            len(change["changed"]),
            change["max_abs_difference"],
        )
    save_graph(TRANSFORMED, transformed)
    write_json(metrics_path("transform"), metrics)


if __name__ == "__main__":
    run("transform", main)
