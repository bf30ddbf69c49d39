"""The meaning of a figure's colours: the values drawn, between which limits, and in what words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.ticker import MaxNLocator

from cam_core import maps
from cam_core.figures.design import Design, Row
from cam_core.numbers import significant
from cam_core.overlay import Limits, display_values, limits
from cam_core.types import Explanation, FloatArray


class Scale:
    """The one scale of a figure.

    Attributes:
        limits: values at the two ends of the colour bar.
        label: what they are.
        ticks, numbers: where the colour bar has numbers, and which.
    """

    def __init__(self, rows: Sequence[Row], design: Design) -> None:
        self._signed, self._shared = design.signed, design.shared
        self.limits: Limits = (-1.0, 1.0) if design.signed else (0.0, 1.0)
        if design.shared:
            # Upsampling never leaves a map's own range, so the maps as they are will do.
            raw_maps = [
                explanation.map if design.signed else explanation.map.clip(min=0)
                for row in rows
                for explanation in row.explanations
            ]
            self.limits = limits(raw_maps, signed=design.signed)
        self.label = f"{'raw' if design.shared else 'relative'} {'value' if design.signed else 'saliency'}"
        low, high = self.limits
        ticks = MaxNLocator(nbins=4).tick_values(low, high) if high > low else np.array([low])
        self.ticks = [float(tick) for tick in ticks if low <= tick <= high]
        self.numbers = [significant(tick, 3) for tick in self.ticks]

    def values(self, explanation: Explanation, size: tuple[int, int]) -> FloatArray:
        """(H, W) between `limits`."""
        values = display_values(explanation.map, size, signed=self._signed, part=explanation.part)
        if self._shared:
            return values
        if not self._signed:
            return maps.normalise(torch.from_numpy(values)[None])[0].numpy()
        largest = float(np.abs(values).max())
        return values / largest if largest > 0 else values

    def empty(self, explanation: Explanation) -> bool:
        """Whether there is nothing to see, which a figure has to say."""
        raw = torch.from_numpy(explanation.map)[None]
        return bool(maps.is_constant(raw if self._signed else raw.relu())[0])
