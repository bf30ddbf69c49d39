"""The error that training raises on purpose."""

from __future__ import annotations

from cam_core.types import CamError


class TrainingError(CamError, ValueError):
    """A setting or a data set that cannot be trained with, a run that cannot be resumed, or a loss that diverged."""
