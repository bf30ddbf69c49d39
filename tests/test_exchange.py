"""Maps from elsewhere come in, ours go out: arrays, files, and a bar where nobody listens."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from cam_core import SAMPLES, CamError, Explanation, evaluate, explain, explanation_from_array
from cam_core.analysis.comparison import comparison_report, drawn_maps
from cam_core.analysis.foreign import read_map
from cam_core.figures import heatmap_figure
from cam_core.figures.comparing import row_of
from cam_core.files import npy
from cam_core.notebooks import bars
from tests.tiny import tiny_classifier

PHOTO = SAMPLES[0].open()


def from_elsewhere(values: object, title: str = "zennit") -> Explanation:
    return explanation_from_array(tiny_classifier("plain"), PHOTO, np.asarray(values), title=title)


def test_our_own_map_comes_back_as_it_went_out() -> None:
    clf = tiny_classifier("plain")
    ours = explain(clf, PHOTO, method="grad-cam")
    theirs = explanation_from_array(clf, PHOTO, ours.map, title="the same", target=ours.target)
    np.testing.assert_array_equal(theirs.map, ours.map)
    np.testing.assert_array_equal(theirs.saliency, ours.saliency)
    assert (theirs.target, theirs.label, theirs.image_sha256) == (ours.target, ours.label, ours.image_sha256)
    assert theirs.score == pytest.approx(ours.score, rel=1e-6)
    for metric in ("average-drop", "deletion-auc"):
        value = evaluate(clf, PHOTO, theirs, metric=metric).value
        assert value == pytest.approx(evaluate(clf, PHOTO, ours, metric=metric).value, rel=1e-6)


def test_a_foreign_map_stands_beside_ours() -> None:
    clf = tiny_classifier("plain")
    ours = explain(clf, PHOTO, method="grad-cam")
    theirs = from_elsewhere(np.arange(12.0).reshape(3, 4))
    report = comparison_report([ours, theirs], clf.predict(PHOTO), ours.target)
    assert report.titles == ("Grad-CAM", "zennit")
    assert [drawn.signed for drawn in drawn_maps([ours, theirs], (8, 8), signed=True)] == [True, False]
    assert [drawn.signed for drawn in drawn_maps([from_elsewhere([[-1, 2]])], (8, 8), signed=True)] == [True]
    heatmap_figure([row_of(clf, PHOTO, [ours, theirs])])


def test_another_target_can_be_meant() -> None:
    made = explanation_from_array(tiny_classifier("plain"), PHOTO, np.eye(3), title="mine", target="class 0 - class 1")
    assert isinstance(made.target, str)
    assert made.probability is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros(3), r"an array \(h, w\) of real numbers, not float64 of shape \(3,\)"),
        (np.zeros((0, 3)), "real numbers"),
        (np.zeros((2, 2), dtype=complex), "complex128"),
        (np.array([["a", "b"]]), "real numbers"),
        (np.array([[1.0, np.nan]]), "not finite"),
    ],
)
def test_what_is_no_map_is_refused(values: object, said: str) -> None:
    with pytest.raises(CamError, match=said):
        from_elsewhere(values)


def test_a_map_in_a_file_is_read_as_numpy_reads_it() -> None:
    for values in (
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12, dtype=np.int16).reshape(3, 4)),
        np.arange(12, dtype=">f4").reshape(1, 1, 3, 4),
        np.eye(3, dtype=bool),
    ):
        np.testing.assert_array_equal(read_map(npy(values)), values.reshape(values.shape[-2:]).astype(np.float32))
    np.testing.assert_array_equal(read_map(npy(np.array([[-2.0, 1.0]])), magnitude=True), [[2, 1]])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "numpy.save"),
        (b"PK\x03\x04 an archive", "numpy.save"),
        (npy(np.eye(3))[:20], "numpy.save"),
        (npy(np.eye(3))[:-1], "cut off"),
        (npy(np.eye(3)) + b" ", "cut off"),
        (npy(np.eye(3)).replace(b"(3, 3)", b"(9, 9)"), "cut off"),
        (npy(np.zeros((2, 2, 2))), "real numbers"),
        (npy(np.array([[1e300, 0]])), "not finite"),
        (npy(np.zeros((2, 2))), "it marks nothing"),
        (npy(np.eye(2, 5000)), "at most 4096"),
    ],
)
def test_a_file_without_a_map_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(CamError, match=said):
        read_map(content)


def test_objects_in_a_file_are_never_read() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([[print]], dtype=object), allow_pickle=True)
    with pytest.raises(CamError, match="objects, which are never read"):
        read_map(buffer.getvalue())


def test_a_foreign_map_is_not_explained_again() -> None:
    """Metrics that would have to make it again say so."""
    with pytest.raises(CamError, match="to explain by changed networks"):
        evaluate(tiny_classifier("plain"), PHOTO, from_elsewhere(np.eye(3)), metric="parameter-randomisation")


@pytest.mark.parametrize("title", ["", "  ", "grad-cam"])
def test_a_name_that_misleads_is_refused(title: str) -> None:
    with pytest.raises(CamError, match="a name that no method has"):
        from_elsewhere(np.eye(2), title)


@pytest.mark.parametrize("method", ["grad-cam", "hires-cam", "opti-cam"])
def test_a_saved_explanation_is_read_again(tmp_path: Path, method: str) -> None:
    made = explain(tiny_classifier("plain"), PHOTO, method=method, **({"steps": 2} if method == "opti-cam" else {}))
    made.save(tmp_path / "made.npz")
    again = Explanation.load(tmp_path / "made.npz")
    assert again.to_dict() == made.to_dict()


def test_numpy_alone_reads_what_was_saved(tmp_path: Path) -> None:
    made = explain(tiny_classifier("plain"), PHOTO, method="grad-cam")
    made.save(tmp_path / "made.npz")
    with np.load(tmp_path / "made.npz", allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["map"], made.map)
        manifest = json.loads(str(stored["manifest"]))
    assert manifest["method"] == "grad-cam"
    assert manifest["label"] == made.label
    assert "map" not in manifest


def no_zip(path: Path) -> None:
    path.write_bytes(b"not an archive")


def other_arrays(path: Path) -> None:
    np.savez(path, map=np.zeros((2, 2)))


def no_json(path: Path) -> None:
    np.savez(path, manifest=np.array("{"), map=np.zeros((2, 2)))


def one_array(path: Path) -> None:
    np.save(path, np.zeros((2, 2)))
    path.with_suffix(".npz.npy").replace(path)


def pickled(path: Path) -> None:
    np.savez(path, manifest=np.array({"method": "x"}, dtype=object))


@pytest.mark.parametrize("write", [no_zip, other_arrays, no_json, one_array, pickled])
def test_another_file_is_refused(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path / "other.npz")
    with pytest.raises(ValueError, match=r"other\.npz is not an explanation that was saved"):
        Explanation.load(tmp_path / "other.npz")


def test_no_bar_outside_a_notebook() -> None:
    with bars.watched(None, "work") as progress:
        assert progress is None


def test_who_listens_needs_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "in_notebook", lambda: True)

    def listens(done: int, total: int) -> None: ...

    with bars.watched(listens, "work") as progress:
        assert progress is listens


def test_a_kernel_is_a_notebook_and_a_terminal_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert not bars.in_notebook()
    shell.kernel = object()
    assert bars.in_notebook()


def test_long_work_moves_a_bar_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bars, "in_notebook", lambda: True)
    clf = tiny_classifier("plain")
    alone = explain(clf, PHOTO, method="grad-cam")
    assert "Grad-CAM" not in capsys.readouterr().err
    with_bar = explain(clf, PHOTO, method="score-cam")
    assert "Score-CAM" in capsys.readouterr().err
    monkeypatch.undo()
    np.testing.assert_array_equal(with_bar.map, explain(clf, PHOTO, method="score-cam").map)
    assert alone.map.shape == with_bar.map.shape
