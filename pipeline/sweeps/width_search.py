"""Find widths of single layers for a model of the pipeline, and sweep over what was found."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.analysis.budget import WEIGHT_KIB, parsed
from pipeline.analysis.found_file import WIDE, found_layers, found_yaml
from pipeline.analysis.page import sensitivity_page
from pipeline.analysis.refined_search import SEARCHES
from pipeline.analysis.search import Search
from pipeline.analysis.sensitivity import measure
from pipeline.analysis.trials import Found
from pipeline.analysis.variants import variants
from pipeline.chips import chip
from pipeline.config import Config, check
from pipeline.config.compose import compose, write_params
from pipeline.data import calibration_samples, choice_samples, load_data
from pipeline.errors import ConfigError
from pipeline.files import PARAMS, TRANSFORMED, write_text
from pipeline.graph.archive import load_graph
from pipeline.repro.workspace import check_cache, prepare_without_git, reproduce
from pipeline.sweeps.launch import launch
from pipeline.sweeps.sweep import is_choice

OPTION, MAX_LOSS = "--search", "max_loss"
CHOSEN_BY = 2000
"""Most training images that widths are chosen by."""
SHARES = (0.25, 0.5, 0.75)
"""Further budgets, between the least and the most that is possible, for the front."""
FOLDER = Path("conf/quantization")
PAGE = "sensitivities.html"
NARROW = {"quantizeml": ("w4a4",), "cnn2snn": ()}
"""Choices of one narrower width everywhere, by scheme."""
WORDS = re.compile(r"[^\w-]+", re.ASCII)
"""What a name of a file of ``conf/`` has no place for."""
OWN = (
    *("quantization=", "quantization.scheme=", "quantization.layers", "quantization.weight_bits="),
    *("quantization.activation_bits=", "quantization.output_bits="),
    "quantization.input_weight_bits=",
)
"""How overrides begin whose values a search chooses."""


def search(arguments: Sequence[str]) -> None:
    """Find widths within a budget, and run them beside uniform ones as a sweep.

    Runs the stages up to ``transform``; widths are chosen on training images after those of
    calibration, never on test images. Each found choice is a file of ``conf/quantization``; the
    sweep quantizes with it, refined, and records its Pareto front in MLflow.

    Parameters
    ----------
    arguments : sequence of str
        ``--search NAME=NUMBER``, repeatable: budgets, or ``max_loss=0.01``; and overrides.

    Raises
    ------
    ConfigError
        If budgets or overrides are wrong, or no widths are within the budget.
    """
    budget, overrides = _split(arguments)
    values = compose(overrides)
    config = check(values)
    root = Path.cwd()
    check_cache(root)
    write_params(values, PARAMS)
    prepare_without_git(root)
    reproduce(root, "transform")
    found, page = _found(config, budget)
    scheme = chip(config.target.name).schemes[0]
    choices = [WIDE[scheme], *NARROW[scheme], *found]
    launch([*overrides, f"quantization={','.join(choices)}"], {PAGE: page})


def _split(arguments: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Return the budget and the overrides."""
    rest, given = list(arguments), []
    while OPTION in rest:
        place = rest.index(OPTION)
        given += rest[place + 1 : place + 2]
        del rest[place : place + 2]
    loss = [text.partition("=")[2] for text in given if text.startswith(f"{MAX_LOSS}=")]
    if (loss and len(given) > 1) or not given:
        raise ConfigError(f"{OPTION}: give budgets, or one {MAX_LOSS}=NUMBER, as in {EXAMPLE}")
    wrong = [o for o in rest if is_choice(o) or o.lstrip("+~").startswith(OWN)]
    if wrong:
        raise ConfigError(
            f"{wrong[0]}: a search takes one model and chooses its widths and scheme itself; leave"
            " this out"
        )
    return _loss(loss[0]) if loss else parsed(given, OPTION), rest


EXAMPLE = f"'{OPTION} {WEIGHT_KIB}=64'"


def _loss(text: str) -> dict[str, float]:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise ConfigError(f"{OPTION}: found '{MAX_LOSS}={text}'; allowed: from 0 to 1")
    return {MAX_LOSS: number}


def _found(config: Config, budget: Mapping[str, float]) -> tuple[list[str], str]:
    """Return the names of the choices that were found and written, and a page."""
    graph, data = load_graph(TRANSFORMED), load_data(config.data)
    options = config.quantization
    samples = calibration_samples(data, options.calibration)
    if samples is None:
        raise ConfigError("quantization.calibration.source: found random; a search takes images")
    images, labels = choice_samples(data, options.calibration, CHOSEN_BY)
    labels = None if data.is_regression or np.ndim(labels) > 1 else labels
    made = variants(graph, np.asarray(samples), options, config.target.name)
    logging.info("searching widths of %s on %d images", graph.name, len(images))
    sensitivities = measure(made, np.asarray(images), labels)
    kind = SEARCHES[options.refine]
    finder = kind(made, sensitivities, np.asarray(images), labels, progress=logging.info)
    names = []
    for number, found in enumerate(front(finder, budget), 1):
        name = f"found_{re.sub(WORDS, '_', graph.name)}_{number}"
        place = FOLDER / f"{name}.yaml"
        if not found_layers(made, found):  # the sweep has it already
            logging.info("the widest widths are within the budget: %s", _figures(found))
            place.unlink(missing_ok=True)  # of an earlier search
            continue
        write_text(place, found_yaml(made, found))
        logging.info("%s: %s", place, _figures(found))
        names.append(name)
    return names, sensitivity_page(sensitivities)


def _figures(found: Found) -> str:
    same = found.score.agreement
    classes = "" if same is None else f", same class {same:.1%}"
    return f"{found.cost.weight_bytes:,} bytes of weights, loss {found.score.loss:.5f}{classes}"


def front(finder: Search, budget: Mapping[str, float]) -> list[Found]:
    """Return what is found within a budget, and within others between the least and the most."""
    if MAX_LOSS in budget:
        found, names = [finder.least(budget[MAX_LOSS])], (WEIGHT_KIB,)
    else:
        found, names = [finder.within(budget)], tuple(budget)
    wide, least = finder.uniform().cost, finder.smallest()
    for share in SHARES if least is not None else ():
        low = least.cost
        between = {name: low.of(name) + share * (wide.of(name) - low.of(name)) for name in names}
        other = finder.within(between)
        if all(other.widths != known.widths for known in found):
            found.append(other)
    return found
