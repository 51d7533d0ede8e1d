"""Real images and labels: one module for each source."""

from pipeline.data.calibration import calibration_samples
from pipeline.data.dataset import Dataset
from pipeline.data.sources import check_unchanged, fingerprint, known_sources, load_data

__all__ = [
    "Dataset",
    "calibration_samples",
    "check_unchanged",
    "fingerprint",
    "known_sources",
    "load_data",
]
