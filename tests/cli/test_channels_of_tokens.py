"""`channels` on the transformer that comes along."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def test_shares_of_heads_are_no_coefficients_of_channels(refuse: Callable[..., str], photo: Path) -> None:
    asked = ("-m", "vit_digits", "--budget", 16, "-M", "opti-cam", "-p", "opti-cam:channels=class-attention")
    line = refuse("channels", photo, *asked, "-p", "opti-cam:steps=1")
    assert line == "opti-cam has no coefficient for each channel with these parameters"
