"""Every method once more, slowly and literally, in float64: the formula of the paper, and nothing clever.

The product splits, folds, batches and caches; here a plain copy of the whole network runs again and again, is read and
rewritten by hooks, and loops do the rest. Two programs that share no line and agree to 1e-5 are the check.

Where a published package uses another constant than the paper, the literal function takes that constant as an argument:
tests chain "product = paper's constants" and "peer = peer's constants".
"""

from tests.literal.activation_cams import (
    ablation_cam,
    eigen_cam,
    is_cam,
    masks_after_upsampling,
    masks_before_upsampling,
    principal_projection,
    score_cam,
    ss_cam,
)
from tests.literal.attention import attention_multipliers, class_token_rows, softmax_multipliers
from tests.literal.games import channel_game, permutation_values, position_game, shap_cam, shapley_values
from tests.literal.gradient_cams import (
    cam,
    eigen_grad_cam,
    finer_cam,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    refine_cam,
    shapley_cam,
    smooth_grad_cam_plus_plus,
    xgrad_cam,
)
from tests.literal.network import Hooked, LiteralMap, min_max, saliency, upsample
from tests.literal.opti import opti_cam
from tests.literal.rescale import lift_cam, rescale_contributions

__all__ = [
    "Hooked",
    "LiteralMap",
    "ablation_cam",
    "attention_multipliers",
    "cam",
    "channel_game",
    "class_token_rows",
    "eigen_cam",
    "eigen_grad_cam",
    "finer_cam",
    "grad_cam",
    "grad_cam_plus_plus",
    "hires_cam",
    "is_cam",
    "layer_cam",
    "lift_cam",
    "masks_after_upsampling",
    "masks_before_upsampling",
    "min_max",
    "opti_cam",
    "permutation_values",
    "position_game",
    "principal_projection",
    "refine_cam",
    "rescale_contributions",
    "saliency",
    "score_cam",
    "shap_cam",
    "shapley_cam",
    "shapley_values",
    "smooth_grad_cam_plus_plus",
    "softmax_multipliers",
    "ss_cam",
    "upsample",
    "xgrad_cam",
]
