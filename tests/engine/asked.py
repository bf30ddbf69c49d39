"""The evaluation that the tests of engines ask for."""

from __future__ import annotations

from typing import Any

from cam_core.models.origin import Origin

RESIDUAL = Origin(function="tests.engine.networks:residual")
ASKED: dict[str, Any] = {"methods": ["grad-cam", "random"], "metrics": ["average-drop", "complexity"]}
