"""Fake-CAM: everything but the top-left pixel. It explains nothing and wins on average drop."""

from __future__ import annotations

from cam_core.methods.registry import method, no_pass
from cam_core.models.split.model import SplitModel
from cam_core.run import Run
from cam_core.types import Activations, ClassIndex, Images, RawMap


@method(
    "fake-cam",
    title="Fake-CAM (control)",
    plain="Everything but one corner pixel: it explains nothing, and yet does well on some metrics.",
    family="Controls",
    paper=(
        "Poppi et al., “Revisiting The Evaluation of Class Activation Mapping for Explainability: A Novel Metric and "
        "Experimental Analysis”, 2021, arXiv:2104.10252, section 3"
    ),
    formula="map = 1, but 0 at the top-left pixel of the image",
    cost="no pass beyond the prediction",
    planned=no_pass,
    fails="Always: it is there to show which metrics it fools.",
    score="none",
    signed=False,
    class_specific=False,
    control=True,
    claim="Average drop and average increase can be gamed without explaining anything.",
)
def fake_cam(net: SplitModel, image: Images, acts: Activations, target: ClassIndex, run: Run) -> RawMap:
    """Ones with a zero at the top-left pixel, at the image's own resolution (not the layer's): (B, H, W)."""
    ones = acts.new_ones(len(image), *image.shape[2:])
    ones[:, 0, 0] = 0
    return ones
