"""What was given by position is a keyword now; for one version more its position is understood, with a warning."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cam_core import Classifier, Explanation, evaluate, evaluate_batch, explain, explain_batch
from cam_core.deprecated import formerly_positional
from cam_core.evaluation.folder import evaluate_folder
from cam_core.metrics import evaluate_many
from cam_core.metrics.curves.frames import Film
from cam_core.metrics.curves.points import curve_points
from cam_core.shapley import channel_shap, remove_channels, stream_channel_shap
from tests.metrics.scenes import random_maps
from tests.tiny import tiny_classifier, tiny_images

CLF = tiny_classifier("plain")
IMAGE = tiny_images(1)[0]
MAP = random_maps(1)[0]
LAYER = "features.1"

Calls = dict[str, tuple[Callable[[], Any], Callable[[], Any]]]

# By name: the call by position as it was, and as it is now.
CALLS: Calls = {
    "explain": (
        lambda: explain(CLF, IMAGE, "random", LAYER, 2, 5, None, "float64", False),
        lambda: explain(CLF, IMAGE, method="random", layer=LAYER, target=2, seed=5, precision="float64"),
    ),
    "explain_batch": (
        lambda: explain_batch(CLF, [IMAGE], "random", LAYER, [2], 5, None, "float64"),
        lambda: explain_batch(CLF, [IMAGE], method="random", layer=LAYER, targets=[2], seed=5, precision="float64"),
    ),
    "evaluate": (
        lambda: evaluate(CLF, IMAGE, MAP, "deletion-auc", 2, steps=4),
        lambda: evaluate(CLF, IMAGE, MAP, metric="deletion-auc", target=2, steps=4),
    ),
    "evaluate_batch": (
        lambda: evaluate_batch(CLF, [IMAGE], [MAP], "average-drop", [2]),
        lambda: evaluate_batch(CLF, [IMAGE], [MAP], metric="average-drop", targets=[2]),
    ),
    "evaluate_many": (
        lambda: list(evaluate_many(CLF, IMAGE, MAP, ["average-drop"], 2)),
        lambda: list(evaluate_many(CLF, IMAGE, MAP, metrics=["average-drop"], target=2)),
    ),
    "curve_points": (
        lambda: list(curve_points(CLF, IMAGE, {"m": MAP}, ["insertion"], 2, steps=4)),
        lambda: list(curve_points(CLF, IMAGE, {"m": MAP}, kinds=["insertion"], target=2, steps=4)),
    ),
    "Film": (
        lambda: Film(CLF, IMAGE, {"m": MAP}, ["insertion"], 2).at(0.5),
        lambda: Film(CLF, IMAGE, {"m": MAP}, kinds=["insertion"], target=2).at(0.5),
    ),
    "channel_shap": (
        lambda: channel_shap(CLF, IMAGE, LAYER, 2, "permutation", 40, 5, None, "float64"),
        lambda: channel_shap(
            CLF, IMAGE, layer=LAYER, target=2, estimator="permutation", budget=40, seed=5, precision="float64"
        ),
    ),
    "stream_channel_shap": (
        lambda: next(stream_channel_shap(CLF, IMAGE, LAYER, 2, "permutation", 40, 5)),
        lambda: next(
            stream_channel_shap(CLF, IMAGE, layer=LAYER, target=2, estimator="permutation", budget=40, seed=5)
        ),
    ),
    "remove_channels": (
        lambda: remove_channels(CLF, IMAGE, LAYER, 2, [1, 0], None, "float64"),
        lambda: remove_channels(CLF, IMAGE, layer=LAYER, target=2, order=[1, 0], precision="float64"),
    ),
    "predict": (
        lambda: CLF.predict(IMAGE, 2),
        lambda: CLF.predict(IMAGE, top=2),
    ),
    "logits": (
        lambda: CLF.logits(IMAGE[None].double(), "float64"),
        lambda: CLF.logits(IMAGE[None].double(), precision="float64"),
    ),
}


def plain(value: Any) -> Any:
    """What can be compared by `==`: everything but how long it took."""
    if isinstance(value, Explanation):
        return {name: entry for name, entry in value.to_dict().items() if name != "seconds"}
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.tolist()
    if isinstance(value, Image.Image):
        return value.tobytes()
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if hasattr(value, "__dict__"):
        return plain(vars(value))
    return value


@pytest.mark.parametrize("name", CALLS)
def test_both_forms_give_the_same_and_the_former_one_warns(name: str) -> None:
    former, present = CALLS[name]
    with pytest.warns(DeprecationWarning, match="give by keyword what follows the first"):
        old = former()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        new = present()
    assert plain(old) == plain(new)


def test_the_options_of_these_calls_matter() -> None:
    """Otherwise an argument that got lost would not be seen."""
    default = explain(CLF, IMAGE, method="random", layer=LAYER)
    named = CALLS["explain"][1]()
    assert (named.target, named.seed, named.precision) == (2, 5, "float64")
    assert default.target != 2 and default.map.tolist() != named.map.tolist()


def test_a_folder_is_evaluated_alike(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    asked = {"methods": ["random"], "metrics": ["average-drop"]}
    with pytest.warns(DeprecationWarning, match=r"methods=…, metrics=…, out=…"):
        old = list(evaluate_folder(CLF, tmp_path, *asked.values(), tmp_path / "old"))
    assert old == list(evaluate_folder(CLF, tmp_path, **asked, out=tmp_path / "new"))


def test_the_warning_points_at_the_caller() -> None:
    with pytest.warns(DeprecationWarning, match="top=…") as caught:
        CALLS["predict"][0]()
    assert [Path(entry.filename) for entry in caught] == [Path(__file__)]


@formerly_positional("b", "c")
def added(a: int, *, b: int = 0, c: int = 0) -> Iterator[int]:
    yield a + b + c


def test_what_never_was_possible_is_refused_as_ever() -> None:
    with pytest.raises(TypeError, match="takes 1 positional argument"):
        added(1, 2, 3, 4)
    with pytest.raises(TypeError, match="takes 1 positional argument"):
        added(1, 2, b=3)
    with pytest.raises(TypeError, match="unexpected keyword"):
        added(1, d=3)


def test_required_keywords_are_missed_by_name() -> None:
    with pytest.raises(TypeError, match="metric"):
        evaluate(CLF, IMAGE, MAP)


PUBLIC = (
    explain,
    explain_batch,
    evaluate,
    evaluate_batch,
    evaluate_many,
    curve_points,
    channel_shap,
    stream_channel_shap,
    remove_channels,
    evaluate_folder,
    Film.__init__,
    Classifier.predict,
    Classifier.logits,
)
SUBJECTS = {"self", "clf", "image", "images", "folder", "saliency", "saliencies"}


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__qualname__)
def test_by_position_goes_only_what_the_question_is_about(function: Callable[..., Any]) -> None:
    parameters = inspect.signature(function).parameters.values()
    assert {p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD} <= SUBJECTS
    assert {p.kind for p in parameters} >= {inspect.Parameter.KEYWORD_ONLY}
