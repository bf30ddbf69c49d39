"""What is taken along gives the numbers on the screen: script, command, settings and zip of every page."""

from __future__ import annotations

import ast
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from streamlit.testing.v1 import AppTest

from cam_core import Explanation
from cam_core.analysis.channels import channel_csv
from cam_core.analysis.contrast import Contrast
from cam_core.analysis.curves import curves_csv
from cam_core.cli import inputs
from cam_core.figures.grid import explained
from cam_core.version import __version__
from pages.shared.sharing import settings
from pages.shared.sharing.section import PAGES
from pages.shared.sharing.settings import SettingsError, View
from tests.cli.calls import run
from tests.pages.app_runs import BUNDLED, Open, encoded, load_tiny, noise, settle, upload
from tests.pages.taken import Shared, array, executed, opened

LINKS: dict[str, dict[str, Any]] = {
    "compare": {"methods": ["Grad-CAM", "Opti-CAM"], "opti-cam.steps": "3", "class": "2", "seed": "4"},
    "channels": {"budget": "16", "beside": ["LIFT-CAM"], "class": "1", "layer": "features.0"},
    "deletion": {"steps": "14", "methods": ["Grad-CAM", "LIFT-CAM"], "score": "Logit", "baseline": "Mean"},
    "classes": {"methods": ["Grad-CAM"], "pair-budget": "16", "sample": "dog"},
    "figure": {"photos": ["Cat"], "shown": ["Grad-CAM", "IS-CAM"], "is-cam.steps": "3", "dpi": "150", "class": "2"},
}


def visit(open_app: Open, page: str, **link: Any) -> AppTest:
    return open_app(**({} if page == "compare" else {"page": f"pages/{page}/page.py"}), **link)


@pytest.fixture
def shared(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shared]:
    def shared(page: str) -> Shared:
        return opened(visit(open_app, page, **LINKS[page]), page, monkeypatch)

    return shared


def assert_table(shown: bytes, made: bytes) -> None:
    ours, theirs = (pandas.read_csv(io.BytesIO(content)) for content in (shown, made))
    pandas.testing.assert_frame_equal(ours, theirs, rtol=1e-4, atol=1e-6)


