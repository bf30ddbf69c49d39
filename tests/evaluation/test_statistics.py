"""Which method is better: ranks, signs and Holm's correction by hand, and what is refused."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from cam_core.evaluation import statistics
from cam_core.evaluation.results import Row, as_table, read_table, summarise, write_rows
from cam_core.evaluation.scores import pairs_of, scores_of, side_by_side
from cam_core.evaluation.statistics import Comparison, Difference, compare_methods, compare_runs, holm, sign_flip
from cam_core.metrics.statistics import bootstrap_interval
from cam_core.types import MetricError

Column = list[float | None]


def rows_of(metric: str, digest: str = "", **values: Column) -> list[Row]:
    """Rows of several methods, whose names have _ for -, over the images 0, 1, 2, …"""
    return [
        Row(str(image), digest, method.replace("_", "-"), metric, value=value)
        for method, column in values.items()
        for image, value in enumerate(column)
    ]


def compared(metric: str, **values: Column) -> Comparison:
    (comparison,) = compare_runs({"": as_table(rows_of(metric, **values))})
    return comparison


def literal_sign_flip(differences: list[float]) -> float:
    """Every pattern of signs, one by one."""
    observed = abs(sum(differences))
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True)))
        for signs in product((-1, 1), repeat=len(differences))
    ]
    return sum(value >= observed - 1e-12 for value in sums) / len(sums)


def test_sign_flip_by_hand() -> None:
    # 1 + 2 + 3: of the eight patterns, only all + and all − are as far from 0.
    assert sign_flip(np.array([[1.0], [2.0], [3.0]])).tolist() == [2 / 8]
    # 3 + 2 − 1 = 4: also − − + gives −4, + + + 6, − − − −6.
    assert sign_flip(np.array([[3.0], [2.0], [-1.0]])).tolist() == [4 / 8]
    assert sign_flip(np.zeros((4, 1))).tolist() == [1.0]


@pytest.mark.parametrize("count", [1, 5, 9])
def test_sign_flip_tries_every_pattern(count: int) -> None:
    differences = np.random.default_rng(count).normal(0.5, size=(count, 2))
    assert sign_flip(differences).tolist() == [literal_sign_flip(column.tolist()) for column in differences.T]


def test_a_missing_difference_does_not_count() -> None:
    values = [0.3, -0.1, 0.4, 0.2, 0.5]
    (p,) = sign_flip(np.array([*values, np.nan, np.nan])[:, None])
    assert p == literal_sign_flip(values)


def test_drawn_signs_come_close_to_all_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(0.6, size=(11, 3))
    exact = sign_flip(differences)
    monkeypatch.setattr(statistics, "_ALL", 0)
    drawn = sign_flip(differences, seed=1)
    assert drawn == pytest.approx(exact, abs=4 * 0.5 / np.sqrt(9_999))
    assert (drawn == sign_flip(differences, seed=1)).all()
    assert (drawn != sign_flip(differences, seed=2)).any()


def test_many_images_agree_with_the_paired_t_test_and_are_drawn_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(3).normal(0.1, size=(400, 2))
    p = sign_flip(differences)
    assert p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)
    monkeypatch.setattr(statistics, "_AT_ONCE", 400 * 7)
    assert (sign_flip(differences) == p).all(), "the same signs, whatever the blocks"
    assert sign_flip(differences + 5).tolist() == [1e-4, 1e-4], "never 0: the pattern at hand counts"


def test_holm_by_hand() -> None:
    # 0.01 · 4, 0.013 · 3 = 0.039 (not below 0.04), 0.03 · 2, 0.9 · 1
    assert holm(np.array([0.03, 0.01, 0.9, 0.013])).tolist() == pytest.approx([0.06, 0.04, 0.9, 0.04])
    assert holm(np.array([0.6, 0.7])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).tolist() == []


def test_ranks_go_by_what_is_better_and_share_ties() -> None:
    values: dict[str, Column] = {"grad_cam": [1.0, 2.0, 5.0], "lift_cam": [2.0, 2.0, None], "random": [3.0, 1.0, 9.0]}
    lower = compared("average-drop", **values)
    # Images 0 and 1: (1, 2, 3) and (2.5, 2.5, 1); image 2 lacks a value.
    assert [standing.rank for standing in lower.standings] == [1.75, 2.25, 2.0]
    higher = compared("average-gain", **values)
    assert [standing.rank for standing in higher.standings] == [2.25, 1.75, 2.0]
    assert [standing.control for standing in lower.standings] == [False, False, True]
    assert (lower.images, lower.ranked) == (3, 2)
    assert lower.doubts[0].startswith("n = 3: an interval over fewer than 30 images")
    assert lower.doubts[1] == "ranks by average-drop are over the 2 of 3 images that all methods have"


def test_means_are_those_of_the_summary() -> None:
    rows = rows_of("average-drop", grad_cam=[1.0, 2.0, 7.0, None], lift_cam=[2.0, 1.0, 4.0, 4.0])
    assert summarise(as_table(rows)) == summarise(rows)
    (comparison,) = compare_runs({"": as_table(rows)})
    for standing, summary in zip(comparison.standings, summarise(rows), strict=True):
        assert (standing.interval, standing.column.missing) == (summary.interval, summary.missing)


def test_texts_in_dictionaries_are_the_same_table() -> None:
    """Whatever the order of a dictionary, whatever else is in it, and where each piece of a column has its own."""
    rows = [
        *rows_of("complexity", "a", random=[0.5, 0.25]),
        *rows_of("average-drop", "b", random=[3.0], lift_cam=[1.0, None]),
    ]
    names, pieces = ["unused", "lift-cam", "1", "b", "average-drop", "a", "0", "complexity", "random"], []
    for table, own in ((as_table(rows[:3]), names), (as_table(rows[3:]), names[::-1])):
        for name in ("image", "image_sha256", "method", "metric"):
            codes = pa.array([own.index(text) for text in table.column(name).to_pylist()], pa.int8())
            column = pa.DictionaryArray.from_arrays(codes, own)
            table = table.set_column(table.column_names.index(name), name, column)
        pieces.append(table)
    (plain, coded) = (scores_of(table) for table in (as_table(rows), pa.concat_tables(pieces)))
    assert list(coded) == list(plain) == ["complexity", "average-drop"]
    for metric, scores in plain.items():
        other = coded[metric]
        assert (other.images, other.columns) == (scores.images, scores.columns)
        np.testing.assert_array_equal(other.values, scores.values)
    assert plain["average-drop"].images == (("0", "a"), ("1", "a"))
    pairs = [("random", "complexity"), ("random", "average-drop"), ("lift-cam", "average-drop")]
    assert pairs_of(pa.concat_tables(pieces)) == pairs == [(each.method, each.metric) for each in summarise(rows)]


def test_differences_are_paired_and_judged() -> None:
    generator = np.random.default_rng(0)
    easy = generator.normal(50, 20, 40)
    values = {
        "grad_cam": list(easy),
        "lift_cam": list(easy - 1 + generator.normal(0, 0.5, 40)),
        "random": list(easy + generator.normal(0, 0.5, 40)),
    }
    comparison = compared("average-drop", **values)
    assert comparison.doubts == ()
    names = [(pair.first.name, pair.second.name) for pair in comparison.differences]
    assert names == [("grad-cam", "lift-cam"), ("grad-cam", "random"), ("lift-cam", "random")]
    against_lift, against_random, _ = comparison.differences
    apart = np.array(values["grad_cam"]) - np.array(values["lift_cam"])
    expected = bootstrap_interval(apart)
    assert against_lift.interval.mean == pytest.approx(expected.mean)
    assert (against_lift.interval.low, against_lift.interval.high) == pytest.approx((expected.low, expected.high))
    assert against_lift.p == 1e-4 and against_lift.adjusted == pytest.approx(3e-4)
    assert named(comparison, against_lift) == "lift-cam", "a lower drop is better"
    assert named(comparison, against_random) is None
    assert named(compared("average-gain", **values), against_lift) == "grad-cam"


def named(comparison: Comparison, difference: Difference) -> str | None:
    better = comparison.better(difference)
    return None if better is None else better.method


def test_methods_without_a_shared_image_are_not_compared() -> None:
    comparison = compared("average-drop", grad_cam=[1.0, None], lift_cam=[None, 1.0], random=[2.0, 3.0])
    assert [(pair.first.name, pair.interval.count) for pair in comparison.differences] == [
        ("grad-cam", 1),
        ("lift-cam", 1),
    ]
    assert all(standing.rank is None for standing in comparison.standings)


def test_one_method_has_nothing_to_be_compared_with() -> None:
    comparison = compared("average-drop", grad_cam=[1.0, 2.0])
    assert comparison.differences == () and [standing.rank for standing in comparison.standings] == [1.0]
    empty = compared("average-drop", grad_cam=[None, None])
    assert empty.standings[0].interval is None and empty.standings[0].rank is None


def test_runs_stand_side_by_side_image_by_image() -> None:
    early = as_table(rows_of("average-drop", grad_cam=[10.0, 20.0, 30.0]))
    late = as_table(reversed(rows_of("average-drop", grad_cam=[1.0, 2.0, 4.0])))
    (comparison,) = compare_runs({"early": early, "late": late})
    assert [standing.column.name for standing in comparison.standings] == ["early: grad-cam", "late: grad-cam"]
    (pair,) = comparison.differences
    assert pair.interval.mean == pytest.approx((9 + 18 + 26) / 3)


def test_runs_of_different_images_are_refused() -> None:
    one, other = (as_table(rows_of("average-drop", digest, grad_cam=[1.0])) for digest in ("a", "b"))
    with pytest.raises(MetricError, match="no image is in all of one, other"):
        compare_runs({"one": one, "other": other})
    drop, gain = (scores_of(as_table(rows_of(key, grad_cam=[1.0]))) for key in ("average-drop", "average-gain"))
    assert side_by_side({"": drop["average-drop"]}).values.tolist() == [[1.0]]
    assert compare_methods(gain["average-gain"]).direction == "higher"


def test_runs_without_a_metric_in_common_are_refused() -> None:
    one, other = (as_table(rows_of(key, grad_cam=[1.0])) for key in ("average-drop", "average-gain"))
    with pytest.raises(MetricError, match="no metric is in all of one, other"):
        compare_runs({"one": one, "other": other})
    with pytest.raises(MetricError, match="no tables"):
        compare_runs({})


def test_a_metric_with_different_parameters_is_refused(tmp_path: Path) -> None:
    for name, steps in (("a", 8), ("b", 32)):
        settings = {"metrics": {"deletion-auc": {"steps": steps}}}
        write_rows(rows_of("deletion-auc", grad_cam=[0.5]), settings, tmp_path / f"{name}.parquet")
    tables = {name: read_table(tmp_path / f"{name}.parquet") for name in "ab"}
    with pytest.raises(MetricError, match="a and b measured deletion-auc with different parameters"):
        compare_runs(tables)
    assert compare_runs({"a": tables["a"], "again": tables["a"]})[0].differences[0].p == 1.0
