"""Standings as CSV and as a table of LaTeX."""

from __future__ import annotations

import csv
import io
import re

import pytest

from cam_core.evaluation.report.exports import standings_csv, standings_latex
from cam_core.evaluation.results import summarise
from cam_core.evaluation.statistics import compare_runs
from tests.evaluation.report.made import DROPS, results, rows


def test_the_csv_has_a_line_per_method_and_metric() -> None:
    lines = list(csv.DictReader(io.StringIO(standings_csv(compare_runs({"net, a": results(DROPS).table})).decode())))
    assert [line["method"] for line in lines] == ["grad-cam", "lift-cam", "random"]
    assert {line["network"] for line in lines} == {"net, a"} and {line["unit"] for line in lines} == {"%"}
    for line, summary in zip(lines, summarise(rows(DROPS)), strict=True):
        assert summary.interval is not None
        assert float(line["mean"]) == pytest.approx(summary.interval.mean)
        assert float(line["low"]) <= summary.interval.mean <= float(line["high"])
        assert int(line["images"]) == 8
    assert [line["best"] for line in lines] == ["1", "0", "0"]
    assert [line["level_with_best"] for line in lines] == ["0", "1", "0"]


def test_the_table_of_latex_has_its_columns_and_marks() -> None:
    gains = {(method, "average-gain"): values for (method, _), values in DROPS.items()}
    text = standings_latex(compare_runs({"a_1": results(DROPS | gains).table, "b": results(DROPS | gains).table}))
    (columns,) = re.findall(r"\\begin\{tabular\}\{(l r*|lr*)\}", text)
    lines = [line.strip() for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert len(columns) == 4 and {line.count(" & ") for line in lines} == {3}
    assert len(lines) == 1 + 2 * 3
    assert r"a\_1" in text, "an underscore would stop LaTeX"
    assert re.search(r"Grad-CAM & \\textbf\{13\.5\} \{\\scriptsize \[1\d\.\d, 1\d\.\d\]\}", text)
    assert r"LIFT-CAM & 13.9$^{\dagger}$" in text
    assert text.count(r"\begin{") == text.count(r"\end{") and text.count("{") == text.count("}")
    for rule in ("toprule", "midrule", "bottomrule"):
        assert f"\\{rule}" in text
    assert "8 images" in text and "\\%" in text and not re.search(r"(?<!\\)%", text)


def test_one_image_has_no_interval() -> None:
    text = standings_latex(compare_runs({"": results({("grad-cam", "average-drop"): [4.0]}).table}))
    assert "Grad-CAM & 4.00 &" in text and "scriptsize" not in text.split("caption")[1].split("}")[-1]
