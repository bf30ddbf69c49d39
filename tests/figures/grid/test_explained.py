"""The maps of a spec: those that `explain` gives, each image as the network of its column sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cam_core import Cancelled, Classifier, Explanation, explain
from cam_core.figures import Column, FigureError, FigureSpec, Network, Shown, explain_grid
from cam_core.figures.grid.explained import image_opener
from cam_core.figures.grid.spec import Cell
from cam_core.images import image_digest, sample
from cam_core.types import ImageError
from tests.tiny import tiny_classifier

NETWORKS = {name: tiny_classifier(name) for name in ("plain", "residual")}
IMAGES = {
    name: Image.linear_gradient("L").resize(size).convert("RGB").rotate(turn)
    for name, size, turn in (("wide", (60, 40), 0), ("high", (40, 64), 90))
}
SPEC = FigureSpec(
    (Shown("wide", 2), Shown("high")),
    (
        Column("score-cam"),
        Column("grad-cam", layer="features.1"),
        Column("lift-cam", target=4, model=Network("residual")),
        Column("is-cam", (("steps", 3),)),
    ),
    Network("plain"),
    seed=5,
)


def network(asked: Network) -> Classifier:
    return NETWORKS[asked.name]


def test_maps_are_those_of_explain_in_their_places() -> None:
    grid = explain_grid(SPEC, open_image=IMAGES.__getitem__, open_network=network)
    wide, high = (row.explanations for row in grid.rows)
    for made, name, target in ((wide, "wide", 2), (high, "high", None)):
        expected = [
            explain(NETWORKS["plain"], IMAGES[name], method="score-cam", target=target),
            explain(NETWORKS["plain"], IMAGES[name], method="grad-cam", target=target, layer="features.1"),
            explain(NETWORKS["residual"], IMAGES[name], method="lift-cam", target=4),
            explain(NETWORKS["plain"], IMAGES[name], method="is-cam", target=target, steps=3),
        ]
        assert [one.method for one in made] == [one.method for one in expected]
        for one, other in zip(made, expected, strict=True):
            assert (one.target, one.layer, one.model, one.seed) == (other.target, other.layer, other.model, 5)
            np.testing.assert_array_equal(one.map, other.map)
    assert grid.rows[1].sha256 == image_digest(IMAGES["high"])


def test_frames_have_the_images_own_pixels() -> None:
    grid = explain_grid(SPEC, open_image=IMAGES.__getitem__, open_network=network)
    left, top, right, bottom = NETWORKS["plain"].preprocessing.box((60, 40))
    frame = grid.rows[0].frames[0]
    assert abs(frame.width - (right - left)) <= 1 and abs(frame.height - (bottom - top)) <= 1
    there = np.asarray(IMAGES["wide"]).astype(int)[round(top) + 3, round(left) + 3]
    assert np.abs(np.asarray(frame).astype(int)[3, 3] - there).max() <= 12, "the image goes from 0 to 255 in 40 pixels"


def test_progress_goes_from_nothing_to_all_and_may_stop_the_work() -> None:
    told: list[float] = []
    explain_grid(
        SPEC,
        open_image=IMAGES.__getitem__,
        open_network=network,
        progress=lambda done, total: told.append(done / total),
    )
    assert told == sorted(told) and told[-1] == 1 and len(set(told)) > 3

    def stop(done: int, total: int) -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        explain_grid(SPEC, open_image=IMAGES.__getitem__, open_network=network, progress=stop)


def test_what_is_kept_is_not_computed_again() -> None:
    kept: dict[Cell, Explanation] = {}
    computed: list[Cell] = []

    def keep(cell: Cell, compute: Callable[[], Explanation]) -> Explanation:
        if cell not in kept:
            computed.append(cell)
            kept[cell] = compute()
        return kept[cell]

    first = explain_grid(SPEC, open_image=IMAGES.__getitem__, open_network=network, keep=keep)
    assert [cell.column.method for cell in computed[:4]].count("score-cam") == 0, "cheap ones first"
    retitled = replace(SPEC, columns=(*SPEC.columns[::-1], replace(SPEC.columns[0], target=1)))
    second = explain_grid(retitled, open_image=IMAGES.__getitem__, open_network=network, keep=keep)
    assert len(computed) == 8 + 2
    assert second.rows[0].explanations[3] is first.rows[0].explanations[0]


def test_samples_and_paths_are_opened_and_another_image_is_refused(tmp_path: Path) -> None:
    IMAGES["wide"].save(tmp_path / "photo.png")
    opener = image_opener(tmp_path)
    assert image_digest(opener("photo.png")) == image_digest(IMAGES["wide"])
    assert image_digest(opener("panda")) == image_digest(sample("panda").open())
    with pytest.raises(ImageError, match=r"nothing.png cannot be opened"):
        opener("nothing.png")
    IMAGES["high"].save(tmp_path / "panda", "PNG")
    assert image_digest(opener("panda")) == image_digest(IMAGES["high"]), "a file goes before a sample"
    with pytest.raises(ImageError, match="cannot be opened"):
        image_opener(tmp_path)("no such sample")
    known = replace(SPEC.images[0], sha256=image_digest(IMAGES["wide"]))
    for shown in (known, SPEC.images[1]):
        spec = replace(SPEC, images=(replace(shown, sha256=known.sha256),), columns=(Column("grad-cam"),))
        if shown is known:
            assert explain_grid(spec, open_image=IMAGES.__getitem__, open_network=network)
        else:
            with pytest.raises(FigureError, match="high is another image than the spec was made with"):
                explain_grid(spec, open_image=IMAGES.__getitem__, open_network=network)
