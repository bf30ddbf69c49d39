"""Deletion and insertion curves: pictures, points, frames, and the spread of the random control."""

from cam_core.metrics.curves import areas  # noqa: F401  (importing it registers its metrics)
