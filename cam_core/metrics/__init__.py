"""Metrics of maps: faithfulness, localisation, robustness, and how sure a mean over images is.

One file per group of metrics; importing it here registers them. The order is the order of every picker and table.
"""

from cam_core.metrics import (  # noqa: I001, F401  (the order is the registry's)
    confidence,
    curves,
    road,
    composite,
    localization,
    sparseness,
    max_sensitivity,
    infidelity,
    randomisation,
)
from cam_core.metrics.base import METRICS, Metric, MetricResult, Scores, metric
from cam_core.metrics.evaluating import evaluate, evaluate_batch, evaluate_many

__all__ = ["METRICS", "Metric", "MetricResult", "Scores", "evaluate", "evaluate_batch", "evaluate_many", "metric"]
