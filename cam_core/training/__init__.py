"""Train networks that explain themselves, and the networks they are compared with."""

from cam_core.training.data import BUILT_IN, DOWNLOADED, open_data
from cam_core.training.digits import DigitsSet
from cam_core.training.errors import TrainingError
from cam_core.training.image_sets import ImageSet, TrainingData
from cam_core.training.lfi import train
from cam_core.training.reports import EpochReport, TrainResult
from cam_core.training.settings import TrainSettings

__all__ = [
    "BUILT_IN",
    "DOWNLOADED",
    "DigitsSet",
    "EpochReport",
    "ImageSet",
    "TrainResult",
    "TrainSettings",
    "TrainingData",
    "TrainingError",
    "open_data",
    "train",
]
