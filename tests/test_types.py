"""Records of explanations: what was written under former names is read as ever."""

from __future__ import annotations

import numpy as np
import pytest

from cam_core import Explanation, Passes


def explanation() -> Explanation:
    plane = np.ones((2, 2), dtype=np.float32)
    return Explanation("grad-cam", "a network", "layer", 1, "cat", 2.5, 0.7, plane, plane, passes=Passes(1, 2))


def test_passes_go_by_their_former_name_with_a_warning() -> None:
    with pytest.deprecated_call(match="passes"):
        assert explanation().evaluations == Passes(1, 2)


def test_a_record_with_the_former_name_is_read() -> None:
    record = explanation().to_dict()
    former = {("evaluations" if name == "passes" else name): value for name, value in record.items()}
    assert Explanation.from_dict(former).to_dict() == record


def test_a_record_from_before_untrained_networks_were_marked_is_of_a_trained_one() -> None:
    record = explanation().to_dict()
    assert record.pop("trained") is True
    assert Explanation.from_dict(record).trained
