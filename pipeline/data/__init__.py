"""Real images and labels: one module for each source."""

from pipeline.data.calibration import calibration_samples, choice_samples, training_samples
from pipeline.data.dataset import Dataset
from pipeline.data.sources import fingerprint, known_sources, load_data
from pipeline.data.stored_images import Images, StoredImages, choose

__all__ = [
    "Dataset",
    "Images",
    "StoredImages",
    "calibration_samples",
    "choice_samples",
    "choose",
    "fingerprint",
    "known_sources",
    "load_data",
    "training_samples",
]
