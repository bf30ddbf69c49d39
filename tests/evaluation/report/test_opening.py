"""Tables from anywhere: what is read of them, what is left out, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cam_core.evaluation.report.opening import as_runs, means_so_far, open_results
from cam_core.evaluation.results import Row, write_rows
from cam_core.types import MetricError
from tests.evaluation.report.made import DROPS, IMAGES, SETTINGS, results, rows, written


def test_a_table_says_network_layer_and_parameters(tmp_path: Path) -> None:
    opened = open_results(written(tmp_path / "a.parquet", DROPS))
    assert (opened.network, opened.layer, opened.images, opened.unknown) == ("tiny", "conv", IMAGES, ())
    assert dict(opened.params("lime-cam")) == {"samples": 9} and not opened.params("grad-cam")
    assert opened.names("method") == ["grad-cam", "lift-cam", "random"]
    assert opened.table.num_rows == 3 * IMAGES


def test_what_is_unknown_here_is_left_out_by_name(tmp_path: Path) -> None:
    more = {**DROPS, ("new-cam", "average-drop"): [1.0] * IMAGES, ("grad-cam", "new-metric"): [1.0] * IMAGES}
    opened = open_results(written(tmp_path / "a.parquet", more))
    assert opened.unknown == ("new-cam", "new-metric")
    assert opened.table.num_rows == 3 * IMAGES
    path = written(tmp_path / "b.parquet", {("new-cam", "new-metric"): [1.0]})
    with pytest.raises(MetricError, match="new-cam, new-metric"):
        open_results(path)


def test_what_is_no_finite_number_is_no_value(tmp_path: Path) -> None:
    values = [1.0, float("nan"), float("inf"), None]
    opened = open_results(written(tmp_path / "a.parquet", {("grad-cam", "average-drop"): values}))
    assert opened.table.column("value").to_pylist() == [1.0, None, None, None]


def test_other_files_are_refused(tmp_path: Path) -> None:
    text, other = tmp_path / "text.parquet", tmp_path / "other.parquet"
    text.write_bytes(b"no table")
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(MetricError, match="no table of results"):
        open_results(text)
    with pytest.raises(MetricError, match="not a table of results"):
        open_results(other)
    with pytest.raises(MetricError, match="24 rows; at most 23 are read"):
        open_results(written(tmp_path / "long.parquet", DROPS), rows=23)


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ragged.parquet"
    made = rows({("grad-cam", "max-box-acc"): [1.0, 0.0]})
    write_rows([replace(row, details=(1.0,) * (300 + place)) for place, row in enumerate(made)], {}, path)
    with pytest.raises(MetricError, match="damaged"):
        open_results(path)
    table = pq.read_table(written(tmp_path / "a.parquet", DROPS))
    nameless = table.set_column(2, "method", pa.nulls(len(table), pa.string()))
    pq.write_table(nameless, path)
    with pytest.raises(MetricError, match="damaged"):
        open_results(path)
    texts = table.set_column(7, "value", pa.array(["much"] * len(table)))
    pq.write_table(texts, path)
    with pytest.raises(MetricError, match="damaged"):
        open_results(path)


def test_settings_that_are_none_are_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    write_rows(rows(DROPS), {"methods": 3, "model": None}, path)
    opened = open_results(path)
    assert opened.network == "mine" and not opened.params("grad-cam") and opened.layer == ""


def test_two_networks_of_one_name_are_told_apart() -> None:
    assert list(as_runs([results(DROPS), results(DROPS), results(DROPS, "other")])) == ["tiny", "tiny (2)", "other"]


def test_means_so_far_are_over_what_there_is() -> None:
    made = rows({("grad-cam", "average-drop"): [1.0, 3.0, None], ("grad-cam", "average-gain"): [None, None, None]})
    assert means_so_far(made) == {("grad-cam", "average-drop"): (2.0, 2)}
    assert means_so_far([]) == {}
    assert SETTINGS["model"] == results(DROPS).settings["model"]


def test_rows_that_are_there_so_far_are_results() -> None:
    (row, *_) = rows(DROPS)
    assert isinstance(row, Row) and results(DROPS).images == IMAGES