def assert_maps(bundle: dict[str, bytes], made: dict[str, Explanation]) -> None:
    assert {name for name in bundle if name.startswith("maps/")} == {f"maps/{name}.npy" for name in made}
    for name, explanation in made.items():
        np.testing.assert_allclose(array(bundle[f"maps/{name}.npy"]), explanation.map, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(array(bundle[f"saliency/{name}.npy"]), explanation.saliency, atol=1e-4)


def test_compare(shared: Callable[..., Shared], monkeypatch: pytest.MonkeyPatch) -> None:
    given = shared("compare")
    made = executed(given.script, monkeypatch)["explanations"]
    assert [explanation.params.get("steps") for explanation in made] == [None, 3]
    assert {explanation.target for explanation in made} == {2}
    assert_maps(given.bundle, {explanation.method: explanation for explanation in made})


def test_channels(shared: Callable[..., Shared], monkeypatch: pytest.MonkeyPatch) -> None:
    given = shared("channels")
    report = executed(given.script, monkeypatch)["report"]
    assert (report.layer, report.target, report.budget) == ("features.0", 1, 16)
    assert_table(given.bundle["channels.csv"], channel_csv(report))


def test_deletion(shared: Callable[..., Shared], monkeypatch: pytest.MonkeyPatch) -> None:
    given = shared("deletion")
    names = executed(given.script, monkeypatch)
    assert names["report"].score == "logit"
    assert_maps(given.bundle, names["maps"])
    keys = ["method", "kind", "fraction"]
    shown, made = (
        pandas.read_csv(io.BytesIO(content)).sort_values(keys, ignore_index=True)
        for content in (given.bundle["curves.csv"], curves_csv(names["report"]))
    )
    pandas.testing.assert_frame_equal(shown, made, rtol=1e-4, atol=1e-6)


def test_classes(shared: Callable[..., Shared], monkeypatch: pytest.MonkeyPatch) -> None:
    given = shared("classes")
    contrasts: dict[str, Contrast] = executed(given.script, monkeypatch)["contrasts"]
    maps = {f"{key}-{side}": getattr(contrast, side) for key, contrast in contrasts.items() for side in ("a", "b")}
    between = {f"{key}-contrast": contrast.between for key, contrast in contrasts.items() if contrast.between}
    assert_maps(given.bundle, maps | between)


def test_figure(shared: Callable[..., Shared], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Script and command draw the same bytes, and the maps of the zip are those in the figure."""
    given = shared("figure")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(explained, "load_model", load_tiny)
    grid = executed(given.script, monkeypatch)["grid"]
    assert (tmp_path / "figure.pdf").read_bytes() == given.bundle["figure.pdf"]
    assert [made.params.get("steps") for made in grid.explanations] == [None, 3] * 2
    names = [f"{row}-{column}-{key}" for row in (1, 2) for column, key in ((1, "grad-cam"), (2, "is-cam"))]
    assert_maps(given.bundle, dict(zip(names, grid.explanations, strict=True)))
    monkeypatch.setattr(inputs, "load_model", load_tiny)
    (tmp_path / "figure.json").write_bytes(given.bundle["figure.json"])
    assert run(*shlex.split(given.command)[3:]).exit_code == 0
    for name in ("figure.pdf", "figure.tex", "figure.bib"):
        assert (tmp_path / name).read_bytes() == given.bundle[name]


def test_the_script_of_a_figure_opens_what_no_file_name_says(
    open_app: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A part of a photo, an untrained network beside a trained one."""
    at = upload(
        open_app(page="pages/figure/page.py", columns="Networks", dpi="150"), encoded(noise((300, 40))), "a.png"
    )
    at.slider(key="part").set_value(20).run()
    given = opened(settle(at), "figure", monkeypatch)
    assert not given.command, "no shell has that part"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(encoded(noise((300, 40))))
    monkeypatch.setattr(explained, "load_model", load_tiny)
    executed(given.script, monkeypatch)
    assert (tmp_path / "figure-untrained.pdf").read_bytes() == given.bundle["figure-untrained.pdf"]


def test_the_command_gives_the_same_maps(
    shared: Callable[..., Shared], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    given = shared("compare")
    words = shlex.split(given.command)
    assert words[:3] == ["python", "-m", "cam_core"]
    monkeypatch.setattr(inputs, "load_model", load_tiny)
    result = run(*words[3:], "--json", tmp_path / "made.json")
    assert result.exit_code == 0, result.stderr
    made = [Explanation.from_dict(each) for each in json.loads((tmp_path / "made.json").read_text())["explanations"]]
    assert_maps(given.bundle, {explanation.method: explanation for explanation in made})


@pytest.mark.parametrize("page", ["channels", "deletion"])
def test_other_commands_are_taken_by_the_shell(
    page: str, shared: Callable[..., Shared], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    given = shared(page)
    monkeypatch.setattr(inputs, "load_model", load_tiny)
    result = run(*shlex.split(given.command)[3:], "--csv", tmp_path / "made.csv")
    assert result.exit_code == 0, result.stderr
    keys = ["channel"] if page == "channels" else ["method", "kind", "fraction"]
    shown, made = (
        pandas.read_csv(io.BytesIO(content)).sort_values(keys, ignore_index=True)
        for content in (
            given.bundle["channels.csv" if page == "channels" else "curves.csv"],
            (tmp_path / "made.csv").read_bytes(),
        )
    )
    pandas.testing.assert_frame_equal(shown, made, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("page", LINKS)
def test_settings_open_the_same_view(
    page: str, shared: Callable[..., Shared], open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = shared(page)
    view = settings.read(given.settings, PAGES)
    assert view.page == ("" if page == "compare" else page)
    again = opened(visit(open_app, page, **view.choices), page, monkeypatch)
    assert again.script == given.script
    maps = [name for name in given.bundle if name.endswith(".npy")]
    assert maps
    assert [again.bundle[name] for name in maps] == [given.bundle[name] for name in maps]


@pytest.mark.parametrize("page", LINKS)
def test_the_zip_says_what_it_is(page: str, shared: Callable[..., Shared]) -> None:
    bundle = shared(page).bundle
    told = {"README.txt", "SHA256SUMS", "facts.json", "settings.json", "script.py", "figure.pdf"}
    photo = "images/1.png" if page == "figure" else "photo.png"
    assert {*told, photo} < {*bundle}
    contents = bundle["README.txt"].decode()
    assert all(name.split("/")[0] in contents for name in {*told, photo} - {"README.txt", "figure.pdf"})
    assert bundle["figure.pdf"].startswith(b"%PDF")
    facts = json.loads(bundle["facts.json"])
    assert facts["network"] == BUNDLED
    assert f"camscope {__version__}" in facts["made_with"].lower()


def test_nothing_is_sent_before_somebody_looks(open_app: Open) -> None:
    assert not open_app().code


def test_a_photo_of_ones_own_is_called_by_its_name(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    at = upload(open_app(), encoded(noise((300, 40))), 'my "photo".png')
    given = opened(at, "compare", monkeypatch)
    ast.parse(given.script)
    assert "load_image('my \"photo\".png')" in given.script
    assert given.bundle["photo.png"][:4] == b"\x89PNG"


def test_a_file_of_settings_becomes_a_link(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_app()
    at.session_state["share-compare"] = True
    settle(at.run())
    content = settings.written(View("deletion", {"steps": ("56",), "sample": ('"><script>',)}), {})
    at.file_uploader(key="share-open").upload("mine.json", content).run()
    (link,) = [each.value for each in at.get("html") if "as it was saved" in each.value]
    assert 'href="/deletion?steps=56&amp;sample=%22%3E%3Cscript%3E"' in link
    at.file_uploader(key="share-open").upload("mine.json", b"[]").run()
    assert any("Not opened" in each.value for each in at.get("html"))


VIEW = View("", {"a": ("1", "2"), "b": ("ä &",)})


def test_settings_come_back() -> None:
    assert settings.read(settings.written(VIEW, {"network": "x"}), PAGES) == VIEW


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff", "no JSON"),
        (b"{", "no JSON"),
        (b"[" * 90_000, "nested|no JSON"),
        (b"3", "no settings"),
        (b'{"kind": "other"}', "no settings"),
        (b'{"kind": "CAMscope settings", "page": "../x", "choices": {}}', "no page"),
        (b'{"kind": "CAMscope settings", "page": [], "choices": {}}', "no page"),
        (b'{"kind": "CAMscope settings", "page": "", "choices": []}', "cannot be read"),
        (b'{"kind": "CAMscope settings", "page": "", "choices": {"a": "b"}}', "no list of texts"),
        (b'{"kind": "CAMscope settings", "page": "", "choices": {"a": [1]}}', "no list of texts"),
        (b" " * (settings.LARGEST + 1), "a few kilobytes"),
    ],
)
def test_other_files_are_refused(content: bytes, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings.read(content, PAGES)
