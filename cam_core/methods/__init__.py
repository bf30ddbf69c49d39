"""One file per method; importing it here registers it. The order is the order of every picker and table."""

from cam_core.methods import (  # noqa: I001, F401  (the order is the registry's)
    cam,
    grad_cam,
    grad_cam_plus_plus,
    smooth_grad_cam_plus_plus,
    xgrad_cam,
    hires_cam,
    layer_cam,
    eigen_cam,
    eigen_grad_cam,
    score_cam,
    ss_cam,
    is_cam,
    ablation_cam,
    shapley_cam,
    finer_cam,
    refine_cam,
    lift_cam,
    owen_cam,
    shap,
    lrp_cam,
    lime_cam,
    shap_cam,
    opti_cam,
    lfi_cam,
    random_map,
    fake_cam,
)
from cam_core.methods.registry import METHODS, Method, Result, is_signed, method, title_of
from cam_core.declarations.parameters import DeclaredParameter, Parameter

__all__ = ["METHODS", "DeclaredParameter", "Method", "Parameter", "Result", "is_signed", "method", "title_of"]
