"""Generate one random network and compare the emulator with QuantizeML on it."""

from __future__ import annotations

import tempfile
from pathlib import Path


def examine(seed: int, index: int) -> dict:
    """Generate, quantize, import, run and compare one network.

    Returns
    -------
    dict
        ``status`` is "equal", "inexact" (differs only where the reference's float32 is not
        exact), "mismatch", "refused" (no Akida 2.0 program, see ``why``) or "unusable" (the
        reference itself fails).
    """
    from conformance import oracle

    oracle.prepare()
    import tf_keras

    from conformance.compare import compare
    from conformance.networks import random_network
    from conformance.quantizeml_model import to_tf_keras
    from pipeline.errors import ModelError
    from pipeline.importers import load_model

    network = random_network(seed, index)
    result = {
        "seed": seed,
        "index": index,
        "traits": sorted(network.traits),
        "settings": network.settings,
        "why": "",
    }
    try:
        tf_keras.backend.clear_session()
        model = oracle.quantize(to_tf_keras(network.graph), network.settings, network.samples)
        trace = oracle.trace(model, network.images, temporal=network.temporal)
    except oracle.failures() as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return {**result, "status": "unusable", "why": first}
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.h5"
            oracle.save(model, path)
            calibrated = load_model(path)
        found = compare(calibrated, trace, network.images)
    except ModelError as error:
        reasons = getattr(error, "reasons", [str(error)])
        return {**result, "status": "refused", "why": "; ".join(reasons)}
    status = "equal" if found.passed else "mismatch"
    if found.passed and found.inexact:
        status = "inexact"
    why = [*found.mismatches, *found.backends, *found.inexact]
    why += [f"format of {name}" for name in found.formats]
    if found.ulps:
        why.append(f"final floats {found.ulps} ulp apart")
    return {
        **result,
        "status": status,
        "why": "; ".join(map(str, why)),
        "tensors": found.tensors,
        "values": found.values,
        "mismatches": found.mismatches,
        "inexact": found.inexact,
        "formats": found.formats,
        "backends": found.backends,
        "combinations": sorted(found.combinations),
        "ulps": found.ulps,
        "covered": [[*key, count] for key, count in sorted(found.covered.items())],
    }
