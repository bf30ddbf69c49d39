"""Files appear whole or not at all, and one function sees to it."""

from __future__ import annotations

import ast
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cam_core.files import fill_whole, safe_stem, write_whole

ROOT = Path(__file__).parents[1]


def test_a_file_is_there_with_all_its_content_and_nothing_else_is(tmp_path: Path) -> None:
    target = tmp_path / ("long name " * 24).strip()  # close to what file systems hold
    write_whole(target, lambda draft: draft.write_text("first"))
    write_whole(target, lambda draft: draft.write_text("second"))
    assert target.read_text() == "second" and list(tmp_path.iterdir()) == [target]


def test_readers_see_the_old_file_until_the_new_one_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "table"
    target.write_text("old")

    def write(draft: Path) -> None:
        draft.write_text("ne")
        assert target.read_text() == "old" and draft.parent == tmp_path
        draft.write_text("new")

    write_whole(target, write)
    assert target.read_text() == "new"


@pytest.mark.parametrize("begun", [True, False])
def test_a_failure_leaves_what_was_there(tmp_path: Path, begun: bool) -> None:
    target = tmp_path / "table"
    target.write_text("old")

    def fail(draft: Path) -> None:
        if begun:
            draft.write_text("half of")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write_whole(target, fail)
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_what_a_link_points_to_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    link = tmp_path / "link"
    link.symlink_to("real")
    write_whole(link, lambda draft: draft.write_text("new"))
    assert link.is_symlink() and (tmp_path / "real").read_text() == "new"


def test_the_file_may_be_read_by_whoever_may_read_other_new_files(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_whole(tmp_path / "whole", lambda draft: draft.write_text("x"))
    modes = [stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("plain", "whole")]
    assert modes[0] == modes[1]


def test_threads_that_write_one_file_do_not_mix(tmp_path: Path) -> None:
    target, size = tmp_path / "table", 200_000

    def write(letter: str) -> None:
        write_whole(target, lambda draft: draft.write_text(letter * size))
        text = target.read_text()
        assert len(text) == size and len(set(text)) == 1

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, "abcdefgh" * 3))
    assert list(tmp_path.iterdir()) == [target]


def moves(path: Path) -> list[str]:
    """Calls that put one file in another's place: `path.replace(to)`, not `text.replace(old, new)`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    names = [(ast.unparse(call.func), len(call.args)) for call in calls]
    return [
        name
        for name, count in names
        if name in ("os.replace", "os.rename", "tempfile.mkstemp", "shutil.move")
        or name.endswith("NamedTemporaryFile")
        or (name.endswith((".replace", ".rename")) and count == 1)
    ]


def test_nobody_else_moves_a_draft_into_place() -> None:
    folders = ("cam_core", "pages", "benchmarks", "scripts")
    found = {path for folder in folders for path in (ROOT / folder).rglob("*.py") if moves(path)}
    assert found == {ROOT / "cam_core/files.py"}


def test_a_folder_that_cannot_be_filled_is_not_there(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "first").write_text("one")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fill_whole(tmp_path / "set", fill)
    assert list(tmp_path.iterdir()) == []
    fill_whole(tmp_path / "set", lambda folder: (folder / "first").write_text("one"))
    assert (tmp_path / "set" / "first").read_text() == "one"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("my photos.zip", "my photos"),
        ("../../etc/passwd", "passwd"),
        ("a:b*c?.png", "a_b_c_"),
        (".zip", "_zip"),
        ("..", "_"),
        (" .zip", "instead"),
        ("", "instead"),
        ("x" * 300 + ".pt", "x" * 50),
    ],
)
def test_what_a_stranger_has_named_is_safe_to_write(name: str, stem: str, tmp_path: Path) -> None:
    assert safe_stem(name, "instead") == stem
    fill_whole(tmp_path / stem, lambda folder: None)
