"""What methods will cost: the passes that they announce are those that they make."""

from __future__ import annotations

import pytest

from cam_core import METHODS, explain, methods_at
from cam_core.analysis.costs import Cost, Pace, method_costs, pace_at
from cam_core.methods.registry import Planned, Site
from cam_core.types import Passes
from tests.tiny import TINY, tiny_classifier, tiny_images

MAY_END_EARLY = {"opti-cam"}  # when its objective falls


@pytest.mark.parametrize(("network", "layer"), [(key, layer) for key in TINY for layer in TINY[key].layers])
def test_methods_make_no_more_passes_than_they_announce_and_little_less(network: str, layer: str) -> None:
    clf, image = tiny_classifier(network), tiny_images(1)[0]
    costs = method_costs(clf, layer, Pace(1.0, 1.0))
    reasons = methods_at(clf, layer)
    for key, method in METHODS.items():
        if reasons[key]:
            continue
        made = explain(clf, image, method=key, layer=None if method.multi_layer else layer).passes
        beside = max(made.head - 1, made.tail - 1)  # one of each predicts
        assert beside <= costs[key].passes, key
        if key not in MAY_END_EARLY:
            assert beside >= costs[key].passes / 2, key


@pytest.mark.parametrize("layer", TINY["plain"].layers)
def test_who_asks_first_does_not_pay_for_whoever_asks_next(layer: str) -> None:
    clf, image = tiny_classifier("plain", seed=7), tiny_images(1)[0]
    first, second = (explain(clf, image, method="lift-cam", layer=layer).passes for _ in range(2))
    assert first == second == Passes(1, 2)
    assert method_costs(clf, layer, Pace(1.0, 1.0))["lift-cam"].passes == 1


@pytest.mark.parametrize(
    ("key", "params", "planned"),
    [
        ("score-cam", {}, Planned(12, 12)),
        ("ss-cam", {"samples": 3}, Planned(36, 36)),
        ("ablation-cam", {}, Planned(tail=13)),
        ("opti-cam", {}, Planned(101, 101, Passes(100, 100))),
        ("opti-cam", {"preset": "repo"}, Planned(51, 51, Passes(50, 50))),
        ("opti-cam", {"steps": 7}, Planned(8, 8, Passes(7, 7))),
        ("shap-cam", {"permutations": 10}, Planned(tail=2 + 10 * 19)),
        ("shap", {}, Planned(tail=4096)),
        ("refine-cam", {}, Planned(2, 3, Passes(0, 3))),
    ],
)
def test_passes_follow_from_the_layer_and_the_parameters(key: str, params: dict[str, object], planned: Planned) -> None:
    site = Site(channels=12, positions=20, layers=3, pooled=False)
    assert METHODS[key].planned(site, METHODS[key].validate(params)) == planned


def test_where_there_is_a_closed_form_it_costs_next_to_nothing() -> None:
    site = Site(channels=1280, positions=49, layers=3, pooled=True)
    planned = {key: METHODS[key].planned(site, METHODS[key].validate({})).tail for key in ("shap", "ablation-cam")}
    assert planned == {"shap": 2, "ablation-cam": 1}


def test_seconds_are_those_of_the_halves_and_twice_as_many_for_the_way_back() -> None:
    pace = Pace(head=0.5, tail=0.25)
    assert pace.seconds(Planned()) == 0
    assert pace.seconds(Planned(head=4, tail=2)) == 4 * 0.5 + 2 * 0.25
    assert pace.seconds(Planned(tail=1, backward=Passes(0, 1))) == 0.25 + 2 * 0.25
    assert pace.seconds(Planned(1, 1, Passes(1, 1))) == 3 * 0.75


def test_a_pace_is_measured_and_a_method_costs_what_its_passes_take() -> None:
    clf = tiny_classifier("plain")
    pace = pace_at(clf, "features.1")
    assert 0 < pace.head < 1 and 0 < pace.tail < 1
    assert method_costs(clf, "features.1", pace)["score-cam"] == Cost(6, pytest.approx(6 * (pace.head + pace.tail)))
