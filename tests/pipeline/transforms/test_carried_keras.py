"""Keras of both generations reads what migrating writes, and computes the same."""

import numpy as np
import pytest
from hypothesis import given, settings

from pipeline.exporters import save_keras2_h5, save_keras3
from pipeline.graph.forward import forward
from pipeline.migration.migrate import migrate
from pipeline.preparation.verification import random_images
from tests.pipeline.transforms.small_networks import KINDS

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
WRITERS = {"tf_keras": ("m.h5", save_keras2_h5), "keras": ("m.keras", save_keras3)}
DRAWN = 3


@pytest.mark.parametrize("generation", WRITERS)
@pytest.mark.parametrize("name", KINDS)
def test_keras_reads_a_carried_network(tmp_path, name, generation):
    keras = pytest.importorskip(generation)
    file, save = WRITERS[generation]

    @settings(max_examples=DRAWN, deadline=None, database=None)
    @given(KINDS[name])
    def holds(graph):
        images = random_images(graph)
        migration = migrate(graph, "akida_v2", images)
        new, wanted = migration.after, forward(graph, images)
        (tmp_path / file).unlink(missing_ok=True)
        save(tmp_path / file, new)
        model = keras.models.load_model(tmp_path / file)
        found = np.asarray(model(migration.samples, training=False))
        # Keras sums in another order.
        scale = max(np.abs(wanted).max(), 1e-6)
        np.testing.assert_allclose(found, wanted.reshape(found.shape), rtol=0, atol=1e-4 * scale)

    holds()
