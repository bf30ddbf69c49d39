"""cam_core: class-activation maps of convolutional classifiers, computed on the split network.

>>> from cam_core import explain, load_model
>>> explanation = explain(load_model("efficientnet_lite0"), image, method="lift-cam")
"""

from cam_core.explain import explain, explain_batch
from cam_core.images import SAMPLES, load_image
from cam_core.methods import METHODS
from cam_core.models.catalog import CATALOG, load_model
from cam_core.models.classifier import Classifier
from cam_core.types import CamError, Cancelled, Explanation, LayerInfo, Passes

__version__ = "0.1.0"

__all__ = [
    "CATALOG",
    "METHODS",
    "SAMPLES",
    "CamError",
    "Cancelled",
    "Classifier",
    "Explanation",
    "LayerInfo",
    "Passes",
    "explain",
    "explain_batch",
    "load_image",
    "load_model",
]
