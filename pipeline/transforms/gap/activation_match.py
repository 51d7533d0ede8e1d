"""Choose the inputs of a moved activation so that its average correlates with the old output.

``pool(relu(a x + b))`` depends on the whole map, ``relu(pool(x))`` on the average alone. The affine
map (a, b) of each channel at which they correlate best is not the trained one, because single
pixels vary far more than averages.
"""

from __future__ import annotations

import numpy as np

from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.transforms.gap.outputs import outputs
from pipeline.transforms.gap.rounding_noise import rounding_noise
from pipeline.transforms.gap.runs import Run

SCALES = (0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""Candidate standard deviations of the activation's input."""
SHIFTS = tuple(np.arange(-4, 5.5, 0.5).tolist())
"""Candidate means of the activation's input."""
REFERENCE_MAXIMUM = 6.0
"""Maximum of the ReLU for which `SCALES` and `SHIFTS` are given; they scale with the maximum."""


def matchable(graph: Graph, run: Run) -> bool:
    """Return True if a run is ``pooling > BN > plain ReLU``, whose BN can be replaced."""
    kinds = [graph.node(name).op for name in run.between]
    activation = graph.node(run.activation)
    plain = activation.op == "ReLU" and not (
        activation.attrs["negative_slope"] or activation.attrs["threshold"]
    )
    return plain and kinds.count("BatchNormalization") == 1


def match_activation(
    graph: Graph, original: Graph, run: Run, images: np.ndarray
) -> tuple[Graph, dict]:
    """Return `graph` with a new batch norm in `run`, and the correlation of averages.

    For each channel, the pair of `SCALES` x `SHIFTS` is chosen whose averages over the map, rounded
    to 8 bits, correlate best with the activation's outputs in `original`. Averages of activations
    that are never clipped correlate best in float, but vary less than the rounding error.

    Parameters
    ----------
    graph, original : Graph
        Models after and before the move of the pooling; the run's batch norm has the statistics of
        the map.
    run : Run
        A run for which `matchable` is true.
    images : array of shape (n, height, width, channels)
        Unlabelled.

    Returns
    -------
    Graph
    dict
        ``correlation``: mean over channels, with the trained batch norm (``before``) and with
        the new one (``after``). Constant channels keep theirs and do not count.
    """
    name = next(name for name in run.between if graph.node(name).op == "BatchNormalization")
    node, maximum = graph.node(name), graph.node(run.activation).attrs["max_value"]
    (wanted,) = outputs(original, [run.activation], images)
    wanted = wanted.reshape(len(wanted), -1)
    mean, spread = node.weights["moving_mean"], np.sqrt(node.weights["moving_variance"])
    spread = np.maximum(spread, np.finfo(np.float32).tiny)
    gamma = node.weights.get("gamma", np.ones_like(mean))
    deviation = np.sqrt(node.weights["moving_variance"] + np.float32(node.attrs["epsilon"]))
    stretch = 1.0 if maximum is None else maximum / REFERENCE_MAXIMUM
    sign = np.where(gamma < 0, -1, 1).astype(np.float32)
    # A ReLU without maximum is homogeneous, so that only the shift matters.
    scales = (1.0,) if maximum is None else SCALES
    choices = [(gamma / deviation * spread, node.weights.get("beta", np.zeros_like(mean)))]
    choices += [
        (np.full_like(mean, scale * stretch) * sign, np.full_like(mean, shift * stretch))
        for scale in scales
        for shift in SHIFTS
    ]
    plain, rounded = _correlations(
        graph, node.inputs[0], images, wanted, mean, spread, maximum, choices
    )
    best, channels = rounded.argmax(0), np.arange(len(mean))
    varies = rounded.max(0) > 0
    best = np.where(varies, best, 0)
    scale = np.stack([scale for scale, _ in choices])[best, channels]
    shift = np.stack([shift for _, shift in choices])[best, channels]
    new = _with_affine(node, scale / spread, shift - mean * scale / spread)
    report = {
        name: float(plain[which, channels][varies].mean()) if varies.any() else 0.0
        for name, which in (("before", np.zeros_like(best)), ("after", best))
    }
    nodes = (new if old.name == name else old for old in graph.nodes)
    return graph.with_nodes(nodes), {"correlation": report}


def _correlations(graph, source, images, wanted, mean, spread, maximum, choices) -> tuple:
    """Return correlations of averages with `wanted` (choices, channels): exact and rounded."""
    centred = wanted - wanted.mean(0, dtype=np.float64)
    sums = np.zeros((3, len(choices), len(mean)))
    top, start = np.float32(np.inf if maximum is None else maximum), 0

    def probe(name, values):
        nonlocal start
        if name != source:
            return
        units = (values - mean) / spread
        targets = centred[start : start + len(values)]
        start += len(values)
        for number, (scale, shift) in enumerate(choices):
            average = np.clip(units * scale + shift, 0, top).mean((1, 2), dtype=np.float64)
            sums[0, number] += average.sum(0)
            sums[1, number] += np.square(average).sum(0)
            sums[2, number] += (average * targets).sum(0)

    forward(graph, images, probe=probe)
    total, squares, products = sums / start
    variance = np.maximum(squares - np.square(total), 0)
    noise = rounding_noise(REFERENCE_MAXIMUM if maximum is None else maximum, total, variance)
    energy = np.square(centred).mean(0)
    # The correlation of nearly constant averages is that of float32 rounding errors.
    varies = (variance > 1e-9 * squares) & (energy > 0)
    return tuple(
        products / np.sqrt(np.where(varies, (variance + more) * energy, np.inf))
        for more in (0, noise)
    )


def _with_affine(node, scale, shift):
    """Return a batch norm that computes ``scale x + shift``."""
    mean, variance = node.weights["moving_mean"], node.weights["moving_variance"]
    weights, epsilon = {}, np.float32(node.attrs["epsilon"])
    if "gamma" in node.weights:
        weights["gamma"] = scale * np.sqrt(variance + epsilon)
    else:
        weights["moving_variance"] = np.maximum(np.square(1 / scale) - epsilon, 0)
    if "beta" in node.weights:
        weights["beta"] = shift + mean * scale
    else:
        weights["moving_mean"] = -shift / scale
    return node.with_weights(**{key: value.astype(np.float32) for key, value in weights.items()})
