"""Choose which values a moved ReLU passes, so that the layer behind can be refitted best.

Up to a linear map, which the refit finds, a batch norm and a clipped ReLU are a clip of each
channel to a range. Before the pooling moved, the range was that of averages; single pixels vary
far more, so it has to be chosen anew.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.transforms.gap_runs import Run

QUANTILES = (0.0, 0.02, 0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 0.97, 1.0)
"""Of a channel's pixels: candidates for both ends of its range."""
PIXELS = 100_000
SWEEPS = 3
PENALTY = 1e-3
MOST_CHANNELS = 512
"""Above, ranges are chosen channel by channel, since their joint choice takes minutes."""


def fit_ranges(graph: Graph, original: Graph, run: Run, layers, images: np.ndarray) -> Graph:
    """Return `graph` with gamma and beta of the moved batch norm chosen for a refit.

    Every channel starts with the range whose average over pixels follows its old activation
    best; then channels take turns to choose the range that explains most of what the others
    leave of the outputs of `layers`.

    Parameters
    ----------
    graph, original : Graph
        After the pooling moved (its batch norms measured anew), and before.
    run : Run
    layers : names of the linear layers behind the pooling
    images : array of shape (n, height, width, channels)
        Unlabelled.

    Returns
    -------
    Graph
        `graph` itself where the run is no batch norm with gamma and beta and one plain ReLU.
    """
    norm = _only_batchnorm(graph, run)
    if norm is None:
        return graph
    pixels, targets, wanted = _record(original, run, norm.inputs[0], layers, images)
    top = original.node(run.activation).attrs["max_value"]
    ends = np.quantile(_thinned(pixels), QUANTILES, axis=0).astype(np.float32)
    if top is None:
        ranges = [(low, np.full_like(low, np.inf)) for low in ends[:-1]]
    else:
        ranges = list(combinations(ends, 2))
    # (candidates, images, channels), of mean 0 and spread 1 over images
    features = _standard(np.stack([np.clip(pixels, *pair).mean(1) for pair in ranges]))
    choice = np.abs(np.einsum("kic,ic->kc", features, _standard(targets))).argmax(0)
    if pixels.shape[-1] <= MOST_CHANNELS:
        choice = _take_turns(features, wanted - wanted.mean(0), choice)
    channels = np.arange(len(choice))
    low, high = (np.stack(side)[choice, channels] for side in zip(*ranges, strict=True))
    spread = np.sqrt(norm.weights["moving_variance"] + np.float32(norm.attrs["epsilon"]))
    with np.errstate(divide="ignore"):
        slope = 1 / spread if top is None else np.float32(top) / (high - low)
    chosen = {"gamma": slope * spread, "beta": slope * (norm.weights["moving_mean"] - low)}
    # A channel that never varies keeps what it had.
    varies = (high > low) & np.isfinite(slope)
    chosen = {
        key: np.where(varies, value, norm.weights[key]).astype(np.float32)
        for key, value in chosen.items()
    }
    norm = norm.with_weights(**chosen)
    return graph.with_nodes(norm if node.name == norm.name else node for node in graph.nodes)


def _only_batchnorm(graph, run):
    norms = [graph.node(name) for name in run.between]
    norms = [node for node in norms if node.op == "BatchNormalization"]
    relu = graph.node(run.activation)
    plain = relu.op == "ReLU" and not (relu.attrs["negative_slope"] or relu.attrs["threshold"])
    if len(norms) != 1 or not plain or not {"gamma", "beta"} <= set(norms[0].weights):
        return None
    return norms[0]


def _record(original, run, source, layers, images):
    """Return pixels (n, pixels, c), activations (n, c) and outputs of `layers` (n, outputs)."""
    seen: dict[str, list] = {name: [] for name in (source, run.activation, *layers)}

    def probe(name, values):
        if name in seen:
            seen[name].append(values)

    forward(original, images, probe=probe)
    arrays = {name: np.concatenate(parts) for name, parts in seen.items()}
    pixels = arrays[source].reshape(len(images), -1, arrays[source].shape[-1])
    outputs = [arrays[name].reshape(len(images), -1) for name in layers]
    targets = arrays[run.activation].reshape(len(images), -1)
    return pixels, targets, np.concatenate(outputs, 1, dtype=np.float64)


def _thinned(pixels):
    rows = pixels.reshape(-1, pixels.shape[-1])
    return rows[:: max(1, len(rows) // PIXELS)]


def _standard(values):
    """Return values of mean 0 and spread 1 along the images, the last axis but one."""
    values = values - values.mean(-2, keepdims=True, dtype=np.float64)
    spread = values.std(-2, keepdims=True)
    return values / np.where(spread > 0, spread, 1)


def _take_turns(features, wanted, choice):
    choice, channels = choice.copy(), np.arange(len(choice))
    outputs = wanted.shape[1]
    for _ in range(SWEEPS):
        before = choice.copy()
        for channel in channels:
            others = features[choice, :, channels].T.copy()
            others[:, channel] = 0
            both = np.concatenate([wanted, features[:, :, channel].T], 1)
            penalty = PENALTY * len(wanted)
            gram = others.T @ others + penalty * np.eye(len(channels))
            left = both - others @ np.linalg.solve(gram, others.T @ both)
            rest, own = left[:, :outputs], left[:, outputs:]
            gain = np.square(rest.T @ own).sum(0) / (np.square(own).sum(0) + penalty)
            choice[channel] = gain.argmax()
        if (choice == before).all():
            break
    return choice
