"""`results`: a table read again, and two side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cam_core.evaluation.results import Row, write_rows
from tests.cli.calls import Call


def write(path: Path, **values: list[float]) -> Path:
    rows = [
        Row(str(image), "", method, "average-drop", value=value)
        for method, column in values.items()
        for image, value in enumerate(column)
    ]
    path.parent.mkdir(exist_ok=True)
    write_rows(rows, {}, path)
    return path


def lines(output: str) -> list[dict[str, str]]:
    head, *rows = (line.split("\t") for line in output.splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def test_means_with_ranks(succeed: Call, tmp_path: Path) -> None:
    result = succeed("results", write(tmp_path / "a.parquet", cam=[1.0, 3.0], random=[2.0, 2.0]))
    first, second = lines(result.stdout)
    assert (first["method"], first["mean"], first["mean rank"], first["control"]) == ("cam", "2", "1.50", "")
    assert (second["method"], second["n"], second["control"]) == ("random", "2", "control")
    assert "n = 2: an interval over fewer than 30 images is itself uncertain" in result.stderr


def test_differences_of_two_tables(succeed: Call, tmp_path: Path) -> None:
    before = write(tmp_path / "one" / "r.parquet", random=[float(50 + i) for i in range(30)])
    after = write(tmp_path / "two" / "r.parquet", random=[float(49 + i) for i in range(30)])
    (line,) = lines(succeed("results", before, after, "--differences").stdout)
    assert (line["method"], line["minus"]) == (f"{before}: random", f"{after}: random")
    assert (line["difference"], line["p"], line["Holm's p"], line["better"]) == (
        *("1", "0.0001", "0.0001"),
        f"{after}: random",
    )
    again = write(tmp_path / "s.parquet", random=[float(50 + i) for i in range(30)])
    (undecided,) = lines(succeed("results", before, again, "--differences").stdout)
    assert undecided["better"] == "undecided"


def test_a_file_that_is_no_table_is_refused(refuse: Callable[..., str], tmp_path: Path) -> None:
    assert "cannot read the table" in refuse("results", tmp_path / "none.parquet")


@pytest.mark.parametrize("values", [[1.0]])
def test_tables_are_named_by_their_files(succeed: Call, tmp_path: Path, values: list[float]) -> None:
    tables = [write(tmp_path / f"{name}.parquet", random=values) for name in ("early", "late")]
    result = succeed("results", *tables)
    assert [line["method"] for line in lines(result.stdout)] == ["early: random", "late: random"]
