"""cam_core: class-activation maps of convolutional classifiers, computed on the split network.

Examples:
    Networks, methods, metrics and sample photos are listed by name:

    >>> from cam_core import CATALOG, METHODS, METRICS, SAMPLES
    >>> CATALOG["resnet50"].title, METHODS["lift-cam"].title, METRICS["average-drop"].direction
    ('ResNet-50', 'LIFT-CAM', 'lower')
    >>> [sample.key for sample in SAMPLES[:3]]
    ['dog', 'chelsea', 'panda']

    One of each makes an explanation, and a number that says how far to trust it:

    >>> from cam_core import evaluate, explain, load_model
    >>> clf, photo = load_model("efficientnet_lite0"), SAMPLES[0].open()
    >>> explanation = explain(clf, photo, method="lift-cam")
    >>> explanation.label, explanation.saliency.shape
    ('German shepherd', (224, 224))
    >>> 0 <= evaluate(clf, photo, explanation, metric="average-drop").value <= 100
    True
"""

from typing import TYPE_CHECKING, Any

from cam_core.applicability import methods_at
from cam_core.explain import explain, explain_batch
from cam_core.images import SAMPLES, load_image
from cam_core.methods import METHODS
from cam_core.models.classifier import Classifier
from cam_core.models.load import CATALOG, load_model
from cam_core.notebooks.drawn import drawn_by
from cam_core.types import CamError, Cancelled, Explanation, LayerInfo, Passes
from cam_core.version import __version__ as __version__

if TYPE_CHECKING:
    from cam_core.analysis.foreign import explanation_from_array
    from cam_core.figures import compare
    from cam_core.metrics import METRICS, evaluate, evaluate_batch

__all__ = [
    "CATALOG",
    "METHODS",
    "METRICS",
    "SAMPLES",
    "CamError",
    "Cancelled",
    "Classifier",
    "Explanation",
    "LayerInfo",
    "Passes",
    "compare",
    "evaluate",
    "evaluate_batch",
    "explain",
    "explain_batch",
    "explanation_from_array",
    "load_image",
    "load_model",
    "methods_at",
]


def __getattr__(name: str) -> Any:
    """The upper floors are loaded when first asked for: whoever only explains does without what they need."""
    if name in ("METRICS", "evaluate", "evaluate_batch"):
        from cam_core import metrics

        return getattr(metrics, name)
    if name == "compare":
        from cam_core import figures

        return figures.compare
    if name == "explanation_from_array":
        from cam_core.analysis import foreign

        return foreign.explanation_from_array
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@drawn_by
def _draw(result: object) -> str:
    from cam_core.figures.drawings import html_of

    return html_of(result)
